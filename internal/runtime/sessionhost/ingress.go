// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// ingress is the session as its transport sees it.
type ingress Session

var _ transport.Ingress = (*ingress)(nil)

// Ingress gives the session's side of the transport, for drivers that feed it
// themselves.
func (s *Session) Ingress() transport.Ingress { return (*ingress)(s) }

// taken says that the session is open; what comes before or after is counted.
func (s *Session) taken() bool {
	if s.open.Load() {
		return true
	}
	s.counts.early.Add(1)
	return false
}

// Audio puts a frame into the ring, where pre-roll and listeners find it, and its
// descriptor into the inbox.
func (i *ingress) Audio(sequence int64, pcm []int16) {
	s := (*Session)(i)
	if !s.taken() || len(pcm) == 0 {
		return
	}
	s.counts.frames.Add(1)
	at := s.ring.Write(pcm)
	if s.shown {
		s.show(CallerAudio, s.Now(), int64(at), pcm)
	}
	ear := s.graph.hear()
	frame := session.AudioIn{Transport: sequence, Sample: at, Samples: timebase.Samples(len(pcm))}
	if s.virtual { // else they are the owner's to look up when it takes the frame: it needs them anyway
		frame.Heard, frame.Listened = s.graph.positions()
	}
	switch s.driver.post(s, item{kind: kindFrame, frame: frame}) {
	case first: // the owner comes, and wakes those who listen
		return
	case lost:
		s.counts.dropped.Add(1)
	case taken, merged:
		if ear != nil && ear.Inline() && s.graph.sound == nil { // the owner that comes is who listens
			return
		}
	}
	s.graph.audioCame()
}

// show gives a frame to those who look at frames or keep them.
func (s *Session) show(d Direction, at timebase.Instant, sample int64, pcm []int16) {
	if s.settings.Frames != nil {
		s.settings.Frames(d, at, sample, pcm)
	}
	if c, ok := s.settings.Recorder.(ContentRecorder); ok {
		c.Audio(d, sample, pcm)
	}
}

// Gap keeps the place of caller audio that did not come: what was not concealed is
// silence in the ring, and whoever listens hears that time has passed.
func (i *ingress) Gap(g transport.Gap) {
	s := (*Session)(i)
	if !s.taken() || g.Missing <= 0 {
		return
	}
	concealed := min(max(g.Concealed, 0), g.Missing)
	at := s.ring.Skip(timebase.Samples(g.Missing - concealed))
	if !s.post(&session.AudioGap{
		Sample: max(0, at-timebase.Samples(concealed)), Samples: timebase.Samples(g.Missing),
		Concealed: timebase.Samples(concealed), Reason: string(g.Reason),
	}) {
		s.counts.dropped.Add(1)
	}
	s.graph.audioCame()
}

// Text takes an utterance that was typed.
func (i *ingress) Text(text string, key eventabi.IdempotencyKey) {
	s := (*Session)(i)
	if s.taken() {
		in := &session.TextIn{Text: s.describe(text), Key: key}
		if s.settings.Graph != nil {
			in.Attributes = s.about(nil)
		}
		s.post(in)
	}
}

// EndOfUtterance is the client's word that the user has finished: with the sound that had
// come by then. Control overtakes the descriptors of frames, and may not cut off what was
// said before it.
func (i *ingress) EndOfUtterance(key eventabi.IdempotencyKey) {
	s := (*Session)(i)
	if s.taken() {
		s.post(&session.EndOfUtterance{Sample: s.ring.Head(), Reason: "client", Key: key})
	}
}

// Cancel fences first and queues second.
func (i *ingress) Cancel(r transport.Request) {
	(*Session)(i).Cancel(Cancel{
		Scope: eventabi.CancelTurn, Turn: r.Turn, Reason: r.Reason, Force: r.Force, Epoch: r.Epoch, Key: r.Key,
	})
}

// Stop fences first and queues second.
func (i *ingress) Stop(r transport.Request) {
	s := (*Session)(i)
	if !s.taken() {
		return
	}
	s.post(&session.Stop{Epoch: r.Epoch, Turn: r.Turn, Force: r.Force, Fenced: s.prefence(r.Turn, r.Epoch, r.Key, r.Force), Key: r.Key})
}

// Link reports a change of the link.
func (i *ingress) Link(state transport.LinkState) {
	s := (*Session)(i)
	if s.taken() {
		s.post(&session.Link{State: session.LinkState(state)})
	}
}

// Hangup asks to end the session.
func (i *ingress) Hangup(reason string) { (*Session)(i).Close(reason) }

// Close asks the session to end: it drains, and Done follows within the drain deadline.
func (s *Session) Close(reason string) {
	if s.open.Load() {
		s.post(&session.CloseRequest{Reason: reason})
	}
}

// Lease tells what the lease authority decided.
func (s *Session) Lease(epoch eventabi.Epoch, revoked bool) {
	if !s.taken() {
		return
	}
	if !revoked && int64(epoch) > s.epoch.Load() {
		s.epoch.Store(int64(epoch))
	}
	s.post(&session.LeaseChange{Epoch: epoch, Revoked: revoked})
}

// Cancel cancels a scope. When it returns, the fence of a turn-scoped cancel stands, as
// far as policy allows (protected output is spared unless forced); the kernel decides
// the rest.
func (s *Session) Cancel(c Cancel) {
	if !s.taken() {
		return
	}
	s.counts.cancels.Add(1)
	in := &session.Cancel{
		Epoch: c.Epoch, Scope: c.Scope, Turn: c.Turn, Node: c.Node, Invocation: c.Invocation,
		Reason: c.Reason, Force: c.Force, Key: c.Key,
	}
	if c.Scope == eventabi.CancelTurn {
		in.Fenced = s.prefence(c.Turn, c.Epoch, c.Key, c.Force)
	}
	s.post(in)
}

// prefence is the first act of a cancel (engine section 2). What the kernel will refuse
// fences nothing: a request of another epoch, or a repeated one, which would meet
// another turn than the one it was meant for.
func (s *Session) prefence(turn eventabi.TurnID, epoch eventabi.Epoch, key eventabi.IdempotencyKey, force bool) uint32 {
	if epoch != 0 && int64(epoch) != s.epoch.Load() {
		return 0
	}
	began := s.driver.now()
	if !s.firstUse(key) {
		return 0
	}
	generation := s.fences.Prefence(turn, force)
	if generation == 0 {
		return 0
	}
	took := s.driver.now().Sub(began)
	s.witness.Fence(transport.Fence{Turn: turn, Generation: generation})
	s.counts.prefenced.Add(1)
	s.fenceMu.Lock()
	if _, known := s.fenceAge[generation]; !known && len(s.fenceAge) < maxFenceAges {
		s.fenceAge[generation] = took
	}
	s.fenceMu.Unlock()
	return generation
}

// maxKeys is how many keys of cancels are remembered here, newest over oldest. The
// kernel remembers far more; one that is forgotten here costs a needless fence of the
// turn that is playing, and that only when a client repeats itself so late.
const maxKeys = 64

// firstUse says that a key is new here, and remembers it. The empty key is always new.
func (s *Session) firstUse(key eventabi.IdempotencyKey) bool {
	if key == "" {
		return true
	}
	s.fenceMu.Lock()
	defer s.fenceMu.Unlock()
	if slices.Contains(s.keys, key) {
		return false
	}
	if len(s.keys) < maxKeys {
		s.keys = append(s.keys, key)
	} else {
		s.keys[s.keyCount%maxKeys] = key
	}
	s.keyCount++
	return true
}

// maxFenceAges bounds the fences that wait for the kernel's word.
const maxFenceAges = 64

// fenceTook gives how long the fence of a generation took, if a cancel put it up ahead
// of the kernel.
func (s *Session) fenceTook(generation uint32) (timebase.Span, bool) {
	s.fenceMu.Lock()
	defer s.fenceMu.Unlock()
	took, ok := s.fenceAge[generation]
	delete(s.fenceAge, generation)
	return took, ok
}

// describe keeps a text and makes the kernel's reference to it.
func (s *Session) describe(text string) session.TextRef {
	return s.refer(text, s.content.addText(text))
}

// refer makes the reference to a text that is kept.
func (s *Session) refer(text string, handle int64) session.TextRef {
	if c, ok := s.settings.Recorder.(ContentRecorder); ok {
		c.Text(handle, text)
	}
	return session.Describe(text, handle, s.settings.TextKey, s.language())
}
