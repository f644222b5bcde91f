// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"math/bits"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// wheel is a shard's one timer: a ring of slots of a millisecond, each with the
// sessions that are due in it. What is due later than a turn of the wheel stays in its
// slot until its turn comes. Sessions begin to speak at different instants, so their
// ticks spread over the slots by themselves. Setting and taking back cost no allocation.
type wheel struct {
	slots [wheelSlots]*wheelNode
	taken [wheelSlots / 64]uint64 // a bit for each slot that holds something
	at    int64                   // slots up to here were turned
	count int
}

const (
	wheelSlots = 1024
	wheelSlot  = timebase.Millisecond
)

// wheelNode is a session's place in the wheel.
type wheelNode struct {
	session    *Session
	prev, next *wheelNode
	due        timebase.Instant // on the shard's clock
	slot       int
	set        bool
}

// slotOf is the first slot that begins at or after an instant.
func slotOf(at timebase.Instant) int64 {
	return (int64(at) + int64(wheelSlot) - 1) / int64(wheelSlot)
}

// slotAfter is when the next slot begins.
func slotAfter(at timebase.Instant) timebase.Instant {
	return timebase.Instant((int64(at)/int64(wheelSlot) + 1) * int64(wheelSlot))
}

// arm puts a node at an instant, instead of where it was. Never takes it out.
func (w *wheel) arm(n *wheelNode, at timebase.Instant) {
	if n.set {
		if n.due == at {
			return
		}
		w.remove(n)
	}
	if at == timebase.Never {
		return
	}
	n.due, n.set = at, true
	n.slot = int(max(slotOf(at), w.at+1) % wheelSlots)
	n.prev, n.next = nil, w.slots[n.slot]
	if n.next != nil {
		n.next.prev = n
	}
	w.slots[n.slot] = n
	w.taken[n.slot/64] |= 1 << (n.slot % 64)
	w.count++
}

func (w *wheel) remove(n *wheelNode) {
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		w.slots[n.slot] = n.next
		if n.next == nil {
			w.taken[n.slot/64] &^= 1 << (n.slot % 64)
		}
	}
	if n.next != nil {
		n.next.prev = n.prev
	}
	n.prev, n.next, n.set = nil, nil, false
	w.count--
}

// turn takes out what is due and hands it over, slot by slot.
func (w *wheel) turn(now timebase.Instant, due func(s *Session)) {
	last := int64(now) / int64(wheelSlot)
	if last-w.at > wheelSlots {
		w.at = last - wheelSlots
	}
	for w.at < last {
		w.at++
		if w.count == 0 {
			w.at = last
			return
		}
		for n := w.slots[w.at%wheelSlots]; n != nil; {
			next := n.next
			if n.due <= now {
				w.remove(n)
				due(n.session)
			}
			n = next
		}
	}
}

// next is when the wheel wants to be turned, at the latest; Never when it is empty.
func (w *wheel) next() timebase.Instant {
	if w.count == 0 {
		return timebase.Never
	}
	from := int((w.at + 1) % wheelSlots)
	for step := 0; step < wheelSlots; {
		slot := (from + step) % wheelSlots
		if word := w.taken[slot/64] >> (slot % 64); word != 0 {
			step += bits.TrailingZeros64(word)
			return timebase.Instant((w.at + 1 + int64(step)) * int64(wheelSlot))
		}
		step += 64 - slot%64
	}
	return timebase.Never
}

// crowd counts the sessions that had data, by slots.
type crowd struct {
	slot        int64
	now, before int // in this slot and in the one before
}

// crowded is how many sessions with data in two slots let an owner nap after that: frames
// come so often then that it would be woken in each slot anyway, and a wake-up costs more
// than what is to be done.
const crowded = 3

func (c *crowd) turn(now timebase.Instant) {
	slot := int64(now) / int64(wheelSlot)
	switch slot {
	case c.slot:
		return
	case c.slot + 1:
		c.before = c.now
	default:
		c.before = 0
	}
	c.slot, c.now = slot, 0
}

func (c *crowd) dense() bool { return c.now+c.before >= crowded }
