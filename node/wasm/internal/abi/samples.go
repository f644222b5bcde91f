// SPDX-License-Identifier: Apache-2.0

//go:build !wasm

package abi

import "encoding/binary"

// putSamples and takeSamples have a form of their own in a guest, where this loop would take
// most of a frame's time.
func putSamples(b []byte, pcm []int16) {
	for i, s := range pcm {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(s))
	}
}

// takeSamples reads the samples that b is, behind those of pcm.
func takeSamples(pcm []int16, b []byte) []int16 {
	for len(b) >= 2 {
		pcm = append(pcm, int16(binary.LittleEndian.Uint16(b)))
		b = b[2:]
	}
	return pcm
}
