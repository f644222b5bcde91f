// SPDX-License-Identifier: Apache-2.0

package equivalence

import (
	"context"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/engines/enginestest"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/codec/libopus"
	"github.com/parley-voice/parley/transport/livekit"
	"github.com/parley-voice/parley/transport/livekit/livekittest"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

// guest is a caller in a room.
type guest struct {
	*microphone
	t      *testing.T
	room   *livekittest.Room
	person *livekittest.Person
}

// overLiveKit meets the agent in a room of a signalling and media peer of the test tree.
func overLiveKit(t *testing.T, r *parley.Runtime, seen *record) caller {
	t.Helper()
	set := enginestest.Set(t)
	opus, err := libopus.New(t.Context(), libopus.Config{Engine: set.Opus(), Compiled: set.Compiled()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opus.Close() })
	live := livekittest.New(t, livekittest.Config{Opus: opus})
	s, err := livekit.New(livekit.Config{
		URL: live.URL(), Key: livekittest.Key, Opus: opus, Connect: patience,
		Secret: func(context.Context) (string, error) { return livekittest.Secret, nil },
		Token:  func(_ context.Context, c livekit.Caller) (string, error) { return c.Attributes["token"], nil },
	}, door(t, r, seen))
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{t: t, room: live.Room("room")}
	g.person = g.room.Come(livekittest.Guest{Identity: "caller", Attributes: map[string]string{"token": token}})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = s.Join(ctx, "room") // it says how the room ended
	}()
	t.Cleanup(func() {
		stop()
		<-left
	})
	seen.await(t, "the agent hears the caller", func() bool {
		list := g.room.Agents()
		return len(list) > 0 && list[0].Attribute(roomproto.AttributeState) == "listening" && list[0].Hears(g.person.TrackSID())
	})
	g.microphone = listen(t, func(pcm []int16) error {
		g.person.Speak(pcm)
		return nil
	})
	return g
}

func (g *guest) Heard() time.Duration {
	d, err := codec.NewOpusDecoder()
	if err != nil {
		g.t.Error(err)
		return 0
	}
	n := 0
	for _, p := range g.room.Agents()[0].Packets() {
		pcm, err := d.Decode(nil, p.Payload)
		if err != nil {
			g.t.Errorf("the agent sent a packet that is no Opus: %v", err)
			return 0
		}
		n += voiced(pcm)
	}
	return lengthOf(int64(n), transport.SampleRate)
}

func (g *guest) Leave() error {
	g.off()
	g.person.Go(roomproto.ClientInitiated)
	return nil
}
