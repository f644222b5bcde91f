// SPDX-License-Identifier: Apache-2.0

package segmenter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// hand is a node's clock that a test sets.
type hand struct{ now, wake node.Instant }

func (h *hand) Now() node.Instant      { return h.now }
func (h *hand) WakeAt(at node.Instant) { h.wake = at }

// turn runs events through a node and gives what it emitted.
func turn(t *testing.T, h *hand, n *Node, events ...node.Event) string {
	t.Helper()
	var got []string
	ctx := &node.Context{Timebase: h, Out: func(ev *node.Event) {
		got = append(got, fmt.Sprintf("%s %d %q", ev.Type, ev.Index, ev.Text))
	}}
	for i := range events {
		events[i].Invocation = "c1"
		if events[i].Type != node.TypeTimer && events[i].Type != node.TypeTaken {
			events[i].Kind = eventabi.KindText
		}
		h.now = max(h.now, events[i].At)
		if err := n.OnEvent(ctx, &events[i]); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(got, "; ")
}

func at(ms int) node.Instant { return node.Instant(time.Duration(ms) * time.Millisecond) }

func TestNodeCutsAndPassesTheEndOn(t *testing.T) {
	n, err := NewNode(Default())
	if err != nil {
		t.Fatal(err)
	}
	h := &hand{}
	got := turn(t, h, n,
		node.Event{Type: node.TypeTextStart},
		node.Event{Type: node.TypeTextDelta, Text: "It is ten o'clock. And this is the "},
		node.Event{Type: node.TypeTextDelta, Text: "second sentence. "},
		node.Event{Type: node.TypeTextEnd})
	want := `segment 0 "It is ten o'clock. "; segment 1 "And this is the second sentence. "; text_end 0 ""`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNodeAsksToBeWokenWhenTextWaits(t *testing.T) {
	n, err := NewNode(Default())
	if err != nil {
		t.Fatal(err)
	}
	h := &hand{}
	if got := turn(t, h, n, node.Event{Type: node.TypeTextDelta, At: at(100), Text: "Well then "}); got != "" {
		t.Fatalf("emitted %s, want a wait", got)
	}
	if h.wake != at(350) {
		t.Fatalf("wakes at %v, want 250 ms after the text", time.Duration(h.wake))
	}
	if got, want := turn(t, h, n, node.Event{Type: node.TypeTimer, At: at(350)}), `segment 0 "Well then "`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if h.wake != node.Never {
		t.Errorf("wakes at %v with nothing waiting", time.Duration(h.wake))
	}
}

// A second attempt begins with a clean slate: text of the first is not spoken.
func TestNodeForgetsAnEarlierAttempt(t *testing.T) {
	n, err := NewNode(Default())
	if err != nil {
		t.Fatal(err)
	}
	got := turn(t, &hand{}, n,
		node.Event{Type: node.TypeTextStart},
		node.Event{Type: node.TypeTextDelta, Text: "Once upon"},
		node.Event{Type: node.TypeTextStart},
		node.Event{Type: node.TypeTextDelta, Text: "Hello."},
		node.Event{Type: node.TypeTextEnd})
	if want := `segment 0 "Hello."; text_end 0 ""`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Past MaxPendingSegments text is held until the synthesiser has taken one.
func TestNodeHoldsUntilTaken(t *testing.T) {
	c := Default()
	c.MaxPendingSegments = 1
	n, err := NewNode(c)
	if err != nil {
		t.Fatal(err)
	}
	h := &hand{}
	sentence := "This sentence is long enough to leave alone. "
	if got := turn(t, h, n, node.Event{Type: node.TypeTextDelta, Text: sentence + sentence + "And"}); got != fmt.Sprintf("segment 0 %q", sentence) {
		t.Fatalf("got %s, want one segment", got)
	}
	if got := turn(t, h, n, node.Event{Type: node.TypeTaken}); got != fmt.Sprintf("segment 1 %q", sentence) {
		t.Errorf("got %s, want the next", got)
	}
}

func TestNodeDeclaration(t *testing.T) {
	n, err := NewNode(Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Check(n); err != nil {
		t.Error(err)
	}
	if _, err := NewNode(Config{}); err == nil {
		t.Error("a configuration of zeros was taken")
	}
}
