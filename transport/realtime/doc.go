// SPDX-License-Identifier: Apache-2.0

// Package realtime lets clients of OpenAI's Realtime API talk to Parley unchanged: the
// server side of that protocol over a WebSocket, at /v1/realtime?model=NAME.
//
//	client events --> decode --> the session's settings --> Offer, Ingress.Configure
//	                         --> the input buffer       --> feed --> Ingress.Audio
//	                         --> items, responses       --> Ingress.Context, Respond, ...
//	server events <-- outbox <-- responses and items    <-- Link: frames, signals, texts
//
// # How the two models meet
//
// A turn of the kernel is a response. turn_open creates it; it is done when the turn is
// closed and its sound was played or fenced. A turn that calls tools is a response more for
// each round: the calls end a response, because that is when a client goes on, and what
// the turn says with their results is the next one. The response.create that clients send
// behind the results is that response, and asks for nothing more.
//
// An utterance is an item of the user. speech_started tells its beginning. While a
// response is under way it is told when the interruption is confirmed, and not for a
// cough: a client that is told so stops playing, and there is no event to take it back.
//
// # Rules
//
//  1. Nothing of a session reaches Ingress before its host has begun it. It begins with
//     the first event that needs it, so that the first session.update is part of the Offer.
//  2. An event that cannot be done is answered by an error event that names its event_id
//     and the parameter, and changes nothing.
//  3. There is one response at a time; another turn's waits for its end.
//  4. After the response.done of a cancelled response no sound of it is written.
//  5. What a client has cut off by truncate is handed on as what was heard, and never more
//     than what was sent to it.
//  6. Whatever a client sends is bounded: events in size, items in number, sound in length,
//     faults in a row.
package realtime
