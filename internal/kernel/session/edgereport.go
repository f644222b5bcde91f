// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// report turns what happened at edges since the last look into decisions. What follows
// from one may make more happen, and more be told at once.
func (m *Machine) report() {
	log := &m.edges.log
	for m.edges.told < len(log.List) {
		ev := log.List[m.edges.told] // a copy: it may move
		m.edges.told++
		m.reportOne(&ev)
	}
	log.Reset()
	m.edges.told = 0
}

func (m *Machine) reportOne(ev *flow.Event) {
	switch ev.What {
	case flow.Released:
		m.released(ev)
	case flow.Joined:
		if m.edges.kinds[ev.Edge] == voiceEdges {
			m.fx.add(&Combine{Edge: m.edgeID(ev), Handle: ev.Handle, With: ev.With})
		}
	case flow.Skipped:
		m.skip(ev)
	case flow.Dropped:
		m.dropNotice(ev)
	case flow.Discontinuous:
		m.resetDomain(ev)
	case flow.MergedOut:
		m.fx.add(&Merged{
			Edge: m.edgeID(ev), Lane: laneName(ev.Lane), Group: "m" + strconv.FormatInt(ev.First, 10), Count: ev.Count, Sources: ev.Sources,
		})
	case flow.HighWater, flow.LowWater:
		m.watermark(ev)
	case flow.XOff:
		m.edgeSignal(eventabi.SignalFlowXOff, eventabi.EmitterFlowControl, ev, reasonHigh)
	case flow.XOn:
		m.edgeSignal(eventabi.SignalFlowXOn, eventabi.EmitterFlowControl, ev, "")
	case flow.Granted:
		e := m.edgeSignal(eventabi.SignalCreditGrant, eventabi.EmitterFlowControl, ev, "")
		e.amount = ev.Count
		e.Envelope.Amount = &e.amount
	case flow.Admitted:
		m.letIn(ev)
	case flow.Pressed:
		m.pressed(ev)
	case flow.Overflowed:
		m.overflowed(ev)
	case flow.Unrecoverable:
		m.unrecoverable(ev)
	}
}

// The reasons of a watermark (flow section 2).
const (
	reasonHigh = "high"
	reasonLow  = "low"
)

func (m *Machine) edgeID(ev *flow.Event) eventabi.EdgeID {
	return eventabi.EdgeID(m.edges.board.Ends(ev.Edge).ID)
}

// skip has the listeners of caller audio go on behind what was dropped. Sound that egress
// did not get has no listener.
func (m *Machine) skip(ev *flow.Event) {
	if m.edges.kinds[ev.Edge] == edgeVoice {
		return
	}
	id := m.edgeID(ev)
	if n := len(m.fx.List); n > 0 {
		if last, ok := m.fx.List[n-1].(*Skip); ok && last.Edge == id {
			last.Through = ev.Through
			return
		}
	}
	m.fx.add(&Skip{Edge: id, Through: ev.Through})
}

// edgeTurn is the turn that an edge's signals belong to: the live one where the edge is
// the turn's, else none.
func (m *Machine) edgeTurn(edge int) eventabi.TurnID {
	if v := m.edges.kinds[edge]; v == edgeReply || v == edgeVoice {
		return m.scopeTurn()
	}
	return ""
}

func laneName(l flow.Lane) eventabi.Lane {
	switch l {
	case flow.Control:
		return eventabi.ControlLane
	case flow.Telemetry:
		return eventabi.TelemetryLane
	case flow.Data:
	}
	return eventabi.DataLane
}

// edgeSignal emits a signal about a lane of an edge.
func (m *Machine) edgeSignal(s eventabi.Signal, by eventabi.Emitter, ev *flow.Event, reason string) *Emit {
	signal := m.signal(s, by, m.edgeTurn(ev.Edge), reason)
	signal.Envelope.EdgeID = m.edgeID(ev)
	signal.Envelope.TargetLane = laneName(ev.Lane)
	return signal
}

// watermark tells a crossing with the depth and the time in queue that made it, and the
// action that the plan has for it.
func (m *Machine) watermark(ev *flow.Event) {
	reason := reasonHigh
	if ev.What == flow.LowWater {
		reason = reasonLow
	}
	signal := m.edgeSignal(eventabi.SignalWatermark, eventabi.EmitterWatermark, ev, reason)
	body := m.fx.body(64)
	body.int("queue_items", ev.Items)
	body.int("queue_ms", ev.TimeMS)
	if ev.Action != "" {
		body.str("action", string(ev.Action))
	}
	signal.Envelope.Payload = body.done()
}

// dropNotice tells a run of drops (flow section 4).
func (m *Machine) dropNotice(ev *flow.Event) {
	by := eventabi.EmitterEdgeBuffer
	if ev.Reason == flow.Watermark {
		by = eventabi.EmitterWatermark
	}
	signal := m.edgeSignal(eventabi.SignalDropNotice, by, ev, ev.Reason.String())
	signal.span = eventabi.SeqRange{Start: eventabi.Sequence(ev.First), End: eventabi.Sequence(ev.Last)}
	signal.Envelope.SeqRange = &signal.span
	m.markSync(&signal.Envelope, ev)
	body := m.fx.body(64)
	body.int("count", ev.Count)
	if ev.Group != 0 {
		body.int("sync_group", ev.Group)
	}
	signal.Envelope.Payload = body.done()
}

// resetDomain tells the consumers of a sync domain to reset. A plan-wide marker reaches
// every edge of its domain (flow section 5).
func (m *Machine) resetDomain(ev *flow.Event) {
	wide := m.edges.board.Edge(ev.Edge).Spec().Wide
	for n := range m.edges.board.Len() {
		if n != ev.Edge && (!wide || m.domain(n) != m.domain(ev.Edge)) {
			continue
		}
		signal := m.edgeSignal(eventabi.SignalDiscontinuity, eventabi.EmitterSync, ev, ev.Reason.String())
		signal.Envelope.EdgeID = eventabi.EdgeID(m.edges.board.Ends(n).ID)
		m.markSync(&signal.Envelope, ev)
	}
}

// markSync names the domain and the discontinuity that a loss belongs to.
func (m *Machine) markSync(e *eventabi.Envelope, ev *flow.Event) {
	if ev.Number == 0 {
		return
	}
	e.SyncDomain = m.domain(ev.Edge)
	e.DiscontinuityID = m.edges.board.Ends(ev.Edge).ID + "-d" + strconv.FormatInt(ev.Number, 10)
}

// domain is an edge's sync domain; sound without one is a domain of its own.
func (m *Machine) domain(edge int) string {
	if d := m.edges.board.Edge(edge).Spec().Domain; d != "" {
		return d
	}
	return m.edges.board.Ends(edge).ID
}

// released lets the shell forget content that nobody will take. The words of the
// conversation are not the edge's to forget.
func (m *Machine) released(ev *flow.Event) {
	switch m.edges.kinds[ev.Edge] {
	case edgeVoice:
		if piece, waited := m.unpark(ev.Handle); waited { // what egress has, egress lets go of
			m.givenUp(&piece)
		}
	case edgeTelemetry:
		m.fx.release(Release{Edge: m.edgeID(ev), Handle: ev.Handle})
	case voiceEdges:
		if from := m.edges.board.Ends(ev.Edge).From; from != FromCallerText && from != FromAgentText {
			m.fx.release(Release{Edge: m.edgeID(ev), Handle: ev.Handle})
		}
	case edgeVAD, edgeSTT, edgeWords, edgeReply, edgeClient:
	}
}

// overflowed: a protected item does not fit and may not be shed. The turn can do without
// a side edge, which is cut off; of any other section 8 decides.
func (m *Machine) overflowed(ev *flow.Event) {
	if m.edges.board.Ends(ev.Edge).Side {
		m.cutOff(ev.Edge)
		return
	}
	m.overflow(m.edgeID(ev), edgeStage(m.edgeID(ev)))
}

// pressed: the plan answers pressure on an edge by a step of the ladder, or by the
// graph's alternate branch, where that helps what the turn waits for.
func (m *Machine) pressed(ev *flow.Event) {
	if m.arbiter.State() != controlplane.TurnActive {
		return
	}
	id := m.edgeID(ev)
	x := trouble{name: string(id), reason: ev.Reason.String(), awaits: edgeStage(id), scope: turn.ScopeEdge}
	switch {
	case ev.Action == flow.ActDegrade && m.allows(controlplane.ActionDegrade):
		if step, helps := m.stepFor(&x); helps {
			m.degrade(step, eventabi.EmitterWatermark, x.cause())
		}
	case ev.Action == flow.ActFallback && m.allows(controlplane.ActionFallback) && m.canStandIn():
		m.standIn(&x)
	}
}

// unrecoverable: the streams of a domain cannot be brought together again (flow section
// 5).
func (m *Machine) unrecoverable(ev *flow.Event) {
	if m.edges.board.Ends(ev.Edge).Side {
		m.cutOff(ev.Edge)
		return
	}
	m.arbiter.Raise(turn.CauseFailure, controlplane.AbortSyncUnrecoverable)
}

// cutOff gives a side edge up: its consumer cannot keep up with what may not be shed. The
// session goes on without it, and says so.
func (m *Machine) cutOff(n int) {
	if m.edges.lost[n] {
		return
	}
	m.edges.lost[n] = true
	m.drain.degraded = true
	ends := m.edges.board.Ends(n)
	signal := m.emit(eventabi.SignalDegrade, eventabi.EmitterWatermark, "", "capability_lost:"+ends.ID)
	signal.EdgeID = eventabi.EdgeID(ends.ID)
	e := m.edges.board.Edge(n)
	e.Empty(m.now, flow.Shed, &m.edges.log)
	e.Announce(&m.edges.log)
}
