// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/observability/waits"
)

// panelEvery is how often the panel of edges is brought up to date: as often as a screen
// is drawn.
const panelEvery = 50 * time.Millisecond

// Look takes what lies in the session's edges after a pass.
func (c *Collector) Look(at time.Duration, v parley.EdgeView) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits.Look(timebase.Instant(at), v)
	if at-c.panelAt < panelEvery && at >= c.panelAt {
		return
	}
	c.panelAt = at
	c.panel = c.panel[:0]
	edges := c.waits.Edges()
	for i := range edges {
		c.panel = append(c.panel, panelEdge(&edges[i]))
	}
	c.view.Edges(at, c.panel)
}

func panelEdge(e *waits.Edge) console.Edge {
	return console.Edge{
		Name:  e.ID,
		Items: e.Depth.Items, MaxItems: e.MaxItems,
		Wait: millis(e.Depth.MS), MaxWait: time.Duration(e.MaxMS) * time.Millisecond,
		In: e.Counts.Offered.Sum(), Out: e.Counts.Delivered.Sum(), Dropped: e.Counts.Drops, Merged: e.Counts.Merged,
		Lost: e.Lost, Blocked: e.Depth.Blocks > 0, Off: e.Depth.Off, High: e.Depth.High,
		Credited: e.Credits, Credits: e.Depth.Credit,
	}
}

// marked shows a mark as it is made. Signals of flow and merges are in the panel: there
// may be one for each item.
func (c *Collector) marked(m *waits.Mark) {
	label := ""
	switch m.What {
	case waits.HighMark:
		label = "pressure"
	case waits.LowMark:
		label = "eased"
	case waits.Drop, waits.Shed, waits.Degrade, waits.Fallback, waits.Overload:
		label = string(m.What)
	case waits.Discontinuity:
		label = "reset"
	case waits.CutOff:
		label = "cut off"
	case waits.BudgetWarning, waits.BudgetExhausted:
		label = "budget"
	case waits.Refusal:
		label = "refused"
	case waits.Merge, waits.XOff, waits.XOn, waits.Credit:
		return
	}
	key := string(m.What) + " " + m.Edge
	if m.Edge == "" {
		key += m.Name + m.Reason // no two refusals are alike
	}
	c.view.Mark(m.At(), label, key, m.Text(), m.Bad())
}
