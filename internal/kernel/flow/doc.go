// SPDX-License-Identifier: Apache-2.0

// Package flow says how events move and what waits: the three lanes, their strict
// priority and their bounds.
//
// Invariants:
//
//  1. Control is served before data, data before telemetry; within a lane in order of
//     arrival. Priority changes what runs first, never the recorded order of arrival.
//  2. No lane grows past its bound; what does not fit is told to the producer at once.
package flow
