// SPDX-License-Identifier: Apache-2.0

package abi

import "unsafe"

// WebAssembly is little-endian, as the samples are, and takes any address.

func putSamples(b []byte, pcm []int16) {
	copy(b, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(pcm))), 2*len(pcm)))
}

func takeSamples(pcm []int16, b []byte) []int16 {
	return append(pcm, unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/2)...)
}
