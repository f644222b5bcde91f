// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
)

// Event-abi section 9: unknown_event_action governs unknown additions, namespaces and
// payload types; each use is audited.
func TestUnknownContentFollowsTheAction(t *testing.T) {
	data := []byte(`{"schema_version":"v1.7","event_scope":"session","session_id":"s","pipeline_version":"p","event_id":"e",
		"event_kind":"video","lane":"DataLane","transport_sequence":null,"runtime_sequence":1,"runtime_timestamp_ms":1,
		"wall_clock_timestamp_ms":1,"payload_class":"metadata","mood":"calm","media_time":{"pts_ms":1,"rtp":2},
		"extensions":{"vendor.x":{},"transport.sip":{},"policy.tags":[]},"payload":{"type":"hologram"}}`)
	want := []string{
		"/event_kind unknown_addition", "/extensions/vendor.x unknown_extension", "/media_time/rtp unknown_addition",
		"/mood unknown_addition", "/payload/type unknown_payload_type",
	}
	for _, action := range []eventabi.UnknownAction{"", eventabi.UnknownDrop, eventabi.UnknownPassThrough} {
		r := Validate(EventRecord, data, Options{UnknownAction: action})
		if !r.Valid() || !slices.Equal(brief(r.Notes), want) {
			t.Errorf("action %q: faults %v, notes %v", action, brief(r.Faults), brief(r.Notes))
		}
	}
	r := Validate(EventRecord, data, Options{UnknownAction: eventabi.UnknownReject})
	if !slices.Equal(brief(r.Faults), want) || len(r.Notes) > 0 {
		t.Errorf("action reject: faults %v, notes %v", brief(r.Faults), brief(r.Notes))
	}
	known := bytes.Replace(data, []byte("v1.7"), []byte("v1.1"), 1)
	r = Validate(EventRecord, known, Options{UnknownAction: eventabi.UnknownPassThrough})
	if got := brief(r.Faults); !slices.Equal(got, []string{"/event_kind enum", "/media_time/rtp unknown_field", "/mood unknown_field"}) {
		t.Errorf("a known version is not closed: %v", got)
	}
}

func TestUnknownSignalOfANewerMinor(t *testing.T) {
	data := read(t, "testdata/good/control_signal/v1.7-unknown-signal.json")
	want := []string{"/emitted_by unknown_addition", "/signal unknown_addition"}
	if got := brief(Validate(ControlSignal, data, Options{}).Notes); !slices.Equal(got, want) {
		t.Errorf("notes are %v, want %v", got, want)
	}
}

// What Parley writes passes without notes; a legacy plan says that its hash is unverified.
func TestNotes(t *testing.T) {
	for _, s := range corpus(t, "good") {
		notes := brief(Validate(s.kind, s.data, Options{}).Notes)
		switch {
		case strings.Contains(s.name, "v1.7"), strings.Contains(s.name, "sixty-four"):
		case strings.Contains(s.name, "legacy-without"), strings.Contains(s.name, "legacy-profile"):
			if !slices.Equal(notes, []string{"/plan_hash plan_hash_unverified"}) {
				t.Errorf("%s: notes are %v", s.name, notes)
			}
		case strings.HasSuffix(s.name, "bundle/v1.0.json"):
			if !slices.Equal(notes, []string{"/resolved_turn_plan/plan_hash plan_hash_unverified"}) {
				t.Errorf("%s: notes are %v", s.name, notes)
			}
		case len(notes) > 0:
			t.Errorf("%s: unexpected notes %v", s.name, notes)
		}
	}
}

// Event-abi section 1: sizes that an event should keep are noted, not refused.
func TestOverheadGuard(t *testing.T) {
	data := read(t, "testdata/good/event_record/text.json")
	long := bytes.Replace(data, []byte(`"stt"`), []byte(`"`+strings.Repeat("n", 2048)+`"`), 1)
	long = bytes.Replace(long, []byte("what time is it"), bytes.Repeat([]byte("la"), 40000), 1)
	r := Validate(EventRecord, long, Options{})
	if !r.Valid() || !slices.Equal(brief(r.Notes), []string{"(document) overhead_guard", "/payload overhead_guard"}) {
		t.Errorf("faults %v, notes %v", brief(r.Faults), brief(r.Notes))
	}
}

func TestLimits(t *testing.T) {
	for code, data := range map[string][]byte{
		CodeTooLarge:      append([]byte(`{"payload":"`), bytes.Repeat([]byte("x"), MaxArtifactBytes)...),
		CodeTooDeep:       bytes.Repeat([]byte("["), 100000),
		CodeTooManyValues: append([]byte("["), bytes.Repeat([]byte("0,"), MaxValues+1)...),
	} {
		r := Validate(EventRecord, data, Options{})
		if len(r.Faults) != 1 || r.Faults[0].Code != code {
			t.Errorf("faults are %v, want one %s", brief(r.Faults), code)
		}
	}
}

// A document of nothing but faults is reported whole, in time that grows with its size.
func TestManyFaults(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"edge_buffer_policies":{`)
	const n = 20000
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"e` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strings.Repeat("y", i/182) + `":{"strategy":"block"}`)
	}
	b.WriteString(`}}`)
	r := Validate(ResolvedTurnPlan, []byte(b.String()), Options{})
	if len(r.Faults) < 5*n {
		t.Errorf("%d faults, want at least %d", len(r.Faults), 5*n)
	}
}

func TestUnknownKind(t *testing.T) {
	r := Validate("plan", nil, Options{})
	if len(r.Faults) != 1 || r.Faults[0].Code != CodeUnknownKind {
		t.Errorf("faults are %v", r.Faults)
	}
	if k, ok := ParseKind("event"); !ok || k != EventRecord {
		t.Errorf("event is an alias of %q", k)
	}
	if _, err := Published("plan"); err == nil {
		t.Error("a schema is published for an unknown kind")
	}
}
