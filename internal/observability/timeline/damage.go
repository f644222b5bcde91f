// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	// A valid record behind one damaged record begins within one frame and
	// ends within two; the same again is looked at in case two are damaged.
	resyncWindow = 4 * (frameSize + MaxPayload)
	// Bytes that the search may checksum, so that bytes made for it cannot
	// make it slow.
	resyncBudget = 32 << 20
)

// damaged reports a fault at the offset. In the last segment, and with
// nothing valid behind it, it is a cut; else bytes were changed.
func (r *Reader) damaged(kind Kind, why, expected, found string) error {
	if !r.last() {
		return r.corrupt(kind, why, expected, found)
	}
	follows, err := r.validFollows()
	if err != nil {
		return err
	}
	if follows {
		return r.corrupt(kind, why+", and intact records follow, so this is no cut", expected, found)
	}
	f := r.finding(kind, why, expected, found)
	r.acct.Truncated = &f
	return r.acct.Err()
}

// corrupt reports a fault at the offset that is no cut.
func (r *Reader) corrupt(kind Kind, why, expected, found string) error {
	f := r.finding(kind, why, expected, found)
	r.acct.Corrupt = &f
	return r.acct.Err()
}

func (r *Reader) finding(kind Kind, why, expected, found string) Finding {
	seg := r.segment()
	id := seg.id
	if id == 0 {
		id = r.head.segment
	}
	if id == 0 {
		id = uint32(r.at + 1)
	}
	r.acct.BadBytes = r.behind(r.offset)
	r.acct.Whole = false
	return Finding{Kind: kind, Segment: id, File: seg.name, Offset: r.offset, Why: why, Expected: expected, Found: found}
}

// behind counts the bytes from an offset of the current segment on.
func (r *Reader) behind(offset int64) int64 {
	n := -offset
	for _, s := range r.src.segments[r.at:] {
		n += s.size
	}
	return n
}

// validFollows looks behind the damage for a record with a right checksum and
// a sequence that may come there.
func (r *Reader) validFollows() (bool, error) {
	from := r.offset + 1
	size := min(r.segment().size-from, resyncWindow)
	if size < frameSize {
		return false, nil
	}
	b := make([]byte, size)
	n, err := r.handle.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("timeline: read %s, %s: %w: check the disk", r.src.path, r.segment().name, err)
	}
	return resync(b[:n], r.acct.LastSequence, r.table), nil
}

// resync reports whether b holds a whole valid frame with a sequence soon
// after last.
func resync(b []byte, last uint64, table *crc32.Table) bool {
	budget := resyncBudget
	most := last + 2 + uint64(len(b)/frameSize)
	for at := 0; at+frameSize <= len(b); at++ {
		n := int64(binary.LittleEndian.Uint32(b[at:]))
		if n < bodyHead || n > int64(len(b)-at-frameHead) {
			continue
		}
		seq := binary.LittleEndian.Uint64(b[at+frameHead+2:])
		if seq <= last || seq > most {
			continue
		}
		if budget -= int(n); budget < 0 {
			return false
		}
		body := b[at+frameHead : at+frameHead+int(n)]
		if crc32.Update(0, table, body) == binary.LittleEndian.Uint32(b[at+4:]) {
			return true
		}
	}
	return false
}
