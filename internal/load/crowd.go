// SPDX-License-Identifier: Apache-2.0

package load

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
)

// Crowd drives simulated callers on a host.
type Crowd struct {
	host    *sessionhost.Host
	seed    uint64
	habits  Habits
	engines invocation.Providers
	apply   func(*sessionhost.Settings) // flow settings; nil = the profile's
	tenants []Tenant
	cost    ownCost
	began   time.Time

	group    *group // of the callers that are not told apart
	refusals tally
	offered  atomic.Int64 // calls that were tried
	opened   atomic.Int64
	ended    atomic.Int64
	late     atomic.Int64 // times that a driver was a frame or more behind

	door    door
	drivers []*driver
	work    sync.WaitGroup
	stopped chan struct{}

	mu      sync.Mutex
	callers int
	open    []*sessionhost.Session // that were ending when the crowd stopped
	gone    []watched              // sessions that have ended and were not collected yet
}

// CrowdConfig is what a crowd is made of.
type CrowdConfig struct {
	Seed    int64
	Habits  Habits
	Engines Engines
	// Apply changes the settings of every call.
	Apply func(*sessionhost.Settings)
	// Tenants are whose callers come, by their shares; none = one.
	Tenants []Tenant
	// Drivers is the number of goroutines that send frames; 0 = one.
	Drivers int
}

// NewCrowd starts a crowd without callers. Stop ends it.
func NewCrowd(h *sessionhost.Host, c CrowdConfig) *Crowd {
	s := &simulated{engines: c.Engines, seed: uint64(c.Seed)}
	x := &Crowd{
		host: h, seed: uint64(c.Seed), habits: c.Habits, engines: s.providers(), apply: c.Apply,
		tenants: c.Tenants, cost: ownCosts(c.Habits), began: time.Now(), group: &group{name: "callers"}, stopped: make(chan struct{}),
	}
	x.door.wake = make(chan struct{}, 1)
	for range max(1, c.Drivers) {
		d := &driver{crowd: x}
		x.drivers = append(x.drivers, d)
		x.work.Go(d.run)
	}
	x.work.Go(x.answer)
	return x
}

// Add has n more callers call, spread evenly over a time.
func (x *Crowd) Add(n int, over time.Duration) {
	now := time.Now()
	for i := range n {
		c := x.caller(x.group, &x.habits)
		c.due = now.Add(over * time.Duration(i) / time.Duration(n))
		x.door.push(c)
	}
}

func (x *Crowd) caller(g *group, h *Habits) *caller {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.callers++
	return &caller{
		crowd: x, number: x.callers, group: g, tenant: x.tenant(x.callers), habits: h,
		chance: timebase.NewRandom(x.seed ^ uint64(x.callers)*0x9e3779b97f4a7c15),
	}
}

// tenant gives the n-th caller's, so that the shares are kept among any callers in a row.
func (x *Crowd) tenant(n int) string {
	sum := int64(0)
	for _, t := range x.tenants {
		sum += t.Share
	}
	if sum == 0 {
		return "load"
	}
	rest := int64(n) % sum
	for _, t := range x.tenants {
		if rest -= t.Share; rest < 0 {
			return t.Name
		}
	}
	return x.tenants[0].Name
}

// Stop has nobody call any more and leaves the sessions to the host, which ends them when
// it closes.
func (x *Crowd) Stop() {
	close(x.stopped)
	x.work.Wait()
}

// door is where callers wait to call, by due time.
type door struct {
	mu   sync.Mutex
	list callerHeap
	wake chan struct{}
}

type callerHeap []*caller

func (h callerHeap) Len() int           { return len(h) }
func (h callerHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h callerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *callerHeap) Push(v any)        { *h = append(*h, v.(*caller)) } //nolint:forcetypeassert // heap.Push gives callers alone
func (h *callerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}

func (d *door) push(c *caller) {
	d.mu.Lock()
	heap.Push(&d.list, c)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// next gives the caller who is due, or how long to wait for one.
func (d *door) next(now time.Time) (*caller, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) == 0 {
		return nil, time.Hour
	}
	if wait := d.list[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	c, _ := heap.Pop(&d.list).(*caller)
	return c, 0
}

// answer opens the calls that are due, one after the other.
func (x *Crowd) answer() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		c, wait := x.door.next(time.Now())
		if c != nil {
			x.call(c)
		}
		timer.Reset(wait)
		select {
		case <-x.stopped:
			return
		case <-x.door.wake:
		case <-timer.C:
		}
	}
}

// retryAfter is when a caller comes again who was not told when.
const retryAfter = 5 * time.Second

// call opens one call and hands it to a driver, or sends the caller back to wait.
func (x *Crowd) call(c *caller) {
	c.calls++
	x.offered.Add(1)
	l := &line{crowd: x, group: c.group, over: &c.over, call: int64(c.calls)}
	s := x.settings(c, l)
	opened, err := x.host.Open(context.Background(), s)
	var refusal *sessionhost.Refusal
	switch {
	case err == nil:
		x.opened.Add(1)
		c.session, c.line, c.in = opened, l, l.in
		c.begin()
		x.drivers[c.number%len(x.drivers)].join(c)
		return
	case errors.As(err, &refusal):
		x.refusals.add(refusal.Reason, 1)
		c.group.sum.add("refused "+refusal.Reason, 1)
		wait := refusal.RetryAfter
		if wait == 0 {
			wait = retryAfter
		}
		// Not all at one instant: the wait and up to a quarter of it.
		c.due = time.Now().Add(wait + time.Duration(c.chance.Below(int64(wait/4)+1)))
	case errors.Is(err, sessionhost.ErrClosed):
		return
	default:
		c.group.failed.Add(1)
		c.group.sum.add("not opened", 1)
		c.due = time.Now().Add(retryAfter)
	}
	x.door.push(c)
}

// settings opens a call of a caller.
func (x *Crowd) settings(c *caller, l *line) sessionhost.Settings {
	s := sessionhost.Settings{
		Bootstrap: session.Bootstrap{
			Session: eventabi.SessionID(fmt.Sprintf("load-%d-%d", c.number, c.calls)), Tenant: c.tenant, Pipeline: "voice-1",
			Profile: controlplane.ProfileSimple, Graph: "voice/1", Epoch: 1,
			Settings: session.Settings{AvailabilityMode: true},
		},
		Kind:       "load",
		Connect:    l.connect,
		Providers:  x.engines,
		Endpointer: endpointer,
		Segmenter:  func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
		Language:   "en",
		TextKey:    1,
		Lateness:   &c.group.host,
	}
	if x.apply != nil {
		x.apply(&s)
	}
	return s
}

// threshold is a detector that hears speech where samples are loud, and costs
// nothing: the network that detects speech is no part of what is measured.
type threshold struct{}

func (threshold) Probability(frame *[vad.FrameSamples]int16) float32 {
	if frame[0] > loud/2 {
		return 0.9
	}
	return 0
}

func (threshold) Reset() {}

// Quick has the session's owner look itself.
func (threshold) Quick() bool { return true }

func endpointer() (node.Node, error) {
	return vad.NewEndpointNode(threshold{}, vad.EndpointerConfig{})
}

// driver sends the frames of its callers from a wheel with a slot for each millisecond of
// a frame.
type driver struct {
	crowd *Crowd
	slots [frameMS][]*caller
	next  int // slot of the next caller

	mu      sync.Mutex
	joining []*caller
	waiting atomic.Bool // somebody joins
}

func (d *driver) join(c *caller) {
	d.mu.Lock()
	d.joining = append(d.joining, c)
	d.mu.Unlock()
	d.waiting.Store(true)
}

// maxMissed is how many slots a driver makes up for, 100 ms: what was not sent before that
// is lost, as it is where a network or a device cannot keep up.
const maxMissed = 5 * int64(frameMS)

// run turns the wheel until the crowd stops. A driver that is late sends what it missed,
// as a network does after a pause, up to maxMissed.
func (d *driver) run() {
	const tick = time.Millisecond
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for n := int64(0); ; {
		now := time.Since(d.crowd.began)
		due := int64(now / tick)
		if due-n > 2*int64(frameMS) {
			d.crowd.late.Add(1)
		}
		n = max(n, due-maxMissed)
		for ; n < due; n++ {
			d.turn(int(n % int64(frameMS)))
		}
		timer.Reset(time.Duration(n+d.idle(n)+1)*tick - time.Since(d.crowd.began))
		select {
		case <-d.crowd.stopped:
			return
		case <-timer.C:
		}
	}
}

// idle counts the slots from the n-th on in which nobody sits; who joins waits no longer
// than a turn of the wheel.
func (d *driver) idle(n int64) (empty int64) {
	for empty < int64(frameMS)-1 && len(d.slots[(n+empty)%int64(frameMS)]) == 0 {
		empty++
	}
	return empty
}

func (d *driver) turn(slot int) {
	if d.waiting.Swap(false) {
		d.seat()
	}
	list := d.slots[slot]
	sent := int64(0)
	for i := 0; i < len(list); {
		c := list[i]
		if c.over.Load() >= int64(c.calls) {
			last := len(list) - 1
			list[i], list[last] = list[last], nil
			list = list[:last]
			d.crowd.leave(c)
			continue
		}
		c.step(c.in)
		sent++
		i++
	}
	d.slots[slot] = list
	d.crowd.group.framesIn.Add(sent)
}

func (d *driver) seat() {
	d.mu.Lock()
	list := d.joining
	d.joining = nil
	d.mu.Unlock()
	for _, c := range list {
		c.slot = d.next % frameMS
		d.next++
		d.slots[c.slot] = append(d.slots[c.slot], c)
	}
}
