// SPDX-License-Identifier: Apache-2.0

package abi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

func full() node.Event {
	return node.Event{
		Kind: eventabi.KindText, Type: node.TypeTranscript, Class: eventabi.ClassPII, At: 7, Invocation: "call-1", Index: -3, Sample: 1 << 40,
		Heard: 9, PCM: []int16{-32768, 0, 32767}, Text: "grüße", Final: true, Protected: true,
		Attributes: []node.Attribute{{Name: "language", Value: "de"}, {Name: "mood", Value: ""}},
		Sync:       &node.Sync{ID: "a", Event: "b", Group: "c"},
	}
}

func TestEventsComeBack(t *testing.T) {
	for name, want := range map[string]node.Event{
		"full": full(),
		"bare": {Kind: eventabi.KindControl, Type: node.TypeTimer, Class: eventabi.ClassMetadata},
	} {
		b, err := Append(nil, &want, FlagCancelled)
		if err != nil {
			t.Fatal(err)
		}
		var got node.Event
		var names Strings
		flags, err := Read(b, &got, &names)
		if err != nil || flags&FlagCancelled == 0 {
			t.Fatalf("%s: %v, flags %b", name, err, flags)
		}
		if len(got.PCM) == 0 {
			got.PCM = nil
		}
		if len(got.Attributes) == 0 {
			got.Attributes = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v became %+v", name, want, got)
		}
		for n := range b {
			if _, err := Read(b[:n], &got, &names); err == nil {
				t.Errorf("%s: the first %d bytes of %d were taken for an event", name, n, len(b))
			}
		}
	}
}

func TestLimits(t *testing.T) {
	for name, breakIt := range map[string]func(*node.Event){
		"text":       func(ev *node.Event) { ev.Text = strings.Repeat("x", MaxEvent) },
		"type":       func(ev *node.Event) { ev.Type = node.Type(strings.Repeat("x", maxName+1)) },
		"sync":       func(ev *node.Event) { ev.Sync.Group = strings.Repeat("x", maxName+1) },
		"value":      func(ev *node.Event) { ev.Attributes[0].Value = strings.Repeat("x", maxAttribute+1) },
		"attributes": func(ev *node.Event) { ev.Attributes = make([]node.Attribute, node.MaxAttributes+1) },
	} {
		ev := full()
		breakIt(&ev)
		if _, err := Append(nil, &ev, 0); err == nil {
			t.Errorf("%s: an event past its limit was written", name)
		}
	}
	ev := node.Event{Kind: "noise", Type: node.TypeTimer, Class: eventabi.ClassMetadata}
	b, err := Append(nil, &ev, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(b, &ev, &Strings{}); err == nil {
		t.Error("an event without a known kind was read")
	}
}

func TestNamesAreBounded(t *testing.T) {
	var s Strings
	for i := range 10 * maxKnown {
		s.Intern([]byte{byte(i), byte(i >> 8), 1})
	}
	if n := len(s.known); n > maxKnown {
		t.Errorf("%d names are kept", n)
	}
}

func TestAFrameCostsNoAllocation(t *testing.T) {
	in := node.Event{Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, PCM: make([]int16, node.FrameSamples)}
	var buffer []byte
	var out node.Event
	var names Strings
	frame := func() {
		var err error
		if buffer, err = Append(buffer[:0], &in, 0); err == nil {
			_, err = Read(buffer, &out, &names)
		}
		if err != nil {
			t.Error(err)
		}
	}
	frame()
	if n := testing.AllocsPerRun(100, frame); n > 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func TestCodes(t *testing.T) {
	for _, c := range []node.StateClass{node.StateTurn, node.StateHot, node.StateDurable} {
		if StateOf(StateCode(c)) != c || StateCode(c) == 0 {
			t.Error(c)
		}
	}
	for _, o := range []node.BudgetOutcome{node.BudgetContinue, node.BudgetDegrade, node.BudgetFallback, node.BudgetTerminate} {
		if OutcomeOf(OutcomeCode(o)) != o || OutcomeCode(o) == 0 {
			t.Error(o)
		}
	}
	if StateOf(99) != "" || StateCode("cold") != 0 || OutcomeOf(1<<31) != "" {
		t.Error("an unknown code has a meaning")
	}
}

func TestCancelsComeBack(t *testing.T) {
	want := node.Cancel{Scope: eventabi.CancelTurn, Invocation: "call-1", Reason: "barge_in"}
	b := AppendCancel(nil, want)
	if got, err := ReadCancel(b); err != nil || got != want {
		t.Error(got, err)
	}
	for n := range b {
		if _, err := ReadCancel(b[:n]); err == nil {
			t.Errorf("the first %d bytes were taken for a cancel", n)
		}
	}
}

// Each field of a declaration has its counterpart: one that is added there and forgotten here
// comes back empty.
func TestDeclarationsComeBack(t *testing.T) {
	want := node.Declaration{
		Type: "t", Package: "p", Version: "v", Inputs: []node.Type{"i"}, Outputs: []node.Type{"o"}, Streaming: "s", Scope: "x", Class: "c", Mode: "m",
		Resources: node.Resources{CPUUnits: 1, MemoryMB: 2, GPU: true, Network: true}, State: []node.StateClass{"h"},
		BuffersAudio: true, LongRunning: true, Inline: true,
	}
	v := reflect.ValueOf(want)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("the test leaves %s out", v.Type().Field(i).Name)
		}
	}
	b, err := json.Marshal(Declare(want))
	if err != nil {
		t.Fatal(err)
	}
	var d Declaration
	r := json.NewDecoder(bytes.NewReader(b))
	r.DisallowUnknownFields()
	if err := r.Decode(&d); err != nil || !reflect.DeepEqual(d.Node(), want) {
		t.Errorf("%+v, %v", d, err)
	}
}

func FuzzRead(f *testing.F) {
	ev := full()
	b, err := Append(nil, &ev, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:HeaderSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		var ev node.Event
		if _, err := Read(b, &ev, &Strings{}); err != nil {
			return
		}
		if _, err := Append(nil, &ev, 0); err != nil {
			t.Errorf("an event that was read cannot be written: %v", err)
		}
	})
}
