// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/transport"
)

// What can wait lets an owner nap and wakes it from a deeper sleep; everything else wakes it
// from both.
func TestInboxWakes(t *testing.T) {
	for _, row := range []struct {
		lie, post string
		wakes     bool
	}{{"sleep", "leave", true}, {"sleep", "post", true}, {"nap", "leave", false}, {"nap", "post", true}} {
		b := NewInbox[int]()
		lie, post := b.Sleep, b.Leave
		if row.lie == "nap" {
			lie = b.Nap
		}
		if row.post == "post" {
			post = b.Post
		}
		if !lie() {
			t.Fatal("an empty inbox keeps its owner awake")
		}
		post(flow.Data, 1)
		woke := false
		select {
		case <-b.Wake():
			woke = true
		default:
		}
		if woke != row.wakes {
			t.Errorf("%s, %s: woken %v", row.lie, row.post, woke)
		}
		b.Awake()
		if b.Nap() || b.Sleep() {
			t.Errorf("%s, %s: it sleeps with something in its inbox", row.lie, row.post)
		}
	}
}

// While frames come for many sessions, the owner comes by itself in each slot: a frame does not
// wake it, and waits a millisecond at most. Control does not wait, nor do a text and a result
// that come behind a frame. With little to do, a frame wakes it.
func TestOwnerNapsBetweenFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStill()
		var list []*Session
		for i := range crowded + 1 {
			r := newRig(fmt.Sprint("s", i))
			r.settings.Observer = nil
			list = append(list, s.open(t, r))
		}
		for name, row := range map[string]struct {
			sessions int
			post     func(x *Session)
			woken    bool
		}{
			"frame to a crowd":          {crowded, frame, false},
			"frame to a few":            {crowded - 1, frame, true},
			"question to a crowd":       {crowded, func(x *Session) { go x.Stats() }, true},
			"control to a crowd":        {crowded, func(x *Session) { x.Ingress().EndOfUtterance("") }, true},
			"text behind a frame":       {crowded, func(x *Session) { frame(x); x.Ingress().Text("hello", "") }, true},
			"nothing, and a slot later": {crowded, func(*Session) { s.instant.Add(int64(time.Millisecond)); time.Sleep(time.Millisecond) }, true},
		} {
			s.instant.Add(int64(time.Second)) // what was before does not count
			for _, x := range list[:row.sessions] {
				frame(x)
			}
			s.round()
			woke := make(chan struct{})
			go func() {
				timer := time.NewTimer(time.Hour)
				defer timer.Stop()
				s.sleep(timer)
				close(woke)
			}()
			synctest.Wait()
			before := time.Now()
			row.post(list[crowded])
			synctest.Wait()
			got := false
			select {
			case <-woke:
				got = true
			default:
			}
			if got != row.woken {
				t.Errorf("%s: woken %v", name, got)
			}
			<-woke
			if d := time.Since(before); d > time.Millisecond {
				t.Errorf("%s: the owner slept for %v, want a slot at most", name, d)
			}
			s.round()
			s.quietly(t)
		}
		s.close(t, list...)
	})
}

// A round that was too early to find more does not count for less: the slot before does.
func TestCrowdIsCountedBySlots(t *testing.T) {
	var c crowd
	at := func(us int64, found int) bool {
		c.turn(timebase.Instant(us) * timebase.Instant(timebase.Millisecond) / 1000)
		c.now += found
		return c.dense()
	}
	for i, row := range []struct {
		us    int64
		found int
		want  bool
	}{
		{5000, 2, false}, {5400, 1, true}, {6000, 0, true}, {7000, 0, false}, // two slots later nobody is there
		{8100, 2, false}, {9050, 1, true}, {11000, 2, false}, // the slot between was empty
	} {
		if got := at(row.us, row.found); got != row.want {
			t.Errorf("step %d, at %d us: dense %v", i, row.us, got)
		}
	}
}

// The owner that comes for a frame has the listeners hear it; one that does not come leaves
// that to whoever brings the next frame.
func TestListenersHearWithTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStill()
		x := s.open(t, newRig("s1"))
		for frames, want := range []timebase.Samples{1: transport.FrameSamples, 2: 0} {
			if frames == 0 {
				continue
			}
			frame(x)
			synctest.Wait()
			if n := x.graph.reader.Available(); n != want {
				t.Errorf("frame %d: %d samples have not been heard, want %d", frames, n, want)
			}
		}
		s.round()
		synctest.Wait()
		frame(x)
		s.round()
		synctest.Wait()
		if n := x.graph.reader.Available(); n != 0 {
			t.Errorf("%d samples have not been heard after the owner came", n)
		}
		s.close(t, x)
	})
}

// quick is a detector that may run on the session's owner.
type quick struct{ loud }

func (quick) Quick() bool { return true }

// hanging is an inline endpointer that does not come back from its tenth event.
type hanging struct {
	node.Node
	events int
	free   chan struct{}
}

func (h *hanging) OnEvent(ctx *node.Context, ev *node.Event) error {
	if h.events++; h.events == 10 {
		<-h.free
	}
	return h.Node.OnEvent(ctx, ev)
}

// An inline node that does not keep its word holds its own session up and no other, and is
// replaced like any other that hangs.
func TestInlineNodeThatHangs(t *testing.T) {
	hostedBy(t, Config{Shards: 1}, func(t *testing.T, h *Host) {
		bad, good := newRig("bad"), newRig("good")
		free, made := make(chan struct{}), 0
		bad.settings.Endpointer = func() (node.Node, error) {
			n, err := vad.NewEndpointNode(quick{}, vad.EndpointerConfig{})
			if made++; made == 1 {
				return &hanging{Node: n, free: free}, err
			}
			return n, err
		}
		s, x := open(t, h, bad), open(t, h, good)
		x.Ingress().Text("tell me a story", "")
		for range 50 {
			frame(s)
			time.Sleep(20 * time.Millisecond)
		}
		if n := h.Timing().Stalls; n != 1 {
			t.Errorf("the owner was relieved %d times, want once", n)
		}
		time.Sleep(10 * time.Second)
		if n := len(good.line.voiced("t1")); n != spoken(story) {
			t.Errorf("the other session was held up: %d samples of %d", n, spoken(story))
		}
		close(free)
		speak(s, speaking([2]int64{1000, 2000}), 10*time.Second)
		if st := s.Stats(); st.NodeFailures != 1 || st.NodeRestarts != 1 || st.Kernel.Commits != 1 {
			t.Errorf("stats %+v\n%s", st, bad.log)
		}
	})
}
