// SPDX-License-Identifier: Apache-2.0

// Package pagetest drives a real Chromium over its DevTools protocol, for tests of the page:
// with a WAV for its microphone, keys that are pressed, and pictures of what is seen.
//
//	test --Call--> websocket --> Chromium --> page
//	     <--answer, or what the page's console said--
//
// # Rules
//
//  1. Without Chromium a test is skipped, and says how to get it.
//  2. A browser has a profile of its own and lies in the test's folder; it ends with the test.
//  3. Every call is bounded by Patience. What the page throws, or logs as an error, fails the
//     test at its end unless the test has taken it.
package pagetest
