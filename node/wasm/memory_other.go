// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package wasm

import "github.com/tetratelabs/wazero/experimental"

// allocator keeps the guests' memory within the limit.
func allocator(limit uint64) experimental.MemoryAllocator {
	return experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		return &heap{limit: min(limit, most)}
	})
}

// heap is memory that is copied when it grows.
type heap struct {
	limit uint64
	all   []byte
}

// Reallocate returns size bytes that begin with what there was, nil when there are not so
// many.
func (h *heap) Reallocate(size uint64) []byte {
	if size > h.limit {
		return nil
	}
	if size > uint64(cap(h.all)) {
		grown := make([]byte, size, min(h.limit, 2*size))
		copy(grown, h.all)
		h.all = grown
	}
	h.all = h.all[:size]
	return h.all
}

// Free leaves the memory to the collector.
func (h *heap) Free() { h.all = nil }
