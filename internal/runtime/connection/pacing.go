// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// Tick does what is due. It is called at or after NextTick; a late call sends a few
// frames at once, at most maxCatchUp.
func (e *Egress) Tick(at timebase.Instant) {
	e.sendDue(at)
	e.waited(at)
}

func (e *Egress) sendDue(at timebase.Instant) {
	for sent := 0; e.active && e.next <= at; sent++ {
		if sent == maxCatchUp {
			e.counters.Skipped++
			e.next = e.slot(at.Add(framePeriod))
			return
		}
		if !e.sendFrame(at) {
			e.active = false
			return
		}
		if sent > 0 {
			e.counters.Late++
		}
		e.next = e.next.Add(framePeriod)
		e.active = len(e.chunks) > 0 && !e.standing()
	}
}

// sendFrame hands over one frame of the head of the queue. It says false when there is
// nothing that may go out now.
func (e *Egress) sendFrame(at timebase.Instant) bool {
	e.refuseFenced()
	if len(e.chunks) == 0 || e.standing() {
		return false
	}
	s := e.chunks[0].stream
	ready := e.ready(s)
	if ready < transport.FrameSamples && !s.ended {
		e.runDry(s)
		return false
	}
	pcm, voiced := e.fill(s)
	if !e.handOver(at, s, pcm, voiced) {
		e.refuseFenced()
		return len(e.chunks) > 0
	}
	e.account(at, s, voiced)
	return true
}

// ready counts the samples that may go into the next frame. When nothing of the stream
// can follow for now, because another turn's audio or a hold comes next, what there is
// counts as a whole frame: it goes out padded.
func (e *Egress) ready(s *stream) int {
	n := -e.cursor
	for _, c := range e.chunks {
		if c.stream != s || s.stands(&c) {
			return transport.FrameSamples
		}
		if n += len(c.pcm); n >= transport.FrameSamples {
			break
		}
	}
	return n
}

// runDry counts a gap in a turn that has begun to play, once until it plays again.
func (e *Egress) runDry(s *stream) {
	if s.started && !s.dry {
		s.dry = true
		e.counters.Underruns++
	}
}

// fill gives the samples of the next frame and how many of them are output. It copies
// only when they do not lie in one piece.
func (e *Egress) fill(s *stream) (pcm []int16, voiced int) {
	head := e.chunks[0].pcm[e.cursor:]
	if len(head) >= transport.FrameSamples {
		return head[:transport.FrameSamples], transport.FrameSamples
	}
	voiced = copy(e.frame[:], head)
	for _, c := range e.chunks[1:] {
		if voiced == transport.FrameSamples || c.stream != s || s.stands(&c) {
			break
		}
		voiced += copy(e.frame[voiced:], c.pcm)
	}
	if voiced < transport.FrameSamples {
		clear(e.frame[voiced:])
		e.counters.Padded++
	}
	return e.frame[:], voiced
}

// handOver asks the gate and writes, with nothing in between.
func (e *Egress) handOver(at timebase.Instant, s *stream, pcm []int16, voiced int) bool {
	e.outward = transport.Frame{
		Turn:       s.gate.Turn,
		Generation: s.gate.Generation,
		Position:   int64(s.played),
		Voiced:     voiced,
		At:         time.Duration(at),
		PCM:        pcm,
	}
	if !e.settings.Fences.pass(s.gate) {
		return false
	}
	err := e.settings.Sink.WriteFrame(&e.outward)
	e.settings.Fences.passed()
	if err != nil {
		e.counters.SinkErrors++
	}
	if e.settings.Late != nil {
		e.settings.Late(at.Sub(e.next))
	}
	return true
}

// account moves the playout clock and lets go of what was played.
func (e *Egress) account(at timebase.Instant, s *stream, voiced int) {
	e.counters.Frames++
	s.played += timebase.Samples(voiced)
	if !s.started {
		s.started = true
		s.heard.news = at
	}
	s.heard.sent = at
	s.dry = false
	e.queued -= timebase.Samples(voiced)
	for voiced > 0 {
		c := e.chunks[0]
		n := min(voiced, len(c.pcm)-e.cursor)
		voiced -= n
		e.cursor += n
		if e.cursor == len(c.pcm) {
			e.cursor = 0
			e.pop()
			e.drop(c, 0)
		}
	}
	if e.lags(s) {
		e.fallBack()
	} else {
		e.tell(s)
	}
	if s.asked {
		e.answerHold(s)
	}
}

// refuseFenced drops the head of the queue while its gate is closed. The stream stays
// until the kernel's own Fence asks for the report.
func (e *Egress) refuseFenced() {
	for len(e.chunks) > 0 && e.chunks[0].stream.gate.Closed() {
		c := e.chunks[0]
		rest := len(c.pcm) - e.cursor
		e.counters.Refused += frames(rest)
		e.cursor = 0
		e.pop()
		e.drop(c, rest)
	}
}

// pop takes the head off and keeps the queue's memory.
func (e *Egress) pop() {
	n := copy(e.chunks, e.chunks[1:])
	e.chunks[n] = chunk{}
	e.chunks = e.chunks[:n]
}
