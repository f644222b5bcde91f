// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/connection"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
)

// soundPath takes the caller's sound through the nodes that the session's graph has ahead of
// those who listen. Each reads one ring and writes another, at the same positions:
//
//	transport -> ring -> stage -> ring -> endpointer
//	                        \--> stage -> ring -> recogniser
//
// The kernel sees none of it but the positions of the listeners, and decides what stands in for a
// node that has failed (session.Detour). A session without such nodes has no soundPath.
type soundPath struct {
	s        *Session
	stages   []*stage         // from the caller on: each behind the one that it reads
	ear, stt *connection.Ring // what the listeners read
}

// newSoundPath lays the way of the caller's sound, nil where nothing stands in it.
func newSoundPath(s *Session) *soundPath {
	g := s.settings.Graph
	if g == nil {
		return nil
	}
	in := session.SoundNodes(&g.Definition)
	if len(in) == 0 {
		return nil
	}
	p := &soundPath{s: s}
	p.lay(in, "", &s.ring)
	source := func(role kernelgraph.Role) *connection.Ring {
		for i := range g.Definition.Edges {
			e := &g.Definition.Edges[i]
			if to := g.node(e.To); to == nil || to.Role != role {
				continue
			}
			for _, x := range p.stages {
				if x.id == e.From {
					return &x.out
				}
			}
			if from := g.node(e.From); from != nil && from.Role == kernelgraph.RoleCaller {
				return &s.ring
			}
		}
		return nil
	}
	p.stt, p.ear = source(kernelgraph.RoleRecogniser), source(kernelgraph.RoleDetector)
	if p.ear == nil {
		p.ear = p.stt // without a vad node of its own it hears what the recogniser hears
	}
	for _, x := range p.stages {
		x.feedsEar, x.feedsSTT = p.ear == &x.out, p.stt == &x.out
	}
	return p
}

// lay makes the stages behind a node, or behind the caller ("").
func (p *soundPath) lay(in []eventabi.NodeID, behind eventabi.NodeID, from *connection.Ring) (made []*stage) {
	g := p.s.settings.Graph
	for i := range g.Definition.Edges {
		e := &g.Definition.Edges[i]
		source, n := g.node(e.From), g.node(e.To)
		if source == nil || n == nil || n.FallbackOf != "" || !slices.Contains(in, n.ID) ||
			slices.ContainsFunc(p.stages, func(x *stage) bool { return x.id == n.ID }) {
			continue
		}
		if e.From != behind && (behind != "" || source.Role != kernelgraph.RoleCaller) {
			continue
		}
		x := &stage{s: p.s, id: n.ID, now: n.ID, from: from, limit: p.s.settings.soundLimit(n), silent: slices.Contains(g.Silences, n.ID)}
		p.stages = append(p.stages, x)
		made = append(made, x)
	}
	for _, x := range made {
		x.next = p.lay(in, x.id, &x.out)
	}
	return made
}

// start hosts the nodes, ahead of the first sound: the first frame does not wait for what a node
// needs to get ready.
func (p *soundPath) start() {
	if p == nil {
		return
	}
	for _, x := range p.stages {
		x.given, x.back = x.from.Listen(0), x.from.Listen(0)
		x.take(x.id)
	}
}

// came has the nodes take what has come from the caller. Whoever says it goes on.
func (p *soundPath) came() {
	for _, x := range p.stages {
		if x.from == &p.s.ring {
			x.arrived()
			x.kick()
		}
	}
}

// heard is came on the session's owner, who lends the nodes that are inline its goroutine. The
// listeners are the owner's to wake.
func (p *soundPath) heard() {
	for _, x := range p.stages {
		x.here.Store(true)
		x.arrived()
		if seat := x.seated(); seat != nil {
			seat.instance.KickHere()
		}
		x.here.Store(false)
	}
}

func (p *soundPath) close() {
	if p == nil {
		return
	}
	for _, x := range p.stages {
		x.close()
	}
}

// lost counts the samples that nodes in the sound were too slow for.
func (p *soundPath) lost() (n timebase.Samples) {
	if p == nil {
		return 0
	}
	for _, x := range p.stages {
		n += x.out.Lost()
	}
	return n
}

// heardFrom gives the rings that the endpointer and the recognisers read.
func (g *graph) heardFrom() (ear, stt *connection.Ring) {
	if g.sound == nil {
		return &g.s.ring, &g.s.ring
	}
	return g.sound.ear, g.sound.stt
}

// take hosts a node in the stage. One that cannot be made has failed.
func (x *stage) take(id eventabi.NodeID) {
	g := x.s.graph
	seat, err := g.soundSeat(id, x.limit, x)
	if err != nil {
		x.mu.Lock()
		x.now = id
		x.mu.Unlock()
		g.nodeFailed(nodehost.Failure{Node: id, Reason: nodehost.ReasonError, Hook: "init", Detail: err.Error()})
		return
	}
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		seat.instance.Stop()
		return
	}
	x.now, x.punctual, x.silent = id, punctual{}, slices.Contains(g.s.settings.Graph.Silences, id)
	x.given.Skip(x.at)
	x.current.Store(seat)
	x.mu.Unlock()
	seat.instance.Warm()
}
