// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/jsondoc"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// CodePlanHashUnverified notes a legacy plan, whose hash may follow another rule.
const CodePlanHashUnverified = "plan_hash_unverified"

// plan checks what a shape cannot: relations between values.
func (in *inspector) plan(v *jsondoc.Value, pointer string) {
	if v.Kind != jsondoc.Object {
		return
	}
	in.actionOrder(v.Get("allowed_adaptive_actions"), pointer+"/allowed_adaptive_actions")
	if plans := v.Get("provider_plans"); plans != nil {
		for i, p := range plans.Elems {
			in.actionOrder(p.Get("allowed_adaptive_actions"),
				pointer+"/provider_plans/"+jsondoc.Index(i)+"/allowed_adaptive_actions")
		}
	}
	if edges := v.Get("edge_buffer_policies"); edges != nil {
		for _, m := range edges.Members {
			at := pointer + "/edge_buffer_policies/" + jsondoc.Escape(m.Name) + "/watermarks"
			in.watermarks(m.Value.Get("watermarks"), at, "queue_items", "queue_ms")
		}
	}
	in.watermarks(v.Get("flow_control").Get("watermarks"), pointer+"/flow_control/watermarks",
		string(eventabi.DataLane), string(eventabi.ControlLane), string(eventabi.TelemetryLane))
	in.handoff(v.Get("streaming_handoff"), pointer+"/streaming_handoff")
	in.planIdentity(v, pointer)
}

// actionOrder holds a set of adaptive actions to its canonical order. Unknown and
// repeated actions are faults of the shape.
func (in *inspector) actionOrder(v *jsondoc.Value, pointer string) {
	if v == nil {
		return
	}
	rank := -1
	for i, e := range v.Elems {
		r := slices.Index(controlplane.AdaptiveActions(), controlplane.AdaptiveAction(e.Str()))
		if r < 0 {
			continue
		}
		if r < rank {
			in.fault(pointer+"/"+jsondoc.Index(i), CodeCanonicalOrder, e.Offset,
				"(%s) is out of order; store the set as retry, provider_switch, degrade, fallback", e.Text)
			return
		}
		rank = r
	}
}

// watermarks holds each pair to low < high (flow section 1).
func (in *inspector) watermarks(v *jsondoc.Value, pointer string, keys ...string) {
	for _, key := range keys {
		pair := v.Get(key)
		high, ok1 := integer(pair.Get("high"))
		low, ok2 := integer(pair.Get("low"))
		if ok1 && ok2 && low >= high {
			in.fault(pointer+"/"+key+"/low", CodeWatermarkOrder, pair.Get("low").Offset,
				"is %d, but high is %d; low must lie below high, or pressure never ends", low, high)
		}
	}
}

// handoff holds an enabled handoff to at least one enabled stage (turn-plan section 6).
func (in *inspector) handoff(v *jsondoc.Value, pointer string) {
	isTrue := func(m *jsondoc.Value) bool { return m != nil && m.Kind == jsondoc.Bool && m.True }
	stt, tts := v.Get("stt_to_llm"), v.Get("llm_to_tts")
	if !isTrue(v.Get("enabled")) || stt == nil || tts == nil || isTrue(stt.Get("enabled")) || isTrue(tts.Get("enabled")) {
		return
	}
	in.fault(pointer, CodeHandoffIdle, v.Offset, "is enabled, but neither stt_to_llm nor llm_to_tts is; enable one or turn the handoff off")
}

// planIdentity holds plan_hash to the content and resolved_turn_plan_id to both
// (turn-plan sections 2 and 3). A plan that lacks a field which Parley always writes,
// or is for the alias simple, is legacy: the rule for its hash was not yet decided.
func (in *inspector) planIdentity(v *jsondoc.Value, pointer string) {
	hash := v.Get("plan_hash")
	if !shape.Hex64.Match(hash.Str()) {
		return
	}
	sum := sha256.Sum256(jsondoc.Canonical(v, "plan_hash", "resolved_turn_plan_id"))
	want := hex.EncodeToString(sum[:])
	matches := strings.EqualFold(hash.Text, want)
	planID := v.Get("resolved_turn_plan_id")
	legacy := planID == nil || v.Get("default_provenance") == nil ||
		v.Get("execution_profile").Str() == controlplane.ProfileSimpleAlias
	switch {
	case legacy && !matches:
		in.note(pointer+"/plan_hash", CodePlanHashUnverified, hash.Offset,
			"is not the hash of this content by the present rule (%s); the plan is legacy, so that is no fault", want)
	case !matches:
		in.fault(pointer+"/plan_hash", CodePlanHashMismatch, hash.Offset,
			"is %s, but the content hashes to %s; the plan was altered after it was frozen, or hashed by another rule", hash.Text, want)
	}
	if !legacy {
		in.planID(v, pointer, strings.ToLower(hash.Text))
	}
}

// planID holds a well-formed id to the turn and the hash of its plan.
func (in *inspector) planID(v *jsondoc.Value, pointer, hash string) {
	got, turn := v.Get("resolved_turn_plan_id"), v.Get("turn_id").Str()
	if turn == "" || !shape.PlanID.Match(got.Str()) {
		return // faults of the shape
	}
	want := controlplane.PlanID(eventabi.TurnID(turn), hash)
	cut := len(got.Text) - 16
	if got.Text[:cut]+strings.ToLower(got.Text[cut:]) != want {
		in.fault(pointer+"/resolved_turn_plan_id", CodePlanIDMismatch, got.Offset,
			"is %s; for this turn_id and plan_hash it is %s", got.Text, want)
	}
}
