// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// pressed plays a stretch under pressure. at sees every step.
func pressed(v *View, at func(step string)) {
	edges := []Edge{
		{Name: "transport-vad", Items: 1, MaxItems: 64, Wait: 20 * time.Millisecond, MaxWait: time.Second, In: 3051, Out: 3050},
		{Name: "stt-llm", MaxItems: 64, MaxWait: 200 * time.Millisecond, In: 57, Out: 57},
		{Name: "llm-tts", Items: 4, MaxItems: 8, Wait: 2300 * time.Millisecond, MaxWait: time.Minute, In: 27, Out: 18, Dropped: 5, Off: true, High: true},
		{Name: "tts-transport", Items: 45, MaxItems: 1024, Wait: 9700 * time.Millisecond, MaxWait: 2 * time.Minute, In: 123_456, Out: 123_411, Merged: 12, High: true},
		{Name: "captions", MaxItems: 64, Wait: 10432 * time.Millisecond, MaxWait: 200 * time.Millisecond, In: 57, Dropped: 57, Lost: true},
		{Name: "notes-of-the-whole-day", Items: 3, MaxItems: 3, MaxWait: time.Second, In: 9, Out: 2, Blocked: true},
		{Name: "metrics", Items: 0, MaxItems: 512, MaxWait: time.Second, In: 12_345_678, Out: 99, Credited: true, Credits: 17},
		{Name: "eighth", MaxItems: 1, MaxWait: time.Second},
	}
	v.Floor(ms(900), Caller)
	v.Edges(ms(1000), edges[:2])
	v.Tick(ms(1000), 0.5, 0)
	at("two edges")
	v.Mark(ms(1100), "pressure", "high llm-tts", "llm-tts is above its high mark: 4 items, 2300 ms; then block", false)
	for i := range 5 {
		v.Mark(ms(1200+100*float64(i)), "drop", "drop llm-tts", "llm-tts dropped 1 item: max_items", true)
	}
	v.Mark(ms(1300), "overload", "overload", "the host gives up telemetry and what comes before: processor", true)
	v.Mark(ms(2400), "drop", "drop llm-tts", "llm-tts dropped 2 items: max_items", true)
	v.Edges(ms(2500), edges)
	v.Partial(ms(2500), "tell me a story")
	v.Tick(ms(2560), 0.5, 0.2)
	at("all edges")
	edges[2].Items = 0 // what was handed over was copied
	v.Tick(ms(2660), 0.5, 0.2)
	at("the same")
	_ = v.Close()
	at("closed")
}

func TestPanel(t *testing.T) {
	for _, columns := range []int{100, 80, 44} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			s := newScreen(t, columns)
			var seen strings.Builder
			v := Open(Settings{Out: s, Terminal: true, Width: func() int { return s.columns }})
			pressed(v, func(step string) {
				fmt.Fprintf(&seen, "== %s\n%s", step, s)
				for i, r := range s.rows {
					if r.wrapped {
						t.Errorf("row %d ran over the edge:\n%s", i, s)
					}
				}
			})
			golden(t, fmt.Sprintf("panel-%d.txt", columns), seen.String())
		})
	}
}

// Without a terminal there is no panel, and what pressure does is lines.
func TestPanelWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	pressed(New(&out, false, nil), func(string) {})
	if strings.ContainsAny(out.String(), "\x1b\r▮") {
		t.Error("plain output has a panel or escapes")
	}
	golden(t, "panel-plain.txt", out.String())
}

// The panel leaves the conversation its rows, and is not drawn where it would take them.
func TestPanelLeavesRoom(t *testing.T) {
	for rows, want := range map[int]int{0: 7, 50: 7, 24: 7, 14: 4, 12: 2, 11: 0, 3: 0} {
		s := newScreen(t, 80)
		v := Open(Settings{Out: s, Terminal: true, Width: func() int { return 80 }, Height: func() int { return rows }})
		edges := make([]Edge, 12)
		for i := range edges {
			edges[i] = Edge{Name: fmt.Sprintf("edge%d", i), MaxItems: 4}
		}
		v.Edges(0, edges)
		v.Tick(ms(100), 0, 0)
		if got := strings.Count(s.String(), "0/4"); got != want {
			t.Errorf("on %d rows %d edges are shown, want %d:\n%s", rows, got, want, s)
		}
	}
}

// Names come from files of the user.
func TestPanelWithHostileNames(t *testing.T) {
	s := newScreen(t, 80)
	v := Open(Settings{Out: s, Terminal: true, Color: true, ASCII: true, Width: func() int { return 80 }})
	hostile := "a\x1b[2Jb\r\n\u202e日本語の長い文字列"
	v.Edges(0, []Edge{{Name: hostile, Items: 9, MaxItems: 1, Wait: time.Hour, MaxWait: time.Millisecond}})
	v.Mark(0, hostile, hostile, hostile, true)
	v.Tick(ms(100), 0, 0) // the screen fails the test on any sequence that is not the view's own
	if !strings.Contains(s.String(), "######") {
		t.Errorf("a full edge is not drawn full:\n%s", s)
	}
}
