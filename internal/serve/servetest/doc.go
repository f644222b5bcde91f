// SPDX-License-Identifier: Apache-2.0

// Package servetest is a transport for tests of what is around transports: a WebSocket that
// takes commands as text and tells everything that it is told. It has no place outside
// tests: it checks nothing that its host does not check.
//
//	client: TEXT            an utterance that was typed
//	        !hangup         the client's wish to end
//	        binary          caller audio, 16 bit at 16000 Hz, in pieces of 20 ms
//	server: signal NAME     as the session tells it
//	        agent TEXT      what is said
//	        close REASON    the end
//	        binary          agent audio
package servetest
