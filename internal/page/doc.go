// SPDX-License-Identifier: Apache-2.0

// Package page is what a browser shows at the server's address: talk by microphone or in
// writing, read along, see where each turn's time goes, look at sessions and recordings.
//
//	client events --> conversation.js (what was said, whose floor, each turn's instants) --> view.js --> document
//	client audio  --> the client's player worklet --> loudspeaker
//	                                      `--> ear.js (a worklet: when there is sound, and when it stops)
//
// It is plain ES modules and CSS that run as they are, with no build step; the client library of
// clients/typescript is served beside them, below client/.
//
// # Rules
//
//  1. What counts as heard is what left the player's worklet, less the browser's own latency. The ear
//     listens behind the player, so that neither measures itself.
//  2. Behind a fence that the player has taken the ear counts every sample that is not zero, until
//     another output begins. There is none.
//  3. The page holds no secret longer than it is open, and puts none into an address.
//  4. Words are text and never markup; the Policy forbids scripts and styles that are not files of
//     this server.
//  5. Everything can be done by keyboard, and is said to screen readers once.
package page
