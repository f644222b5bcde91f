// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package embedded

import "github.com/tetratelabs/wazero/experimental"

// memoryAllocator leaves the engines' memory to wazero, in Go's heap.
func memoryAllocator() experimental.MemoryAllocator { return nil }
