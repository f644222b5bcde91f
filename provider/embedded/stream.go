// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"
	"sync"

	"github.com/parley-voice/parley/provider"
)

var (
	errStreamClosed    = errors.New("embedded: the stream is closed")
	errStreamFinalized = errors.New("embedded: the utterance is over")
)

// stream is one utterance. Its owner's calls and the end of its context meet at the
// lock, so the sink must not call the stream back.
type stream struct {
	owner   *PocketSphinx
	ctx     context.Context // the values of the call's, without its end
	session string
	unwatch func() bool

	mu         sync.Mutex
	recogniser *recogniser // nil once it was given back
	out        *provider.Emitter
	ended      error // why the stream takes no more, nil while it does
	closed     bool
	block      [blockSamples]int16
	filled     int
	samples    int64
	said       string // the last partial
}

// Write recognises the audio as far as it fills blocks of 32 ms; the rest waits.
func (s *stream) Write(pcm []int16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return s.ended
	}
	for len(pcm) > 0 {
		n := copy(s.block[s.filled:], pcm)
		pcm = pcm[n:]
		if s.filled += n; s.filled == blockSamples {
			if err := s.recognise(); err != nil {
				return s.fail(err)
			}
		}
	}
	return nil
}

// recognise hands the block to the engine and tells what it thinks now.
func (s *stream) recognise() error {
	if err := s.recogniser.feed(s.ctx, s.block[:s.filled]); err != nil {
		return err
	}
	s.samples += int64(s.filled)
	s.filled = 0
	text, err := s.recogniser.text(s.ctx)
	if err != nil {
		return err
	}
	if text != "" && text != s.said {
		s.said = text
		s.out.TextDelta(text)
	}
	return nil
}

// Finalize recognises what waits and tells the final text.
func (s *stream) Finalize() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return s.ended
	}
	text, voice, err := s.conclude()
	if err != nil {
		return s.fail(err)
	}
	s.owner.voices.keep(s.session, voice)
	s.ended = errStreamFinalized
	s.giveBack(false)
	s.out.TextFinal(text, -1, nil)
	s.out.Final(provider.Usage{AudioSamples: s.samples})
	return nil
}

// conclude ends the recognition. The final guess is of sentences that end where the sound
// does: of one that was broken off there may be none, though every guess before had words.
// Then the last of those stands, because to lose what somebody said is worse.
func (s *stream) conclude() (text string, voice []byte, err error) {
	if s.filled > 0 {
		if err := s.recogniser.feed(s.ctx, s.block[:s.filled]); err != nil {
			return "", nil, err
		}
		s.samples += int64(s.filled)
	}
	if voice, err = s.recogniser.end(s.ctx); err != nil {
		return "", nil, err
	}
	if text, err = s.recogniser.text(s.ctx); text == "" {
		text = s.said
	}
	return text, voice, err
}

// fail ends the stream after the engine failed; the lock is held.
func (s *stream) fail(err error) error {
	failure := engineFailure(err, true)
	s.ended = failure
	s.giveBack(true)
	s.out.Fail(failure.Outcome)
	return failure
}

// abandon ends the stream because its context ended, or the engine is being closed.
func (s *stream) abandon(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return
	}
	outcome := outcomeOf(why)
	s.ended = &provider.Failure{Outcome: outcome, Cause: why}
	s.giveBack(false)
	s.out.Fail(outcome)
}

// Close gives the engine back. An utterance that had not ended is told as cancelled.
func (s *stream) Close() error {
	s.unwatch()
	s.abandon(context.Canceled)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed, s.ended = true, errStreamClosed
	}
	return nil
}

// giveBack returns the instance to the pool, once; the lock is held.
func (s *stream) giveBack(broken bool) {
	if s.recogniser == nil {
		return
	}
	s.owner.mu.Lock()
	delete(s.owner.streams, s)
	s.owner.mu.Unlock()
	s.owner.pool.put(s.ctx, s.recogniser, broken)
	s.recogniser = nil
}
