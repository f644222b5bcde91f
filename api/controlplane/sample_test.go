// SPDX-License-Identifier: Apache-2.0

package controlplane

// samplePlan is a plan with the defaults of turn-plan section 6 on the five edges
// and three providers of a voice graph.
func samplePlan() *ResolvedTurnPlan {
	edge := func(s BufferStrategy) EdgeBufferPolicy {
		return EdgeBufferPolicy{
			Strategy: s, MaxQueueItems: 64, MaxQueueMS: 200, MaxQueueBytes: 262144,
			MaxLatencyContributionMS: 100, MaxBlockTimeMS: 20,
			Watermarks: EdgeWatermarks{
				QueueItems: &Watermark{High: 48, Low: 16}, QueueMS: &Watermark{High: 150, Low: 50},
			},
			LaneHandling: LaneHandling{
				ControlLane: TreatPriority, DataLane: LaneTreatment(s), TelemetryLane: TreatSample,
			},
			DefaultingSource: DefaultedFromProfile,
		}
	}
	stage := HandoffStage{
		Enabled: true, MinPartialChars: 24, TriggerOnPunctuation: true, MaxPartialAgeMS: 250,
		MaxPendingRevisions: 4, MaxPendingSegments: 8, CoalesceLatestOnly: true,
		EmitFlowControlSignals: true, DegradeOnThresholdBreach: true,
	}
	off := stage
	off.Enabled = false
	var provenance []Entry[string]
	for _, path := range []string{
		"allowed_adaptive_actions", "budgets.edge_budget_ms_default", "budgets.node_budget_ms_default",
		"budgets.path_budget_ms_default", "budgets.turn_budget_ms", "determinism.merge_rule_id",
		"determinism.merge_rule_version", "determinism.ordering_markers", "edge_buffer_policies",
		"flow_control", "recording_policy", "streaming_handoff",
	} {
		provenance = append(provenance, Entry[string]{path, ProvenanceProfile})
	}
	return &ResolvedTurnPlan{
		TurnID: "t-1", PipelineVersion: "voice-1.0.0", GraphDefinitionRef: "graph/voice-1.0.0",
		ExecutionProfile: ProfileSimple, AuthorityEpoch: 7,
		Budgets: Budgets{TurnBudgetMS: 2000, NodeBudgetMSDefault: 800, PathBudgetMSDefault: 1500, EdgeBudgetMSDefault: 100},
		ProviderBindings: NewTable(Entry[string]{"tts", "flite"}, Entry[string]{"stt", "pocketsphinx"},
			Entry[string]{"llm", "scripted"}),
		EdgeBufferPolicies: NewTable(
			Entry[EdgeBufferPolicy]{"e-ingress-vad", edge(StrategyMerge)},
			Entry[EdgeBufferPolicy]{"e-vad-stt", edge(StrategyMerge)},
			Entry[EdgeBufferPolicy]{"e-stt-llm", edge(StrategyLatestOnly)},
			Entry[EdgeBufferPolicy]{"e-llm-tts", edge(StrategyBlock)},
			Entry[EdgeBufferPolicy]{"e-tts-egress", edge(StrategyMerge)},
		),
		NodeExecutionPolicies: NewTable(Entry[NodeExecutionPolicy]{"llm", NodeExecutionPolicy{ConcurrencyLimit: 1}}),
		FlowControl: FlowControl{
			ModeByLane: ByLane[FlowMode]{FlowSignal, FlowSignal, FlowSignal},
			Watermarks: ByLane[Watermark]{
				ControlLane: Watermark{192, 64}, DataLane: Watermark{48, 16}, TelemetryLane: Watermark{384, 128},
			},
			SheddingStrategyByLane: ByLane[SheddingStrategy]{ShedNone, ShedMerge, ShedSample},
		},
		AllowedAdaptiveActions: AdaptiveActions(),
		SnapshotProvenance: SnapshotProvenance{
			RoutingView: "routing-view/1", AdmissionPolicy: "admission-policy/1", ABICompatibility: "abi-compatibility/1",
			VersionResolution: "version-resolution/1", PolicyResolution: "policy-resolution/1", ProviderHealth: "provider-health/1",
		},
		RecordingPolicy: RecordingPolicy{
			RecordingLevel: RecordingL0, AllowedReplayModes: []ReplayMode{ReplayDecisions, RecomputeDecisions},
		},
		Determinism: Determinism{
			Seed:            Seed("s-1", "t-1", "voice-1.0.0"),
			OrderingMarkers: []string{"lane_priority", "runtime_sequence", "merge_rule"},
			MergeRuleID:     "sequence_order", MergeRuleVersion: "v1.0",
			NondeterministicInputs: []NondeterministicInput{},
		},
		StreamingHandoff: &StreamingHandoff{Enabled: true, STTToLLM: &off, LLMToTTS: &stage},
		ProviderPlans: []ProviderPlan{{
			ProviderInvocationID: "pi-1", Modality: "llm", OrderedCandidates: []string{"scripted"},
			MaxAttemptsPerProvider: 2, AllowedAdaptiveActions: AdaptiveActions(), BudgetMS: 1000,
			CapabilitySnapshotRef: "capability/1", PolicySnapshotRef: "policy-resolution/1",
		}},
		CapabilitySnapshotRef: "capability/1",
		DefaultProvenance:     NewTable(provenance...),
	}
}
