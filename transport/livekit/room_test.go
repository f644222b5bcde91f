// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/livekit/livekittest"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
	"github.com/parley-voice/parley/transport/transporttest"
)

// meet brings a caller and an agent together.
func meet(t *testing.T, c Config, lc livekittest.Config, hc transporttest.Config) (*endpoint, *client, *transporttest.Session) {
	t.Helper()
	hc.Patience = patience
	host := transporttest.NewHost(t, hc)
	e := begin(t, host, c, lc)
	t.Cleanup(host.Close)
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	x, err := e.Connect(ctx, transporttest.Login{Token: transporttest.Token})
	if err != nil {
		t.Fatal(err)
	}
	return e, x.(*client), host.Next()
}

// tone waits until a tone is heard to be so long.
func tone(t *testing.T, who string, number int, heard func() []int16) {
	t.Helper()
	until(t, who+" hears the tone", func() bool {
		long := time.Duration(0)
		for _, s := range transporttest.Listen(heard()) {
			if s.Tone == number {
				long += s.Long
			}
		}
		return long >= 200*time.Millisecond
	})
}

// The token lets the agent into this one room, as an agent.
func TestToken(t *testing.T) {
	e, c, _ := meet(t, Config{Identity: "ann", Name: "Ann"}, livekittest.Config{}, transporttest.Config{})
	got := e.live.Tokens()
	if len(got) != 1 || got[0].Identity != "ann" || got[0].Name != "Ann" || got[0].Kind != "agent" || got[0].Room != "room-1" {
		t.Errorf("the agent came with %+v", got)
	}
	if in := time.Until(got[0].Expires); in > DefaultLifetime || in < DefaultLifetime/2 {
		t.Errorf("the token is valid for %v; want %v", in, DefaultLifetime)
	}
	if !strings.Contains(got[0].Query, "auto_subscribe=0") || strings.Contains(got[0].Query, "token") {
		t.Errorf("the agent came with %q", got[0].Query)
	}
	if track := c.agent().Track(); track.Source != roomproto.SourceMicrophone || track.Type != roomproto.Audio {
		t.Errorf("the agent publishes %+v", track)
	}
}

// Who has the wrong secret is told so, and so is who is not let in.
func TestRefused(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	e := begin(t, host, Config{}, livekittest.Config{})
	e.server.config.Secret = func(context.Context) (string, error) { return "another secret", nil }
	if err := e.server.Join(e.ctx, "lobby"); !errors.Is(err, ErrCredentials) {
		t.Errorf("with another secret: %v", err)
	}
	if _, err := Probe(e.ctx, e.server.config, "lobby"); !errors.Is(err, ErrCredentials) {
		t.Errorf("a probe with another secret: %v", err)
	}
	e.server.config.Secret = secret
	r, err := Probe(e.ctx, e.server.config, "lobby")
	if err != nil || r.Plan.Room != "lobby" || r.Plan.Talks != "the first who comes" || !strings.HasPrefix(r.Plan.URL, e.live.URL()+"/rtc?") {
		t.Errorf("a probe found %+v, %v", r, err)
	}
	e.live.Refuse(http.StatusServiceUnavailable)
	for what, err := range map[string]error{"join": e.server.Join(e.ctx, "lobby"), "probe": second(Probe(e.ctx, e.server.config, "lobby"))} {
		if err == nil || errors.Is(err, ErrCredentials) || !strings.Contains(err.Error(), "503") {
			t.Errorf("%s at a server that is full: %v", what, err)
		}
	}
	e.live.Refuse(0)
	e.live.Silent(true)
	e.server.config.Connect = time.Second
	if err := e.server.Join(e.ctx, "lobby"); err == nil {
		t.Error("a server that says nothing was joined")
	}
	if n := len(host.Offers()); n != 0 {
		t.Errorf("%d sessions were asked for", n)
	}
}

func second[A any](_ A, err error) error { return err }

// One caller is talked to: nobody else is heard, and nobody else's words are taken.
func TestOthers(t *testing.T) {
	_, c, x := meet(t, Config{}, livekittest.Config{}, transporttest.Config{})
	other := c.room.Come(livekittest.Guest{Identity: "other"})
	other.Speak(transporttest.Tone(5, time.Second))
	if err := other.Send(&roomproto.Packet{Chat: &roomproto.Chat{ID: "1", Message: "hear me"}}); err != nil {
		t.Fatal(err)
	}
	c.who.Speak(transporttest.Tone(2, time.Second))
	tone(t, "the session", 2, x.Heard)
	if err := c.who.Send(&roomproto.Packet{Chat: &roomproto.Chat{ID: "2", Message: "and me"}}); err != nil {
		t.Fatal(err)
	}
	transporttest.Await(x, func(v transporttest.Text) bool { return v.Text == "and me" && v.Key == "2" })
	if n := len(transporttest.Came[transporttest.Text](x)); n != 1 {
		t.Errorf("%d texts came; want the caller's alone", n)
	}
	if got := c.agent().Subscribed(); !slices.Equal(got, []string{c.who.TrackSID()}) {
		t.Errorf("the agent hears %v; want %s alone", got, c.who.TrackSID())
	}
	other.Go(roomproto.ClientInitiated)
	c.who.Speak(transporttest.Tone(3, time.Second))
	tone(t, "the session", 3, x.Heard)
	for _, s := range transporttest.Listen(x.Heard()) {
		if s.Tone == 5 {
			t.Errorf("the other was heard: %v", transporttest.Listen(x.Heard()))
		}
	}
}

// The configured participant is waited for, and whoever else is there is not talked to.
func TestChosen(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{Patience: patience})
	e := begin(t, host, Config{Participant: "ada"}, livekittest.Config{})
	t.Cleanup(host.Close)
	r := e.live.Room("lobby")
	token := map[string]string{"token": transporttest.Token}
	r.Come(livekittest.Guest{Identity: "bob", Attributes: token})
	ended := e.join("lobby")
	until(t, "the agent is in the room", func() bool {
		return len(r.Agents()) > 0 && r.Agents()[0].Attribute(roomproto.AttributeState) == initializing
	})
	if n := len(host.Offers()); n != 0 {
		t.Errorf("a session was asked for before the caller came")
	}
	ada := r.Come(livekittest.Guest{Identity: "ada", Attributes: token, Muted: true})
	x := host.Next()
	transporttest.Await(x, func(m transporttest.Muted) bool { return m.On })
	ada.Mute(false)
	transporttest.Await(x, func(m transporttest.Muted) bool { return !m.On })
	if x.Early() != 0 {
		t.Error("something came before the session had begun")
	}
	ada.Go(roomproto.ClientInitiated)
	transporttest.Await(x, func(l transport.LinkState) bool { return l == transport.LinkLeft })
	if err := <-ended; err != nil {
		t.Errorf("a call that went as it should: %v", err)
	}
	until(t, "the agent says goodbye", r.Agents()[0].Left)
}

// When a fence has returned, nothing of its generation goes out, and what comes next begins
// with a whole packet of its own.
func TestFence(t *testing.T) {
	_, c, x := meet(t, Config{}, livekittest.Config{}, transporttest.Config{})
	x.Play("turn-1", 1, transporttest.Tone(1, 300*time.Millisecond))
	x.Burst("turn-1", 1, transporttest.Tone(1, time.Second)) // more than the wire takes at once
	x.Fence("turn-1", 1)
	time.Sleep(200 * time.Millisecond) // what was on its way has come
	before := c.agent().Packets()
	x.Play("turn-2", 2, transporttest.Tone(4, 500*time.Millisecond))
	tone(t, "the caller", 4, c.Heard)
	after := c.agent().Packets()
	for _, s := range transporttest.Listen(decode(t, after[len(before):])) {
		if s.Tone == 1 {
			t.Errorf("behind the fence %v of the fenced turn were heard", s.Long)
		}
	}
	continuous(t, after)
}

// continuous looks at the numbers: there is no hole that a receiver would wait for, and time
// goes on.
func continuous(t *testing.T, packets []*rtp.Packet) {
	t.Helper()
	for i := 1; i < len(packets); i++ {
		a, b := packets[i-1].Header, packets[i].Header
		if b.SequenceNumber != a.SequenceNumber+1 {
			t.Errorf("packet %d follows %d", b.SequenceNumber, a.SequenceNumber)
		}
		if ahead := int32(b.Timestamp - a.Timestamp); ahead <= 0 || ahead%ticks != 0 {
			t.Errorf("packet %d is %d ticks behind the one before", b.SequenceNumber, ahead)
		}
	}
}

// The room is shown what the agent does, and what both say.
func TestShown(t *testing.T) {
	_, c, x := meet(t, Config{}, livekittest.Config{}, transporttest.Config{})
	for _, s := range []struct {
		signal eventabi.Signal
		state  string
	}{
		{eventabi.SignalTurnOpen, thinking},
		{eventabi.SignalPlaybackStarted, speaking},
		{eventabi.SignalPlaybackCompleted, listening},
		{eventabi.SignalTurnOpen, thinking},
		{eventabi.SignalAbort, listening},
	} {
		x.Emit(s.signal, "turn-1", "")
		until(t, "the agent is "+s.state, func() bool { return c.agent().Attribute(roomproto.AttributeState) == s.state })
	}
	x.Show(transport.Text{From: transport.TextCaller, Of: "u-1", Text: "What"})
	x.Show(transport.Text{From: transport.TextCaller, Of: "u-1", Text: "What time is it?", Final: true})
	x.Show(transport.Text{From: transport.TextAgent, Of: "turn-2", Text: "It is "})
	x.Show(transport.Text{From: transport.TextAgent, Of: "turn-2", Text: "noon."})
	x.Emit(eventabi.SignalClose, "turn-2", "")
	want := []transport.Text{
		{From: transport.TextCaller, Of: "u-1", Text: "What"},
		{From: transport.TextCaller, Of: "u-1", Text: "What time is it?", Final: true},
		{From: transport.TextAgent, Of: "turn-2", Text: "It is noon.", Final: true},
	}
	until(t, "the room reads along", func() bool { return slices.Equal(c.Texts(), want) })
	var legacy []string
	for _, p := range c.agent().Received() {
		if p.Transcription != nil {
			legacy = append(legacy, p.Transcription.Identity+": "+p.Transcription.Segments[0].Text)
		}
		if p.Header != nil && p.Identity == "caller" && p.Header.Attributes[roomproto.AttributeTrack] != c.who.TrackSID() {
			t.Errorf("the caller's words are of track %q", p.Header.Attributes[roomproto.AttributeTrack])
		}
	}
	if got := strings.Join(legacy, "; "); got != "caller: What; caller: What time is it?; parley-agent: It is ; parley-agent: It is noon.; parley-agent: It is noon." {
		t.Errorf("older clients read %s", got)
	}
	if err := c.who.Send(&roomproto.Packet{RPC: &roomproto.RPC{ID: "r-1", Method: "dance"}}); err != nil {
		t.Fatal(err)
	}
	until(t, "a call of a method is answered", func() bool {
		return slices.ContainsFunc(c.agent().Received(), func(p *roomproto.Packet) bool {
			return p.RPCReply != nil && p.RPCReply.ID == "r-1" && p.RPCReply.Error.Code == roomproto.UnsupportedMethod
		})
	})
}
