// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// guard is a sink that knows which turns were cancelled, by the canceller's own word,
// and counts every frame of such a turn. It shares nothing with the fence.
type guard struct {
	line
	cancelled sync.Map // eventabi.TurnID -> struct{}
	frames    atomic.Int64
	after     atomic.Int64
	asked     atomic.Bool // the next fence follows a cancel, not the kernel's own verdict
}

func (g *guard) WriteFrame(f *transport.Frame) error {
	if _, over := g.cancelled.Load(f.Turn); over {
		g.after.Add(1)
	}
	g.frames.Add(1)
	return nil
}

// Fence is not told on: the canceller's word is what counts.
func (g *guard) Fence(transport.Fence) {}

func (g *guard) connect(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	g.in = in
	return g, nil
}

// cancelRig runs one session through turns that are cancelled while they play.
type cancelRig struct {
	session *Session
	guard   *guard
	rounds  int
	playing chan eventabi.TurnID // turn of a playback that has begun
	closed  chan eventabi.TurnID
	random  timebase.Random
}

func newCancelRig(tb testing.TB, h *Host, n, rounds int) *cancelRig {
	tb.Helper()
	r := newRig(fmt.Sprintf("s%d", n))
	g := &guard{}
	c := &cancelRig{
		guard: g, rounds: rounds, random: timebase.NewRandom(uint64(n)),
		playing: make(chan eventabi.TurnID, 64), closed: make(chan eventabi.TurnID, 64),
	}
	r.settings.Connect = g.connect
	// The load may starve a turn for longer than simple/v1 waits for its first output;
	// here it is the fence that is tested, not the budget.
	b := &r.settings.Bootstrap.Settings
	b.TurnBudgetMS, b.TurnHardCapMS, b.InvocationMS, b.NodeBudgetMS = 60000, 600000, 60000, 60000
	r.settings.Observer = func(n *Notice) {
		if e, ok := n.Record.(*session.Emit); ok && e.Envelope.Signal == eventabi.SignalPlaybackStarted {
			c.playing <- e.Envelope.TurnID
		}
		if d, ok := n.Record.(*session.Delivery); ok && d.Event == session.DeliveryFlushed {
			c.closed <- d.Turn
		}
	}
	s, err := h.Open(tb.Context(), r.settings)
	if err != nil {
		tb.Fatal(err)
	}
	c.session = s
	return c
}

// run speaks, waits for sound, lets some of it out, cancels, and marks the turn as
// cancelled once Cancel has returned.
func (c *cancelRig) run(tb testing.TB) {
	tb.Helper()
	for i := range c.rounds {
		c.session.Ingress().Text("tell me a story", "")
		turn := await(tb, c.playing, "playback")
		time.Sleep(time.Duration(c.random.Below(int64(25 * time.Millisecond))))
		if i%2 == 0 {
			c.session.Ingress().Cancel(transport.Request{Turn: turn})
		} else {
			c.session.Ingress().Stop(transport.Request{})
		}
		c.guard.cancelled.Store(turn, struct{}{})
		if got := await(tb, c.closed, "flush"); got != turn {
			tb.Errorf("turn %s was flushed, %s was cancelled", got, turn)
		}
	}
}

func await[T any](tb testing.TB, from <-chan T, what string) (v T) {
	tb.Helper()
	select {
	case v = <-from:
	case <-time.After(30 * time.Second):
		tb.Errorf("no %s within 30 s", what)
	}
	return v
}

// burn keeps the cores busy until stopped.
func burn(workers int) (stop func()) {
	var wg sync.WaitGroup
	var over atomic.Bool
	for range workers {
		wg.Go(func() {
			x := uint64(1)
			for !over.Load() {
				for range 1 << 12 {
					x = x*6364136223846793005 + 1442695040888963407
				}
			}
			runtime.KeepAlive(x)
		})
	}
	return func() {
		over.Store(true)
		wg.Wait()
	}
}

// "Zero frames of a fenced turn at the sink ... in 10,000 real cancels through the shell
// under load": real goroutines, real pacing, more work than there are cores.
func TestCancelsUnderLoad(t *testing.T) {
	sessions, rounds := 100, 100
	if testing.Short() {
		sessions, rounds = 20, 25
	}
	h, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	stop := burn(runtime.GOMAXPROCS(0))
	rigs := make([]*cancelRig, sessions)
	for i := range rigs {
		rigs[i] = newCancelRig(t, h, i, rounds)
	}
	var wg sync.WaitGroup
	for _, c := range rigs {
		wg.Go(func() { c.run(t) })
	}
	wg.Wait()
	stop()
	var frames, after, witnessed, refused, stuck int64
	for _, c := range rigs {
		st := c.session.Stats()
		frames += c.guard.frames.Load()
		after += c.guard.after.Load()
		witnessed += st.FramesAfterFence
		refused += st.Egress.Refused
		stuck += st.Egress.Stuck
		if st.Kernel.Aborts+st.Kernel.Commits != st.Kernel.Turns || st.Kernel.Turns != int64(rounds) || st.Faults != 0 || st.State != controlplane.SessionActive {
			t.Errorf("session %s: %+v", c.session.ID(), st)
		}
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("%d cancels, %d frames out, %d held back", sessions*rounds, frames, refused)
	if after != 0 || witnessed != 0 || stuck != 0 {
		t.Errorf("%d frames of a cancelled turn at the sink, %d by the witness, %d fences stuck; want 0", after, witnessed, stuck)
	}
	if frames < int64(sessions*rounds) {
		t.Errorf("only %d frames for %d turns: nothing was played", frames, sessions*rounds)
	}
}
