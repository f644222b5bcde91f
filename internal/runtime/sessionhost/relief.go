// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

const (
	// guardEvery is how often it is looked whether an owner is still with the session it was
	// with before: one that is twice is stuck, for 10 to 20 ms.
	guardEvery = 10 * time.Millisecond
	// exileTurns is how many turns a session that held its owner up has off the owner, on a
	// goroutine of its own: 10 s of frames. Each further delay begins them anew.
	exileTurns = 500
)

// lookout looks after an owner while it is awake.
type lookout struct {
	timer *time.Timer // nil = nobody looks
	armed bool
	seen  int64 // the owner's count of turns when it was looked last
}

// begin has the guard look, if it does not.
func (g *lookout) begin() {
	if g.timer != nil && !g.armed {
		g.armed, g.seen = true, -1
		g.timer.Reset(guardEvery)
	}
}

// launch starts the owner, and who looks after it.
func (h *shard) launch() {
	h.guard.timer = time.AfterFunc(time.Hour, h.relieve)
	h.guard.timer.Stop()
	h.crew.Go(func() { h.run(0) })
}

// relieve looks after the owner. What is called from a session's turn (a sink, a recorder,
// an observer) is to return at once; where it does not, the owner is left to that session
// alone, and another goroutine goes on with all the others. The session may go on as well,
// when it comes back, but for a while not on the owner: whoever waits for it twice would
// have learnt nothing.
func (h *shard) relieve() {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.current
	if s == nil { // it sleeps, or is between two sessions
		h.guard.armed = false
		return
	}
	h.guard.timer.Reset(guardEvery)
	if h.attends != h.guard.seen {
		h.guard.seen = h.attends
		return
	}
	s.exile = exileTurns
	s.counts.stalls.Add(1)
	h.stalls.Add(1)
	h.current = nil
	h.term++
	term := h.term
	h.crew.Go(func() { h.run(term) })
}

// alone gives a session its turn on a goroutine of its own. There is one at a time: who is
// busy is not served.
func (h *shard) alone(s *Session) {
	s.busy = true
	h.crew.Go(func() {
		began := h.now()
		s.attend(began - s.born)
		late := h.now().Sub(began) >= timebase.Span(guardEvery)
		h.mu.Lock()
		if late {
			s.exile = exileTurns
			s.counts.stalls.Add(1)
		} else {
			s.exile--
		}
		h.settled(s)
		h.mu.Unlock()
		h.inbox.Rouse()
	})
}
