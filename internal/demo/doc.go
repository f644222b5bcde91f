// SPDX-License-Identifier: Apache-2.0

// Package demo holds a conversation between recordings of people and an agent, and
// shows what happened: live in the terminal, as sound, as a picture, as figures and as
// a recording that replays.
//
//	Director: what the caller says next, and when  --frames--> session
//	Collector: what the session took and decided   <--notices--
//
// The director is a state machine on the same clock as the session, so a run in
// virtual time says the same things at the same instants every time.
package demo
