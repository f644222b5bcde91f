// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

// trapping is a module in which feeding audio traps, by an address that its memory does
// not have: what the engine itself would do after a fault in its C code.
type trapping struct{ api.Module }

func (m trapping) ExportedFunction(name string) api.Function {
	f := m.Module.ExportedFunction(name)
	if name == "stt_feed" {
		return wild{f}
	}
	return f
}

type wild struct{ api.Function }

func (f wild) Call(ctx context.Context, _ ...uint64) ([]uint64, error) {
	return f.Function.Call(ctx, 0xffff_f000, 100_000)
}

func TestStringsAreReadWithinBounds(t *testing.T) {
	f := newFlite(t, 1)
	s, err := f.pool.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.pool.put(t.Context(), s, true)

	p, err := s.writeString(t.Context(), "grüße")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.readString(p); err != nil || got != "grüße" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := s.writeString(t.Context(), "a\x00b"); err == nil {
		t.Error("a string with a zero byte was accepted")
	}
	size := s.memory.Size()
	if _, err := s.readString(size); err == nil {
		t.Error("a string past the end of memory was read")
	}
	if _, err := s.readString(0xffff_ffff); err == nil {
		t.Error("a string at the last address was read")
	}
	if !s.memory.Write(size-3, []byte("end")) {
		t.Fatal("the end of memory cannot be written to")
	}
	if _, err := s.readString(size - 3); err == nil {
		t.Error("a string without an end was read")
	}
	if err := s.writeSamples(size-2, []int16{1, 2}); err == nil {
		t.Error("samples were written past the end")
	}
	if _, err := s.allocate(t.Context(), 1<<31); err == nil {
		t.Error("2 GB were allocated")
	}
}

func TestLastLineKeepsTheLastLineInBounds(t *testing.T) {
	var l lastLine
	for _, piece := range []string{"ERROR: first\nERR", "OR: sec", "ond\n"} {
		if n, err := l.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if l.String() != "ERROR: second" {
		t.Errorf("kept %q", l.String())
	}
	_, _ = l.Write([]byte(strings.Repeat("x", 10*maxMessage)))
	if len(l.String()) != maxMessage {
		t.Errorf("kept %d bytes, at most %d", len(l.String()), maxMessage)
	}
}
