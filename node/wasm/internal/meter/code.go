// SPDX-License-Identifier: Apache-2.0

package meter

// The operations that mean something here.
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opSelectTyped  = 0x1c
	opLocalGet     = 0x20
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableGet     = 0x25
	opTableSet     = 0x26
	opLoadFirst    = 0x28
	opStoreLast    = 0x3e
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opNumericFirst = 0x45
	opI32LtS       = 0x48
	opI32GtS       = 0x4a
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32ShrU      = 0x76
	opNumericLast  = 0xc4
	opRefNull      = 0xd0
	opRefIsNull    = 0xd1
	opRefFunc      = 0xd2
	opBulk         = 0xfc
	opSIMD         = 0xfd

	noResult = 0x40

	bulkSaturateLast = 7
	bulkMemoryInit   = 8
	bulkDataDrop     = 9
	bulkMemoryCopy   = 10
	bulkMemoryFill   = 11
	bulkTableInit    = 12
	bulkElemDrop     = 13
	bulkTableCopy    = 14
	bulkTableGrow    = 15
	bulkTableSize    = 16
	bulkTableFill    = 17

	simdMemoryLast    = 11
	simdConst         = 12
	simdShuffle       = 13
	simdLaneFirst     = 21
	simdLaneLast      = 34
	simdMemLaneFirst  = 84
	simdMemLaneLast   = 91
	simdLoadZeroFirst = 92
	simdLoadZeroLast  = 93
	simdLast          = 255
)

// shortLeaf is how many bytes of code a function may have that calls nothing, without being
// counted at its entry.
const shortLeaf = 1 << 10

// body is one function while it is rewritten.
type body struct {
	*reader
	m       *module
	out     []byte
	scratch uint32 // a local of its own
	labels  bool   // branches are checked
	nesting int    // blocks that are open, without the function's
	loops   []open
}

// open is a loop that has not ended.
type open struct{ nesting, begin, patch int }

func (m *module) rewriteCode() error {
	var out []byte
	next := 0
	err := m.each(secCode, func(r *reader) {
		if next >= len(m.funcs) {
			r.fail("there is more code than functions")
			return
		}
		code := r.take(r.count())
		if r.err == nil {
			var b []byte
			b, r.err = m.rewriteBody(code, m.types[m.funcs[next]])
			out = append(out, sized(b)...)
		}
		next++
	})
	if err == nil && next != len(m.funcs) {
		r := &reader{}
		r.fail("%d functions have no code", len(m.funcs)-next)
		err = r.err
	}
	m.put(secCode, out, next)
	return err
}

// rewriteBody rewrites a function's locals and code.
func (m *module) rewriteBody(code []byte, s signature) ([]byte, error) {
	r := &reader{b: code}
	groups, locals := r.count(), uint64(0)
	from := r.at
	for range groups {
		locals += uint64(r.u32())
		r.byte()
	}
	if r.err == nil && locals > 50000 {
		r.fail("a function has %d locals, at most 50000", locals)
	}
	if r.err != nil {
		return nil, r.err
	}
	b := &body{reader: r, m: m, scratch: uint32(len(s.params)) + uint32(locals), labels: true}
	b.out = putU32(nil, uint32(groups+1))
	b.out = append(b.out, code[from:r.at]...)
	b.out = append(b.out, 1, typeI32)

	begin := r.at
	leaf, err := m.leaf(code[begin:])
	if err != nil {
		return nil, err
	}
	counted := !leaf || len(code) > shortLeaf
	frame := int32(64 + 16*(uint64(len(s.params))+locals) + uint64(len(code)))
	if counted {
		b.enter(int32(1+len(code)/16), frame)
	}
	b.out = append(b.out, opBlock)
	switch len(s.results) {
	case 0:
		b.out = append(b.out, noResult)
	case 1:
		b.out = append(b.out, s.results[0])
	default:
		b.out = putI32(b.out, int32(m.newType(nil, s.results)))
	}
	for b.more() && b.nesting >= 0 {
		b.instruction()
	}
	if b.err == nil && (b.nesting >= 0 || b.at != len(b.b)) {
		b.fail("a function's code has no end")
	}
	if counted {
		b.add(m.level(), opI32Sub, frame)
	}
	return append(b.out, opEnd), b.err
}

// leaf says whether a function's code calls nothing.
func (m *module) leaf(code []byte) (bool, error) {
	b := &body{reader: &reader{b: code}, m: m}
	for b.more() {
		switch op := b.byte(); op {
		case opCall, opCallIndirect:
			return false, nil
		default:
			b.immediates(op)
		}
	}
	return true, b.err
}

// deeper opens a block.
func (b *body) deeper() {
	b.nesting++
	if b.m.nested += b.nesting; b.m.nested > MaxNesting {
		b.fail("its blocks lie too deep in each other")
	}
}

// add changes a counter by a constant.
func (b *body) add(global uint32, op byte, v int32) {
	b.out = putU32(append(b.out, opGlobalGet), global)
	b.out = append(putI32(append(b.out, opI32Const), v), op)
	b.out = putU32(append(b.out, opGlobalSet), global)
}

// tickIfSpent comes back to the host when the units are used up.
func (b *body) tickIfSpent() {
	b.out = putU32(append(b.out, opGlobalGet), b.m.units())
	b.out = append(b.out, opI32Const, 0, opI32LtS, opIf, noResult, opCall)
	b.out = append(putU32(b.out, b.m.tick()), opEnd)
}

func (b *body) enter(units, frame int32) {
	b.add(b.m.units(), opI32Sub, units)
	b.tickIfSpent()
	b.add(b.m.level(), opI32Add, frame)
	b.out = putU32(append(b.out, opGlobalGet), b.m.level())
	b.out = putI32(append(b.out, opI32Const), b.m.depth)
	b.out = append(b.out, opI32GtS, opIf, noResult, opI32Const, ReasonDepth, opCall)
	b.out = append(putU32(b.out, b.m.tickImport()), opUnreachable, opEnd)
}

// charge counts a bulk operation by the length on top of the stack.
func (b *body) charge() {
	b.out = putU32(append(b.out, opLocalTee), b.scratch)
	b.out = putU32(append(b.out, opGlobalGet), b.m.units())
	b.out = putU32(append(b.out, opLocalGet), b.scratch)
	b.out = append(b.out, opI32Const, 6, opI32ShrU, opI32Sub)
	b.out = putU32(append(b.out, opGlobalSet), b.m.units())
	b.tickIfSpent()
}

// instruction copies one instruction, with what the meter needs around it.
func (b *body) instruction() {
	at := b.at
	op := b.byte()
	switch op {
	case opReturn:
		b.out = putU32(append(b.out, opBr), uint32(b.nesting))
		return
	case opCall, opRefFunc:
		b.out = putU32(append(b.out, op), b.m.function(b.reader, b.u32()))
		return
	case opBulk:
		switch sub := b.bulk(); sub {
		case bulkMemoryInit, bulkMemoryCopy, bulkMemoryFill, bulkTableInit, bulkTableCopy, bulkTableFill:
			b.charge()
		}
	default:
		b.immediates(op)
	}
	if b.err != nil {
		return
	}
	b.out = append(b.out, b.b[at:b.at]...)
	switch op {
	case opBlock, opIf:
		b.deeper()
	case opLoop:
		b.deeper()
		b.out = putU32(append(b.out, opGlobalGet), b.m.units())
		b.out = append(b.out, opI32Const)
		b.loops = append(b.loops, open{nesting: b.nesting, begin: b.at, patch: len(b.out)})
		b.out = append(b.out, make([]byte, wide)...)
		b.out = putU32(append(b.out, opI32Sub, opGlobalSet), b.m.units())
		b.tickIfSpent()
	case opEnd:
		if n := len(b.loops); n > 0 && b.loops[n-1].nesting == b.nesting {
			l := b.loops[n-1]
			fill(b.out[l.patch:], int32(1+(b.at-l.begin)/16))
			b.loops = b.loops[:n-1]
		}
		b.nesting--
	}
}

// label reads a branch's target, which lies within the function.
func (b *body) label() {
	if l := b.u32(); b.labels && int64(l) > int64(b.nesting) {
		b.fail("a branch leaves %d blocks of %d", l, b.nesting)
	}
}

func (b *body) global() {
	if g := b.u32(); g >= b.m.globals {
		b.fail("global %d is unknown", g)
	}
}

// immediates reads what belongs to an operation other than a bulk one.
func (b *body) immediates(op byte) {
	switch {
	case op == opBlock || op == opLoop || op == opIf:
		b.leb(5)
	case op == opBr || op == opBrIf:
		b.label()
	case op == opBrTable:
		for range b.count() + 1 {
			if b.err == nil {
				b.label()
			}
		}
	case op == opCall || op == opRefFunc:
		b.m.function(b.reader, b.u32())
	case op == opGlobalGet || op == opGlobalSet:
		b.global()
	case op >= opLocalGet && op <= opLocalTee, op == opTableGet, op == opTableSet:
		b.u32()
	case op == opCallIndirect, op >= opLoadFirst && op <= opStoreLast:
		b.u32()
		b.u32()
	case op == opMemorySize || op == opMemoryGrow || op == opRefNull:
		b.byte()
	case op == opI32Const:
		b.leb(5)
	case op == opI64Const:
		b.leb(10)
	case op == opF32Const:
		b.take(4)
	case op == opF64Const:
		b.take(8)
	case op == opSelectTyped:
		b.take(b.count())
	case op == opSIMD:
		b.simd()
	case op == opBulk:
		b.bulk()
	case op == opUnreachable, op == opNop, op == opElse, op == opEnd, op == opReturn, op == opDrop, op == opSelect, op == opRefIsNull,
		op >= opNumericFirst && op <= opNumericLast:
	default:
		b.fail("operation %#x is unknown", op)
	}
}

func (b *body) bulk() uint32 {
	sub := b.u32()
	switch {
	case sub <= bulkSaturateLast:
	case sub == bulkMemoryInit || sub == bulkMemoryCopy || sub == bulkTableInit || sub == bulkTableCopy:
		b.u32()
		b.u32()
	case sub == bulkDataDrop || sub == bulkMemoryFill || sub == bulkElemDrop || sub == bulkTableSize || sub == bulkTableFill:
		b.u32()
	case sub == bulkTableGrow:
		b.fail("a table that grows is not supported")
	default:
		b.fail("operation 0xfc %d is unknown", sub)
	}
	return sub
}

func (b *body) simd() {
	sub := b.u32()
	switch {
	case sub <= simdMemoryLast || sub == simdLoadZeroFirst || sub == simdLoadZeroLast:
		b.u32()
		b.u32()
	case sub == simdConst || sub == simdShuffle:
		b.take(16)
	case sub >= simdLaneFirst && sub <= simdLaneLast:
		b.byte()
	case sub >= simdMemLaneFirst && sub <= simdMemLaneLast:
		b.u32()
		b.u32()
		b.byte()
	case sub > simdLast:
		b.fail("operation 0xfd %d is unknown", sub)
	}
}
