// SPDX-License-Identifier: Apache-2.0

package waits

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Account is what waited in a session. Instants are milliseconds since it began.
type Account struct {
	// Edges in the order of their first use.
	Edges []Edge `json:"edges"`
	// Marks in the order in which they were made; Unmarked counts those beyond MaxMarks.
	Marks     []Mark    `json:"marks"`
	Unmarked  int64     `json:"unmarked"`
	Admission Admission `json:"admission"`
	Load      Load      `json:"load"`
	Budgets   Budgets   `json:"budgets"`
}

// Edge is one edge of the session.
type Edge struct {
	ID   string `json:"edge_id"`
	From string `json:"from"`
	To   string `json:"to"`
	// Side says that the turn can do without it; Lost that it was cut off.
	Side bool `json:"side"`
	Lost bool `json:"cut_off"`
	// Bounds of what waits at once.
	MaxItems int64 `json:"max_queue_items"`
	MaxMS    int64 `json:"max_queue_ms"`
	MaxBytes int64 `json:"max_queue_bytes"`
	// Credits says that its producer needs one for each item.
	Credits bool   `json:"credits"`
	Counts  Counts `json:"counts"`
	Depth   Depth  `json:"-"` // now
	// Policy is what it obeys, with the layer of each value.
	Policy []Setting `json:"policy"`
	Steps  []Step    `json:"steps,omitempty"`
}

// Lanes is a count of each lane.
type Lanes struct {
	Control   int64 `json:"control"`
	Data      int64 `json:"data"`
	Telemetry int64 `json:"telemetry"`
}

// Sum is all lanes together.
func (l Lanes) Sum() int64 { return l.Control + l.Data + l.Telemetry }

// Counts are an edge's counters since it was made (flow sections 1 to 5).
type Counts struct {
	Offered   Lanes `json:"offered"`
	Delivered Lanes `json:"delivered"`
	// Dropped counts by reason; a reason that did not occur is absent.
	Dropped   map[string]int64 `json:"dropped"`
	Drops     int64            `json:"dropped_total"`
	Merged    int64            `json:"merged"`    // into a neighbour
	Coalesced int64            `json:"coalesced"` // control that was there already
	// Blocked counts offers whose producer had to wait, Overflows those of protected items
	// for which there was no room at all.
	Blocked         int64   `json:"blocked"`
	Overflows       int64   `json:"overflows"`
	Highs           int64   `json:"high_crossings"`
	Lows            int64   `json:"low_crossings"`
	XOffs           int64   `json:"flow_xoff"`
	XOns            int64   `json:"flow_xon"`
	Granted         int64   `json:"credits_granted"`
	Discontinuities int64   `json:"discontinuities"`
	PeakItems       Lanes   `json:"highest_depth_items"`
	PeakBytes       int64   `json:"highest_depth_bytes"`
	PeakMS          float64 `json:"highest_depth_ms"` // media
	LongestWaitMS   float64 `json:"longest_wait_ms"`  // of a delivered item
}

// Quiet says that items came and went and nothing else happened.
func (c *Counts) Quiet() bool {
	return c.Drops+c.Merged+c.Coalesced+c.Blocked+c.Overflows+c.Highs+c.Lows+c.XOffs+c.XOns+c.Discontinuities == 0
}

// Depth is what lies in an edge.
type Depth struct {
	Items  int64
	MS     float64 // the longer of the media that lies there and the age of the oldest item
	Bytes  int64
	Blocks int64 // producers that wait
	Off    bool  // the producer was told to stop
	High   bool  // above the high watermark
	Credit int64 // in the producer's hand
}

// Step is how deep an edge was from an instant on: the deepest of its stretch. It is
// written as [at_ms, items, ms].
type Step struct {
	AtMS  float64
	Items int64
	MS    float64
}

// MarshalJSON writes a step as three numbers.
func (s Step) MarshalJSON() ([]byte, error) {
	return json.Marshal([3]float64{s.AtMS, float64(s.Items), s.MS})
}

// UnmarshalJSON reads three numbers.
func (s *Step) UnmarshalJSON(b []byte) error {
	var v [3]float64
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("step: %w", err)
	}
	s.AtMS, s.Items, s.MS = v[0], int64(v[1]), v[2]
	return nil
}

// Setting is one value that an edge obeys and the layer that it came from.
type Setting struct {
	Field string `json:"field"`
	Value string `json:"value"`
	Layer string `json:"layer"`
}

// Admission is what was decided about the session and the turns in it.
type Admission struct {
	// Outcome of the session's own: admit, reject or defer; empty when nobody asked. Reason
	// names what was reached, and RetryAfterMS when to come again, 0 = not said.
	Outcome      string `json:"outcome,omitempty"`
	Reason       string `json:"reason,omitempty"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
	// Used and Max are the count and the bound that decided it, 0 = it was none.
	Used int64 `json:"used,omitempty"`
	Max  int64 `json:"max,omitempty"`
	// Later decisions by outcome: about turns, proposals and items.
	Later map[string]int64 `json:"later"`
	// Refused counts them by reason, without the admissions.
	Refused map[string]int64 `json:"refused"`
}

// Load is how overloaded the host was.
type Load struct {
	Changes int64 `json:"changes"`
	// Highest and Last are levels: none, telemetry, queued_proposals, new_sessions,
	// low_priority; each sheds what those before it shed as well.
	Highest string `json:"highest"`
	Last    string `json:"last"`
}

// Budgets counts what was told of budgets, by which budget it was.
type Budgets struct {
	Warnings    map[string]int64 `json:"warnings"`
	Exhaustions map[string]int64 `json:"exhaustions"`
	// Degrades counts steps of the ladder by step.
	Degrades map[string]int64 `json:"degrade_steps"`
	// Fallbacks counts answers that a line stood in for.
	Fallbacks int64 `json:"fallbacks"`
}

// Edge gives an edge by its id, nil when it was never used.
func (a *Account) Edge(id string) *Edge {
	for i := range a.Edges {
		if a.Edges[i].ID == id {
			return &a.Edges[i]
		}
	}
	return nil
}

// Eventful says that something happened at an edge besides coming and going.
func (e *Edge) Eventful() bool { return e.Lost || !e.Counts.Quiet() }

func countsOf(s *flow.Stats) Counts {
	c := Counts{
		Offered: lanes(s.Offered), Delivered: lanes(s.Delivered), Dropped: map[string]int64{}, Drops: s.Drops(),
		Merged: s.Merged, Coalesced: s.Coalesced, Blocked: s.Waited, Overflows: s.Overflows, Highs: s.Highs, Lows: s.Lows,
		XOffs: s.XOffs, XOns: s.XOns, Granted: s.Granted, Discontinuities: s.Markers,
		PeakItems: lanes(s.PeakItems), PeakBytes: s.PeakBytes, PeakMS: millis(s.PeakMedia), LongestWaitMS: millis(s.LongestWait),
	}
	for r := flow.NoReason + 1; r < flow.ReasonCount; r++ {
		if n := s.Dropped[r]; n > 0 {
			c.Dropped[r.String()] = n
		}
	}
	return c
}

func lanes(of [3]int64) Lanes {
	return Lanes{Control: of[flow.Control], Data: of[flow.Data], Telemetry: of[flow.Telemetry]}
}

func depthOf(d *flow.Depth) Depth {
	return Depth{
		Items: d.Items[flow.Control] + d.Items[flow.Data] + d.Items[flow.Telemetry], MS: millis(max(d.Media, d.Age)),
		Bytes: d.Bytes, Blocks: d.Waiting, Off: d.Off, High: d.High, Credit: d.Credit,
	}
}

// millis is a stretch of time in milliseconds, to the microsecond.
func millis(s timebase.Span) float64 {
	return math.Round(float64(s)/float64(time.Microsecond)) / 1000
}
