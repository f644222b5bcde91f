// SPDX-License-Identifier: Apache-2.0

//go:build unix

package wasm

import (
	"sync"
	"syscall"

	"github.com/tetratelabs/wazero/experimental"
)

// allocator keeps the guests' memory out of Go's heap, and within the limit: there it would
// be copied each time it grows, and would let as much garbage gather again.
func allocator(limit uint64) experimental.MemoryAllocator {
	return experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		return &mapping{limit: min(limit, most)}
	})
}

// mapping is a range of addresses as large as the memory may become. The system gives pages
// to it as they are touched.
type mapping struct {
	limit  uint64
	all    []byte
	mapped bool
	free   sync.Once
}

// Reallocate returns the first size bytes, nil when there are not so many.
func (m *mapping) Reallocate(size uint64) []byte {
	if size > m.limit {
		return nil
	}
	if m.all == nil {
		all, err := syscall.Mmap(-1, 0, int(m.limit), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if m.mapped = err == nil; !m.mapped {
			all = make([]byte, m.limit) // wazero cannot be told that there is no memory
		}
		m.all = all
	}
	return m.all[:size]
}

// Free gives the pages back.
func (m *mapping) Free() {
	m.free.Do(func() {
		if m.mapped {
			_ = syscall.Munmap(m.all) // fails only on a range that is not mapped
		}
		m.all = nil
	})
}
