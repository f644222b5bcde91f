// SPDX-License-Identifier: Apache-2.0

package load

import (
	"maps"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// tally counts by reason.
type tally struct {
	mu  sync.Mutex
	sum map[string]int64
}

func (t *tally) add(reason string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sum == nil {
		t.sum = map[string]int64{}
	}
	if _, known := t.sum[reason]; !known && len(t.sum) >= maxReasons {
		reason = "other"
	}
	t.sum[reason] += n
}

// maxReasons bounds the reasons that are told apart.
const maxReasons = 200

func (t *tally) get() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.sum)
}

// watched is a session that has ended and should not be there any more.
type watched struct {
	session weak.Pointer[sessionhost.Session]
}

// leave takes what a call counted, once it is over, and has the caller call again.
func (x *Crowd) leave(c *caller) {
	s := c.session
	c.session, c.line, c.in = nil, nil, nil
	x.work.Go(func() {
		select {
		case <-s.Done():
		case <-x.stopped:
			x.mu.Lock()
			x.open = append(x.open, s)
			x.mu.Unlock()
			return
		}
		x.ended.Add(1)
		x.count(c.group, s)
		c.due = time.Now()
		x.door.push(c)
	})
}

// count takes what a session counted that has ended, and watches whether it goes.
func (x *Crowd) count(g *group, s *sessionhost.Session) {
	g.sum.take(s.Stats())
	x.mu.Lock()
	x.gone = append(x.gone, watched{weak.Make(s)})
	x.mu.Unlock()
}

// release gives the calls that are open when the crowd has stopped, and lets go of them.
func (x *Crowd) release() []*sessionhost.Session {
	list := x.open
	x.open = nil
	for _, d := range x.drivers {
		for _, slot := range append(d.slots[:], d.joining) {
			for _, c := range slot {
				list = append(list, c.session)
			}
		}
	}
	x.drivers, x.door.list = nil, nil
	return list
}

// take adds what a session counted.
func (t *tally) take(s sessionhost.Stats) {
	for name, n := range map[string]int64{
		"turns": s.Kernel.Turns, "committed": s.Kernel.Commits, "aborted": s.Kernel.Aborts,
		"interruptions": s.Kernel.InterruptionsConfirmed, "kernel_refused": s.Kernel.Refused,
		"frames_dropped": s.FramesDropped, "samples_lost": s.SamplesLost, "frames_after_fence": s.FramesAfterFence,
		"node_failures": s.NodeFailures, "node_restarts": s.NodeRestarts, "faults": s.Faults,
		"underruns": s.Egress.Underruns, "sink_errors": s.Egress.SinkErrors, "ended " + s.Reason: 1,
	} {
		if n > 0 {
			t.add(name, n)
		}
	}
}

// outlived counts the sessions that have ended and are still held by something. It is
// exact after a garbage collection.
func (x *Crowd) outlived() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone = slices.DeleteFunc(x.gone, func(w watched) bool { return w.session.Value() == nil })
	return len(x.gone)
}
