// SPDX-License-Identifier: Apache-2.0

// Package nodehost runs nodes inside the process: each instance's hooks one at a time,
// within their limits, behind a boundary that a panic does not cross
// (nodes-providers-transports section 2).
//
//	new --Init, Start before the first event--> running --Stop--> stopped
//	                 |                             |
//	                 +--- panic, error, time limit ---> failed: reported once, never reused
//
// Invariants:
//
//  1. Hooks of an instance never overlap; Init, Start and Stop run at most once each.
//  2. A failed instance emits nothing and takes nothing. Others are not touched.
//  3. No method waits for a hook but Call, and Call gives up when the instance fails.
//  4. Nothing here knows whether time is real: an Executor runs the work and tells the
//     time. In virtual time hooks take none, so limits do not apply.
//  5. An event that is pulled costs no allocation.
package nodehost
