// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Import is where the module finds its tick: a function of one number, the reason.
const (
	ImportModule = "parley_meter"
	ImportName   = "tick"
)

// The reasons of a tick.
const (
	ReasonTick  = 0 // the quantum is used up
	ReasonDepth = 1 // calls nest too deep; the module traps when the tick returns
)

// Quantum is how many units of work lie between two ticks. A unit is about 16 bytes of
// code, one to three nanoseconds: some 30 microseconds.
const Quantum = 1 << 14

// MaxSize bounds a module, bytes. MaxTable bounds its tables, entries altogether, and
// MaxFunctions its own functions. MaxNesting bounds what the depth of its blocks comes to, each
// counted: compiling one takes as long as it lies deep.
const (
	MaxSize      = 32 << 20
	MaxTable     = 1 << 17
	MaxFunctions = 1 << 17
	MaxNesting   = 1 << 28
)

// preview is the import module whose functions are called with a tick before.
const preview = "wasi_snapshot_preview1"

// The sections.
const (
	secType      = 1
	secImport    = 2
	secFunction  = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElement   = 9
	secCode      = 10
	secData      = 11
	secDataCount = 12
)

const typeI32 = 0x7f

// module is what is known of a module while it is rewritten.
type module struct {
	sections [secDataCount + 1][]byte
	types    []signature
	imports  []imported
	funcs    []uint32 // type of each function of its own
	nested   int      // depth of the blocks so far, altogether
	globals  uint32
	newTypes [][]byte // appended
	wrappers []int    // of imports: their function; 0 = none
	depth    int32    // limit
}

type signature struct{ params, results []byte }

type imported struct {
	kind   uint32 // type
	ticked bool
}

// Rewrite adds the meter to a module. depth bounds the nesting of calls, in bytes of the
// frames that the engine is thought to need.
func Rewrite(code []byte, depth int32) ([]byte, error) {
	if len(code) > MaxSize {
		return nil, fmt.Errorf("the module has %d bytes, at most %d", len(code), MaxSize)
	}
	m := &module{depth: depth}
	if err := m.split(code); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		m.readTypes, m.readImports, m.readFunctions, m.readTables, m.rewriteGlobals, m.rewriteExports, m.rewriteStart, m.rewriteElements, m.rewriteCode,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	m.finish()
	return m.join(), nil
}

func header() []byte { return []byte("\x00asm\x01\x00\x00\x00") }

// split finds the sections. Custom ones are left out: the names in them would be wrong.
func (m *module) split(code []byte) error {
	if !bytes.HasPrefix(code, header()) {
		return errors.New("this is no WebAssembly module")
	}
	r := &reader{b: code, at: len(header())}
	for r.more() {
		id := r.byte()
		body := r.take(r.count())
		switch {
		case r.err != nil || id == 0:
		case id > secDataCount:
			return fmt.Errorf("section %d is unknown", id)
		case m.sections[id] != nil:
			return fmt.Errorf("section %d is there twice", id)
		default:
			m.sections[id] = append([]byte{}, body...)
		}
	}
	return r.err
}

// join writes the sections in their order.
func (m *module) join() []byte {
	out := header()
	for _, id := range []byte{secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart, secElement, secDataCount, secCode, secData} {
		if body := m.sections[id]; body != nil {
			out = append(out, id)
			out = putU32(out, uint32(len(body)))
			out = append(out, body...)
		}
	}
	return out
}

// each reads a section that is a vector.
func (m *module) each(id int, visit func(r *reader)) error {
	if m.sections[id] == nil {
		return nil
	}
	r := &reader{b: m.sections[id]}
	for range r.count() {
		visit(r)
		if r.err != nil {
			return fmt.Errorf("section %d: %w", id, r.err)
		}
	}
	if r.at != len(r.b) {
		r.fail("bytes are left over")
	}
	return r.err
}

// put replaces a vector section by the old one's elements and more.
func (m *module) put(id int, old []byte, n int, more ...[]byte) {
	out := putU32(nil, uint32(n+len(more)))
	out = append(out, old...)
	for _, b := range more {
		out = append(out, b...)
	}
	m.sections[id] = out
}

// vector cuts a section into its length and its elements.
func (m *module) vector(id int) (n int, rest []byte) {
	if m.sections[id] == nil {
		return 0, nil
	}
	r := &reader{b: m.sections[id]}
	n = r.count()
	return n, r.b[r.at:]
}

func (m *module) readTypes() error {
	return m.each(secType, func(r *reader) {
		if r.byte() != 0x60 {
			r.fail("a type is no function's")
		}
		m.types = append(m.types, signature{params: r.take(r.count()), results: r.take(r.count())})
	})
}

func (m *module) readImports() error {
	return m.each(secImport, func(r *reader) {
		from, name, kind := r.name(), r.name(), r.byte()
		if kind != 0 {
			r.fail("%s.%s is imported and is no function: a node imports functions only", from, name)
			return
		}
		if from == ImportModule {
			r.fail("%s is the host's own", ImportModule)
			return
		}
		t := r.u32()
		if int64(t) >= int64(len(m.types)) {
			r.fail("type %d is unknown", t)
		}
		m.imports = append(m.imports, imported{kind: t, ticked: from == preview})
	})
}

func (m *module) readFunctions() error {
	err := m.each(secFunction, func(r *reader) {
		t := r.u32()
		if int64(t) >= int64(len(m.types)) {
			r.fail("type %d is unknown", t)
		}
		if m.funcs = append(m.funcs, t); len(m.funcs) > MaxFunctions {
			r.fail("there are more than %d functions", MaxFunctions)
		}
	})
	m.wrappers = make([]int, len(m.imports))
	next := len(m.imports) + 1 + len(m.funcs) + 1 // behind the tick's import and the tick
	for i, f := range m.imports {
		if f.ticked {
			m.wrappers[i] = next
			next++
		}
	}
	return err
}

func (m *module) readTables() error {
	entries := uint64(0)
	return m.each(secTable, func(r *reader) {
		r.byte()
		if entries += uint64(r.limits()); entries > MaxTable {
			r.fail("the tables have %d entries, at most %d", entries, MaxTable)
		}
	})
}

// function gives the new index of a function.
func (m *module) function(r *reader, old uint32) uint32 {
	n := uint32(len(m.imports))
	switch {
	case old >= n+uint32(len(m.funcs)):
		r.fail("function %d is unknown", old)
		return 0
	case old >= n:
		return old + 1
	case m.wrappers[old] != 0:
		return uint32(m.wrappers[old])
	}
	return old
}

func (m *module) tickImport() uint32 { return uint32(len(m.imports)) }
func (m *module) tick() uint32       { return uint32(len(m.imports) + 1 + len(m.funcs)) }

// constant copies an initialiser.
func (m *module) constant(r *reader, out []byte) []byte {
	for r.more() {
		at := r.at
		switch op := r.byte(); op {
		case opEnd:
			return append(out, op)
		case opI32Const, opI64Const, opGlobalGet:
			r.leb(10)
		case opF32Const:
			r.take(4)
		case opF64Const:
			r.take(8)
		case opRefNull:
			r.byte()
		case opRefFunc:
			out = putU32(append(out, op), m.function(r, r.u32()))
			continue
		case opSIMD:
			if r.u32() != simdConst {
				r.fail("an initialiser is no constant")
			}
			r.take(16)
		default:
			r.fail("an initialiser is no constant: operation %#x", op)
		}
		if r.err == nil {
			out = append(out, r.b[at:r.at]...)
		}
	}
	r.fail("%w", errShort)
	return out
}

func (m *module) rewriteGlobals() error {
	var out []byte
	err := m.each(secGlobal, func(r *reader) {
		out = append(out, r.take(2)...)
		out = m.constant(r, out)
		m.globals++
	})
	counter := []byte{typeI32, 1, opI32Const, 0, opEnd}
	m.put(secGlobal, out, int(m.globals), counter, counter)
	return err
}

func (m *module) units() uint32 { return m.globals }
func (m *module) level() uint32 { return m.globals + 1 }

func (m *module) rewriteExports() error {
	var out []byte
	n := 0
	err := m.each(secExport, func(r *reader) {
		name, kind, index := r.name(), r.byte(), r.u32()
		switch {
		case kind == 0:
			index = m.function(r, index)
		case kind == 3 && index >= m.globals:
			r.fail("export %q: global %d is unknown", name, index)
		}
		out = putU32(out, uint32(len(name)))
		out = append(append(out, name...), kind)
		out = putU32(out, index)
		n++
	})
	if n > 0 {
		m.put(secExport, out, n)
	}
	return err
}

func (m *module) rewriteStart() error {
	if b := m.sections[secDataCount]; b != nil {
		if err := single(&reader{b: b}, func(*reader, uint32) {}); err != nil {
			return err
		}
	}
	if m.sections[secStart] == nil {
		return nil
	}
	return single(&reader{b: m.sections[secStart]}, func(r *reader, old uint32) {
		m.sections[secStart] = putU32(nil, m.function(r, old))
	})
}

// single reads a section that is one number.
func single(r *reader, take func(r *reader, v uint32)) error {
	take(r, r.u32())
	if r.at != len(r.b) {
		r.fail("bytes are left over")
	}
	return r.err
}

func (m *module) rewriteElements() error {
	var out []byte
	n := 0
	err := m.each(secElement, func(r *reader) {
		n++
		flag := r.u32()
		if flag > 7 {
			r.fail("an element segment has the unknown kind %d", flag)
			return
		}
		out = putU32(out, flag)
		if flag&1 == 0 { // active
			if flag&2 != 0 {
				out = putU32(out, r.u32())
			}
			out = m.constant(r, out)
		}
		if flag&3 != 0 {
			out = append(out, r.byte())
		}
		count := r.count()
		out = putU32(out, uint32(count))
		for range count {
			if r.err != nil {
				return
			}
			if flag&4 != 0 {
				out = m.constant(r, out)
			} else {
				out = putU32(out, m.function(r, r.u32()))
			}
		}
	})
	if n > 0 {
		m.put(secElement, out, n)
	}
	return err
}

// newType gives the index of a type, which is appended where it is new.
func (m *module) newType(params, results []byte) uint32 {
	b := []byte{0x60}
	b = append(putU32(b, uint32(len(params))), params...)
	b = append(putU32(b, uint32(len(results))), results...)
	i := slices.IndexFunc(m.newTypes, func(t []byte) bool { return bytes.Equal(t, b) })
	if i < 0 {
		i = len(m.newTypes)
		m.newTypes = append(m.newTypes, b)
	}
	return uint32(len(m.types) + i)
}

// finish writes the sections that hold what was added.
func (m *module) finish() {
	why, none := m.newType([]byte{typeI32}, nil), m.newType(nil, nil)

	entry := putU32(nil, uint32(len(ImportModule)))
	entry = append(entry, ImportModule...)
	entry = append(putU32(entry, uint32(len(ImportName))), ImportName...)
	entry = putU32(append(entry, 0), why)
	n, rest := m.vector(secImport)
	m.put(secImport, rest, n, entry)

	tick := putU32([]byte{0, opI32Const, ReasonTick, opCall}, m.tickImport())
	tick = putI32(append(tick, opI32Const), Quantum)
	tick = append(putU32(append(tick, opGlobalSet), m.units()), opEnd)
	kinds, bodies := [][]byte{putU32(nil, none)}, [][]byte{sized(tick)}
	for i, f := range m.imports {
		if !f.ticked {
			continue
		}
		b := putU32([]byte{0, opCall}, m.tick())
		for p := range m.types[f.kind].params {
			b = putU32(append(b, opLocalGet), uint32(p))
		}
		b = append(putU32(append(b, opCall), uint32(i)), opEnd)
		kinds, bodies = append(kinds, putU32(nil, f.kind)), append(bodies, sized(b))
	}
	n, rest = m.vector(secFunction)
	m.put(secFunction, rest, n, kinds...)
	n, rest = m.vector(secCode)
	m.put(secCode, rest, n, bodies...)
	n, rest = m.vector(secType)
	m.put(secType, rest, n, m.newTypes...)
}

// sized puts its length before a function's body.
func sized(body []byte) []byte { return append(putU32(nil, uint32(len(body))), body...) }
