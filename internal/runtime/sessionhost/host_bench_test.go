// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/transport"
)

// p99 of a list of durations.
func p99(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)*99/100]
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// BenchmarkCancelToFence is target P5 (engine section 5): with every core busy, from the
// call of Cancel to the closed gate; beside it, in the same run, how long a goroutine
// takes to wake up. The fence that the kernel decides itself, from the begin of its pass
// to the closed gate, is reported as well.
func BenchmarkCancelToFence(b *testing.B) {
	const sessions = 50
	h, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	var ahead, decided []time.Duration
	rigs := make([]*cancelRig, sessions)
	for i := range rigs {
		rigs[i] = newCancelRig(b, h, i, 0)
		next := rigs[i].session.settings.Observer
		rigs[i].session.settings.Observer = func(n *Notice) {
			if f, ok := n.Record.(*session.Fence); ok && !f.Session {
				mu.Lock()
				if rigs[i].guard.asked.Load() {
					ahead = append(ahead, time.Duration(n.FenceTook))
				} else {
					decided = append(decided, time.Duration(n.FenceTook))
				}
				mu.Unlock()
			}
			next(n)
		}
	}
	stop := burn(runtime.GOMAXPROCS(0))
	wakes, quiet := wakeUps()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for _, c := range rigs {
		wg.Go(func() {
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				cancelOnce(b, c, n%2 == 0)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	quiet()
	stop()
	var after int64
	for _, c := range rigs {
		after += c.guard.after.Load()
	}
	if err := h.Close(b.Context()); err != nil {
		b.Error(err)
	}
	fence, wake := p99(ahead), p99(*wakes)
	b.ReportMetric(micros(fence), "cancel_to_fence_p99_us")
	b.ReportMetric(micros(p99(decided)), "decided_fence_p99_us")
	b.ReportMetric(micros(wake), "wake_up_p99_us")
	b.ReportMetric(float64(fence)/float64(max(wake, 1)), "P5_ratio")
	b.ReportMetric(float64(after), "frames_after_fence")
	b.ReportMetric(0, "ns/op")
}

// cancelOnce brings a session to speak and cuts it off: by a cancel, whose fence goes up
// ahead of the kernel, or by typed text, and then the kernel decides the fence.
func cancelOnce(b *testing.B, c *cancelRig, cancel bool) {
	b.Helper()
	c.session.Ingress().Text("tell me a story", "")
	turn := await(b, c.playing, "playback")
	time.Sleep(time.Duration(c.random.Below(int64(5 * time.Millisecond))))
	c.guard.asked.Store(cancel)
	if cancel {
		c.session.Ingress().Cancel(transport.Request{Turn: turn})
		c.guard.cancelled.Store(turn, struct{}{})
		await(b, c.closed, "flush")
		return
	}
	c.session.Ingress().Text("stop", "")
	await(b, c.closed, "flush")
	turn = await(b, c.playing, "playback of the answer")
	c.guard.asked.Store(true)
	c.session.Ingress().Cancel(transport.Request{Turn: turn})
	await(b, c.closed, "flush of the answer")
}

// wakeUps measures, until it is stopped, how long a goroutine that waits takes to run
// once it is sent something.
func wakeUps() (list *[]time.Duration, stop func()) {
	list = &[]time.Duration{}
	sent := make(chan time.Time)
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for at := range sent {
			*list = append(*list, time.Since(at))
		}
	})
	wg.Go(func() {
		defer close(sent)
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
				sent <- time.Now()
			}
		}
	})
	return list, func() {
		close(over)
		wg.Wait()
	}
}

// BenchmarkIdleSession is target P8 (engine section 5): what an open session costs that
// says nothing, and what it costs once caller audio flows. The denominator is the figure
// that a peer claims, 19.6 KB.
func BenchmarkIdleSession(b *testing.B) {
	const target, peer = 16 << 10, 19.6 * 1024
	n := max(b.N, 500)
	s := newStill()
	shared := newRig("shared")
	list := make([]*Session, 0, n)
	link := &deaf{}
	settings := shared.settings
	settings.Observer = nil
	settings.Connect = link.connect
	base := inUse()
	for i := range n {
		r := &rig{settings: settings}
		r.settings.Bootstrap.Session = shared.settings.Bootstrap.Session + "-" + session64(i)
		list = append(list, s.open(b, r))
	}
	idle := (inUse() - base) / float64(n)
	frame := make([]int16, transport.FrameSamples)
	for range 20 {
		for _, x := range list {
			x.Ingress().Audio(-1, frame)
		}
		s.pass(20 * time.Millisecond)
		for s.pool.Running() > 0 {
			runtime.Gosched()
		}
	}
	listening := (inUse() - base) / float64(n)
	x := list[0]
	allocs := testing.AllocsPerRun(200, func() {
		x.Ingress().Audio(-1, frame)
		s.pass(20 * time.Millisecond)
		for s.pool.Running() > 0 {
			runtime.Gosched()
		}
	})
	s.close(b, list...)
	b.ReportMetric(idle, "idle_bytes")
	b.ReportMetric(listening, "listening_bytes")
	b.ReportMetric(idle/target, "P8_of_target")
	b.ReportMetric(idle/peer, "P8_ratio")
	b.ReportMetric(allocs, "allocs/frame")
	b.ReportMetric(0, "ns/op")
}

func session64(i int) eventabi.SessionID { return eventabi.SessionID(fmt.Sprint(i)) }

// inUse is the memory in use, in bytes: heap and stacks.
func inUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
