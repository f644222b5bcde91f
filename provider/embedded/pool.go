// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"
	"sync"

	"github.com/parley-voice/parley/provider"
)

// resource is what a pool keeps: an engine's instance, ready for a call.
type resource interface{ close(ctx context.Context) }

// pool keeps at most limit instances, busy and idle together.
type pool[R resource] struct {
	load  func(ctx context.Context) (R, error)
	slots chan struct{} // one token for each instance that may be busy

	mu     sync.Mutex
	idle   []R
	closed bool
}

func newPool[R resource](limit int, load func(ctx context.Context) (R, error)) *pool[R] {
	p := &pool[R]{load: load, slots: make(chan struct{}, limit)}
	for range limit {
		p.slots <- struct{}{}
	}
	return p
}

var errClosed = errors.New("embedded: the engine is closed")

// tryTake gives an instance, or overload at once when all are busy.
func (p *pool[R]) tryTake(ctx context.Context) (R, error) {
	select {
	case <-p.slots:
		return p.ready(ctx)
	default:
		var none R
		return none, &provider.Failure{Outcome: provider.Outcome{
			Class: provider.OutcomeOverload, Reason: "engine_busy", Retryable: true,
			Detail: "all instances of the engine are in use",
		}}
	}
}

// take gives an instance, and waits for one while all are busy.
func (p *pool[R]) take(ctx context.Context) (R, error) {
	var none R
	if err := ctx.Err(); err != nil {
		return none, err
	}
	select {
	case <-p.slots:
		return p.ready(ctx)
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// ready gives an idle instance or loads one; the caller holds a slot.
func (p *pool[R]) ready(ctx context.Context) (R, error) {
	var none R
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.slots <- struct{}{}
		return none, engineFailure(errClosed, false)
	}
	if n := len(p.idle); n > 0 {
		r := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return r, nil
	}
	p.mu.Unlock()
	// Loading is not abandoned half-way: an instance that is not for this call is for
	// the next one.
	r, err := p.load(context.WithoutCancel(ctx))
	if err != nil {
		p.slots <- struct{}{}
		return none, engineFailure(err, true)
	}
	return r, nil
}

// put takes an instance back; with broken, it is thrown away.
func (p *pool[R]) put(ctx context.Context, r R, broken bool) {
	if broken {
		r.close(context.WithoutCancel(ctx))
	} else {
		p.mu.Lock()
		p.idle = append(p.idle, r)
		p.mu.Unlock()
	}
	p.slots <- struct{}{}
}

// shut lets no more calls in. It says whether it was this call that shut the pool.
func (p *pool[R]) shut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.closed
	p.closed = true
	return !was
}

// drain returns when no instance is busy any more.
func (p *pool[R]) drain() {
	for range cap(p.slots) {
		<-p.slots
	}
	for range cap(p.slots) { // so that later calls see that it is shut
		p.slots <- struct{}{}
	}
}

// engineFailure is the outcome of a call whose engine failed.
func engineFailure(err error, retryable bool) *provider.Failure {
	reason := "engine_failed"
	if errors.Is(err, errClosed) {
		reason = "engine_closed"
	}
	return &provider.Failure{Cause: err, Outcome: provider.Outcome{
		Class: provider.OutcomeInfrastructureFailure, Reason: reason, Retryable: retryable, Detail: err.Error(),
	}}
}

// outcomeOf is provider.OutcomeOf, with the end of a context told apart.
func outcomeOf(err error) provider.Outcome {
	if o, ok := provider.ContextOutcome(err); ok {
		return o
	}
	return provider.OutcomeOf(err)
}
