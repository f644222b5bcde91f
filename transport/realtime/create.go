// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// create asks for an answer, or is the client's part of an answer that goes on with the
// results of tools.
func (c *conn) create(e *event) *fault {
	a := &request{eventID: e.EventID, key: eventabi.IdempotencyKey(newID("create"))}
	instructions, f := a.read(e.Response)
	if f != nil {
		return f
	}
	c.mu.Lock()
	if c.goesOn(a) {
		c.mu.Unlock()
		return nil
	}
	if c.active != nil || c.asked != nil {
		f = active("")
		if c.active != nil {
			f = active(c.active.id)
		}
		c.mu.Unlock()
		return f
	}
	if a.text != nil && *a.text == c.set.text {
		a.text = nil
	}
	c.asked = a
	a.timer = time.AfterFunc(answerWithin+c.config.Buffered, transport.Contain(c.broken, func() { c.unanswered(a) }))
	c.mu.Unlock()
	if a.text != nil {
		c.Tell(func(in transport.Ingress) { in.Configure(transport.Wishes{TextOnly: a.text}) })
	}
	c.after(func(in transport.Ingress) {
		if instructions != "" {
			in.Context(transport.Context{Role: transport.ContextSystem, Text: instructions, Key: a.key + "-instructions"})
		}
		in.Respond(a.key)
		a.timer.Reset(answerWithin)
	})
	return nil
}

// active says that there is a response already.
func active(id string) *fault {
	if id == "" {
		id = "the one that was asked for before, or is about to begin"
	}
	return &fault{
		Code:    codeActive,
		Message: "Conversation already has an active response in progress: " + id + ". Wait until the response is finished before creating a new one.",
	}
}

// read takes the parameters of a response.create.
func (a *request) read(raw json.RawMessage) (instructions string, f *fault) {
	if absent(raw) {
		return "", nil
	}
	var conversation string
	var written bool
	fields := map[string]reader{
		"conversation": into(&conversation, "a string"),
		"instructions": into(&instructions, "a string"),
		"metadata":     keep(&a.metadata),
		"output_modalities": func(path string, raw json.RawMessage) *fault {
			a.text = &written
			return readModalities(&written)(path, raw)
		},
		"audio": skip, "max_output_tokens": skip, "parallel_tool_calls": skip, "reasoning": skip, "temperature": skip,
		"input":       alone,
		"prompt":      alone,
		"tools":       alone,
		"tool_choice": (&settings{}).readChoice,
	}
	fields["modalities"] = fields["output_modalities"] // as it was called before
	if f = walk("response", raw, fields); f != nil {
		return "", f
	}
	if conversation != "" && conversation != "auto" {
		return "", unsupported("response.conversation", "an answer belongs to its conversation; use 'auto'")
	}
	if utf8.RuneCountInString(instructions) > maxGiven {
		return "", &fault{
			Code: codeValue, Param: "response.instructions",
			Message: fmt.Sprintf("Invalid 'response.instructions': at most %d characters.", maxGiven),
		}
	}
	return instructions, nil
}

// alone is for what only a whole session can have.
func alone(path string, raw json.RawMessage) *fault {
	if absent(raw) {
		return nil
	}
	return unsupported(path, "it cannot be set for one response; use session.update, or conversation.item.create")
}

// unanswered gives up a response.create that has led to nothing.
func (c *conn) unanswered(a *request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == a {
		c.refused("no turn has opened")
	}
}

// restore takes back what one response was to have otherwise.
func (c *conn) restore() {
	c.mu.Lock()
	written := c.set.text
	c.mu.Unlock()
	c.Tell(func(in transport.Ingress) { in.Configure(transport.Wishes{TextOnly: &written}) })
}

// cancel stops the response that is under way.
func (c *conn) cancel(e *event) *fault {
	c.mu.Lock()
	r := c.active
	if r == nil || e.ResponseID != nil && *e.ResponseID != r.id {
		c.mu.Unlock()
		return &fault{Code: codeNotActive, Message: "Cancellation failed: no active response found."}
	}
	r.turn.stopped = true
	id := r.turn.id
	c.mu.Unlock()
	c.Tell(func(in transport.Ingress) {
		in.Cancel(transport.Request{Turn: id, Key: eventabi.IdempotencyKey("cancel-" + r.id)})
	})
	return nil
}
