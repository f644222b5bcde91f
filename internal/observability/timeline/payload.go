// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// Meta says what was recorded and how to read it. It is the first record.
type Meta struct {
	SessionID string `json:"session_id"`
	// Build names the program that wrote the recording.
	Build string `json:"build,omitempty"`
	// Codec names the encoding of the opaque payloads, so that a replayer can
	// refuse one that it does not know.
	Codec string `json:"codec,omitempty"`
	// ProfileVersion is the execution profile, e.g. "simple/v1".
	ProfileVersion string `json:"execution_profile_version,omitempty"`
	// RecordingLevel is L0, L1 or L2 (evidence-replay section 2).
	RecordingLevel string `json:"recording_level,omitempty"`
	// BehaviorFlags name the kernel behaviours that were in force.
	BehaviorFlags []string `json:"behavior_flags,omitempty"`
	// SampleRateHz is the session's sample rate.
	SampleRateHz int `json:"sample_rate_hz,omitempty"`
	// WallAnchor is the wall time of the recording's monotonic zero.
	WallAnchor time.Time `json:"wall_anchor,omitzero"`
	// Attributes hold what else a reader needs to know.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// End makes a recording whole. The caller of Close fills Digest and Reason,
// the writer the rest.
type End struct {
	// Digest is the final digest of the session's decisions.
	Digest [32]byte
	// Reason says why the session ended, at most MaxReason bytes.
	Reason string

	// Seal is the chain's value over this segment up to the End record.
	Seal [32]byte
	// Sequence is the End record's own, hence the number of records.
	Sequence uint64
	Segments uint32
	// DroppedDetail and DroppedDetailBytes count records and payload bytes
	// that were dropped under pressure.
	DroppedDetail      uint64
	DroppedDetailBytes uint64
	// RefusedBaseline counts baseline records that could not be kept; if it is
	// not zero, the recording is not whole.
	RefusedBaseline uint64
}

// MaxReason is the longest End.Reason, in bytes.
const MaxReason = 1024

const (
	endFixed  = 32 + 32 + 8 + 4 + 8 + 8 + 8 + 2
	gapSize   = 24
	audioHead = 16
)

func (e *End) appendTo(dst []byte) []byte {
	dst = append(dst, e.Digest[:]...)
	dst = append(dst, e.Seal[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, e.Sequence)
	dst = binary.LittleEndian.AppendUint32(dst, e.Segments)
	dst = binary.LittleEndian.AppendUint64(dst, e.DroppedDetail)
	dst = binary.LittleEndian.AppendUint64(dst, e.DroppedDetailBytes)
	dst = binary.LittleEndian.AppendUint64(dst, e.RefusedBaseline)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(e.Reason)))
	return append(dst, e.Reason...)
}

// DecodeEnd reads the payload of a TypeEnd record. A newer minor may have put
// more behind the reason; it is ignored.
func DecodeEnd(p []byte) (End, error) {
	if len(p) < endFixed {
		return End{}, fmt.Errorf("%w: end has %d bytes, expected at least %d", ErrPayload, len(p), endFixed)
	}
	var e End
	copy(e.Digest[:], p)
	copy(e.Seal[:], p[32:])
	e.Sequence = binary.LittleEndian.Uint64(p[64:])
	e.Segments = binary.LittleEndian.Uint32(p[72:])
	e.DroppedDetail = binary.LittleEndian.Uint64(p[76:])
	e.DroppedDetailBytes = binary.LittleEndian.Uint64(p[84:])
	e.RefusedBaseline = binary.LittleEndian.Uint64(p[92:])
	n := int(binary.LittleEndian.Uint16(p[100:]))
	if len(p)-endFixed < n {
		return End{}, fmt.Errorf("%w: end's reason has %d bytes, expected %d", ErrPayload, len(p)-endFixed, n)
	}
	e.Reason = string(p[endFixed : endFixed+n])
	return e, nil
}

// Gap counts what could not be kept at its place in the recording.
type Gap struct {
	Detail, DetailBytes, Baseline uint64
}

func (g Gap) appendTo(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, g.Detail)
	dst = binary.LittleEndian.AppendUint64(dst, g.DetailBytes)
	return binary.LittleEndian.AppendUint64(dst, g.Baseline)
}

// DecodeGap reads the payload of a TypeGap record.
func DecodeGap(p []byte) (Gap, error) {
	if len(p) < gapSize {
		return Gap{}, fmt.Errorf("%w: gap has %d bytes, expected %d", ErrPayload, len(p), gapSize)
	}
	return Gap{
		Detail:      binary.LittleEndian.Uint64(p),
		DetailBytes: binary.LittleEndian.Uint64(p[8:]),
		Baseline:    binary.LittleEndian.Uint64(p[16:]),
	}, nil
}

// DecodeExport reads the payload of a TypeExport record: all records up to
// the sequence were on the disk when it was written.
func DecodeExport(p []byte) (sequence uint64, err error) {
	if len(p) < 8 {
		return 0, fmt.Errorf("%w: export has %d bytes, expected 8", ErrPayload, len(p))
	}
	return binary.LittleEndian.Uint64(p), nil
}

// Direction says whose audio it is.
type Direction uint8

// Directions of audio.
const (
	FromCaller Direction = 0
	FromAgent  Direction = 1
)

// EncodingS16 is signed 16-bit little-endian mono PCM, the only encoding of
// format 1.0.
const EncodingS16 = 1

// Audio is the payload of a TypeAudio record.
type Audio struct {
	Direction    Direction
	Encoding     uint8
	SampleRateHz uint32
	// SampleIndex is the index of the first sample on the direction's own
	// media clock.
	SampleIndex uint64
	PCM         []byte
}

// AppendAudio appends the payload to dst, so that a caller can reuse its
// scratch buffer for each frame.
func AppendAudio(dst []byte, a Audio) []byte {
	dst = append(dst, byte(a.Direction), a.Encoding, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, a.SampleRateHz)
	dst = binary.LittleEndian.AppendUint64(dst, a.SampleIndex)
	return append(dst, a.PCM...)
}

// AppendSamples appends 16-bit samples as the PCM of an Audio payload, four at a time:
// a session that records all audio does this for every frame.
func AppendSamples(dst []byte, pcm []int16) []byte {
	for ; len(pcm) >= 4; pcm = pcm[4:] {
		dst = binary.LittleEndian.AppendUint64(dst,
			uint64(uint16(pcm[0]))|uint64(uint16(pcm[1]))<<16|uint64(uint16(pcm[2]))<<32|uint64(uint16(pcm[3]))<<48)
	}
	for _, v := range pcm {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(v))
	}
	return dst
}

// DecodeAudio reads the payload of a TypeAudio record. PCM points into p.
func DecodeAudio(p []byte) (Audio, error) {
	if len(p) < audioHead {
		return Audio{}, fmt.Errorf("%w: audio has %d bytes, expected at least %d", ErrPayload, len(p), audioHead)
	}
	a := Audio{
		Direction:    Direction(p[0]),
		Encoding:     p[1],
		SampleRateHz: binary.LittleEndian.Uint32(p[4:]),
		SampleIndex:  binary.LittleEndian.Uint64(p[8:]),
		PCM:          p[audioHead:],
	}
	if a.Direction > FromAgent {
		return Audio{}, fmt.Errorf("%w: audio direction is %d, expected 0 (caller) or 1 (agent)", ErrPayload, a.Direction)
	}
	if a.Encoding != EncodingS16 {
		return Audio{}, fmt.Errorf("%w: audio encoding is %d, expected %d (16-bit PCM)", ErrPayload, a.Encoding, EncodingS16)
	}
	if len(a.PCM)%2 != 0 {
		return Audio{}, fmt.Errorf("%w: audio has %d bytes of 16-bit PCM, expected an even number", ErrPayload, len(a.PCM))
	}
	return a, nil
}

func (m Meta) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%w: meta: %w", ErrOptions, err)
	}
	if len(b) > MaxPayload {
		return nil, fmt.Errorf("%w: meta has %d bytes, at most %d fit", ErrOptions, len(b), MaxPayload)
	}
	return b, nil
}

// DecodeMeta reads the payload of a TypeMeta record.
func DecodeMeta(p []byte) (Meta, error) {
	var m Meta
	if err := json.Unmarshal(p, &m); err != nil {
		return Meta{}, fmt.Errorf("%w: meta: %w", ErrPayload, err)
	}
	return m, nil
}
