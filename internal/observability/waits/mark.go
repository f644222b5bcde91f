// SPDX-License-Identifier: Apache-2.0

package waits

import (
	"fmt"
	"strings"
)

const (
	// MaxMarks bounds the marks of an account.
	MaxMarks = 4000
	// MaxMarksEach bounds those of one edge, and those of none: one edge that flutters does
	// not hide the others.
	MaxMarksEach = 500
	// joinMS is for how long merges and grants of credits at an edge are one mark: there may
	// be one for each item.
	joinMS = 1000
)

// What is the kind of a mark.
type What string

// The kinds of marks.
const (
	HighMark        What = "high"             // an edge rose above its high watermark
	LowMark         What = "low"              // it has fallen to its low watermark
	Drop            What = "drop"             // a run of items was dropped
	Merge           What = "merge"            // a merged item was delivered
	XOff            What = "xoff"             // a producer is to stop
	XOn             What = "xon"              // it may go on
	Credit          What = "credit"           // a producer has further credits
	Discontinuity   What = "discontinuity"    // consumers of a sync domain reset
	CutOff          What = "cut_off"          // a side edge was given up
	Shed            What = "shed"             // the host's load has an edge shed
	Degrade         What = "degrade"          // a step of the degrade ladder
	Fallback        What = "fallback"         // a line stands in for an answer
	BudgetWarning   What = "budget_warning"   // four fifths of a budget are used
	BudgetExhausted What = "budget_exhausted" // a budget is used up
	Overload        What = "overload"         // the host is at another level
	Refusal         What = "refusal"          // a session, a turn or a proposal was not let in
)

// Mark is something that pressure did. Which fields are set depends on What.
type Mark struct {
	AtMS   float64 `json:"at_ms"`
	What   What    `json:"what"`
	Edge   string  `json:"edge_id,omitempty"`
	Lane   string  `json:"lane,omitempty"`
	Turn   string  `json:"turn_id,omitempty"`
	Reason string  `json:"reason,omitempty"`
	// Name is the step of a degrade, the level of an overload, the outcome of a refusal, what
	// a budget's end led to, or the domain of a discontinuity.
	Name string `json:"name,omitempty"`
	// Count is of dropped or merged items, or of credits; Times is of how many merges or
	// grants within a second it is the sum, 0 = one.
	Count int64 `json:"count,omitempty"`
	Times int64 `json:"times,omitempty"`
	// Items and MS are the depth at a watermark, or what was used of a budget; Limit is the
	// budget, or after how many milliseconds to come again.
	Items  int64  `json:"items,omitempty"`
	MS     int64  `json:"ms,omitempty"`
	Limit  int64  `json:"limit,omitempty"`
	Action string `json:"action,omitempty"` // the plan's, at a watermark
}

// Bad says that something was lost or given up.
func (m *Mark) Bad() bool {
	switch m.What {
	case Drop, Discontinuity, CutOff, Shed, Degrade, Fallback, BudgetExhausted, Refusal:
		return true
	case Overload:
		return m.Name != levelNone
	case HighMark, LowMark, Merge, XOff, XOn, Credit, BudgetWarning:
	}
	return false
}

// Text says a mark in words, without its instant and its kind.
func (m *Mark) Text() string {
	edge := m.Edge
	if m.Lane != "" && m.Lane != "DataLane" {
		edge += " (" + m.Lane + ")"
	}
	switch m.What {
	case HighMark:
		return join(fmt.Sprintf("%s is above its high mark: %s, %d ms", edge, count(m.Items, "item"), m.MS), "; then ", m.Action)
	case LowMark:
		return fmt.Sprintf("%s is down at its low mark: %s, %d ms", edge, count(m.Items, "item"), m.MS)
	case Drop:
		return fmt.Sprintf("%s dropped %s: %s", edge, count(m.Count, "item"), m.Reason)
	case Merge:
		return fmt.Sprintf("%s merged %s into %d", edge, count(m.Count, "item"), max(m.Times, 1))
	case XOff:
		return edge + ": the producer is to stop"
	case XOn:
		return edge + ": the producer may go on"
	case Credit:
		return edge + ": " + count(m.Count, "further credit")
	case Discontinuity:
		if edge == "" {
			return "caller audio is missing: " + m.Reason
		}
		return join(edge+": consumers reset", " in domain ", m.Name) + ": " + m.Reason
	case CutOff:
		return edge + " is cut off: it cannot keep up with what may not be shed"
	case Shed:
		return edge + " sheds what comes: " + m.Reason
	case Degrade:
		return join(m.Name, ": ", m.Reason)
	case Fallback:
		return "a line stands in for the answer: " + m.Reason
	case BudgetWarning, BudgetExhausted:
		return m.budget()
	case Overload:
		return m.overload()
	case Refusal:
		return m.refusal()
	}
	return string(m.What)
}

func (m *Mark) budget() string {
	what := m.Reason
	if m.Edge != "" {
		what += " of " + m.Edge
	} else if m.Name != "" && !strings.Contains(what, m.Name) {
		what += " of " + m.Name
	}
	text := fmt.Sprintf("%s: %d of %d ms used", what, m.MS, m.Limit)
	if m.Limit == 0 {
		text = what
	}
	return join(text, "; ", m.Action)
}

func (m *Mark) overload() string {
	if m.Name == levelNone {
		return "the host is not overloaded any more"
	}
	return join("the host gives up "+strings.ReplaceAll(m.Name, "_", " ")+" and what comes before", ": ", m.Reason)
}

func (m *Mark) refusal() string {
	text := join(m.Name, ": ", m.Reason)
	if m.Limit > 0 {
		text += fmt.Sprintf("; come again in %d ms", m.Limit)
	}
	return text
}

// join puts more behind text, when there is more.
func join(text, between, more string) string {
	if more == "" {
		return text
	}
	return text + between + more
}

func count(n int64, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
