// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// told is the last value of each metric, by name, edge and label.
type told map[string]float64

// hear takes a metrics event, which has to be a valid event record.
func (m told) hear(t *testing.T, e *eventabi.Envelope) {
	t.Helper()
	line, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if r := schema.NewValidator(schema.Options{}).Validate(schema.EventRecord, line); !r.Valid() {
		t.Errorf("%s: %v", line, r.Faults)
	}
	var body struct {
		Name   string
		Value  float64
		Unit   string
		Labels map[string]string
	}
	if err := json.Unmarshal(e.Payload, &body); err != nil || body.Unit == "" || body.Labels["session_id"] != "s1" || body.Labels["pipeline_version"] == "" {
		t.Errorf("%s: %v", e.Payload, err)
	}
	if body.Labels["edge_id"] != string(e.EdgeID) || body.Labels["node_id"] != string(e.NodeID) {
		t.Errorf("labels %v of %+v", body.Labels, e)
	}
	key := []string{body.Name}
	for _, label := range []string{"edge_id", "lane", "reason", "signal", "outcome", "provider", "budget"} {
		if v := body.Labels[label]; v != "" {
			key = append(key, v)
		}
	}
	m[strings.Join(key, " ")] = body.Value
}

// Metrics travel on the telemetry edge and come out as metrics events, in order, and what
// they say last is what the edges have counted (F-026).
func TestMetricsEvents(t *testing.T) {
	r := newRig("s1")
	var last eventabi.Sequence
	seen := told{}
	r.settings.Metrics = func(e *eventabi.Envelope) {
		if e.RuntimeSequence <= last || e.Lane != eventabi.TelemetryLane || e.EventKind != eventabi.KindMetrics {
			t.Errorf("%+v after %d", e, last)
		}
		last = e.RuntimeSequence
		seen.hear(t, e)
	}
	counts := map[string]flow.Stats{}
	var infos []string
	r.settings.Waits = func(_ timebase.Instant, v EdgeView) {
		v.EdgeStats(func(id eventabi.EdgeID, s *flow.Stats, _ flow.Depth) {
			if _, known := counts[string(id)]; !known {
				info, ok := v.EdgeInfo(id)
				infos = append(infos, fmt.Sprint(id, " ", ok, " ", info.From, " ", info.To, " ", info.Policy.MaxQueueItems > 0))
			}
			counts[string(id)] = *s
		})
	}
	virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
	for _, id := range []string{"stt-llm", "llm-tts", "tts-transport"} {
		if got, want := seen["delivered_total "+id+" data"], counts[id].Delivered[flow.Data]; got != float64(want) || want == 0 {
			t.Errorf("%s delivered %d, the metric says %v", id, want, got)
		}
	}
	for _, want := range []string{
		"queue_depth transport-vad data", "queue_depth tts-transport data", "edge_latency_ms llm-tts", "kernel_overhead_ms",
		"control_preempt_delay_ms", "decisions_total authorized admit",
	} {
		if _, ok := seen[want]; !ok {
			t.Errorf("no %s among %q", want, slices.Sorted(maps.Keys(seen)))
		}
	}
	if !slices.Contains(infos, "llm-tts true segmenter tts true") {
		t.Errorf("the edges tell of themselves: %q", infos)
	}
}

// What finds no room in the meter is counted, and the count is told when it has grown.
func TestLostMetricsAreCounted(t *testing.T) {
	r := newRig("s1")
	r.settings.Metrics = func(*eventabi.Envelope) {}
	m := &meter{s: &Session{settings: r.settings, machine: session.New()}}
	for n := range maxMetrics + 2 {
		m.measure(metric{name: "measured"})
		m.count(eventabi.NodeID(fmt.Sprint("node-", n)), "counted", 1)
		m.tally(&metric{name: fmt.Sprint("tallied-", n)})
	}
	lost := func() (list []float64) {
		for _, x := range m.gather() {
			if x.name == "metrics_lost_total" {
				list = append(list, x.value)
			}
		}
		return list
	}
	if got := lost(); !slices.Equal(got, []float64{6}) {
		t.Errorf("2 of each of three kinds found no room, and it tells %v", got)
	}
	m.measure(metric{name: "measured"})
	if got := lost(); got != nil {
		t.Errorf("nothing more was lost, and it tells %v", got)
	}
}

// Every counter of an edge is a metric of its own: one that is added and not told fails
// here.
func TestEveryCountOfAnEdgeIsAMetric(t *testing.T) {
	var s flow.Stats
	next := int64(1000)
	fill := func(v reflect.Value) []int64 {
		var set []int64
		each := func(v reflect.Value) {
			next++
			v.SetInt(next * int64(timebase.Millisecond))
			set = append(set, v.Int())
		}
		if v.Kind() == reflect.Array {
			for i := range v.Len() {
				each(v.Index(i))
			}
			return set
		}
		each(v)
		return set
	}
	fields := reflect.TypeFor[flow.Stats]()
	want := map[string][]int64{}
	for i := range fields.NumField() {
		want[fields.Field(i).Name] = fill(reflect.ValueOf(&s).Elem().Field(i))
	}
	values := map[float64]string{}
	for _, m := range edgeMetrics("e", &s, &flow.Depth{}) {
		values[m.value] = m.name
	}
	for name, set := range want {
		for i, v := range set {
			if name == "Dropped" && i == int(flow.NoReason) {
				continue // nothing is dropped for no reason
			}
			_, plain := values[float64(v)]
			_, timed := values[millis(timebase.Span(v))]
			if !plain && !timed {
				t.Errorf("%s[%d] is no metric", name, i)
			}
		}
	}
	full := flow.Depth{Bytes: 1, Media: timebase.Second, Age: timebase.Second, Waiting: 1, High: true, Off: true, Credit: 1}
	for _, m := range edgeMetrics("e", &flow.Stats{}, &full) {
		if m.value == 0 && (strings.HasPrefix(m.name, "queue_") && m.labels == [3][2]string{} && !strings.Contains(m.name, "peak") || m.name == "above_watermark" || m.name == "producer_stopped") {
			t.Errorf("%s does not follow the depth", m.name)
		}
	}
}

// Pressure is told: crossings, drops and their reasons, and what was refused.
func TestPressureIsToldAsMetrics(t *testing.T) {
	r := newRig("s1")
	seen := told{}
	r.settings.Metrics = func(e *eventabi.Envelope) { seen.hear(t, e) }
	notes := edgePolicy("notes", session.FromAgentText, "nobody", controlplane.StrategyDrop, 1)
	r.settings.Edges = []session.EdgePolicy{notes}
	r.llm.Replies = []string{strings.Repeat("And then the light went round again. ", 4)}
	virtually(t, r, speaking([2]int64{1000, 2000}), 20000, nil)
	for _, want := range []string{"drops_total notes shed", "overflows_total notes", "flow_signals_total tts-transport flow_xoff"} {
		if seen[want] == 0 {
			t.Errorf("no %s among %q", want, slices.Sorted(maps.Keys(seen)))
		}
	}
}

// docs/flow.md names every metric of the runtime, with its unit.
func TestMetricsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/flow.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(doc)) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, line)
		}
	}
	want := edgeMetrics("e", &flow.Stats{}, &flow.Depth{})
	for _, name := range []string{"kernel_overhead_ms", "cancel_latency_ms", "control_preempt_delay_ms", "provider_rtt_ms", "provider_first_chunk_ms"} {
		want = append(want, metric{name: name, unit: "ms"})
	}
	for _, name := range []string{"decisions_total", "budget_warning_total", "budget_exhausted_total"} {
		want = append(want, metric{name: name, unit: "1"})
	}
	for _, m := range want {
		if !slices.ContainsFunc(rows, func(row string) bool {
			cells := strings.Split(row, "|")
			return strings.Contains(cells[1], "`"+m.name+"`") && strings.TrimSpace(cells[2]) == m.unit
		}) {
			t.Errorf("%s in %s is not in the table of metrics", m.name, m.unit)
		}
	}
}
