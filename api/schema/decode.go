// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"fmt"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/jsondoc"
)

// InvalidError says that an artifact was refused. Its code on the wire is
// eventabi.CodeSchemaValidation.
type InvalidError struct{ Report Report }

// Error gives the code, the first fault and the number of others.
func (e *InvalidError) Error() string {
	text := eventabi.CodeSchemaValidation + ": " + string(e.Report.Kind)
	if len(e.Report.Faults) == 0 {
		return text
	}
	f := e.Report.Faults[0]
	text += fmt.Sprintf(": %s: %s: %s", f.Pointer, f.Code, f.Message)
	if n := len(e.Report.Faults) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// DecodeEvent reads an event record or a control signal, whichever data holds, after
// checking it. Unknown additions of a newer minor version are left out. Payload and
// extensions keep their bytes. The error is an *InvalidError.
func (v *Validator) DecodeEvent(data []byte) (eventabi.Envelope, error) {
	kind := EventRecord
	if doc, err := jsondoc.Parse(data, limits()); err == nil &&
		(doc.Get("signal") != nil || doc.Get("lane").Str() == string(eventabi.ControlLane)) {
		kind = ControlSignal
	}
	return decode[eventabi.Envelope](v, kind, data)
}

// DecodePlan reads a resolved turn plan after checking it, its hash included. A plan
// that Parley wrote encodes again to the same content. The error is an *InvalidError.
func (v *Validator) DecodePlan(data []byte) (controlplane.ResolvedTurnPlan, error) {
	return decode[controlplane.ResolvedTurnPlan](v, ResolvedTurnPlan, data)
}

// DecodeOutcome reads a decision outcome after checking it. The error is an
// *InvalidError.
func (v *Validator) DecodeOutcome(data []byte) (controlplane.DecisionOutcome, error) {
	return decode[controlplane.DecisionOutcome](v, DecisionOutcome, data)
}

// DecodeTransition reads a turn transition after checking it. The error is an
// *InvalidError.
func (v *Validator) DecodeTransition(data []byte) (controlplane.TurnTransition, error) {
	return decode[controlplane.TurnTransition](v, TurnTransition, data)
}

// DecodeBundle reads an artifact bundle after checking it. The error is an
// *InvalidError.
func (v *Validator) DecodeBundle(data []byte) (controlplane.ArtifactBundle, error) {
	return decode[controlplane.ArtifactBundle](v, ArtifactBundle, data)
}

func decode[T any](v *Validator, kind Kind, data []byte) (T, error) {
	var out T
	doc, report := v.inspect(kind, data)
	if !report.Valid() {
		return out, &InvalidError{Report: report}
	}
	if err := json.Unmarshal(v.normal(kind, doc, data), &out); err != nil {
		// Unreachable while the Go types and the shapes agree, which a test holds.
		return out, fmt.Errorf("schema: decode %s: %w", kind, err)
	}
	return out, nil
}

// normal writes a valid artifact as encoding/json can read it: known fields only, so
// that no addition is mistaken for a field of other case; integers in shortest form,
// since 1.0 is an integer here; payload and extensions as they were.
func (v *Validator) normal(kind Kind, doc *jsondoc.Value, data []byte) []byte {
	if kind != EventRecord && kind != ControlSignal && kind != ArtifactBundle {
		return jsondoc.Canonical(doc)
	}
	out := []byte{'{'}
	for _, f := range v.shape(kind).Fields {
		member := doc.Get(f.Name)
		if member == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, jsondoc.Quote(f.Name)...)
		out = append(out, ':')
		part, isPart := ParseKind(f.Name)
		switch {
		case kind == ArtifactBundle && isPart:
			out = append(out, v.normal(part, member, data)...)
		case f.Name == "payload" || f.Name == "extensions":
			out = append(out, data[member.Offset:member.End]...)
		default:
			out = append(out, jsondoc.Canonical(member)...)
		}
	}
	return append(out, '}')
}
