// SPDX-License-Identifier: Apache-2.0

// Package fleet says who may begin which session where: session tokens and what voids
// them, and the view of the routes (authority-state section 6).
//
//	Keys --Issue--> token --the client--> Authority.Check --> Claims, or a TokenError
//	                                          ^
//	                  Revocations: tokens, sessions, tenants, sessions that ended
//
// # Rules
//
//  1. A token is a compact JWS, EdDSA over Ed25519, and names its key. What else its header
//     says chooses nothing: neither another algorithm nor another key.
//  2. Every way of being invalid has a fault of its own; what the client is told is its
//     name, and never a part of the token.
//  3. Whatever is forgotten for want of room is forgotten to the client's disadvantage: a
//     token that could have been voided counts as voided.
//  4. Of a routing view neither version nor epoch goes back, and one that is too old leads
//     nowhere.
//  5. The instant is an argument; nothing here reads a clock.
package fleet
