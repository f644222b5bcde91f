// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

const (
	// guardEvery is how often it is looked whether an owner is still in the turn that it was
	// in before.
	guardEvery = 10 * time.Millisecond
	// guardLooks is how many looks in a row must have come in time and found it there: only
	// then is it stuck, for 20 to 30 ms, and not waiting for a processor like everybody.
	guardLooks = 2
	// exileFirst and exileLongest are how many turns a session that held its owner up has off
	// the owner, on a goroutine of its own: a second of frames, and four times as many each
	// further time.
	exileFirst, exileLongest = 50, 50 << 8
)

// lookout looks after an owner while it is awake.
type lookout struct {
	timer *time.Timer // nil = nobody looks
	armed bool
	seen  int64            // the owner's count of turns when it was looked last
	at    timebase.Instant // when that was
	looks int              // that found the same
}

// begin has the lookout look, if it does not.
func (g *lookout) begin() {
	if g.timer != nil && !g.armed {
		g.armed, g.seen = true, -1
		g.timer.Reset(guardEvery)
	}
}

// end has it look no more.
func (g *lookout) end() {
	if g.timer != nil {
		g.timer.Stop()
		g.armed = false
	}
}

// stuck takes a look.
func (g *lookout) stuck(now timebase.Instant, turns int64) bool {
	late := now.Sub(g.at) > timebase.Span(guardEvery)*3/2
	g.at = now
	if late || turns != g.seen {
		g.seen, g.looks = turns, 0
		return false
	}
	g.looks++
	return g.looks >= guardLooks
}

// launch starts the owner, and who looks after it.
func (h *shard) launch() {
	h.guard.timer = time.AfterFunc(time.Hour, h.relieve)
	h.guard.timer.Stop()
	if h.alarm = newAlarm(); h.alarm != nil {
		h.inbox.rouse = h.alarm.ring
	}
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
	if !h.guard.stuck(h.now(), h.attends) {
		return
	}
	s.banish()
	h.stalls.Add(1)
	h.current = nil
	h.term++
	term := h.term
	h.crew.Go(func() { h.run(term) })
}

// banish has a session off the owner for a while. The shard's lock is held.
func (s *Session) banish() {
	s.sentence = min(max(4*s.sentence, exileFirst), exileLongest)
	s.exile = s.sentence
	s.counts.stalls.Add(1)
}

// alone gives a session its turn on a goroutine of its own. There is one at a time: who is
// busy is not served. One that is slow here as well stays here.
func (h *shard) alone(s *Session) {
	s.busy = true
	h.crew.Go(func() {
		began := h.now()
		s.turn(began - s.born)
		slow := h.now().Sub(began) >= timebase.Span(guardEvery)
		h.mu.Lock()
		if !slow {
			s.exile--
		}
		h.settled(s)
		h.mu.Unlock()
		h.inbox.Rouse()
	})
}
