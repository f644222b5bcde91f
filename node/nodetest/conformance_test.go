// SPDX-License-Identifier: Apache-2.0

package nodetest_test

import (
	"fmt"
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
		})
	})
}

// echo says what it hears, until it is told to stop.
type echo struct{ node.NoOp }

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
		ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta, Class: eventabi.ClassTextRaw, Text: string(v)})
		return nil
	}
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
}
