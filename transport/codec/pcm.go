// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding/binary"
	"fmt"
)

// DecodePCM appends the samples of little-endian PCM of 16 bit to dst. A last byte that is
// half a sample is an error, and nothing is appended.
func DecodePCM(dst []int16, data []byte) ([]int16, error) {
	if len(data)%2 != 0 {
		return dst, fmt.Errorf("codec: pcm_s16le: %d bytes: send whole samples of two bytes", len(data))
	}
	for ; len(data) > 0; data = data[2:] {
		dst = append(dst, int16(binary.LittleEndian.Uint16(data)))
	}
	return dst, nil
}

// EncodePCM appends samples as little-endian PCM of 16 bit to dst.
func EncodePCM(dst []byte, pcm []int16) []byte {
	for _, v := range pcm {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(v))
	}
	return dst
}
