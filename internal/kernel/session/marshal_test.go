// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

func inputKinds() []string {
	return []string{
		"bootstrap", "close_request", "link", "lease", "snapshots", "quota", "usage", "admission", "load", "wake", "audio_in",
		"voice_on", "voice_off", "end_of_utterance", "text_in", "transcript", "progress", "segment", "speech",
		"invocation_end", "delivery", "cancel", "stop", "edge_policy", "flow_policy", "node_policy", "offer", "ready", "overflow", "appended",
		"evidence_lost", "node_failed", "node_spent", "unscheduled", "cancel_ack", "runtime_fault", "clock_reading", "audio_gap",
		"muted", "transport_control", "context", "forget", "respond", "wishes",
		"tool_called", "tool_result", "graph_node", "graph_edge", "node_output", "node_done",
	}
}

func effectKinds() []string {
	return []string{
		"emit", "decide", "session_change", "turn_change", "refused", "superseded", "fence", "hold", "resume", "play",
		"end_of_audio", "discard", "open", "finalize", "generate", "say", "cancel_call", "hook", "detach", "converse",
		"append_terminal", "evidence", "deliver", "release", "combine", "skip", "merged", "ended", "nondeterministic",
		"degrade", "fallback", "call_tool", "work", "place",
	}
}

// The lists above name every kind that there is.
func TestKindsAreAllListed(t *testing.T) {
	for file, kinds := range map[string][]string{"input_code.go": inputKinds(), "effects_code.go": effectKinds()} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`\) kind\(\) string +\{ return "(\w+)" \}`).FindAllSubmatch(source, -1)
		if len(found) != len(kinds) {
			t.Errorf("%s: %d kinds, %d are listed", file, len(found), len(kinds))
		}
		for i, f := range found {
			if i < len(kinds) && string(f[1]) != kinds[i] {
				t.Errorf("%s: kind %q stands where %q is listed", file, f[1], kinds[i])
			}
		}
	}
}

// fill gives every exported field a value of its own that is not zero.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.String:
		v.SetString(strings.Repeat("x =\"\n", int(*n%3)+1))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(-*n)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return // a payload, which only an envelope has
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	default:
	}
}

// What goes into a recording comes out of it, field by field: a field that is left out
// of a record's description would be lost, in the digest, too.
func TestRecordsRoundTrip(t *testing.T) {
	for _, kind := range inputKinds() {
		in := newInput(kind)
		n := int64(0)
		fill(reflect.ValueOf(in).Elem(), &n)
		got, err := UnmarshalInput(Marshal(nil, in))
		if err != nil || !reflect.DeepEqual(got, in) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", kind, err, got, in)
		}
		got, err = ParseInput(Format(in))
		if err != nil || !reflect.DeepEqual(got, in) {
			t.Errorf("%s as text: %v\n got %+v\nwant %+v", kind, err, got, in)
		}
	}
	for _, kind := range effectKinds() {
		e := newEffect(kind)
		n := int64(0)
		fill(reflect.ValueOf(e).Elem(), &n)
		raw := Marshal(nil, e)
		got, err := UnmarshalEffect(raw)
		if err != nil || !bytes.Equal(Marshal(nil, got), raw) || Format(got) != Format(e) {
			t.Errorf("%s: %v\n got %s\nwant %s", kind, err, Format(got), Format(e))
		}
		// An envelope and an outcome carry what stands in the bootstrap; they are equal in
		// what a recording keeps of them. A transition is deterministic by nature.
		if emit, ok := e.(*Emit); ok && *got.(*Emit).Envelope.AuthorityEpoch != *emit.Envelope.AuthorityEpoch {
			t.Error("emit: the epoch is lost")
		}
		if kind != "emit" && kind != "decide" && !reflect.DeepEqual(got, e) {
			t.Errorf("%s: a field is lost\n got %+v\nwant %+v", kind, got, e)
		}
	}
}

func TestBadRecords(t *testing.T) {
	good := Marshal(nil, &VoiceOn{Onset: 5, Heard: 9})
	for name, raw := range map[string][]byte{
		"nothing": nil, "a kind cut short": {9, 'v'}, "an unknown kind": append([]byte{4}, "nope"...),
		"a field cut short": good[:len(good)-1], "bytes left over": append(bytes.Clone(good), 0),
	} {
		if _, err := UnmarshalInput(raw); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := UnmarshalEffect(raw); !errors.Is(err, ErrRecord) {
			t.Errorf("%s as an effect: %v", name, err)
		}
	}
	for line, field := range map[string]string{
		"nope":                                "nope",
		"voice_on onset=x":                    "onset",
		"voice_on onset=1 onset=2":            "onset",
		"voice_on pitch=3":                    "pitch",
		"voice_on onset":                      "onset",
		"voice_on onset=\"1":                  "onset",
		"cancel force=maybe":                  "force",
		"text_in class=300":                   "class",
		"text_in hash=xyz":                    "hash",
		"stop fenced=-1":                      "fenced",
		"voice_on onset=99999999999999999999": "onset",
	} {
		if _, err := ParseInput(line); !errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: the error does not name %s: %v", line, field, err)
		}
	}
}

// A digest tells order and content apart, and nothing else.
func TestDigest(t *testing.T) {
	a, b, c := &Detach{Invocation: "a"}, &Detach{Invocation: "b"}, &Discard{Handle: 1}
	sum := func(steps ...[]Effect) [32]byte {
		var d Digest
		for _, s := range steps {
			d.Add(s)
		}
		return d.Sum()
	}
	if sum([]Effect{a, b, c}) != sum([]Effect{a}, nil, []Effect{b, c}) {
		t.Error("the digest depends on where steps end")
	}
	if sum([]Effect{a, b}) == sum([]Effect{b, a}) || sum([]Effect{a}) == sum([]Effect{a, a}) || sum() == sum([]Effect{a}) {
		t.Error("the digest does not see order or number")
	}
	var d Digest
	d.Add([]Effect{a, b})
	if first := d.Sum(); first != d.Sum() || d.Count() != 2 {
		t.Errorf("Sum changes what it sums, or %d decisions are not 2", d.Count())
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, kind := range inputKinds() {
		in := newInput(kind)
		n := int64(0)
		fill(reflect.ValueOf(in).Elem(), &n)
		f.Add(Marshal(nil, in))
	}
	for _, kind := range effectKinds() {
		f.Add(Marshal(nil, newEffect(kind)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if in, err := UnmarshalInput(raw); err == nil {
			again, err := UnmarshalInput(Marshal(nil, in))
			if err != nil || !reflect.DeepEqual(again, in) {
				t.Errorf("%v: %+v became %+v", err, in, again)
			}
		}
		if e, err := UnmarshalEffect(raw); err == nil {
			if again, err := UnmarshalEffect(Marshal(nil, e)); err != nil || Format(again) != Format(e) {
				t.Errorf("%v: %s became %s", err, Format(e), Format(again))
			}
		}
	})
}

func FuzzParseInput(f *testing.F) {
	for _, kind := range inputKinds() {
		in := newInput(kind)
		n := int64(0)
		fill(reflect.ValueOf(in).Elem(), &n)
		f.Add(Format(in))
	}
	f.Add("voice_on onset=1  heard=2")
	f.Add("close_request reason=\"a\\x00\u00a0\"")
	f.Fuzz(func(t *testing.T, line string) {
		in, err := ParseInput(line)
		if err != nil {
			return
		}
		again, err := ParseInput(Format(in))
		if err != nil || !reflect.DeepEqual(again, in) {
			t.Errorf("%q gives %q, which gives %+v, %v", line, Format(in), again, err)
		}
	})
}

// A caller frame, 50 a second and session, costs no allocation (engine section 2).
func TestFrameDoesNotAllocate(t *testing.T) {
	d := newDrunk(1, false)
	m, at, fx := New(), timebase.Instant(0), Effects{}
	m.Step(at, []Input{d.boot()}, &fx)
	frame := &AudioIn{Epoch: 1, Samples: 320}
	in := []Input{frame}
	if n := testing.AllocsPerRun(1000, func() {
		at = at.Add(20 * timebase.Millisecond)
		frame.Heard = frame.Sample + 100 // a detector is a part of a window behind
		frame.Sample += 320
		fx.Reset()
		m.Step(at, in, &fx)
	}); n != 0 {
		t.Errorf("a frame allocates %v times", n)
	}
	if m.heard != frame.Sample+320 || len(fx.List) != 0 {
		t.Errorf("heard %d samples, decided %d things", m.heard, len(fx.List))
	}
}
