// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// result finds the running call that a result belongs to. A result of a call that has
// ended, was cancelled, or of another attempt is late: nothing comes of it.
func (m *Machine) result(id eventabi.InvocationID, attempt int64, kind callKind, in Input) *call {
	c := m.call(id)
	if c == nil || c.kind != kind || c.cancelled || c.idle() ||
		attempt != 0 && attempt != c.attempt || m.arbiter.State() != controlplane.TurnActive || c.turn != m.turn.id {
		m.late(in, turnOf(id))
		return nil
	}
	return c
}

// turnOf gives the turn that an invocation id names, whether or not its call is still
// known; empty for the prelude's.
func turnOf(id eventabi.InvocationID) eventabi.TurnID {
	if name, _, ok := strings.Cut(string(id), "-"); ok && strings.HasPrefix(name, "t") {
		return eventabi.TurnID(name)
	}
	return ""
}

// late evidences a result that came too late to count, with the action taken (lifecycle
// section 9; only speech of the caller can be remapped). Output of a fenced scope is
// counted apart: late_after_cancel.
func (m *Machine) late(in Input, id eventabi.TurnID) {
	if !isOutput(in) || id == "" || !m.fences.Has(eventabi.CancelTurn, string(id)) {
		m.refuse(m.lateCode(), in.kind(), id)
		return
	}
	m.counters.LateAfterCancel++
	if id == m.turn.id {
		m.turn.rejected++
	}
	m.refuse("late_after_cancel", in.kind(), id)
}

func isOutput(in Input) bool {
	switch in.kind() {
	case "progress", "segment", "tool_called", "speech", "delivery", "node_output":
		return true
	}
	return false
}

func (m *Machine) lateCode() string {
	if m.policy.Late == turn.LateDiagnostics {
		return "late_event:" + string(turn.LateDiagnostics)
	}
	return "late_event:" + string(turn.LateDrop)
}

// progress keeps a streaming call alive.
func (m *Machine) progress(in *Progress) {
	c := m.call(in.Invocation)
	if c == nil || c.cancelled || c.idle() || in.Attempt != 0 && in.Attempt != c.attempt {
		m.late(in, turnOf(in.Invocation))
		return
	}
	if c.kind != callSTT {
		m.renew(c)
	}
}

// segment takes a speakable piece of the reply. The first one is spoken while the
// model still writes.
func (m *Machine) segment(in *Segment) {
	c := m.result(in.Invocation, in.Attempt, callLLM, in)
	if c == nil {
		return
	}
	if m.turn.run != nil {
		m.routeSegment(in, c)
		return
	}
	reply := &m.turn.output.reply
	if in.Index != int64(reply.Len())-c.base {
		m.refuse("segment_out_of_order", in.kind(), c.turn)
		return
	}
	c.chunks++
	m.renew(c)
	if !m.addSegment(graph.Spoken{Text: in.Text.Handle, Runes: in.Text.Runes, Protected: in.Protected}) {
		m.refuse("segment_limit", in.kind(), c.turn)
		m.overflow(turn.EdgeLLMTTS, stageNone)
	}
}

// addSegment puts a piece into the reply; false when that has no room for it. The first
// one starts the path from the reply to its sound.
func (m *Machine) addSegment(s graph.Spoken) bool {
	t := &m.turn
	reply := &t.output.reply
	if !reply.Add(s) {
		return false
	}
	if reply.Muted() {
		m.show(reply.Len() - 1)
		m.recordHeard(t.output)
		return true
	}
	if t.firstOutput == 0 && reply.Len() == 1 && t.speech.Limit() == 0 {
		t.speech = t.budget.Nest(m.now, timebase.MS(t.plan.Budgets.PathBudgetMSDefault))
	}
	m.edge(edgeReply)
	m.give(m.edges.number[edgeReply]-1, flow.Item{
		Handle: s.Text, Kind: flow.Final, Lane: flow.Data, Stream: 1,
		Scope: t.output.generation, Bytes: mostBytes(s.Runes), Of: string(t.id),
	})
	m.sayNext()
	return true
}

// sayNext hands the next segment to the synthesiser, one at a time and not too far
// ahead of the listener.
func (m *Machine) sayNext() {
	t := &m.turn
	if m.arbiter.State() != controlplane.TurnActive || t.output.cancelled {
		return
	}
	i, ok := t.output.reply.Next()
	if ok {
		m.report() // that the synthesiser may go on is told before it is asked to
	}
	if !ok || m.egressFull() {
		return
	}
	it, ok := m.edge(edgeReply).Take(m.now, &m.edges.log)
	if !ok {
		return // it waits with the segmenter
	}
	m.waited(m.edges.number[edgeReply]-1, it.Lane, it.Waited)
	c, ok := m.newCall(callTTS, i, 1, m.voiceOf(i))
	if !ok {
		return
	}
	t.output.reply.Begin()
	m.startCall(c)
}

// egressFull says that enough sound lies ahead of the listener: the synthesiser was told
// to stop, and is asked for nothing more until the edge has room (flow section 3).
func (m *Machine) egressFull() bool {
	n := m.edges.number[edgeVoice]
	return n > 0 && m.edges.board.Edge(n-1).Off(flow.Data)
}

// outputBegan: the first output, sound or text, ends the turn's envelope.
func (m *Machine) outputBegan() {
	t := &m.turn
	if t.firstOutput == 0 {
		t.firstOutput = m.now
		t.budget.Output()
		m.nestAll()
		t.speech.Close()
	}
}

// finished asks for the terminal evidence once nothing more will be spoken.
func (m *Machine) finished() {
	t := &m.turn
	if m.arbiter.State() != controlplane.TurnActive || t.appending || !t.asked || !t.output.reply.Complete() ||
		len(m.edges.parked) > 0 || m.unheardAny() {
		return
	}
	t.appending = true
	m.endAudio(t.output)
	m.fx.add(&AppendTerminal{Turn: t.id, Outputs: t.output.chunks, Last: t.output.last})
}

// appended: commit needs a prior local append (lifecycle section 6).
func (m *Machine) appended(in *Appended) {
	if in.Turn != m.turn.id || m.arbiter.State() != controlplane.TurnActive || !m.turn.appending {
		m.late(in, in.Turn)
		return
	}
	if in.OK {
		m.arbiter.Raise(turn.CauseCommit, "")
		return
	}
	m.arbiter.Raise(turn.CauseEvidence, controlplane.AbortEvidenceUnavailable)
}

// expire lets time act: everything that is due at this pass.
func (m *Machine) expire() {
	switch m.state {
	case controlplane.SessionConnecting:
		if m.now >= timebase.Instant(timebase.MS(defaultBootstrapMS)) {
			m.end("bootstrap_timeout")
		}
		return
	case controlplane.SessionEnded:
		return
	case controlplane.SessionActive, controlplane.SessionDraining:
	}
	if m.link.deadline != 0 && m.now >= m.link.deadline {
		m.disconnect("disconnect_timeout")
	}
	m.edges.board.Expire(m.now, &m.edges.log)
	m.expireWaits()
	m.expireCalls()
	m.expireTools()
	m.expireWork()
	m.expireBudget()
	if u := m.open(); u != nil && m.now >= m.utteranceDeadline(u) {
		m.cutUtterance(u)
	}
	m.sayNext()
}

func (m *Machine) utteranceDeadline(u *utterance) timebase.Instant {
	return u.openedAt.Add(timebase.MS(m.settings.MaxUtteranceMS))
}

// nextDeadline is the earliest instant at which time alone changes something.
func (m *Machine) nextDeadline() timebase.Instant {
	d := timebase.Never
	switch m.state {
	case controlplane.SessionConnecting:
		return timebase.Instant(timebase.MS(defaultBootstrapMS))
	case controlplane.SessionEnded:
		return timebase.Never
	case controlplane.SessionDraining:
		d = m.drain.deadline
	case controlplane.SessionActive:
	}
	if m.link.deadline != 0 {
		d = timebase.Earliest(d, m.link.deadline)
	}
	for i := range m.calls {
		d = timebase.Earliest(d, m.calls[i].due())
	}
	if m.arbiter.State() == controlplane.TurnActive {
		d = timebase.Earliest(d, m.turn.budget.Deadline())
		d = timebase.Earliest(d, m.turn.speech.Deadline())
		d = timebase.Earliest(d, m.sayDeadline())
		d = timebase.Earliest(d, m.toolsDue())
		d = timebase.Earliest(d, m.workDue())
	}
	if u := m.open(); u != nil {
		d = timebase.Earliest(d, m.utteranceDeadline(u))
	}
	d = timebase.Earliest(d, m.silenceDue())
	d = timebase.Earliest(d, m.edgesDue())
	d = timebase.Earliest(d, m.waitsDue())
	d = timebase.Earliest(d, m.interruption.judge.Deadline(&m.policy, m.settings.StreamingSTT, m.now))
	return timebase.Earliest(d, m.protectedDeadline())
}

// sayDeadline is when to look whether the listener has caught up enough for the next
// segment: nobody says so in between. Caller frames bring no news of that and do not put it
// off.
func (m *Machine) sayDeadline() timebase.Instant {
	out := m.turn.output
	if _, waiting := out.reply.Next(); !waiting || !m.egressFull() {
		return timebase.Never
	}
	return m.looked.Add(max(out.ahead()/2, protectedPoll))
}
