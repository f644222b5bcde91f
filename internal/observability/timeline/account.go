// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Kind names a finding; tools may rely on its values.
type Kind string

// Kinds of findings.
const (
	KindSegmentEmpty   Kind = "segment_empty"    // a segment of zero bytes
	KindHeaderCut      Kind = "header_cut"       // fewer bytes than a header has
	KindHeaderDamaged  Kind = "header_damaged"   // magic, length or CRC is wrong
	KindHeaderVersion  Kind = "header_version"   // segments of different formats
	KindSegmentMissing Kind = "segment_missing"  // a number is left out
	KindSegmentSwapped Kind = "segment_swapped"  // file name and header disagree
	KindSegmentRepeat  Kind = "segment_repeated" // a segment lies there twice
	KindSegmentForeign Kind = "segment_foreign"  // of another recording
	KindRecordsMissing Kind = "records_missing"  // a segment lost records at its end
	KindChainBroken    Kind = "chain_broken"     // seal of the previous segment differs
	KindRecordCut      Kind = "record_cut"       // the file ends within a record
	KindRecordLength   Kind = "record_length"    // impossible length
	KindRecordChecksum Kind = "record_checksum"  // CRC is wrong
	KindRecordSequence Kind = "record_sequence"  // CRC is right, sequence is not
	KindRecordType     Kind = "record_type"      // type or flags unknown to this very format
	KindMetaDamaged    Kind = "meta_damaged"     // the first record is no readable meta
	KindEndMismatch    Kind = "end_mismatch"     // the End record disagrees with the rest
	KindAfterEnd       Kind = "after_end"        // something follows the End record
	KindEndMissing     Kind = "end_missing"      // clean, but without End record
	KindPart           Kind = "part"             // a segment without those before it
	KindHoles          Kind = "holes"            // baseline records were refused while recording
)

// Finding says what is wrong, and where.
type Finding struct {
	Kind    Kind
	Segment uint32
	// File is the segment's file name, Offset the byte in it from which on
	// nothing is accepted.
	File   string
	Offset int64
	// Why is one clause; Expected and Found may be empty.
	Why, Expected, Found string
}

// String is the finding on one line.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, byte %d: %s", f.File, f.Offset, f.Why)
	if f.Expected != "" {
		fmt.Fprintf(&b, " (expected %s, found %s)", f.Expected, f.Found)
	}
	return b.String()
}

// Account says what of a recording is good. It is final once Reader.Next has
// returned an error.
type Account struct {
	Path         string
	RecordingID  [16]byte
	Major, Minor uint16
	// Whole: the recording ends with an End record that agrees with all before
	// it, nothing is damaged, and no baseline record was refused.
	Whole bool
	// Segments that were found, and how many of them were begun.
	SegmentsFound, SegmentsRead int
	// GoodRecords and GoodBytes (segment headers included) lie before the
	// finding; LastSequence is the last good record's, skipped ones included.
	GoodRecords  uint64
	GoodBytes    int64
	LastSequence uint64
	// UnknownRecords of a newer minor format were skipped.
	UnknownRecords uint64
	// Lost sums the Gap records: what the recorder could not keep.
	Lost Gap
	// End is the End record, nil when there is no good one.
	End *End
	// Truncated: the recording stops early, nothing else is wrong. Corrupt:
	// bytes were changed, lost or mixed up. At most one of them is set.
	Truncated, Corrupt *Finding
	// BadBytes were found from the finding on and not accepted.
	BadBytes int64
}

// Err is nil for a whole recording, else it wraps ErrTruncated or ErrCorrupt.
func (a Account) Err() error {
	switch {
	case a.Corrupt != nil:
		return fmt.Errorf("%w: %s", ErrCorrupt, a.Corrupt)
	case a.Truncated != nil:
		return fmt.Errorf("%w: %s", ErrTruncated, a.Truncated)
	default:
		return nil
	}
}

// String is the account as one paragraph for people.
func (a Account) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Recording %s", a.Path)
	if a.Major != 0 {
		fmt.Fprintf(&b, " (format %d.%d, id %s, %s)", a.Major, a.Minor,
			hex.EncodeToString(a.RecordingID[:4]), count(uint64(a.SegmentsFound), "segment"))
	}
	good := "nothing of it is good"
	if a.GoodRecords > 0 {
		good = fmt.Sprintf("%s (%d bytes) %s good, up to sequence %d",
			count(a.GoodRecords, "record"), a.GoodBytes, verb(a.GoodRecords), a.LastSequence)
	}
	switch {
	case a.Whole:
		fmt.Fprintf(&b, " is whole: %s.", good)
	case a.Corrupt != nil:
		fmt.Fprintf(&b, " is damaged: %s. %s.", good, sentence(a.Corrupt.String()))
		b.WriteString(a.bad())
		b.WriteString(" What lies before the damage can be used; restore the file from a copy to get the rest.")
	case a.Truncated != nil:
		fmt.Fprintf(&b, " is not whole: %s. %s.", good, sentence(a.Truncated.String()))
		b.WriteString(a.bad())
		if a.GoodRecords > 0 {
			b.WriteString(" What lies before can be used.")
		}
	default:
		fmt.Fprintf(&b, " was read so far without a fault: %s.", good)
	}
	a.extras(&b)
	return b.String()
}

func (a Account) bad() string {
	if a.BadBytes == 0 {
		return ""
	}
	return fmt.Sprintf(" %s from there on %s not accepted.", count(uint64(a.BadBytes), "byte"), was(a.BadBytes))
}

func (a Account) extras(b *strings.Builder) {
	if a.End != nil && a.End.Reason != "" {
		fmt.Fprintf(b, " The session ended with %q.", a.End.Reason)
	}
	if a.Lost.Detail > 0 {
		fmt.Fprintf(b, " Under pressure %s of content (%d bytes) could not be kept.", count(a.Lost.Detail, "record"), a.Lost.DetailBytes)
	}
	if a.Lost.Baseline > 0 {
		fmt.Fprintf(b, " %s that replay needs could not be kept.", count(a.Lost.Baseline, "record"))
	}
	if a.UnknownRecords > 0 {
		fmt.Fprintf(b, " %s of a newer format were skipped; update parley to see them.", count(a.UnknownRecords, "record"))
	}
}

func count(n uint64, noun string) string {
	s := strconv.FormatUint(n, 10) + " " + noun
	if n != 1 {
		s += "s"
	}
	return s
}

func verb(n uint64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func was(n int64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func sentence(s string) string { return "In " + s }
