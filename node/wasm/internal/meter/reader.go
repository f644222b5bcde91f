// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errShort is what is said of a module that ends within something.
var errShort = errors.New("the module is cut off")

// reader reads the binary format. The first fault stays; what is read after it is zero.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.at = len(r.b)
}

func (r *reader) more() bool { return r.err == nil && r.at < len(r.b) }

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.fail("%w", errShort)
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b)-r.at {
		r.fail("%w", errShort)
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

// u32 reads an unsigned LEB128 of 32 bit.
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v > 1<<32-1 {
				r.fail("a number has more than 32 bit")
			}
			return uint32(v)
		}
	}
	r.fail("a number has more than 32 bit")
	return 0
}

// leb skips a LEB128 of at most n bytes.
func (r *reader) leb(n int) {
	for range n {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail("a number has more than %d bytes", n)
}

// count reads the length of a vector, whose elements have at least one byte each.
func (r *reader) count() int {
	n := r.u32()
	if int64(n) > int64(len(r.b)-r.at) {
		r.fail("%w", errShort)
		return 0
	}
	return int(n)
}

func (r *reader) name() string { return string(r.take(r.count())) }

// limits reads the limits of a table or a memory.
func (r *reader) limits() (low uint32) {
	flag := r.byte()
	if flag > 1 {
		r.fail("limits of kind %d: shared and 64 bit memories are not supported", flag)
	}
	low = r.u32()
	if flag == 1 {
		r.u32()
	}
	return low
}

func putU32(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

// putI32 writes a signed LEB128.
func putI32(b []byte, v int32) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// wide is how many bytes a number takes that is filled in later.
const wide = 5

// fill writes a number of at most 31 bit in the place of wide bytes.
func fill(b []byte, v int32) {
	for i := range wide - 1 {
		b[i] = byte(v>>(7*i))&0x7f | 0x80
	}
	b[wide-1] = byte(v>>28) & 0x7f
}
