// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
)

// FlowSettings are what the plans of a session say about waiting, losing and limits, as
// the layers of turn-plan section 5 made them. Sessions with equal settings share one
// value; it must not change once a resolver has it.
type FlowSettings struct {
	Edges   controlplane.Table[controlplane.EdgeBufferPolicy]
	Flow    controlplane.FlowControl
	Budgets controlplane.Budgets
	Nodes   controlplane.Table[controlplane.NodeExecutionPolicy]
	Actions []controlplane.AdaptiveAction
	// Provenance names the layer of every value above by its path in the plan; a path
	// stands for what lies below it and has no path of its own (controlplane.Origin).
	Provenance controlplane.Table[string]
}

// The budgets of simple/v1 (turn-plan section 6).
const (
	simpleTurnBudgetMS = 2000
	simpleNodeBudgetMS = 800
	simplePathBudgetMS = 1500
	simpleEdgeBudgetMS = 100
	// ProfileHardCapMS is turn_hard_cap_ms: a turn that is still talking ends here.
	ProfileHardCapMS = 60_000
)

// ProfileBudgets are the budgets of simple/v1.
func ProfileBudgets() controlplane.Budgets {
	return controlplane.Budgets{
		TurnBudgetMS: simpleTurnBudgetMS, NodeBudgetMSDefault: simpleNodeBudgetMS,
		PathBudgetMSDefault: simplePathBudgetMS, EdgeBudgetMSDefault: simpleEdgeBudgetMS,
	}
}

// ProfileFlow is the flow-control surface of simple/v1.
func ProfileFlow() controlplane.FlowControl {
	control, telemetry := Marks(ProfileControlItems), Marks(ProfileTelemetryItems)
	return controlplane.FlowControl{
		ModeByLane: controlplane.ByLane[controlplane.FlowMode]{
			ControlLane: controlplane.FlowSignal, DataLane: controlplane.FlowSignal, TelemetryLane: controlplane.FlowSignal,
		},
		Watermarks: controlplane.ByLane[controlplane.Watermark]{
			ControlLane: control, DataLane: Marks(Tuning("").Bounds().Items), TelemetryLane: telemetry,
		},
		SheddingStrategyByLane: controlplane.ByLane[controlplane.SheddingStrategy]{
			ControlLane: controlplane.ShedNone, DataLane: controlplane.ShedMerge, TelemetryLane: controlplane.ShedSample,
		},
	}
}

// VoiceSettings are the settings of the profile and of the voice graph, with nothing set
// by anybody.
func VoiceSettings() FlowSettings {
	graph := VoiceGraph()
	edges := make(controlplane.Table[controlplane.EdgeBufferPolicy], len(graph)) // sorted as the graph is
	for i := range graph {
		edges[i] = entry(string(graph[i].ID), graph[i].Policy)
	}
	return FlowSettings{
		Edges: edges, Flow: ProfileFlow(), Budgets: ProfileBudgets(), Actions: controlplane.AdaptiveActions(),
		Provenance: voiceProvenance(),
	}
}

// voiceProvenance is the layer of every value of VoiceSettings. It could be computed, by
// comparing the graph with the profile; a test does. A session that is handed no settings
// lays it out with its first plan, and comparing would cost more than the plan.
func voiceProvenance() controlplane.Table[string] {
	const profile, spec = controlplane.ProvenanceProfile, controlplane.ProvenancePipelineSpec
	return controlplane.Table[string]{
		entry("allowed_adaptive_actions", profile),
		entry("budgets", profile),
		entry("edge_buffer_policies", profile),
		entry("edge_buffer_policies.llm-tts.max_latency_contribution_ms", spec),
		entry("edge_buffer_policies.llm-tts.max_queue_items", spec),
		entry("edge_buffer_policies.llm-tts.max_queue_ms", spec),
		entry("edge_buffer_policies.llm-tts.watermarks.queue_items.high", spec),
		entry("edge_buffer_policies.llm-tts.watermarks.queue_items.low", spec),
		entry("edge_buffer_policies.llm-tts.watermarks.queue_ms.high", spec),
		entry("edge_buffer_policies.llm-tts.watermarks.queue_ms.low", spec),
		entry("edge_buffer_policies.text-client.max_latency_contribution_ms", spec),
		entry("edge_buffer_policies.text-client.max_queue_ms", spec),
		entry("edge_buffer_policies.text-client.watermarks.queue_ms.high", spec),
		entry("edge_buffer_policies.text-client.watermarks.queue_ms.low", spec),
		entry("edge_buffer_policies.transport-stt.max_latency_contribution_ms", spec),
		entry("edge_buffer_policies.transport-stt.max_queue_bytes", spec),
		entry("edge_buffer_policies.transport-stt.max_queue_items", spec),
		entry("edge_buffer_policies.transport-stt.max_queue_ms", spec),
		entry("edge_buffer_policies.transport-stt.watermarks.queue_items.high", spec),
		entry("edge_buffer_policies.transport-stt.watermarks.queue_items.low", spec),
		entry("edge_buffer_policies.transport-stt.watermarks.queue_ms.high", spec),
		entry("edge_buffer_policies.transport-stt.watermarks.queue_ms.low", spec),
		entry("edge_buffer_policies.transport-vad.max_latency_contribution_ms", spec),
		entry("edge_buffer_policies.transport-vad.max_queue_ms", spec),
		entry("edge_buffer_policies.transport-vad.watermarks.queue_ms.high", spec),
		entry("edge_buffer_policies.transport-vad.watermarks.queue_ms.low", spec),
		entry("edge_buffer_policies.tts-transport.lane_handling.DataLane", spec),
		entry("edge_buffer_policies.tts-transport.max_block_time_ms", spec),
		entry("edge_buffer_policies.tts-transport.max_latency_contribution_ms", spec),
		entry("edge_buffer_policies.tts-transport.max_queue_bytes", spec),
		entry("edge_buffer_policies.tts-transport.max_queue_items", spec),
		entry("edge_buffer_policies.tts-transport.max_queue_ms", spec),
		entry("edge_buffer_policies.tts-transport.strategy", spec),
		entry("edge_buffer_policies.tts-transport.watermarks.queue_items.high", spec),
		entry("edge_buffer_policies.tts-transport.watermarks.queue_items.low", spec),
		entry("edge_buffer_policies.tts-transport.watermarks.queue_ms.high", spec),
		entry("edge_buffer_policies.tts-transport.watermarks.queue_ms.low", spec),
		entry("flow_control", profile),
	}
}

// LayerOf reads a list of name=layer, with blanks between, and says which layer a name is
// given there. A pair without a name speaks of all that are not named; where there is
// none either, the value came from the session's own settings.
func LayerOf(list, name string) string {
	layer := controlplane.ProvenanceSession
	for pair := range strings.FieldsSeq(list) {
		switch n, l, _ := strings.Cut(pair, "="); n {
		case name:
			return l
		case "":
			layer = l
		}
	}
	return layer
}

// UnknownLayer gives the first pair of such a list that names no layer, "" when all do.
func UnknownLayer(list string) string {
	for pair := range strings.FieldsSeq(list) {
		if _, layer, ok := strings.Cut(pair, "="); !ok || !slices.Contains(controlplane.Layers(), layer) {
			return pair
		}
	}
	return ""
}

// Chosen lists the values of an edge that are not the profile's.
func (e *VoiceEdge) Chosen() []controlplane.Field {
	profile := e.Profile.Fields()
	return slices.DeleteFunc(e.Policy.Fields(), func(f controlplane.Field) bool { return slices.Contains(profile, f) })
}
