// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// edgesWatch is everything that waits, as seen from outside: what was offered to which
// edge, what was said of it, and what came out.
type edgesWatch struct {
	list    []edgeWatch
	readers []readerWatch
	flow    controlplane.FlowControl
	inputs  eventabi.Sequence // the last sequence of the step before, as the kernel tells it
	full    bool              // the control lane was full in this pass
	refused bool              // the decision before was that an offer is refused
	merged  *session.Merged   // the lineage of what its edge delivers next
	marks   markWatch
}

// edgeWatch is one edge. What a node offers to it is known item by item; of the others
// only what is said.
type edgeWatch struct {
	id       eventabi.EdgeID
	to       string
	policy   controlplane.EdgeBufferPolicy
	strategy controlplane.BufferStrategy // of the data lane
	given    bool                        // a node offers to it
	cut      bool                        // it was given up ...
	cutBy    eventabi.Sequence           // ... by this signal
	used     bool                        // something was offered to it
	lies     []lying                     // what was offered and is not accounted for, in order
	room     []lying                     // where that stands
	offered  int64                       // on the data lane
	granted  int64
	loose    bool // something may have gone without a credit, or was dropped while it waited for one
	high     bool
	off      [2]bool // data, telemetry
	last     [2]eventabi.Sequence
	fallen   []int64 // sync groups that were lost
	touched  bool    // something happened to it in this step
	tally    tally   // telemetry that was dropped and not told of
	waiting  int     // of what lies there, how many wait with their nodes
}

// lying is an item on an edge.
type lying struct {
	seq       eventabi.Sequence
	handle    int64
	kind      session.ItemKind
	telemetry bool
	stream    int64
	group     int64
	bytes     int64
	media     timebase.Span
	of        string
	turn      eventabi.TurnID
	at        timebase.Instant // when it was offered, and when it came into the queue, 0 = not yet
	in        timebase.Instant
	sources   int64 // sound: the items that were joined into it, itself included
	gone      bool  // its handle was released: it was dropped, or merged into one behind it
	passed    bool  // gone, and something was delivered since
}

// tally counts telemetry that was dropped: a flood of it is told of as one run.
type tally struct {
	n                   int64
	first, last, latest eventabi.Sequence
	passed              bool // something was delivered since
}

func (t *tally) add(seq eventabi.Sequence) {
	if t.n == 0 {
		*t = tally{first: seq, last: seq}
	}
	t.n++
	t.first, t.last, t.latest = min(t.first, seq), max(t.last, seq), seq
}

// settle takes a notice: of everything, or of all but what began the next run.
func (t *tally) settle(span *eventabi.SeqRange, count int64) bool {
	good := span.Start >= t.first && span.End <= t.last && (count == t.n || count == t.n-1)
	rest := tally{}
	if count == t.n-1 {
		rest = tally{n: 1, first: t.latest, last: t.latest, latest: t.latest}
	}
	*t = rest
	return good
}

// readerWatch is who takes from edges.
type readerWatch struct {
	to     string
	demand int64
	served [2]string // key that each lane served last, and whether one was
	any    [2]bool
}

// markWatch is a discontinuity that has to follow its drop notice.
type markWatch struct {
	id  string
	due int
}

// setEdge takes a policy from the settings.
func (k *watch) setEdge(in *session.EdgePolicy) {
	e := k.edge(in.Edge)
	e.policy = in.Policy
	if in.To != "" { // an edge of the voice graph has its ends
		e.to, e.given = in.To, in.From == "node"
	}
	e.strategy = in.Policy.Strategy
	if lane := in.Policy.LaneHandling.DataLane; lane != "" {
		e.strategy = controlplane.BufferStrategy(lane)
	}
}

// edge finds an edge or notes a new one.
func (k *watch) edge(id eventabi.EdgeID) *edgeWatch {
	list := k.edges.list
	for i := range list {
		if list[i].id == id {
			return &list[i]
		}
	}
	n := len(list)
	if n < cap(list) {
		list = list[:n+1]
	} else {
		list = append(list, edgeWatch{})
	}
	e := &list[n]
	*e = edgeWatch{id: id, lies: e.room[:0], room: e.room, fallen: e.fallen[:0]}
	for i := range k.graph {
		if v := &k.graph[i]; v.ID == id {
			e.policy, e.strategy = v.Policy, v.Policy.Strategy
		}
	}
	switch id {
	case "text-client":
		e.to = "client"
	case "telemetry":
		e.to, e.given = "observer", true
	}
	k.edges.list = list
	return e
}

func (k *watch) reader(to string) *readerWatch {
	for i := range k.edges.readers {
		if k.edges.readers[i].to == to {
			return &k.edges.readers[i]
		}
	}
	k.edges.readers = append(k.edges.readers, readerWatch{to: to})
	return &k.edges.readers[len(k.edges.readers)-1]
}

func laneIndex(telemetry bool) int {
	if telemetry {
		return 1
	}
	return 0
}

// sequenced finds the runtime sequence of every offer of the pass. A step gives one to each
// input, lane by lane in the order of arrival, and to each signal; the signals tell theirs.
// What else is given one is decided behind the inputs.
func (k *watch) sequenced(w *world) {
	next := k.edges.inputs
	i := 0
	input := func() eventabi.Sequence {
		for next++; ; i++ {
			emit, ok := nextEmit(w.fx.List, &i)
			if !ok || emit > next {
				return next
			}
			if emit == next {
				next++
			}
		}
	}
	for lane := range 3 {
		for _, in := range w.in {
			if takenIn(in) != lane {
				continue
			}
			seq := input()
			if offer, ok := in.(*session.Offer); ok && !k.ended {
				k.offered(offer, seq)
			}
		}
	}
	k.edges.inputs = w.kernel.Sequence()
}

// nextEmit gives the sequence of the next signal from the i-th decision on.
func nextEmit(list []session.Effect, i *int) (eventabi.Sequence, bool) {
	for ; *i < len(list); *i++ {
		if emit, ok := list[*i].(*session.Emit); ok {
			return emit.Envelope.RuntimeSequence, true
		}
	}
	return 0, false
}

// takenIn restates which lane an input travels on: 0 control, 1 data, 2 telemetry.
func takenIn(in session.Input) int {
	switch in := in.(type) { //nolint:gochecksumtype // everything else is control
	case *session.AudioIn, *session.AudioGap, *session.TextIn, *session.Transcript, *session.Progress, *session.Segment,
		*session.NodeOutput, *session.NodeDone,
		*session.Speech, *session.InvocationEnd, *session.Unscheduled,
		*session.TransportControl, *session.Context, *session.Forget, *session.Respond, *session.Wishes,
		*session.ToolCalled, *session.ToolResult:
		return 1
	case *session.Offer:
		if in.Kind == session.ItemMetric {
			return 2
		}
		return 1
	}
	return 0
}

// offered notes an item.
func (k *watch) offered(in *session.Offer, seq eventabi.Sequence) {
	e := k.edge(in.Edge)
	e.touched, e.used = true, true
	if !e.given {
		return
	}
	metric := in.Kind == session.ItemMetric
	if len(e.lies) == cap(e.lies) {
		e.makeRoom()
	}
	e.lies = append(e.lies, lying{
		seq: seq, handle: in.Handle, kind: in.Kind, telemetry: metric, stream: in.Stream, group: in.Group,
		bytes: in.Bytes, media: in.Media.Span(), of: in.Of, turn: in.Turn, at: k.now, sources: 1,
	})
	if !metric && !e.cut {
		e.offered++
		e.loose = e.loose || e.offered > e.granted && (shielded(in.Kind) || in.Group != 0)
	}
}

// shielded restates what may not be shed (flow section 1).
func shielded(kind session.ItemKind) bool {
	return kind == session.ItemFinal || kind == session.ItemSemantic || kind == session.ItemMarker
}

// held gives the place of an item whose handle was not released, -1 when there is none.
func (e *edgeWatch) held(handle int64) int {
	for i := range e.lies {
		if e.lies[i].handle == handle && !e.lies[i].gone {
			return i
		}
	}
	return -1
}

// makeRoom moves what lies there to the front of its place, or to one twice as large when
// half of it is taken.
func (e *edgeWatch) makeRoom() {
	if 2*len(e.lies) >= cap(e.room) {
		e.room = make([]lying, 0, max(8, 2*cap(e.room)))
	}
	e.lies = append(e.room[:0], e.lies...)
}

// forget takes an item out, by moving the shorter side.
func (e *edgeWatch) forget(i int) {
	if i < len(e.lies)/2 {
		copy(e.lies[1:i+1], e.lies[:i])
		e.lies = e.lies[1:]
		return
	}
	e.lies = append(e.lies[:i], e.lies[i+1:]...)
}

// atomic says that a group falls as a whole.
func (e *edgeWatch) atomic(group int64) bool {
	return group != 0 && e.policy.SyncDropPolicy != nil && e.policy.SyncDropPolicy.Policy == controlplane.SyncAtomicDrop
}

// released notes that the content of an item is not needed any more.
func (k *watch) released(v *session.Release, refused bool) {
	e := k.edge(v.Edge)
	e.touched = true
	i := e.held(v.Handle)
	if !k.ok(OffersAccounted, i >= 0, "something is let go of that does not lie there") {
		return
	}
	switch {
	case refused: // it never came to the edge
		if !e.lies[i].telemetry && !e.cut {
			e.offered--
		}
		e.forget(i)
	case e.lies[i].telemetry && !(e.cut && e.lies[i].seq > e.cutBy):
		e.tally.add(e.lies[i].seq)
		e.forget(i)
	case e.cut && e.lies[i].seq > e.cutBy: // it takes nothing any more
		e.forget(i)
	default:
		e.lies[i].gone = true
		e.loose = e.loose || e.granted < e.offered
	}
}

// combined notes that sound was joined to what lies before it.
func (k *watch) combined(v *session.Combine) {
	e := k.edge(v.Edge)
	e.touched = true
	i, j := e.held(v.Handle), e.held(v.With)
	if !k.ok(OffersAccounted, i >= 0 && j > i, "sound is joined that does not lie there, or not behind") {
		return
	}
	older, younger := &e.lies[i], &e.lies[j]
	older.seq, older.bytes, older.media = younger.seq, older.bytes+younger.bytes, older.media+younger.media
	older.sources += younger.sources
	e.forget(j)
}

// count reads a whole number from a payload.
func numberIn(payload []byte, name string) (int64, bool) {
	_, rest, found := bytes.Cut(payload, []byte(`"`+name+`":`))
	if !found {
		return 0, false
	}
	end := bytes.IndexAny(rest, ",}")
	n, err := strconv.ParseInt(string(rest[:max(end, 0)]), 10, 64)
	return n, err == nil
}

// noticed settles what a drop notice speaks of: exactly what was let go of in its range,
// and of a group that fell as a whole exactly the group (flow section 4).
func (k *watch) noticed(v *eventabi.Envelope) {
	e := k.edge(v.EdgeID)
	e.touched = true
	count, told := numberIn(v.Payload, "count")
	k.ok(NoticeBeforeDelivery, told && count > 0 && v.SeqRange != nil && v.SeqRange.Start <= v.SeqRange.End, "a notice of nothing")
	k.marked(v)
	if !e.given || v.SeqRange == nil {
		return
	}
	if v.TargetLane == eventabi.TelemetryLane {
		k.ok(NoticeBeforeDelivery, e.tally.settle(v.SeqRange, count), "a notice counts otherwise than what was dropped of telemetry")
		k.ok(DiscontinuityFollows, v.DiscontinuityID == "", "a discontinuity of telemetry")
		return
	}
	group, _ := numberIn(v.Payload, "sync_group")
	whole := v.Reason == flow.SyncAtomic.String()
	var n int64
	sound := false
	kept := e.lies[:0]
	for i := range e.lies {
		x := &e.lies[i]
		if x.telemetry || !x.gone || x.seq < v.SeqRange.Start || x.seq > v.SeqRange.End || whole && x.group != group {
			kept = append(kept, *x)
			continue
		}
		n += x.sources
		sound = sound || x.kind == session.ItemAudio
		k.ok(ProtectedNeverLost, !shielded(x.kind) || e.cut || v.Reason == flow.Fenced.String(), "something that may not be shed was dropped")
	}
	e.lies = kept
	k.ok(NoticeBeforeDelivery, n == count, "a notice counts otherwise than what was let go of")
	if whole && !e.cut {
		k.ok(AtomicAllOrNothing, e.atomic(group), "a group falls where groups do not")
		e.fallen = append(e.fallen, group)
	}
	s := e.policy.SyncDropPolicy
	must := v.Reason != flow.Fenced.String() &&
		(sound || s != nil && s.Policy == controlplane.SyncDropWithDiscontinuity)
	k.ok(DiscontinuityFollows, must == (v.DiscontinuityID != ""), "a loss of sound or of a domain without its discontinuity, or one without need")
}

// delivered checks an item that comes out.
func (k *watch) delivered(v *session.Deliver) {
	e := k.edge(v.Edge)
	e.touched = true
	metric := v.Kind == session.ItemMetric
	lane := laneIndex(metric)
	merged := k.edges.merged
	if merged != nil && merged.Edge == e.id {
		k.edges.merged = nil
	} else {
		merged = nil // another edge's, which the kernel reads itself
	}
	k.ok(EdgeOrderKept, v.Seq > e.last[lane], "an item comes out behind one that came later")
	e.last[lane] = v.Seq
	k.ok(EdgesDrain, !e.cut, "an edge that was given up delivers")
	r := k.reader(v.To)
	k.ok(DeliveredOnDemand, v.To == e.to && r.demand > 0, "a delivery that nobody asked for")
	k.ok(DiscontinuityFollows, k.edges.marks.due <= 0, "a delivery goes ahead of a discontinuity")
	r.demand--
	if !e.given {
		k.takesTurns(r, e, lane)
		return
	}
	i := e.held(v.Handle)
	if !k.ok(OffersAccounted, i >= 0 && e.lies[i].seq == v.Seq && e.lies[i].kind == v.Kind && e.lies[i].group == v.Group,
		"a delivery of what does not lie there") {
		return
	}
	x := e.lies[i]
	count := x.sources
	if merged != nil && x.kind != session.ItemAudio {
		count += e.settle(i, merged.Count-1)
		i = e.held(v.Handle)
	}
	said := int64(1)
	if merged != nil {
		said = merged.Count
	}
	k.ok(OffersAccounted, said == count, "the lineage of what was merged does not add up")
	for j := range i { // what lies before it came first
		k.ok(EdgeOrderKept, e.lies[j].gone || e.lies[j].telemetry != metric, "an item overtakes another one of its lane")
	}
	k.told(e, &x)
	k.fresh(e, &x)
	k.ok(AtomicAllOrNothing, !e.atomic(x.group) || !e.fell(x.group), "a member of a group that has fallen comes out")
	e.forget(i)
	k.takesTurns(r, e, lane)
	k.ahead(r, e, &x, lane)
}

// told checks that what was dropped was told of: what lay before a delivery ahead of it, and
// what lay behind it, which may have gone when it was taken, ahead of the next one.
func (k *watch) told(e *edgeWatch, x *lying) {
	k.ok(NoticeBeforeDelivery, e.tally.n == 0 || !e.tally.passed, "a delivery goes ahead of the notice of the telemetry that was dropped")
	e.tally.passed = true
	for i := range e.lies {
		y := &e.lies[i]
		if !y.gone || e.inherits(i) {
			continue
		}
		k.ok(NoticeBeforeDelivery, !y.passed && (x.telemetry || y.seq > x.seq), "a delivery goes ahead of the notice of what was dropped before")
		y.passed = true
	}
}

// settle takes n items that were merged into the i-th out, the nearest first, and says how
// many there were.
func (e *edgeWatch) settle(i int, n int64) (found int64) {
	x := e.lies[i]
	for j := i - 1; j >= 0 && found < n; j-- {
		if y := &e.lies[j]; y.gone && !y.telemetry && y.kind == x.kind && y.stream == x.stream && y.group == x.group {
			e.forget(j)
			found++
		}
	}
	return found
}

// inherits says that an item which is gone may have been merged into one behind it.
func (e *edgeWatch) inherits(i int) bool {
	x := &e.lies[i]
	for j := i + 1; j < len(e.lies); j++ {
		y := &e.lies[j]
		if !y.gone && y.kind == x.kind && y.stream == x.stream && y.group == x.group && y.turn == x.turn {
			return true
		}
	}
	return false
}

// fell says that a group is among the last that fell.
func (e *edgeWatch) fell(group int64) bool {
	for _, g := range e.fallen[max(0, len(e.fallen)-32):] {
		if g == group {
			return true
		}
	}
	return false
}

// fresh checks that what is delivered has not lain there longer than the bounds allow. What is protected is delivered late, with all of its group; of a
// latest_only edge the newest survives its age.
func (k *watch) fresh(e *edgeWatch, x *lying) {
	if x.telemetry || shielded(x.kind) || e.strategy == controlplane.StrategyLatestOnly || e.atomic(x.group) {
		return
	}
	limit := timebase.MS(min(e.policy.MaxQueueMS, e.policy.MaxLatencyContributionMS))
	k.ok(EdgeBoundsHold, x.in == 0 || k.now.Sub(x.in) <= limit, "something is delivered that has waited too long")
}

// takesTurns checks that fairness keys take turns.
func (k *watch) takesTurns(r *readerWatch, e *edgeWatch, lane int) {
	key := e.policy.FairnessKey
	if r.any[lane] && r.served[lane] == key {
		for i := range k.edges.list {
			o := &k.edges.list[i]
			k.ok(LanesByPriority, o.to != e.to || o.policy.FairnessKey == key || !o.given || k.ready(o, lane == 1) == nil,
				"a key is served twice while another one waits")
		}
	}
	r.served[lane], r.any[lane] = key, true
}

// ahead checks what a delivery may not overtake: data on any edge of its reader, if it is
// telemetry, and what came earlier under the same key.
func (k *watch) ahead(r *readerWatch, e *edgeWatch, x *lying, lane int) {
	for i := range k.edges.list {
		o := &k.edges.list[i]
		if o.to != r.to || !o.given {
			continue
		}
		k.ok(LanesByPriority, !x.telemetry || k.ready(o, false) == nil, "telemetry goes ahead of data")
		if first := k.ready(o, lane == 1); first != nil && o.policy.FairnessKey == e.policy.FairnessKey {
			k.ok(EdgeOrderKept, first.seq > x.seq, "a reader of several edges gets what came later first")
		}
	}
}

// first is what a lane would give next, nil when nothing lies in it.
func (e *edgeWatch) first(telemetry bool) *lying {
	for i := range e.lies {
		if x := &e.lies[i]; !x.gone && x.telemetry == telemetry {
			return x
		}
	}
	return nil
}

// ready is what a lane would give next if it were asked. What may still wait with its node
// does not count.
func (k *watch) ready(e *edgeWatch, telemetry bool) *lying {
	x := e.first(telemetry)
	if x == nil || !telemetry && k.now < x.at.Add(timebase.MS(e.policy.MaxBlockTimeMS)) {
		return nil
	}
	return x
}

// givenUp notes that an edge is cut off (flow section 1): what may not be shed does not fit.
func (k *watch) givenUp(v *eventabi.Envelope) {
	e := k.edge(v.EdgeID)
	e.touched = true
	k.ok(EdgesDrain, !e.cut && strings.HasPrefix(v.Reason, "capability_lost:"), "an edge is given up twice, or for nothing")
	e.cut, e.cutBy = true, v.RuntimeSequence
}
