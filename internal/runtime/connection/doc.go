// SPDX-License-Identifier: Apache-2.0

// Package connection is where a session meets its transport: caller audio comes in
// through a Ring, agent audio goes out through an Egress, and between every sample of
// ours and the wire stands the fence.
//
// # Egress
//
//	Play --> queue --(every 20 ms)--> generation check --> Sink.WriteFrame
//	           |                            ^
//	           +-- hold: stays, nothing lost |
//	           +-- fence: goes, reported     +-- closed by any goroutine, at any time
//
// # Invariants
//
//  1. The generation check is the last thing before WriteFrame (house, first list,
//     point 10). After Gate.Close has returned, no frame of the generation is handed
//     over, and none is on its way.
//  2. Samples of one generation leave in order, each once, or are reported as flushed.
//  3. A hold loses nothing: playback goes on at the very next sample.
//  4. Pacing is on absolute instants, so lateness does not add up.
//  5. The queue and the ring are bounded; what they lose is counted.
//  6. A frame costs no allocation, on the way in and on the way out.
//  7. What was heard is what was handed over or, where the client acknowledges, what it has
//     played. Its word is cut to what it was sent, goes forward only, and is waited for
//     within bounds: AckTimeout for sound, StopWait after a fence. A fence never waits.
//
// An Egress has one owner goroutine. A Gate and a Ring may be used from any.
package connection
