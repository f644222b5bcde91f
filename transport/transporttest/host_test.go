// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// hook is a link that a test does by hand: it keeps what it is given.
type hook struct {
	in transport.Ingress

	mu     sync.Mutex
	frames []transport.Frame
	fences []transport.Fence
	texts  []transport.Text
	closed string
	slow   time.Duration
}

func (k *hook) open(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	k.in = in
	return k, nil
}

func (k *hook) WriteFrame(f *transport.Frame) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := *f
	g.PCM = append([]int16(nil), f.PCM...)
	k.frames = append(k.frames, g)
	return nil
}

func (k *hook) Fence(f transport.Fence) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fences = append(k.fences, f)
}

func (k *hook) TextWindow() int { return 2 }

func (k *hook) WriteText(t transport.Text) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.texts = append(k.texts, t)
}

func (k *hook) Close(reason string) error {
	time.Sleep(k.slow)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = reason
	return nil
}

// offer is one without a fault.
func offer(token string) transport.Offer {
	return transport.Offer{
		Kind: "test", Token: token,
		Capabilities: transport.Capabilities{CodecsIn: []string{"pcm_s16le"}, CodecsOut: []string{"pcm_s16le"}, Ack: transport.AckEstimate},
	}
}

func begin(t *testing.T, c Config) (*Host, *hook, *Session) {
	t.Helper()
	h := NewHost(t, c)
	k := &hook{}
	if _, err := h.Begin(t.Context(), offer(Token), k.open); err != nil {
		t.Fatal(err)
	}
	return h, k, h.Next()
}

// A host lets in whom it is told to let in, and nothing is bound for anybody else.
func TestHostAuthenticates(t *testing.T) {
	h := NewHost(t, Config{})
	k := &hook{}
	var refused *transport.RefusedError
	if _, err := h.Begin(t.Context(), offer("of somebody else"), k.open); !errors.As(err, &refused) || refused.Code != transport.RefusedToken {
		t.Errorf("error %v; want %s", err, transport.RefusedToken)
	}
	if k.in != nil || len(h.Sessions()) > 0 {
		t.Error("a session was bound for a token that is not valid")
	}
	s, err := h.Begin(t.Context(), offer(Token), k.open)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Readmit(t.Context(), s.ID(), Token); err != nil {
		t.Error(err)
	}
	if err := h.Readmit(t.Context(), "another", Token); !errors.As(err, &refused) || refused.Code != transport.RefusedUnknown {
		t.Errorf("error %v; want %s", err, transport.RefusedUnknown)
	}
	h.Next().Close("over")
	if err := h.Readmit(t.Context(), s.ID(), Token); err == nil {
		t.Error("a session that is over takes a client back")
	}
	if n := len(h.Readmissions()); n != 3 {
		t.Errorf("%d readmissions; want 3", n)
	}
}

// What comes is noted in order, with its values, and can be asked for by its type.
func TestSessionNotes(t *testing.T) {
	_, k, s := begin(t, Config{})
	frame := make([]int16, transport.FrameSamples)
	k.in.Audio(0, frame)
	k.in.Gap(transport.Gap{Sequence: 1, Missing: transport.FrameSamples, Reason: transport.GapLost})
	k.in.Audio(2, frame)
	k.in.Text("hello", "k1")
	k.in.Cancel(transport.Request{Turn: "turn-1"})
	k.in.Played(transport.Playout{Turn: "turn-1", Position: 320})
	if got := Await(s, func(x Text) bool { return x.Key == "k1" }); got.Text != "hello" {
		t.Errorf("text %q", got.Text)
	}
	if got := Await[transport.Playout](s, nil); got.Position != 320 {
		t.Errorf("playout %+v", got)
	}
	if n := len(s.AwaitHeard(3 * transport.FrameSamples)); n != 3*transport.FrameSamples {
		t.Errorf("%d samples were heard; want the gap as silence", n)
	}
	if got := Came[Audio](s); len(got) != 2 || got[1].Sequence != 2 {
		t.Errorf("audio %v", got)
	}
	k.in.Link(transport.LinkLeft)
	s.AwaitDone()
	if s.Reason() != "client_left" || k.closed != "client_left" {
		t.Errorf("closed with %q and %q", s.Reason(), k.closed)
	}
}

// Sound is played at its pace, padded at the end, and stops at a fence.
func TestSessionPlaysAndFences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, s := begin(t, Config{})
		began := time.Now()
		if n := s.Play("turn-1", 1, make([]int16, 3*transport.FrameSamples+1)); n != 4 {
			t.Errorf("%d frames; want 4", n)
		}
		if took := time.Since(began); took != 60*time.Millisecond {
			t.Errorf("it took %v; want 60 ms", took)
		}
		if f := k.frames[3]; f.Voiced != 1 || f.Position != 3*transport.FrameSamples || len(f.PCM) != transport.FrameSamples {
			t.Errorf("the last frame is %d voiced at %d", f.Voiced, f.Position)
		}
		s.Fence("turn-1", 1)
		if n := s.Burst("turn-1", 1, make([]int16, 320)); n != 0 {
			t.Errorf("%d frames went out behind the fence", n)
		}
		if n := s.Burst("turn-2", 2, make([]int16, 320)); n != 1 {
			t.Errorf("%d frames of another turn; want 1", n)
		}
		if len(k.fences) != 1 || k.fences[0].Generation != 1 {
			t.Errorf("fences %+v", k.fences)
		}
	})
}

// Text waits for the client's window, as in the runtime.
func TestSessionKeepsTheTextWindow(t *testing.T) {
	_, k, s := begin(t, Config{})
	for _, piece := range []string{"a", "b", "c", "d"} {
		s.Show(transport.Text{From: transport.TextAgent, Text: piece})
	}
	if len(k.texts) != 2 {
		t.Fatalf("%d pieces went out; the window is 2", len(k.texts))
	}
	k.in.TextTaken(1)
	if len(k.texts) != 3 || k.texts[2].Text != "c" {
		t.Errorf("texts %+v", k.texts)
	}
	if s.Emit(eventabi.SignalConnected, "", "") || s.Speech(transport.Speech{}) || s.Metric("x", 1) || s.ToolCall(transport.ToolCall{}) {
		t.Error("a link was given what it does not take")
	}
}

// A lost link is waited for, and no longer than that.
func TestSessionWaitsForALostLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, s := begin(t, Config{Disconnect: time.Second})
		k.in.Link(transport.LinkLost)
		time.Sleep(999 * time.Millisecond)
		k.in.Link(transport.LinkResumed)
		time.Sleep(time.Minute)
		if s.over() {
			t.Fatal("the session ended while its link was there")
		}
		k.in.Link(transport.LinkLost)
		k.in.Link(transport.LinkGone)
		time.Sleep(time.Second)
		s.AwaitDone()
	})
}

// Each rule that a host holds an adapter to, with an adapter that breaks it.
func TestHostFindsFaults(t *testing.T) {
	frame := make([]int16, transport.FrameSamples)
	for name, f := range map[string]struct {
		does func(h *Host, k *hook, s *Session)
		says string
	}{
		"late":      {func(_ *Host, k *hook, s *Session) { s.Close("over"); k.in.Text("too late", "") }, "after the link was closed"},
		"backwards": {func(_ *Host, k *hook, _ *Session) { k.in.Audio(5, frame); k.in.Audio(4, frame) }, "sequence 4 behind 5"},
		"odd":       {func(_ *Host, k *hook, _ *Session) { k.in.Audio(0, frame[:100]) }, "want frames of 320"},
		"twice":     {func(_ *Host, k *hook, _ *Session) { k.in.Link(transport.LinkLost); k.in.Link(transport.LinkLost) }, "came twice"},
		"resumed":   {func(_ *Host, k *hook, _ *Session) { k.in.Link(transport.LinkResumed) }, "not lost"},
		"state":     {func(_ *Host, k *hook, _ *Session) { k.in.Link("away") }, "is none"},
		"close":     {func(_ *Host, k *hook, s *Session) { k.slow = 5 * time.Second; s.Close("over") }, "Close took longer"},
		"offer": {func(h *Host, k *hook, _ *Session) {
			o := offer(Token)
			o.Capabilities.Ack = ""
			_, _ = h.Begin(h.tb.Context(), o, k.open)
		}, "source of acknowledgements"},
		"nothing": {func(h *Host, _ *hook, _ *Session) {
			_, _ = h.Begin(h.tb.Context(), offer(Token), func(context.Context, transport.Bootstrap, transport.Ingress) (transport.Link, error) {
				return nil, nil
			})
		}, "neither a link nor an error"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, k, s := begin(t, Config{Tolerant: true, Patience: time.Second})
				f.does(h, k, s)
				if all := strings.Join(h.Faults(), "; "); !strings.Contains(all, f.says) {
					t.Errorf("faults %q; want %q", all, f.says)
				}
				time.Sleep(10 * time.Second) // for what still closes
			})
		})
	}
}
