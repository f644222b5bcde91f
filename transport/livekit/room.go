// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"

	"github.com/pion/rtp"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

// room is a room that somebody is in. It is the seam between a call and the way in which
// LiveKit is spoken: participant, in this package, or an SDK of LiveKit's in its place. Its
// methods may be called from any goroutine, and do not wait.
type room interface {
	// self is who we are in the room.
	self() self
	// write sends a packet of sound. It may wait for the wire, not longer than ctx.
	write(ctx context.Context, p *rtp.Packet) error
	// send sends data to the room, reliably, and says whether there was room for it.
	send(p *roomproto.Packet) bool
	// describe changes what we say of ourselves.
	describe(attributes map[string]string)
	// subscribe asks for a track of a participant.
	subscribe(participant, track string)
	// leave leaves the room. When it has returned, no event comes any more, unless ctx has
	// ended before.
	leave(ctx context.Context)
}

// self is who one is in a room.
type self struct {
	identity string
	track    string // SID of what we publish
}

// events are what happens in a room. They come from several goroutines; sound of one track
// comes from one.
type events interface {
	// present tells who has come, changed or gone. When all is true nobody else is there.
	present(list []*roomproto.Participant, all bool)
	// sound is a packet of a track that was subscribed to.
	sound(track string, p *rtp.Packet)
	// data is what somebody has sent.
	data(p *roomproto.Packet)
	// link tells that the room is lost, resumed, gone or left: lost and resumed by turns, and
	// gone or left once, as the last.
	link(state transport.LinkState, why string)
}

// dialer joins a room. The one who joins is in it, and can be heard, when it returns.
type dialer func(ctx context.Context, name string, e events) (room, error)
