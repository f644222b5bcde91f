// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"testing"
	"time"

	"github.com/parley-voice/parley/transport"
)

// connectionStates: the runtime is told when a caller is lost, back and gone
// (nodes-providers-transports section 6).
func (s Subject) connectionStates(t *testing.T) {
	s.leavesNothing(t)
	t.Run("leave", func(t *testing.T) {
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		if err := c.Leave(); err != nil {
			t.Fatal(err)
		}
		x.AwaitDone()
		if len(Came[Hangup](x)) == 0 && !x.was(transport.LinkLeft) {
			t.Errorf("the session ended and was not told that the client had left\n%s", x.Transcript())
		}
		if x.was(transport.LinkLost) {
			t.Errorf("a client that left in good order was called lost\n%s", x.Transcript())
		}
	})
	t.Run("closed_by_the_runtime", func(t *testing.T) {
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		x.Close("test_over")
		st.eventually("the client sees its link closed", c.Ended)
	})
	t.Run("drop", func(t *testing.T) {
		s.needs(t, CanDrop)
		st := s.stage(t, Config{Stays: true})
		c, x := st.connect(Login{Token: Token})
		st.drop(c)
		state := Await[transport.LinkState](x, nil)
		if resumes := x.capabilities().Resumes; resumes != (state == transport.LinkLost) {
			t.Errorf("the link is %s; it can come back: %t", state, resumes)
		}
		x.Play(firstTurn, 1, Tone(1, 100*time.Millisecond)) // nobody is there, and nothing breaks
	})
	t.Run("given_up", func(t *testing.T) {
		s.needs(t, CanDrop)
		st := s.stage(t, Config{Disconnect: 300 * time.Millisecond})
		c, x := st.connect(Login{Token: Token})
		st.drop(c)
		x.AwaitDone() // nothing comes after that, which the host watches
	})
	t.Run("resume", s.resume)
}

func (s Subject) resume(t *testing.T) {
	s.needs(t, CanResume)
	st := s.stage(t, Config{Disconnect: time.Minute})
	c, x := st.connect(Login{Token: Token})
	x.Play(firstTurn, 1, Tone(1, short))
	st.heardByClient(c, 1)
	st.drop(c)
	Await(x, func(l transport.LinkState) bool { return l == transport.LinkLost })
	ctx, cancel := context.WithTimeout(t.Context(), st.config.Patience)
	defer cancel()
	back := as[Resumer](st, c)
	if err := back.Resume(ctx, Login{Token: "not-" + Token}); err == nil {
		t.Error("a client came back with a token that is not valid")
	}
	if x.was(transport.LinkResumed) {
		t.Errorf("the link was resumed with a token that is not valid\n%s", x.Transcript())
	}
	if err := back.Resume(ctx, Login{Token: Token}); err != nil {
		t.Fatalf("a client was not taken back: %v", err)
	}
	Await(x, func(l transport.LinkState) bool { return l == transport.LinkResumed })
	asked := false
	for _, r := range st.Readmissions() {
		asked = asked || r.Session == x.ID() && r.Token == Token && r.Err == nil
	}
	if !asked {
		t.Error("the host was not asked before the client was taken back")
	}
	if n := len(st.Sessions()); n != 1 {
		t.Errorf("%d sessions; a client that comes back begins none", n)
	}
	st.speak(c, Tone(2, short))
	st.heardBySession(x, 2)
	x.Play(secondTurn, 2, Tone(3, short))
	st.eventually("the client hears the session again", func() bool { return Listen(c.Heard()).long(3) >= short-tolerance })
	st.drop(c)
	x.Close("test_over")
	if err := back.Resume(ctx, Login{Token: Token}); err == nil {
		t.Error("a client came back to a session that is over")
	}
}

func (st *stage) drop(c Client) {
	st.t.Helper()
	if err := as[Dropper](st, c).Drop(); err != nil {
		st.t.Fatal(err)
	}
}

// was says that the link has been in a state.
func (s *Session) was(state transport.LinkState) bool {
	for _, l := range Came[transport.LinkState](s) {
		if l == state {
			return true
		}
	}
	return false
}

// cleanupDeadline: a session ends when the runtime says so, in whatever state its client is
// (F-091). That nothing comes afterwards, and that Close returns, the host watches; that
// nothing is left behind, Run.
func (s Subject) cleanupDeadline(t *testing.T) {
	s.leavesNothing(t)
	t.Run("idle", func(t *testing.T) {
		st := s.stage(t, Config{})
		_, x := st.connect(Login{Token: Token})
		x.Close("test_over")
		time.Sleep(200 * time.Millisecond) // for what may come after it
	})
	t.Run("speaking", func(t *testing.T) {
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 50 {
				if c.Speak(Tone(1, 20*time.Millisecond)) != nil {
					return // the link is closed
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		x.Play(firstTurn, 1, Tone(1, 200*time.Millisecond))
		x.Close("test_over")
		<-done
		time.Sleep(200 * time.Millisecond) // for what may come after it
	})
	t.Run("gone", func(t *testing.T) {
		s.needs(t, CanDrop)
		st := s.stage(t, Config{Stays: true})
		c, x := st.connect(Login{Token: Token})
		st.drop(c)
		x.Burst(firstTurn, 1, Tone(1, 2*time.Second))
		x.Close("test_over")
	})
	t.Run("stalled", func(t *testing.T) {
		s.needs(t, CanStall)
		st := s.stage(t, Config{Stays: true})
		c, x := st.connect(Login{Token: Token})
		as[Staller](st, c).Stall()
		written := make(chan struct{})
		go func() {
			defer close(written)
			for range 30 { // 20 MB: more than any socket takes
				if x.Burst(firstTurn, 1, make([]int16, 20*transport.SampleRate)) == 0 {
					return
				}
			}
		}()
		select {
		case <-written:
		case <-time.After(st.config.Patience): // a fault, which the host has noted
		}
		x.Close("test_over")
		<-written
	})
	t.Run("many", func(t *testing.T) {
		st := s.stage(t, Config{})
		for range 8 {
			_, x := st.connect(Login{Token: Token})
			x.Close("test_over")
		}
	})
}

// routingSwitch: only newer views are applied (authority-state section 6).
func (s Subject) routingSwitch(t *testing.T) {
	s.leavesNothing(t)
	s.needs(t, CanRoute)
	st := s.stage(t, Config{})
	c, x := st.connect(Login{Token: Token})
	r, ok := x.Link().(transport.Router)
	if !ok {
		t.Fatal("the link is no transport.Router; name it among what the subject lacks if its transport has no way for it")
	}
	if err := r.Route(2, "endpoint-b"); err != nil {
		t.Errorf("a newer view was refused: %v", err)
	}
	for _, view := range []int64{1, 2} {
		if err := r.Route(view, "endpoint-a"); err == nil {
			t.Errorf("view %d was applied after view 2", view)
		}
	}
	x.Play(firstTurn, 1, Tone(1, short))
	st.heardByClient(c, 1)
}
