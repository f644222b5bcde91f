// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/connection"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
)

// stage is one node in the caller's sound, between the ring that it reads and the ring that it
// writes.
//
//		came --> waits in its ring --> with the node --> given back in time: what it gave
//		              |                     |
//		              +--- its time is over, or there is no node ---> goes on as it came
//
//	 1. Each sample goes on once, in its order, at its position.
//	 2. A frame's time counts from when it came to the stage, whether the node has it or not: a
//	    node that is too slow gets those that it has time for.
//	 3. What a node gives is a frame where it gives as many samples at the position of one that it
//	    has. Anything else is counted, and the frame goes on as it came.
//	 4. No more than maxFlight frames are with a node.
//	 5. In the steady state a frame costs no allocation here.
type stage struct {
	s                  *Session
	id                 eventabi.NodeID // of the graph; now may be what stands in for it
	limit              timebase.Span
	from               *connection.Ring
	out                connection.Ring
	next               []*stage
	feedsEar, feedsSTT bool

	here    atomic.Bool // the owner is at it, and wakes those behind it afterwards
	current atomic.Pointer[seat]

	mu          sync.Mutex
	now         eventabi.NodeID
	silent      bool               // what it does not give back is silence
	given, back *connection.Reader // up to where the node has frames; where frames are looked up again
	at          timebase.Samples   // up to where sound has gone on
	flight      [maxFlight]flown   // with the node, the oldest first
	flying      int
	log         [maxArrivals]arrival // of sound that has not gone on, the oldest first
	logged      int
	punctual    punctual
	timer       *time.Timer
	armed       bool
	moved       bool // sound went on since those behind were woken
	closed      bool
	old         [timebase.FrameSamples]int16
}

// flown is a frame that the node has.
type flown struct {
	at timebase.Samples
	n  int
}

// arrival says when sound came to a stage, up to a position.
type arrival struct {
	end timebase.Samples
	at  timebase.Instant
}

const (
	maxFlight   = 8
	maxArrivals = 64
)

// seated is the node's instance, nil when the sound goes by.
func (x *stage) seated() *seat { return x.current.Load() }

// holds says that a node works in this stage, or did last.
func (x *stage) holds(id eventabi.NodeID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.now == id
}

func (x *stage) kick() {
	if seat := x.seated(); seat != nil {
		seat.instance.Kick()
	}
}

// arrived notes that sound may have come.
func (x *stage) arrived() {
	head, now := x.from.Head(), x.s.exec.Now()
	x.mu.Lock()
	if n := x.logged; head > x.at && (n == 0 || x.log[n-1].end < head) {
		if n == maxArrivals { // what comes now counts as older than it is
			x.log[n-1].end = head
		} else {
			x.log[n] = arrival{head, now}
			x.logged++
		}
	}
	x.expire(now)
	x.arm(now)
	x.unlock()
}

// unlock lets go of the stage, tells what there is to tell, and wakes those behind it.
func (x *stage) unlock() {
	told, moved, id := x.punctual.take(), x.moved, x.now
	x.moved = false
	x.mu.Unlock()
	x.s.graph.lateness(id, x.limit, told)
	if moved && !x.here.Load() {
		x.wake()
	}
}

// wake has those behind the stage look for sound.
func (x *stage) wake() {
	for _, y := range x.next {
		y.arrived()
		y.kick()
	}
	g := x.s.graph
	if ear := g.ear.Load(); x.feedsEar && ear != nil {
		ear.Kick()
	}
	if x.feedsSTT {
		for _, l := range *g.listening.Load() {
			l.instance.Kick()
		}
	}
}

// pull gives the node its next frame.
func (x *stage) pull(y *seat, ev *node.Event) bool {
	virtual := x.s.exec.Virtual()
	if virtual && y.settled != nil {
		y.await()
	}
	x.mu.Lock()
	defer x.unlock()
	if x.current.Load() != y || x.closed {
		return false
	}
	now := x.s.exec.Now()
	x.expire(now)
	if x.flying == maxFlight {
		return false
	}
	n, at := x.given.Read(y.piece[:], -1)
	if n == 0 {
		if virtual {
			x.arm(now)
		}
		return false
	}
	x.flight[x.flying] = flown{at, n}
	x.flying++
	return audioEvent(ev, at, y.piece[:n])
}

// emit takes what the node gives.
func (x *stage) emit(y *seat, ev *node.Event) {
	x.mu.Lock()
	if x.current.Load() != y || x.closed {
		x.mu.Unlock()
		return
	}
	virtual := x.s.exec.Virtual() && y.settled != nil
	full := x.flying == maxFlight
	switch k := x.find(ev); {
	case ev.Type != node.TypeAudioChunk:
		x.punctual.told.misfits++
	case k < 0: // it has gone on already
	default:
		for range k { // the node keeps these back, for what it has of later ones is there
			x.missed(x.s.exec.Now())
			x.pass(x.land())
		}
		f := x.land()
		if len(ev.PCM) == f.n {
			x.put(f.at, ev.PCM)
			x.back.Skip(x.at)
			x.punctual.kept()
		} else {
			x.punctual.told.misfits++
			x.pass(f)
		}
	}
	if virtual { // on a goroutine that is not virtual time's: who pulls wakes those behind
		x.mu.Unlock()
		y.answer()
		return
	}
	x.unlock()
	if full {
		y.instance.Kick()
	}
}

// find gives the frame that an event is for, of those that the node has; negative = none. One
// that says no position is for the oldest.
func (x *stage) find(ev *node.Event) int {
	for k := range x.flying {
		if x.flight[k].at == timebase.Samples(ev.Sample) {
			return k
		}
	}
	if ev.Sample == 0 && x.flying > 0 {
		return 0
	}
	return -1
}

// land takes the oldest frame from those that the node has.
func (x *stage) land() flown {
	f := x.flight[0]
	copy(x.flight[:], x.flight[1:x.flying])
	x.flying--
	return f
}

// put has sound go on. What is missing before it was lost in the ring, and is silence.
func (x *stage) put(at timebase.Samples, pcm []int16) {
	if at > x.at {
		x.out.Skip(at - x.at)
	}
	x.out.Write(pcm)
	x.went(at + timebase.Samples(len(pcm)))
}

func (x *stage) went(to timebase.Samples) {
	x.at, x.moved = max(x.at, to), true
	gone := 0
	for gone < x.logged && x.log[gone].end <= x.at {
		gone++
	}
	if gone > 0 {
		copy(x.log[:], x.log[gone:x.logged])
		x.logged -= gone
	}
}

// pass has a frame go on without the node: as it came, or as silence.
func (x *stage) pass(f flown) {
	x.back.Skip(f.at)
	end := f.at + timebase.Samples(f.n)
	if x.silent {
		x.back.Skip(end)
	} else if n, at := x.back.Read(x.old[:f.n], end); n > 0 {
		x.put(at, x.old[:n])
	}
	if x.at < end { // or it is not in the ring any more
		x.out.Skip(end - x.at)
		x.went(end)
	}
}

// due is when the sound that goes on next has to.
func (x *stage) due(now timebase.Instant) timebase.Instant {
	for i := range x.logged {
		if x.log[i].end > x.at {
			return x.log[i].at.Add(x.limit)
		}
	}
	return now.Add(x.limit)
}

// expire has go on what the node has not given back in time; all of it where there is none.
func (x *stage) expire(now timebase.Instant) {
	for head := x.from.Head(); x.at < head && !x.closed; {
		if x.current.Load() != nil {
			if x.due(now) > now {
				return
			}
			x.missed(now)
		}
		f := flown{x.at, int(min(timebase.FrameSamples, head-x.at))}
		if x.flying > 0 {
			f = x.land()
		}
		x.pass(f)
		x.given.Skip(x.at)
	}
}

// missed counts a frame that goes on without the node.
func (x *stage) missed(now timebase.Instant) {
	x.punctual.missed(x.limit + max(0, now.Sub(x.due(now))))
}

// arm makes sure that somebody looks when the time of a frame is over. The timer is left running
// while frames come and go.
func (x *stage) arm(now timebase.Instant) {
	if x.armed || x.closed || x.current.Load() == nil || x.at >= x.from.Head() {
		return
	}
	x.armed = true
	due := x.due(now)
	switch wait := time.Duration(max(0, due.Sub(now))); {
	case x.s.exec.Virtual():
		x.s.exec.After(due, x.look)
	case x.timer == nil:
		x.timer = time.AfterFunc(wait, x.look)
	default:
		x.timer.Reset(wait)
	}
}

// look sees what is due.
func (x *stage) look() {
	now := x.s.exec.Now()
	x.mu.Lock()
	x.armed = false
	full := x.flying == maxFlight
	x.expire(now)
	x.arm(now)
	moved := x.moved
	x.unlock()
	if moved && x.here.Load() { // the owner is held up by the node
		x.wake()
	}
	if full {
		x.kick()
	}
}

// failed lets the sound go by a node that has failed, at once; what the kernel puts in its place
// comes afterwards.
func (x *stage) failed(y *seat, f nodehost.Failure) {
	x.mu.Lock()
	if x.current.CompareAndSwap(y, nil) {
		x.expire(x.s.exec.Now())
	}
	moved := x.moved
	x.unlock()
	if moved && x.here.Load() {
		x.wake()
	}
	x.s.graph.nodeFailed(f)
}

func (x *stage) close() {
	x.mu.Lock()
	x.closed = true
	if x.timer != nil {
		x.timer.Stop()
	}
	y := x.current.Load()
	x.mu.Unlock()
	if y != nil {
		y.instance.Stop()
	}
	if x.given != nil {
		x.given.Close()
		x.back.Close()
	}
}
