// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// openSegment opens the segment at r.at and holds its header against what was
// read before.
func (r *Reader) openSegment() error {
	seg := r.segment()
	r.offset = 0
	if want := uint32(r.at + 1); !r.src.single && seg.id != want {
		return r.missing(want, seg)
	}
	h, err := seg.open()
	if err != nil {
		return fmt.Errorf("timeline: open %s: %w (%s)", r.src.path, err, remedy(err))
	}
	r.handle = h
	r.in = bufio.NewReaderSize(io.NewSectionReader(h, 0, seg.size), int(min(seg.size+1, readBuffer)))
	prev := r.head
	r.head = header{segment: seg.id}
	raw, err := r.readHeader(seg)
	if err != nil {
		return err
	}
	head := decodeHeader(raw)
	if head.major > FormatMajor {
		return r.newer(head)
	}
	if head.major != FormatMajor || head.size < headerSize {
		return r.corrupt(KindHeaderDamaged, "no such format was ever written", fmt.Sprintf("format %d with a header of %d bytes", FormatMajor, headerSize),
			fmt.Sprintf("format %d with %d", head.major, head.size))
	}
	r.head = head
	if err := r.checkHeader(prev, head, seg); err != nil {
		return err
	}
	r.seal = sha256.New()
	r.seal.Write(raw)
	r.offset = int64(head.size)
	r.acct.GoodBytes += r.offset
	r.acct.SegmentsRead++
	return nil
}

// readHeader reads a header whose checksum is right.
func (r *Reader) readHeader(seg segmentSource) ([]byte, error) {
	if seg.size == 0 {
		return nil, r.damaged(KindSegmentEmpty, "the segment is empty", fmt.Sprintf("a header of %d bytes", headerSize), "0")
	}
	raw := make([]byte, min(maxHeader, seg.size))
	pre := raw[:min(preambleSize, len(raw))]
	if err := r.fill(pre); err != nil {
		return nil, err
	}
	known := min(len(magic), len(pre))
	if string(pre[:known]) != magic[:known] {
		return nil, r.damaged(KindHeaderDamaged, "the segment does not begin with the magic word",
			fmt.Sprintf("%q", magic), fmt.Sprintf("%q", pre[:known]))
	}
	if len(pre) < preambleSize {
		return nil, r.damaged(KindHeaderCut, "the file ends within the header", fmt.Sprintf("%d bytes", headerSize), fmt.Sprint(seg.size))
	}
	n := headerLength(pre)
	if n < preambleSize+4 || n > maxHeader {
		return nil, r.damaged(KindHeaderDamaged, "the header's length is impossible", fmt.Sprint(headerSize), fmt.Sprint(n))
	}
	if int64(n) > seg.size {
		return nil, r.damaged(KindHeaderCut, "the file ends within the header", fmt.Sprintf("%d bytes", n), fmt.Sprint(seg.size))
	}
	if err := r.fill(raw[preambleSize:n]); err != nil {
		return nil, err
	}
	if !headerSound(raw[:n]) {
		return nil, r.damaged(KindHeaderDamaged, "the header's checksum is wrong", "", "")
	}
	return raw[:n], nil
}

// newer refuses a format of the future.
func (r *Reader) newer(h header) error {
	return fmt.Errorf("%w: %s, %s has format %d.%d, this build reads up to %d.%d: update parley",
		ErrNewer, r.src.path, r.segment().name, h.major, h.minor, FormatMajor, FormatMinor)
}

// checkHeader finds segments that do not belong here. Each is corruption, in
// the last segment too: a cut cannot do this.
func (r *Reader) checkHeader(prev, head header, seg segmentSource) error {
	if r.src.single || r.at == 0 {
		if !r.src.single && head.segment != 1 {
			return r.swapped(head, seg)
		}
		r.acct.RecordingID = head.recording
		r.acct.Major, r.acct.Minor = head.major, head.minor
		if head.first == 0 || (head.segment == 1 && (head.first != 1 || head.chain != [32]byte{})) {
			return r.corrupt(KindHeaderDamaged, "the header does not fit a first segment", "first sequence 1", fmt.Sprint(head.first))
		}
		r.acct.LastSequence = head.first - 1
		return nil
	}
	switch {
	case head.recording != prev.recording:
		return r.corrupt(KindSegmentForeign, "the segment belongs to another recording",
			"id "+hex.EncodeToString(prev.recording[:4]), hex.EncodeToString(head.recording[:4]))
	case head.segment < seg.id:
		return r.corrupt(KindSegmentRepeat, fmt.Sprintf("the file repeats segment %d", head.segment),
			fmt.Sprintf("segment %d", seg.id), fmt.Sprint(head.segment))
	case head.segment > seg.id:
		return r.swapped(head, seg)
	case head.major != prev.major || head.minor != prev.minor:
		return r.corrupt(KindHeaderVersion, "the segment has another format than the one before it",
			fmt.Sprintf("%d.%d", prev.major, prev.minor), fmt.Sprintf("%d.%d", head.major, head.minor))
	case head.first != r.acct.LastSequence+1:
		return r.corrupt(KindRecordsMissing, fmt.Sprintf("the segment before it lost or changed its end: it stops at sequence %d", r.acct.LastSequence),
			fmt.Sprintf("this one to begin with %d", r.acct.LastSequence+1), fmt.Sprint(head.first))
	case head.chain != r.chain:
		return r.corrupt(KindChainBroken, "the segment was written behind another one than the one before it",
			"seal "+hex.EncodeToString(r.chain[:4]), hex.EncodeToString(head.chain[:4]))
	}
	return nil
}

func (r *Reader) swapped(head header, seg segmentSource) error {
	return r.corrupt(KindSegmentSwapped, fmt.Sprintf("the file holds segment %d: files were renamed or mixed up", head.segment),
		fmt.Sprintf("segment %d", seg.id), fmt.Sprint(head.segment))
}

// missing reports a number that no file has.
func (r *Reader) missing(want uint32, next segmentSource) error {
	r.acct.Corrupt = &Finding{
		Kind: KindSegmentMissing, Segment: want, File: segmentName(want),
		Why: "the segment is missing", Expected: segmentName(want), Found: next.name,
	}
	r.acct.BadBytes = r.behind(0)
	return r.acct.Err()
}
