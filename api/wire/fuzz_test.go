// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/parley-voice/parley/api/wire"
)

// FuzzReadClient: whatever comes is a message or a fault, and what was read can be written
// and read again as the same.
func FuzzReadClient(f *testing.F) {
	for _, seed := range []string{
		`{"type":"hello","resume":{"session":"s","received":1},"wishes":{"tools":[{"name":"a","parameters":{}}]}}`,
		`{"type":"cancel","turn":"t1","key":"k"}`, `{"type":"played","generation":1,"position":3,"final":true}`, `{"type":"bye"}`, `{`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, fault := wire.ReadClient(b)
		if m == nil {
			if fault == nil || fault.Code == "" {
				t.Fatalf("neither message nor fault of %q", b)
			}
			return
		}
		text, err := wire.AppendClient(nil, m)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", m, err)
		}
		again, fault := wire.ReadClient(text)
		if fault != nil && len(text) <= wire.MaxMessage {
			t.Fatalf("%s cannot be read: %v", text, fault)
		}
		if fault == nil && reflect.TypeOf(again) != reflect.TypeOf(m) {
			t.Fatalf("%T became %T", m, again)
		}
	})
}

// FuzzReadServer: whatever comes is a message, an unknown one, or a fault.
func FuzzReadServer(f *testing.F) {
	f.Add([]byte(`{"type":"signal","seq":3,"signal":{"signal":"close"}}`))
	f.Add([]byte(`{"type":"welcome","audio":{"in":"opus/48000"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, seq, fault := wire.ReadServer(b)
		if fault != nil || m == nil {
			return
		}
		if _, err := wire.AppendServer(nil, seq, m); err != nil {
			t.Fatalf("%+v cannot be written: %v", m, err)
		}
	})
}

// FuzzParseAudio: what is taken can be written again as it was.
func FuzzParseAudio(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 0, 0, 0, 0, 7, 8}, byte(1))
	f.Add([]byte{2}, byte(2))
	f.Fuzz(func(t *testing.T, b []byte, kind byte) {
		a, fault := wire.ParseAudio(b, kind)
		if fault == nil && !bytes.Equal(wire.AppendAudio(nil, &a), b) {
			t.Fatalf("%x became %+v", b, a)
		}
	})
}
