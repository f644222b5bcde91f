// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/load"
)

// The floor counts every wake-up, by the C program and by threads of our own.
func TestFloor(t *testing.T) {
	f, err := newFloor()
	if err != nil {
		t.Fatal(err)
	}
	defer f.remove()
	for _, one := range []*floor{f, {}} {
		list, err := one.measure(t.Context(), 100*time.Millisecond)
		if err != nil || len(list) != floorThreads*5 {
			t.Fatalf("%s: %d wake-ups, %v", one.name(), len(list), err)
		}
		for _, late := range list {
			if late < 0 {
				t.Errorf("%s: a wake-up was %v early", one.name(), time.Duration(-late))
			}
		}
	}
}

func TestBareFrames(t *testing.T) {
	for _, sessions := range []int{1, 100} {
		in, out := bareFrames(Options{Each: time.Millisecond, Now: time.Now}.withDefaults(), sessions)
		if in <= 0 || out <= 0 {
			t.Errorf("%d: %v ns a caller frame, %v ns an agent frame", sessions, in, out)
		}
	}
}

// Rows of crowds: ratios are of pairs, a machine that does not carry the frames misses P4,
// and windows that were all void are told as such.
func TestCrowdRows(t *testing.T) {
	c := newCrowds(Options{Each: time.Millisecond, Now: time.Now}.withDefaults())
	window := func(p99, cores float64, in int64) load.Window {
		return load.Window{Seconds: 1, P99: p99, Cores: cores, FramesIn: in, FramesOut: 1000, Stolen: 0.002}
	}
	c.floor = &floor{}
	c.runs[1000] = &crowdRun{sessions: 1000, floors: []float64{1e6, 2e6, 1e6}, windows: []load.Window{window(1, 1, 5e4), window(3, 1, 5e4), window(9, 1, 5e4)}}
	c.runs[10000] = &crowdRun{sessions: 10000, void: 15}
	rows, err := c.lateFrames()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if r := rows[0]; r.Ratio != 1 || r.Value != 3e6 || !r.Met || r.StolenPct != 0.2 || !strings.Contains(r.Note, "50000 frames/s in") {
		t.Errorf("P3: %+v", r)
	}
	if r := rows[1]; r.Met || r.Void != 15 || r.Note != crowdVoidNote {
		t.Errorf("all void: %+v", r)
	}
	for _, n := range []int{100, 300, 3000} {
		c.runs[n] = &crowdRun{sessions: n, void: 3}
	}
	if rows, err = c.curve(); err != nil || len(rows) != 5 {
		t.Fatalf("%d rows of the curve, %v", len(rows), err)
	}
	for i, void := range []int{3, 3, 0, 3, 15} {
		if r := rows[i]; r.Void != void || (r.Note == crowdVoidNote) != (void > 0) {
			t.Errorf("the curve with void windows: %+v", r)
		}
	}
	for carried, met := range map[int64]bool{500_000: true, 100_000: false} {
		c.runs[10000] = &crowdRun{sessions: 10000, floors: []float64{1e6}, windows: []load.Window{window(1, 0.001, carried)}}
		if rows, err = c.frameCost(); err != nil || rows[0].Met != met || rows[0].Ratio <= 0 {
			t.Errorf("P4 with %d frames carried: %+v, %v", carried, rows, err)
		}
	}
}
