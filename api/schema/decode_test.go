// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// decodeAny decodes through the typed decoder of a kind.
func decodeAny(v *Validator, kind Kind, data []byte) (any, error) {
	switch kind {
	case EventRecord, ControlSignal:
		return v.DecodeEvent(data)
	case TurnTransition:
		return v.DecodeTransition(data)
	case ResolvedTurnPlan:
		return v.DecodePlan(data)
	case DecisionOutcome:
		return v.DecodeOutcome(data)
	case ArtifactBundle:
		return v.DecodeBundle(data)
	}
	return nil, errors.New("unknown kind")
}

// What is read and written again is still valid, and reads back as the same value.
func TestDecodedArtifactsRoundTrip(t *testing.T) {
	v := NewValidator(Options{})
	for _, s := range corpus(t, "good") {
		if s.kind == PipelineSpec {
			continue // it is resolved, not decoded
		}
		t.Run(s.name, func(t *testing.T) {
			first, err := decodeAny(v, s.kind, s.data)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(first)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(s.data, []byte(`"v1.7"`)) || strings.Contains(s.name, "legacy") || strings.HasSuffix(s.name, "bundle/v1.0.json") {
				return // additions and legacy spellings are not written again
			}
			second, err := decodeAny(v, s.kind, raw)
			if err != nil {
				t.Fatalf("%v\n%s", err, raw)
			}
			if a, b := compact(t, first), compact(t, second); a != b {
				t.Errorf("round trip differs\n got %s\nwant %s", b, a)
			}
		})
	}
}

func compact(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestBadArtifactsAreNotDecoded(t *testing.T) {
	v := NewValidator(Options{})
	for _, s := range corpus(t, "bad") {
		if s.kind == PipelineSpec {
			continue // it is resolved, not decoded
		}
		if s.kind == EventRecord && slices.ContainsFunc(s.want, func(w string) bool { return strings.HasSuffix(w, " lane_signal") }) {
			continue // DecodeEvent takes these for the control signals that they are
		}
		_, err := decodeAny(v, s.kind, s.data)
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Report.Valid() {
			t.Errorf("%s: error is %v, want an InvalidError with faults", s.name, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), eventabi.CodeSchemaValidation+": ") {
			t.Errorf("%s: error %q does not start with its code", s.name, err)
		}
	}
}

// Event-abi section 1: the key transport_sequence is always present, null when the
// transport has no numbering.
func TestTransportSequenceIsAlwaysWritten(t *testing.T) {
	epoch := eventabi.Epoch(3)
	e := eventabi.Envelope{
		SchemaVersion: eventabi.SchemaVersion, EventScope: eventabi.ScopeSession, SessionID: "s-1", PipelineVersion: "p-1",
		EventID: "e-1", EventKind: eventabi.KindControl, Lane: eventabi.ControlLane, PayloadClass: eventabi.ClassMetadata,
		AuthorityEpoch: &epoch, Signal: eventabi.SignalConnected, EmittedBy: eventabi.EmitterConnection,
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw, []byte(`"transport_sequence":null`)) {
		t.Errorf("no transport_sequence in %s", raw)
	}
	got, err := NewValidator(Options{}).DecodeEvent(raw)
	if err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("read back as %+v, %v", got, err)
	}
	n := int64(0)
	e.TransportSequence = &n
	if raw, err = json.Marshal(e); err != nil || !bytes.Contains(raw, []byte(`"transport_sequence":0`)) {
		t.Errorf("sequence 0 is written as %s, %v", raw, err)
	}
}

// A field of a newer minor version must not be mistaken for a known one of other case.
func TestAdditionsDoNotOverrideFields(t *testing.T) {
	data := read(t, "testdata/good/event_record/text.json")
	data = bytes.Replace(data, []byte(`"v1.1"`), []byte(`"v1.7"`), 1)
	data = bytes.Replace(data, []byte("{"), []byte(`{"SESSION_ID":"intruder",`), 1)
	data = bytes.Replace(data, []byte("}"), []byte(`,"number":1.50}`), 1)
	e, err := NewValidator(Options{}).DecodeEvent(data)
	if err != nil || e.SessionID != "s-01" {
		t.Errorf("session is %q, %v", e.SessionID, err)
	}
	if !bytes.Contains(e.Payload, []byte(`"number":1.50`)) {
		t.Errorf("payload bytes changed: %s", e.Payload)
	}
}

func TestDecodedPlanKeepsItsHash(t *testing.T) {
	p, err := NewValidator(Options{}).DecodePlan(read(t, "testdata/good/resolved_turn_plan/full.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := controlplane.PlanHash(&p); got != p.PlanHash {
		t.Errorf("hash of the decoded plan is %s, want %s", got, p.PlanHash)
	}
	if id := controlplane.PlanID(p.TurnID, p.PlanHash); id != p.ResolvedTurnPlanID {
		t.Errorf("id is %s, want %s", p.ResolvedTurnPlanID, id)
	}
	if p.Determinism.Seed != controlplane.Seed("s-01", p.TurnID, p.PipelineVersion) {
		t.Errorf("seed %d was computed otherwise", p.Determinism.Seed)
	}
}
