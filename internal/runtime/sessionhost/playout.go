// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// playouts are what the client has said of its playback and egress has not taken yet: the
// latest of each turn.
type playouts struct {
	waiting atomic.Bool
	dropped atomic.Int64

	mu   sync.Mutex
	list []transport.Playout
	back []transport.Playout // of the owner: the other list
}

// maxPlayouts bounds the turns of which something waits; more than egress remembers is
// nothing that it could use.
const maxPlayouts = 16

// Played says how far the caller has heard a turn. Whatever comes until the owner looks is
// one look, a slot later at most.
func (i *ingress) Played(p transport.Playout) {
	s := (*Session)(i)
	if !s.taken() {
		return
	}
	if !s.acknowledged() {
		s.playouts.dropped.Add(1)
		return
	}
	if s.playouts.put(p) {
		s.driver.post(s, item{kind: kindFrame, ask: func() {}})
	}
}

// acknowledged says that the client tells how far it has played.
func (s *Session) acknowledged() bool { return s.acks }

// put keeps a report, and says whether the owner is to be told.
func (q *playouts) put(p transport.Playout) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.list {
		old := &q.list[i]
		if old.Turn != p.Turn || old.Generation != p.Generation {
			continue
		}
		if !old.Final && p.Position >= old.Position {
			old.Position, old.Final = p.Position, p.Final
			return false
		}
		break // egress counts what contradicts itself
	}
	if len(q.list) == maxPlayouts {
		q.dropped.Add(1)
		return false
	}
	q.list = append(q.list, p)
	return !q.waiting.Swap(true)
}

// acknowledge hands egress what the client has said. The owner calls it.
func (s *Session) acknowledge(at timebase.Instant) {
	q := &s.playouts
	if !q.waiting.Load() {
		return
	}
	q.mu.Lock()
	q.waiting.Store(false)
	list := q.list
	q.list, q.back = q.back[:0], list
	q.mu.Unlock()
	for _, p := range list {
		s.egress.Acknowledge(at, p)
	}
	s.deliveries()
}

// listening has egress know whether there is somebody who listens, before the kernel
// decides on it: what was heard when a caller hung up is part of that decision.
func (s *Session) listening(at timebase.Instant) {
	if !s.acknowledged() {
		return
	}
	for _, in := range s.pending {
		link, ok := in.(*session.Link)
		if !ok {
			continue
		}
		switch link.State {
		case session.LinkLost, session.LinkGone:
			s.egress.Away()
		case session.LinkResumed:
			s.egress.Back(at)
		case session.LinkLeft:
			s.egress.Left(at)
		}
	}
	s.deliveries()
}
