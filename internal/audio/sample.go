// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"encoding/binary"
	"math"
)

// Samples travel as integers of a 24-bit scale between the file and the
// result: 16-bit values keep 8 bits below them for averaging and filtering,
// and 64-bit sums of their products with filter coefficients cannot overflow.
const fullScale = 1 << 23

// sample decodes one sample at b to the 24-bit scale. The second result is
// false for a float that is not a number or infinite. Floats beyond full
// scale saturate at 32 bits of headroom and are clipped, and counted, later.
func (c codec) sample(b []byte) (int32, bool) {
	switch c {
	case codecU8:
		return (int32(b[0]) - 128) << 16, true
	case codecS16:
		return int32(int16(binary.LittleEndian.Uint16(b))) << 8, true
	case codecS24:
		return int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24) >> 8, true
	case codecS32:
		return int32(binary.LittleEndian.Uint32(b)) >> 8, true
	case codecF32:
		return fromFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
	case codecF64:
		return fromFloat(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case codecALaw:
		return int32(aLaw(b[0])) << 8, true
	case codecMuLaw:
		return int32(muLaw(b[0])) << 8, true
	}
	return 0, false
}

// fromFloat scales by a power of two, which is exact, and rounds once. Values
// up to 4 times full scale are kept so that a resampled or averaged overshoot
// is judged at the end; the clamp leaves the filter's sums room.
func fromFloat(v float64) (int32, bool) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false
	}
	v = math.RoundToEven(v * fullScale)
	return int32(max(-4*fullScale, min(v, 4*fullScale))), true
}

// muLaw expands one byte (ITU-T G.711, mu-law) to 16 bits.
func muLaw(b byte) int16 {
	b = ^b
	v := (int16(b&0x0F)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		return -v
	}
	return v
}

// aLaw expands one byte (ITU-T G.711, A-law) to 16 bits.
func aLaw(b byte) int16 {
	b ^= 0x55
	v := int16(b&0x0F)<<4 + 8
	if exp := b >> 4 & 7; exp > 0 {
		v = (v + 0x100) << (exp - 1)
	}
	if b&0x80 == 0 {
		return -v
	}
	return v
}

// downmix averages the channels of one frame, rounding half up.
func downmix(sum int64, channels int) int32 {
	n := int64(channels)
	if n == 1 {
		return int32(sum)
	}
	v := sum + n/2
	q := v / n
	if v%n < 0 {
		q--
	}
	return int32(q)
}
