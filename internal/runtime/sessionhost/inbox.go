// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"
	"sync/atomic"
)

// Inbox is where any goroutine leaves things for one owner: the one lock that they
// share with it, held for an append or for a swap of two slices. What lies in it is
// bounded by what its producers may have under way (see the bounds of a session).
type Inbox[T any] struct {
	mu       sync.Mutex
	items    []T
	sleeping atomic.Bool
	wake     chan struct{}
}

// NewInbox makes an empty inbox.
func NewInbox[T any]() *Inbox[T] { return &Inbox[T]{wake: make(chan struct{}, 1)} }

// Post appends an item and wakes the owner if it sleeps.
func (b *Inbox[T]) Post(it T) {
	b.mu.Lock()
	b.items = append(b.items, it)
	b.mu.Unlock()
	b.Rouse()
}

// Rouse wakes the owner if it sleeps.
func (b *Inbox[T]) Rouse() {
	if b.sleeping.Load() && b.sleeping.CompareAndSwap(true, false) {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// Drain gives everything that was posted, in order, and takes the memory of the batch
// before for what will be. The owner calls it.
func (b *Inbox[T]) Drain(before []T) []T {
	b.mu.Lock()
	batch := b.items
	b.items = before[:0]
	b.mu.Unlock()
	return batch
}

// Sleep marks the owner as asleep: from now on a Post wakes it, by way of Wake. It says
// false when something is there already, and nothing is marked.
func (b *Inbox[T]) Sleep() bool {
	b.sleeping.Store(true)
	b.mu.Lock()
	busy := len(b.items) > 0
	b.mu.Unlock()
	if busy {
		b.sleeping.Store(false)
	}
	return !busy
}

// Wake is where a sleeping owner waits. Awake says that it woke for another reason.
func (b *Inbox[T]) Wake() <-chan struct{} { return b.wake }

// Awake takes the mark of Sleep back.
func (b *Inbox[T]) Awake() { b.sleeping.Store(false) }
