// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

const (
	// leaveWithin bounds what leaving a room takes.
	leaveWithin = 3 * time.Second
	// mostEarly bounds what waits for a session to begin.
	mostEarly = 64
	// between is the distance of the numbers of two tracks' frames, beyond what may have been
	// guessed behind the first.
	between = 64
	// mostPresent bounds the participants that are remembered.
	mostPresent = 4096
)

// call is a stay in a room: the wait for somebody to talk to, and then the link of the
// session with them.
type call struct {
	server *Server
	name   string // of the room
	room   room

	over chan struct{} // the stay is at an end, for the reason in ended

	mu      sync.Mutex
	why     error
	people  map[string]*roomproto.Participant // by identity, those who are there
	changed chan struct{}                     // somebody has come; of capacity 1
	caller  string                            // identity of the one who is talked to; "" = none yet
	session eventabi.SessionID
	away    bool // the caller was lost
	lost    bool // the room was lost
	told    transport.LinkState
	last    bool // the session was told that nothing comes any more
	muted   bool
	track   string // SID of the caller's that is heard
	ear     *ear
	deaf    chan struct{} // ends the ear's goroutine
	parted  bool          // nobody is heard any more: what the room still says comes too late

	gate   sync.RWMutex // held for reading while the session is told something
	closed bool
	begun  bool
	in     transport.Ingress
	early  []func(in transport.Ingress) // under mu

	hearing sync.WaitGroup // the goroutines of ears
	heard   *ear           // the latest, also when it has ended

	voice voice
	texts texts
	state state
	chat  chat
}

var (
	_ transport.Link       = (*call)(nil)
	_ transport.TextSink   = (*call)(nil)
	_ transport.SignalSink = (*call)(nil)
	_ events               = (*call)(nil)
)

func newCall(s *Server, name string) *call {
	return &call{
		server: s, name: name, over: make(chan struct{}), people: map[string]*roomproto.Participant{}, changed: make(chan struct{}, 1),
	}
}

// enter is called when the room was joined.
func (c *call) enter(r room) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room = r
	c.state.say(r, initializing)
}

// await waits for somebody to talk to.
func (c *call) await(ctx context.Context) (Caller, error) {
	for {
		if who, found := c.choose(); found {
			return who, nil
		}
		select {
		case <-c.changed:
		case <-c.over:
			c.mu.Lock()
			defer c.mu.Unlock()
			return Caller{}, c.why
		case <-ctx.Done():
			return Caller{}, fmt.Errorf("livekit: room %q: nobody came: %w", c.name, context.Cause(ctx))
		}
	}
}

// open binds the session.
func (c *call) open(_ context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	encoder, err := c.server.config.Opus.NewEncoder()
	if err != nil {
		return nil, err
	}
	if err := c.voice.init(encoder, c.room); err != nil {
		encoder.Close()
		return nil, err
	}
	c.gate.Lock()
	c.in = in
	c.gate.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = b.SessionID
	c.texts.init(c.room, c.caller)
	c.follow()
	return c, nil
}

// began lets through what has waited for the session to begin.
func (c *call) began() {
	c.mu.Lock()
	early := c.early
	c.early = nil
	for _, f := range early {
		c.now(f)
	}
	c.gate.Lock()
	c.begun = true
	c.gate.Unlock()
	c.mu.Unlock()
	c.state.say(c.room, listening)
}

// now calls the session unless the link is closed.
func (c *call) now(f func(in transport.Ingress)) {
	c.gate.RLock()
	defer c.gate.RUnlock()
	if c.in != nil && !c.closed {
		f(c.in)
	}
}

// tell calls the session, once it has begun. mu is held: what is told is told in order.
func (c *call) tell(f func(in transport.Ingress)) {
	c.gate.RLock()
	begun := c.begun
	c.gate.RUnlock()
	if begun {
		c.now(f)
		return
	}
	if c.caller == "" {
		return
	}
	if len(c.early) >= mostEarly {
		c.server.counts.overflow.Add(1)
		return
	}
	c.early = append(c.early, f)
}

// present follows who is there.
func (c *call) present(list []*roomproto.Participant, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	for _, p := range list {
		if p == nil || p.Identity == "" || p.Identity == c.server.config.Identity {
			continue
		}
		seen[p.Identity] = true
		c.know(p)
	}
	if all {
		for identity, p := range c.people {
			if !seen[identity] {
				c.know(&roomproto.Participant{Identity: identity, SID: p.SID, State: roomproto.Disconnected, Reason: roomproto.ConnectionTimeout})
			}
		}
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// know takes what is new about somebody. mu is held.
func (c *call) know(p *roomproto.Participant) {
	known := c.people[p.Identity]
	if known != nil && known.SID != p.SID && p.State != roomproto.Disconnected && p.Identity == c.caller && !c.away {
		c.gone(roomproto.DuplicateIdentity) // this is another stay of theirs
	}
	switch {
	case p.State == roomproto.Disconnected && known != nil && known.SID != p.SID:
		return // an earlier stay of theirs has ended
	case p.State == roomproto.Disconnected:
		delete(c.people, p.Identity)
	case known == nil && len(c.people) >= mostPresent && p.Identity != c.caller:
		c.server.counts.overflow.Add(1)
		return
	default:
		c.people[p.Identity] = p
	}
	if c.caller == "" || p.Identity != c.caller {
		return
	}
	if c.away {
		return // whoever it is, until they are let in again
	}
	if p.State == roomproto.Disconnected {
		c.gone(p.Reason)
		return
	}
	c.follow()
}

// follow hears the caller's microphone, and knows whether it is on. mu is held.
func (c *call) follow() {
	p := c.people[c.caller]
	if p == nil || c.parted {
		return
	}
	t := microphone(p)
	if t == nil {
		return
	}
	if t.Encryption != 0 {
		c.server.log.Error("livekit: the caller's sound is encrypted end to end, and the agent has no key", "room", c.name)
		return
	}
	if t.Muted != c.muted {
		c.muted = t.Muted
		on := t.Muted
		c.tell(func(in transport.Ingress) { in.Muted(on) })
	}
	if t.SID == c.track {
		return
	}
	c.track = t.SID
	c.texts.heard(t.SID)
	c.listen()
	c.room.subscribe(p.SID, t.SID)
}

// microphone is the track of a participant that is their voice.
func microphone(p *roomproto.Participant) (best *roomproto.Track) {
	for _, t := range p.Tracks {
		if t == nil || t.Type != roomproto.Audio || t.SID == "" {
			continue
		}
		if t.Source == roomproto.SourceMicrophone {
			return t
		}
		if t.Source == roomproto.SourceUnknown && best == nil {
			best = t
		}
	}
	return best
}

// listen begins to hear the track. mu is held.
func (c *call) listen() {
	c.hush()
	e, err := newEar(&c.server.counts)
	if err != nil {
		c.server.log.Error("livekit: the caller cannot be heard", "room", c.name, "error", err)
		return
	}
	c.ear, c.deaf = e, make(chan struct{})
	stop, before := c.deaf, c.heard
	c.heard = e
	c.hearing.Go(transport.Contain(c.broken, func() {
		defer close(e.ended)
		if before != nil { // sound comes from one at a time, and its numbers go on
			<-before.ended
			e.slot = before.slot + between
		}
		e.run(stop, c.isMuted, c.now)
	}))
}

// broken ends the call: something of it has panicked, which may hold its locks.
func (c *call) broken(*transport.Panic) {
	c.now(func(in transport.Ingress) { in.Link(transport.LinkGone) })
}

// hush stops to hear. mu is held.
func (c *call) hush() {
	if c.ear != nil {
		close(c.deaf)
		c.ear = nil
	}
}

func (c *call) isMuted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.muted
}

// sound takes a packet of the track that is heard.
func (c *call) sound(track string, p *rtp.Packet) {
	c.mu.Lock()
	e, ours := c.ear, track == c.track && !c.away
	c.mu.Unlock()
	if !ours || e == nil {
		c.server.counts.foreign.Add(1)
		return
	}
	e.take(p)
}

// gone tells that the caller is not there any more. mu is held.
func (c *call) gone(why roomproto.Reason) {
	c.track = ""
	c.hush()
	switch why { //nolint:exhaustive // these are on purpose, all others are not
	case roomproto.ClientInitiated, roomproto.RoomDeleted, roomproto.RoomClosed, roomproto.ParticipantRemoved, roomproto.UserRejected, roomproto.UserUnavailable:
		c.final(transport.LinkLeft)
		return
	}
	c.away = true
	c.linked()
}

// link follows the room.
func (c *call) link(s transport.LinkState, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s {
	case transport.LinkLost:
		c.lost = true
		c.server.counts.lost.Add(1)
		c.server.log.Warn("livekit: the room is lost", "room", c.name, "why", why)
		c.linked()
	case transport.LinkResumed:
		c.lost = false
		c.server.log.Info("livekit: the room is back", "room", c.name)
		c.state.again(c.room)
		c.resubscribe()
		c.linked()
	case transport.LinkGone, transport.LinkLeft:
		c.final(s)
		if c.why == nil {
			c.why = fmt.Errorf("livekit: room %q: %s: %w", c.name, why, errOver)
			close(c.over)
		}
	}
}

// resubscribe asks for the caller's track again: the server may be another one. mu is held.
func (c *call) resubscribe() {
	if p := c.people[c.caller]; p != nil && c.track != "" {
		c.room.subscribe(p.SID, c.track)
	}
}

// linked tells the session when the link as a whole is lost or back. mu is held.
func (c *call) linked() {
	lost := c.lost || c.away
	switch {
	case c.last || c.caller == "":
	case lost && c.told != transport.LinkLost:
		c.told = transport.LinkLost
		c.tell(func(in transport.Ingress) { in.Link(transport.LinkLost) })
	case !lost && c.told == transport.LinkLost:
		c.told = transport.LinkResumed
		c.tell(func(in transport.Ingress) { in.Link(transport.LinkResumed) })
	}
}

// final tells the session once that the link does not come back. mu is held.
func (c *call) final(s transport.LinkState) {
	if c.last || c.caller == "" {
		return
	}
	c.last = true
	c.tell(func(in transport.Ingress) { in.Link(s) })
}

// returning gives the caller who was lost and is there again, nil = they are not. mu is held.
func (c *call) returning() *roomproto.Participant {
	if !c.away || c.last {
		return nil
	}
	return c.people[c.caller]
}

// back lets the caller go on.
func (c *call) back(sid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.returning()
	if p == nil || p.SID != sid {
		return // and gone again
	}
	c.away = false
	c.linked()
	c.follow()
}

// choose finds somebody to talk to.
func (c *call) choose() (Caller, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first *roomproto.Participant
	for _, p := range c.people {
		if c.server.talks(p) && (first == nil || p.SID < first.SID) {
			first = p
		}
	}
	if first == nil {
		return Caller{}, false
	}
	c.caller = first.Identity
	return c.callerOf(first), true
}

func (c *call) callerOf(p *roomproto.Participant) Caller {
	return Caller{Room: c.name, Identity: p.Identity, Name: p.Name, Metadata: p.Metadata, Attributes: p.Attributes}
}

// data takes what somebody has sent: the caller's text and keys.
func (c *call) data(p *roomproto.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.caller == "" || p.Identity != c.caller || c.away {
		c.server.counts.foreign.Add(1)
		return
	}
	if p.RPC != nil {
		c.answer(p)
		return
	}
	f, err := c.chat.take(p)
	if err != nil {
		c.server.counts.malformed.Add(1)
	}
	if f != nil {
		c.tell(f)
	}
}

// answer says that there are no methods to call, rather than letting the caller wait.
func (c *call) answer(p *roomproto.Packet) {
	to := []string{p.Identity}
	c.room.send(&roomproto.Packet{Destinations: to, RPCAck: &roomproto.RPCAck{ID: p.RPC.ID}})
	c.room.send(&roomproto.Packet{Destinations: to, RPCReply: &roomproto.RPCReply{
		ID: p.RPC.ID, Error: &roomproto.RPCError{Code: roomproto.UnsupportedMethod, Message: "this agent has no methods"},
	}})
}

var errOver = errors.New("the call is over")

// WriteFrame sends a frame of the agent.
func (c *call) WriteFrame(f *transport.Frame) error { return c.voice.write(f) }

// Fence drops what is queued.
func (c *call) Fence(f transport.Fence) { c.voice.fence(f) }

// WriteText shows what is said.
func (c *call) WriteText(t transport.Text) { c.texts.write(t) }

// TextWindow says that any number of pieces is taken.
func (*call) TextWindow() int { return 0 }

// WriteSignal follows the turns, for the agent's state and the ends of texts.
func (c *call) WriteSignal(e *eventabi.Envelope) {
	switch e.Signal { //nolint:exhaustive // these are what a room is shown
	case eventabi.SignalTurnOpen:
		c.state.say(c.room, thinking)
	case eventabi.SignalPlaybackStarted:
		c.state.say(c.room, speaking)
	case eventabi.SignalPlaybackCompleted, eventabi.SignalPlaybackCancelled:
		c.state.say(c.room, listening)
	case eventabi.SignalAbort:
		c.state.say(c.room, listening)
	case eventabi.SignalClose:
		c.texts.close(string(e.TurnID))
	}
	if e.Signal == eventabi.SignalPlaybackCancelled && e.TurnID != "" {
		c.texts.cut(string(e.TurnID))
	}
}

// Close leaves the room.
func (c *call) Close(string) error {
	c.gate.Lock()
	already := c.closed
	c.closed = true
	c.gate.Unlock()
	if already {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), leaveWithin)
	defer stop()
	c.texts.closeAll()
	err := c.voice.close(ctx)
	c.part(ctx)
	return err
}

// part leaves the room and waits for what runs.
func (c *call) part(ctx context.Context) {
	c.mu.Lock()
	c.parted, c.track = true, ""
	c.hush()
	c.mu.Unlock()
	c.room.leave(ctx)
	c.hearing.Wait()
}
