// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"context"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/provider"
)

// Call is one running attempt.
type Call struct {
	request    Request
	controller *Controller
	ctx        context.Context
	stop       context.CancelFunc
	began      timebase.Instant
	on         func(at timebase.Instant, c provider.Chunk)
	done       func(at timebase.Instant, o provider.Outcome)

	mu       sync.Mutex
	checker  *provider.StreamChecker
	ended    bool
	stopping bool
	deaf     bool             // what still comes is late, because the adapter was let go
	first    timebase.Instant // of the first content, 0 = none yet
	heard    timebase.Instant // of the last chunk
	alive    timebase.Instant // of the last Alive
	chunks   int64
	bytes    int64
	late     int64
	usage    provider.Usage
	refused  controlplane.ShedReason
	guard    *time.Timer
	due      timebase.Instant // virtual time: when the last chunk arrives
}

const (
	// aliveEvery is how often a streaming call is reported alive at most.
	aliveEvery = 250 * timebase.Millisecond
	// backstop is how much longer than the kernel's own deadline a silent adapter is
	// waited for.
	backstop = 500 * time.Millisecond
	// interimDelay is how long a recogniser's interim result takes in virtual time.
	interimDelay = 10 * timebase.Millisecond
)

// Context ends when the call is to stop.
func (call *Call) Context() context.Context { return call.ctx }

// Request gives the attempt's identity.
func (call *Call) Request() Request { return call.request }

// Ended says that the attempt is over.
func (call *Call) Ended() bool {
	call.mu.Lock()
	defer call.mu.Unlock()
	return call.ended
}

// Run runs an adapter's call off the owner. Each chunk that passes goes to on; done is
// called once behind the last, before the end is reported.
func (call *Call) Run(
	work func(ctx context.Context, id provider.Call, sink provider.Sink) provider.Outcome,
	on func(at timebase.Instant, c provider.Chunk),
	done func(at timebase.Instant, o provider.Outcome),
) {
	sink := call.Attach(on, done)
	if call.Ended() {
		return // given up before it began
	}
	call.Expect()
	why := call.controller.settings.Exec.Stream(func() {
		if fault := call.Guard(func() { work(call.ctx, call.identity(), sink) }); fault != nil {
			call.Fail(*fault)
			return
		}
		call.Returned()
	})
	if why != "" {
		call.Unscheduled(why)
	}
}

// Unscheduled ends an attempt that the execution pool did not take: no adapter has heard of
// it.
func (call *Call) Unscheduled(why controlplane.ShedReason) {
	call.mu.Lock()
	if !call.ended {
		call.refused = why
	}
	call.mu.Unlock()
	call.letGo()
	call.later(func(timebase.Instant) {
		call.end(provider.Outcome{Class: provider.OutcomeOverload, Reason: string(why)}, false)
	})
}

// Attach gives the sink of a call that the caller runs itself, as a recogniser is.
// Returned or Fail ends it, if its stream has not. done is told at once when the call was
// given up while it waited.
func (call *Call) Attach(on func(timebase.Instant, provider.Chunk), done func(timebase.Instant, provider.Outcome)) provider.Sink {
	call.mu.Lock()
	call.on, call.done = on, done
	over := call.ended
	call.mu.Unlock()
	if over && done != nil {
		done(call.controller.settings.Exec.Now(), cancelled("detached"))
	}
	return call.take
}

// Guard runs a piece of an adapter and gives the outcome of a panic.
func (call *Call) Guard(f func()) (fault *provider.Outcome) {
	defer func() {
		if r := recover(); r != nil {
			o := panicked(r)
			fault = &o
		}
	}()
	f()
	return nil
}

// Expect starts the backstop: from now on the adapter may not be silent for longer than
// its time and a margin.
func (call *Call) Expect() {
	if call.controller.settings.Exec.Virtual() || call.patience() <= 0 {
		return
	}
	call.mu.Lock()
	defer call.mu.Unlock()
	call.heard = call.controller.settings.Exec.Now()
	if call.guard == nil && !call.ended {
		call.guard = time.AfterFunc(call.patience()+backstop, call.silent)
	}
}

// patience is how long the kernel waits for a result at most: what is left of a turn can
// make the time to the first one shorter, not that between later ones.
func (call *Call) patience() time.Duration { return max(call.request.Timeout, call.request.Idle) }

// silent is the backstop's timer.
func (call *Call) silent() {
	limit := timebase.Span(call.patience() + backstop)
	call.mu.Lock()
	quiet := call.controller.settings.Exec.Now().Sub(call.heard)
	if !call.ended && quiet < limit {
		call.guard.Reset(time.Duration(limit - quiet))
		call.mu.Unlock()
		return
	}
	call.mu.Unlock()
	call.stop()
	call.end(provider.Outcome{Class: provider.OutcomeTimeout, Reason: "adapter_silent", Retryable: true}, false)
}

// take is the sink: the stream discipline first, then, in virtual time, the wait.
func (call *Call) take(c provider.Chunk) {
	call.mu.Lock()
	if call.ended || call.deaf {
		call.late++
		call.mu.Unlock()
		call.controller.countLate()
		return
	}
	now := call.controller.settings.Exec.Now()
	if err := call.checker.Check(c); err != nil {
		call.mu.Unlock()
		call.later(func(timebase.Instant) {
			call.letGo()
			call.end(provider.OutcomeOf(err), false)
		})
		return
	}
	call.heard = now
	call.arrive(now, c)
	call.mu.Unlock()
	call.later(func(at timebase.Instant) { call.pass(at, c) })
}

// later does something at the instant at which the latest chunk arrives: now, when time
// is real.
func (call *Call) later(f func(at timebase.Instant)) {
	exec := call.controller.settings.Exec
	if !exec.Virtual() {
		f(exec.Now())
		return
	}
	at := call.due
	exec.After(at, func() { f(at) })
}

// arrive moves the arrival of virtual time on, by the adapter's own latency model.
func (call *Call) arrive(now timebase.Instant, c provider.Chunk) {
	lat := call.request.Provider.Expected
	at := max(call.due, now)
	switch c.Kind {
	case provider.ChunkTextDelta, provider.ChunkTextFinal, provider.ChunkAudio, provider.ChunkToolCall:
		switch {
		case call.request.Provider.Modality == provider.ModalitySTT && c.Kind == provider.ChunkTextFinal:
			at = max(call.due, now.Add(timebase.Span(lat.First)))
		case call.request.Provider.Modality == provider.ModalitySTT:
			at = max(call.due, now.Add(interimDelay))
		case call.chunks == 0:
			at = at.Add(timebase.Span(lat.First))
		default:
			at = at.Add(timebase.Span(lat.Next))
		}
		call.chunks++
		call.bytes += int64(len(c.Text)+len(c.Tool.Name)+len(c.Tool.Arguments)) + 2*int64(len(c.PCM))
	case provider.ChunkStart, provider.ChunkMetadata, provider.ChunkFinal, provider.ChunkError:
	}
	call.due = at
}

// pass hands a chunk on, unless the call is over by now.
func (call *Call) pass(at timebase.Instant, c provider.Chunk) {
	content := isContent(c.Kind)
	call.mu.Lock()
	if call.ended || call.stopping && call.controller.settings.Exec.Virtual() {
		call.late++
		call.mu.Unlock()
		call.controller.countLate()
		return
	}
	tell := false
	if content || c.Kind == provider.ChunkMetadata {
		tell = call.streams(at, content)
		if call.first == 0 && content {
			call.first = at
		}
		if tell {
			call.alive = at
		}
	}
	call.mu.Unlock()
	if tell && call.controller.settings.Alive != nil {
		call.controller.settings.Alive(call.request.Invocation, call.request.Attempt)
	}
	switch c.Kind {
	case provider.ChunkFinal, provider.ChunkError:
		call.mu.Lock()
		call.usage = c.Usage
		call.mu.Unlock()
		call.end(c.Outcome, false)
	case provider.ChunkStart, provider.ChunkMetadata, provider.ChunkTextDelta, provider.ChunkTextFinal, provider.ChunkAudio, provider.ChunkToolCall:
		call.on(at, c)
	}
}

// isContent says that a chunk brings something of the result.
func isContent(k provider.ChunkKind) bool {
	switch k {
	case provider.ChunkTextDelta, provider.ChunkTextFinal, provider.ChunkAudio, provider.ChunkToolCall:
		return true
	case provider.ChunkStart, provider.ChunkMetadata, provider.ChunkFinal, provider.ChunkError:
	}
	return false
}

// streams says that the kernel should hear that the call streams. Tokens may make no
// segment for a while, and those of a tool's arguments none at all, so the first is told at
// once; a synthesiser's chunks speak for themselves unless they are small and slow; a
// recogniser has no idle timeout.
func (call *Call) streams(at timebase.Instant, content bool) bool {
	switch call.request.Provider.Modality {
	case provider.ModalityLLM:
		return content && call.first == 0 || at.Sub(max(call.alive, call.began)) >= aliveEvery
	case provider.ModalityTTS:
		return content && at.Sub(max(call.alive, call.began)) >= aliveEvery
	case provider.ModalitySTT:
	}
	return false
}

// Returned says that the adapter is through. A stream that is still open then is a
// violation, unless the call was told to stop.
func (call *Call) Returned() {
	call.mu.Lock()
	outcome := provider.OutcomeOf(call.checker.Finish())
	if outcome.Class == provider.OutcomeSuccess {
		outcome = call.checker.Outcome()
	}
	stopping := call.stopping
	call.mu.Unlock()
	if stopping {
		outcome = cancelled("cancelled")
	}
	call.later(func(timebase.Instant) { call.end(outcome, false) })
}

// Fail ends the attempt with an outcome that is not a success.
func (call *Call) Fail(o provider.Outcome) {
	call.letGo()
	call.later(func(timebase.Instant) { call.end(o, false) })
}

// letGo ends the adapter's context and hears nothing more of it.
func (call *Call) letGo() {
	call.mu.Lock()
	call.deaf = true
	call.mu.Unlock()
	call.stop()
}

// cancel tells the adapter to stop. In virtual time it takes as long as it says, and
// what it says on a goroutine of its own is not heard: that could not be repeated.
func (call *Call) cancel() {
	exec := call.controller.settings.Exec
	call.mu.Lock()
	already := call.stopping || call.ended
	call.stopping = true
	call.deaf = call.deaf || exec.Virtual()
	call.mu.Unlock()
	call.stop()
	if already || !exec.Virtual() {
		return
	}
	at := exec.Now().Add(timebase.Span(call.request.Provider.Capabilities.CancelLatency))
	exec.After(at, func() { call.end(cancelled("cancelled"), false) })
}

// end reports the attempt's end, once.
func (call *Call) end(o provider.Outcome, detached bool) {
	now := call.controller.settings.Exec.Now()
	call.mu.Lock()
	if call.ended {
		call.mu.Unlock()
		return
	}
	call.ended = true
	if call.guard != nil {
		call.guard.Stop()
	}
	e := End{
		Request: call.request, Outcome: o, Cancelled: call.stopping, Detached: detached,
		Duration: now.Sub(call.began), Chunks: call.chunks, Bytes: call.bytes, Late: call.late,
		Usage: call.usage, Unscheduled: call.refused,
	}
	if call.first != 0 {
		e.First = call.first.Sub(call.began)
	}
	done := call.done
	call.mu.Unlock()
	call.stop()
	call.controller.forget(call)
	if done != nil {
		done(now, o)
	}
	if e.Over != nil {
		e.Over()
	}
	call.controller.settings.Ended(e)
}

func (c *Controller) countLate() {
	c.mu.Lock()
	c.late++
	c.mu.Unlock()
}
