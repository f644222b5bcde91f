// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/transport"
)

// MetricObserver takes a session's metrics events, in order, on the session's owner. The
// envelope is lent for the call.
type MetricObserver func(e *eventabi.Envelope)

// meter gathers what nodes, edges, providers and the kernel count and measure, and offers
// it, at most once a second, to the telemetry edge; what the edge lets through becomes
// metrics events. Nobody waits for it. Counters (names in _total) are sums since the session
// began, so that an event that the edge sheds loses no count; they are told when they have
// changed.
type meter struct {
	s    *Session
	sink transport.MetricSink // of the link; nil = its client is shown none

	mu      sync.Mutex
	counts  []counter // of nodes
	crowded int64     // their values that found no room

	// Of the owner.
	last    timebase.Instant
	pending map[int64]metric
	before  map[eventabi.EdgeID][]metric
	samples []metric  // of what was measured once, since the last time
	tallies []counter // of decisions
	lost    int64     // values that found no room, of those that the owner measures
	told    int64     // of those and of the nodes', what is told
	guessed int64     // times that the client's silence had playback estimated, of what is told
	preempt timebase.Span
	waited  bool // a control input was taken since the last time; preempt is the longest wait
}

// metric is one value with its labels.
type metric struct {
	name, unit string
	value      float64
	node       eventabi.NodeID
	edge       eventabi.EdgeID
	turn       eventabi.TurnID
	// Further labels, name and value, empty = none.
	labels [3][2]string
}

// counter is a sum, and whether it has changed since it was told.
type counter struct {
	metric
	fresh bool
}

const (
	// meterEvery is how often metrics are told.
	meterEvery = timebase.Second
	// maxMetrics bounds the different counters of a session's nodes, those of its decisions,
	// and what is measured between two times.
	maxMetrics = 256
	// metricBytes is what a metrics event weighs on its edge, about.
	metricBytes = 128
	// telemetryEdge is the edge that metrics cross.
	telemetryEdge = "telemetry"
)

// on says that somebody looks.
func (m *meter) on() bool { return m.s.settings.Metrics != nil || m.sink != nil }

// count adds to a node's counter.
func (m *meter) count(id eventabi.NodeID, name string, n int64) {
	if !m.on() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !add(&m.counts, &metric{name: name, unit: "1", value: float64(n), node: id}) {
		m.crowded++
	}
}

// add adds a value to the counter with the same name and labels; false when there is no room
// for another counter.
func add(list *[]counter, x *metric) bool {
	for i := range *list {
		c := &(*list)[i]
		if c.name == x.name && c.node == x.node && c.labels == x.labels {
			c.value += x.value
			c.fresh = true
			return true
		}
	}
	if len(*list) >= maxMetrics {
		return false
	}
	*list = append(*list, counter{*x, true})
	return true
}

// tally adds to a counter of the owner.
func (m *meter) tally(x *metric) {
	if !add(&m.tallies, x) {
		m.lost++
	}
}

// take gives the counters that have changed.
func take(list []counter) (out []metric) {
	for i := range list {
		if list[i].fresh {
			list[i].fresh = false
			out = append(out, list[i].metric)
		}
	}
	return out
}

// measure notes something that was measured once. The owner calls it.
func (m *meter) measure(x metric) {
	switch {
	case !m.on():
	case len(m.samples) < maxMetrics:
		m.samples = append(m.samples, x)
	default:
		m.lost++
	}
}

// decided counts a decision of admission.
func (m *meter) decided(o *controlplane.DecisionOutcome) {
	if m.on() {
		m.tally(&metric{
			name: "decisions_total", unit: "1", value: 1, labels: [3][2]string{{"outcome", string(o.OutcomeKind)}, {"reason", o.Reason}},
		})
	}
}

// spent counts what is told of budgets. What a warning goes on with behind a colon is no
// other budget.
func (m *meter) spent(e *eventabi.Envelope) {
	if !m.on() || e.Signal != eventabi.SignalBudgetWarning && e.Signal != eventabi.SignalBudgetExhausted {
		return
	}
	budget, _, _ := strings.Cut(e.Reason, ":")
	m.tally(&metric{name: string(e.Signal) + "_total", unit: "1", value: 1, labels: [3][2]string{{"budget", budget}}})
}

// called measures a provider call that has ended.
func (m *meter) called(end *invocation.End) {
	if !m.on() || end == nil {
		return
	}
	labels := [3][2]string{
		{"provider", end.Provider.ID}, {"modality", string(end.Provider.Modality)}, {"outcome", string(end.Outcome.Class)},
	}
	m.measure(metric{name: "provider_rtt_ms", unit: "ms", value: millis(end.Duration), turn: end.Turn, labels: labels})
	if end.Chunks > 0 {
		m.measure(metric{name: "provider_first_chunk_ms", unit: "ms", value: millis(end.First), turn: end.Turn, labels: labels})
	}
}

// preempted notes how long control has waited for the pass that begins. The owner calls it.
func (m *meter) preempted(wait timebase.Span) {
	if m.on() {
		m.preempt, m.waited = max(m.preempt, wait), true
	}
}

// turn offers what there is to tell, when it is time or the session is about to end. The
// owner calls it.
func (m *meter) turn(at timebase.Instant) {
	if !m.on() {
		return
	}
	ending := m.closing()
	if at.Sub(m.last) < meterEvery && !ending {
		return
	}
	m.last = at
	list := m.gather()
	for i := range list {
		handle := m.s.content.number()
		if m.pending == nil {
			m.pending = map[int64]metric{}
		}
		m.pending[handle] = list[i]
		offer := &session.Offer{
			Edge: telemetryEdge, Handle: handle, Kind: session.ItemMetric, Stream: handle, Bytes: metricBytes, Of: string(list[i].node),
		}
		if ending {
			m.s.pending = append(m.s.pending, offer) // there is no later pass
		} else if !m.s.post(offer) {
			m.forget(handle)
		}
	}
}

// closing says that the next pass is asked to end the session.
func (m *meter) closing() bool {
	for _, in := range m.s.pending {
		if _, ok := in.(*session.CloseRequest); ok {
			return true
		}
	}
	return false
}

// gather collects what has changed or was measured since the last time.
func (m *meter) gather() []metric {
	m.mu.Lock()
	list, lost := take(m.counts), m.lost+m.crowded
	m.mu.Unlock()
	slices.SortStableFunc(list, func(a, b metric) int {
		if d := strings.Compare(string(a.node), string(b.node)); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
	list = append(list, take(m.tallies)...)
	list = append(list, m.samples...)
	m.samples = m.samples[:0]
	if lost != m.told {
		list = append(list, metric{name: "metrics_lost_total", unit: "1", value: float64(lost)})
		m.told = lost
	}
	if e := m.s.egress; e != nil {
		if n := e.Counters().AckFallbacks; n != m.guessed {
			list = append(list, metric{name: "playout_ack_fallbacks_total", unit: "1", value: float64(n)})
			m.guessed = n
		}
	}
	if m.waited {
		list = append(list, metric{name: "control_preempt_delay_ms", unit: "ms", value: millis(m.preempt)})
		m.preempt, m.waited = 0, false
	}
	var own []metric
	m.s.machine.EdgeStats(func(id eventabi.EdgeID, s *flow.Stats, d flow.Depth) {
		if id == telemetryEdge {
			own = m.edge(id, s, &d)
			return
		}
		list = append(list, m.edge(id, s, &d)...)
	})
	if len(list) == 0 && !m.closing() { // what the edge has carried of metrics is no news by itself
		return nil
	}
	return append(list, own...)
}

// edge tells what of an edge's depth and counters has changed since the last time.
func (m *meter) edge(id eventabi.EdgeID, s *flow.Stats, d *flow.Depth) (list []metric) {
	if m.before == nil {
		m.before = map[eventabi.EdgeID][]metric{}
	}
	all := edgeMetrics(id, s, d)
	was := m.before[id]
	for i := range all {
		first := all[i].value != 0 || all[i].name == "queue_depth" || all[i].name == "edge_latency_ms"
		if was == nil && first || was != nil && all[i] != was[i] {
			list = append(list, all[i])
		}
	}
	m.before[id] = all
	return list
}

// edgeMetrics lists everything that an edge counts and holds, always in the same order.
func edgeMetrics(id eventabi.EdgeID, s *flow.Stats, d *flow.Depth) []metric {
	list := make([]metric, 0, 48)
	put := func(name, unit string, v float64, label ...string) {
		x := metric{name: name, unit: unit, value: v, edge: id}
		if len(label) == 2 {
			x.labels[0] = [2]string{label[0], label[1]}
		}
		list = append(list, x)
	}
	count := func(name string, n int64, label ...string) { put(name, "items", float64(n), label...) }
	for lane, name := range [...]string{flow.Control: "control", flow.Data: "data", flow.Telemetry: "telemetry"} {
		count("queue_depth", d.Items[lane], "lane", name)
		count("queue_depth_peak", s.PeakItems[lane], "lane", name)
		count("offered_total", s.Offered[lane], "lane", name)
		count("delivered_total", s.Delivered[lane], "lane", name)
	}
	put("queue_depth_bytes", "bytes", float64(d.Bytes))
	put("queue_depth_bytes_peak", "bytes", float64(s.PeakBytes))
	put("queue_media_ms", "ms", millis(d.Media))
	put("queue_media_peak_ms", "ms", millis(s.PeakMedia))
	put("queue_age_ms", "ms", millis(d.Age))
	put("edge_latency_ms", "ms", millis(s.LongestWait), "quantile", "max")
	for r := flow.NoReason + 1; r < flow.ReasonCount; r++ {
		count("drops_total", s.Dropped[r], "reason", r.String())
	}
	count("merges_total", s.Merged)
	count("coalesced_total", s.Coalesced)
	count("blocked_total", s.Waited)
	count("overflows_total", s.Overflows)
	for _, x := range [...]struct {
		name  string
		n     int64
		label [2]string
	}{
		{"watermark_crossings_total", s.Highs, [2]string{"reason", "high"}},
		{"watermark_crossings_total", s.Lows, [2]string{"reason", "low"}},
		{"flow_signals_total", s.XOffs, [2]string{"signal", "flow_xoff"}},
		{"flow_signals_total", s.XOns, [2]string{"signal", "flow_xon"}},
	} {
		put(x.name, "1", float64(x.n), x.label[0], x.label[1])
	}
	put("credits_granted_total", "credits", float64(s.Granted))
	put("credits_in_hand", "credits", float64(d.Credit))
	put("discontinuities_total", "1", float64(s.Markers))
	put("producers_waiting", "1", float64(d.Waiting))
	put("above_watermark", "1", bit(d.High))
	put("producer_stopped", "1", bit(d.Off))
	return list
}

// millis is a stretch of time in milliseconds, to the nanosecond.
func millis(s timebase.Span) float64 { return float64(s) / float64(timebase.Millisecond) }

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// deliver tells a metric that came through its edge.
func (m *meter) deliver(e *session.Deliver) {
	x, ok := m.pending[e.Handle]
	delete(m.pending, e.Handle)
	if !ok || !m.on() {
		return
	}
	labels := map[string]string{"session_id": string(m.s.ID()), "pipeline_version": string(m.s.settings.Bootstrap.Pipeline)}
	if x.edge != "" {
		labels["edge_id"] = string(x.edge)
	}
	if x.node != "" {
		labels["node_id"] = string(x.node)
	}
	if x.turn != "" {
		labels["turn_id"] = string(x.turn)
	}
	for _, l := range x.labels {
		if l[0] != "" {
			labels[l[0]] = l[1]
		}
	}
	body, err := json.Marshal(struct {
		Name   string            `json:"name"`
		Value  float64           `json:"value"`
		Unit   string            `json:"unit"`
		Labels map[string]string `json:"labels"`
	}{x.name, x.value, x.unit, labels})
	if err != nil {
		return // names and numbers: it cannot fail
	}
	at := m.s.last
	b := &m.s.settings.Bootstrap
	v := &eventabi.Envelope{
		SchemaVersion: eventabi.SchemaVersion, EventScope: eventabi.ScopeSession,
		SessionID: b.Session, PipelineVersion: b.Pipeline, EventID: eventabi.EventID("m" + strconv.FormatInt(int64(e.Seq), 10)), EventKind: eventabi.KindMetrics,
		Lane: eventabi.TelemetryLane, RuntimeSequence: e.Seq, RuntimeTimestampMS: at.MS(),
		WallClockTimestampMS: m.s.wall + at.MS(), PayloadClass: eventabi.ClassMetadata,
		NodeID: x.node, EdgeID: x.edge, Payload: body,
	}
	if m.s.settings.Metrics != nil {
		m.s.settings.Metrics(v)
	}
	if m.sink != nil {
		m.sink.WriteMetric(v)
	}
}

// forget drops a metric that its edge has dropped.
func (m *meter) forget(handle int64) { delete(m.pending, handle) }
