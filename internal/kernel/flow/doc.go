// SPDX-License-Identifier: Apache-2.0

// Package flow says how events move, what waits and what is lost: edges between nodes
// with four bounds and a strategy for each, watermarks, flow control, synchronised
// streams, and the three lanes.
//
//	producer --Offer--> Edge --Take--> consumer          what neither asked for
//	              |       |                              (drops, merges, crossings,
//	   waits, at most     | watermarks, XOFF and XON,    flow signals) goes to a Log
//	   the block time     | credits, sync groups         in order
//
// A Board is all edges of a session; consumers with several edges are fan-ins. Edges
// hold descriptors, and sound that lies elsewhere (in a ring, with egress) has its books
// kept by the same edges: its consumer is known by its position (Consume).
//
// # What the bounds measure
//
//   - items and bytes: what lies in the data lane;
//   - max_queue_ms: the time that lies in it, which is the longer of its sound and the age
//     of its oldest item;
//   - max_latency_contribution_ms: how long an item has lain there by the time it is
//     delivered. The wait of its producer before that has a bound of its own, the block time.
//
// Ages are on the edge's own clock, which stands while the consumer takes nothing by
// plan (Pause): a listener who still has sound ahead is not kept waiting by what lies
// behind it.
//
// # Invariants
//
//  1. Control is served before data, data before telemetry; within a lane in order of
//     arrival, modified by fairness keys only. Priority changes what runs first, never the
//     recorded order of arrival.
//  2. No bound is ever exceeded by what an Offer lets in; what is not to come in (Refuse)
//     does not, but for what may not be shed.
//  3. offered = delivered + dropped + merged away + coalesced + what lies there or waits;
//     each handle is released, joined or delivered exactly once.
//  4. Protected items (final text, semantic output, markers) are delivered, or section 8
//     was asked; they are never shed or merged away, and hold their group of atomic_drop.
//  5. A run of drops in a lane is announced once, ahead of the next delivery on its edge.
//  6. No producer waits longer than the block time, but for the decision of section 8;
//     shedding starts in the same call.
//  7. Crossings alternate; a lane's XOFF and XON alternate; control is never stopped.
//  8. Under atomic_drop a group is delivered whole up to its first loss, and nothing of it
//     after, as long as it is among the last 32 that were lost. A group lies in one scope.
//  9. A producer's credits and what it has on the edge are together at most the window, but
//     for what may not be shed. A credit is spent by sending, whatever becomes of the item.
package flow
