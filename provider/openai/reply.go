// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-voice/parley/provider"
)

// The end of a stream, and how long its connection may take to be free again.
const (
	doneMark = "[DONE]"
	drainMax = 50 * time.Millisecond
	drainLen = 4 << 10 // bytes
)

// reply turns what a server sends into chunks.
type reply struct {
	out    *provider.Emitter
	usage  provider.Usage
	events int
	text   bool   // some text was sent
	tools  bool   // the model may call tools
	calls  calls  // that it has called
	finish string // why the model stopped, empty while it goes on
}

// stream reads server-sent events to their end.
func (r *reply) stream(ctx context.Context, body io.Reader) provider.Outcome {
	d := newDecoder(body)
	for {
		e, err := d.next()
		switch {
		case ctx.Err() != nil:
			return r.out.Fail(transportOutcome(ctx, ctx.Err(), true))
		case errors.Is(err, io.EOF) && r.finish != "":
			return r.done()
		case errors.Is(err, io.EOF):
			return r.out.Fail(truncated())
		case err != nil:
			return r.out.Fail(transportOutcome(ctx, err, true))
		}
		r.events++
		if string(e.data) == doneMark {
			return r.done()
		}
		var c completion
		if err := json.Unmarshal(e.data, &c); err != nil {
			if e.cut {
				return r.out.Fail(truncated())
			}
			return r.out.Fail(r.malformed())
		}
		if e.name == "error" && c.Error == nil {
			c.Error = &fault{}
		}
		if o, failed := r.take(c); failed {
			return r.out.Fail(o)
		}
	}
}

// single reads the whole answer of a server that does not stream.
func (r *reply) single(ctx context.Context, body io.Reader) provider.Outcome {
	raw, err := io.ReadAll(io.LimitReader(body, replyMax+1))
	if err == nil && len(raw) > replyMax {
		err = errReplyTooLarge
	}
	if err != nil {
		return r.out.Fail(transportOutcome(ctx, err, true))
	}
	var c completion
	r.events++
	if json.Unmarshal(raw, &c) != nil || (len(c.Choices) == 0 && c.Error == nil) {
		return r.out.Fail(r.malformed())
	}
	if o, failed := r.take(c); failed {
		return r.out.Fail(o)
	}
	return r.done()
}

// take passes on what one event brings; bad is true when it ends the call.
func (r *reply) take(c completion) (o provider.Outcome, bad bool) {
	if c.Error != nil {
		return streamError(*c.Error), true
	}
	if c.Usage != nil {
		r.usage.InputTokens, r.usage.OutputTokens = c.Usage.PromptTokens, c.Usage.CompletionTokens
		r.usage.CachedTokens = c.Usage.PromptDetails.CachedTokens
	}
	for _, choice := range c.Choices {
		if choice.Index != 0 {
			continue // one answer was asked for
		}
		if choice.Delta.Refusal != "" || choice.Message.Refusal != "" {
			return provider.Outcome{Class: provider.OutcomeBlocked, Reason: "refusal", Detail: "the model refused to answer"}, true
		}
		if text := choice.Delta.Content + choice.Message.Content; text != "" {
			r.text = true
			r.out.TextDelta(text)
		}
		if o, bad := r.toolCalls(choice.Delta.ToolCalls, choice.Message.ToolCalls); bad {
			return o, true
		}
		if choice.FinishReason != "" {
			r.finish = choice.FinishReason
		}
	}
	return provider.Outcome{}, false
}

// toolCalls takes pieces of calls, and says that the model is at work; calls that nobody
// offered are passed over.
func (r *reply) toolCalls(lists ...[]callDelta) (o provider.Outcome, bad bool) {
	for _, list := range lists {
		for i := range list {
			switch {
			case !r.tools:
			case !r.calls.add(&list[i]):
				return unnamedCall(), true
			default:
				r.out.Metadata(nil)
			}
		}
	}
	return provider.Outcome{}, false
}

// done ends the call by why the model stopped. What it has called is handed on when it is
// complete: a stream that breaks off has called nothing.
func (r *reply) done() provider.Outcome {
	switch {
	case r.finish == "content_filter":
		return r.out.Fail(provider.Outcome{
			Class: provider.OutcomeBlocked, Reason: "content_filter", Detail: "the server's content filter ended the reply",
		})
	case (r.finish == "tool_calls" || r.finish == "function_call") && !r.text && len(r.calls.list) == 0:
		return r.out.Fail(failed("unexpected_tool_call", false, "the model called a tool, though it was offered none"))
	case r.finish == "error":
		return r.out.Fail(failed("server_error", true, "the server ended the reply with an error"))
	}
	if !r.calls.named() {
		return r.out.Fail(unnamedCall())
	}
	for i := range r.calls.list {
		r.out.ToolCall(r.calls.list[i].name, string(r.calls.list[i].arguments))
	}
	return r.out.Final(r.usage)
}

// streamError is the outcome of an error that comes inside an answer of status 200.
func streamError(f fault) provider.Outcome {
	switch {
	case f.policy():
		return provider.Outcome{Class: provider.OutcomeBlocked, Reason: "content_policy", Detail: "the server refused what was said"}
	case f.Code == "rate_limit_exceeded" || f.Type == "rate_limit_error" || f.Type == "overloaded_error":
		return provider.Outcome{Class: provider.OutcomeOverload, Reason: "rate_limited", Retryable: true, Detail: "the server is overloaded"}
	}
	return failed("server_error", true, "the server reported an error in its answer")
}

func unnamedCall() provider.Outcome {
	return failed("malformed_tool_call", true, "a call of a tool names none, or the calls are longer than 256 KiB")
}

func truncated() provider.Outcome {
	return failed("stream_truncated", true, "the stream ended before the reply did")
}

func (r *reply) malformed() provider.Outcome {
	return failed("malformed_response", false, fmt.Sprintf("event %d of the answer is not a chat completion; check the base URL", r.events))
}

// drain reads the little that follows the end mark, so that the connection can be used
// again, and gives up on a server that does not end its stream.
func drain(body io.ReadCloser) {
	giveUp := time.AfterFunc(drainMax, func() { _ = body.Close() })
	defer giveUp.Stop()
	_, _ = io.CopyN(io.Discard, body, drainLen)
}
