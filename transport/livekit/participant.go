// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

const (
	// mostDetours bounds how often a server may name another one.
	mostDetours = 3
	// The pause between two tries to have a room back.
	firstBackoff   = 200 * time.Millisecond
	longestBackoff = 5 * time.Second
	// mostResumes is how often it is tried to be who we were, before we join anew.
	mostResumes = 3
)

// participant is a room by LiveKit's own protocol. One goroutine, at first that of who joins,
// has the signalling and the descriptions; what comes from elsewhere goes through post.
type participant struct {
	config   Config
	name     string
	events   events
	count    *counts
	url      *url.URL
	ctx      context.Context //nolint:containedctx // the stay's, which outlives each call
	stop     context.CancelFunc
	inbox    chan func()
	done     chan struct{}
	closing  sync.WaitGroup // connections of before
	silenced atomic.Bool    // the server has muted us

	// Of the goroutine.
	sid       string
	published *roomproto.TrackPublished
	every     time.Duration // of pings; 0 = none
	timeout   time.Duration
	ponged    time.Time

	mu     sync.Mutex
	wire   *wire
	peers  *peers
	who    self
	wanted *roomproto.ParticipantTracks
}

var _ room = (*participant)(nil)

// join is the dialer of this package.
func join(ctx context.Context, c Config, name string, e events, count *counts) (room, error) {
	u, err := address(c.URL)
	if err != nil {
		return nil, err
	}
	p := &participant{
		config: c, name: name, events: e, count: count, url: u, inbox: make(chan func(), 64), done: make(chan struct{}),
		who: self{identity: c.Identity},
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	if v := p.enter(ctx); v.what != arrived {
		close(p.done)
		out, stop := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
		defer stop()
		p.leave(out)
		return nil, v.error(name)
	}
	go transport.Contain(p.broken, p.run)()
	return p, nil
}

// outcome is how a stretch of a stay ended.
type outcome int

const (
	arrived outcome = iota
	closed          // by us
	tardy           // it took too long
	lost            // to be resumed
	anew            // to be joined anew
	over            // for good
)

type verdict struct {
	what  outcome
	why   string
	err   error
	state transport.LinkState // of over
}

func (v verdict) error(room string) error {
	err := v.err
	if err == nil {
		err = errors.New(v.why)
	}
	return fmt.Errorf("livekit: room %q cannot be joined: %w", room, err)
}

// run is the stay, from being in the room to its end.
func (p *participant) run() {
	defer close(p.done)
	for {
		v := p.pump(p.ctx, func() bool { return false })
		if v.what == lost || v.what == anew {
			p.events.link(transport.LinkLost, v.why)
			if v = p.recover(v); v.what == arrived {
				p.events.link(transport.LinkResumed, "")
				continue
			}
		}
		if v.what != closed {
			state := v.state
			if state == "" {
				state = transport.LinkGone
			}
			p.events.link(state, v.why)
		}
		return
	}
}

// recover tries to be in the room again.
func (p *participant) recover(v verdict) verdict {
	ctx, stop := context.WithTimeout(p.ctx, p.config.Resume)
	defer stop()
	same := v.what == lost
	pause := firstBackoff
	for n := 0; ; n++ {
		if n > 0 && !p.wait(ctx, pause) {
			break
		}
		pause = min(2*pause, longestBackoff)
		within, done := context.WithTimeout(ctx, p.config.Connect)
		if same {
			v = p.resume(within)
		} else {
			v = p.enter(within)
		}
		done()
		if v.what == arrived || v.what == closed || v.what == over || errors.Is(v.err, ErrCredentials) && !same {
			return v
		}
		same = same && v.what == lost && n+1 < mostResumes
	}
	if p.ctx.Err() != nil {
		return verdict{what: closed}
	}
	return verdict{what: over, why: "it did not come back: " + v.why, state: transport.LinkGone}
}

// wait lets some time pass, in which what the connections say is taken.
func (p *participant) wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return true
		case <-ctx.Done():
			return false
		case f := <-p.inbox:
			f()
		}
	}
}

// connect opens the signalling, and gives the first message.
func (p *participant) connect(ctx context.Context, sid string) (*roomproto.Response, verdict) {
	p.disconnect(ctx, nil)
	u := p.url
	for range mostDetours {
		token, err := p.config.accessToken(ctx, p.name, time.Now())
		if err != nil {
			return nil, verdict{what: anew, why: err.Error(), err: err}
		}
		w, err := dialWire(ctx, u, token, sid, p.count)
		if err != nil {
			v := verdict{what: lost, why: err.Error(), err: err}
			if errors.Is(err, errAnswer) || errors.Is(err, ErrCredentials) {
				v.what = anew
			}
			return nil, v
		}
		p.mu.Lock()
		p.wire = w
		p.mu.Unlock()
		var m *roomproto.Response
		select {
		case m = <-w.in:
		case <-ctx.Done():
		case <-p.ctx.Done():
		}
		if m == nil {
			return nil, verdict{what: lost, why: "the server has not answered"}
		}
		if m.Join == nil || m.Join.AlternativeURL == "" {
			return m, verdict{what: arrived}
		}
		next, err := address(m.Join.AlternativeURL)
		if err != nil || u.Scheme == "wss" && next.Scheme != "wss" {
			return nil, verdict{what: anew, why: "the server names another one that is none, or cannot be trusted"}
		}
		u = next
		p.disconnect(ctx, nil)
	}
	return nil, verdict{what: anew, why: "each server names another one"}
}

// disconnect ends the signalling that there is.
func (p *participant) disconnect(ctx context.Context, last *roomproto.Request) {
	p.mu.Lock()
	w := p.wire
	p.wire = nil
	p.mu.Unlock()
	if w == nil {
		return
	}
	within, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	w.close(within, last)
}

// enter joins the room anew.
func (p *participant) enter(ctx context.Context) verdict {
	m, v := p.connect(ctx, "")
	if v.what != arrived {
		return v
	}
	if m.Leave != nil {
		return p.left(m.Leave)
	}
	j := m.Join
	if j == nil || j.Participant == nil {
		return verdict{what: anew, why: "the server's first message is not about joining"}
	}
	p.letGo()
	q, err := newPeers(configuration(j.ICEServers, j.Client), near(p.url), p.count, p.peerEvents())
	if err != nil {
		return verdict{what: anew, why: err.Error(), err: err}
	}
	p.sid, p.published = j.Participant.SID, nil
	p.every, p.timeout = time.Duration(j.PingInterval)*time.Second, time.Duration(j.PingTimeout)*time.Second
	p.mu.Lock()
	p.peers, p.wanted = q, nil
	p.who = self{identity: j.Participant.Identity}
	p.mu.Unlock()
	p.events.present(j.Others, true)
	p.request(&roomproto.Request{AddTrack: &roomproto.AddTrack{
		CID: trackName, Name: p.config.Name, Type: roomproto.Audio, Source: roomproto.SourceMicrophone, DisableRED: true, Stream: streamName,
		Features: []int32{roomproto.FeatureNoDTX},
	}})
	if err := p.offer(false); err != nil {
		return verdict{what: anew, why: err.Error(), err: err}
	}
	return p.pump(ctx, func() bool { return p.published != nil && q.ready.Load() })
}

// resume takes up the stay that there was.
func (p *participant) resume(ctx context.Context) verdict {
	m, v := p.connect(ctx, p.sid)
	if v.what != arrived {
		return v
	}
	q := p.peers
	if r := m.Reconnect; r != nil {
		c := configuration(r.ICEServers, r.Client)
		_, _ = q.pub.SetConfiguration(c), q.sub.SetConfiguration(c) // of the next way that ICE looks for
	}
	q.failed.Store(false)
	p.request(&roomproto.Request{SyncState: p.standing()})
	if err := p.offer(true); err != nil {
		return verdict{what: anew, why: err.Error(), err: err}
	}
	if m.Reconnect == nil { // a server of before sends what it has at once
		if v := p.handle(m); v.what != arrived {
			return v
		}
	}
	return p.pump(ctx, func() bool { return q.pub.SignalingState() == webrtc.SignalingStateStable && q.ready.Load() })
}

// standing is how we stand, for a server that may be another one.
func (p *participant) standing() *roomproto.SyncState {
	p.mu.Lock()
	wanted := p.wanted
	p.mu.Unlock()
	s := &roomproto.SyncState{Channels: p.peers.channels(), Subscription: &roomproto.Subscription{Subscribe: true}}
	if wanted != nil {
		s.Subscription.TrackSIDs, s.Subscription.Tracks = wanted.TrackSIDs, []*roomproto.ParticipantTracks{wanted}
	}
	if p.published != nil {
		s.Published = []*roomproto.TrackPublished{p.published}
	}
	if offer, answer := p.peers.sub.CurrentRemoteDescription(), p.peers.sub.CurrentLocalDescription(); offer != nil && answer != nil {
		s.Offer = &roomproto.Description{Type: "offer", SDP: offer.SDP}
		s.Answer = &roomproto.Description{Type: "answer", SDP: answer.SDP}
	}
	return s
}

// offer offers what we publish.
func (p *participant) offer(restart bool) error {
	d, err := p.peers.makeOffer(restart)
	if err == nil {
		p.request(&roomproto.Request{Offer: d})
	}
	return err
}

// peerEvents are what the connections say.
func (p *participant) peerEvents() peerEvents {
	return peerEvents{
		candidate: func(t roomproto.Target, c webrtc.ICECandidateInit) {
			if b, err := json.Marshal(c); err == nil {
				p.request(&roomproto.Request{Trickle: &roomproto.Trickle{Candidate: string(b), Target: t}})
			}
		},
		changed: func() { p.post(func() {}) },
		sound:   p.events.sound,
		data:    p.events.data,
		broken:  p.broken,
	}
}

// broken ends the stay: something of it has panicked.
func (p *participant) broken(v *transport.Panic) {
	p.stop()
	p.events.link(transport.LinkGone, v.Error())
}

// post has the goroutine do something.
func (p *participant) post(f func()) {
	select {
	case p.inbox <- f:
	case <-p.ctx.Done():
	}
}

// letGo ends the connections that there are, beside.
func (p *participant) letGo() {
	p.mu.Lock()
	q := p.peers
	p.peers = nil
	p.mu.Unlock()
	if q != nil {
		p.closing.Go(transport.Contain(nil, q.close))
	}
}

// pump takes what comes until something is so.
func (p *participant) pump(ctx context.Context, until func() bool) verdict {
	w, q := p.wire, p.peers
	var pings <-chan time.Time
	if p.every > 0 {
		t := time.NewTicker(p.every)
		defer t.Stop()
		pings = t.C
	}
	p.ponged = time.Now()
	for !until() {
		if q.failed.Load() {
			return verdict{what: lost, why: "ICE has failed"}
		}
		select {
		case <-p.ctx.Done():
			return verdict{what: closed}
		case <-ctx.Done():
			return verdict{what: tardy, why: "it took too long", err: context.Cause(ctx)}
		case f := <-p.inbox:
			f()
		case m, more := <-w.in:
			if !more {
				return verdict{what: lost, why: fmt.Sprintf("the signalling is lost: %v", w.err)}
			}
			if v := p.handle(m); v.what != arrived {
				return v
			}
		case <-pings:
			if p.timeout > 0 && time.Since(p.ponged) > p.timeout {
				return verdict{what: lost, why: "the server does not answer pings"}
			}
			now := time.Now().UnixMilli()
			p.request(&roomproto.Request{Ping: now})
			p.request(&roomproto.Request{PingReq: &roomproto.Ping{Timestamp: now}})
		}
	}
	return verdict{what: arrived}
}

// handle takes a message of the server.
func (p *participant) handle(m *roomproto.Response) verdict {
	p.ponged = time.Now()
	switch {
	case m.Leave != nil:
		return p.left(m.Leave)
	case m.Answer != nil:
		if err := p.peers.answered(m.Answer); err != nil {
			return p.wrong("an answer", err)
		}
	case m.Offer != nil:
		d, err := p.peers.answer(m.Offer)
		if err != nil {
			return p.wrong("an offer", err)
		}
		p.request(&roomproto.Request{Answer: d})
	case m.Trickle != nil:
		p.peers.trickle(m.Trickle)
	case m.Update != nil:
		p.events.present(m.Update.Participants, m.Update.Full)
	case m.TrackPublished != nil && m.TrackPublished.CID == trackName && m.TrackPublished.Track != nil:
		p.published = m.TrackPublished
		p.mu.Lock()
		p.who.track = m.TrackPublished.Track.SID
		p.mu.Unlock()
	case m.Mute != nil && p.published != nil && m.Mute.SID == p.published.Track.SID:
		p.silenced.Store(m.Mute.Muted)
	case m.Unpublished != nil && p.published != nil && m.Unpublished.SID == p.published.Track.SID:
		return verdict{what: anew, why: "the server has taken the agent's track away"}
	case m.Subscribed != nil && m.Subscribed.Error != 0:
		p.config.Log.Error("livekit: a track cannot be heard", "room", p.name, "track", m.Subscribed.TrackSID, "error", m.Subscribed.Error)
	case m.Reply != nil && m.Reply.Reason != 0:
		p.config.Log.Warn("livekit: a request was refused", "room", p.name, "reason", m.Reply.Reason, "message", printable(m.Reply.Message))
	}
	return verdict{what: arrived}
}

// wrong is a description that cannot be used: the room is joined anew.
func (p *participant) wrong(what string, err error) verdict {
	p.count.malformed.Add(1)
	return verdict{what: anew, why: fmt.Sprintf("%s of the server cannot be used: %v", what, err), err: err}
}

// left is what the server's leave means.
func (p *participant) left(l *roomproto.Leave) verdict {
	why := fmt.Sprintf("the server says leave, for reason %d", l.Reason)
	switch {
	case l.Action == roomproto.Resume:
		return verdict{what: lost, why: why}
	case l.Action == roomproto.Restart || l.CanReconnect:
		return verdict{what: anew, why: why}
	}
	switch l.Reason { //nolint:exhaustive // these are of the room's own making
	case roomproto.ClientInitiated, roomproto.RoomDeleted, roomproto.RoomClosed, roomproto.ParticipantRemoved:
		return verdict{what: over, why: why, state: transport.LinkLeft}
	}
	return verdict{what: over, why: why, state: transport.LinkGone}
}

// request sends to the server, if there is one at the moment.
func (p *participant) request(r *roomproto.Request) {
	p.mu.Lock()
	w := p.wire
	p.mu.Unlock()
	if w != nil {
		w.send(r)
	}
}

func (p *participant) self() self {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.who
}

func (p *participant) now() *peers {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peers
}

func (p *participant) write(ctx context.Context, packet *rtp.Packet) error {
	q := p.now()
	if q == nil || p.silenced.Load() {
		return errNoTrack
	}
	return q.write(ctx, packet)
}

func (p *participant) send(packet *roomproto.Packet) bool {
	q := p.now()
	if q == nil {
		p.count.unsent.Add(1)
		return false
	}
	return q.send(packet)
}

func (p *participant) describe(attributes map[string]string) {
	p.request(&roomproto.Request{Metadata: &roomproto.MetadataUpdate{Attributes: attributes}})
}

func (p *participant) subscribe(who, track string) {
	wanted := &roomproto.ParticipantTracks{ParticipantSID: who, TrackSIDs: []string{track}}
	p.mu.Lock()
	p.wanted = wanted
	p.mu.Unlock()
	p.request(&roomproto.Request{Subscription: &roomproto.Subscription{
		TrackSIDs: wanted.TrackSIDs, Subscribe: true, Tracks: []*roomproto.ParticipantTracks{wanted},
	}})
}

// leave says goodbye and lets go of everything.
func (p *participant) leave(ctx context.Context) {
	p.stop()
	gone := make(chan struct{})
	go transport.Contain(nil, func() {
		defer close(gone)
		<-p.done
		p.disconnect(ctx, &roomproto.Request{Leave: &roomproto.Leave{Reason: roomproto.ClientInitiated}})
		p.letGo()
		p.closing.Wait()
	})()
	select {
	case <-gone:
	case <-ctx.Done():
	}
}
