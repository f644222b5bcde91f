// SPDX-License-Identifier: Apache-2.0

package timeline

import "strconv"

// Type says what a record's payload is. The set is open: a newer minor format
// may add types, which an older reader skips and counts.
type Type uint8

// Record types of format 1.0. Export, End and Gap are written by the Writer
// itself, Meta by Create.
const (
	TypeMeta       Type = 1
	TypeInput      Type = 2
	TypeDecision   Type = 3
	TypePass       Type = 4
	TypeCheckpoint Type = 5
	TypeText       Type = 6
	TypeAudio      Type = 7
	TypeExport     Type = 8
	TypeEnd        Type = 9
	TypeGap        Type = 10
)

// String is the type's name as tools print it.
func (t Type) String() string {
	switch t {
	case TypeMeta:
		return "meta"
	case TypeInput:
		return "input"
	case TypeDecision:
		return "decision"
	case TypePass:
		return "pass"
	case TypeCheckpoint:
		return "checkpoint"
	case TypeText:
		return "text"
	case TypeAudio:
		return "audio"
	case TypeExport:
		return "export"
	case TypeEnd:
		return "end"
	case TypeGap:
		return "gap"
	default:
		return "type-" + strconv.Itoa(int(t))
	}
}

// known reports whether format 1.0 defines the type.
func (t Type) known() bool { return t >= TypeMeta && t <= TypeGap }

// appendable reports whether a caller of Append may use the type.
func (t Type) appendable() bool { return t >= TypeInput && t <= TypeAudio }

// Detail reports whether the record may be dropped under pressure. Content is
// detail; whatever replay needs to decide the same again is baseline:
// "detail goes first, baseline never" (evidence-replay section 3).
func (t Type) Detail() bool { return t == TypeText || t == TypeAudio }

// Record is one entry of a recording.
type Record struct {
	Type     Type
	Flags    uint8
	Sequence uint64
	// Payload is valid until the next call of Reader.Next.
	Payload []byte
	// Segment and Offset (bytes from the start of the segment) say where the
	// record lies.
	Segment uint32
	Offset  int64
}
