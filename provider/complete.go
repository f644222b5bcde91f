// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// The bounds of Complete.
const (
	CompleteAttempts = 2                     // as many as a plan's provider gets (turn-plan section 6)
	CompleteBackoff  = 50 * time.Millisecond // before the second, where the outcome says nothing else
	MaxCompletion    = 64 << 10              // bytes of text
)

// Complete asks a model for a whole text: for what is no turn's answer, such as a translation or a
// summary, and so is not in a turn's plan. The adapter is held to what a turn's calls are held to:
// the discipline of streams, a panic is an outcome, and one that does not end with ctx is let go.
// A retryable outcome is asked for once more while ctx has time for it, under the same idempotency
// key. Attempt and, where ctx has an end, Timeout of call are set here. The error is a *Failure.
func Complete(ctx context.Context, m LLM, call Call, p Prompt) (string, error) {
	end, bounded := ctx.Deadline()
	for call.Attempt = 1; ; call.Attempt++ {
		if bounded {
			call.Timeout = max(time.Until(end), time.Millisecond)
		}
		text, o := complete(ctx, m, call, p)
		if o.Class == OutcomeSuccess {
			return text, nil
		}
		wait := max(o.Backoff, CompleteBackoff)
		if !o.Retryable || call.Attempt >= CompleteAttempts || bounded && time.Until(end) <= wait {
			return "", &Failure{Outcome: o}
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return "", &Failure{Outcome: o}
		}
	}
}

// completion is what an attempt has said. It is deaf once nobody waits for it.
type completion struct {
	mu      sync.Mutex
	checker *StreamChecker
	text    strings.Builder
	fault   *Outcome
	deaf    bool
}

func (c *completion) take(chunk Chunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf || c.fault != nil {
		return
	}
	if err := c.checker.Check(chunk); err != nil {
		o := OutcomeOf(err)
		c.fault = &o
		return
	}
	if chunk.Kind != ChunkTextDelta {
		return
	}
	if c.text.Len()+len(chunk.Text) > MaxCompletion {
		c.fault = &Outcome{Class: OutcomeInfrastructureFailure, Reason: "completion_too_long", Detail: fmt.Sprintf("the model gives more than %d bytes", MaxCompletion)}
		return
	}
	c.text.WriteString(chunk.Text)
}

// complete is one attempt.
func complete(parent context.Context, m LLM, call Call, p Prompt) (string, Outcome) {
	ctx, stop := context.WithCancel(parent)
	defer stop()
	c := &completion{checker: NewStreamChecker(ModalityLLM)}
	done := make(chan Outcome, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- Outcome{Class: OutcomeInfrastructureFailure, Reason: "provider_panic", Detail: fmt.Sprint("the adapter panicked: ", r)}
			}
		}()
		done <- m.Generate(ctx, call, p, c.take)
	}()
	var o Outcome
	select {
	case o = <-done:
	case <-ctx.Done():
		o = Outcome{Class: OutcomeCancelled, Reason: "cancelled"}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			o = Outcome{Class: OutcomeTimeout, Reason: "deadline"}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
	switch {
	case c.fault != nil:
		return "", *c.fault
	case o.Class != OutcomeSuccess:
		return "", o
	}
	if err := c.checker.Finish(); err != nil {
		return "", OutcomeOf(err)
	}
	return c.text.String(), c.checker.Outcome()
}
