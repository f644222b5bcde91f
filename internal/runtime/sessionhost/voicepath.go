// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
)

// voicePath takes what synthesisers say through the nodes that the session's graph has between
// them and the speaker, before the kernel hears of it:
//
//	synthesiser --chunk--> frame by frame: stage -> stage --chunk--> content store, kernel
//
// A synthesiser is ahead of the speaker, so who brings a chunk waits for the nodes, and no longer
// than each may take. The kernel decides what stands in for a node that has failed
// (session.Detour). A session without such nodes has no voicePath.
type voicePath struct {
	stages []*voiceStage
	first  map[eventabi.NodeID]*voiceStage // by synthesiser
}

// newVoicePath lays the way of the agent's sound, nil where nothing stands in it.
func newVoicePath(s *Session) *voicePath {
	g := s.settings.Graph
	if g == nil {
		return nil
	}
	in := session.VoiceNodes(&g.Definition)
	if len(in) == 0 {
		return nil
	}
	p := &voicePath{first: map[eventabi.NodeID]*voiceStage{}}
	for _, id := range in {
		if n := g.node(id); n.FallbackOf == "" {
			p.stages = append(p.stages, &voiceStage{s: s, id: id, now: id, limit: s.settings.soundLimit(n), silent: slices.Contains(g.Silences, id)})
		}
	}
	for i := range g.Definition.Edges {
		e := &g.Definition.Edges[i]
		to := p.stage(e.To)
		switch from := p.stage(e.From); {
		case to == nil:
		case from != nil:
			from.next = to
		case g.node(e.From).Role == kernelgraph.RoleSynthesiser:
			p.first[e.From] = to
		}
	}
	return p
}

func (p *voicePath) stage(id eventabi.NodeID) *voiceStage {
	if i := slices.IndexFunc(p.stages, func(x *voiceStage) bool { return x.id == id }); i >= 0 {
		return p.stages[i]
	}
	return nil
}

// start hosts the nodes, ahead of the first sound.
func (p *voicePath) start() {
	if p == nil {
		return
	}
	for _, x := range p.stages {
		x.take(x.id)
	}
}

// through takes a chunk of a synthesiser through the nodes, and gives it as it goes on: as long as
// it came. What came is the synthesiser's, and stays as it is.
func (p *voicePath) through(from eventabi.NodeID, call eventabi.InvocationID, pcm []int16) []int16 {
	if p == nil || p.first[from] == nil {
		return pcm
	}
	pcm = slices.Clone(pcm)
	for x := p.first[from]; x != nil; x = x.next {
		x.through(call, pcm)
	}
	return pcm
}

// bargeIn tells the nodes that the caller cut in. They are not cancelled with a turn: they live
// on.
func (p *voicePath) bargeIn() {
	if p == nil {
		return
	}
	for _, x := range p.stages {
		if y := x.current.Load(); y != nil {
			y.instance.BargeIn()
		}
	}
}

func (p *voicePath) close() {
	if p == nil {
		return
	}
	for _, x := range p.stages {
		x.close()
	}
}

// voiceStage is one node in the agent's sound. A frame is given to it, waited for, and goes on:
//
//		waits --pull--> with the node --emit--> as the node gave it
//		  |                  |
//		  +--- its time is over, the node has failed or kept it back --> as it came
//
//	 1. One frame is with the node, or none. While it has one whose time was over, those that
//	    follow go on at once: a node that is too slow delays a chunk once.
//	 2. What goes on is as long as what came.
//	 3. In the steady state a frame costs no allocation, and a chunk that of its copy.
type voiceStage struct {
	s     *Session
	id    eventabi.NodeID // of the graph; now may be what stands in for it
	limit timebase.Span
	next  *voiceStage // nil = the speaker

	current atomic.Pointer[seat]
	queue   sync.Mutex // held by who brings a chunk
	timer   *time.Timer

	mu       sync.Mutex
	now      eventabi.NodeID
	silent   bool // what it does not give back is silence
	closed   bool
	at       timebase.Samples // of the next frame, counted from the begin of the session
	call     eventabi.InvocationID
	frame    []int16 // on its way through the node, in place; nil = none
	offered  bool    // it waits for the node to take it
	kept     bool    // its hook has returned, and gave nothing
	held     int     // hooks that have returned and answer later
	stuck    bool    // the node is still at a frame that went on without it
	punctual punctual
}

// through takes a chunk through the node, frame by frame.
func (x *voiceStage) through(call eventabi.InvocationID, pcm []int16) {
	x.queue.Lock()
	defer x.queue.Unlock()
	for len(pcm) > 0 {
		n := min(len(pcm), timebase.FrameSamples)
		x.pass(call, pcm[:n:n])
		pcm = pcm[n:]
	}
	x.mu.Lock()
	told, id := x.punctual.take(), x.now
	x.mu.Unlock()
	x.s.graph.lateness(id, x.limit, told)
}

// pass takes a frame through the node.
func (x *voiceStage) pass(call eventabi.InvocationID, frame []int16) {
	y := x.current.Load()
	began := x.s.exec.Now()
	x.mu.Lock()
	if y != nil && x.stuck && y.settled != nil && y.settled() {
		x.stuck = false
	}
	if y == nil || x.closed || x.stuck {
		if y != nil && x.stuck {
			x.punctual.missed(x.limit)
		}
		x.goOn(frame)
		x.mu.Unlock()
		return
	}
	x.call, x.frame, x.offered, x.kept = call, frame, true, false
	x.mu.Unlock()
	over := x.work(y)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.frame == nil { // it came back
		x.punctual.kept()
		x.at += timebase.Samples(len(frame))
		return
	}
	if x.current.Load() == y {
		x.stuck = over
		x.punctual.missed(max(x.limit, x.s.exec.Now().Sub(began)))
	}
	x.frame, x.offered = nil, false
	x.goOn(frame)
}

// goOn has a frame go on without the node.
func (x *voiceStage) goOn(frame []int16) {
	if x.silent {
		clear(frame)
	}
	x.at += timebase.Samples(len(frame))
}

// work has the node work on the frame, and waits until it has; over says that its time is.
func (x *voiceStage) work(y *seat) (over bool) {
	if x.s.exec.Virtual() {
		var ev node.Event
		if x.pull(y, &ev) && y.instance.Call(&ev) && y.settled != nil {
			y.await()
		}
		return false
	}
	select {
	case <-y.answered: // of a frame before
	default:
	}
	y.instance.KickHere()
	if x.timer == nil {
		x.timer = time.NewTimer(time.Duration(x.limit))
	} else {
		x.timer.Reset(time.Duration(x.limit))
	}
	defer x.timer.Stop()
	for x.waits(y) {
		select {
		case <-y.answered:
		case <-y.instance.Dead():
			return false
		case <-x.timer.C:
			return true
		}
	}
	return false
}

// waits says that the node has the frame, or is to take it.
func (x *voiceStage) waits(y *seat) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.frame != nil && !x.kept && x.current.Load() == y
}

// pull gives the node its frame. That it asks again says that its hook has returned.
func (x *voiceStage) pull(y *seat, ev *node.Event) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.current.Load() != y || x.closed {
		return false
	}
	if x.held == 0 && (y.settled == nil || y.settled()) {
		x.stuck = false
		if x.frame != nil && !x.offered {
			x.kept = true
			y.answer()
		}
	}
	if !x.offered {
		return false
	}
	x.offered = false
	n := copy(y.piece[:], x.frame)
	audioEvent(ev, x.at, y.piece[:n])
	ev.Invocation = x.call
	return true
}

// hold keeps the frame with the node after its hook has returned.
func (x *voiceStage) hold(y *seat) (done func()) {
	x.mu.Lock()
	x.held++
	x.mu.Unlock()
	return sync.OnceFunc(func() {
		x.mu.Lock()
		x.held = max(0, x.held-1)
		x.mu.Unlock()
		y.instance.Kick() // which looks whether the frame came back
	})
}

// emit takes what the node gives: the frame that it has. Anything else is counted.
func (x *voiceStage) emit(y *seat, ev *node.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.current.Load() != y || x.closed {
		return
	}
	mine := ev.Type == node.TypeAudioChunk && x.frame != nil && !x.offered && (timebase.Samples(ev.Sample) == x.at || ev.Sample == 0)
	switch {
	case ev.Type == node.TypeAudioChunk && !mine: // it has gone on already
		x.stuck = x.stuck && x.held > 0
		return
	case !mine || len(ev.PCM) != len(x.frame):
		x.punctual.told.misfits++
		return
	}
	copy(x.frame, ev.PCM)
	x.frame = nil
	y.answer()
}

// failed lets the sound go by a node that has failed, at once.
func (x *voiceStage) failed(y *seat, f nodehost.Failure) {
	x.mu.Lock()
	if x.current.CompareAndSwap(y, nil) {
		x.stuck, x.held = false, 0
	}
	x.mu.Unlock()
	y.answer()
	x.s.graph.nodeFailed(f)
}

// holds says that a node works in this stage, or did last.
func (x *voiceStage) holds(id eventabi.NodeID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.now == id
}

// take hosts a node in the stage. One that cannot be made has failed.
func (x *voiceStage) take(id eventabi.NodeID) {
	g := x.s.graph
	y, err := g.soundSeat(id, x.limit, x)
	x.mu.Lock()
	x.now = id
	if err != nil || x.closed {
		x.mu.Unlock()
		if err != nil {
			g.nodeFailed(nodehost.Failure{Node: id, Reason: nodehost.ReasonError, Hook: "init", Detail: err.Error()})
		} else {
			y.instance.Stop()
		}
		return
	}
	x.punctual, x.stuck, x.held = punctual{}, false, 0
	x.silent = slices.Contains(g.s.settings.Graph.Silences, id)
	x.current.Store(y)
	x.mu.Unlock()
	y.instance.Warm()
}

func (x *voiceStage) close() {
	x.mu.Lock()
	x.closed = true
	y := x.current.Load()
	x.mu.Unlock()
	if y != nil {
		y.answer()
		y.instance.Stop()
	}
}
