// SPDX-License-Identifier: Apache-2.0

package codec

import "math/bits"

// Law is one of the two ways in which ITU-T G.711 makes a sample of telephone sound one
// byte. Its sample rate is 8000 Hz.
type Law uint8

// The laws.
const (
	MuLaw Law = iota // PCMU: North America, Japan
	ALaw             // PCMA: elsewhere
)

// G711Rate is the sample rate of telephone sound in Hz.
const G711Rate = 8000

// Decode appends the samples of data to dst.
func (l Law) Decode(dst []int16, data []byte) []int16 {
	if l == ALaw {
		for _, b := range data {
			dst = append(dst, expandA(b))
		}
		return dst
	}
	for _, b := range data {
		dst = append(dst, expandMu(b))
	}
	return dst
}

// Encode appends one byte for each sample to dst.
func (l Law) Encode(dst []byte, pcm []int16) []byte {
	if l == ALaw {
		for _, v := range pcm {
			dst = append(dst, compressA(v))
		}
		return dst
	}
	for _, v := range pcm {
		dst = append(dst, compressMu(v))
	}
	return dst
}

// Both laws have eight segments for each sign, of sixteen steps each; a byte is sign,
// segment and step. The steps of a segment are twice as wide as those of the one before,
// except that A-law's first two are alike. Mu-law is of 14 bit, its boundaries lie 33 below
// the powers of two, and its bytes are inverted; A-law is of 13 bit, and every second bit
// of its bytes is. What lies on a boundary belongs to the outer step (G.711, tables 1a to
// 2b); negative samples are mirrored by inverting them, as in ITU-T G.191.
const (
	muBias = 33
	muMost = 1<<13 - 1
)

func compressMu(v int16) byte {
	sign, m := byte(0x80), int(v)
	if m < 0 {
		sign, m = 0, ^m
	}
	m = min(m>>2+muBias, muMost)
	segment := bits.Len(uint(m)) - 6
	return sign | ^byte(segment<<4|m>>(segment+1)&15)&0x7F
}

func expandMu(b byte) int16 {
	b = ^b
	m := (int16(b&15)<<3+muBias<<2)<<(b>>4&7) - muBias<<2
	if b&0x80 != 0 {
		return -m
	}
	return m
}

func compressA(v int16) byte {
	sign, m := byte(0x80), int(v)
	if m < 0 {
		sign, m = 0, ^m
	}
	m >>= 4
	segment := max(0, bits.Len(uint(m))-4)
	step := m
	if segment > 1 {
		step >>= segment - 1
	}
	return (sign | byte(segment<<4) | byte(step&15)) ^ 0x55
}

func expandA(b byte) int16 {
	b ^= 0x55
	m, segment := int16(b&15)<<4+8, b>>4&7
	if segment > 0 {
		m = (m + 0x100) << (segment - 1)
	}
	if b&0x80 == 0 {
		return -m
	}
	return m
}
