// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The tests build their files here, from the format's definition and without
// the decoder's tables, so that one cannot hide the other's mistakes.

// wavSpec describes a file to build.
type wavSpec struct {
	codec      codec
	rate       int
	channels   int
	extensible bool
}

func (s wavSpec) tagBits() (uint16, int) {
	switch s.codec {
	case codecF32:
		return 3, 32
	case codecF64:
		return 3, 64
	case codecALaw:
		return 6, 8
	case codecMuLaw:
		return 7, 8
	}
	return 1, 8 * s.codec.bytes()
}

// fmtChunk is the body of the fmt chunk.
func (s wavSpec) fmtChunk() []byte {
	le := binary.LittleEndian
	tag, depth := s.tagBits()
	align := s.channels * depth / 8
	first := tag
	if s.extensible {
		first = 0xFFFE
	}
	b := le.AppendUint16(nil, first)
	b = le.AppendUint16(b, uint16(s.channels))
	b = le.AppendUint32(b, uint32(s.rate))
	b = le.AppendUint32(b, uint32(s.rate*align))
	b = le.AppendUint16(b, uint16(align))
	b = le.AppendUint16(b, uint16(depth))
	if s.extensible {
		b = le.AppendUint16(b, 22)
		b = le.AppendUint16(b, uint16(depth))
		b = le.AppendUint32(b, 0)
		b = le.AppendUint16(b, tag)
		b = append(b, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71)
	}
	return b
}

// file builds a whole file of the frames that at gives, by channel and frame,
// in -1..1.
func (s wavSpec) file(frames int, at func(ch, i int) float64) []byte {
	var data []byte
	for i := range frames {
		for ch := range s.channels {
			data = s.codec.append(data, at(ch, i))
		}
	}
	return riff(chunk("fmt ", s.fmtChunk()), chunk("data", data))
}

// sine is a test tone in every channel.
func (s wavSpec) sine(hz, level, seconds float64) []byte {
	return s.file(int(seconds*float64(s.rate)), func(_, i int) float64 {
		return level * math.Sin(2*math.Pi*hz*float64(i)/float64(s.rate))
	})
}

func chunk(id string, body []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(id), uint32(len(body)))
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

func riff(chunks ...[]byte) []byte {
	body := []byte("WAVE")
	for _, c := range chunks {
		body = append(body, c...)
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// append encodes one sample of -1..1.
func (c codec) append(b []byte, v float64) []byte {
	le := binary.LittleEndian
	scale := func(bits int) int64 { return int64(math.Round(v * float64(int64(1)<<(bits-1)-1))) }
	switch c {
	case codecU8:
		return append(b, byte(scale(8)+128))
	case codecS16:
		return le.AppendUint16(b, uint16(scale(16)))
	case codecS24:
		u := uint32(scale(24))
		return append(b, byte(u), byte(u>>8), byte(u>>16))
	case codecS32:
		return le.AppendUint32(b, uint32(scale(32)))
	case codecF32:
		return le.AppendUint32(b, math.Float32bits(float32(v)))
	case codecF64:
		return le.AppendUint64(b, math.Float64bits(v))
	case codecALaw:
		return append(b, encodeALaw(int(scale(16))))
	default:
		return append(b, encodeMuLaw(int(scale(16))))
	}
}

// encodeMuLaw is the compressor of ITU-T G.711, table 2a, on 14-bit magnitude.
func encodeMuLaw(v int) byte {
	sign := byte(0x80)
	if v < 0 {
		sign, v = 0, -v
	}
	v = min(v>>2, 8158) + 33
	exp := bits.Len(uint(v)) - 6
	// all bits inverted on the line; the sign bit is 1 for positive values
	return sign | ^byte(exp<<4|v>>(exp+1)&0x0F)&0x7F
}

// encodeALaw is the compressor of ITU-T G.711, table 1a, on 12-bit magnitude.
func encodeALaw(v int) byte {
	sign := byte(0x80)
	if v < 0 {
		sign, v = 0, -v
	}
	v = min(v>>3, 4095)
	exp := max(0, bits.Len(uint(v))-5)
	mant := v >> max(1, exp) & 0x0F
	return (sign | byte(exp<<4|mant)) ^ 0x55
}

// tone measures what is in pcm at hz: amplitude in sample values, phase in
// radians against a sine that begins at sample 0, and the level of all else
// below it, in dB. The first and last 5 ms are left out: there the filter
// sees the silence outside the file.
func tone(pcm []int16, hz float64) (amplitude, phase, snr float64) {
	skip := Rate / 200
	var s, c, ss, cc, sc float64
	for i := skip; i < len(pcm)-skip; i++ {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / Rate)
		v := float64(pcm[i])
		s, c, ss, cc, sc = s+v*sin, c+v*cos, ss+sin*sin, cc+cos*cos, sc+sin*cos
	}
	det := ss*cc - sc*sc
	a, b := (s*cc-c*sc)/det, (c*ss-s*sc)/det
	var rest, power float64
	for i := skip; i < len(pcm)-skip; i++ {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / Rate)
		want := a*sin + b*cos
		rest += (float64(pcm[i]) - want) * (float64(pcm[i]) - want)
		power += want * want
	}
	return math.Hypot(a, b), math.Atan2(b, a), 10 * math.Log10(power/max(rest, 1e-9))
}
