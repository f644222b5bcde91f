// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"sync/atomic"
	"time"
)

// Stats are what a Server counted since it was made.
type Stats struct {
	Pending  int // connections without a session, now
	Sessions int // now, those that wait for a lost client included
	Lost     int // of them

	Connections int64 // that were accepted
	Refused     int64 // offers and resumes that were turned down
	Resumed     int64 // clients that came back
	Displaced   int64 // connections whose session another one took over
	Halfopen    int64 // connections that did not answer a ping
	Slow        int64 // connections that were cut because the client did not read
	Garbage     int64 // connections that were cut for unreadable messages

	Messages int64 // text messages of clients that were taken
	Repeated int64 // messages whose key was known
	Faults   int64 // messages that were not taken
	Disorder int64 // frames of caller audio from before what was heard
	Strays   int64 // acknowledgements of output that nobody remembers
	Held     int64 // times that a client was read later because it sent too much

	Frames  int64 // of agent audio handed to an outbox
	Away    int64 // frames that were dropped because the client was away
	Dropped int64 // frames that were dropped because the client read slowly
	Fenced  int64 // frames that a fence took back
	Missed  int64 // messages that a client came back too late for

	Deflating time.Duration // spent on compression
	Inflating time.Duration // spent on decompression, at most
}

type counters struct {
	connections, refused, resumed, displaced, halfopen, slow, garbage atomic.Int64
	messages, repeated, faults, disorder, strays, held                atomic.Int64
	frames, away, dropped, fenced, missed                             atomic.Int64
	deflating, inflating                                              atomic.Int64
}

// Stats gives what was counted.
func (s *Server) Stats() Stats {
	c := &s.counts
	t := Stats{
		Connections: c.connections.Load(), Refused: c.refused.Load(), Resumed: c.resumed.Load(), Displaced: c.displaced.Load(),
		Halfopen: c.halfopen.Load(), Slow: c.slow.Load(), Garbage: c.garbage.Load(),
		Messages: c.messages.Load(), Repeated: c.repeated.Load(), Faults: c.faults.Load(), Disorder: c.disorder.Load(),
		Strays: c.strays.Load(), Held: c.held.Load(), Frames: c.frames.Load(), Away: c.away.Load(),
		Dropped: c.dropped.Load(), Fenced: c.fenced.Load(), Missed: c.missed.Load(),
		Deflating: time.Duration(c.deflating.Load()), Inflating: time.Duration(c.inflating.Load()),
	}
	s.mu.Lock()
	lines := make([]*line, 0, len(s.lines))
	for _, l := range s.lines {
		lines = append(lines, l)
	}
	t.Pending, t.Sessions = s.pending, len(s.lines)
	s.mu.Unlock()
	for _, l := range lines {
		c := l.current()
		if c == nil {
			t.Lost++
			continue
		}
		out := c.out.Stats()
		t.Dropped += out.Dropped
		t.Fenced += out.Fenced
	}
	return t
}
