// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// vec and the rest assemble small modules.
func vec(list ...[]byte) []byte {
	out := putU32(nil, uint32(len(list)))
	for _, b := range list {
		out = append(out, b...)
	}
	return out
}

func section(id byte, body []byte) []byte {
	return append(putU32([]byte{id}, uint32(len(body))), body...)
}

func name(s string) []byte { return append(putU32(nil, uint32(len(s))), s...) }

func function(code ...byte) []byte { return sized(append([]byte{0}, code...)) }

// module has one function (i32) -> i32, exported as "f", besides what is given.
func assemble(code []byte, more ...[]byte) []byte {
	out := header()
	out = append(out, section(secType, vec([]byte{0x60, 1, typeI32, 1, typeI32}))...)
	out = append(out, section(secFunction, vec([]byte{0}))...)
	out = append(out, section(secMemory, vec([]byte{0, 1}))...)
	out = append(out, section(secGlobal, vec([]byte{typeI32, 1, opI32Const, 7, opEnd}))...)
	out = append(out, section(secExport, vec(append(name("f"), 0, 0), append(name("g"), 3, 0)))...)
	for _, m := range more {
		out = append(out, m...)
	}
	return append(out, section(secCode, vec(code))...)
}

// counts to its argument: block loop local.get 0 eqz br_if 1 (local -= 1) br 0 end end, global.get 0
func countDown(extra ...byte) []byte {
	b := []byte{opBlock, noResult, opLoop, noResult, opLocalGet, 0, 0x45, opBrIf, 1, opLocalGet, 0, opI32Const, 1, opI32Sub, 0x21, 0}
	b = append(b, extra...)
	return function(append(b, opBr, 0, opEnd, opEnd, opGlobalGet, 0, opEnd)...)
}

// calls itself as often as its argument says, and gives how often that was.
func recursive() []byte {
	return function(opLocalGet, 0, 0x45, opIf, noResult, opI32Const, 0, opReturn, opEnd,
		opLocalGet, 0, opI32Const, 1, opI32Sub, opCall, 0, opI32Const, 1, opI32Add, opEnd)
}

type world struct {
	module api.Module
	ticks  int
	depths int
	stop   int // after so many ticks; 0 = never
}

var errStopped = errors.New("stopped by the test")

func load(t *testing.T, code []byte, depth int32) *world {
	t.Helper()
	w := &world{}
	metered, err := Rewrite(code, depth)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background() //nolint:usetesting // the engine outlives a failed call
	engine := wazero.NewRuntime(ctx)
	t.Cleanup(func() { engine.Close(ctx) })
	_, err = engine.NewHostModuleBuilder(ImportModule).NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(
		func(_ context.Context, _ api.Module, s []uint64) {
			if s[0] == ReasonDepth {
				w.depths++
				return
			}
			if w.ticks++; w.ticks == w.stop {
				panic(errStopped)
			}
		}), []api.ValueType{api.ValueTypeI32}, nil).Export(ImportName).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if w.module, err = engine.Instantiate(ctx, metered); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) call(t *testing.T, n uint64) (uint64, error) {
	t.Helper()
	r, err := w.module.ExportedFunction("f").Call(t.Context(), n)
	if err != nil {
		return 0, err
	}
	return r[0], nil
}

func TestALoopTicksAndDoesTheSame(t *testing.T) {
	w := load(t, assemble(countDown()), 1<<20)
	if r, err := w.call(t, 10); err != nil || r != 7 {
		t.Fatal(r, err)
	}
	few := w.ticks
	const rounds = 1_000_000
	if r, err := w.call(t, rounds); err != nil || r != 7 {
		t.Fatal(r, err)
	}
	if ticks := w.ticks - few; ticks < rounds/Quantum || ticks > 4*rounds/Quantum {
		t.Errorf("%d ticks in %d rounds of a loop; the quantum is %d", ticks, rounds, Quantum)
	}
}

func TestTheHostStopsALoop(t *testing.T) {
	w := load(t, assemble(countDown()), 1<<20)
	w.stop = 3
	if _, err := w.call(t, 1<<32-1); !errors.Is(err, errStopped) {
		t.Error(err)
	}
}

func TestBulkOperationsAreCounted(t *testing.T) {
	fillAll := []byte{opI32Const, 0, opI32Const, 0, opI32Const, 0x80, 0x80, 0x04, opBulk, bulkMemoryFill, 0} // 64 KB
	plain, bulk := load(t, assemble(countDown()), 1<<20), load(t, assemble(countDown(fillAll...)), 1<<20)
	for _, w := range []*world{plain, bulk} {
		if r, err := w.call(t, 1000); err != nil || r != 7 {
			t.Fatal(r, err)
		}
	}
	if want := 1000 * (64 << 10) / 64 / Quantum; bulk.ticks < want || plain.ticks >= want {
		t.Errorf("%d ticks with, %d without 64 MB of memory.fill; want %d", bulk.ticks, plain.ticks, want)
	}
}

func TestDepthIsBoundedAndComesBack(t *testing.T) {
	w := load(t, assemble(recursive()), 1<<20)
	for range 50 {
		if r, err := w.call(t, 5000); err != nil || r != 5000 {
			t.Fatal(r, err)
		}
	}
	if _, err := w.call(t, 1<<20); err == nil || !strings.Contains(err.Error(), "unreachable") || w.depths != 1 {
		t.Errorf("%v, %d times too deep", err, w.depths)
	}
}

func TestTheCountersAreOutOfReach(t *testing.T) {
	for what, code := range map[string][]byte{
		"reading a counter": function(opGlobalGet, 1, opEnd),
		"setting a counter": function(opI32Const, 0, opGlobalSet, 2, opI32Const, 0, opEnd),
		"calling the tick":  function(opI32Const, 0, opCall, 1, opI32Const, 0, opEnd),
		"leaving the block": function(opI32Const, 0, opBr, 1, opEnd),
		"a table's growth":  function(opRefNull, 0x70, opI32Const, 1, opBulk, bulkTableGrow, 0, opEnd),
		"unknown":           function(0xff, opEnd),
		"atomics":           function(0xfe, 3, 0, opI32Const, 0, opEnd),
		"no end":            function(opI32Const, 0),
		"more than the end": function(opI32Const, 0, opEnd, opNop),
	} {
		if _, err := Rewrite(assemble(code), 1<<20); err == nil {
			t.Errorf("%s: it was rewritten", what)
		}
	}
	exported := header()
	exported = append(exported, section(secExport, vec(append(name("units"), 3, 0)))...)
	if _, err := Rewrite(exported, 1<<20); err == nil {
		t.Error("a counter was exported")
	}
}

func TestModulesAreBounded(t *testing.T) {
	const deep = 30_000
	nested := append(bytes.Repeat([]byte{opBlock, noResult}, deep), bytes.Repeat([]byte{opEnd}, deep)...)
	many := append(putU32(nil, MaxFunctions+1), make([]byte, MaxFunctions+1)...)
	for what, code := range map[string][]byte{
		"a large table":     assemble(countDown(), section(secTable, vec([]byte{0x70, 0, 0x80, 0x80, 0x80, 0x01}))),
		"a shared memory":   append(header(), section(secTable, vec([]byte{0x70, 3, 1, 1}))...),
		"a foreign memory":  append(header(), section(secImport, vec(append(append(name("a"), name("b")...), 2, 0, 1)))...),
		"the host's import": append(append(header(), section(secType, vec([]byte{0x60, 0, 0}))...), section(secImport, vec(append(append(name(ImportModule), name(ImportName)...), 0, 0)))...),
		"a section twice":   append(append(header(), section(secType, vec())...), section(secType, vec())...),
		"deep blocks":       assemble(function(append(nested, opLocalGet, 0, opEnd)...)),
		"many functions":    append(append(header(), section(secType, vec([]byte{0x60, 0, 0}))...), section(secFunction, many)...),
		"no module":         []byte("\x7fELF"),
	} {
		if _, err := Rewrite(code, 1<<20); err == nil {
			t.Errorf("%s: it was rewritten", what)
		}
	}
}

// FuzzRewrite: whatever the bytes are, there is an answer, and what the engine took before the
// meter was added it takes afterwards.
func FuzzRewrite(f *testing.F) {
	f.Add(assemble(countDown()))
	f.Add(assemble(recursive()))
	for _, file := range []string{"../../testdata/hostile.wasm", "../../../../examples/wasm/gate/gate.wasm"} {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	ctx := context.Background()
	engine := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	f.Cleanup(func() { engine.Close(ctx) })
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) > 1<<16 {
			return
		}
		metered, err := Rewrite(code, 1<<20)
		if err != nil {
			return
		}
		before, err := engine.CompileModule(ctx, code)
		if err != nil {
			return
		}
		defer before.Close(ctx)
		after, err := engine.CompileModule(ctx, metered)
		if err != nil {
			t.Fatalf("the engine takes a module, and does not take it with its meter: %v", err)
		}
		defer after.Close(ctx)
		if a, b := len(before.ExportedFunctions()), len(after.ExportedFunctions()); a != b {
			t.Errorf("%d exports became %d", a, b)
		}
	})
}
