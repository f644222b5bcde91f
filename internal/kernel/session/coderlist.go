// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/binary"
	"strconv"

	"github.com/parley-voice/parley/internal/kernel/graph"
)

// Lists of records. As bytes a list is its length and the entries; in text each field of an
// entry has the entry's number behind a dot, and the first one is there even when it is empty.

// length walks the length of a list whose entries take a byte at least; first is the field
// that every entry has in text. It gives the length.
func length[T any](c *coder, first string, v *[]T) int {
	switch c.mode {
	case modeEncode:
		c.buf = binary.AppendUvarint(c.buf, uint64(len(*v)))
	case modeDecode:
		*v = nil
		n, size := binary.Uvarint(c.buf)
		if size <= 0 || n > uint64(len(c.buf)-size) {
			c.fail(first, "list cut short")
			c.buf = nil
			return 0
		}
		c.buf = c.buf[size:]
		if n > 0 {
			*v = make([]T, n)
		}
	case modePrint:
	case modeParse:
		*v = nil
		for {
			if _, there := c.pairs[nth(first, len(*v))]; !there {
				break
			}
			*v = append(*v, *new(T))
		}
	}
	return len(*v)
}

func nth(field string, i int) string { return field + "." + strconv.Itoa(i) }

// always walks a string that is printed also where it is empty.
func always[T ~string](c *coder, field string, v *T) {
	if c.mode == modePrint {
		c.pair(field, quoteWord(string(*v)))
		return
	}
	str(c, field, v)
}

// texts walks a list of strings.
func texts[T ~string](c *coder, field string, v *[]T) {
	for i := range length(c, field, v) {
		always(c, nth(field, i), &(*v)[i])
	}
}

// codeTests walks the conditions of an edge.
func codeTests(c *coder, v *[]graph.Test) {
	for i := range length(c, "when", v) {
		t := &(*v)[i]
		always(c, nth("when", i), &t.Attribute)
		str(c, nth("op", i), &t.Op)
		str(c, nth("value", i), &t.Value)
	}
}

// codeAttributes walks what an item says of itself.
func codeAttributes(c *coder, v *[]graph.Attribute) {
	for i := range length(c, "attribute", v) {
		a := &(*v)[i]
		always(c, nth("attribute", i), &a.Name)
		str(c, nth("is", i), &a.Value)
	}
}

// tail says whether a field that was added behind the others is walked: where it is not
// there, a record has the bytes that it had before there was such a field.
func (c *coder) tail(there bool) bool {
	switch c.mode {
	case modeEncode:
		return there
	case modeDecode:
		return len(c.buf) > 0
	case modePrint, modeParse:
	}
	return true
}
