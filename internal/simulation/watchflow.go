// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// edgeSignal checks what is said of an edge (flow sections 2 to 5).
func (k *watch) edgeSignal(v *eventabi.Envelope) {
	e := k.edge(v.EdgeID)
	e.touched = true
	k.pass.load.freed = k.pass.load.freed || e.id == turn.EdgeTTSTransport
	lane := laneIndex(v.TargetLane == eventabi.TelemetryLane)
	control := v.TargetLane == eventabi.ControlLane
	switch v.Signal { //nolint:exhaustive // the rest says nothing of flow
	case eventabi.SignalWatermark:
		up := v.Reason == "high"
		k.ok(SignalsAlternate, up != e.high, "a watermark is crossed twice in one direction")
		e.high = up
	case eventabi.SignalFlowXOff, eventabi.SignalFlowXOn:
		stop := v.Signal == eventabi.SignalFlowXOff
		k.ok(SignalsAlternate, !control && stop != e.off[lane], "control was stopped, or a lane twice in one direction")
		e.off[lane] = stop
	case eventabi.SignalCreditGrant:
		k.ok(CreditsHold, !control && k.credits() && v.Amount != nil && *v.Amount > 0, "credits of nothing, or where none are needed")
		e.granted += *v.Amount
	case eventabi.SignalDropNotice:
		k.noticed(v)
	case eventabi.SignalDiscontinuity:
		m := &k.edges.marks
		k.ok(DiscontinuityFollows, v.DiscontinuityID == m.id && v.SyncDomain != "", "a discontinuity of no loss")
		m.due--
	case eventabi.SignalDegrade:
		k.givenUp(v)
	}
}

// credits says that who offers needs a credit for each item of data.
func (k *watch) credits() bool { return k.edges.flow.ModeByLane.DataLane != controlplane.FlowSignal }

// domain is what an edge loses together with: its sync domain, or nothing but itself.
func (e *edgeWatch) domain() string {
	if s := e.policy.SyncDropPolicy; s != nil && s.Policy != controlplane.SyncNone && s.SyncDomain != "" {
		return s.SyncDomain
	}
	return string(e.id)
}

// marked begins a discontinuity that a notice promises: one on its edge, and where its
// policy is plan_wide one on every edge of the domain (flow section 5).
func (k *watch) marked(v *eventabi.Envelope) {
	m := &k.edges.marks
	k.ok(DiscontinuityFollows, m.due <= 0, "a notice goes ahead of the discontinuity of the one before")
	if v.DiscontinuityID == "" {
		return
	}
	e := k.edge(v.EdgeID)
	*m = markWatch{id: v.DiscontinuityID, due: 1}
	s := e.policy.SyncDropPolicy
	if s == nil || s.Policy == controlplane.SyncNone || s.Scope != controlplane.SyncPlanWide {
		return
	}
	for i := range k.edges.list {
		if o := &k.edges.list[i]; o.id != e.id && o.used && o.domain() == e.domain() {
			m.due++
		}
	}
}

// saying checks that the synthesiser is asked for nothing while it is told to stop.
func (k *watch) saying() {
	for i := range k.edges.list {
		if e := &k.edges.list[i]; e.id == turn.EdgeTTSTransport {
			k.ok(NoSendWhileStopped, !e.off[0], "the synthesiser is asked for more although it was told to stop")
		}
	}
}

// edgeEffect checks a decision about an edge, and remembers what the next one may need.
func (k *watch) edgeEffect(e session.Effect) {
	refused := k.edges.refused
	k.edges.refused = false
	switch e := e.(type) { //nolint:gochecksumtype // the rest is not about edges
	case *session.Refused:
		k.edges.refused = e.What == "offer"
	case *session.Release:
		k.released(e, refused)
	case *session.Combine:
		k.combined(e)
	case *session.Merged:
		k.edges.merged = e
	case *session.Deliver:
		k.delivered(e)
	}
}

// edgesSettled checks what must hold of edges between two steps.
func (k *watch) edgesSettled(w *world) {
	if k.edges.full {
		k.ok(ControlNeverRefused, k.ended, "control did not fit, and the session goes on")
	}
	k.ok(DiscontinuityFollows, k.edges.marks.due <= 0, "a loss without its discontinuity")
	if k.ended {
		return
	}
	for i := range k.edges.list {
		e := &k.edges.list[i]
		if !e.given || !e.touched && e.waiting == 0 && !e.owes(k) {
			continue
		}
		e.touched = false
		k.edgeSettled(w, e)
	}
}

// owes says that its reader waits for something.
func (e *edgeWatch) owes(k *watch) bool { return len(e.lies) > 0 && k.reader(e.to).demand > 0 }

// edgeSettled holds what lies on an edge against its bounds, and against what the kernel
// tells of it.
func (k *watch) edgeSettled(w *world, e *edgeWatch) {
	d, _ := w.kernel.Depth(e.id)
	var data, telemetry, bytes int64
	var media timebase.Span
	var waits *lying
	for i := range e.lies {
		x := &e.lies[i]
		switch {
		case x.gone:
		case x.telemetry:
			telemetry++
		default:
			data++
			if data > d.Items[flow.Data] {
				if waits == nil {
					waits = x
				}
				continue
			}
			if x.in == 0 {
				x.in = k.now
			}
			bytes += x.bytes
			media += x.media
		}
	}
	e.waiting = int(data - d.Items[flow.Data])
	k.ok(OffersAccounted, data == d.Items[flow.Data]+d.Waiting && telemetry == d.Items[flow.Telemetry],
		"what was offered and what became of it do not add up")
	p := &e.policy
	k.ok(EdgeBoundsHold, d.Items[flow.Data] <= p.MaxQueueItems && bytes <= p.MaxQueueBytes && media <= timebase.MS(p.MaxQueueMS) &&
		telemetry <= flow.TelemetryItems, "an edge holds more than its bounds allow")
	queued := data - int64(e.waiting) + telemetry
	k.ok(DeliveredOnDemand, queued == 0 || k.reader(e.to).demand == 0, "a reader waits for what lies there")
	k.ok(NoSendWhileStopped, !e.off[0] || data > 0 || e.high, "a node stays stopped although nothing lies there")
	if k.credits() && e.offered > 0 && !e.cut {
		k.hands(e, data)
	}
	if waits != nil {
		k.by(WaitsCapped, waits.at.Add(timebase.MS(p.MaxBlockTimeMS)), "a node that waits")
		fits := d.Items[flow.Data] == 0
		k.ok(WaitsCapped, !fits || k.credits() && e.granted < e.offered || waits.large(p), "a node waits for nothing")
	}
}

// large says that an item does not fit into an edge that is empty.
func (x *lying) large(p *controlplane.EdgeBufferPolicy) bool {
	return x.bytes > p.MaxQueueBytes || x.media > timebase.MS(p.MaxQueueMS)
}

// hands checks the credits that a node holds: with what lies on the edge no more than the
// window, and all of it when nothing does.
func (k *watch) hands(e *edgeWatch, data int64) {
	window := min(k.edges.flow.Watermarks.DataLane.High, e.policy.MaxQueueItems)
	hand := e.granted - e.offered
	k.ok(CreditsHold, hand <= 0 || hand+data <= window, "a node holds more credits than there is room for")
	if data == 0 {
		k.ok(CreditsHold, hand == window || e.loose, "a node does not hold the whole window although nothing lies there")
		e.granted, e.offered, e.loose = window, 0, false
	}
}

// edgesAtRest checks that readers who take everything have got everything.
func (k *watch) edgesAtRest() {
	for i := range k.edges.list {
		e := &k.edges.list[i]
		k.ok(EdgesDrain, !e.given || e.first(false) == nil && e.first(true) == nil, "something lies on an edge and nobody will get it")
	}
}

// edgesOver checks that an ended session has let go of everything.
func (k *watch) edgesOver() {
	for i := range k.edges.list {
		e := &k.edges.list[i]
		k.ok(OffersAccounted, len(e.lies) == 0 && e.tally.n == 0, "the session has ended and something is neither delivered nor dropped")
	}
}

// endedBy checks that nothing beside the turn ends a session.
func (k *watch) endedBy(reason string) {
	k.ok(EdgesDrain, !strings.Contains(reason, ":edge_"), "an edge that the turn can do without ends the session")
}
