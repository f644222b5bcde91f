// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// The protocol has one word of what was heard, truncate, which comes when a client has
// stopped. Until then a client is taken to play what it was sent, Config.Behind later: its
// buffer and its network. While the caller speaks over an answer, and nobody knows yet
// whether that interrupts it, nothing is assumed. So the session waits for the last word of
// a client that was interrupted, and takes it when it is not behind what was assumed.

// playout is what a client is taken to play.
type playout struct {
	marks []mark // what was sent and is not assumed to be heard, oldest first
	timer *time.Timer
}

// mark is a frame that was sent.
type mark struct {
	at         time.Time
	turn       eventabi.TurnID
	generation uint32
	position   int64 // behind it
}

const (
	// hearEvery is how often the session is told; a frame more or less is no matter.
	hearEvery = 100 * time.Millisecond
	// maxMarks bounds what is remembered: more than Behind can be.
	maxMarks = 256
	// doubtMost is how long nothing is assumed: the session takes a client that says nothing
	// for two seconds for one that cannot.
	doubtMost = 1500 * time.Millisecond
)

// sent notes a frame; the lock is held.
func (c *conn) sent(f *transport.Frame, now time.Time) {
	p := &c.playout
	if len(p.marks) == 0 {
		p.timer.Reset(c.config.Behind)
	}
	m := mark{now, f.Turn, f.Generation, f.Position + int64(f.Voiced)}
	if n := len(p.marks); n >= maxMarks {
		p.marks[n-1] = m // a burst: what lies between is no matter either
		return
	}
	p.marks = append(p.marks, m)
}

// hears tells the session what the client is taken to have heard by now.
func (c *conn) hears() {
	var heard []transport.Playout
	now := time.Now()
	c.mu.Lock()
	if c.doubtful(now) {
		c.playout.timer.Reset(hearEvery)
	} else {
		heard = c.playout.heard(now, c.config.Behind)
	}
	c.mu.Unlock()
	for _, p := range heard {
		c.Tell(func(in transport.Ingress) { in.Played(p) })
	}
}

// doubtful says that the caller speaks over an answer, and may be interrupting it; the lock
// is held.
func (c *conn) doubtful(now time.Time) bool {
	u := c.speech.current
	return u != nil && u.voiced && !u.announced && c.active != nil && now.Sub(u.began) < doubtMost
}

// heard takes out what was sent so long ago, the latest place of each turn.
func (p *playout) heard(now time.Time, behind time.Duration) (list []transport.Playout) {
	n := 0
	for ; n < len(p.marks) && now.Sub(p.marks[n].at) >= behind; n++ {
		m := &p.marks[n]
		if last := len(list) - 1; last >= 0 && list[last].Turn == m.turn && list[last].Generation == m.generation {
			list[last].Position = m.position
			continue
		}
		list = append(list, transport.Playout{Turn: m.turn, Generation: m.generation, Position: m.position})
	}
	p.marks = append(p.marks[:0], p.marks[n:]...)
	if len(p.marks) > 0 {
		p.timer.Reset(max(hearEvery, behind-now.Sub(p.marks[0].at)))
	}
	return list
}

// stopped forgets what was sent of a turn that was fenced: the client has stopped, and will
// say where. All of it when the session is over.
func (p *playout) stopped(f transport.Fence) {
	kept := p.marks[:0]
	for _, m := range p.marks {
		if !f.Session && m.turn != f.Turn {
			kept = append(kept, m)
		}
	}
	p.marks = kept
}
