// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
)

// disturber is a bad neighbour: a few calls, each on a goroutine of its own, that do what
// the kind says until they are stopped.
type disturber struct {
	crowd *Crowd
	set   Disturbance
	group *group
	sum   tally // what it got

	over    context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup
	release chan struct{} // lets stalled nodes go
	texts   int           // typed so far, of all calls
	came    atomic.Bool   // it has had a call since it was started
	mu      sync.Mutex

	endpointer func() (node.Node, error) // of its calls, where it disturbs by that; nil = by its kind
	failed     func(detail string)       // is told when a node has failed; nil = nobody is
}

func newDisturber(x *Crowd, set Disturbance) *disturber {
	return &disturber{crowd: x, set: set, group: &group{name: string(set.Kind)}}
}

func (d *disturber) start() {
	d.over, d.cancel = context.WithCancel(context.Background())
	d.release = make(chan struct{})
	d.came.Store(false)
	for range d.set.Sessions {
		d.work.Go(d.callAgain)
	}
	if d.set.Kind == Flood && d.set.OpensPerSecond > 0 {
		d.work.Go(d.knock)
	}
}

func (d *disturber) stop() {
	d.cancel()
	close(d.release)
	d.work.Wait()
}

// callAgain holds one call after the other.
func (d *disturber) callAgain() {
	for d.over.Err() == nil {
		s, l := d.open()
		if s == nil {
			_ = rest(d.over, 100*time.Millisecond)
			continue
		}
		d.came.Store(true)
		d.talk(l, s.Done())
		d.hangUp(s)
	}
}

// hangUp ends a call and takes what it counted. What the call is about is cancelled: else
// it would be said to its end.
func (d *disturber) hangUp(s *sessionhost.Session) {
	s.Cancel(sessionhost.Cancel{Scope: eventabi.CancelTurn})
	s.Close("call_over")
	select {
	case <-s.Done():
		d.sum.take(s.Stats())
		d.crowd.count(d.group, s)
	case <-d.crowd.stopped:
	}
}

// open tries one call.
func (d *disturber) open() (*sessionhost.Session, *line) {
	c := d.crowd.caller(d.group, &d.crowd.habits)
	c.tenant, c.calls = d.set.Tenant, 1
	l := &line{crowd: d.crowd, group: d.group}
	s := d.crowd.settings(c, l)
	s.Observer = d.observe
	d.spoil(&s, l)
	opened, err := d.crowd.host.Open(d.over, s)
	var refusal *sessionhost.Refusal
	switch {
	case err == nil:
		d.sum.add("calls", 1)
		return opened, l
	case errors.As(err, &refusal):
		d.sum.add("refused "+refusal.Reason, 1)
	case d.over.Err() == nil:
		d.sum.add("not opened", 1)
	}
	return nil, nil
}

// spoil makes a call what it disturbs with.
func (d *disturber) spoil(s *sessionhost.Settings, l *line) {
	if d.endpointer != nil {
		s.Endpointer = d.endpointer
		return
	}
	switch d.set.Kind {
	case Stall:
		release := d.release
		s.Endpointer = func() (node.Node, error) { return spoilt(func() { <-release }) }
	case Panic:
		s.Endpointer = func() (node.Node, error) { return spoilt(func() { panic("a node that panics") }) }
		s.Segmenter = func() (node.Node, error) {
			n, err := segmenter.NewNode(segmenter.Default())
			return &spoiltNode{Node: n, act: func() { panic("a node that panics") }, every: 1}, err
		}
	case SlowReader:
		l.block = func() error {
			time.Sleep(d.set.Block)
			return nil
		}
	case Flood:
	}
}

// spoiltNode is a node that acts at each n-th event before it takes it.
type spoiltNode struct {
	node.Node
	act    func()
	every  int
	events int
}

// spoiltEvery is how many events an endpointer takes before it acts: half a second.
const spoiltEvery = 25

func spoilt(act func()) (node.Node, error) {
	n, err := vad.NewEndpointNode(threshold{}, vad.EndpointerConfig{})
	return &spoiltNode{Node: n, act: act, every: spoiltEvery}, err
}

// Declaration does not promise what the node will not keep.
func (n *spoiltNode) Declaration() node.Declaration {
	d := n.Node.Declaration()
	d.Inline = false
	return d
}

func (n *spoiltNode) OnEvent(ctx *node.Context, ev *node.Event) error {
	if n.events++; n.events%n.every == 0 {
		n.act()
	}
	return n.Node.OnEvent(ctx, ev)
}

const (
	beat = 5 * time.Millisecond // of what a disturber sends
	// panicLife is how long a call lasts whose nodes panic: by then its endpointer has
	// failed as often as it is replaced.
	panicLife = 4 * time.Second
)

// talk sends frames and texts at the rates until the call or the disturbance is over.
func (d *disturber) talk(l *line, ended <-chan struct{}) {
	frames, texts, life := int64(50), int64(0), maxTime
	switch d.set.Kind {
	case Flood:
		frames, texts = d.set.FramesPerSecond, d.set.TextsPerSecond
	case Panic:
		texts, life = 1, panicLife
	case SlowReader:
		texts = 1
	case Stall:
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	sent, typed := int64(0), int64(0)
	for began := time.Now(); ; {
		select {
		case <-d.over.Done():
			return
		case <-ended:
			return
		case <-tick.C:
		}
		passed := time.Since(began)
		if passed > life {
			return
		}
		for ; sent < frames*int64(passed)/int64(time.Second); sent++ {
			l.in.Audio(-1, quietFrame[:])
		}
		for ; typed < texts*int64(passed)/int64(time.Second); typed++ {
			l.in.Text("go on", d.key())
		}
	}
}

// key names a text, so that none counts as a repetition.
func (d *disturber) key() eventabi.IdempotencyKey {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.texts++
	return eventabi.IdempotencyKey(fmt.Sprintf("text-%d", d.texts))
}

// knock tries to open further calls at the rate, and ends at once those that are let in.
func (d *disturber) knock() {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	tried := int64(0)
	for began := time.Now(); ; {
		select {
		case <-d.over.Done():
			return
		case <-tick.C:
		}
		for ; tried < d.set.OpensPerSecond*int64(time.Since(began))/int64(time.Second); tried++ {
			if s, _ := d.open(); s != nil {
				d.work.Go(func() { d.hangUp(s) })
			}
			if d.over.Err() != nil {
				return
			}
		}
	}
}

// observe counts the signals that say what a call did not get, and its nodes' failures.
func (d *disturber) observe(n *sessionhost.Notice) {
	if f, ok := n.Record.(*session.NodeFailed); ok {
		d.sum.add("node_failed "+string(f.Node)+" "+f.Reason, 1)
		if d.failed != nil {
			d.failed(n.Detail)
		}
	}
	r, ok := n.Record.(*session.Emit)
	if !ok || !slices.Contains(telling(), r.Envelope.Signal) {
		return
	}
	name := string(r.Envelope.Signal)
	if r.Envelope.Reason != "" {
		name += " " + r.Envelope.Reason
	}
	d.sum.add(name, 1)
}

// telling are the signals that tell of a refusal, a loss or a failure.
func telling() []eventabi.Signal {
	return []eventabi.Signal{
		eventabi.SignalReject, eventabi.SignalDefer, eventabi.SignalAbort, eventabi.SignalDropNotice, eventabi.SignalShed,
		eventabi.SignalDiscontinuity, eventabi.SignalProviderError, eventabi.SignalFlowXOff,
	}
}
