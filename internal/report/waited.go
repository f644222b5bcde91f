// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/observability/waits"
)

// waitedView is what waited as the page tells it in words and tables.
type waitedView struct {
	Lead     string
	Legend   bool // something is drawn
	Decided  []fact
	Rows     []waitedRow
	Settings []settingRow
}

// waitedRow is an edge as the table tells it.
type waitedRow struct {
	ID, Ends                    string
	Lost, Drops                 bool
	Offered, Delivered, Dropped string
	Reasons, Merged, Items      string
	Media, Wait, Marks, Flow    string
	Credits, Blocked, Resets    string
}

// profileLayer is the layer of what nobody has set.
const profileLayer = "profile"

// settingRow is one setting of all edges.
type settingRow struct {
	Field  string
	Values []waits.Setting
}

// payloadWaits is what waited as the page draws it: the marks in words, and of the policies
// nothing, which the table has.
type payloadWaits struct {
	Edges []payloadEdge `json:"edges"`
	Marks []payloadMark `json:"marks"`
}

type payloadEdge struct {
	waits.Edge
	Policy   []waits.Setting `json:"policy,omitempty"`
	Eventful bool            `json:"eventful"`
}

type payloadMark struct {
	waits.Mark
	Text string `json:"text"`
}

func payloadWaitsOf(d *Data) *payloadWaits {
	if d.Waits == nil {
		return nil
	}
	p := &payloadWaits{Edges: []payloadEdge{}, Marks: make([]payloadMark, 0, len(d.Waits.Marks))}
	for i := range d.Waits.Edges {
		e := payloadEdge{Edge: d.Waits.Edges[i], Eventful: d.Waits.Edges[i].Eventful()}
		if !e.Eventful {
			e.Steps = nil // not drawn
		}
		p.Edges = append(p.Edges, e)
	}
	for i := range d.Waits.Marks {
		m := &d.Waits.Marks[i]
		p.Marks = append(p.Marks, payloadMark{Mark: *m, Text: m.Text()})
	}
	return p
}

func waitedViewOf(d *Data) waitedView {
	a := d.Waits
	if a == nil {
		return waitedView{}
	}
	v := waitedView{Decided: decidedOf(a)}
	eventful := 0
	for i := range a.Edges {
		e := &a.Edges[i]
		if e.Eventful() {
			eventful++
		}
		v.Rows = append(v.Rows, waitedRowOf(e))
	}
	v.Legend = eventful > 0
	v.Lead = "On none of the edges was anything dropped, merged or held back."
	if eventful > 0 {
		v.Lead = fmt.Sprintf("On %d of %d edges something was dropped, merged or held back; the timeline shows when.", eventful, len(a.Edges))
	}
	if a.Unmarked > 0 {
		v.Lead += fmt.Sprintf(" %d marks are too many to be drawn.", a.Unmarked)
	}
	v.Settings = settingRows(a)
	return v
}

// waitedRowOf leaves a dash where nothing was counted.
func waitedRowOf(e *waits.Edge) waitedRow {
	c := &e.Counts
	return waitedRow{
		ID: e.ID, Ends: e.From + " → " + e.To, Lost: e.Lost, Drops: c.Drops > 0,
		Offered: strconv.FormatInt(c.Offered.Sum(), 10), Delivered: strconv.FormatInt(c.Delivered.Sum(), 10),
		Dropped: some(c.Drops), Reasons: orAbsent(counted(c.Dropped)), Merged: some(c.Merged),
		Items: fmt.Sprintf("%d of %d", c.PeakItems.Sum(), e.MaxItems),
		Media: someTime(c.PeakMS), Wait: someTime(c.LongestWaitMS),
		Marks: pair(c.Highs, c.Lows), Flow: pair(c.XOffs, c.XOns),
		Credits: some(c.Granted), Blocked: some(c.Blocked), Resets: some(c.Discontinuities),
	}
}

func some(n int64) string {
	if n == 0 {
		return absent
	}
	return strconv.FormatInt(n, 10)
}

func someTime(ms float64) string {
	if ms == 0 {
		return absent
	}
	return duration(ms)
}

func pair(a, b int64) string {
	if a+b == 0 {
		return absent
	}
	return fmt.Sprintf("%d / %d", a, b)
}

// counted is a count by name as "name 3, other 1", by name.
func counted(of map[string]int64) string {
	parts := make([]string, 0, len(of))
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(parts, ", ")
}

// decidedOf says what was decided under pressure; what did not occur is left out.
func decidedOf(a *waits.Account) []fact {
	var facts []fact
	add := func(label, value, tone string) {
		if value != "" {
			facts = append(facts, fact{Label: label, Value: value, Tone: tone})
		}
	}
	if out := a.Admission; out.Outcome != "" {
		text, tone := out.Outcome+": "+out.Reason, ""
		if out.RetryAfterMS > 0 {
			text += fmt.Sprintf("; come again in %s", duration(float64(out.RetryAfterMS)))
		}
		if out.Outcome != "admit" {
			tone = "bad"
		}
		add("session", text, tone)
	}
	add("decisions", counted(a.Admission.Later), "")
	add("turned away", counted(a.Admission.Refused), "bad")
	if a.Load.Changes > 0 {
		add("overload", fmt.Sprintf("up to %s, %s at the end, %d changes", a.Load.Highest, a.Load.Last, a.Load.Changes), "")
	}
	add("budget warnings", counted(a.Budgets.Warnings), "")
	add("budgets exhausted", counted(a.Budgets.Exhaustions), "bad")
	add("degrade steps", counted(a.Budgets.Degrades), "bad")
	add("fallbacks", strings.TrimPrefix(some(a.Budgets.Fallbacks), absent), "bad")
	return facts
}

// Set says that somebody has set a value of a layer: it is not the profile's.
func (waitedView) Set(layer string) bool { return layer != profileLayer }

// settingRows lays the policies of all edges side by side, in the order of the plan.
func settingRows(a *waits.Account) []settingRow {
	var fields []string
	for i := range a.Edges {
		at := 0
		for _, s := range a.Edges[i].Policy {
			if n := slices.Index(fields, s.Field); n >= 0 {
				at = n + 1
				continue
			}
			fields = slices.Insert(fields, at, s.Field)
			at++
		}
	}
	rows := make([]settingRow, len(fields))
	for n, field := range fields {
		rows[n] = settingRow{Field: field, Values: make([]waits.Setting, len(a.Edges))}
		for i := range a.Edges {
			rows[n].Values[i].Value = absent
			for _, s := range a.Edges[i].Policy {
				if s.Field == field {
					if s.Layer == controlplane.ProvenanceProfile {
						s.Layer = profileLayer
					}
					rows[n].Values[i] = s
				}
			}
		}
	}
	return rows
}
