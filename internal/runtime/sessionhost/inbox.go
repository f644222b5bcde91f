// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/internal/kernel/flow"
)

// lanes is how many there are, in order of priority from flow.Control on.
const lanes = 3

// Inbox is where any goroutine tells one owner what there is to do, lane by lane: the one
// lock that they share with it, held for an append or for a swap of two slices. A shard's
// holds sessions, each at most once a lane, so that the number of its sessions bounds it;
// what waits for a session lies in its mailbox.
type Inbox[T any] struct {
	mu       sync.Mutex
	lanes    [lanes][]T
	sleeping atomic.Int32 // how deep the owner sleeps
	wake     chan struct{}
	rouse    func() // wakes the owner where it does not wait for wake; nil = it does
}

// How deep an owner sleeps.
const (
	awake  int32 = iota
	asleep       // everything wakes it
	naps         // it comes by itself within a slot; what can wait for that lets it sleep
)

// NewInbox makes an empty inbox.
func NewInbox[T any]() *Inbox[T] { return &Inbox[T]{wake: make(chan struct{}, 1)} }

// Post appends to a lane and wakes the owner if it sleeps.
func (b *Inbox[T]) Post(lane flow.Lane, it T) {
	b.mu.Lock()
	b.lanes[lane] = append(b.lanes[lane], it)
	b.mu.Unlock()
	b.Rouse()
}

// Leave appends to a lane what can wait for as long as a nap lasts, and wakes the owner
// from a deeper sleep.
func (b *Inbox[T]) Leave(lane flow.Lane, it T) {
	b.mu.Lock()
	b.lanes[lane] = append(b.lanes[lane], it)
	b.mu.Unlock()
	if b.sleeping.Load() == asleep {
		b.Rouse()
	}
}

// Rouse wakes the owner if it sleeps or naps.
func (b *Inbox[T]) Rouse() {
	if b.sleeping.Load() != awake && b.sleeping.Swap(awake) != awake {
		if b.rouse != nil {
			b.rouse()
			return
		}
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// Drain gives everything that was posted on a lane, in order, and takes the memory of the
// batch before for what will be. The owner calls it.
func (b *Inbox[T]) Drain(lane flow.Lane, before []T) []T {
	b.mu.Lock()
	batch := b.lanes[lane]
	b.lanes[lane] = before[:0]
	b.mu.Unlock()
	return batch
}

// Sleep marks the owner as asleep: from now on a Post or a Leave wakes it, by way of Wake.
// It says false when something is there already, and nothing is marked.
func (b *Inbox[T]) Sleep() bool { return b.rest(asleep) }

// Nap is Sleep for an owner that comes back within a slot: only a Post wakes it.
func (b *Inbox[T]) Nap() bool { return b.rest(naps) }

func (b *Inbox[T]) rest(how int32) bool {
	b.sleeping.Store(how)
	b.mu.Lock()
	waiting := 0
	for i := range b.lanes {
		waiting += len(b.lanes[i])
	}
	b.mu.Unlock()
	if waiting > 0 {
		b.sleeping.Store(awake)
	}
	return waiting == 0
}

// Wake is where a sleeping owner waits. Awake says that it woke for another reason.
func (b *Inbox[T]) Wake() <-chan struct{} { return b.wake }

// Asleep says that nobody has woken the owner since Sleep or Nap.
func (b *Inbox[T]) Asleep() bool { return b.sleeping.Load() != awake }

// Awake takes the mark of Sleep back.
func (b *Inbox[T]) Awake() { b.sleeping.Store(awake) }
