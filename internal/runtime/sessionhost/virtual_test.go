// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
)

const story = "Once upon a time there was a lighthouse. The keeper climbed its steps every evening."

// spoken is what the fake voice makes of a turn's text: 65 ms a character.
func spoken(text string) int { return len(text) * timebase.SampleRate * 65 / 1000 }

func TestOneTurn(t *testing.T) {
	r := newRig("s1")
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
	st := s.Stats()
	if st.Kernel.Commits != 1 || st.Kernel.Aborts != 0 || st.Reason != "test_over" {
		t.Errorf("stats %+v, want one turn, committed\n%s", st, r.log)
	}
	if n := len(r.line.voiced("t1")); n != spoken(story) {
		t.Errorf("%d samples were heard, want %d", n, spoken(story))
	}
	// The modelled engines: 20 ms to the final transcript, 30 ms to the first token, 14
	// ms more to the end of the first sentence, 20 ms to its first sound.
	if r.log.count("  2540 end_of_utterance") != 1 || r.line.frames[0].at.MS() != 2540+84 {
		t.Errorf("first frame at %d ms\n%s", r.line.frames[0].at.MS(), r.log)
	}
	if n := r.log.count("speech invocation=t1-tts-2"); n == 0 || r.log.count("say invocation=t1-tts-2") != 1 {
		t.Errorf("%d chunks of the first sentence", n)
	}
	want := []Utterance{
		{Role: session.ItemUser, Turn: "t1", Text: "tell me a story"},
		{Role: session.ItemAssistant, Turn: "t1", Text: story, Generated: story},
	}
	if got := s.Conversation().Utterances(); !slices.Equal(got, want) {
		t.Errorf("conversation %+v", got)
	}
	if r.line.closed != "test_over" || !slices.Contains(r.line.signal, eventabi.SignalPlaybackCompleted) {
		t.Errorf("link closed with %q, signals %v", r.line.closed, r.line.signal)
	}
	if st.AudioHeld != 0 || st.FramesAfterFence != 0 || st.Egress.Underruns != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TTS begins with the first segment, before the reply is complete (issue, item 5).
func TestSpeechBeginsBeforeTheReplyIsComplete(t *testing.T) {
	r := newRig("s1")
	r.llm.Latency.Next *= 100 // 200 ms a word
	r.settings.Bootstrap.Settings.TurnBudgetMS = 5000
	virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
	first := r.line.frames[0].at
	if r.log.count(fmt.Sprintf("%6d", first.MS()), "playback_started") != 1 {
		t.Errorf("playback did not start with the first frame\n%s", r.log)
	}
	if last := r.log.count("segment invocation", "index=1"); last != 1 {
		t.Fatalf("%d second segments\n%s", last, r.log)
	}
	if i, j := strings.Index(r.log.String(), "playback_started"), strings.Index(r.log.String(), "index=1"); i > j {
		t.Errorf("nothing was heard before the second segment came\n%s", r.log)
	}
}

// tape keeps a recording as bytes; fail says from which pass on it fails.
type tape struct {
	bytes.Buffer
	passes int
	fail   int
	closed string
}

func (r *tape) Pass(at timebase.Instant, in []session.Input, decisions []session.Effect) error {
	r.passes++
	fmt.Fprintf(r, "@%d", at)
	for _, i := range in {
		r.Write(session.Marshal(nil, i))
	}
	for _, e := range decisions {
		r.Write(session.Marshal(nil, e))
	}
	if r.fail > 0 && r.passes >= r.fail {
		return errors.New("the disk is full")
	}
	return nil
}

func (r *tape) Terminal(at timebase.Instant, e *session.AppendTerminal) error {
	fmt.Fprintf(r, "!%d %s", at, session.Format(e))
	return nil
}

func (r *tape) Close(reason string, digest [32]byte) error {
	r.closed = reason
	_, err := r.Write(digest[:])
	return err
}

func TestEqualRunsGiveEqualRecordings(t *testing.T) {
	run := func() (*tape, [32]byte) {
		r := newRig("s1")
		rec := &tape{}
		r.settings.Recorder = rec
		s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{4000, 5500}, [2]int64{9000, 9200}), 20000, nil)
		return rec, s.Stats().Digest
	}
	a, sumA := run()
	b, sumB := run()
	if sumA != sumB || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("two equal runs differ: %d and %d bytes, digests %x and %x", a.Len(), b.Len(), sumA[:4], sumB[:4])
	}
	if a.passes < 1000 || a.closed != "test_over" {
		t.Errorf("%d passes recorded, closed with %q", a.passes, a.closed)
	}
}

// A recording holds every input: a fresh machine that is stepped over the passes takes
// the same decisions.
func TestRecordingReplays(t *testing.T) {
	r := newRig("s1")
	p := &parrot{machine: session.New(), t: t}
	r.settings.Recorder = p
	s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{4000, 5500}), 20000, func(v *Virtual, s *Session) {
		v.At(timebase.Instant(timebase.MS(9000)), func() { s.Cancel(Cancel{Scope: eventabi.CancelTurn}) })
	})
	if p.digest.Sum() != s.Stats().Digest || p.decisions == 0 {
		t.Errorf("the replay of %d decisions has another digest", p.decisions)
	}
}

// parrot replays each pass at once.
type parrot struct {
	t         *testing.T
	machine   *session.Machine
	digest    session.Digest
	decisions int
	closed    string
}

func (p *parrot) Pass(at timebase.Instant, in []session.Input, decisions []session.Effect) error {
	var fx session.Effects
	p.machine.Step(at, in, &fx)
	p.digest.Add(fx.List)
	p.decisions += len(fx.List)
	if len(fx.List) != len(decisions) {
		p.t.Errorf("at %d ms: %d decisions replayed, %d recorded", at.MS(), len(fx.List), len(decisions))
	}
	return nil
}
func (p *parrot) Terminal(timebase.Instant, *session.AppendTerminal) error { return nil }

func (p *parrot) Close(reason string, digest [32]byte) error {
	p.closed = reason
	if own := p.digest.Sum(); own != digest {
		p.t.Errorf("the replay has the digest %x, the session %x", own[:4], digest[:4])
	}
	return nil
}

// Barge-in (lifecycle section 7): hold at speech start, fence at confirmation, the heard
// text cut at the playout position, the new turn after the old one's close.
func TestBargeIn(t *testing.T) {
	r := newRig("s1")
	r.stt.Utterances = append(r.stt.Utterances, providertest.Say("stop that and tell me the time", 4000))
	r.llm.Replies = append(r.llm.Replies, "It is noon.")
	s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{4000, 6000}), 15000, nil)
	heard := r.line.voiced("t1")
	var at, held int64
	if _, err := fmt.Sscanf(find(r.log, "delivery turn=t1 event=held"), "%d delivery turn=t1 event=held played=%d", &at, &held); err != nil {
		t.Fatalf("no hold: %v\n%s", err, r.log)
	}
	if int64(len(heard)) != held {
		t.Errorf("%d samples were heard, the hold was at %d: a fenced turn went on", len(heard), held)
	}
	text := s.Conversation().HeardText("t1")
	if !strings.HasPrefix(story, text) || text == "" || text == story || strings.HasSuffix(text, " t") {
		t.Errorf("heard text %q", text)
	}
	proportion := float64(len(heard)) / float64(spoken(story)) * float64(len(story))
	if d := proportion - float64(len(text)); d < 0 || d > 12 {
		t.Errorf("heard %d characters of text for %.1f characters of sound", len(text), proportion)
	}
	if n := len(r.line.voiced("t2")); n != spoken("It is noon.") {
		t.Errorf("second turn: %d samples, want %d\n%s", n, spoken("It is noon."), r.log)
	}
	if st := s.Stats(); st.FramesAfterFence != 0 || st.Kernel.InterruptionsConfirmed != 1 || st.Egress.Refused == 0 {
		t.Errorf("stats %+v", st)
	}
	inOrder(t, r.log, "hold turn=t1", "emit barge_in", "emit cancel turn=t1 reason=barge_in", "playback_cancelled turn=t1",
		"turn_open turn=t2", "playback_started turn=t2", "playback_completed turn=t2")
	items := s.Conversation().Utterances()
	if len(items) != 4 || !items[1].Interrupted || items[1].HeardErrorMS == 0 {
		t.Errorf("conversation %+v", items)
	}
}

// What confirms nothing only holds: playback goes on at the very next sample.
func TestCoughOnlyHolds(t *testing.T) {
	r := newRig("s1")
	r.stt.Utterances = append(r.stt.Utterances, providertest.Utterance{Confidence: -1})
	s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{4000, 4200}), 15000, nil)
	inOrder(t, r.log, "hold turn=t1", "event=held", "resume generation=1", "playback_completed turn=t1")
	expectWhole(t, r, s)
	if st := s.Stats(); st.Kernel.InterruptionsFalse != 1 || st.Kernel.Turns != 1 {
		t.Errorf("stats %+v\n%s", st, r.log)
	}
}

// A backchannel is speech for long enough to confirm, but its words are not.
func TestBackchannelOnlyHolds(t *testing.T) {
	r := newRig("s1")
	r.stt.Utterances = append(r.stt.Utterances, providertest.Say("uh-huh right", 2000))
	s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{4000, 4600}), 15000, nil)
	expectWhole(t, r, s)
	if st := s.Stats(); st.Kernel.InterruptionsFalse != 1 {
		t.Errorf("stats %+v\n%s", st, r.log)
	}
}

// expectWhole checks that the first turn was heard whole and in order, sample by sample.
func expectWhole(t *testing.T, r *rig, s *Session) {
	t.Helper()
	var want []int16
	call := providertest.NewCall(provider.ModalityTTS)
	for _, text := range []string{story[:41], story[41:]} {
		r.tts.Synthesize(t.Context(), call, provider.Speech{Text: text}, func(c provider.Chunk) { want = append(want, c.PCM...) })
	}
	if got := r.line.voiced("t1"); !slices.Equal(got, want) {
		t.Errorf("%d samples were heard, want %d, each once and in order\n%s", len(got), len(want), r.log)
	}
	if got := s.Conversation().HeardText("t1"); got != story {
		t.Errorf("heard %q", got)
	}
}

func TestCancelFencesAtOnce(t *testing.T) {
	r := newRig("s1")
	frames := 0
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 9000, func(v *Virtual, s *Session) {
		v.At(timebase.Instant(timebase.MS(4001)), func() {
			s.Cancel(Cancel{Scope: eventabi.CancelTurn, Reason: "user_cancel", Key: "k1"})
			frames = r.line.count()
			if len(r.line.fences) == 0 {
				t.Error("the sink was not told before Cancel returned")
			}
		})
	})
	if frames == 0 || r.line.count() != frames {
		t.Errorf("%d frames at the cancel, %d in the end", frames, r.line.count())
	}
	if n := r.log.count("cancel", "fenced=1"); n != 1 {
		t.Errorf("the kernel was not told of the fence\n%s", r.log)
	}
	if st := s.Stats(); st.Prefence != 1 || st.FramesAfterFence != 0 {
		t.Errorf("stats %+v", st)
	}
}

// A repeated cancel must not meet the next turn: the key was for the one before.
func TestRepeatedCancelSparesTheNextTurn(t *testing.T) {
	r := newRig("s1")
	s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{5000, 6000}), 16000, func(v *Virtual, s *Session) {
		for _, ms := range []int64{3000, 8000} {
			v.At(timebase.Instant(timebase.MS(ms)), func() { s.Cancel(Cancel{Scope: eventabi.CancelTurn, Key: "k1"}) })
		}
		v.At(timebase.Instant(timebase.MS(8100)), func() {
			s.Cancel(Cancel{Scope: eventabi.CancelTurn, Epoch: testEpoch - 1})
		})
	})
	if n := len(r.line.voiced("t2")); n != spoken(story) {
		t.Errorf("the second turn was cut at %d samples of %d\n%s", n, spoken(story), r.log)
	}
	if st := s.Stats(); st.Kernel.Deduped != 1 || st.Kernel.StaleEpoch != 1 || st.Prefence != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestTypedTextAndClose(t *testing.T) {
	r := newRig("s1")
	s := virtually(t, r, speaking(), 2000, func(v *Virtual, s *Session) {
		v.At(timebase.Instant(timebase.MS(100)), func() { s.Ingress().Text("tell me a story", "k") })
	})
	// The session is closed while the story plays: the turn is heard out before it ends.
	if n := len(r.line.voiced("t1")); n != spoken(story) {
		t.Errorf("%d samples were heard, want %d", n, spoken(story))
	}
	if st := s.Stats(); st.Reason != "test_over" {
		t.Errorf("reason %q", st.Reason)
	}
}

// T9: evidence that cannot be kept ends the turn, and the session goes on to its end.
func TestEvidenceLost(t *testing.T) {
	r := newRig("s1")
	rec := &tape{fail: 135} // in the middle of the first turn
	r.settings.Recorder = rec
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 9000, nil)
	inOrder(t, r.log, "evidence_lost", "emit abort turn=t1 reason=recording_evidence_unavailable", "emit close turn=t1")
	if st := s.Stats(); !st.EvidenceLost || rec.closed == "" {
		t.Errorf("stats %+v, recorder closed %q", st, rec.closed)
	}
}

// F7: authority that is withdrawn stops the sound at once, and the session drains.
func TestAuthorityLossStopsTheSound(t *testing.T) {
	r := newRig("s1")
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 9000, func(v *Virtual, s *Session) {
		v.At(timebase.Instant(timebase.MS(4001)), func() { s.Lease(testEpoch, true) })
	})
	if last := r.line.frames[len(r.line.frames)-1].at; len(r.line.frames) < 60 || last.MS() > 4001 {
		t.Errorf("%d frames, the last at %d ms", len(r.line.frames), last.MS())
	}
	if st := s.Stats(); st.Reason != "authority_loss" || st.FramesAfterFence != 0 {
		t.Errorf("stats %+v\n%s", st, r.log)
	}
}

// F6: a link that is gone holds playback; when it is back, playback goes on at the very
// next sample.
func TestLostLinkHoldsPlayback(t *testing.T) {
	r := newRig("s1")
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 15000, func(v *Virtual, s *Session) {
		for ms, state := range map[int64]transport.LinkState{3500: transport.LinkLost, 4000: transport.LinkGone, 7000: transport.LinkResumed} {
			v.At(timebase.Instant(timebase.MS(ms)), func() { s.Ingress().Link(state) })
		}
	})
	for _, f := range r.line.frames {
		if ms := f.at.MS(); ms > 4020 && ms < 7000 {
			t.Fatalf("a frame went out at %d ms, while the link was gone", ms)
		}
	}
	expectWhole(t, r, s)
	inOrder(t, r.log, "emit reconnecting", "emit disconnected", "hold turn=t1", "emit connected", "resume generation=1", "playback_completed turn=t1")
}

func TestCallerWhoLeavesEndsTheSession(t *testing.T) {
	r := newRig("s1")
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 15000, func(v *Virtual, s *Session) {
		v.At(timebase.Instant(timebase.MS(4000)), func() { s.Ingress().Link(transport.LinkLeft) })
	})
	if st := s.Stats(); st.Reason != "client_left" || r.line.closed != "client_left" {
		t.Errorf("reason %q, link closed with %q\n%s", st.Reason, r.line.closed, r.log)
	}
}

// chatterbox is a recorder that panics on content, on the goroutine that brings it.
type chatterbox struct{ tape }

func (*chatterbox) Text(int64, string)              { panic("a bug in a recorder") }
func (*chatterbox) Audio(Direction, int64, []int16) {}

// What panics on a worker is contained like what panics in a pass.
func TestWorkerPanicEndsTheSession(t *testing.T) {
	r := newRig("s1")
	r.settings.Recorder = &chatterbox{}
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 9000, nil)
	if st := s.Stats(); !strings.HasPrefix(st.Reason, "runtime_internal_error") || st.Faults == 0 {
		t.Errorf("stats %+v\n%s", st, r.log)
	}
}

func find(b *logbook, part string) string {
	for l := range strings.SplitSeq(b.String(), "\n") {
		if strings.Contains(l, part) {
			return strings.TrimSpace(l)
		}
	}
	return ""
}

// inOrder checks that the log has the parts, one after the other.
func inOrder(t *testing.T, b *logbook, parts ...string) {
	t.Helper()
	rest := b.String()
	for _, p := range parts {
		i := strings.Index(rest, p)
		if i < 0 {
			t.Errorf("%q does not follow in the log\n%s", p, b)
			return
		}
		rest = rest[i+len(p):]
	}
}
