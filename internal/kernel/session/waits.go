// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// An edge's budget is how long an item may wait on it while its clock runs (flow section 8).
// It is charged when the item goes, and by time while it lies there: what nobody takes is
// told at 80 % and at the end as well. Only the oldest item of an edge is asked.

// timed says that waiting on an edge counts: something takes from it item by item. Sound
// that is read where it lies, and what is taken in the pass in which it comes, waits for
// nobody.
func (m *Machine) timed(n int) bool {
	switch m.edges.kinds[n] {
	case edgeReply, edgeClient, voiceEdges:
		return true
	case edgeVAD, edgeSTT, edgeWords, edgeVoice, edgeTelemetry:
	}
	return false
}

// waitLimit is how long an item that has waited so far may wait in all: the edge's own
// budget, or what is left of the turn's where the turn waits for it and that is less.
func (m *Machine) waitLimit(n int, waited timebase.Span) timebase.Span {
	limit := timebase.MS(m.settings.EdgeBudgetMS)
	if limit == 0 {
		limit = timebase.MS(turn.ProfileBudgets().EdgeBudgetMSDefault)
	}
	if m.edges.board.Ends(n).Side || m.scopeTurn() == "" || waited >= limit {
		return limit
	}
	return waited + min(limit-waited, m.turn.budget.Remaining(m.now))
}

// waited charges what an item has waited to the edge's budget.
func (m *Machine) waited(n int, lane flow.Lane, waited timebase.Span) {
	if lane != flow.Data {
		return
	}
	if limit := m.waitLimit(n, waited); waited >= limit/100*turn.WarningPercent {
		ends := m.edges.board.Ends(n)
		m.edgeSpent(eventabi.EdgeID(ends.ID), ends.Side, waited, limit)
	}
}

// expireWaits charges what the oldest items have waited so far.
func (m *Machine) expireWaits() {
	for n := range m.edges.kinds {
		if m.timed(n) && m.waitDue(n) <= m.now {
			m.waited(n, flow.Data, m.edges.board.Edge(n).Age(m.now))
		}
	}
}

// waitsDue is when the budget of an edge has something to say about what lies there.
func (m *Machine) waitsDue() timebase.Instant {
	due := timebase.Never
	for n := range m.edges.kinds {
		if m.timed(n) {
			due = timebase.Earliest(due, m.waitDue(n))
		}
	}
	return due
}

func (m *Machine) waitDue(n int) timebase.Instant {
	e := m.edges.board.Edge(n)
	if !e.Ages() {
		return timebase.Never
	}
	ends := m.edges.board.Ends(n)
	var id eventabi.TurnID
	if !ends.Side {
		id = m.scopeTurn()
	}
	limit := m.waitLimit(n, e.Age(m.now))
	spent := turn.Allow(0, limit)
	if s := m.metered(turn.ScopeEdge, ends.ID, id); s != nil {
		spent = *s
		spent.Within(limit)
	} else if len(m.meters) >= maxMeters {
		return timebase.Never // there is no account to charge
	}
	next := spent.Deadline()
	if next == timebase.Never {
		return next
	}
	return e.Reaches(timebase.Span(next))
}
