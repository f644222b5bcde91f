// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// identity stamps what the session accepts and emits, and knows what it has seen.
type identity struct {
	session  eventabi.SessionID
	pipeline eventabi.PipelineVersion
	tenant   string
	// transport is the kind of the transport, as a namespace has it.
	transport string
	sequence  eventabi.Sequence
	turns     int64 // candidate turns so far
	opened    int64 // accepted turns so far
	order     int64 // order of what happened in the conversation
	keys      dedupe
}

// stamp gives the next runtime sequence: one counter per session, never reused.
func (id *identity) stamp() { id.sequence++ }

func (id *identity) eventID() eventabi.EventID {
	return eventabi.EventID(numbered('e', int64(id.sequence)))
}

func (id *identity) nextTurn() eventabi.TurnID {
	id.turns++
	return eventabi.TurnID(numbered('t', id.turns))
}

// numbered makes a name of a letter and a number, with one allocation.
func numbered(letter byte, n int64) string {
	var room [21]byte
	return string(strconv.AppendInt(append(room[:0], letter), n, 10))
}

func (id *identity) nextOrder() int64 {
	id.order++
	return id.order
}

// dedupe remembers idempotency keys for a window of time and of number, whichever is
// smaller (event-abi section 8).
type dedupe struct {
	limit int
	seen  map[eventabi.IdempotencyKey]struct{}
	ring  []seenKey // oldest first
}

type seenKey struct {
	key eventabi.IdempotencyKey
	at  timebase.Instant
}

// first says whether a key is new, and remembers it. The empty key is always new.
func (d *dedupe) first(key eventabi.IdempotencyKey, at timebase.Instant) bool {
	if key == "" {
		return true
	}
	n := 0
	for n < len(d.ring) && at.Sub(d.ring[n].at) >= dedupeWindow {
		delete(d.seen, d.ring[n].key)
		n++
	}
	if _, ok := d.seen[key]; ok {
		d.ring = append(d.ring[:0], d.ring[n:]...)
		return false
	}
	if len(d.ring)-n >= d.limit {
		delete(d.seen, d.ring[n].key)
		n++
	}
	if n > 0 {
		d.ring = append(d.ring[:0], d.ring[n:]...)
	}
	if d.seen == nil {
		d.seen = map[eventabi.IdempotencyKey]struct{}{}
	}
	d.seen[key] = struct{}{}
	d.ring = append(d.ring, seenKey{key: key, at: at})
	return true
}

// duplicate swallows a repeated delivery and counts it; it never repeats an effect.
func (m *Machine) duplicate(key eventabi.IdempotencyKey, in Input) bool {
	if len(key) > eventabi.MaxIDLength { // what is remembered is bounded
		m.refuse("idempotency_key_too_long", in.kind(), "")
		return true
	}
	if m.identity.keys.first(key, m.now) {
		return false
	}
	m.counters.Deduped++
	m.refuse("duplicate", in.kind(), "")
	return true
}
