// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// An observer that does not come back holds its own session up, and no other of the shard:
// what it holds up it goes on with when it comes back (flow section 7, "Per-session
// isolation").
func TestStalledObserverHoldsNobodyElseUp(t *testing.T) {
	hostedBy(t, Config{Shards: 1}, func(t *testing.T, h *Host) {
		bad := newRig("bad")
		free, stuck := make(chan struct{}), make(chan struct{})
		var once sync.Once
		bad.log.watch = func(n *Notice) {
			if e, ok := n.Record.(*session.Emit); ok && e.Envelope.Signal == eventabi.SignalTurnOpen {
				once.Do(func() {
					close(stuck)
					<-free
				})
			}
		}
		rigs := []*rig{newRig("good0"), newRig("good1"), newRig("good2")}
		var list []*Session
		for _, r := range rigs {
			list = append(list, open(t, h, r))
		}
		s := open(t, h, bad)
		s.Ingress().Text("tell me a story", "")
		<-stuck
		for _, x := range list {
			x.Ingress().Text("tell me a story", "")
		}
		for range 300 { // it is spoken to meanwhile
			s.Ingress().Audio(-1, make([]int16, transport.FrameSamples))
			time.Sleep(20 * time.Millisecond)
		}
		for i, r := range rigs {
			if n := len(r.line.voiced("t1")); n != spoken(story) {
				t.Errorf("good%d was held up: %d samples of %d", i, n, spoken(story))
			}
			if st := list[i].Stats(); st.Stalls != 0 || st.Faults != 0 {
				t.Errorf("good%d is called to account: %+v", i, st)
			}
		}
		if n := h.Timing().Stalls; n != 1 {
			t.Errorf("the owner was relieved %d times, want once", n)
		}
		if bad.log.count("generate") != 0 {
			t.Error("the session went on while its observer was away")
		}
		close(free)
		time.Sleep(10 * time.Second)
		inOrder(t, bad.log, "turn_open turn=t1", "generate invocation=t1-llm-1", "emit budget_exhausted turn=t1", "emit close turn=t1")
		s.Ingress().Text("tell me a story", "")
		time.Sleep(10 * time.Second)
		inOrder(t, bad.log, "emit close turn=t1", "turn_open turn=t2", "playback_completed turn=t2")
		if st := s.Stats(); st.Stalls != 1 || st.FramesDropped != 300-int64(kindFrame.bound()) {
			t.Errorf("%d stalls, %d frames dropped: want once, and what its mailbox had no room for", st.Stalls, st.FramesDropped)
		}
	})
}

// lazy is a sink that takes each frame only after a while.
type lazy struct {
	line
	takes time.Duration
}

func (l *lazy) WriteFrame(f *transport.Frame) error {
	time.Sleep(l.takes)
	return l.line.WriteFrame(f)
}

func (l *lazy) connect(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	l.in = in
	return l, nil
}

// A sink that is slow with every frame has its turns elsewhere: it is met a few times, less
// often each time, and the frames of the others leave when they are due.
func TestSlowSinkIsMetSeldom(t *testing.T) {
	hostedBy(t, Config{Shards: 1}, func(t *testing.T, h *Host) {
		bad, good := newRig("bad"), newRig("good")
		link := &lazy{takes: 100 * time.Millisecond}
		bad.settings.Connect = link.connect
		s, x := open(t, h, bad), open(t, h, good)
		for range 5 {
			s.Ingress().Text("tell me a story", "")
			x.Ingress().Text("tell me a story", "")
			time.Sleep(12 * time.Second)
		}
		if got := link.count(); got == 0 || s.Stats().Stalls == 0 {
			t.Errorf("%d frames, %d stalls: the sink was not slow", got, s.Stats().Stalls)
		}
		if n := h.Timing().Stalls; n == 0 || n > 4 {
			t.Errorf("the owner was held up %d times by one and the same session", n)
		}
		for i := range 5 {
			if n := len(good.line.voiced(eventabi.TurnID(fmt.Sprint("t", i+1)))); n != spoken(story) {
				t.Errorf("turn %d of the other session: %d samples of %d", i+1, n, spoken(story))
			}
		}
		if n := x.Stats().Egress.Skipped; n != 0 {
			t.Errorf("the other session was too late for its frames %d times", n)
		}
	})
}

// Who stands is told from who waits for a processor as everybody does: by whether those who
// look come in time themselves.
func TestLookout(t *testing.T) {
	const in, late = timebase.Span(guardEvery), 4 * timebase.Span(guardEvery)
	for name, row := range map[string]struct {
		after []timebase.Span
		turns []int64
		want  bool
	}{
		"one turn all along":         {[]timebase.Span{in, in, in}, []int64{5, 5, 5}, true},
		"looked too seldom":          {[]timebase.Span{in, in}, []int64{5, 5}, false},
		"another turn each time":     {[]timebase.Span{in, in, in}, []int64{5, 6, 7}, false},
		"another turn at the end":    {[]timebase.Span{in, in, in, in}, []int64{5, 5, 6, 6}, false},
		"nobody has a processor":     {[]timebase.Span{late, late, late, late}, []int64{5, 5, 5, 5}, false},
		"late once, and then stands": {[]timebase.Span{in, late, in, in}, []int64{5, 5, 5, 5}, true},
	} {
		g, at, got := lookout{seen: -1}, timebase.Instant(0), false
		for i := range row.turns {
			at = at.Add(row.after[i])
			got = g.stuck(at, row.turns[i])
		}
		if got != row.want {
			t.Errorf("%s: stuck %v", name, got)
		}
	}
}

// A session that floods its mailbox from several goroutines costs the others nothing, and
// each of its frames is counted once.
func TestFloodHarmsNobodyElse(t *testing.T) {
	hostedBy(t, Config{Shards: 1}, func(t *testing.T, h *Host) {
		bad, good := newRig("bad"), newRig("good")
		s, x := open(t, h, bad), open(t, h, good)
		x.Ingress().Text("tell me a story", "")
		const hands, each = 4, 5000
		var wg sync.WaitGroup
		for range hands {
			wg.Go(func() {
				for i := range each {
					s.Ingress().Audio(-1, make([]int16, transport.FrameSamples))
					if i%10 == 0 {
						s.Ingress().Text("and then", "")
						s.Cancel(Cancel{Scope: eventabi.CancelTurn, Turn: "t99"})
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(good.line.voiced("t1")); n != spoken(story) {
			t.Errorf("the other session was harmed: %d samples of %d\n%s", n, spoken(story), good.log)
		}
		st := s.Stats()
		texts := int64(bad.log.count("text_in"))
		if st.FramesIn != hands*each || st.ControlLost != 0 || st.DataLost != st.FramesDropped+hands*each/10-texts {
			t.Errorf("%d frames in, %d dropped, %d texts taken, %d data lost, %d control lost", st.FramesIn, st.FramesDropped, texts, st.DataLost, st.ControlLost)
		}
		if st := x.Stats(); st.FramesDropped+st.DataLost+st.Faults != 0 {
			t.Errorf("the other session: %+v", st)
		}
	})
}
