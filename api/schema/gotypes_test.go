// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// The Go types and the tables describe the same JSON: every member of one is in the
// other, with the same type, and what the tables require is never left out.
func TestTablesAgreeWithGoTypes(t *testing.T) {
	for kind, typ := range map[Kind]reflect.Type{
		EventRecord:      reflect.TypeFor[eventabi.Envelope](),
		ControlSignal:    reflect.TypeFor[eventabi.Envelope](),
		TurnTransition:   reflect.TypeFor[controlplane.TurnTransition](),
		ResolvedTurnPlan: reflect.TypeFor[controlplane.ResolvedTurnPlan](),
		DecisionOutcome:  reflect.TypeFor[controlplane.DecisionOutcome](),
		ArtifactBundle:   reflect.TypeFor[controlplane.ArtifactBundle](),
	} {
		compareType(t, string(kind), shapeOf(kind), typ)
	}
}

func compareType(t *testing.T, at string, s *shape.Shape, typ reflect.Type) {
	t.Helper()
	nullable := false
	if typ.Kind() == reflect.Pointer {
		typ, nullable = typ.Elem(), true
	}
	switch {
	case s.Type == shape.Any || typ == reflect.TypeFor[json.RawMessage]():
		return
	case s.Nullable && !nullable:
		t.Errorf("%s: the table admits null, %v does not", at, typ)
	}
	switch s.Type {
	case shape.String:
		expect(t, at, typ, reflect.String)
	case shape.Integer:
		expect(t, at, typ, reflect.Int64)
	case shape.Boolean:
		expect(t, at, typ, reflect.Bool)
	case shape.Array:
		if expect(t, at, typ, reflect.Slice) {
			compareType(t, at+"/*", s.Items, typ.Elem())
		}
	case shape.Object:
		switch {
		case typ.Kind() == reflect.Map:
		case s.Values != nil: // a Table: its entries have the value as second field
			if expect(t, at, typ, reflect.Slice) {
				compareType(t, at+"/*", s.Values, typ.Elem().Field(1).Type)
			}
		case expect(t, at, typ, reflect.Struct):
			compareStruct(t, at, s, typ)
		}
	case shape.Any, shape.Number:
		t.Errorf("%s: no Go type is expected for %v", at, s.Type)
	}
}

func expect(t *testing.T, at string, typ reflect.Type, kind reflect.Kind) bool {
	t.Helper()
	if typ.Kind() != kind {
		t.Errorf("%s: Go type is %v, want kind %v", at, typ, kind)
		return false
	}
	return true
}

func compareStruct(t *testing.T, at string, s *shape.Shape, typ reflect.Type) {
	t.Helper()
	tags := map[string]bool{} // name to "may be left out"
	for i := range typ.NumField() {
		name, opts, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		tags[name] = opts == "omitempty"
		j := slices.IndexFunc(s.Fields, func(f shape.Field) bool { return f.Name == name })
		if j < 0 {
			t.Errorf("%s: Go field %s (%q) is not in the table", at, typ.Field(i).Name, name)
			continue
		}
		compareType(t, at+"/"+name, s.Fields[j].Shape, typ.Field(i).Type)
	}
	for _, f := range s.Fields {
		optional, ok := tags[f.Name]
		switch {
		case f.Name == "ordering_marker": // legacy, ignored when read
		case !ok:
			t.Errorf("%s: table field %q is not in the Go type", at, f.Name)
		case f.Required && optional && !slices.Contains([]string{"signal", "emitted_by", "authority_epoch"}, f.Name):
			t.Errorf("%s: %q is required, but the Go type may leave it out", at, f.Name)
		}
	}
}

// Reasons that the registry closes are those that controlplane names.
func TestReasonsAgreeWithConstants(t *testing.T) {
	for signal, want := range map[eventabi.Signal][]string{
		eventabi.SignalAbort: strs([]controlplane.AbortReason{
			controlplane.AbortCancelled, controlplane.AbortAuthorityLoss, controlplane.AbortEvidenceUnavailable,
			controlplane.AbortNodeFailure, controlplane.AbortProviderFailure, controlplane.AbortTransportDisconnect,
			controlplane.AbortBudgetExhausted, controlplane.AbortEdgeOverflow, controlplane.AbortSyncUnrecoverable,
			controlplane.AbortRuntimeInternalError, controlplane.AbortPolicyTerminated,
		}),
		eventabi.SignalCancel: strs([]controlplane.CancelReason{
			controlplane.CancelBargeIn, controlplane.CancelTimeout, controlplane.CancelUser,
			controlplane.CancelProviderError, controlplane.CancelAuthorityLoss, controlplane.CancelDisconnect,
			controlplane.CancelPolicy,
		}),
	} {
		spec, ok := eventabi.LookupSignal(signal)
		if !ok || !slices.Equal(spec.Reasons, want) {
			t.Errorf("%s: registry has %v, constants are %v", signal, spec.Reasons, want)
		}
	}
}

// Forms that speak of versions follow what eventabi says this build writes and knows.
func TestVersionFormsAgreeWithEventABI(t *testing.T) {
	for _, s := range []string{"v1.0", "v1.1", "v1.1.7", "v1.2", "v1.10", "v1.9.1", "v2.0", "v0.1", "v1", "1.1", "v1.01", "v1.1.1.1", ""} {
		v, err := eventabi.ParseVersion(s)
		if got := shape.Version.Match(s); got != (err == nil) {
			t.Errorf("%q: form Version says %v, ParseVersion says %v", s, got, err)
		}
		if got := shape.VersionMajor1.Match(s); got != (err == nil && v.Readable()) {
			t.Errorf("%q: form VersionMajor1 says %v, Readable says otherwise", s, got)
		}
		if got := shape.VersionNewer.Match(s); got != (err == nil && v.Readable() && !v.Known()) {
			t.Errorf("%q: form VersionNewer says %v, Known says otherwise", s, got)
		}
	}
	if v, err := eventabi.ParseVersion(eventabi.SchemaVersion); err != nil || !v.Known() || v.Minor != eventabi.KnownMinor {
		t.Errorf("SchemaVersion %q: %v, %v", eventabi.SchemaVersion, v, err)
	}
}
