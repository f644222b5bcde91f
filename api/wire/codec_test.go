// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/wire"
)

// TestFaultsOfClients shows that what cannot be meant is a fault that names its field.
func TestFaultsOfClients(t *testing.T) {
	long := strings.Repeat("x", wire.MaxText+1)
	for _, c := range []struct{ text, code, field string }{
		{``, wire.FaultMalformed, ""},
		{`[]`, wire.FaultMalformed, ""},
		{`null`, wire.FaultMalformed, ""},
		{`{"type":"text","text":"a"} {}`, wire.FaultMalformed, ""},
		{`{"type":"text","text":"` + "\xff" + `"}`, wire.FaultMalformed, ""},
		{strings.Repeat(" ", wire.MaxMessage+1), wire.FaultMalformed, ""},
		{`{"text":"a"}`, wire.FaultField, "type"},
		{`{"type":7}`, wire.FaultField, "type"},
		{`{"type":"dance"}`, wire.FaultType, "type"},
		{`{"type":"text"}`, wire.FaultField, "text"},
		{`{"type":"text","text":3}`, wire.FaultField, "text"},
		{`{"type":"text","text":"` + long + `"}`, wire.FaultField, "text"},
		{`{"type":"text","text":"a","key":"with space"}`, wire.FaultField, "key"},
		{`{"type":"text","text":"a","key":"` + long[:129] + `"}`, wire.FaultField, "key"},
		{`{"type":"text","text":"a","txet":"b","key":7}`, wire.FaultField, "key"},
		{`{"type":"respond","key":"ä"}`, wire.FaultField, "key"},
		{`{"type":"cancel","epoch":-1}`, wire.FaultField, "epoch"},
		{`{"type":"cancel","turn":"a b"}`, wire.FaultField, "turn"},
		{`{"type":"played","generation":1,"position":-1}`, wire.FaultField, "position"},
		{`{"type":"played","generation":1,"position":1e300}`, wire.FaultField, "position"},
		{`{"type":"played","generation":1,"position":9007199254740993}`, wire.FaultField, "position"},
		{`{"type":"played","generation":-1,"position":1}`, wire.FaultField, "generation"},
		{`{"type":"control"}`, wire.FaultField, "kind"},
		{`{"type":"context","role":"robot","text":"a"}`, wire.FaultField, "role"},
		{`{"type":"configure","wishes":{"turn_end":"never"}}`, wire.FaultField, "wishes.turn_end"},
		{`{"type":"configure","wishes":{"tools":[{"name":""}]}}`, wire.FaultField, "wishes.tools[0].name"},
		{`{"type":"tool_result","output":"x"}`, wire.FaultField, "id"},
		{`{"type":"hello","encoding":"cbor"}`, wire.FaultField, "encoding"},
		{`{"type":"hello","resume":{"received":4}}`, wire.FaultField, "resume.session"},
		{`{"type":"hello","resume":{"session":"s","received":-4}}`, wire.FaultField, "resume.received"},
		{`{"type":"hello","audio":{"in":["` + long[:65] + `"]}}`, wire.FaultField, "audio.in"},
	} {
		m, f := wire.ReadClient([]byte(c.text))
		if f == nil || m != nil || f.Code != c.code || f.Field != c.field {
			t.Errorf("%.80s: %v, %v; want %s of %q", c.text, m, f, c.code, c.field)
		}
	}
}

// TestUnknownFieldIsTold shows that a misspelled field is told, and the message taken.
func TestUnknownFieldIsTold(t *testing.T) {
	m, f := wire.ReadClient([]byte(`{"type":"cancel","trun":"t1","force":true}`))
	if f == nil || f.Code != wire.FaultUnknown || f.Field != "trun" {
		t.Errorf("fault %v", f)
	}
	if c, ok := m.(*wire.Cancel); !ok || !c.Force {
		t.Errorf("message %+v", m)
	}
}

// TestUnknownServerMessageIsNoFault shows that a client of today can hear a server of tomorrow.
func TestUnknownServerMessageIsNoFault(t *testing.T) {
	m, seq, f := wire.ReadServer([]byte(`{"type":"applause","seq":8,"loud":true}`))
	if m != nil || seq != 8 || f != nil {
		t.Errorf("%v, %d, %v", m, seq, f)
	}
	if m, _, f = wire.ReadServer([]byte(`{"type":"pong","id":3,"new":1}`)); f != nil || m.(*wire.Pong).ID != 3 {
		t.Errorf("%v, %v", m, f)
	}
}

// TestEmptyToolsAreSaid shows that taking all tools away differs from leaving them.
func TestEmptyToolsAreSaid(t *testing.T) {
	for tools, want := range map[string]bool{`{"tools":[]}`: true, `{}`: false} {
		m, f := wire.ReadClient([]byte(`{"type":"configure","wishes":` + tools + `}`))
		if f != nil {
			t.Fatal(f)
		}
		if got := m.(*wire.Configure).Wishes.Tools; (got != nil) != want {
			t.Errorf("%s: %v", tools, got)
		}
		text, _ := wire.AppendClient(nil, m)
		if strings.Contains(string(text), "tools") != want {
			t.Errorf("%s is written as %s", tools, text)
		}
	}
}

func TestFaultsOfAudio(t *testing.T) {
	good := wire.AppendAudio(nil, &wire.Audio{Kind: wire.KindCaller, Sequence: 1, Position: 320, Payload: []byte{1, 2}})
	if _, f := wire.ParseAudio(good, wire.KindCaller); f != nil {
		t.Fatal(f)
	}
	for name, c := range map[string]struct {
		change func([]byte) []byte
		field  string
	}{
		"short":    {func(b []byte) []byte { return b[:10] }, ""},
		"empty":    {func(b []byte) []byte { return b[:wire.HeaderSize] }, ""},
		"kind":     {func(b []byte) []byte { b[0] = 9; return b }, "kind"},
		"flags":    {func(b []byte) []byte { b[1] = 1; return b }, "flags"},
		"position": {func(b []byte) []byte { b[19] = 0xff; return b }, "position"},
	} {
		b := c.change(append([]byte(nil), good...))
		if _, f := wire.ParseAudio(b, wire.KindCaller); f == nil || f.Field != c.field {
			t.Errorf("%s: %v", name, f)
		}
	}
}
