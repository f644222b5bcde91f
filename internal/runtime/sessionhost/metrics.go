// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// MetricObserver takes a session's metrics events, in order, on the session's owner. The
// envelope is lent for the call.
type MetricObserver func(e *eventabi.Envelope)

// meter gathers what nodes and edges count and offers it, at most once a second, to the
// telemetry edge; what the edge lets through becomes metrics events. Nobody waits for it.
type meter struct {
	s *Session

	mu     sync.Mutex
	counts []metric // of nodes, since the last time

	// Of the owner.
	last    timebase.Instant
	pending map[int64]metric
	before  map[eventabi.EdgeID]edgeSums
}

// metric is one value with its labels.
type metric struct {
	name, unit string
	value      int64
	node       eventabi.NodeID
	edge       eventabi.EdgeID
}

// edgeSums are the sums of an edge that are told as differences.
type edgeSums struct{ dropped, merged, delivered int64 }

const (
	// meterEvery is how often metrics are told.
	meterEvery = timebase.Second
	// maxMetrics bounds the different counters of a session's nodes between two times.
	maxMetrics = 256
	// metricBytes is what a metrics event weighs on its edge, about.
	metricBytes = 128
)

// count adds to a node's counter.
func (m *meter) count(id eventabi.NodeID, name string, n int64) {
	if m.s.settings.Metrics == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.counts {
		if m.counts[i].node == id && m.counts[i].name == name {
			m.counts[i].value += n
			return
		}
	}
	if len(m.counts) < maxMetrics {
		m.counts = append(m.counts, metric{name: name, unit: "1", value: n, node: id})
	}
}

// turn offers what there is to tell, when it is time. The owner calls it.
func (m *meter) turn(at timebase.Instant) {
	if m.s.settings.Metrics == nil || at.Sub(m.last) < meterEvery {
		return
	}
	m.last = at
	m.mu.Lock()
	list := slices.Clone(m.counts)
	m.counts = m.counts[:0]
	m.mu.Unlock()
	slices.SortFunc(list, func(a, b metric) int {
		if d := strings.Compare(string(a.node), string(b.node)); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
	m.s.machine.EdgeStats(func(id eventabi.EdgeID, s *flow.Stats, d flow.Depth) { list = append(list, m.edge(id, s, d)...) })
	for i := range list {
		handle := m.s.content.number()
		if m.pending == nil {
			m.pending = map[int64]metric{}
		}
		m.pending[handle] = list[i]
		if !m.s.post(&session.Offer{
			Edge: "telemetry", Handle: handle, Kind: session.ItemMetric, Stream: handle, Bytes: metricBytes, Of: string(list[i].node),
		}) {
			m.forget(handle)
		}
	}
}

// edge tells an edge's depth, and what it lost and delivered since the last time.
func (m *meter) edge(id eventabi.EdgeID, s *flow.Stats, d flow.Depth) []metric {
	if m.before == nil {
		m.before = map[eventabi.EdgeID]edgeSums{}
	}
	was := m.before[id]
	now := edgeSums{dropped: s.Drops(), merged: s.Merged, delivered: s.Delivered[flow.Control] + s.Delivered[flow.Data] + s.Delivered[flow.Telemetry]}
	m.before[id] = now
	list := make([]metric, 0, 4)
	add := func(name, unit string, v int64) {
		list = append(list, metric{name: name, unit: unit, value: v, edge: id})
	}
	if now != was {
		add("queue_depth", "items", d.Items[flow.Data]+d.Items[flow.Telemetry])
		add("edge_latency_ms", "ms", s.LongestWait.MS())
	}
	if n := now.dropped - was.dropped; n > 0 {
		add("drops_total", "items", n)
	}
	if n := now.merged - was.merged; n > 0 {
		add("merges_total", "items", n)
	}
	return list
}

// deliver tells a metric that came through its edge.
func (m *meter) deliver(e *session.Deliver) {
	x, ok := m.pending[e.Handle]
	delete(m.pending, e.Handle)
	if !ok || m.s.settings.Metrics == nil {
		return
	}
	labels := map[string]string{"session": string(m.s.ID())}
	if x.edge != "" {
		labels["edge_id"] = string(x.edge)
	}
	if x.node != "" {
		labels["node_id"] = string(x.node)
	}
	body, err := json.Marshal(struct {
		Name   string            `json:"name"`
		Value  int64             `json:"value"`
		Unit   string            `json:"unit"`
		Labels map[string]string `json:"labels"`
	}{x.name, x.value, x.unit, labels})
	if err != nil {
		return // names and numbers: it cannot fail
	}
	at := m.s.last
	b := &m.s.settings.Bootstrap
	m.s.settings.Metrics(&eventabi.Envelope{
		SchemaVersion: eventabi.SchemaVersion, EventScope: eventabi.ScopeSession,
		SessionID: b.Session, PipelineVersion: b.Pipeline, EventID: eventabi.EventID("m" + strconv.FormatInt(int64(e.Seq), 10)), EventKind: eventabi.KindMetrics,
		Lane: eventabi.TelemetryLane, RuntimeSequence: e.Seq, RuntimeTimestampMS: at.MS(),
		WallClockTimestampMS: m.s.wall + at.MS(), PayloadClass: eventabi.ClassMetadata,
		NodeID: x.node, EdgeID: x.edge, Payload: body,
	})
}

// forget drops a metric that its edge has dropped.
func (m *meter) forget(handle int64) { delete(m.pending, handle) }
