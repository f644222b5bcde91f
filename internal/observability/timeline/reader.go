// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// Reader yields the good records of a recording in order.
type Reader struct {
	src   recordingSource
	table *crc32.Table

	at     int // index of the segment that is open or comes next
	handle readHandle
	in     *bufio.Reader
	head   header
	offset int64
	seal   hash.Hash
	chain  [32]byte
	ended  bool // the End record was read
	frame  [frameHead]byte
	body   []byte

	meta   Meta
	first  Record // read ahead by Open
	primed bool
	acct   Account
	err    error
}

const readBuffer = 64 << 10

// Open opens a recording: its folder, or one segment of it. It fails with
// ErrNotRecording, with ErrNewer when this build cannot read the format, or
// with the system's error. Damage is no reason to fail: Next yields what is
// good and the Account says the rest.
func Open(path string) (*Reader, error) {
	src, err := findSegments(path)
	if err != nil {
		return nil, err
	}
	return openSource(src)
}

func openSource(src recordingSource) (*Reader, error) {
	r := &Reader{src: src, table: castagnoli()}
	r.acct.Path = src.path
	r.acct.SegmentsFound = len(src.segments)
	rec, err := r.read()
	switch {
	case err == nil:
		r.first, r.primed = rec, true
	case r.acct.Err() == nil && !errors.Is(err, io.EOF):
		return nil, errors.Join(err, r.Close())
	default:
		r.err = err
	}
	return r, nil
}

// Verify reads a whole recording and accounts for it. The error is one of
// Open's or of the system; a damaged recording is no error but an Account.
func Verify(path string) (Account, error) {
	r, err := Open(path)
	if err != nil {
		return Account{Path: path}, err
	}
	return r.drain()
}

// drain reads to the end and closes.
func (r *Reader) drain() (Account, error) {
	for {
		if _, err := r.Next(); err != nil {
			cerr := r.Close()
			if errors.Is(err, io.EOF) || r.acct.Err() != nil {
				err = nil
			}
			return r.acct, errors.Join(err, cerr)
		}
	}
}

// Meta is the recording's first record; zero when it was lost, or when a
// later segment was opened by itself.
func (r *Reader) Meta() Meta { return r.meta }

// Account says what was found so far; it is final once Next has failed.
func (r *Reader) Account() Account { return r.acct }

// Next is the next good record; its payload is valid until the next call. At
// the end of a whole recording the error is io.EOF. After the last good
// record of another it wraps ErrTruncated or ErrCorrupt and says why. The
// error stays.
func (r *Reader) Next() (Record, error) {
	if r.primed {
		r.primed = false
		return r.first, nil
	}
	if r.err != nil {
		return Record{}, r.err
	}
	rec, err := r.read()
	if err != nil {
		r.err = err
		if cerr := r.Close(); cerr != nil {
			return Record{}, errors.Join(err, cerr)
		}
		return Record{}, err
	}
	return rec, nil
}

// Close lets the files go; Next then fails, unless it has already.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = fmt.Errorf("timeline: %s: reader is closed", r.src.path)
	}
	r.primed = false
	if r.handle == nil {
		return nil
	}
	h := r.handle
	r.handle = nil
	return h.Close()
}

// read moves on to the next record that this build knows.
func (r *Reader) read() (Record, error) {
	for {
		if r.handle == nil {
			if r.at == len(r.src.segments) {
				return Record{}, r.finish()
			}
			if err := r.openSegment(); err != nil {
				return Record{}, err
			}
		}
		size := r.segment().size
		if r.offset == size && !(r.ended && r.at+1 < len(r.src.segments)) {
			if err := r.closeSegment(); err != nil {
				return Record{}, err
			}
			continue
		}
		if r.ended {
			return Record{}, r.corrupt(KindAfterEnd, "something follows the end record", "", "")
		}
		rec, err := r.readRecord(size - r.offset)
		if err != nil {
			return Record{}, err
		}
		if r.skip(rec) {
			continue
		}
		return rec, nil
	}
}

// finish is reached when no segment is left and none had a fault.
func (r *Reader) finish() error {
	last := r.src.segments[len(r.src.segments)-1]
	f := Finding{Segment: r.head.segment, File: last.name, Offset: last.size}
	switch {
	case r.ended && r.src.more:
		f.Kind, f.Why = KindAfterEnd, "another segment lies behind the end record"
		r.acct.Corrupt = &f
		return r.acct.Err()
	case !r.ended && r.src.more:
		f.Kind, f.Why = KindPart, "this is one segment of several, open their folder to read all"
	case !r.ended:
		f.Kind, f.Why = KindEndMissing, "the recording stops between two records without an end record: the recorder was killed, still runs, or the rest was lost"
	case r.src.single && r.head.segment != 1:
		f.Kind, f.Why = KindPart, "this is the last of several segments, open their folder to read all"
	case r.acct.Lost.Baseline > 0:
		f.Kind, f.Why = KindHoles, "the recorder could not keep all records that replay needs, see the gap records"
	default:
		r.acct.Whole = true
		return io.EOF
	}
	r.acct.Truncated = &f
	return r.acct.Err()
}

func (r *Reader) segment() segmentSource { return r.src.segments[r.at] }

// last reports whether the open segment may be cut.
func (r *Reader) last() bool { return r.at == len(r.src.segments)-1 && !r.src.more }

func (r *Reader) closeSegment() error {
	h := r.handle
	r.handle = nil
	r.at++
	r.seal.Sum(r.chain[:0])
	if err := h.Close(); err != nil {
		return fmt.Errorf("timeline: close %s: %w", r.src.path, err)
	}
	return nil
}

// readRecord reads the frame at the offset; left is what the segment still has.
func (r *Reader) readRecord(left int64) (Record, error) {
	if left < frameHead {
		return Record{}, r.damaged(KindRecordCut, "the file ends within a record",
			fmt.Sprintf("%d bytes of a record's frame", frameHead), fmt.Sprint(left))
	}
	if err := r.fill(r.frame[:]); err != nil {
		return Record{}, err
	}
	n := binary.LittleEndian.Uint32(r.frame[:])
	if n < bodyHead || n > bodyHead+MaxPayload {
		return Record{}, r.damaged(KindRecordLength, "the record's length is impossible",
			fmt.Sprintf("%d to %d", bodyHead, bodyHead+MaxPayload), fmt.Sprint(n))
	}
	if int64(n) > left-frameHead {
		return Record{}, r.damaged(KindRecordCut, "the file ends within a record",
			fmt.Sprintf("%d bytes", n), fmt.Sprint(left-frameHead))
	}
	if cap(r.body) < int(n) {
		r.body = make([]byte, max(int(n), 2*cap(r.body)))
	}
	body := r.body[:n]
	if err := r.fill(body); err != nil {
		return Record{}, err
	}
	want := binary.LittleEndian.Uint32(r.frame[4:])
	if got := crc32.Update(0, r.table, body); got != want {
		return Record{}, r.damaged(KindRecordChecksum, "the record's checksum is wrong",
			fmt.Sprintf("%08x", want), fmt.Sprintf("%08x", got))
	}
	rec := Record{
		Type: Type(body[0]), Flags: body[1],
		Sequence: binary.LittleEndian.Uint64(body[2:]),
		Payload:  body[bodyHead:],
		Segment:  r.head.segment, Offset: r.offset,
	}
	if err := r.check(rec); err != nil {
		return Record{}, err
	}
	r.accept(rec, int64(frameHead)+int64(n))
	return rec, nil
}

// check applies what must hold beyond the checksum.
func (r *Reader) check(rec Record) error {
	if rec.Sequence != r.acct.LastSequence+1 {
		return r.damaged(KindRecordSequence, "the record is out of order",
			fmt.Sprintf("sequence %d", r.acct.LastSequence+1), fmt.Sprint(rec.Sequence))
	}
	if r.head.minor <= FormatMinor && (!rec.Type.known() || rec.Flags != 0) {
		return r.damaged(KindRecordType, fmt.Sprintf("format %d.%d has no such record", r.head.major, r.head.minor),
			"types 1 to 10 without flags", fmt.Sprintf("type %d with flags %#02x", rec.Type, rec.Flags))
	}
	if (rec.Sequence == 1) != (rec.Type == TypeMeta) {
		return r.damaged(KindMetaDamaged, "a recording begins with its only meta record", "meta as sequence 1",
			fmt.Sprintf("%s as sequence %d", rec.Type, rec.Sequence))
	}
	if rec.Flags&flagCritical != 0 {
		return nil // its payload may mean something else
	}
	switch rec.Type {
	case TypeMeta:
		meta, err := DecodeMeta(rec.Payload)
		if err != nil {
			return r.damaged(KindMetaDamaged, err.Error(), "", "")
		}
		r.meta = meta
	case TypeEnd:
		return r.checkEnd(rec)
	case TypeGap:
		gap, err := DecodeGap(rec.Payload)
		if err != nil {
			return r.damaged(KindRecordType, err.Error(), "", "")
		}
		r.acct.Lost.Detail += gap.Detail
		r.acct.Lost.DetailBytes += gap.DetailBytes
		r.acct.Lost.Baseline += gap.Baseline
	case TypeInput, TypeDecision, TypePass, TypeCheckpoint, TypeText, TypeAudio, TypeExport:
	}
	return nil
}

// checkEnd compares the End record with all that was read before it.
func (r *Reader) checkEnd(rec Record) error {
	end, err := DecodeEnd(rec.Payload)
	if err != nil {
		return r.damaged(KindEndMismatch, err.Error(), "", "")
	}
	var seal [32]byte
	r.seal.Sum(seal[:0])
	switch {
	case end.Seal != seal:
		return r.damaged(KindEndMismatch, "the end record seals other records",
			fmt.Sprintf("%x", seal[:4]), fmt.Sprintf("%x", end.Seal[:4]))
	case end.Sequence != rec.Sequence:
		return r.damaged(KindEndMismatch, "the end record counts other records",
			fmt.Sprint(rec.Sequence), fmt.Sprint(end.Sequence))
	case end.Segments != r.head.segment:
		return r.damaged(KindEndMismatch, "the end record counts other segments",
			fmt.Sprint(r.head.segment), fmt.Sprint(end.Segments))
	}
	r.acct.End = &end
	r.ended = true
	return nil
}

func (r *Reader) accept(rec Record, size int64) {
	r.seal.Write(r.frame[:])
	r.offset += size
	r.acct.GoodBytes += size
	r.acct.GoodRecords++
	r.acct.LastSequence = rec.Sequence
}

// skip counts a record that only a newer minor format knows.
func (r *Reader) skip(rec Record) bool {
	if rec.Type.known() && rec.Flags&flagCritical == 0 {
		return false
	}
	r.acct.UnknownRecords++
	return true
}

// fill reads b whole. A file that shrank since it was opened is cut there.
func (r *Reader) fill(b []byte) error {
	_, err := io.ReadFull(r.in, b)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return r.damaged(KindRecordCut, "the file became shorter while it was read", "", "")
	default:
		return fmt.Errorf("timeline: read %s, %s: %w: check the disk", r.src.path, r.segment().name, err)
	}
}
