// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/connection"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
)

// player is a client with a buffer: what it is sent it has played, and said so, a while
// later; for a fence it stops at once, and says where a while later.
type player struct {
	line
	world  *Virtual
	delay  timebase.Span // from the hand-over to the acknowledgement
	answer timebase.Span // from a fence to the word on where it stopped; 0 = never
	mute   bool          // it does not acknowledge

	played  map[eventabi.TurnID]int64
	stopped map[uint32]bool
	gone    bool
}

// played makes a rig's client one that acknowledges.
func played(r *rig, delay, answer int64) *player {
	p := &player{
		delay: timebase.MS(delay), answer: timebase.MS(answer), played: map[eventabi.TurnID]int64{}, stopped: map[uint32]bool{},
	}
	r.line = &p.line
	r.settings.Ack = transport.AckClient
	r.settings.Connect = func(ctx context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
		_, err := p.connect(ctx, b, in)
		return p, err
	}
	return p
}

func (p *player) WriteFrame(f *transport.Frame) error {
	turn, generation, end := f.Turn, f.Generation, f.Position+int64(f.Voiced)
	p.world.At(p.world.Now().Add(p.delay), func() {
		if p.stopped[generation] || p.gone {
			return
		}
		p.played[turn] = end
		if !p.mute {
			p.in.Played(transport.Playout{Turn: turn, Generation: generation, Position: end})
		}
	})
	return p.line.WriteFrame(f)
}

func (p *player) Fence(f transport.Fence) {
	p.line.Fence(f)
	if p.stopped[f.Generation] || f.Session {
		return
	}
	p.stopped[f.Generation] = true
	if p.answer > 0 {
		p.world.At(p.world.Now().Add(p.answer), func() {
			p.in.Played(transport.Playout{Turn: f.Turn, Generation: f.Generation, Position: p.played[f.Turn], Final: true})
		})
	}
}

// conversing runs a rig's session with a player.
func conversing(t *testing.T, r *rig, p *player, c *caller, ms int64, also func(v *Virtual, s *Session)) *Session {
	t.Helper()
	return virtually(t, r, c, ms, func(v *Virtual, s *Session) {
		p.world = v
		if also != nil {
			also(v, s)
		}
	})
}

// delivered finds what egress reported of a turn, and when.
func delivered(t *testing.T, r *rig, turn, event string) (at, played int64) {
	t.Helper()
	for l := range strings.SplitSeq(r.log.String(), "\n") {
		if strings.Contains(l, "delivery turn="+turn+" event="+event+" ") {
			for i, f := range strings.Fields(l) {
				if i == 0 {
					at = number(t, f)
				}
				if v, ok := strings.CutPrefix(f, "played="); ok {
					played = number(t, v)
				}
			}
			return at, played
		}
	}
	t.Fatalf("no delivery of %s %s\n%s", turn, event, r.log)
	return 0, 0
}

func number(t *testing.T, s string) (n int64) {
	t.Helper()
	for _, c := range s {
		if c < '0' || c > '9' {
			t.Fatalf("%q is no number", s)
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// What was heard is what was acknowledged: playback begins and ends with the client's word.
func TestPlaybackFollowsTheClient(t *testing.T) {
	r := newRig("s1")
	p := played(r, 150, 0)
	s := conversing(t, r, p, speaking([2]int64{1000, 2000}), 12000, nil)
	first, last := r.line.frames[0].at.MS(), r.line.frames[len(r.line.frames)-1].at.MS()
	if at, n := delivered(t, r, "t1", "started"); at != first+150 || n != transport.FrameSamples {
		t.Errorf("started at %d ms with %d; the first frame went out at %d ms", at, n, first)
	}
	if at, n := delivered(t, r, "t1", "completed"); at != last+150 || n != int64(spoken(story)) {
		t.Errorf("completed at %d ms with %d; the last frame went out at %d ms", at, n, last)
	}
	expectWhole(t, r, s)
	if e := s.Stats().Egress; e.AckFallbacks+e.AcksRefused+e.AcksBack+e.AckUnanswered != 0 {
		t.Errorf("counters %+v", e)
	}
}

// The heard text of an interrupted turn is cut where the caller really stopped, and the
// recording replays.
func TestHeardTextFollowsTheClient(t *testing.T) {
	heard := func(delay, answer int64) (text string, flushed int64, p *player) {
		r := newRig("s1")
		r.stt.Utterances = append(r.stt.Utterances, providertest.Say("stop that and tell me the time", 4000))
		r.llm.Replies = append(r.llm.Replies, "It is noon.")
		p = played(r, delay, answer)
		bird := &parrot{machine: session.New(), t: t}
		r.settings.Recorder = bird
		s := conversing(t, r, p, speaking([2]int64{1000, 2000}, [2]int64{4000, 6000}), 15000, nil)
		if bird.digest.Sum() != s.Stats().Digest || bird.decisions == 0 {
			t.Errorf("the replay of %d decisions has another digest", bird.decisions)
		}
		if st := s.Stats(); st.FramesAfterFence != 0 || st.Kernel.Turns != 2 {
			t.Errorf("stats %+v", st)
		}
		inOrder(t, r.log, "event=held", "emit barge_in", "playback_cancelled turn=t1", "turn_open turn=t2", "playback_completed turn=t2")
		_, flushed = delivered(t, r, "t1", "flushed")
		return s.Conversation().HeardText("t1"), flushed, p
	}
	near, flushed, p := heard(100, 50)
	if flushed != p.played["t1"] {
		t.Errorf("flushed at %d; the client stopped at %d", flushed, p.played["t1"])
	}
	far, flushed, p := heard(800, 50)
	if flushed != p.played["t1"] || flushed >= int64(len(p.voiced("t1"))) {
		t.Errorf("flushed at %d; the client stopped at %d of %d", flushed, p.played["t1"], len(p.voiced("t1")))
	}
	if !strings.HasPrefix(near, far) || len(near)-len(far) < 4 || far == "" {
		t.Errorf("heard %q where the client is near and %q where it is 700 ms further", near, far)
	}
	// A client that does not say where it stopped: its last acknowledgement counts.
	if text, flushed, p := heard(100, 0); text != near || flushed != p.played["t1"] {
		t.Errorf("heard %q; want %q", text, near)
	}
}

// A fence waits for the client's word no longer than StopWait; what comes later changes
// nothing.
func TestLateLastWord(t *testing.T) {
	r := newRig("s1")
	p := played(r, 100, 400)
	s := conversing(t, r, p, speaking([2]int64{1000, 2000}), 9000, func(v *Virtual, s *Session) {
		v.At(timebase.Instant(timebase.MS(4001)), func() { s.Cancel(Cancel{Scope: eventabi.CancelTurn}) })
	})
	if at, _ := delivered(t, r, "t1", "flushed"); at != 4001+connection.StopWait.MS() {
		t.Errorf("flushed at %d ms, the fence was at 4001", at)
	}
	if e := s.Stats().Egress; e.AckUnanswered != 1 || e.AcksRefused != 1 {
		t.Errorf("counters %+v", e)
	}
}

// A client that never acknowledges hangs no turn, and holds only the first one up.
func TestSilentClient(t *testing.T) {
	r := newRig("s1")
	p := played(r, 100, 0)
	p.mute = true
	s := conversing(t, r, p, speaking([2]int64{1000, 2000}, [2]int64{11000, 12000}), 22000, nil)
	expectWhole(t, r, s)
	if st := s.Stats(); st.Kernel.Commits != 2 || st.Egress.AckFallbacks != 1 {
		t.Errorf("%d turns committed, %d fallbacks; want 2 and 1\n%s", st.Kernel.Commits, st.Egress.AckFallbacks, r.log)
	}
	second := 0
	for r.line.frames[second].turn != "t2" {
		second++
	}
	if at, _ := delivered(t, r, "t2", "started"); at != r.line.frames[second].at.MS() {
		t.Errorf("the second turn started at %d ms, its first frame went out at %d ms", at, r.line.frames[second].at.MS())
	}
}

// Synthesis runs ahead of what was acknowledged, and is paced by it: neither a long reply to
// a client that lags nor one that falls silent in the middle stops it.
func TestLongReplyToAClientThatLags(t *testing.T) {
	long := strings.Repeat("This is a sentence of a very long story that goes on and on. ", 13)
	for name, f := range map[string]struct {
		delay, mute, fallbacks int64 // ms
	}{"lags": {1000, 0, 0}, "lags_much": {1800, 0, 0}, "falls_silent": {100, 20000, 1}, "far": {3000, 0, 1}} {
		t.Run(name, func(t *testing.T) {
			r := newRig("s1")
			r.llm.Replies = []string{long}
			p := played(r, f.delay, 0)
			s := conversing(t, r, p, speaking([2]int64{1000, 2000}), 100000, func(v *Virtual, _ *Session) {
				if f.mute > 0 {
					v.At(timebase.Instant(timebase.MS(f.mute)), func() { p.mute = true })
				}
			})
			st := s.Stats()
			if st.Kernel.Commits != 1 || st.Egress.AckFallbacks != f.fallbacks {
				t.Errorf("%d commits, %d fallbacks; want 1 and %d", st.Kernel.Commits, st.Egress.AckFallbacks, f.fallbacks)
			}
			if got := s.Conversation().HeardText("t1"); strings.TrimSpace(got) != strings.TrimSpace(long) {
				t.Errorf("%d of %d characters were heard", len(got), len(long))
			}
			if st.Egress.Underruns > 0 && f.delay <= 1000 { // beyond that the kernel looks too late, for less than the lag
				t.Errorf("%d underruns: the acknowledgements held synthesis up", st.Egress.Underruns)
			}
		})
	}
}

// A hold that comes to nothing loses nothing: what the client played of its buffer meanwhile
// is played.
func TestHoldWithAClientsBuffer(t *testing.T) {
	r := newRig("s1")
	r.stt.Utterances = append(r.stt.Utterances, providertest.Utterance{Confidence: -1})
	p := played(r, 150, 50)
	s := conversing(t, r, p, speaking([2]int64{1000, 2000}, [2]int64{4000, 4200}), 15000, nil)
	expectWhole(t, r, s)
	_, held := delivered(t, r, "t1", "held")
	sent := 0
	for _, f := range r.line.frames {
		if f.at.MS() <= 4100 {
			sent += len(f.pcm)
		}
	}
	if held >= int64(sent) {
		t.Errorf("held at %d, of %d that were sent by then: want the acknowledged position", held, sent)
	}
}

// Who hangs up has heard until then; who was interrupted has heard what the client said.
func TestHangUpBeforeTheLastAcknowledgement(t *testing.T) {
	run := func(ack transport.AckSource) (heard string, sent int) {
		r := newRig("s1")
		p := played(r, 500, 0)
		r.settings.Ack = ack
		s := conversing(t, r, p, speaking([2]int64{1000, 2000}), 15000, func(v *Virtual, s *Session) {
			v.At(timebase.Instant(timebase.MS(5400)), func() {
				p.gone = true
				s.Ingress().Link(transport.LinkLeft)
			})
		})
		if st := s.Stats(); st.Reason != "client_left" {
			t.Errorf("reason %q", st.Reason)
		}
		return s.Conversation().HeardText("t1"), len(r.line.voiced("t1"))
	}
	estimate, _ := run(transport.AckEstimate)
	client, _ := run(transport.AckClient)
	if client == "" || len(client) > len(estimate) || len(estimate)-len(client) < 4 {
		t.Errorf("heard %q; the estimate is %q, and the client was half a second behind", client, estimate)
	}
}

// The end of a session waits for no client.
func TestEndDoesNotWaitForTheClient(t *testing.T) {
	r := newRig("s1")
	p := played(r, 100, 0)
	s := conversing(t, r, p, speaking([2]int64{1000, 2000}), 15000, func(v *Virtual, s *Session) {
		v.At(timebase.Instant(timebase.MS(4000)), func() { s.Cancel(Cancel{Scope: eventabi.CancelSession}) })
	})
	if st := s.Stats(); r.log.count("  4000 ended") != 1 {
		t.Errorf("the session ended later: %q\n%s", st.Reason, r.log)
	}
}

// Acknowledgements of a link that has none are counted, and change nothing.
func TestUnaskedPlayouts(t *testing.T) {
	r := newRig("s1")
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 12000, func(v *Virtual, s *Session) {
		v.At(timebase.Instant(timebase.MS(4000)), func() {
			s.Ingress().Played(transport.Playout{Turn: "t1", Position: 10, Final: true})
		})
	})
	expectWhole(t, r, s)
	if st := s.Stats(); st.PlayoutsDropped != 1 {
		t.Errorf("%d dropped; want 1", st.PlayoutsDropped)
	}
}

func TestSettingsAck(t *testing.T) {
	r := newRig("s1")
	r.settings.Ack = "guess"
	if err := r.settings.Validate(); err == nil || !strings.Contains(err.Error(), `ack: "guess": use estimate`) {
		t.Errorf("error %v", err)
	}
}

// A client that floods with playouts, from several goroutines and without sense, costs
// itself its truth and nobody anything else.
func TestPlayoutFlood(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("s1")
		r.settings.Ack = transport.AckGateway
		s := open(t, h, r)
		stop := make(chan struct{})
		var flood sync.WaitGroup
		for seed := range uint64(4) {
			flood.Go(func() {
				chance := rand.New(rand.NewPCG(seed, 1))
				turns := []eventabi.TurnID{"", "t1", "t2", "t3", "t4", "t5"}
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
					for range 20 {
						s.Ingress().Played(transport.Playout{
							Turn: turns[chance.IntN(len(turns))], Generation: uint32(chance.IntN(8)),
							Position: chance.Int64N(1<<20) - 100, Final: chance.IntN(50) == 0,
						})
					}
				}
			})
		}
		speak(s, speaking([2]int64{1000, 2000}, [2]int64{11000, 12000}), 20*time.Second)
		close(stop)
		flood.Wait()
		s.Close("test_over")
		<-s.Done()
		st := s.Stats()
		if st.Kernel.Commits != 2 || st.Faults != 0 || st.FramesAfterFence != 0 || st.PlayoutsDropped == 0 {
			t.Errorf("stats %+v\n%s", st, r.log)
		}
		if n := len(r.line.voiced("t1")); n != spoken(story) {
			t.Errorf("%d samples went out, want %d", n, spoken(story))
		}
	})
}
