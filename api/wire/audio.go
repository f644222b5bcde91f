// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// HeaderSize is the length of the header of a binary frame, in bytes:
//
//	 0     kind: 1 = audio of the caller, 2 = audio of the agent
//	 1     flags: 0
//	 2-3   samples of the payload that count, the rest is padding; 0 from a client
//	 4-7   sequence: number of the frame in its direction, from 0
//	 8-11  generation: of the turn's output, see AudioBegin; 0 from a client
//	12-19  position: samples before this frame, of the caller's audio or of the turn
//
// All numbers are unsigned and little-endian, samples are at the rate of the format.
const HeaderSize = 20

// The kinds of binary frames.
const (
	KindCaller = 1
	KindAgent  = 2
)

// maxPosition bounds positions, so that nobody's arithmetic runs over: 180 years of 48 kHz.
const maxPosition = 1 << 48

// Audio is a binary frame.
type Audio struct {
	Kind       byte
	Samples    uint16
	Sequence   uint32
	Generation uint32
	Position   int64
	Payload    []byte // of the frame that was parsed, not copied
}

// AppendAudio writes a frame behind b.
func AppendAudio(b []byte, a *Audio) []byte {
	b = append(b, a.Kind, 0)
	b = binary.LittleEndian.AppendUint16(b, a.Samples)
	b = binary.LittleEndian.AppendUint32(b, a.Sequence)
	b = binary.LittleEndian.AppendUint32(b, a.Generation)
	b = binary.LittleEndian.AppendUint64(b, uint64(a.Position))
	return append(b, a.Payload...)
}

// ParseAudio reads a frame of the kind that the other side sends.
func ParseAudio(b []byte, kind byte) (Audio, *Fault) {
	if len(b) <= HeaderSize {
		return Audio{}, fault(FaultMalformed, "", "a binary frame of %d bytes: send a header of %d and audio", len(b), HeaderSize)
	}
	if b[0] != kind {
		return Audio{}, fault(FaultField, "kind", "%d: send %d", b[0], kind)
	}
	if b[1] != 0 {
		return Audio{}, fault(FaultField, "flags", "%d: send 0", b[1])
	}
	position := binary.LittleEndian.Uint64(b[12:])
	if position > maxPosition {
		return Audio{}, fault(FaultField, "position", "%d: send at most %d", position, int64(maxPosition))
	}
	return Audio{
		Kind: b[0], Samples: binary.LittleEndian.Uint16(b[2:]), Sequence: binary.LittleEndian.Uint32(b[4:]),
		Generation: binary.LittleEndian.Uint32(b[8:]), Position: int64(position), Payload: b[HeaderSize:],
	}, nil
}
