// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// signalShape describes a control signal: an event on ControlLane.
func signalShape() *shape.Shape {
	fields := envelopeFields()
	for i := range fields {
		switch fields[i].Name {
		case "signal", "emitted_by", "authority_epoch":
			fields[i].Required = true
		}
	}
	return &shape.Shape{
		Type: shape.Object, Open: true, Fields: fields,
		Rules: append(append(commonRules(fields), controlRules()...), registryRules()...),
	}
}

func controlRules() []shape.Rule {
	var known, known10, added []eventabi.Signal
	for _, s := range eventabi.Signals() {
		known = append(known, s.Signal)
		if s.Since == 0 {
			known10 = append(known10, s.Signal)
		} else {
			added = append(added, s.Signal)
		}
	}
	return []shape.Rule{
		{
			Doc: "a signal travels on ControlLane; check other events as event_record, event-abi section 1",
			Then: []shape.Demand{
				shape.Restrict("lane", shape.OneOf("the lane", eventabi.ControlLane)).As(CodeLaneSignal),
			},
		},
		{
			Doc: "ControlLane carries metadata only, event-abi section 1",
			Then: []shape.Demand{
				shape.Restrict("payload_class", shape.OneOf("the class", eventabi.ClassMetadata)).As(CodePayloadClass),
			},
		},
		{
			Doc:  "on a signal event_kind is absent or control, event-abi section 1",
			Then: []shape.Demand{shape.Restrict("event_kind", shape.OneOf("the kind", eventabi.KindControl))},
		},
		{
			Doc:  "names outside the registry are errors, event-abi section 5",
			When: []shape.Cond{shape.Differs("schema_version", shape.VersionNewer)},
			Then: []shape.Demand{shape.Restrict("signal", shape.OneOf("the signal", known...))},
		},
		{
			Doc:  "the signal exists from v1.1; raise schema_version, event-abi section 5",
			When: []shape.Cond{shape.Matches("schema_version", shape.Version10), shape.In("signal", strs(added)...)},
			Then: []shape.Demand{shape.Restrict("signal", shape.OneOf("the signal", known10...)).As(CodeSignalVersion)},
		},
		{
			Doc: "a cancel of an invocation names it, event-abi section 1",
			When: []shape.Cond{
				shape.In("signal", "cancel"), shape.In("scope", "provider_invocation"),
				shape.Differs("schema_version", shape.Version10),
			},
			Then: []shape.Demand{shape.Require("provider_invocation_id")},
		},
		{
			Doc:  "transport_control carries its transport's namespace, event-abi section 5",
			When: []shape.Cond{shape.In("signal", "transport_control")},
			Then: []shape.Demand{shape.SomeName("extensions", shape.TransportNamespace)},
		},
		{
			Doc: "the body of a recording level change, evidence-replay section 3",
			When: []shape.Cond{
				shape.In("signal", "recording_level_downgraded", "recording_level_restored"),
				shape.Differs("schema_version", shape.Version10),
			},
			Then: []shape.Demand{shape.Restrict("payload", recordingLevelBody())},
		},
	}
}

// registryRules turns each row of the signal registry into its demands.
func registryRules() []shape.Rule {
	var out []shape.Rule
	for _, s := range eventabi.Signals() {
		is := shape.In("signal", string(s.Signal))
		from11 := shape.Differs("schema_version", shape.Version10)
		doc := fmt.Sprintf("signal %s, event-abi section 5", s.Signal)
		then := []shape.Demand{
			shape.Restrict("emitted_by", shape.OneOf("the emitter", s.Emitters...)).As(CodeSignalEmitter),
		}
		if s.Scope != "" {
			then = append(then, shape.Restrict("event_scope", shape.OneOf("the scope", s.Scope)).As(CodeSignalScope))
		}
		if len(s.Requires) > 0 {
			then = append(then, shape.Require(s.Requires...))
		}
		if len(s.RequiresOneOf) > 0 {
			then = append(then, shape.AtLeastOne(s.RequiresOneOf...))
		}
		reasons := shape.Restrict("reason", shape.OneOf("the reason", s.Reasons...)).As(CodeSignalReason)
		if len(s.Reasons) > 0 && s.ReasonsSince <= s.Since {
			then = append(then, reasons)
		}
		out = append(out, shape.Rule{Doc: doc, When: []shape.Cond{is}, Then: then})
		var later []shape.Demand
		if len(s.RequiresFrom11) > 0 {
			later = append(later, shape.Require(s.RequiresFrom11...))
		}
		if len(s.Reasons) > 0 && s.ReasonsSince > s.Since {
			later = append(later, reasons)
		}
		if len(later) > 0 {
			out = append(out, shape.Rule{Doc: doc + ", from v1.1", When: []shape.Cond{is, from11}, Then: later})
		}
	}
	return out
}

func recordingLevelBody() *shape.Shape {
	level := shape.OneOf("a recording level", "L0", "L1", "L2")
	return &shape.Shape{
		Type: shape.Object, Open: true, Private: true, Doc: "the change of recording level",
		Fields: []shape.Field{
			{Name: "policy_id", Required: true, Shape: shape.Text("the policy that decided, such as recording-downgrade/simple-v1")},
			{Name: "old_level", Required: true, Shape: level},
			{Name: "new_level", Required: true, Shape: level},
			{Name: "trigger_class", Required: true, Shape: shape.OneOf("what pressed", "queue_fill", "export_lag")},
			{Name: "timestamp_ms", Required: true, Shape: shape.Count("monotonic clock, milliseconds", 0)},
		},
	}
}
