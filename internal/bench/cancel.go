// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// cancelSessions is how many sessions speak and are cancelled at a time; every core is
// busy besides.
const cancelSessions = 32

// cancels is P5: from the call that cancels to the closed fence, with every core busy,
// against the time that the scheduler needs to wake a goroutine in the same storm. The
// bound of 100 us is checked beside the ratio.
func cancels(o Options) (Result, error) {
	r := Result{
		ID: "P5", Subject: "cancel to fence, p99, every core busy", Denominator: "goroutine wake-up, p99, same load",
		Unit: "ns", Limit: 3, Target: "<= 3x, and <= 100 us",
	}
	storm := startStorm()
	defer storm.stop()
	host, err := sessionhost.New(sessionhost.Config{})
	if err != nil {
		return r, err
	}
	speakers, err := openSpeakers(host)
	if err != nil {
		return r, err
	}
	n := max(20, int(o.Each/(4*time.Millisecond)))
	var after int64
	r = pair(o, r,
		func() float64 { return float64(percentile(wakeUps(o.Now, 50*n), 99)) },
		func() float64 { return float64(percentile(cancelAll(speakers, n), 99)) })
	for _, s := range speakers {
		s.session.Close("measured")
		<-s.session.Done()
		after += s.session.Stats().FramesAfterFence
	}
	if after != 0 {
		return r, fmt.Errorf("bench: %d frames of a fenced turn reached the sink", after)
	}
	r.Met = r.Met && r.Value <= float64(100*time.Microsecond)
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	return r, host.Close(ctx)
}

// storm keeps every core busy with the work of a shard's neighbours.
type storm struct {
	over atomic.Bool
	done sync.WaitGroup
}

func startStorm() *storm {
	s := &storm{}
	for range runtime.GOMAXPROCS(0) {
		s.done.Go(func() {
			var frame [320]int16
			for n := 0; !s.over.Load(); n++ {
				for i := range frame {
					frame[i] += int16(n)
				}
				if n%1000 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	return s
}

func (s *storm) stop() {
	s.over.Store(true)
	s.done.Wait()
}

// wakeUps measures how long a goroutine that waits takes to run after it was woken:
// what a cancel would pay at least if it had to be handed to another goroutine.
func wakeUps(now func() time.Time, n int) []time.Duration {
	ping, pong := make(chan time.Time, 1), make(chan time.Duration, 1)
	go func() {
		for sent := range ping {
			pong <- now().Sub(sent)
		}
	}()
	list := make([]time.Duration, 0, n)
	for range n {
		ping <- now()
		list = append(list, <-pong)
		time.Sleep(50 * time.Microsecond)
	}
	close(ping)
	return list
}

// speaker is a session that is made to speak and is cancelled.
type speaker struct {
	session *sessionhost.Session
	line    *line
	playing chan struct{}      // a turn has begun to be heard
	closed  chan struct{}      // a turn has ended
	fenced  chan time.Duration // how long a cancel took to its fence
}

func openSpeakers(host *sessionhost.Host) ([]*speaker, error) {
	list := make([]*speaker, 0, cancelSessions)
	shared := engines()
	for i := range cancelSessions {
		s := &speaker{line: &line{}, playing: make(chan struct{}, 1), closed: make(chan struct{}, 1), fenced: make(chan time.Duration, 1)}
		set := settings(i, s.line, shared)
		set.Observer = s.observe
		x, err := host.Open(context.Background(), set)
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		s.session = x
		list = append(list, s)
	}
	return list, nil
}

func (s *speaker) observe(n *sessionhost.Notice) {
	if f, ok := n.Record.(*session.Fence); ok && !f.Session && n.FenceTook > 0 {
		s.fenced <- time.Duration(n.FenceTook)
	}
	if d, ok := n.Record.(*session.Delivery); ok && d.Event == session.DeliveryStarted {
		s.playing <- struct{}{}
	}
	if c, ok := n.Record.(*session.TurnChange); ok && c.Transition.ToState == controlplane.TurnClosed {
		s.closed <- struct{}{}
	}
}

// cancelAll has every speaker cancelled n times over, spread on all of them.
func cancelAll(speakers []*speaker, n int) []time.Duration {
	var mu sync.Mutex
	var list []time.Duration
	var wg sync.WaitGroup
	for _, s := range speakers {
		wg.Go(func() {
			for range max(1, n/len(speakers)) {
				took := s.cancelOnce()
				mu.Lock()
				list = append(list, took)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return list
}

// cancelOnce lets a turn begin to speak and cancels it. It gives the time from the
// cancel to the closed fence, as the session measures it.
func (s *speaker) cancelOnce() time.Duration {
	s.line.in.Text("go on", "")
	<-s.playing
	s.session.Cancel(sessionhost.Cancel{Scope: eventabi.CancelTurn})
	<-s.closed
	return <-s.fenced
}
