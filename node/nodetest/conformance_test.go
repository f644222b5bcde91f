// SPDX-License-Identifier: Apache-2.0

package nodetest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
)

// loud hears speech where samples are loud.
type loud struct{}

func (loud) Probability(frame *[vad.FrameSamples]int16) float32 {
	if frame[0] > 1000 {
		return 0.9
	}
	return 0.05
}
func (loud) Reset() {}

func TestBuiltInNodesKeepTheContract(t *testing.T) {
	t.Run("endpointer", func(t *testing.T) {
		var events []node.Event
		for i := range 80 { // 1.6 s, loud in the second quarter
			pcm := make([]int16, node.FrameSamples)
			for k := range pcm {
				if i >= 20 && i < 40 {
					pcm[k] = 5000
				}
			}
			events = append(events, node.Event{
				Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, Sample: int64(i * node.FrameSamples), PCM: pcm,
			})
		}
		nodetest.Test(t, nodetest.Suite{
			New: func(t *testing.T) node.Node {
				t.Helper()
				n, err := vad.NewEndpointNode(loud{}, vad.EndpointerConfig{})
				if err != nil {
					t.Fatal(err)
				}
				return n
			},
			Events: events,
			Bubble: true,
		})
	})
	t.Run("segmenter", func(t *testing.T) {
		text := func(s string) node.Event {
			return node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta, Class: eventabi.ClassTextRaw, Invocation: "c1", Text: s}
		}
		nodetest.Test(t, nodetest.Suite{
			New: func(t *testing.T) node.Node {
				t.Helper()
				n, err := segmenter.NewNode(segmenter.Default())
				if err != nil {
					t.Fatal(err)
				}
				return n
			},
			Events: []node.Event{
				{Kind: eventabi.KindText, Type: node.TypeTextStart, Class: eventabi.ClassTextRaw, Invocation: "c1"},
				text("Once upon a time there "), text("was a lighthouse. And so on "),
				{Kind: eventabi.KindText, Type: node.TypeTextEnd, Class: eventabi.ClassTextRaw, Invocation: "c1"},
			},
			Advance: 100 * time.Millisecond,
			Bubble:  true,
		})
	})
}

// echo says what it hears, until it is told to stop.
type echo struct {
	node.NoOp
	class eventabi.PayloadClass
}

func (e *echo) Declaration() node.Declaration {
	return node.Declaration{
		Type: "echo", Package: "nodetest", Version: "v1", Inputs: []node.Type{node.TypeTextDelta, node.TypeTimer}, Outputs: []node.Type{node.TypeTextDelta},
		Streaming: node.StreamFinal, Scope: node.ScopeTurn, Class: node.Preemptible, State: []node.StateClass{node.StateTurn},
	}
}

func (e *echo) OnEvent(ctx *node.Context, ev *node.Event) error {
	if _, over := ctx.Cancel.Cancelled(); over {
		return nil
	}
	ctx.Telemetry.Count("events", 1)
	if ev.Type == node.TypeTimer {
		v, _ := ctx.State.Get(node.StateTurn, "text")
		ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta, Class: e.class, Text: string(v)})
		return nil
	}
	e.class = ev.Class
	ctx.Timebase.WakeAt(ctx.Timebase.Now() + node.Instant(50*time.Millisecond))
	return ctx.State.Put(node.StateTurn, "text", []byte(ev.Text))
}

func TestHarness(t *testing.T) {
	h := nodetest.New(t, &echo{})
	h.Event(node.Event{Type: node.TypeTextDelta, Text: "hello"})
	h.Advance(49 * time.Millisecond)
	if n := len(h.Emitted()); n != 0 {
		t.Fatalf("%d events before the timer", n)
	}
	h.Advance(time.Millisecond)
	if list := h.Emitted(); len(list) != 1 || list[0].Text != "hello" || h.Count("events") != 2 {
		t.Errorf("emitted %+v, %d events counted", list, h.Count("events"))
	}
	h.Cancel(node.Cancel{Scope: eventabi.CancelTurn, Reason: "barge_in"})
	if c, over := h.Context().Cancel.Cancelled(); !over || c.Reason != "barge_in" {
		t.Errorf("the token says %+v %v", c, over)
	}
	h.Stop()
	if fmt.Sprint(h.Types()) != "[text_delta]" {
		t.Errorf("types %v", h.Types())
	}
	want := "init; start; on_event text_delta; on_event timer; emit text_delta \"hello\"; on_cancel; stop"
	if got := strings.Join(h.Trace(), "; "); got != want {
		t.Errorf("happened %s", got)
	}
}

// A script: what comes, what is awaited, and in which order.
func TestPlay(t *testing.T) {
	h := nodetest.Play(t, &echo{},
		nodetest.Give(*say("one")), nodetest.Expect(),
		nodetest.Wait(50*time.Millisecond), nodetest.Expect(`text_delta "one"`),
		nodetest.Give(*say("two"), *say("three")), nodetest.Wait(time.Second), nodetest.Expect(`text_delta "three"`),
		nodetest.Exhausted(node.BudgetTerminate), nodetest.Give(*say("four")),
		nodetest.Interrupt(), nodetest.Wait(time.Second), nodetest.Expect(),
	)
	trace := h.Trace()
	if last := trace[len(trace)-4:]; !slices.Equal(last, []string{"on_barge_in", "on_cancel", "on_event timer", "stop"}) {
		t.Errorf("it ended %q", trace)
	}
}

// What the state keeps beyond a turn is there in the next one, and nothing else.
func TestNextTurn(t *testing.T) {
	nodetest.Play(t, &echo{}, nodetest.Keep(node.StateHot, "seen", "1"), nodetest.Give(*say("one")), func(h *nodetest.Harness) {
		if v, _ := h.Get(node.StateTurn, "text"); v != "one" {
			t.Errorf("the turn's state is %q", v)
		}
		h.Stop()
		next := h.NextTurn(&echo{})
		next.Start()
		if v, ok := next.Get(node.StateTurn, "text"); ok {
			t.Errorf("of the turn before there is %q", v)
		}
		if v, _ := next.Get(node.StateHot, "seen"); v != "1" || next.Context().Turn == h.Context().Turn {
			t.Errorf("the session's state is %q, the turn %q", v, next.Context().Turn)
		}
		next.Stop()
	})
}

// slow asks a service that takes its time, on a goroutine of its own.
type slow struct {
	node.NoOp
	took time.Duration
	left chan int64
}

func (s *slow) Declaration() node.Declaration {
	return node.Declaration{Type: "slow", Package: "nodetest", Inputs: []node.Type{node.TypeSegment}, Outputs: []node.Type{node.TypeSegment}, LongRunning: true}.WithDefaults()
}

func (s *slow) OnEvent(ctx *node.Context, ev *node.Event) error {
	out := *ev
	s.left <- ctx.Budget.RemainingMS()
	go func() {
		timer := time.NewTimer(s.took)
		defer timer.Stop()
		select {
		case <-timer.C:
			ctx.Emit(&out)
		case <-ctx.Cancel.Done():
		}
	}()
	return nil
}

// Own goroutines of a node live in the script's time; a budget shrinks; an instance that was
// given up emits nothing any more.
func TestPlayOwnGoroutines(t *testing.T) {
	left := make(chan int64, 8)
	nodetest.Play(t, &slow{took: time.Hour, left: left},
		nodetest.WithBudget(2*time.Second), nodetest.Give(nodetest.Segment(0, "one")), nodetest.Wait(1500*time.Millisecond),
		nodetest.Give(nodetest.Segment(1, "two")), nodetest.Expect(), nodetest.Wait(time.Hour), nodetest.Expect(`segment "one"`, `segment "two"`),
		nodetest.Give(nodetest.Segment(2, "three")), nodetest.TimedOut(), nodetest.Wait(2*time.Hour), nodetest.Expect(),
	)
	if a, b, c := <-left, <-left, <-left; a != 2000 || b != 500 || c != 0 {
		t.Errorf("the budget was %d, %d, %d", a, b, c)
	}
}

// An event that is answered later is over when its answer is there.
func TestPlayLater(t *testing.T) {
	about := node.Declaration{Type: "later", Package: "nodetest", Inputs: []node.Type{node.TypeSegment}, Outputs: []node.Type{node.TypeSegment}}
	n := &node.Func{About: about.WithDefaults(), Event: func(ctx *node.Context, ev *node.Event) error {
		out, done := *ev, ctx.Later()
		go func() {
			defer done()
			time.Sleep(time.Second)
			ctx.Emit(&out)
		}()
		return nil
	}}
	nodetest.Play(t, n, nodetest.Give(nodetest.Segment(0, "one")), nodetest.Expect(`segment "one"`))
}

func TestConformKind(t *testing.T) {
	type config struct {
		Took int64 `json:"took_ms"`
	}
	nodetest.Conform(t, node.KindOf(config{}, func(c config) (node.Node, error) {
		return &slow{took: time.Duration(c.Took) * time.Millisecond, left: make(chan int64, 64)}, nil
	}), `{"took_ms":250}`, func(s *nodetest.Suite) { s.Advance = time.Second })
}

func TestSamples(t *testing.T) {
	types := []node.Type{node.TypeSegment, node.TypeTimer, "weather_report", node.TypeTranscript, node.TypeTextEnd, node.TypeTextStart}
	var got []string
	for _, ev := range nodetest.Samples(types) {
		if got = append(got, string(ev.Type)); ev.Kind == "" || ev.Class == "" {
			t.Errorf("%+v", ev)
		}
	}
	if want := "transcript transcript text_start segment segment text_end weather_report"; strings.Join(got, " ") != want {
		t.Errorf("got %q", got)
	}
}
