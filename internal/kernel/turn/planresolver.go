// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// PlanRequest is what a session fixes for all its plans.
type PlanRequest struct {
	Session  eventabi.SessionID
	Pipeline eventabi.PipelineVersion
	Graph    string
	Profile  string // as requested: "simple" or "simple/v1"
	STT      string // provider ids
	LLM      string
	TTS      string
	Seconds  Seconds
	// Nodes are the models and synthesisers of the graph that have providers of their own.
	Nodes []NodeBinding
	// Flow is what the layers made of edges, flow control, limits and budgets; nil is the
	// profile and the voice graph.
	Flow      *FlowSettings
	Overrides PlanOverrides
}

// NodeBinding binds providers to a node of the graph.
type NodeBinding struct {
	Node       string
	Modality   string
	Candidates []string // the preferred one first
}

// Seconds are the provider ids of second candidates, empty = none.
type Seconds struct{ STT, LLM, TTS string }

// PlanOverrides are values that a session was given; zero leaves the profile's value.
type PlanOverrides struct {
	TurnBudgetMS int64
	NodeBudgetMS int64
	PathBudgetMS int64
	EdgeBudgetMS int64
	InvocationMS int64
	Attempts     int64
	Actions      []controlplane.AdaptiveAction // in canonical order; nil = the profile's
	// Layers names the layers of budgets and actions by their paths in the plan; see LayerOf.
	Layers string
}

// ErrProfile is wrapped when a plan cannot be built because the profile is unknown.
var ErrProfile = errors.New("unsupported_execution_profile")

// ErrPlan is wrapped when a plan cannot be built for another reason.
var ErrPlan = errors.New("turn_start_bundle_resolution_failed")

// The values of simple/v1 (turn-plan section 6). Any change needs simple/v2.
const (
	simpleInvocationMS = 1000
	simpleAttempts     = 2
)

// DefaultInvocationMS is the profile's time limit of a provider call, DefaultPathMS its
// budget of a path.
const (
	DefaultInvocationMS = simpleInvocationMS
	DefaultPathMS       = simplePathBudgetMS
)

// Resolver builds plans from one session's request. Identical inputs give an identical
// plan: everything that does not differ between turns is laid out once, with the first
// plan, so that a session without a turn holds none of it.
type Resolver struct {
	request  PlanRequest
	template *controlplane.PlanTemplate
}

// NewResolver checks the request.
func NewResolver(r PlanRequest) (Resolver, error) {
	if r.Profile != controlplane.ProfileSimple && r.Profile != controlplane.ProfileSimpleAlias {
		return Resolver{}, fmt.Errorf("%w: execution_profile %q; this build knows %q", ErrProfile, r.Profile, controlplane.ProfileSimple)
	}
	for _, f := range [...]struct{ name, value string }{
		{"pipeline_version", string(r.Pipeline)},
		{"graph_definition_ref", r.Graph},
		{"provider_bindings.stt", r.STT},
		{"provider_bindings.llm", r.LLM},
		{"provider_bindings.tts", r.TTS},
	} {
		if f.value == "" {
			return Resolver{}, fmt.Errorf("%w: %s is empty", ErrPlan, f.name)
		}
	}
	if r.Flow != nil {
		if err := r.Flow.Validate(); err != nil {
			return Resolver{}, fmt.Errorf("%w: %w", ErrPlan, err)
		}
	}
	return Resolver{request: r}, nil
}

// Resolve builds and seals the plan of one turn.
func (r *Resolver) Resolve(turn eventabi.TurnID, epoch eventabi.Epoch, snapshots controlplane.SnapshotProvenance) controlplane.ResolvedTurnPlan {
	if r.template == nil {
		r.template = controlplane.NewPlanTemplate(r.request.plan())
	}
	seed := controlplane.Seed(r.request.Session, turn, r.request.Pipeline)
	return r.template.Seal(turn, epoch, seed, snapshots)
}

// Edge gives the policy of an edge and the plan's flow control, both frozen, and whether
// the plan knows the edge.
func (r *Resolver) Edge(id eventabi.EdgeID) (controlplane.EdgeBufferPolicy, controlplane.FlowControl, bool) {
	if f := r.request.Flow; f != nil {
		p, ok := f.Edges.Get(string(id))
		return p, f.Flow, ok
	}
	e := voiceEdge(id)
	return e.Policy, ProfileFlow(), e.ID != ""
}

// FlowLayers names the layers of what the plans say about edges and flow control, by path.
func (r *Resolver) FlowLayers() controlplane.Table[string] {
	if f := r.request.Flow; f != nil {
		return f.Provenance
	}
	return voiceProvenance()
}

// plan lays out what all plans of the session have in common.
func (r *PlanRequest) plan() controlplane.ResolvedTurnPlan {
	var flow FlowSettings
	if r.Flow != nil {
		flow = *r.Flow
	} else {
		flow = VoiceSettings()
	}
	o := &r.Overrides
	set := func(v *int64, own int64) { *v = or(own, *v) }
	set(&flow.Budgets.TurnBudgetMS, o.TurnBudgetMS)
	set(&flow.Budgets.NodeBudgetMSDefault, o.NodeBudgetMS)
	set(&flow.Budgets.PathBudgetMSDefault, o.PathBudgetMS)
	set(&flow.Budgets.EdgeBudgetMSDefault, o.EdgeBudgetMS)
	if o.Actions != nil {
		flow.Actions = o.Actions
	}
	return controlplane.ResolvedTurnPlan{
		PipelineVersion:    r.Pipeline,
		GraphDefinitionRef: r.Graph,
		ExecutionProfile:   controlplane.ProfileSimple,
		Budgets:            flow.Budgets,
		ProviderBindings:       controlplane.NewTable(r.bindings()...),
		EdgeBufferPolicies:     flow.Edges,
		NodeExecutionPolicies:  flow.Nodes,
		FlowControl:            flow.Flow,
		AllowedAdaptiveActions: flow.Actions,
		RecordingPolicy: controlplane.RecordingPolicy{
			RecordingLevel:     controlplane.RecordingL0,
			AllowedReplayModes: []controlplane.ReplayMode{controlplane.ReplayDecisions, controlplane.RecomputeDecisions},
		},
		Determinism: controlplane.Determinism{
			OrderingMarkers:        OrderingMarkers(),
			MergeRuleID:            MergeRuleID,
			MergeRuleVersion:       MergeRuleVersion,
			NondeterministicInputs: []controlplane.NondeterministicInput{},
		},
		StreamingHandoff:  handoffDefaults(),
		ProviderPlans:     r.providerPlans(flow.Actions),
		DefaultProvenance: r.provenance(flow.Provenance),
	}
}

// The merge rule of simple/v1.
const (
	MergeRuleID      = "sequence_order"
	MergeRuleVersion = "v1.0"
)

// OrderingMarkers names what the order of a turn's events rests on.
func OrderingMarkers() []string {
	return []string{"lane_priority", "runtime_sequence", "merge_rule"}
}

func entry[V any](key string, value V) controlplane.Entry[V] {
	return controlplane.Entry[V]{Key: key, Value: value}
}

func or(v, def int64) int64 {
	if v == 0 {
		return def
	}
	return v
}

func handoffDefaults() *controlplane.StreamingHandoff {
	stage := func(on bool) *controlplane.HandoffStage {
		return &controlplane.HandoffStage{
			Enabled: on, MinPartialChars: 24, TriggerOnPunctuation: true, MaxPartialAgeMS: 250,
			MaxPendingRevisions: 4, MaxPendingSegments: 8,
			CoalesceLatestOnly: true, EmitFlowControlSignals: true, DegradeOnThresholdBreach: true,
		}
	}
	return &controlplane.StreamingHandoff{Enabled: true, STTToLLM: stage(false), LLMToTTS: stage(true)}
}

func (r *PlanRequest) providerPlans(actions []controlplane.AdaptiveAction) []controlplane.ProviderPlan {
	plan := func(modality, id, second string) controlplane.ProviderPlan {
		candidates := []string{id}
		if second != "" {
			candidates = append(candidates, second)
		}
		return controlplane.ProviderPlan{
			ProviderInvocationID:   eventabi.InvocationID(modality),
			Modality:               modality,
			OrderedCandidates:      candidates,
			MaxAttemptsPerProvider: or(r.Overrides.Attempts, simpleAttempts),
			AllowedAdaptiveActions: actions,
			BudgetMS:               or(r.Overrides.InvocationMS, simpleInvocationMS),
			CapabilitySnapshotRef:  "capability/1",
		}
	}
	list := []controlplane.ProviderPlan{
		plan("stt", r.STT, r.Seconds.STT), plan("llm", r.LLM, r.Seconds.LLM), plan("tts", r.TTS, r.Seconds.TTS),
	}
	for i := range r.Nodes {
		p := plan(r.Nodes[i].Modality, r.Nodes[i].Candidates[0], "")
		p.ProviderInvocationID, p.OrderedCandidates = eventabi.InvocationID(r.Nodes[i].Node), r.Nodes[i].Candidates
		list = append(list, p)
	}
	return list
}

// bindings are the preferred providers, by modality and by node.
func (r *PlanRequest) bindings() []controlplane.Entry[string] {
	list := []controlplane.Entry[string]{entry("stt", r.STT), entry("llm", r.LLM), entry("tts", r.TTS)}
	for i := range r.Nodes {
		list = append(list, entry(r.Nodes[i].Node, r.Nodes[i].Candidates[0]))
	}
	return list
}

// provenance names the layer that each derived field came from (turn-plan section 5):
// those of the flow, and those of what the session was given.
func (r *PlanRequest) provenance(flow controlplane.Table[string]) controlplane.Table[string] {
	layer := func(override int64) string {
		if override != 0 {
			return controlplane.ProvenanceSession
		}
		return controlplane.ProvenanceProfile
	}
	from := controlplane.ProvenanceProfile
	o := &r.Overrides
	actions := controlplane.Origin(flow, "allowed_adaptive_actions")
	if o.Actions != nil {
		actions = LayerOf(o.Layers, "allowed_adaptive_actions")
	}
	own := controlplane.Table[string]{ // in order
		entry("determinism.merge_rule_id", from),
		entry("determinism.merge_rule_version", from),
		entry("determinism.ordering_markers", from),
		entry("graph_definition_ref", controlplane.ProvenancePipelineSpec),
		entry("provider_bindings", controlplane.ProvenanceEnvironment),
		entry("provider_plans.allowed_adaptive_actions", actions),
		entry("provider_plans.budget", layer(r.Overrides.InvocationMS)),
		entry("provider_plans.max_attempts_per_provider", layer(r.Overrides.Attempts)),
		entry("provider_plans.ordered_candidates", controlplane.ProvenanceEnvironment),
		entry("recording_policy", from),
		entry("streaming_handoff", from),
	}
	for _, set := range [...]struct {
		path string
		is   bool
	}{
		{"budgets.turn_budget_ms", o.TurnBudgetMS != 0},
		{"budgets.path_budget_ms_default", o.PathBudgetMS != 0},
		{"budgets.node_budget_ms_default", o.NodeBudgetMS != 0},
		{"budgets.edge_budget_ms_default", o.EdgeBudgetMS != 0},
		{"allowed_adaptive_actions", o.Actions != nil},
	} {
		if set.is {
			own = slices.Insert(own, 0, entry(set.path, LayerOf(o.Layers, set.path)))
		}
	}
	return overlay(flow, own)
}

// overlay joins two tables; of a key that both have the second's value stands.
func overlay[V any](base, over controlplane.Table[V]) controlplane.Table[V] {
	out := make(controlplane.Table[V], 0, len(base)+len(over))
	for len(base) > 0 && len(over) > 0 {
		switch d := strings.Compare(base[0].Key, over[0].Key); {
		case d < 0:
			out, base = append(out, base[0]), base[1:]
		case d == 0:
			base = base[1:]
		default:
			out, over = append(out, over[0]), over[1:]
		}
	}
	return append(append(out, base...), over...)
}
