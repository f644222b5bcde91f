// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/transport"
)

// still is a shard whose clock and rounds a test drives by hand.
type still struct {
	*shard
	pool    nodehost.Pool
	crew    sync.WaitGroup
	instant atomic.Int64
	hurries atomic.Int64 // how much goes by with each look at the clock,
	looks   atomic.Int64 // and how often it does
}

func newStill() *still {
	s := &still{}
	s.shard = newShard(func() timebase.Instant {
		if d := s.hurries.Load(); d > 0 && s.looks.Add(-1) >= 0 {
			s.instant.Add(d)
		}
		return timebase.Instant(s.instant.Load())
	},
		func() int64 { return 1_790_000_000_000 + timebase.Instant(s.instant.Load()).MS() }, &s.pool, &s.crew)
	return s
}

// round does what there is to do.
func (s *still) round() { s.shard.round(0) }

// pass lets time pass and gives the shard a round.
func (s *still) pass(d time.Duration) {
	s.instant.Add(int64(d))
	s.round()
}

func (s *still) open(tb testing.TB, r *rig) *Session {
	tb.Helper()
	r.settings.bind()
	x := newSession(r.settings, s.shard)
	s.sessions.Add(1)
	if err := x.connect(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	s.round()
	if x.machine.State() != controlplane.SessionActive {
		tb.Fatalf("the session is %s", x.machine.State())
	}
	return x
}

// until gives rounds until something holds.
func (s *still) until(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within 20 s", what)
		}
		s.round()
		runtime.Gosched()
	}
}

func (s *still) close(tb testing.TB, list ...*Session) {
	tb.Helper()
	for _, x := range list {
		x.Close("test_over")
		s.round()
	}
	for range 100 {
		s.pass(time.Second) // the drain deadline, and the end of every grace
	}
	for _, x := range list {
		<-x.done
	}
	if n := s.pool.Wait(5 * time.Second); n != 0 {
		tb.Errorf("%d goroutines are left", n)
	}
}

// deaf is a link that keeps nothing.
type deaf struct{ line }

func (*deaf) WriteFrame(*transport.Frame) error { return nil }

func (d *deaf) connect(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	d.in = in
	return d, nil
}

// "Zero allocations per frame in the steady state" (engine section 2): a caller frame
// through ring, inbox, kernel and endpointer, and an agent frame through wheel, egress
// and witness, in one session at the same time.
func TestFrameCostsNoAllocation(t *testing.T) { steadyFrames(t, loud{}) }

// The same with an endpointer that runs on the owner; no worker has anything to do.
func TestInlineFrameCostsNoAllocation(t *testing.T) {
	s := steadyFrames(t, quick{})
	if n := s.pool.Runs().Count; n > 20 {
		t.Errorf("%d runs in the pool for hundreds of frames", n)
	}
}

// The same with two nodes in the caller's sound, on the owner and on workers.
func TestFrameThroughNodesCostsNoAllocation(t *testing.T) {
	for _, c := range []struct {
		name   string
		inline bool
	}{{"inline", true}, {"workers", false}} {
		t.Run(c.name, func(t *testing.T) {
			change := func(_ *node.Context, pcm []int16) error {
				for i := range pcm {
					pcm[i] /= 2
				}
				return nil
			}
			kind := node.KindFunc(func(json.RawMessage) (node.Node, error) {
				return node.Sound(node.Declaration{Type: "soft", Package: "test", Inline: c.inline}, change), nil
			})
			s := steadyFramesOf(t, quick{}, func(r *rig) { withSound(t, r, map[string]node.Kind{"soft": kind, "softer": kind}, "soft", "softer") })
			if n := s.pool.Runs().Count; c.inline != (n < 50) {
				t.Errorf("%d runs in the pool for hundreds of frames", n)
			}
		})
	}
}

func steadyFrames(t *testing.T, p vad.Prober) *still {
	t.Helper()
	return steadyFramesOf(t, p, func(*rig) {})
}

func steadyFramesOf(t *testing.T, p vad.Prober, also func(r *rig)) *still {
	t.Helper()
	s := newStill()
	r := newRig("s1")
	also(r)
	r.settings.Observer = nil
	r.settings.Endpointer = func() (node.Node, error) { return vad.NewEndpointNode(p, vad.EndpointerConfig{}) }
	r.settings.Connect = (&deaf{}).connect
	r.llm.Replies = []string{strings.Repeat("This goes on and on without coming to an end. ", 10)}
	whole := turn.ProfileFlow() // the synthesiser is not stopped: all of the reply lies ahead
	whole.Watermarks.DataLane = controlplane.Watermark{High: 1000, Low: 500}
	r.settings.Flow = &session.FlowPolicy{Flow: whole}
	x := s.open(t, r)
	x.Ingress().Text("go on", "")
	s.until(t, "a turn that is generated and plays", func() bool {
		return x.machine.Counters().Commits == 1 && x.egress.NextTick() != timebase.Never
	})
	frame := make([]int16, transport.FrameSamples)
	before := x.egress.Counters().Frames
	runs := 0
	step := func() {
		runs++
		x.Ingress().Audio(-1, frame)
		s.pass(20 * time.Millisecond)
		for x.graph.reader.At() < x.ring.Head() || s.pool.Running() > 0 {
			runtime.Gosched()
		}
	}
	for range 50 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations for a frame in each direction, want 0", n)
	}
	if played := x.egress.Counters().Frames - before; played < int64(runs) {
		t.Errorf("%d frames were played in %d steps: not the steady state", played, runs)
	}
	if n := x.machine.Counters().Refused; n != 0 {
		t.Errorf("%d refusals", n)
	}
	s.close(t, x)
	return s
}

// All that one drain finds for a session is one pass; sessions do not mix.
func TestOneDrainIsOnePass(t *testing.T) {
	s := newStill()
	var list []*Session
	var tapes []*tape
	for i := range 5 {
		r := newRig(fmt.Sprint("s", i))
		rec := &tape{}
		r.settings.Recorder = rec
		list, tapes = append(list, s.open(t, r)), append(tapes, rec)
	}
	before := make([]int, len(tapes))
	for i, rec := range tapes {
		before[i] = rec.passes
	}
	for range 10 {
		for _, x := range list {
			x.Ingress().Audio(-1, make([]int16, 320))
		}
	}
	s.round()
	for i, rec := range tapes {
		if n := rec.passes - before[i]; n != 1 {
			t.Errorf("session %d: %d passes for one drain, want 1", i, n)
		}
	}
	s.close(t, list...)
}

// Caller frames are bounded and counted; control is not dropped.
func TestInboxIsBoundedForFrames(t *testing.T) {
	s := newStill()
	x := s.open(t, newRig("s1"))
	for range maxFramesWaiting + 100 {
		x.Ingress().Audio(-1, make([]int16, 320))
	}
	for i := range 50 {
		x.Cancel(Cancel{Scope: "turn", Reason: fmt.Sprint("r", i)})
	}
	s.round()
	st := x.stats()
	if st.FramesDropped != 100 || st.FramesIn != maxFramesWaiting+100 {
		t.Errorf("%d of %d frames were dropped, want 100", st.FramesDropped, st.FramesIn)
	}
	if st.Kernel.Refused != 51 { // nothing_to_cancel, each of them, and the word of the frames
		t.Errorf("%d cancels reached the kernel, want 50", st.Kernel.Refused-1)
	}
	s.close(t, x)
}

func TestWheel(t *testing.T) {
	var w wheel
	random := timebase.NewRandom(3)
	sessions := make([]*Session, 300)
	due := map[*Session]timebase.Instant{}
	for i := range sessions {
		sessions[i] = &Session{}
		sessions[i].timer.session = sessions[i]
	}
	now := timebase.Instant(0)
	fired := 0
	for range 20000 {
		x := sessions[random.Below(int64(len(sessions)))]
		switch random.Below(4) {
		case 0, 1: // soon, or later than a turn of the wheel
			at := now.Add(timebase.Span(random.Below(int64(40 * timebase.Millisecond))))
			if random.Chance(1, 10) {
				at = now.Add(timebase.Span(random.Below(int64(5 * timebase.Second))))
			}
			w.arm(&x.timer, at)
			due[x] = at
		case 2:
			w.arm(&x.timer, timebase.Never)
			delete(due, x)
		case 3:
			if next := w.next(); len(due) == 0 != (next == timebase.Never) {
				t.Fatalf("next is %d with %d due", next, len(due))
			} else if earliest := earliestOf(due); len(due) > 0 && next > max(earliest, now).Add(2*wheelSlot) {
				t.Fatalf("at %d: next is %d, the earliest is due at %d", now, next, earliest)
			}
			now = now.Add(timebase.Span(random.Below(int64(30 * timebase.Millisecond))))
			if random.Chance(1, 200) {
				now = now.Add(3 * timebase.Second) // the owner was away
			}
			w.turn(now, func(x *Session) {
				fired++
				if at, ok := due[x]; !ok || at > now {
					t.Fatalf("at %d: a session came out that is due at %d (%v)", now, at, ok)
				}
				delete(due, x)
			})
			for x, at := range due {
				if at.Add(wheelSlot) <= now {
					t.Fatalf("at %d: a session due at %d stayed in (slot %d)", now, at, x.timer.slot)
				}
			}
		}
	}
	if fired < 1000 || w.count != len(due) {
		t.Errorf("%d fired, %d in the wheel, %d due", fired, w.count, len(due))
	}
}

func earliestOf(due map[*Session]timebase.Instant) timebase.Instant {
	at := timebase.Never
	for _, d := range due {
		at = timebase.Earliest(at, d)
	}
	return at
}

func TestHeardTextEndsWithAWholeWord(t *testing.T) {
	for _, c := range []struct {
		text  string
		runes int64
		want  string
	}{
		{"Once upon a time", 0, ""},
		{"Once upon a time", 3, ""},
		{"Once upon a time", 4, "Once"},
		{"Once upon a time", 5, "Once "},
		{"Once upon a time", 7, "Once "},
		{"Once upon a time", 9, "Once upon"},
		{"Once upon a time", 16, "Once upon a time"},
		{"Once upon a time", 99, "Once upon a time"},
		{"It's ten o'clock.", 13, "It's ten "},
		{"caf\u00e9 cr\u00e8me", 7, "caf\u00e9 "},
		{"昔々あるところに", 3, "昔々あ"},
		{strings.Repeat("x", 100), 50, strings.Repeat("x", 50)},
	} {
		if got := heard(c.text, c.runes); got != c.want {
			t.Errorf("%d characters of %q: %q, want %q", c.runes, c.text, got, c.want)
		}
	}
}

// A caller who coughs for hours and a client that sends without end leave texts that no
// item of the conversation refers to.
func TestTextsAreBounded(t *testing.T) {
	c := newContent()
	talk := newConversation(c, "")
	first := c.addText("hello")
	for i := range 3 * maxItems { // replies of which nothing was heard
		talk.addSegment(eventabi.TurnID(fmt.Sprint("t", i)), 0, c.addText("never heard"))
	}
	if len(talk.segments) != maxItems || len(talk.spoken) != maxItems || len(c.texts) != maxItems+1 {
		t.Errorf("segments of %d turns (%d in order), %d texts; want %d turns and their texts", len(talk.segments), len(talk.spoken), len(c.texts), maxItems)
	}
	long := strings.Repeat("x", 64<<10)
	var last int64
	for range 2 * maxTexts / len(long) {
		last = c.addText(long)
	}
	sum := 0
	for _, text := range c.texts {
		sum += weight(text)
	}
	if sum > maxTexts || sum != c.written || sum < maxTexts-2*len(long) {
		t.Errorf("%d bytes are kept and %d counted, the bound is %d", sum, c.written, maxTexts)
	}
	if c.text(first) != "" || c.text(last) != long {
		t.Errorf("the oldest text is %q, the newest has %d bytes: the oldest goes first", c.text(first), len(c.text(last)))
	}
	c.dropText(last)
	c.dropText(last)
	if c.written != sum-weight(long) {
		t.Errorf("%d bytes are counted after a text was dropped twice, want %d", c.written, sum-weight(long))
	}
	c.addText(strings.Repeat("x", maxTexts+1))
	if len(c.texts) != 1 {
		t.Errorf("%d texts beside one that is larger than the bound", len(c.texts)-1)
	}
}

func TestConversationForgetsTheOldest(t *testing.T) {
	c := newContent()
	talk := newConversation(c, "Be brief.")
	for i := range int64(maxItems + 10) {
		talk.apply(session.Item{Key: i + 1, Order: i + 1, Role: session.ItemUser, Text: c.addText(fmt.Sprint("words ", i))})
	}
	list := talk.Utterances()
	if len(list) != maxItems || list[0].Text != "words 10" || len(c.texts) != maxItems {
		t.Errorf("%d items, the first %q, %d texts", len(list), list[0].Text, len(c.texts))
	}
	prompt := talk.Prompt()
	if len(prompt) != maxPrompt+1 || prompt[0].Role != "system" || prompt[len(prompt)-1].Text != fmt.Sprint("words ", maxItems+9) {
		t.Errorf("a prompt of %d messages, from %q to %q", len(prompt), prompt[0].Text, prompt[len(prompt)-1].Text)
	}
	if !slices.IsSortedFunc(talk.items, func(a, b session.Item) int { return int(a.Order - b.Order) }) {
		t.Error("items are out of order")
	}
}
