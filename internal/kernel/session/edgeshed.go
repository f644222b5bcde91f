// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/internal/kernel/flow"
)

// shedding says that an item is not let onto its edge: the edge was cut off.
func (m *Machine) shedding(n int, it *flow.Item) bool {
	if !m.edges.lost[n] {
		return false
	}
	m.released(&flow.Event{Edge: n, Handle: it.Handle})
	return true
}

// emptyEdges lets go of everything that lies on edges when the session ends.
func (m *Machine) emptyEdges() {
	for n := range m.edges.board.Len() {
		e := m.edges.board.Edge(n)
		if v := m.edges.kinds[n]; v == edgeVAD || v == edgeSTT { // who listens stops listening: nothing is lost
			e.Consume(m.now, 0, m.heard, &m.edges.log)
		}
		e.Empty(m.now, flow.Fenced, &m.edges.log)
	}
	m.edges.board.Announce(&m.edges.log)
	m.report()
	m.edges.parked, m.edges.words = m.edges.parked[:0], m.edges.words[:0]
}
