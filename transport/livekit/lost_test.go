// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/livekit/livekittest"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
	"github.com/parley-voice/parley/transport/transporttest"
)

// links are the states that a session was told.
func links(x *transporttest.Session) (list []string) {
	for _, l := range transporttest.Came[transport.LinkState](x) {
		list = append(list, string(l))
	}
	return list
}

func told(t *testing.T, x *transporttest.Session, want string) {
	t.Helper()
	until(t, "the session is told "+want, func() bool { return strings.Join(links(x), " ") == want })
}

// talking looks whether both hear each other.
func talking(t *testing.T, c *client, x *transporttest.Session, in, out int) {
	t.Helper()
	until(t, "the agent hears the caller's track", func() bool { return c.agent().Hears(c.who.TrackSID()) })
	c.who.Speak(transporttest.Tone(in, 600*time.Millisecond))
	tone(t, "the session", in, x.Heard)
	x.Play("turn-9", uint32(100+out), transporttest.Tone(out, 600*time.Millisecond))
	tone(t, "the caller", out, c.Heard)
}

// A signalling that is lost is had back: the agent is who it was, and ICE looks for its way
// anew.
func TestSignallingLost(t *testing.T) {
	e, c, x := meet(t, Config{}, livekittest.Config{}, transporttest.Config{Disconnect: time.Minute})
	talking(t, c, x, 0, 1)
	before := c.agent()
	before.Cut()
	told(t, x, "lost resumed")
	talking(t, c, x, 2, 3)
	if c.agent() != before {
		t.Error("the agent has joined anew")
	}
	until(t, "ICE looks for its way anew", func() bool {
		times, restarts, _ := before.Resumed()
		return times == 1 && restarts == 1
	})
	_, _, synced := before.Resumed()
	if len(synced) != 1 || len(synced[0].Published) != 1 || synced[0].Published[0].Track.SID != before.Track().SID ||
		len(synced[0].Subscription.TrackSIDs) != 1 || synced[0].Subscription.TrackSIDs[0] != c.who.TrackSID() ||
		synced[0].Offer == nil || synced[0].Answer == nil || len(synced[0].Channels) == 0 {
		t.Errorf("the agent says that it stands so: %+v", synced)
	}
	if q := e.live.Tokens()[1].Query; !strings.Contains(q, "reconnect=1") || !strings.Contains(q, "sid="+before.SID) {
		t.Errorf("it came back with %q", q)
	}
	until(t, "the server knows the state again", func() bool { return before.Attribute(roomproto.AttributeState) == listening })
}

// An agent that the server has forgotten joins anew, and talks with the same caller.
func TestForgotten(t *testing.T) {
	e, c, x := meet(t, Config{}, livekittest.Config{}, transporttest.Config{Disconnect: time.Minute})
	e.live.Forget(true)
	before := c.agent()
	before.Cut()
	told(t, x, "lost resumed")
	if c.agent() == before {
		t.Error("the agent has not joined anew")
	}
	talking(t, c, x, 2, 3)
}

// What a server's leave asks for is done.
func TestLeave(t *testing.T) {
	for _, l := range []struct {
		name  string
		leave roomproto.Leave
		want  string
	}{
		{"resume", roomproto.Leave{Action: roomproto.Resume, Reason: roomproto.ServerShutdown}, "lost resumed"},
		{"restart", roomproto.Leave{Action: roomproto.Restart, Reason: roomproto.ServerShutdown}, "lost resumed"},
		{"room_deleted", roomproto.Leave{Reason: roomproto.RoomDeleted}, "left"},
		{"removed", roomproto.Leave{Reason: roomproto.ParticipantRemoved}, "left"},
		{"duplicate", roomproto.Leave{Reason: roomproto.DuplicateIdentity}, "gone"},
	} {
		t.Run(l.name, func(t *testing.T) {
			_, c, x := meet(t, Config{}, livekittest.Config{}, transporttest.Config{Disconnect: time.Minute})
			c.agent().Say(&roomproto.Response{Leave: &l.leave})
			told(t, x, l.want)
			if l.want == "lost resumed" {
				talking(t, c, x, 1, 2)
			}
		})
	}
}

// A server that answers no pings is taken for lost.
func TestPings(t *testing.T) {
	e, _, x := meet(t, Config{}, livekittest.Config{PingInterval: 1, PingTimeout: 3}, transporttest.Config{Disconnect: time.Minute})
	time.Sleep(5 * time.Second) // longer than the timeout: pings are answered
	if got := links(x); len(got) != 0 {
		t.Fatalf("the session was told %v while pings were answered", got)
	}
	e.live.Deaf(true)
	until(t, "the session is told that the room is lost", func() bool { return len(links(x)) > 0 && links(x)[0] == "lost" })
}

// A room that is joined anew while the link is closed says who is there: nobody hears them, and
// nobody waits for who would.
func TestJoinedWhileLeaving(t *testing.T) {
	_, _, x := meet(t, Config{}, livekittest.Config{}, transporttest.Config{Disconnect: time.Minute})
	c := x.Link().(*call)
	until(t, "the caller is heard", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.ear != nil
	})
	c.mu.Lock()
	there := c.people[c.caller]
	c.mu.Unlock()
	x.Close("test_over")
	if err := c.Close("again"); err != nil {
		t.Error(err)
	}
	until(t, "it has parted", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.parted
	})
	c.present([]*roomproto.Participant{there}, true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ear != nil {
		t.Error("the track is heard again, by a goroutine that nobody ends")
		close(c.deaf)
	}
}

// A room that does not come back is gone.
func TestGone(t *testing.T) {
	e, c, x := meet(t, Config{Resume: time.Second}, livekittest.Config{}, transporttest.Config{Disconnect: time.Minute})
	e.live.Refuse(http.StatusServiceUnavailable)
	c.agent().Cut()
	told(t, x, "lost gone")
	if err := x.Link().WriteFrame(&transport.Frame{Turn: "t", Generation: 1, PCM: make([]int16, transport.FrameSamples)}); err != nil {
		t.Logf("a frame into nothing: %v", err)
	}
	x.Close("test_over")
}

// What a server should not say harms nobody: the room is joined anew, or the message passed over.
func TestGarbage(t *testing.T) {
	_, c, x := meet(t, Config{}, livekittest.Config{}, transporttest.Config{Disconnect: time.Minute})
	a := c.agent()
	a.Garble([]byte("nothing"))
	for _, m := range []*roomproto.Response{
		{},
		{Answer: &roomproto.Description{Type: "answer", SDP: "v=0"}},
		{Trickle: &roomproto.Trickle{Candidate: `{"candidate":"candidate:1"}`}},
		{Update: &roomproto.ParticipantUpdate{Participants: []*roomproto.Participant{{}, {Identity: "parley-agent", State: roomproto.Disconnected}}}},
		{Mute: &roomproto.Mute{SID: "TR_none", Muted: true}},
		{TrackPublished: &roomproto.TrackPublished{CID: trackName}},
		{Join: &roomproto.Join{}},
	} {
		a.Say(m)
	}
	talking(t, c, x, 1, 2)
	if got := links(x); len(got) != 0 {
		t.Errorf("the session was told %v", got)
	}
	a.Say(&roomproto.Response{Offer: &roomproto.Description{Type: "offer", SDP: "v=0\r\nnothing"}})
	told(t, x, "lost resumed")
	talking(t, c, x, 3, 4)
}

// An agent that the server has muted says nothing until it may again.
func TestSilenced(t *testing.T) {
	_, c, x := meet(t, Config{}, livekittest.Config{}, transporttest.Config{})
	a := c.agent()
	a.Say(&roomproto.Response{Mute: &roomproto.Mute{SID: a.Track().SID, Muted: true}})
	a.Say(&roomproto.Response{Pong: 1})
	x.Play("turn-1", 1, transporttest.Tone(1, 200*time.Millisecond))
	a.Say(&roomproto.Response{Mute: &roomproto.Mute{SID: a.Track().SID}})
	until(t, "the agent is heard again", func() bool {
		x.Play("turn-2", 2, transporttest.Tone(2, 100*time.Millisecond))
		return len(transporttest.Listen(c.Heard())) > 0
	})
}

// Serve is in its rooms until it is told to end: for one caller after the other.
func TestServe(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{Patience: patience, Disconnect: 300 * time.Millisecond})
	e := begin(t, host, Config{Rooms: []string{"lobby"}}, livekittest.Config{})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- e.server.Serve(ctx) }()
	r := e.live.Room("lobby")
	guest := livekittest.Guest{Identity: "ada", Attributes: map[string]string{"token": transporttest.Token}}
	for range 2 {
		p := r.Come(guest)
		x := host.Next()
		p.Go(roomproto.ClientInitiated)
		x.AwaitDone()
	}
	r.Come(guest)
	x := host.Next()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	x.AwaitDone()
	if got := links(x); len(got) != 1 || got[0] != "gone" {
		t.Errorf("a session that was open when Serve ended was told %v", got)
	}
	if n := e.server.Stats(); n.Calls != 3 || n.Rooms != 0 {
		t.Errorf("the server counted %+v", n)
	}
}
