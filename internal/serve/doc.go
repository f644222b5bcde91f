// SPDX-License-Identifier: Apache-2.0

// Package serve is the process that clients connect to: one port with the transports, the
// page, health and readiness, metrics, and the status of sessions.
//
//	New(Config, Program) -> Listen -> (engines load) -> Start(runtime) -> Drain -> Close
//	                          |           |                |                |
//	             /healthz 200 |           | /readyz 503    | /readyz 200    | /readyz 503 draining
//
// Transports are mounted by path, from a table that the command gives. What a request has
// to show is decided here, once for all of them: its host, its origin, and for what is not
// a transport its token.
//
// # Rules
//
//  1. Nothing listens beyond loopback unless the configuration names an address there, and
//     then never in development mode.
//  2. A browser's request comes from the page of this server or from an origin that is
//     listed. On loopback the host has to be one that is meant: a foreign name that resolves
//     to this machine is somebody else's page.
//  3. In development mode everybody who reaches the loopback address may have a token or do
//     without; the process says so when it starts, and in each token that it hands out.
//  4. Status is bound to the tenant of the token that is shown. The operator's token sees
//     every tenant; without one only loopback does, in development mode.
//  5. Draining refuses new sessions, lets those that run finish for as long as is set, and
//     ends by force after that. A second signal ends at once.
//  6. Nothing logs a token, a header or the words of a call.
package serve
