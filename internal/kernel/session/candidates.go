// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// candidates lists the providers of a modality, the preferred one first.
func candidates(first, second string) []string {
	if second == "" {
		return []string{first}
	}
	return []string{first, second}
}

// switchable says whether an outcome may be met with another provider. A refusal for
// safety or policy is an answer, which nobody asked another provider to overrule; a call
// that was cancelled is wanted by nobody.
func switchable(class string) bool { return class != "blocked" && class != "cancelled" }

// mayMoveOn says whether a call may go on with the next candidate: the plan allows it,
// there is one, and nothing of this one was used.
func (m *Machine) mayMoveOn(c *call) bool {
	return m.allows(controlplane.ActionProviderSwitch) && c.chunks == 0 &&
		c.candidate+1 < int64(len(m.ordered(c)))
}

// ordered lists the providers that may serve a call, as the plan has them: of the node of the
// graph where that has its own, else of the modality.
func (m *Machine) ordered(c *call) []string {
	if c.node != "" {
		if list := m.graph.providers(c.node); list != nil {
			return list
		}
	}
	return m.plans.candidates[c.kind]
}

// servedBy is which of the ordered candidates serves, of a modality or of a node with its own.
func (m *Machine) servedBy(kind callKind, node eventabi.NodeID) int64 {
	if node != "" && m.graph.providers(node) != nil {
		return m.turn.run.served(node)
	}
	return m.turn.candidates[kind]
}

// serve has a candidate serve the rest of the turn.
func (m *Machine) serve(c *call) {
	if c.node != "" && m.graph.providers(c.node) != nil {
		m.turn.run.serve(c.node, c.candidate)
		return
	}
	m.turn.candidates[c.kind] = c.candidate
}

// movable gives the call whose attempts are over, if the next candidate may have it and
// there is time for that (turn-plan section 10); else nil. Where the execution pool has not
// taken the call, no candidate would be asked either.
func (m *Machine) movable(x *trouble) *call {
	c := m.call(x.call)
	if c == nil || !c.parked || x.shed || !switchable(x.class) || !m.mayMoveOn(c) || !m.fits(m.invocationTimeout()) {
		return nil
	}
	return c
}

// moveOn continues a call with the next candidate, which serves the rest of the turn as
// well (F-047). The attempts of the one before stay on record under the same id.
func (m *Machine) moveOn(c *call, reason string) {
	before := c.candidate
	c.candidate++
	if c.retryAt == 0 { // else the number is that of an attempt which has not begun
		c.attempt++
	}
	c.tries = 1
	m.serve(c)
	m.switchSignal(c, reason, before, c.candidate)
	m.startCall(c)
}

// switchSignal tells of a switch, from one of the ordered candidates to another.
func (m *Machine) switchSignal(c *call, reason string, from, to int64) {
	signal := m.emit(eventabi.SignalProviderSwitch, eventabi.EmitterInvocation, c.turn, reason)
	signal.ProviderInvocationID = c.id
	names := m.ordered(c)
	body := m.fx.body(96)
	body.str("modality", c.kind.String())
	body.str("from", names[from])
	body.str("to", names[to])
	if c.kind != callSTT {
		body.int("remaining_ms", m.left().MS())
	}
	signal.Payload = body.done()
}

// switchRecogniser gives the utterances that follow to the next candidate. They serve in
// turn: recognition begins before there is a turn whose plan could name the preferred one.
func (m *Machine) switchRecogniser(c *call, class, reason string) {
	n := int64(len(m.plans.candidates[callSTT]))
	if n < 2 || c.candidate != m.ear || !switchable(class) || !m.allows(controlplane.ActionProviderSwitch) {
		return
	}
	m.ear = (m.ear + 1) % n
	m.switchSignal(c, reason, c.candidate, m.ear)
}
