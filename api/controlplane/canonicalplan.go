// SPDX-License-Identifier: Apache-2.0

package controlplane

import "strconv"

// plan writes p; with identity set, its hash and id as well. It marks the beginning and
// the end of what differs between the plans of a session (see PlanTemplate).
func (w *writer) plan(p *ResolvedTurnPlan, identity bool) {
	w.open()
	w.actions(p.AllowedAdaptiveActions)
	w.key("authority_epoch")
	w.mark()
	w.out = strconv.AppendInt(w.out, int64(p.AuthorityEpoch), 10)
	w.mark()
	w.budgets(&p.Budgets)
	w.optStr("capability_snapshot_ref", p.CapabilitySnapshotRef)
	w.table("default_provenance", p.DefaultProvenance)
	w.determinism(&p.Determinism)
	w.key("edge_buffer_policies")
	w.open()
	edges := p.EdgeBufferPolicies.sorted()
	for i := range edges {
		w.member(i, edges[i].Key)
		w.edge(&edges[i].Value)
	}
	w.close()
	w.str("execution_profile", p.ExecutionProfile)
	w.flow(&p.FlowControl)
	w.str("graph_definition_ref", p.GraphDefinitionRef)
	if len(p.NodeExecutionPolicies) > 0 {
		w.nodePolicies(p.NodeExecutionPolicies)
	}
	w.str("pipeline_version", string(p.PipelineVersion))
	if identity {
		w.str("plan_hash", p.PlanHash)
	}
	w.table("provider_bindings", p.ProviderBindings)
	if len(p.ProviderPlans) > 0 {
		w.providerPlans(p.ProviderPlans)
	}
	w.key("recording_policy")
	w.open()
	writeStrings(w, "allowed_replay_modes", p.RecordingPolicy.AllowedReplayModes)
	w.str("recording_level", string(p.RecordingPolicy.RecordingLevel))
	w.close()
	if identity {
		w.optStr("resolved_turn_plan_id", p.ResolvedTurnPlanID)
	}
	w.key("snapshot_provenance")
	w.mark()
	w.provenance(&p.SnapshotProvenance)
	w.mark()
	if p.StreamingHandoff != nil {
		w.handoff(p.StreamingHandoff)
	}
	w.key("turn_id")
	w.mark()
	w.out = appendString(w.out, string(p.TurnID))
	w.mark()
	w.close()
}

// mark notes a place, where places are asked for.
func (w *writer) mark() {
	if w.marks != nil {
		w.marks = append(w.marks, len(w.out))
	}
}

// member writes the i-th key of an object whose keys are not constants.
func (w *writer) member(i int, key string) {
	if i > 0 {
		w.out = append(w.out, ',')
	}
	w.out = appendString(w.out, key)
	w.out = append(w.out, ':')
}

func (w *writer) table(name string, t Table[string]) {
	w.key(name)
	w.open()
	for i, e := range t.sorted() {
		w.member(i, e.Key)
		w.out = appendString(w.out, e.Value)
	}
	w.close()
}

func (w *writer) budgets(b *Budgets) {
	w.key("budgets")
	w.open()
	w.int("edge_budget_ms_default", b.EdgeBudgetMSDefault)
	w.int("node_budget_ms_default", b.NodeBudgetMSDefault)
	w.int("path_budget_ms_default", b.PathBudgetMSDefault)
	w.int("turn_budget_ms", b.TurnBudgetMS)
	w.close()
}

func (w *writer) determinism(d *Determinism) {
	w.key("determinism")
	w.open()
	w.str("merge_rule_id", d.MergeRuleID)
	w.str("merge_rule_version", d.MergeRuleVersion)
	w.key("nondeterministic_inputs")
	w.out = append(w.out, '[')
	for i, in := range d.NondeterministicInputs {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.open()
		w.str("evidence_ref", in.EvidenceRef)
		w.str("input_key", in.InputKey)
		w.str("source", string(in.Source))
		w.close()
	}
	w.out = append(w.out, ']')
	writeStrings(w, "ordering_markers", d.OrderingMarkers)
	w.key("seed")
	w.mark()
	w.out = strconv.AppendInt(w.out, d.Seed, 10)
	w.mark()
	w.close()
}

func (w *writer) edge(e *EdgeBufferPolicy) {
	w.open()
	w.str("defaulting_source", string(e.DefaultingSource))
	w.optStr("drop_victim", string(e.DropVictim))
	w.optStr("fairness_key", e.FairnessKey)
	w.key("lane_handling")
	w.open()
	w.optStr("ControlLane", string(e.LaneHandling.ControlLane))
	w.optStr("DataLane", string(e.LaneHandling.DataLane))
	w.optStr("TelemetryLane", string(e.LaneHandling.TelemetryLane))
	w.close()
	w.optInt("max_block_time_ms", e.MaxBlockTimeMS)
	w.int("max_latency_contribution_ms", e.MaxLatencyContributionMS)
	w.int("max_queue_bytes", e.MaxQueueBytes)
	w.int("max_queue_items", e.MaxQueueItems)
	w.int("max_queue_ms", e.MaxQueueMS)
	w.optInt("sample_every", e.SampleEvery)
	w.str("strategy", string(e.Strategy))
	if s := e.SyncDropPolicy; s != nil {
		w.key("sync_drop_policy")
		w.open()
		w.optStr("group_by", string(s.GroupBy))
		w.str("policy", string(s.Policy))
		w.str("scope", string(s.Scope))
		w.optStr("sync_domain", s.SyncDomain)
		w.close()
	}
	w.key("watermarks")
	w.open()
	if m := e.Watermarks.QueueItems; m != nil {
		w.watermark("queue_items", *m)
	}
	if m := e.Watermarks.QueueMS; m != nil {
		w.watermark("queue_ms", *m)
	}
	w.close()
	w.close()
}

func (w *writer) watermark(name string, m Watermark) {
	w.key(name)
	w.open()
	w.int("high", m.High)
	w.int("low", m.Low)
	w.close()
}

func (w *writer) flow(f *FlowControl) {
	w.key("flow_control")
	w.open()
	w.key("mode_by_lane")
	w.open()
	w.str("ControlLane", string(f.ModeByLane.ControlLane))
	w.str("DataLane", string(f.ModeByLane.DataLane))
	w.str("TelemetryLane", string(f.ModeByLane.TelemetryLane))
	w.close()
	w.key("shedding_strategy_by_lane")
	w.open()
	w.str("ControlLane", string(f.SheddingStrategyByLane.ControlLane))
	w.str("DataLane", string(f.SheddingStrategyByLane.DataLane))
	w.str("TelemetryLane", string(f.SheddingStrategyByLane.TelemetryLane))
	w.close()
	w.key("watermarks")
	w.open()
	w.watermark("ControlLane", f.Watermarks.ControlLane)
	w.watermark("DataLane", f.Watermarks.DataLane)
	w.watermark("TelemetryLane", f.Watermarks.TelemetryLane)
	w.close()
	w.close()
}

func (w *writer) nodePolicies(t Table[NodeExecutionPolicy]) {
	w.key("node_execution_policies")
	w.open()
	for i, e := range t.sorted() {
		w.member(i, e.Key)
		w.open()
		w.int("concurrency_limit", e.Value.ConcurrencyLimit)
		w.optStr("fairness_key", e.Value.FairnessKey)
		w.close()
	}
	w.close()
}

func (w *writer) providerPlans(list []ProviderPlan) {
	w.key("provider_plans")
	w.out = append(w.out, '[')
	for i := range list {
		p := &list[i]
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.open()
		w.actions(p.AllowedAdaptiveActions)
		w.int("budget", p.BudgetMS)
		w.str("capability_snapshot_ref", p.CapabilitySnapshotRef)
		w.int("max_attempts_per_provider", p.MaxAttemptsPerProvider)
		w.str("modality", p.Modality)
		writeStrings(w, "ordered_candidates", p.OrderedCandidates)
		w.key("policy_snapshot_ref")
		w.mark()
		w.out = appendString(w.out, p.PolicySnapshotRef)
		w.mark()
		w.str("provider_invocation_id", string(p.ProviderInvocationID))
		w.close()
	}
	w.out = append(w.out, ']')
}

func (w *writer) provenance(s *SnapshotProvenance) {
	w.open()
	w.str("abi_compatibility_snapshot", s.ABICompatibility)
	w.str("admission_policy_snapshot", s.AdmissionPolicy)
	w.str("policy_resolution_snapshot", s.PolicyResolution)
	w.str("provider_health_snapshot", s.ProviderHealth)
	w.str("routing_view_snapshot", s.RoutingView)
	w.str("version_resolution_snapshot", s.VersionResolution)
	w.close()
}

func (w *writer) handoff(h *StreamingHandoff) {
	w.key("streaming_handoff")
	w.open()
	w.bool("enabled", h.Enabled)
	if h.LLMToTTS != nil {
		w.stage("llm_to_tts", h.LLMToTTS)
	}
	if h.STTToLLM != nil {
		w.stage("stt_to_llm", h.STTToLLM)
	}
	w.close()
}

func (w *writer) stage(name string, s *HandoffStage) {
	w.key(name)
	w.open()
	w.bool("coalesce_latest_only", s.CoalesceLatestOnly)
	w.bool("degrade_on_threshold_breach", s.DegradeOnThresholdBreach)
	w.bool("emit_flow_control_signals", s.EmitFlowControlSignals)
	w.bool("enabled", s.Enabled)
	w.optInt("max_partial_age_ms", s.MaxPartialAgeMS)
	w.optInt("max_pending_revisions", s.MaxPendingRevisions)
	w.optInt("max_pending_segments", s.MaxPendingSegments)
	w.optInt("min_partial_chars", s.MinPartialChars)
	w.bool("trigger_on_punctuation", s.TriggerOnPunctuation)
	w.close()
}
