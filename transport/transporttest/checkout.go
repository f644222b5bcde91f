// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/transport"
)

// egressFence: nothing of a fenced generation reaches the caller, whatever the adapter
// buffers (rule 4 of package transport).
func (s Subject) egressFence(t *testing.T) {
	s.leavesNothing(t)
	t.Run("in_the_middle", func(t *testing.T) {
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		var playing sync.WaitGroup
		var frames int
		playing.Go(func() { frames = x.Play(firstTurn, 1, Tone(1, 10*time.Second)) })
		st.eventually("the client hears the turn", func() bool { return Listen(c.Heard()).long(1) >= 100*time.Millisecond })
		x.Fence(firstTurn, 1)
		playing.Wait()
		x.Play(secondTurn, 2, Tone(2, short))
		st.heardByClientAfter(c, 2, 1)
		if long, most := Listen(c.Heard()).long(1), time.Duration(frames)*transport.FrameDuration; long > most {
			t.Errorf("the client heard %v of a turn of which %v went out", long, most)
		}
	})
	t.Run("of_a_burst", func(t *testing.T) {
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		x.Burst(firstTurn, 1, Tone(1, 2*time.Second)) // more than is on the wire at once
		x.Fence(firstTurn, 1)
		x.Fence(firstTurn, 1) // more than once for one scope
		time.Sleep(500 * time.Millisecond)
		arrived := Listen(c.Heard()).long(1) // of what was on the wire
		x.Play(secondTurn, 2, Tone(2, short))
		st.heardByClientAfter(c, 2, 1)
		if all := Listen(c.Heard()).long(1); all > arrived+transport.FrameDuration { // the last window may have been cut
			t.Errorf("the client heard %v of a turn more than half a second after its fence", all-arrived)
		}
	})
	t.Run("beside_another_turn", func(t *testing.T) {
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		stop := make(chan struct{})
		var fencing sync.WaitGroup
		fencing.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					x.Fence(firstTurn, 1)
				}
			}
		})
		x.Play(secondTurn, 2, Tone(2, short))
		close(stop)
		fencing.Wait()
		st.heardByClient(c, 2)
	})
	t.Run("for_good", func(t *testing.T) {
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		x.Play(firstTurn, 1, Tone(1, short))
		st.heardByClient(c, 1)
		x.Fence("", 0)
		if n := x.Play(secondTurn, 2, Tone(2, short)); n != 0 {
			t.Fatalf("%d frames passed the host's own fence", n)
		}
	})
	t.Run("acknowledgements", s.acknowledgements)
}

// heardByClientAfter waits until a tone was heard to its end, and expects nothing of a fenced
// one behind its begin.
func (st *stage) heardByClientAfter(c Client, tone, fenced int) {
	st.t.Helper()
	st.eventually("the client hears the turn after the fence", func() bool {
		return Listen(c.Heard()).long(tone) >= short-tolerance
	})
	time.Sleep(200 * time.Millisecond) // for what may come behind it
	heard := Listen(c.Heard())
	began := slices.Index(heard.order(), tone)
	if began < 0 || slices.Contains(heard.order()[began:], fenced) {
		st.t.Errorf("the client heard %v: tone %d was fenced before tone %d began", heard, fenced, tone)
	}
}

// acknowledgements: a client that acknowledges says how far it is, forward, to the end.
func (s Subject) acknowledgements(t *testing.T) {
	st := s.stage(t, Config{})
	c, x := st.connect(Login{Token: Token})
	if x.capabilities().Ack == transport.AckEstimate {
		t.Skip("the transport has no acknowledgements: the runtime estimates")
	}
	pcm := Tone(1, short)
	x.Play(firstTurn, 1, pcm)
	x.Emit("playback_completed", firstTurn, "")
	st.heardByClient(c, 1)
	const rounding = transport.FrameSamples
	Await(x, func(p transport.Playout) bool {
		return p.Turn == firstTurn && p.Position >= int64(len(pcm))-rounding
	})
	last := int64(0)
	for _, p := range Came[transport.Playout](x) {
		if p.Turn != firstTurn || p.Generation > 1 {
			t.Errorf("%+v is of no turn that was played", p)
		}
		if p.Position < last || p.Position > int64(len(pcm))+rounding {
			t.Errorf("a position of %d after %d, of a turn of %d samples", p.Position, last, len(pcm))
		}
		last = p.Position
	}
}

// sequence: what is sent in order arrives in order, once, both ways.
func (s Subject) sequence(t *testing.T) {
	s.leavesNothing(t)
	order := []int{0, 1, 2, 3, 2, 5}
	t.Run("in", func(t *testing.T) {
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		var all []int16
		for _, tone := range order[:4] {
			all = append(all, Tone(tone, short)...)
		}
		st.speak(c, all)
		st.heardBySession(x, order[:4]...)
		if n := x.Early(); n > 0 {
			t.Errorf("%d calls came before the session had begun", n)
		}
	})
	t.Run("out", func(t *testing.T) {
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		for i, tone := range order[:4] {
			turn := firstTurn
			if i >= 2 {
				turn = secondTurn
			}
			x.Play(turn, uint32(1+i/2), Tone(tone, short))
		}
		st.heardByClient(c, order[:4]...)
	})
	t.Run("text", func(t *testing.T) {
		s.needs(t, CanRead)
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		pieces := []string{"Once ", "upon ", "a ", "time."}
		for i, p := range pieces {
			if !x.Show(transport.Text{From: transport.TextAgent, Of: string(firstTurn), Text: p, Final: i == len(pieces)-1}) {
				t.Fatal("the link shows no text; name it among what the subject lacks")
			}
		}
		read := func() (all string) {
			for _, p := range as[Reader](st, c).Texts() {
				all += p.Text
			}
			return all
		}
		want := strings.Join(pieces, "")
		st.eventually("the client reads the last piece", func() bool { return strings.HasSuffix(read(), "time.") })
		if got := read(); got != want {
			t.Errorf("the client read %q; want %q", got, want)
		}
	})
}

// codec: sound comes out as it went in, in each codec; one that is not there is refused with
// those that are.
func (s Subject) codec(t *testing.T) {
	s.leavesNothing(t)
	codecs := s.Codecs
	if len(codecs) == 0 {
		codecs = []string{""}
	}
	for _, codec := range codecs {
		name := codec
		if name == "" {
			name = "own"
		}
		t.Run(name, func(t *testing.T) {
			st := s.stage(t, Config{})
			c, x := st.connect(Login{Token: Token, Codec: codec})
			st.speak(c, Tone(3, short))
			st.heardBySession(x, 3)
			x.Play(firstTurn, 1, Tone(5, short))
			st.heardByClient(c, 5)
			want := level(Tone(3, short), 3)
			for who, got := range map[string]float64{"session": level(x.Heard(), 3), "client": level(c.Heard(), 5)} {
				if got < want*0.7 || got > want*1.4 {
					t.Errorf("the %s heard a level of %.0f; want %.0f, within 3 dB", who, got, want)
				}
			}
		})
	}
	t.Run("unsupported", func(t *testing.T) {
		s.needs(t, CanChoose)
		st := s.stage(t, Config{})
		_, err := st.try(Login{Token: Token, Codec: "no_such_codec"})
		var refusal *transport.RefusedError
		switch {
		case err == nil:
			t.Error("a codec that does not exist was taken")
		case errors.As(err, &refusal) && (refusal.Code != transport.RefusedCodec || len(refusal.Supported) == 0):
			t.Errorf("the client was told %v; want %s, and what is supported", refusal, transport.RefusedCodec)
		}
		if n := len(st.Sessions()); n > 0 {
			t.Errorf("%d sessions were bound", n)
		}
	})
}
