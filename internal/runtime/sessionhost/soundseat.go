// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
)

// seat is an instance of a node in the sound, with what it is lent. One that has failed keeps its
// own, for it may still be at work.
type seat struct {
	instance *nodehost.Instance
	settled  func() bool // nil = what it gives comes before its hook returns
	answered chan struct{}
	piece    [timebase.FrameSamples]int16
}

// sitter is where a seat stands: who gives it frames, takes what it gives, and goes on without it.
type sitter interface {
	pull(y *seat, ev *node.Event) bool
	emit(y *seat, ev *node.Event)
	failed(y *seat, f nodehost.Failure)
}

// soundSeat makes an instance of a node in the sound.
func (g *graph) soundSeat(id eventabi.NodeID, limit timebase.Span, at sitter) (*seat, error) {
	s := g.s
	n := s.settings.Graph.node(id)
	kind, err := s.settings.Kinds.Lookup(n.Type)
	if err != nil {
		return nil, err
	}
	made, err := kind.New(s.settings.Graph.Configs[id])
	if err != nil {
		return nil, err
	}
	y := &seat{answered: make(chan struct{}, 1)}
	if a, async := made.(interface{ Settled() bool }); async {
		y.settled = a.Settled
	}
	set := g.hosting(made, id, nil, func(ev *node.Event) { at.emit(y, ev) }, func(f nodehost.Failure) { at.failed(y, f) })
	set.Limits.Event, set.Spent = time.Duration(limit), nil // whoever gives it frames counts its time
	if x, waits := at.(interface{ hold(y *seat) func() }); waits {
		set.Hold = func() func() { return x.hold(y) }
	}
	if y.instance, err = nodehost.New(set); err != nil {
		return nil, err
	}
	y.instance.Feed(func(ev *node.Event) bool { return at.pull(y, ev) })
	return y, nil
}

// answer wakes whoever waits for the node.
func (y *seat) answer() {
	select {
	case y.answered <- struct{}{}:
	default:
	}
}

// await has virtual time stand still while a node outside of it works, as it does while a hook
// runs.
func (y *seat) await() {
	const look = time.Millisecond
	for end := time.Now().Add(node.DefaultEventHard); time.Now().Before(end) && !y.settled(); {
		select {
		case <-y.answered:
		case <-time.After(look):
		}
	}
}

// soundLimit is how long a frame may be with a node: its own budget, or half of what an edge may
// hold an item, so that a frame that was waited for in vain is still in time for whoever listens.
func (s *Settings) soundLimit(n *kernelgraph.Node) timebase.Span {
	ms := n.BudgetMS
	if ms == 0 {
		ms = s.Bootstrap.Settings.EdgeBudgetMS
		if ms == 0 {
			ms = turn.ProfileBudgets().EdgeBudgetMSDefault
		}
		ms = max(1, ms/2)
	}
	return timebase.MS(ms)
}

// detour puts the node that stands in for one that has failed in its place.
func (g *graph) detour(e *session.Detour) {
	if e.By == "" {
		return // the sound goes by already
	}
	take := func(to interface{ take(id eventabi.NodeID) }) {
		g.s.exec.Go(func() {
			if !g.isClosed() {
				to.take(e.By)
			}
		})
	}
	if g.sound != nil {
		for _, x := range g.sound.stages {
			if x.holds(e.Node) {
				take(x)
			}
		}
	}
	if g.spoken != nil {
		for _, x := range g.spoken.stages {
			if x.holds(e.Node) {
				take(x)
			}
		}
	}
}

// punctual is how a node in the sound keeps its time, and what is to be told of that.
type punctual struct {
	late bool // a run of frames that went on without it
	good int  // frames in a row that it gave back
	told toldLate
}

// toldLate is what is to be told of frames that went on without their node.
type toldLate struct {
	passed, misfits int64
	begun           bool // a run of them
	used            timebase.Span
}

// runEnds is how many frames in a row a node gives back in time until what it misses then is told
// again: a second's.
const runEnds = 50

// kept counts a frame that came back in time.
func (p *punctual) kept() {
	if p.good++; p.good >= runEnds {
		p.late = false
	}
}

// missed counts a frame that went on without the node, which had it for as long as that.
func (p *punctual) missed(used timebase.Span) {
	p.told.passed++
	p.good = 0
	if !p.late {
		p.late, p.told.begun, p.told.used = true, true, used
	}
}

// take gives what is to be told, once.
func (p *punctual) take() (told toldLate) {
	told, p.told = p.told, toldLate{}
	return told
}

// lateness tells of frames that went on without their node.
func (g *graph) lateness(id eventabi.NodeID, limit timebase.Span, told toldLate) {
	if told.passed > 0 {
		g.s.meter.count(id, "sound_passed", told.passed)
	}
	if told.misfits > 0 {
		g.s.meter.count(id, "sound_misfits", told.misfits)
	}
	if told.begun {
		g.s.post(&session.NodeSpent{Node: id, UsedMS: told.used.MS(), LimitMS: limit.MS()})
	}
}
