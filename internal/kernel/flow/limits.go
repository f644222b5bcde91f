// SPDX-License-Identifier: Apache-2.0

package flow

// The bounds of simple/v1 (turn-plan section 6), in items. Lanes rounds them up to
// powers of two as its rings need them.
const (
	ControlItems   = 256
	DataItems      = 64
	TelemetryItems = 512
)

const (
	// maxWaiting bounds the producers of one edge that wait for room. A producer that
	// waits offers nothing else, so this is a number of producers.
	maxWaiting = 8
	// protectedShare is how many times as many may wait with something protected, which
	// may not be shed for want of a place to wait in.
	protectedShare = 4
	// maxSources bounds the lineage of a merged item (event-abi section 8): a longer one
	// records the first 63 and the last.
	maxSources = 64
	// maxMergedBytes bounds a merged item: a payload stays below it (event-abi section 1).
	maxMergedBytes = 65536
	// maxGroups is how many dropped groups an edge remembers for their late members. One that
	// comes when as many others have been dropped since is let in.
	maxGroups = 32
)
