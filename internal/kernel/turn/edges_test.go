// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
)

// One line an edge: strategy, items/ms/bytes/latency, watermarks, block cap, lanes.
func outline(p *controlplane.EdgeBufferPolicy) string {
	var out []string
	for _, f := range p.Fields() {
		out = append(out, strings.TrimPrefix(f.Path[strings.LastIndexByte(f.Path, '.')+1:], "max_")+"="+f.Value)
	}
	return strings.Join(out, " ")
}

// Turn-plan section 6 for what the profile says, and the voice graph's own values: where
// an edge holds a reply, or a recogniser must not miss a word, 200 ms are not enough.
func TestVoiceGraph(t *testing.T) {
	const lanes = " ControlLane=non_blocking_priority TelemetryLane=sample"
	want := map[string]string{
		"transport-vad": "strategy=merge queue_items=64 queue_ms=1000 queue_bytes=262144 latency_contribution_ms=1000 high=48 low=16 high=750 low=250 DataLane=merge" + lanes,
		"transport-stt": "strategy=merge queue_items=256 queue_ms=4000 queue_bytes=131072 latency_contribution_ms=4000 high=192 low=64 high=3000 low=1000 DataLane=merge" + lanes,
		"stt-llm":       "strategy=latest_only queue_items=64 queue_ms=200 queue_bytes=262144 latency_contribution_ms=100 high=48 low=16 high=150 low=50 DataLane=latest_only" + lanes,
		"llm-tts":       "strategy=block queue_items=512 queue_ms=60000 queue_bytes=262144 latency_contribution_ms=60000 block_time_ms=20 high=384 low=128 high=45000 low=15000 DataLane=block" + lanes,
		"tts-transport": "strategy=block queue_items=1024 queue_ms=120000 queue_bytes=4194304 latency_contribution_ms=120000 block_time_ms=20 high=768 low=256 high=30000 low=20000 DataLane=block" + lanes,
		"text-client":   "strategy=latest_only queue_items=64 queue_ms=2000 queue_bytes=262144 latency_contribution_ms=2000 high=48 low=16 high=1500 low=500 DataLane=latest_only" + lanes,
		"telemetry":     "strategy=sample sample_every=2 queue_items=512 queue_ms=200 queue_bytes=262144 latency_contribution_ms=100 high=384 low=128 high=150 low=50 TelemetryLane=sample",
	}
	explicit := []string{"llm-tts", "text-client", "transport-stt", "transport-vad", "tts-transport"}
	last := ""
	for _, e := range VoiceGraph() {
		id := string(e.ID)
		if got := outline(&e.Policy); got != want[id] {
			t.Errorf("%s\n got %s\nwant %s", id, got, want[id])
		}
		delete(want, id)
		source := controlplane.DefaultedFromProfile
		if slices.Contains(explicit, id) {
			source = controlplane.DefaultedExplicit
		}
		if e.Policy.DefaultingSource != source || (len(e.Chosen()) > 0) != (source == controlplane.DefaultedExplicit) {
			t.Errorf("%s: %s with %v chosen", id, e.Policy.DefaultingSource, e.Chosen())
		}
		if id <= last || e.From == "" || e.To == "" || e.From == e.To {
			t.Errorf("%s after %s, from %q to %q", id, last, e.From, e.To)
		}
		last = id
	}
	if len(want) > 0 {
		t.Errorf("no edge: %v", want)
	}
}

// The settings of the voice graph are fit, and the layers that they name are those that
// a comparison with the profile gives.
func TestVoiceSettings(t *testing.T) {
	s := VoiceSettings()
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	var want []controlplane.Entry[string]
	for _, path := range []string{"allowed_adaptive_actions", "budgets", "edge_buffer_policies", "flow_control"} {
		want = append(want, entry(path, controlplane.ProvenanceProfile))
	}
	for _, e := range VoiceGraph() {
		for _, f := range e.Chosen() {
			want = append(want, entry("edge_buffer_policies."+string(e.ID)+"."+f.Path, controlplane.ProvenancePipelineSpec))
		}
	}
	if got := controlplane.NewTable(want...); !slices.Equal(got, s.Provenance) {
		t.Errorf("layers\n got %v\nwant %v", s.Provenance, got)
	}
}

// The bounds of turn-plan section 6 have their watermarks at three quarters and one
// quarter; the rule gives a pair for every bound.
func TestMarks(t *testing.T) {
	for bound, want := range map[int64]controlplane.Watermark{
		64: {High: 48, Low: 16}, 200: {High: 150, Low: 50}, 256: {High: 192, Low: 64}, 512: {High: 384, Low: 128},
		1: {High: 1}, 2: {High: 1}, 3: {High: 2}, controlplane.MaxEdgeBytes: {High: 805306368, Low: 268435456},
	} {
		if got := Marks(bound); got != want {
			t.Errorf("Marks(%d) = %v, want %v", bound, got, want)
		}
	}
	for bound := int64(1); bound < 5000; bound++ {
		if m := Marks(bound); m.Low < 0 || m.Low >= m.High || m.High > bound {
			t.Errorf("Marks(%d) = %v", bound, m)
		}
	}
}

// F-054: the two sets differ in every bound that audio can reach, in the direction of
// their names.
func TestTunings(t *testing.T) {
	fast, exact := LatencyFirst.Bounds(), AccuracyFirst.Bounds()
	if fast.MS >= exact.MS || fast.LatencyMS >= exact.LatencyMS || fast.Items >= exact.Items {
		t.Errorf("latency_first %+v, accuracy_first %+v", fast, exact)
	}
	if fast != Tuning("").Bounds() {
		t.Error("latency_first is not what the profile gives")
	}
	// 20 ms of 16 kHz in 16 bits are 640 bytes.
	if bytes := exact.MS / 20 * 640; bytes > exact.Bytes || exact.MS/20 > exact.Items {
		t.Errorf("accuracy_first cannot hold the %d ms that it promises: that is %d bytes", exact.MS, bytes)
	}
	if len(Tunings()) != 2 || !slices.Contains(TunedEdges(), EdgeTransportSTT) {
		t.Errorf("tunings %v of %v", Tunings(), TunedEdges())
	}
}
