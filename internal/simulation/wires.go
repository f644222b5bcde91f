// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"strconv"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// wires are the edges of a session that its settings speak of, who offers to them and who
// reads from them. They draw from a chance of their own, so that the rest of a seed's
// world is what it is without them.
type wires struct {
	random  timebase.Random
	flow    *session.FlowPolicy // nil = the profile's
	list    []wire
	readers []reader
	handle  int64 // of the last item
}

// wire is one edge. One of the voice graph has no ends of its own, and nobody offers to
// it; nor to one that the session feeds itself.
type wire struct {
	policy session.EdgePolicy
	given  bool // a node offers to it
	heeds  bool // the node heeds XOFF and credits
	solemn bool // some of what it carries is protected
	sound  bool // it carries sound rather than text
	cut    bool // the session has given it up
	begun  bool
	off    [2]bool // the node was told to stop: data, telemetry
	credit int64
	group  int64 // the sync group under way, and how many of it are still to come
	left   int64
}

// reader takes from one edge or from several.
type reader struct {
	to   string
	keen bool // it is ready for anything at any time
	slow bool
}

// always is more than a reader can take in a session.
const always = 1 << 40

// busy is how often a node offers and a reader asks, at most: a conversation in which nothing
// else happens any more has seen enough of them.
const busy = 60

// firstHandle keeps the handles of items apart from those of texts and of sound.
const firstHandle = 1 << 32

// flowFaults are the kinds of trouble that need edges.
const flowFaults = uint64(1)<<LoadDataFull | 1<<LoadTelemetryFull | 1<<LoadBurst | 1<<LoadSlowReader | 1<<LoadStalledReader |
	1<<LoadCreditStarvation | 1<<LoadXOffStorm | 1<<LoadSyncLoss | 1<<LoadTenantFlood

// strain says whether a kind of trouble with edges strikes now, and counts it.
func (w *world) strain(f Fault, oneIn int64) bool {
	if w.calm || !w.faults.Has(f) || !w.wires.random.Chance(1, oneIn) {
		return false
	}
	w.covered[f]++
	return true
}

// drawWires lays edges out: in every sixth session, and where a fault needs them.
func (w *world) drawWires(seed uint64, allowed FaultSet, some bool) {
	x := &w.wires
	*x = wires{random: timebase.NewRandom(seed ^ 0x77697265), list: x.list[:0], readers: x.readers[:0], handle: firstHandle}
	r := &x.random
	for f := LoadControlFull; f <= LoadTenantFlood; f++ {
		if r.Chance(1, 16) && some && allowed.Has(f) {
			w.faults = w.faults.With(f)
		}
	}
	if w.faults&FaultSet(flowFaults) == 0 && !r.Chance(1, 6) {
		return
	}
	if w.faults.Has(LoadCreditStarvation) || w.faults.Has(LoadXOffStorm) || r.Chance(1, 2) {
		x.flow = &session.FlowPolicy{Flow: w.drawFlow()}
	}
	heeds := !w.faults.Has(LoadCreditStarvation) && !w.faults.Has(LoadXOffStorm)
	for i := range r.Between(1, 3) {
		to := "reader-" + strconv.FormatInt(r.Below(2), 10)
		if w.faults.Has(LoadTenantFlood) {
			to = "reader-0"
		}
		e := session.EdgePolicy{Edge: eventabi.EdgeID("side-" + strconv.FormatInt(i, 10)), From: "node", To: to, Policy: w.drawPolicy()}
		x.list = append(x.list, wire{
			policy: e, given: true, heeds: heeds, solemn: r.Chance(1, 4), sound: r.Chance(1, 2),
		})
	}
	if w.faults.Has(LoadTenantFlood) { // a quiet neighbour
		w.calmWire("side-x", "a")
	}
	for _, from := range [...]string{session.FromCallerText, session.FromAgentText} {
		if r.Chance(1, 4) {
			x.list = append(x.list, wire{policy: session.EdgePolicy{
				Edge: eventabi.EdgeID("tap-" + from), From: from, To: "reader-1", Policy: w.drawPolicy(),
			}})
		}
	}
	for _, to := range [...]string{"reader-0", "reader-1", "client", "observer"} {
		if to[0] == 'r' || r.Chance(1, 2) {
			slow := w.faults.Has(LoadSlowReader) && r.Chance(1, 2)
			x.readers = append(x.readers, reader{to: to, slow: slow, keen: !slow && !w.faults.Has(LoadStalledReader) && r.Chance(1, 4)})
		}
	}
	w.drawVoiceWires()
}

// calmWire is an edge with a fairness key that is never full.
func (w *world) calmWire(id eventabi.EdgeID, key string) {
	p := w.drawPolicy()
	p.FairnessKey = key
	w.wires.list = append(w.wires.list, wire{policy: session.EdgePolicy{Edge: id, From: "node", To: "reader-0", Policy: p}, given: true, heeds: true})
}

// drawVoiceWires departs from the settings of edges of the voice graph.
func (w *world) drawVoiceWires() {
	r := &w.wires.random
	for _, id := range [...]eventabi.EdgeID{"text-client", "telemetry"} {
		if r.Chance(1, 4) {
			w.wires.list = append(w.wires.list, wire{policy: session.EdgePolicy{Edge: id, Policy: w.drawPolicy()}})
		}
	}
}

// pickOf draws one of some.
func pickOf[T any](r *timebase.Random, list ...T) T { return list[r.Below(int64(len(list)))] }

// drawMark draws a pair of thresholds up to a bound.
func drawMark(r *timebase.Random, most int64) controlplane.Watermark {
	high := r.Between(1, most)
	return controlplane.Watermark{High: high, Low: r.Below(high)}
}

// drawFlow draws the flow control of all edges.
func (w *world) drawFlow() controlplane.FlowControl {
	r := &w.wires.random
	modes := []controlplane.FlowMode{controlplane.FlowSignal, controlplane.FlowCredit, controlplane.FlowHybrid}
	data := pickOf(r, modes...)
	switch credits := w.faults.Has(LoadCreditStarvation); {
	case credits && w.faults.Has(LoadXOffStorm):
		data = controlplane.FlowHybrid
	case credits:
		data = pickOf(r, controlplane.FlowCredit, controlplane.FlowHybrid)
	case w.faults.Has(LoadXOffStorm):
		data = pickOf(r, controlplane.FlowSignal, controlplane.FlowHybrid)
	}
	marks := int64(16)
	if w.faults.Has(LoadXOffStorm) {
		marks = 3
	}
	return controlplane.FlowControl{
		ModeByLane: controlplane.ByLane[controlplane.FlowMode]{
			ControlLane: controlplane.FlowSignal, DataLane: data, TelemetryLane: pickOf(r, modes...),
		},
		Watermarks: controlplane.ByLane[controlplane.Watermark]{
			ControlLane: drawMark(r, 192), DataLane: drawMark(r, marks), TelemetryLane: drawMark(r, 64),
		},
		SheddingStrategyByLane: controlplane.ByLane[controlplane.SheddingStrategy]{
			ControlLane: controlplane.ShedNone,
			DataLane: pickOf(r, controlplane.ShedDrop, controlplane.ShedMerge, controlplane.ShedLatestOnly,
				controlplane.ShedDegrade, controlplane.ShedFallback),
			TelemetryLane: pickOf(r, controlplane.ShedDrop, controlplane.ShedSample),
		},
	}
}

// drawPolicy draws an edge's policy: any strategy, bounds tight or wide, any synchronisation.
func (w *world) drawPolicy() controlplane.EdgeBufferPolicy {
	r := &w.wires.random
	p := controlplane.EdgeBufferPolicy{
		Strategy: pickOf(r, controlplane.StrategyBlock, controlplane.StrategyDrop, controlplane.StrategyMerge,
			controlplane.StrategySample, controlplane.StrategyLatestOnly),
		MaxQueueItems: r.Between(1, 24), MaxQueueMS: r.Between(20, 3000), MaxQueueBytes: r.Between(200, 60000),
		MaxLatencyContributionMS: r.Between(20, 3000),
		FairnessKey:              pickOf(r, "", "a", "b"),
		DefaultingSource:         controlplane.DefaultedExplicit,
	}
	if p.Strategy == controlplane.StrategyDrop {
		p.DropVictim = pickOf(r, "", controlplane.VictimNewest, controlplane.VictimOldest)
	}
	if p.Strategy == controlplane.StrategySample {
		p.SampleEvery = r.Between(0, 1) * r.Between(2, 4)
	}
	if p.Strategy == controlplane.StrategyBlock || r.Chance(1, 3) {
		p.MaxBlockTimeMS = r.Between(1, 400)
	}
	p.LaneHandling = controlplane.LaneHandling{
		ControlLane: controlplane.TreatPriority, DataLane: controlplane.LaneTreatment(p.Strategy),
		TelemetryLane: pickOf(r, "", controlplane.TreatDrop, controlplane.TreatSample, controlplane.TreatBestEffortDrop),
	}
	items, ms := drawMark(r, p.MaxQueueItems), drawMark(r, p.MaxQueueMS)
	if r.Chance(2, 3) {
		p.Watermarks.QueueItems = &items
	}
	if p.Watermarks.QueueItems == nil || r.Chance(1, 3) {
		p.Watermarks.QueueMS = &ms
	}
	if w.faults.Has(LoadSyncLoss) || r.Chance(1, 2) {
		p.SyncDropPolicy = &controlplane.SyncDropPolicy{
			Policy:  pickOf(r, controlplane.SyncAtomicDrop, controlplane.SyncDropWithDiscontinuity, controlplane.SyncNone),
			Scope:   pickOf(r, controlplane.SyncEdgeLocal, controlplane.SyncPlanWide),
			GroupBy: controlplane.GroupBySyncID, SyncDomain: pickOf(r, "film", "stage"),
		}
	}
	return p
}

// layWires puts the settings in front of the bootstrap, and sets readers and nodes going.
func (w *world) layWires() {
	x := &w.wires
	if x.flow != nil {
		w.add(x.flow)
	}
	for i := range x.list {
		w.add(&x.list[i].policy)
		if x.list[i].given {
			w.after(0, x.random.Between(50, 3000), evOffer, int32(i), 0)
		}
	}
	for i := range x.readers {
		w.after(0, x.random.Between(0, 1000), evReady, int32(i), 0)
	}
	for _, f := range [...]Fault{LoadControlFull, LoadDataFull, LoadTelemetryFull} {
		if w.faults.Has(f) {
			w.after(0, w.troubleIn(f), evTrouble, 0, int64(f))
		}
	}
}

// offers is a node that has something for its edge.
func (w *world) offers(e *event) {
	if w.phase != talking || e.arg > busy {
		return
	}
	r := &w.wires.random
	x := &w.wires.list[e.who]
	w.after(e.at, r.Between(200, 3000), evOffer, e.who, e.arg+1)
	if x.cut && !r.Chance(1, 8) {
		return
	}
	n := r.Between(1, 3)
	switch {
	case w.strain(LoadBurst, 6):
		n = r.Between(10, 40)
	case x.policy.Edge == "side-0" && w.strain(LoadTenantFlood, 3):
		n = r.Between(20, 60)
	}
	for range n {
		w.offer(x)
	}
}

// offer gives one item to an edge, if its node may send. A node that does not heed what it
// is told makes the trouble that it was drawn for.
func (w *world) offer(x *wire) {
	r := &w.wires.random
	kind := w.itemKind(x)
	lane := 0
	if kind == session.ItemMetric {
		lane = 1
	}
	starved := lane == 0 && x.begun && w.credits() && x.credit <= 0
	switch {
	case x.heeds && (x.off[lane] || starved):
		return
	case starved && w.faults.Has(LoadCreditStarvation):
		w.covered[LoadCreditStarvation]++
	case x.off[lane] && w.faults.Has(LoadXOffStorm):
		w.covered[LoadXOffStorm]++
	}
	in := w.item(x.policy.Edge, kind)
	if kind == session.ItemAudio {
		in.Media = timebase.Samples(r.Between(1, 10)) * timebase.FrameSamples
		in.Bytes = int64(in.Media) * 2
	}
	if lane == 0 {
		x.begun = true
		x.credit--
	}
	if s := x.policy.Policy.SyncDropPolicy; s != nil {
		w.join(x, in)
	}
	if r.Chance(1, 4) {
		in.Turn = w.shown
	}
}

// item makes an offer.
func (w *world) item(edge eventabi.EdgeID, kind session.ItemKind) *session.Offer {
	r := &w.wires.random
	w.wires.handle++
	in := w.pool.offers.get()
	in.Edge, in.Handle, in.Kind, in.Stream, in.Bytes = edge, w.wires.handle, kind, r.Between(1, 2), r.Between(1, 400)
	w.add(in)
	return in
}

func (w *world) itemKind(x *wire) session.ItemKind {
	r := &w.wires.random
	switch n := r.Below(16); {
	case n < 2:
		return session.ItemMetric
	case n == 2 && x.solemn:
		return pickOf(r, session.ItemFinal, session.ItemSemantic, session.ItemMarker)
	case x.sound:
		return session.ItemAudio
	}
	return session.ItemInterim
}

// join makes an item a member of the edge's sync group. One that does not fit by any means
// is lost for certain.
func (w *world) join(x *wire, in *session.Offer) {
	if in.Kind == session.ItemMetric {
		return
	}
	if x.left == 0 {
		x.group++
		x.left = w.wires.random.Between(2, 4)
	}
	x.left--
	in.Group = x.group
	if w.strain(LoadSyncLoss, 8) {
		in.Bytes = x.policy.Policy.MaxQueueBytes + 1
	}
}

// credits says that a node needs a credit for each item.
func (w *world) credits() bool {
	return w.wires.flow != nil && w.wires.flow.Flow.ModeByLane.DataLane != controlplane.FlowSignal
}

// reads is a reader that asks for more, or does not get round to it.
func (w *world) reads(e *event) {
	if w.phase != talking {
		return
	}
	r := &w.wires.random
	x := &w.wires.readers[e.who]
	if x.keen || e.arg > busy {
		w.ready(x.to, always)
		return
	}
	wait, count := r.Between(100, 2500), r.Between(1, 6)
	switch {
	case x.slow:
		w.covered[LoadSlowReader]++
		wait, count = r.Between(2000, 6000), 1
	case w.strain(LoadStalledReader, 4):
		wait, count = r.Between(4000, 20000), 0
	case r.Chance(1, 8): // it catches up
		count = 40
	}
	if count > 0 {
		w.ready(x.to, count)
	}
	w.after(e.at, wait, evReady, e.who, e.arg+1)
}

func (w *world) ready(to string, count int64) {
	in := w.pool.readies.get()
	in.To, in.Count = to, count
	w.add(in)
}

// told lets a node hear what is said of its edge.
func (w *world) told(v *eventabi.Envelope) {
	for i := range w.wires.list {
		x := &w.wires.list[i]
		if x.policy.Edge != v.EdgeID {
			continue
		}
		lane := 0
		if v.TargetLane == eventabi.TelemetryLane {
			lane = 1
		}
		switch v.Signal { //nolint:exhaustive // the rest is not for a node
		case eventabi.SignalFlowXOff, eventabi.SignalFlowXOn:
			x.off[lane] = v.Signal == eventabi.SignalFlowXOff
		case eventabi.SignalCreditGrant:
			x.credit += *v.Amount
		case eventabi.SignalDegrade:
			x.cut = true
		}
	}
}

// overflowing is trouble with a lane of the inbox, or with an edge that takes a lane's flood.
func (w *world) overflowing(f Fault) {
	r := &w.wires.random
	lane := eventabi.ControlLane
	switch {
	case f == LoadDataFull:
		lane = eventabi.DataLane
		for i := range w.wires.list {
			if x := &w.wires.list[i]; x.given && r.Chance(1, 2) {
				kind := session.ItemInterim
				if x.solemn && r.Chance(1, 2) {
					kind = session.ItemFinal
				}
				for range x.policy.Policy.MaxQueueItems + r.Between(1, 50) {
					w.item(x.policy.Edge, kind)
					x.begun = true
					x.credit--
				}
			}
		}
	case f == LoadTelemetryFull:
		lane = eventabi.TelemetryLane
		for range r.Between(100, 600) {
			w.item("telemetry", session.ItemMetric)
		}
	}
	in := w.pool.overflows.get()
	in.Lane, in.Count = lane, r.Between(1, 100)
	w.add(in)
}

// readAll lets every reader take everything: nothing slows them any more.
func (w *world) readAll() {
	if len(w.wires.list) == 0 {
		return
	}
	for _, to := range [...]string{"reader-0", "reader-1", "client", "observer"} {
		if w.reachable(to) {
			w.ready(to, always)
		}
	}
}

// reachable says that somebody of this name may read.
func (w *world) reachable(to string) bool {
	if to == "client" || to == "observer" {
		return true
	}
	for i := range w.wires.list {
		if w.wires.list[i].policy.To == to {
			return true
		}
	}
	return false
}
