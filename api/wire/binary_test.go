// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// sample is a message in both encodings.
type sample struct {
	Server bool            `json:"server"`
	JSON   json.RawMessage `json:"json"`
	Hex    string          `json:"hex"`
}

func (s *sample) bytes(t *testing.T) []byte {
	t.Helper()
	b, err := hex.DecodeString(s.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// json gives a message in the binary encoding as JSON.
func (s *sample) json(t *testing.T, b []byte) []byte {
	t.Helper()
	text, err := recode(s.Server, b, true)
	if err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	return text
}

// recode gives a message in the other encoding.
func recode(server bool, b []byte, binary bool) ([]byte, error) {
	if server {
		return Recode(b, binary)
	}
	if binary {
		m, f := ReadClientBinary(b)
		if f != nil {
			return nil, f
		}
		return AppendClient(nil, m)
	}
	m, f := ReadClient(b)
	if f != nil {
		return nil, f
	}
	return AppendClientBinary(nil, m), nil
}

const sharedPath = "testdata/messages.json"

// shared are the messages that the tests of both clients read.
func shared(t *testing.T) (list []sample) {
	t.Helper()
	text, err := os.ReadFile(sharedPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		var b bytes.Buffer
		if err := json.Compact(&b, list[i].JSON); err != nil {
			t.Fatal(err)
		}
		list[i].JSON = b.Bytes()
	}
	return list
}

// TestSharedMessages holds the codec to bytes that do not change: each message of the file is
// those bytes and that JSON, both ways. The file has every message.
func TestSharedMessages(t *testing.T) {
	if *rewrite {
		rewriteShared(t)
	}
	seen := map[string]bool{}
	for _, one := range shared(t) {
		if got, err := recode(one.Server, one.JSON, false); err != nil || hex.EncodeToString(got) != one.Hex {
			t.Errorf("%s\nis %x, %v\nwant %s", one.JSON, got, err, one.Hex)
		}
		if got := one.json(t, one.bytes(t)); !bytes.Equal(got, one.JSON) {
			t.Errorf("%s\nis %s\nwant %s", one.Hex, got, one.JSON)
		}
		var h head
		_ = json.Unmarshal(one.JSON, &h)
		seen[fmt.Sprint(one.Server, h.Type)] = true
	}
	client, server, _ := everything(t)
	if len(seen) != len(client)+len(server) {
		t.Errorf("the file has %d messages of %d: %v", len(seen), len(client)+len(server), seen)
	}
}

// rewriteShared writes the file, of messages that have everything and of such that have little.
func rewriteShared(t *testing.T) {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 11))
	var list []sample
	for i := range protowire.Number(20) {
		for _, full := range []bool{true, false} {
			if m := clientMessage("", i); i > 0 && m != nil {
				invent(random, reflect.ValueOf(m).Elem(), full)
				text, err := AppendClient(nil, m)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, sample{false, text, hex.EncodeToString(AppendClientBinary(nil, m))})
			}
			if m := serverMessage("", i); i > 0 && m != nil {
				invent(random, reflect.ValueOf(m).Elem(), full)
				seq := int64(i) * 100
				if !full {
					seq = 0
				}
				text, err := AppendServer(nil, seq, m)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, sample{true, text, hex.EncodeToString(AppendServerBinary(nil, seq, m))})
			}
		}
	}
	text, err := json.MarshalIndent(list, "", " ")
	if err == nil {
		err = os.WriteFile(sharedPath, append(text, '\n'), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// invent fills a message with what may be there; full leaves nothing empty.
func invent(r *rand.Rand, v reflect.Value, full bool) {
	if v.Type() == reflect.TypeFor[head]() {
		return
	}
	if v.Type() == reflect.TypeFor[json.RawMessage]() {
		v.SetBytes([]byte([]string{`{"a":[1,null,"b"]}`, `[]`, `"x"`, `0`}[r.IntN(4)]))
		return
	}
	some := full || r.IntN(2) == 0
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			if name := v.Type().Field(i).Name; f.Type() == reflect.TypeFor[json.RawMessage]() && !full && name != "head" {
				continue
			}
			inventField(r, v.Type().Field(i).Name, f, full)
		}
	case reflect.Pointer:
		if some {
			v.Set(reflect.New(v.Type().Elem()))
			invent(r, v.Elem(), full)
		}
	case reflect.Slice:
		if some {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			for i := range 2 {
				invent(r, v.Index(i), full)
			}
		}
	case reflect.Map:
		if some {
			v.Set(reflect.MakeMap(v.Type()))
			for _, key := range []string{"transport.b", "transport.a", ""} {
				value := reflect.New(v.Type().Elem()).Elem()
				invent(r, value, true)
				v.SetMapIndex(reflect.ValueOf(key), value)
			}
		}
	case reflect.String:
		if some {
			v.SetString([]string{"t1", "häkchen ✓", strings.Repeat("long ", 12), "\u0000\"\\"}[r.IntN(4)])
		}
	case reflect.Int64:
		if some {
			v.SetInt([]int64{1, 127, 128, 300, 1 << 33, 1795660263412}[r.IntN(6)])
		}
	case reflect.Uint32:
		if some {
			v.SetUint([]uint64{1, 1 << 31, 1<<32 - 1}[r.IntN(3)])
		}
	case reflect.Bool:
		v.SetBool(some)
	default:
	}
}

// inventField gives the fields that are checked what passes.
func inventField(r *rand.Rand, name string, f reflect.Value, full bool) {
	invent(r, f, full)
	if f.Kind() != reflect.String {
		return
	}
	switch name {
	case "Key", "Session", "Turn", "ID", "TurnID":
		f.SetString([]string{"a-1", "s.2:b_c"}[r.IntN(2)])
	case "TurnEnd":
		f.SetString("client")
	case "Encoding":
		f.SetString(EncodingBinary)
	case "Role":
		f.SetString("user")
	case "Text", "Kind", "Name", "Token":
		f.SetString("wörd")
	case "Reason", "Digit":
		f.SetString(strings.ToValidUTF8(f.String()[:min(len(f.String()), 20)], ""))
	}
}

// TestBothEncodingsSayTheSame invents messages and finds that what is read of one encoding is
// what is read of the other.
func TestBothEncodingsSayTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 4000 {
		n := protowire.Number(i%15 + 1)
		if m := clientMessage("", n); m != nil {
			invent(random, reflect.ValueOf(m).Elem(), i%3 == 0)
			text, err := AppendClient(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			a, f := ReadClient(text)
			b, g := ReadClientBinary(AppendClientBinary(nil, m))
			if f != nil || g != nil || !reflect.DeepEqual(a, b) {
				t.Fatalf("%s\n%+v, %v\n%+v, %v", text, a, f, b, g)
			}
		}
		if m := serverMessage("", n); m != nil {
			invent(random, reflect.ValueOf(m).Elem(), i%3 == 0)
			text, err := AppendServer(nil, int64(i), m)
			if err != nil {
				t.Fatal(err)
			}
			a, seq, f := ReadServer(text)
			b, number, g := ReadServerBinary(AppendServerBinary(nil, int64(i), m))
			if f != nil || g != nil || seq != number || !reflect.DeepEqual(a, b) {
				t.Fatalf("%s\n%+v, %v\n%+v, %v", text, a, f, b, g)
			}
		}
	}
}

// TestFaultsOfBinary shows that what cannot be meant is the fault that JSON would be.
func TestFaultsOfBinary(t *testing.T) {
	message := func(n protowire.Number, body ...byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), body)
	}
	for name, c := range map[string]struct {
		b           []byte
		code, field string
	}{
		"empty":               {nil, FaultField, "type"},
		"cut":                 {[]byte{0x12, 5, 1}, FaultMalformed, ""},
		"cut within":          {message(2, 0x0a, 9, 'a'), FaultMalformed, ""},
		"no field":            {[]byte{0, 0}, FaultMalformed, ""},
		"group without end":   {[]byte{0x13}, FaultMalformed, ""},
		"too long":            {make([]byte, MaxMessage+1), FaultMalformed, ""},
		"type":                {message(99), FaultType, "type"},
		"a message as number": {[]byte{0x10, 1}, FaultField, "type"},
		"no text":             {message(2), FaultField, "text"},
		"text as number":      {message(2, 0x08, 1), FaultField, "text"},
		"no UTF-8":            {message(2, 0x0a, 1, 0xff), FaultMalformed, "text"},
		"key":                 {message(10, 0x7a, 1, ' '), FaultField, "key"},
		"generation":          {message(6, 0x08, 0xff, 0xff, 0xff, 0xff, 0x7f), FaultField, "generation"},
		"position":            {message(6, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), FaultField, "position"},
		"turn_end":            {message(11, 0x0a, 3, 0x22, 1, 'x'), FaultField, "wishes.turn_end"},
		"no JSON":             {message(11, 0x0a, 10, 0x42, 8, 0x0a, 6, 0x0a, 1, 'a', 0x1a, 1, '{'), FaultField, "wishes.tools.tools.parameters"},
	} {
		m, f := ReadClientBinary(c.b)
		if f == nil || m != nil || f.Code != c.code || f.Field != c.field {
			t.Errorf("%s: %v, %v; want %s of %q", name, m, f, c.code, c.field)
		}
	}
}

// TestUnknownFieldsOfBinary shows that what only a later version knows is told and ignored,
// inside and outside of a message.
func TestUnknownFieldsOfBinary(t *testing.T) {
	cancel := AppendClientBinary(nil, &Cancel{Request: Request{Force: true}})
	for _, b := range [][]byte{
		append(bytes.Clone(cancel), 0xa0, 0x06, 1), // field 100 beside it
		{0x22, 5, 0x18, 1, 0xa0, 0x06, 1},          // field 100 in it
		{0x22, 7, 0x18, 1, 0xa5, 0x06, 1, 2, 3, 4}, // of 32 bits, cut: below
		{0x22, 8, 0x18, 1, 0xa5, 0x06, 1, 2, 3, 4}, // of 32 bits
		{0x22, 7, 0x18, 1, 0xa3, 0x06, 0xa4, 6, 0}, // a group, cut: below
		{0x22, 6, 0x18, 1, 0xa3, 0x06, 0xa4, 0x06}, // a group
		{0x22, 6, 0x18, 1, 0xa2, 0x06, 1, 0x7f},    // of bytes
	} {
		m, f := ReadClientBinary(b)
		if f == nil {
			t.Errorf("%x: no fault", b)
		} else if f.Code == FaultMalformed {
			continue
		} else if c, ok := m.(*Cancel); !ok || !c.Force || f.Code != FaultUnknown || f.Field != "100" {
			t.Errorf("%x: %+v, %v", b, m, f)
		}
	}
	m, seq, f := ReadServerBinary([]byte{0x08, 8, 0xa2, 0x06, 1, 0x7f})
	if m != nil || seq != 8 || f != nil {
		t.Errorf("a message of tomorrow: %v, %d, %v", m, seq, f)
	}
	m, _, f = ReadServerBinary([]byte{0x72, 5, 0x08, 3, 0xa0, 0x06, 1})
	if pong, ok := m.(*Pong); f != nil || !ok || pong.ID != 3 {
		t.Errorf("a field of tomorrow: %v, %v", m, f)
	}
}

// TestBinaryIsNoAudio shows that a frame is either audio or a message.
func TestBinaryIsNoAudio(t *testing.T) {
	for n := range protowire.Number(1 << 12) {
		if b := protowire.AppendTag(nil, n+1, protowire.BytesType); IsAudio(b) {
			t.Fatalf("field %d begins like audio", n+1)
		}
	}
	for _, kind := range []byte{KindCaller, KindAgent} {
		if !IsAudio(AppendAudio(nil, &Audio{Kind: kind})) {
			t.Errorf("kind %d is audio", kind)
		}
	}
}

// FuzzReadBinary: whatever comes is a message or a fault, and what was read says the same in
// JSON.
func FuzzReadBinary(f *testing.F) {
	text, err := os.ReadFile(sharedPath)
	if err != nil {
		f.Fatal(err)
	}
	var list []sample
	if err := json.Unmarshal(text, &list); err != nil {
		f.Fatal(err)
	}
	for _, one := range list {
		b, _ := hex.DecodeString(one.Hex)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, fault := ReadClientBinary(b); m == nil {
			if fault == nil || fault.Code == "" {
				t.Fatalf("neither message nor fault of %x", b)
			}
		} else {
			again, fault := ReadClientBinary(AppendClientBinary(nil, m))
			if fault != nil || !reflect.DeepEqual(again, m) {
				t.Fatalf("%+v became %+v, %v", m, again, fault)
			}
			if text, err := AppendClient(nil, m); err != nil {
				t.Fatalf("%+v cannot be written as JSON: %v", m, err)
			} else if other, fault := ReadClient(text); fault == nil && reflect.TypeOf(other) != reflect.TypeOf(m) {
				t.Fatalf("%T became %T", m, other)
			}
		}
		if m, seq, fault := ReadServerBinary(b); m != nil && fault == nil {
			again, number, fault := ReadServerBinary(AppendServerBinary(nil, seq, m))
			if len(b) < MaxMessage/2 && (fault != nil || number != seq || !reflect.DeepEqual(again, m)) {
				t.Fatalf("%+v became %+v, %v", m, again, fault)
			}
		}
	})
}
