// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/engines/enginestest"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/codec/libopus"
	"github.com/parley-voice/parley/transport/livekit/livekittest"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
	"github.com/parley-voice/parley/transport/transporttest"
)

const patience = 30 * time.Second

// encoders are the engine's.
func encoders(tb testing.TB) codec.OpusFactory {
	tb.Helper()
	set := enginestest.Set(tb)
	if set.Opus() == "" {
		tb.Fatal("the engines that are set up have no encoder of Opus: run make engines")
	}
	l, err := libopus.New(tb.Context(), libopus.Config{Engine: set.Opus(), Compiled: set.Compiled()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	return l
}

// endpoint is a server of LiveKit with the adapter as its client; each client has a room.
type endpoint struct {
	t      *testing.T
	live   *livekittest.Server
	server *Server
	host   *door
	stop   context.CancelFunc
	ctx    context.Context
	rooms  atomic.Int64
	open   atomic.Int64
}

func secret(context.Context) (string, error) { return livekittest.Secret, nil }

// tokenOf is the session token that a test's caller brings along.
func tokenOf(_ context.Context, c Caller) (string, error) { return c.Attributes["token"], nil }

// door is a host that remembers whom it has taken back.
type door struct {
	transport.Host

	mu       sync.Mutex
	readmits []error
}

func (d *door) Readmit(ctx context.Context, id eventabi.SessionID, token string) error {
	err := d.Host.Readmit(ctx, id, token)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readmits = append(d.readmits, err)
	return err
}

func (d *door) readmissions() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]error(nil), d.readmits...)
}

func begin(t *testing.T, host transport.Host, c Config, lc livekittest.Config) *endpoint {
	t.Helper()
	if lc.Opus == nil {
		lc.Opus = encoders(t)
	}
	e := &endpoint{t: t, live: livekittest.New(t, lc), host: &door{Host: host}}
	c.URL, c.Key, c.Secret, c.Opus, c.Token = e.live.URL(), livekittest.Key, secret, lc.Opus, tokenOf
	if c.Connect == 0 {
		c.Connect = patience
	}
	var err error
	if e.server, err = New(c, e.host); err != nil {
		t.Fatal(err)
	}
	e.ctx, e.stop = context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		e.stop()
		until(t, "the agent is out of its rooms", func() bool { return e.open.Load() == 0 })
	})
	return e
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("it did not happen: %s", what)
			return
		}
	}
}

// join has the agent join a room, and gives what became of it.
func (e *endpoint) join(name string) <-chan error {
	ended := make(chan error, 1)
	e.open.Add(1)
	go func() {
		defer e.open.Add(-1)
		ended <- e.server.Join(e.ctx, name)
	}()
	return ended
}

// client is a caller in a room of their own.
type client struct {
	e     *endpoint
	room  *livekittest.Room
	ended <-chan error
	guest livekittest.Guest
	who   *livekittest.Person
}

func (e *endpoint) Connect(ctx context.Context, l transporttest.Login) (transporttest.Client, error) {
	name := fmt.Sprintf("room-%d", e.rooms.Add(1))
	c := &client{
		e: e, room: e.live.Room(name), guest: livekittest.Guest{Identity: "caller", Attributes: map[string]string{"token": l.Token}},
	}
	c.who = c.room.Come(c.guest)
	c.ended = e.join(name)
	for {
		select {
		case err := <-c.ended:
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
		if a := c.agent(); a != nil && a.Attribute(roomproto.AttributeState) == listening && a.Hears(c.who.TrackSID()) {
			return c, nil
		}
	}
}

// agent is the one who came last.
func (c *client) agent() *livekittest.Agent {
	list := c.room.Agents()
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1]
}

func (c *client) Speak(pcm []int16) error {
	c.who.Speak(pcm)
	return nil
}

// Heard is the agent's sound: that of all packets, in their order.
func (c *client) Heard() []int16 { return decode(c.e.t, c.agent().Packets()) }

func decode(t *testing.T, packets []*rtp.Packet) (pcm []int16) {
	t.Helper()
	d, err := codec.NewOpusDecoder()
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, p := range packets {
		if len(p.Payload) == 0 {
			continue
		}
		if pcm, err = d.Decode(pcm, p.Payload); err != nil {
			t.Errorf("the agent sent a packet that is no Opus: %v", err)
		}
	}
	return pcm
}

func (c *client) Send(what any) error {
	switch what := what.(type) {
	case transporttest.Text:
		id := string(what.Key)
		for _, p := range []*roomproto.Packet{
			{Header: &roomproto.Header{StreamID: id, Topic: roomproto.TopicChat, Text: &roomproto.TextHeader{}}},
			{Chunk: &roomproto.Chunk{StreamID: id, Content: []byte(what.Text[:5])}},
			{Chunk: &roomproto.Chunk{StreamID: id, Index: 1, Content: []byte(what.Text[5:])}},
			{Trailer: &roomproto.Trailer{StreamID: id}},
		} {
			if err := c.who.Send(p); err != nil {
				return err
			}
		}
		return nil
	case transporttest.Muted:
		c.who.Mute(what.On)
		return nil
	case transport.Control:
		return c.who.Send(&roomproto.Packet{DTMF: &roomproto.DTMF{Digit: what.Digit}})
	}
	return errors.ErrUnsupported
}

func (c *client) Leave() error {
	c.who.Go(roomproto.ClientInitiated)
	return nil
}

func (c *client) Ended() bool { return c.agent().Left() }

func (c *client) Close() error {
	c.who.Go(roomproto.ClientInitiated)
	return nil
}

// Texts are what clients show of lk.transcription: streams of one segment replace each other,
// and chunks of one stream join.
func (c *client) Texts() (list []transport.Text) {
	streams := map[string]int{}
	for _, p := range c.agent().Received() {
		switch {
		case p.Header != nil && p.Header.Topic == roomproto.TopicTranscription:
			from := transport.TextAgent
			if p.Identity == c.guest.Identity {
				from = transport.TextCaller
			}
			streams[p.Header.StreamID] = len(list)
			list = append(list, transport.Text{From: from, Of: p.Header.Attributes[roomproto.AttributeSegment], Final: p.Header.Attributes[roomproto.AttributeFinal] == "true"})
		case p.Chunk != nil:
			list[streams[p.Chunk.StreamID]].Text += string(p.Chunk.Content)
		case p.Trailer != nil && p.Trailer.Attributes[roomproto.AttributeFinal] == "true":
			list[streams[p.Trailer.StreamID]].Final = true
		}
	}
	return list
}

func (c *client) Drop() error {
	c.who.Go(roomproto.ConnectionTimeout)
	return nil
}

func (c *client) Resume(ctx context.Context, l transporttest.Login) error {
	before := len(c.e.host.readmissions())
	c.who.Go(roomproto.ClientInitiated)
	c.guest.Attributes = map[string]string{"token": l.Token}
	c.who = c.room.Come(c.guest)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
		if c.agent().Left() {
			return errors.New("the agent has left")
		}
		if now := c.e.host.readmissions(); len(now) > before {
			if err := now[len(now)-1]; err != nil {
				return err
			}
			for !c.agent().Hears(c.who.TrackSID()) && ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			return ctx.Err()
		}
	}
}

// Garble sends what no server and nobody in a room should.
func (c *client) Garble() error {
	a := c.agent()
	a.Garble([]byte("no message"))
	a.Garble([]byte{0x0a, 0xff})
	a.Say(&roomproto.Response{Trickle: &roomproto.Trickle{Candidate: "{", Target: 7}})
	a.Say(&roomproto.Response{Subscribed: &roomproto.SubscriptionReply{TrackSID: "TR_none", Error: 2}})
	a.Forward(c.who.TrackSID(), &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: 9}, Payload: []byte{0xff, 0xff, 0xff, 0xff}})
	for _, p := range []*roomproto.Packet{
		{DTMF: &roomproto.DTMF{Digit: "x"}},
		{Header: &roomproto.Header{StreamID: "s", Topic: roomproto.TopicChat, Text: &roomproto.TextHeader{}, Compression: 1}},
		{Header: &roomproto.Header{StreamID: "t", Topic: roomproto.TopicChat, Text: &roomproto.TextHeader{}}},
		{Chunk: &roomproto.Chunk{StreamID: "t", Index: 5, Content: []byte("x")}},
		{User: &roomproto.User{Topic: roomproto.TopicLegacyChat, Payload: []byte("{")}},
	} {
		if err := c.who.Send(p); err != nil {
			return err
		}
	}
	return a.SendRaw([]byte{0xff})
}

func TestContract(t *testing.T) {
	transporttest.Run(t, transporttest.Subject{
		Kind:     Kind,
		Patience: patience,
		Start: func(t *testing.T, host transport.Host) transporttest.Endpoint {
			return begin(t, host, Config{}, livekittest.Config{})
		},
		Lacks: map[transporttest.Ability]string{
			transporttest.CanEnd:       "a room has no word for it",
			transporttest.CanCancel:    "a room has no word for it",
			transporttest.CanStop:      "a room has no word for it",
			transporttest.CanContext:   "a room has no word for it",
			transporttest.CanRespond:   "a room has no word for it",
			transporttest.CanConfigure: "a room has no word for it",
			transporttest.CanTools:     "a caller has no way to bring tools along",
			transporttest.CanStall:     "sound goes by UDP, which does not wait for who reads",
			transporttest.CanChoose:    "a room has Opus",
			transporttest.CanRoute:     "the room stays where it is",
		},
	})
}
