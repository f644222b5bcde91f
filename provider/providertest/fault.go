// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"time"

	"github.com/parley-voice/parley/provider"
)

// Fault is a way in which an engine misbehaves (engine design section 4, fault kinds of
// a provider).
type Fault string

// The faults. All but the first three break the stream discipline.
const (
	FaultNone            Fault = ""
	FaultStall           Fault = "stall"             // nothing more comes until the context ends; at 0 a slow first byte
	FaultError           Fault = "error"             // the call ends with Injection.Outcome
	FaultDuplicate       Fault = "duplicate"         // a chunk comes twice
	FaultOutOfOrder      Fault = "out_of_order"      // a chunk has a sequence below the one before it
	FaultAfterEnd        Fault = "after_end"         // a chunk comes after the end
	FaultLateAfterCancel Fault = "late_after_cancel" // as FaultStall, and a chunk comes after the cancelled end
	FaultTruncate        Fault = "truncate"          // the call returns without final or error
	FaultPanic           Fault = "panic"             // the adapter panics
)

// Faults lists them all but FaultNone.
func Faults() []Fault {
	return []Fault{
		FaultStall, FaultError, FaultDuplicate, FaultOutOfOrder, FaultAfterEnd, FaultLateAfterCancel, FaultTruncate, FaultPanic,
	}
}

// Injection is a fault and its place.
type Injection struct {
	Fault Fault
	// At is the element of the stream that the fault hits, from 0, start not counted and
	// the end counted; one beyond the end means the end.
	At int
	// Outcome is how FaultError ends the call; zero means infrastructure_failure with
	// reason injected, retryable.
	Outcome provider.Outcome
}

func (i Injection) outcome() provider.Outcome {
	if i.Outcome != (provider.Outcome{}) {
		return i.Outcome
	}
	return provider.Outcome{
		Class: provider.OutcomeInfrastructureFailure, Reason: "injected", Retryable: true, Detail: "a fault of the test",
	}
}

// InjectionPanic is what FaultPanic panics with.
const InjectionPanic = "providertest: injected panic"

// Behaviour is what the fakes have in common.
type Behaviour struct {
	// ID and Model are for the descriptor; empty means a name of the fake's own.
	ID, Model string
	// Latency is the engine's speed as its descriptor gives it.
	Latency provider.Latency
	// Wait makes the fake keep to Latency by the clock; otherwise it answers at once.
	Wait bool
	// Inject gives the fault of a call, nil for none in any. The call's identity tells
	// calls apart, for example the first attempt from the second.
	Inject func(provider.Call) Injection
}

func (b Behaviour) injection(call provider.Call) Injection {
	if b.Inject == nil {
		return Injection{}
	}
	return b.Inject(call)
}

// pause waits before element n of a stream.
func (b Behaviour) pause(ctx context.Context, n int) {
	d := b.Latency.Next
	if n == 0 {
		d = b.Latency.First
	}
	if !b.Wait || d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// player sends one call's stream, with a fault where the injection says so. It numbers
// chunks itself, since an emitter could not break the discipline.
type player struct {
	sink    provider.Sink
	inject  Injection
	next    int // sequence
	element int // of the stream
	stalled bool
	ended   bool
	last    provider.Chunk // the last element before the end, for a late repeat
	outcome provider.Outcome
}

func newPlayer(sink provider.Sink, inject Injection) *player {
	return &player{sink: sink, inject: inject}
}

func (p *player) start() { p.send(provider.Chunk{Kind: provider.ChunkStart}) }

// play sends the next element unless the call has ended or stalled. An element that is
// final or error ends it.
func (p *player) play(c provider.Chunk) {
	if p.ended || p.stalled {
		return
	}
	end := c.Kind == provider.ChunkFinal || c.Kind == provider.ChunkError
	hit := p.inject.Fault != FaultNone && (p.element == p.inject.At || (end && p.element < p.inject.At))
	p.element++
	if hit && p.strike(c) {
		return
	}
	p.send(c)
	if end {
		p.end(c.Outcome)
		if hit && p.inject.Fault == FaultAfterEnd {
			p.send(p.last)
		}
		return
	}
	p.last = c
}

// strike lets the fault hit c and reports whether c is not to be sent any more.
func (p *player) strike(c provider.Chunk) bool {
	switch p.inject.Fault {
	case FaultStall, FaultLateAfterCancel:
		p.stalled = true
		if c.Kind != provider.ChunkFinal && c.Kind != provider.ChunkError {
			p.last = c
		}
		return true
	case FaultError:
		o := p.inject.outcome()
		p.send(provider.Chunk{Kind: provider.ChunkError, Outcome: o})
		p.end(o)
		return true
	case FaultDuplicate:
		p.send(c)
		p.next--
	case FaultOutOfOrder:
		p.next++
		p.send(c)
		p.next -= 2
	case FaultAfterEnd:
		if c.Kind != provider.ChunkFinal && c.Kind != provider.ChunkError {
			o := provider.Outcome{Class: provider.OutcomeSuccess}
			p.send(provider.Chunk{Kind: provider.ChunkFinal, Outcome: o})
			p.end(o)
			p.send(c)
			return true
		}
	case FaultTruncate:
		p.end(provider.Outcome{Class: provider.OutcomeSuccess})
		return true
	case FaultPanic:
		panic(InjectionPanic)
	case FaultNone:
	}
	return false
}

// fail ends the call, also a stalled one.
func (p *player) fail(o provider.Outcome) {
	if p.ended {
		return
	}
	p.send(provider.Chunk{Kind: provider.ChunkError, Outcome: o})
	p.end(o)
	if p.inject.Fault == FaultLateAfterCancel && p.stalled {
		p.send(p.last)
	}
}

func (p *player) end(o provider.Outcome) { p.ended, p.outcome = true, o }

func (p *player) send(c provider.Chunk) {
	if c.Kind == "" {
		return // no element to repeat
	}
	c.Sequence = p.next
	p.next++
	p.sink(c)
}

// perform plays a whole stream for a call that blocks until its end.
func (b Behaviour) perform(ctx context.Context, call provider.Call, elements []provider.Chunk, sink provider.Sink) provider.Outcome {
	p := newPlayer(sink, b.injection(call))
	p.start()
	for i, c := range elements {
		b.pause(ctx, i)
		if err := ctx.Err(); err != nil {
			o, _ := provider.ContextOutcome(err)
			p.fail(o)
			break
		}
		p.play(c)
		if p.stalled {
			<-ctx.Done()
			o, _ := provider.ContextOutcome(ctx.Err())
			p.fail(o)
		}
		if p.ended {
			break
		}
	}
	return p.outcome
}

// refuse is the stream of a request that is not valid.
func refuse(sink provider.Sink, err error) provider.Outcome {
	return provider.NewEmitter(sink).Fail(provider.InvalidRequest(err))
}

// success is the last element of a stream that ends well.
func success(u provider.Usage) provider.Chunk {
	return provider.Chunk{Kind: provider.ChunkFinal, Usage: u, Outcome: provider.Outcome{Class: provider.OutcomeSuccess}}
}

func (b Behaviour) descriptor(id string, m provider.Modality, c provider.Capabilities) provider.Descriptor {
	d := provider.Descriptor{
		ID: b.ID, Modality: m, Model: b.Model, ContractVersion: provider.ContractVersion, Capabilities: c, Expected: b.Latency,
	}
	if d.ID == "" {
		d.ID = id
	}
	if d.Model == "" {
		d.Model = id
	}
	return d
}
