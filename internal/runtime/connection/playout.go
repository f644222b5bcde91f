// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// Where the client acknowledges, what was heard is what it says that it has played. It is
// not trusted and not waited for without a bound: what it says is cut to what it was sent
// and goes forward only; when it is silent about sound for AckTimeout, what was handed over
// counts as heard, as on a link that does not acknowledge, until it has caught up again; and
// a fence waits for its last word StopWait, and never the other way round.

// The bounds of waiting for a client.
const (
	// AckTimeout is how long after its hand-over sound may be unacknowledged. It is more than
	// any client buffers that one can talk with.
	AckTimeout = 2 * timebase.Second
	// StopWait is how long a fenced turn waits for the client to say where it stopped: a slow
	// round trip and a sound device's buffer.
	StopWait = 300 * timebase.Millisecond
	// ackSlack is what may lack of a turn that counts as played: clients convert the rate and
	// round. It is less than a frame.
	ackSlack = transport.FrameSamples - 1
	// maxStopping bounds the turns that wait for the client's last word at a time.
	maxStopping = fencedDepth
)

// heard is what the client has said of one stream.
type heard struct {
	acked timebase.Samples // the client's word
	told  timebase.Samples // what was reported last; it does not go back
	base  timebase.Samples // handed over when the link came back
	news  timebase.Instant // when acked last rose, at first when the first frame went out
	sent  timebase.Instant // when the last frame went out
	said  bool             // Started was reported
	final bool             // the client plays no more of it
}

// playout is what egress knows of the client.
type playout struct {
	silent   bool // it does not acknowledge; the estimate stands in
	away     bool // the link is lost or left: there is nobody to wait for
	stopping []stopping
}

// stopping is a fenced stream whose client has not said yet where it stopped.
type stopping struct {
	stream *stream
	until  timebase.Instant
}

// position is how far the caller has heard a stream. Completed means all of it.
func (e *Egress) position(s *stream, how Event) timebase.Samples {
	h := &s.heard
	switch {
	case !e.settings.Acks, how == Completed, e.playout.silent && !h.final:
		h.told = s.played
	default:
		h.told = max(h.told, h.acked)
	}
	return h.told
}

// tell reports what has become true of a stream: that it began to be heard, and that it was
// heard to its end.
func (e *Egress) tell(s *stream) {
	if !s.heard.said && e.position(s, Started) > 0 {
		s.heard.said = true
		e.reports = append(e.reports, e.report(s, Started))
	}
	if s.ended && s.waiting == 0 && e.through(s) {
		e.finish(s, Completed)
	}
}

// through says that the client has played, or will not play, what it was handed.
func (e *Egress) through(s *stream) bool {
	h := &s.heard
	return !e.settings.Acks || e.playout.silent || h.final || h.acked == s.played || h.acked > 0 && h.acked+ackSlack >= s.played
}

// Acknowledge takes the client's word on how far it has played a turn.
func (e *Egress) Acknowledge(at timebase.Instant, p transport.Playout) {
	if !e.settings.Acks || p.Position < 0 {
		e.counters.AcksRefused++
		return
	}
	for i := range e.playout.stopping {
		if s := e.playout.stopping[i].stream; s.is(p.Turn, p.Generation) {
			e.advance(at, s, p)
			if p.Final {
				e.stopped(i)
			}
			return
		}
	}
	for _, s := range e.streams {
		if s.started && s.is(p.Turn, p.Generation) {
			if s.heard.final {
				break
			}
			e.advance(at, s, p)
			s.heard.final = p.Final
			e.tell(s)
			return
		}
	}
	e.counters.AcksRefused++
}

func (s *stream) is(turn eventabi.TurnID, generation uint32) bool {
	return s.gate.Turn == turn && (generation == 0 || s.gate.Generation == generation)
}

// advance moves a stream to where the client says that it is. A client that has caught up is
// believed again.
func (e *Egress) advance(at timebase.Instant, s *stream, p transport.Playout) {
	h := &s.heard
	to := min(timebase.Samples(p.Position), s.played)
	switch {
	case to < h.acked:
		e.counters.AcksBack++
		return
	case to > h.acked:
		h.acked, h.news = to, at
	}
	if e.playout.silent && (s.played-h.acked).Span() < AckTimeout {
		e.playout.silent = false
	}
}

// stop waits for the client's last word on a stream that was fenced, if there is one to be
// expected, and reports Flushed.
func (e *Egress) stop(at timebase.Instant, s *stream) {
	p := &e.playout
	if p.away || e.through(s) {
		e.finish(s, Flushed)
		return
	}
	e.remove(s)
	if len(p.stopping) == maxStopping {
		e.stopped(0)
	}
	p.stopping = append(p.stopping, stopping{s, at.Add(StopWait)})
}

// stopped reports a fenced stream for good.
func (e *Egress) stopped(i int) {
	e.reports = append(e.reports, e.report(e.playout.stopping[i].stream, Flushed))
	e.playout.stopping = append(e.playout.stopping[:i], e.playout.stopping[i+1:]...)
}

func (e *Egress) stopAll() {
	for len(e.playout.stopping) > 0 {
		e.stopped(0)
	}
}

// waitsUntil is when the client was waited for long enough.
func (e *Egress) waitsUntil() timebase.Instant {
	next := timebase.Never
	if !e.settings.Acks {
		return next
	}
	for i := range e.playout.stopping {
		next = timebase.Earliest(next, e.playout.stopping[i].until)
	}
	if e.playout.silent || e.playout.away {
		return next
	}
	for _, s := range e.streams {
		if s.started && !e.through(s) {
			next = timebase.Earliest(next, s.heard.sent.Add(AckTimeout))
		}
	}
	return next
}

// waited goes on without the client where it has not said what it was waited for.
func (e *Egress) waited(at timebase.Instant) {
	if at < e.waitsUntil() {
		return
	}
	for i := 0; i < len(e.playout.stopping); {
		if e.playout.stopping[i].until > at {
			i++
			continue
		}
		e.counters.AckUnanswered++
		e.stopped(i)
	}
	if e.waitsUntil() <= at { // for sound
		e.fallBack()
	}
}

// lags says that the client is further behind than it may be, while frames go on.
func (e *Egress) lags(s *stream) bool {
	p, h := &e.playout, &s.heard
	return e.settings.Acks && !p.silent && !p.away && !h.final && (s.played-max(h.acked, h.base)).Span() > AckTimeout
}

// fallBack lets what was handed over count as heard.
func (e *Egress) fallBack() {
	e.playout.silent = true
	e.counters.AckFallbacks++
	e.tellAll()
}

func (e *Egress) tellAll() {
	for i := 0; i < len(e.streams); {
		s := e.streams[i]
		if s.started {
			e.tell(s)
		}
		if i < len(e.streams) && e.streams[i] == s { // it has not completed
			i++
		}
	}
}

// Away says that the link was lost: nothing reaches the client, so it is not waited for, and
// nothing more counts as heard before it comes back.
func (e *Egress) Away() {
	if e.settings.Acks {
		e.playout.away = true
		e.stopAll()
	}
}

// Back says that the link is there again. The client has the time for its next word that it
// has for a first.
func (e *Egress) Back(at timebase.Instant) {
	e.playout.away = false
	for _, s := range e.streams {
		s.heard.base = s.played
		if s.started {
			s.heard.sent = at
		}
	}
}

// Left says that the caller has hung up. Until then it has gone on hearing, at the rate of
// speech, since its last word: that much more of what was handed over counts as heard. Where
// it stopped for a fence before, its last word stands.
func (e *Egress) Left(at timebase.Instant) {
	p := &e.playout
	if !e.settings.Acks {
		return
	}
	e.stopAll()
	if !p.silent && !p.away {
		for _, s := range e.streams {
			if h := &s.heard; s.started && !h.final {
				h.acked = min(s.played, h.acked+timebase.SamplesIn(at.Sub(h.news)))
			}
		}
		e.tellAll()
		e.reports = e.Progress(e.reports)
	}
	p.away = true
}
