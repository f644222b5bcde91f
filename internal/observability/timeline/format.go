// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// Format version that this build writes, and limits of the format.
const (
	FormatMajor = 1
	FormatMinor = 0

	// MaxPayload is the largest payload of one record, in bytes.
	MaxPayload = 1 << 20

	magic        = "PARLEYWAL"
	preambleSize = 16 // the part of the header that never changes
	headerSize   = 88
	maxHeader    = 4096
	frameHead    = 8  // length and CRC
	bodyHead     = 10 // type, flags, sequence
	frameSize    = frameHead + bodyHead
	flagCritical = 0x80 // a reader that does not know the flags skips the record

	segmentSuffix = ".wal"
	maxSegment    = 999_999
)

// castagnoli is a table lookup after the first call; package variables would
// be the only alternative.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// header is the decoded start of a segment.
type header struct {
	major, minor uint16
	size         int // bytes, CRC included
	segment      uint32
	first        uint64 // sequence of the first record
	recording    [16]byte
	chain        [32]byte // seal of the previous segment
}

// encode returns the header's bytes in format 1.0.
func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint16(b[10:], h.major)
	binary.LittleEndian.PutUint16(b[12:], h.minor)
	binary.LittleEndian.PutUint16(b[14:], headerSize)
	binary.LittleEndian.PutUint32(b[16:], h.segment)
	binary.LittleEndian.PutUint64(b[24:], h.first)
	copy(b[32:48], h.recording[:])
	copy(b[48:80], h.chain[:])
	binary.LittleEndian.PutUint32(b[84:], crc32.Checksum(b[:84], castagnoli()))
	return b
}

// headerLength reads the header's length from the preamble.
func headerLength(preamble []byte) int {
	return int(binary.LittleEndian.Uint16(preamble[14:]))
}

// decodeHeader reads a header whose CRC was found right. A newer major may
// have moved everything behind the preamble, so only versions are read then.
func decodeHeader(b []byte) header {
	h := header{
		major: binary.LittleEndian.Uint16(b[10:]),
		minor: binary.LittleEndian.Uint16(b[12:]),
		size:  len(b),
	}
	if h.major != FormatMajor || len(b) < headerSize {
		return h
	}
	h.segment = binary.LittleEndian.Uint32(b[16:])
	h.first = binary.LittleEndian.Uint64(b[24:])
	copy(h.recording[:], b[32:48])
	copy(h.chain[:], b[48:80])
	return h
}

// headerSound reports whether the header's CRC is right.
func headerSound(b []byte) bool {
	n := len(b) - 4
	return crc32.Checksum(b[:n], castagnoli()) == binary.LittleEndian.Uint32(b[n:])
}

// appendFrame appends one record to dst. It allocates only when dst grows.
func appendFrame(dst []byte, table *crc32.Table, t Type, seq uint64, payload []byte) []byte {
	at := len(dst)
	var head [frameSize]byte
	binary.LittleEndian.PutUint32(head[0:], uint32(bodyHead+len(payload)))
	head[8] = byte(t)
	binary.LittleEndian.PutUint64(head[10:], seq)
	dst = append(dst, head[:]...)
	dst = append(dst, payload...)
	crc := crc32.Update(0, table, dst[at+frameHead:])
	binary.LittleEndian.PutUint32(dst[at+4:], crc)
	return dst
}

// frameLength is the whole length of the frame that starts at b[0]; b is this
// package's own output.
func frameLength(b []byte) int {
	return frameHead + int(binary.LittleEndian.Uint32(b))
}

// segmentName is the file name of a segment.
func segmentName(id uint32) string { return fmt.Sprintf("%06d%s", id, segmentSuffix) }

// segmentID is the reverse of segmentName; ok is false for other names.
func segmentID(name string) (id uint32, ok bool) {
	digits, found := strings.CutSuffix(name, segmentSuffix)
	if !found || len(digits) != 6 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 {
		return 0, false
	}
	return uint32(n), true
}
