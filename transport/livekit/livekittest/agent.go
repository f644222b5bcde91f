// SPDX-License-Identifier: Apache-2.0

package livekittest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

var errGone = errors.New("livekittest: the agent has left")

// Agent is an agent in a room, as the server sees it.
type Agent struct {
	room     *Room
	SID      string
	Identity string
	pub, sub *webrtc.PeerConnection
	done     sync.WaitGroup
	gone     atomic.Bool
	over     chan struct{} // closed with gone

	negotiating chan struct{} // holds one while an offer of sub is open
	offers      uint32

	mu         sync.Mutex
	ws         *websocket.Conn
	ctx        context.Context //nolint:containedctx // of ws
	data       *webrtc.DataChannel
	opened     chan struct{}
	early      [2][]webrtc.ICECandidateInit
	tracks     map[string]*webrtc.TrackLocalStaticRTP // by SID, of people
	track      *roomproto.Track                       // its own
	attributes map[string]string
	left       bool // it said so
	resumed    int
	restarts   int // offers that had ICE look for its way anew
	synced     []*roomproto.SyncState
	ufrag      string
	packets    []*rtp.Packet
	received   []*roomproto.Packet
}

func (r *Room) enter(identity string) (a *Agent, err error) {
	a = &Agent{
		room: r, SID: r.server.id("PA"), Identity: identity, opened: make(chan struct{}), over: make(chan struct{}),
		negotiating: make(chan struct{}, 1), tracks: map[string]*webrtc.TrackLocalStaticRTP{},
		attributes: map[string]string{},
	}
	if a.pub, err = r.server.api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return nil, err
	}
	if a.sub, err = r.server.api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return nil, err
	}
	a.pub.OnICECandidate(func(c *webrtc.ICECandidate) { a.candidate(roomproto.Publisher, c) })
	a.sub.OnICECandidate(func(c *webrtc.ICECandidate) { a.candidate(roomproto.Subscriber, c) })
	a.pub.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { a.hear(t) })
	a.pub.OnDataChannel(func(d *webrtc.DataChannel) {
		d.OnMessage(func(m webrtc.DataChannelMessage) {
			p := new(roomproto.Packet)
			if err := roomproto.Unmarshal(m.Data, p); err != nil {
				r.server.tb.Errorf("livekittest: a packet of data cannot be read: %v", err)
				return
			}
			if p.Identity == "" {
				p.Identity = identity
			}
			a.mu.Lock()
			a.received = append(a.received, p)
			a.mu.Unlock()
		})
	})
	if a.data, err = a.sub.CreateDataChannel(roomproto.ReliableChannel, nil); err != nil {
		return nil, err
	}
	a.data.OnOpen(func() { close(a.opened) })
	r.mu.Lock()
	r.agents = append(r.agents, a)
	r.mu.Unlock()
	return a, nil
}

func (a *Agent) candidate(t roomproto.Target, c *webrtc.ICECandidate) {
	if c == nil {
		return
	}
	if b, err := json.Marshal(c.ToJSON()); err == nil {
		a.Say(&roomproto.Response{Trickle: &roomproto.Trickle{Candidate: string(b), Target: t}})
	}
}

// hear keeps what the agent says.
func (a *Agent) hear(t *webrtc.TrackRemote) {
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		a.mu.Lock()
		a.packets = append(a.packets, p)
		a.mu.Unlock()
	}
}

// Say sends the agent a message of signalling.
func (a *Agent) Say(m *roomproto.Response) {
	a.mu.Lock()
	ws, ctx := a.ws, a.ctx
	a.mu.Unlock()
	if ws != nil {
		write(ctx, ws, m)
	}
}

// Garble sends bytes that are no message.
func (a *Agent) Garble(b []byte) {
	a.mu.Lock()
	ws, ctx := a.ws, a.ctx
	a.mu.Unlock()
	_ = ws.Write(ctx, websocket.MessageBinary, b)
}

// Cut ends the signalling without a word.
func (a *Agent) Cut() {
	a.mu.Lock()
	ws := a.ws
	a.mu.Unlock()
	_ = ws.CloseNow()
}

// serve lets the agent in and listens to it.
func (a *Agent) serve(ctx context.Context, ws *websocket.Conn) {
	a.attach(ctx, ws)
	c := a.room.server.config
	a.Say(&roomproto.Response{Join: &roomproto.Join{
		Room: &roomproto.Room{Name: a.room.name}, Participant: &roomproto.Participant{SID: a.SID, Identity: a.Identity, Kind: roomproto.KindAgent},
		Others: a.room.present(), SubscriberPrimary: true, PingInterval: c.PingInterval, PingTimeout: c.PingTimeout,
		Server: &roomproto.ServerInfo{Version: "livekittest", Protocol: 17},
	}})
	a.offer(false)
	a.listen(ctx, ws)
}

// resume takes the agent back.
func (a *Agent) resume(ctx context.Context, ws *websocket.Conn) {
	a.attach(ctx, ws)
	a.mu.Lock()
	a.resumed++
	a.mu.Unlock()
	a.Say(&roomproto.Response{Reconnect: &roomproto.Reconnect{}})
	a.Say(&roomproto.Response{Update: &roomproto.ParticipantUpdate{Participants: a.room.present()}})
	a.offer(true)
	a.listen(ctx, ws)
}

func (a *Agent) attach(ctx context.Context, ws *websocket.Conn) {
	a.mu.Lock()
	a.ws, a.ctx = ws, ctx
	a.mu.Unlock()
}

func (a *Agent) listen(ctx context.Context, ws *websocket.Conn) {
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return
		}
		m := new(roomproto.Request)
		if err := roomproto.Unmarshal(data, m); err != nil {
			a.room.server.tb.Errorf("livekittest: a request cannot be read: %v", err)
			continue
		}
		// An answer that was on its way when its connection closed comes too late, and is none's fault.
		if err := a.take(m); err != nil && !a.gone.Load() && !errors.Is(err, webrtc.ErrConnectionClosed) {
			a.room.server.tb.Errorf("livekittest: %+v: %v", m, err)
		}
		if m.Leave != nil {
			return
		}
	}
}

func (a *Agent) take(m *roomproto.Request) error {
	switch {
	case m.Offer != nil:
		return a.answer(m.Offer)
	case m.Answer != nil:
		defer a.negotiated()
		if m.Answer.ID != a.offers {
			a.room.server.tb.Errorf("livekittest: the answer has the number %d; the offer had %d", m.Answer.ID, a.offers)
		}
		if err := a.sub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.Answer.SDP}); err != nil {
			return err
		}
		return a.late(roomproto.Subscriber, a.sub)
	case m.Trickle != nil:
		return a.trickle(m.Trickle)
	case m.AddTrack != nil:
		a.mu.Lock()
		a.track = &roomproto.Track{SID: a.room.server.id("TR"), Type: m.AddTrack.Type, Name: m.AddTrack.Name, Source: m.AddTrack.Source}
		track := a.track
		a.mu.Unlock()
		a.Say(&roomproto.Response{TrackPublished: &roomproto.TrackPublished{CID: m.AddTrack.CID, Track: track}})
	case m.Subscription != nil:
		return a.subscribe(m.Subscription)
	case m.Metadata != nil:
		a.mu.Lock()
		maps.Copy(a.attributes, m.Metadata.Attributes)
		a.mu.Unlock()
	case m.SyncState != nil:
		a.mu.Lock()
		a.synced = append(a.synced, m.SyncState)
		a.mu.Unlock()
	case m.PingReq != nil:
		a.room.server.mu.Lock()
		pong := a.room.server.pong
		a.room.server.mu.Unlock()
		if pong {
			a.Say(&roomproto.Response{PongResp: &roomproto.Pong{LastPing: m.PingReq.Timestamp}})
		}
	case m.Leave != nil:
		a.mu.Lock()
		a.left = true
		a.mu.Unlock()
		a.close()
	}
	return nil
}

// answer answers what the agent publishes.
func (a *Agent) answer(d *roomproto.Description) error {
	offer := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: d.SDP}
	a.mu.Lock()
	if u := ufragOf(d.SDP); u != a.ufrag {
		if a.ufrag != "" {
			a.restarts++
		}
		a.ufrag = u
	}
	a.mu.Unlock()
	if err := a.pub.SetRemoteDescription(offer); err != nil {
		return err
	}
	if err := a.late(roomproto.Publisher, a.pub); err != nil {
		return err
	}
	answer, err := a.pub.CreateAnswer(nil)
	if err != nil {
		return err
	}
	if err := a.pub.SetLocalDescription(answer); err != nil {
		return err
	}
	a.Say(&roomproto.Response{Answer: &roomproto.Description{Type: "answer", SDP: answer.SDP, ID: d.ID}})
	return nil
}

// offer offers what the agent has subscribed to, one offer at a time.
func (a *Agent) offer(restart bool) {
	a.done.Go(func() {
		select {
		case a.negotiating <- struct{}{}:
		case <-a.over:
			return
		}
		offer, err := a.sub.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
		if err == nil {
			err = a.sub.SetLocalDescription(offer)
		}
		if err != nil {
			a.negotiated()
			if !a.gone.Load() {
				a.room.server.tb.Errorf("livekittest: no offer could be made: %v", err)
			}
			return
		}
		a.offers++
		a.Say(&roomproto.Response{Offer: &roomproto.Description{Type: "offer", SDP: offer.SDP, ID: a.offers}})
	})
}

// negotiated lets the next offer go.
func (a *Agent) negotiated() {
	select {
	case <-a.negotiating:
	default:
	}
}

func (a *Agent) trickle(t *roomproto.Trickle) error {
	var c webrtc.ICECandidateInit
	if err := json.Unmarshal([]byte(t.Candidate), &c); err != nil {
		return err
	}
	pc := a.pub
	if t.Target == roomproto.Subscriber {
		pc = a.sub
	}
	if pc.RemoteDescription() == nil {
		a.early[t.Target] = append(a.early[t.Target], c)
		return nil
	}
	return pc.AddICECandidate(c)
}

func (a *Agent) late(t roomproto.Target, pc *webrtc.PeerConnection) error {
	for _, c := range a.early[t] {
		if err := pc.AddICECandidate(c); err != nil {
			return err
		}
	}
	a.early[t] = nil
	return nil
}

// subscribe lets the agent hear somebody.
func (a *Agent) subscribe(s *roomproto.Subscription) error {
	for _, sid := range s.TrackSIDs {
		p := a.room.owner(sid)
		if p == nil {
			continue // gone meanwhile
		}
		a.mu.Lock()
		known := a.tracks[sid] != nil
		a.mu.Unlock()
		if known || !s.Subscribe {
			continue
		}
		t, err := webrtc.NewTrackLocalStaticRTP(opus(), sid, p.SID+"|"+sid)
		if err != nil {
			return err
		}
		if _, err := a.sub.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
			return err
		}
		a.mu.Lock()
		a.tracks[sid] = t
		a.mu.Unlock()
		a.offer(false)
	}
	return nil
}

// Forward has the agent hear a packet of a track that it has subscribed to, and says whether
// it has.
func (a *Agent) Forward(track string, p *rtp.Packet) bool {
	a.mu.Lock()
	t := a.tracks[track]
	a.mu.Unlock()
	return t != nil && t.WriteRTP(p) == nil
}

// Send sends the agent a packet of data.
func (a *Agent) Send(p *roomproto.Packet) error { return a.SendRaw(roomproto.Marshal(nil, p)) }

// SendRaw sends the agent any bytes as data.
func (a *Agent) SendRaw(b []byte) error {
	select {
	case <-a.opened:
		return a.data.Send(b)
	case <-a.over:
		return errGone
	}
}

// Packets are the agent's packets of RTP so far.
func (a *Agent) Packets() []*rtp.Packet {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*rtp.Packet(nil), a.packets...)
}

// Received are the agent's packets of data so far.
func (a *Agent) Received() []*roomproto.Packet {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*roomproto.Packet(nil), a.received...)
}

// Attribute is what the agent says of itself.
func (a *Agent) Attribute(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.attributes[name]
}

// Subscribed are the tracks that the agent hears.
func (a *Agent) Subscribed() (list []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for sid := range a.tracks {
		list = append(list, sid)
	}
	return list
}

// Hears says that the agent has subscribed to a track, and that its sound can reach it.
func (a *Agent) Hears(track string) bool {
	a.mu.Lock()
	known := a.tracks[track] != nil
	a.mu.Unlock()
	return known && a.sub.ConnectionState() == webrtc.PeerConnectionStateConnected && len(a.negotiating) == 0 &&
		a.sub.CurrentRemoteDescription() != nil && strings.Contains(a.sub.CurrentLocalDescription().SDP, track)
}

// Track is what the agent publishes; nil = nothing.
func (a *Agent) Track() *roomproto.Track {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.track
}

// Left says that the agent has said goodbye.
func (a *Agent) Left() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left
}

// Resumed counts how often it came back as who it was, and Restarts how often ICE looked for
// its way anew since.
func (a *Agent) Resumed() (times, restarts int, synced []*roomproto.SyncState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.resumed, a.restarts, a.synced
}

func (a *Agent) close() {
	if a.gone.Swap(true) {
		return
	}
	close(a.over)
	_, _ = a.pub.GracefulClose(), a.sub.GracefulClose()
	a.done.Wait()
}
