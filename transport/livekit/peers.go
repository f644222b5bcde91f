// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

const (
	// The patience of ICE, as LiveKit's SDKs have it.
	iceDisconnected = 10 * time.Second
	iceFailed       = 5 * time.Second
	iceKeepAlive    = 2 * time.Second
	// mostCandidates bounds those that come before their description.
	mostCandidates = 64
	// mostBuffered bounds the data that waits for the wire, and mostWaiting the packets that
	// wait for the channel.
	mostBuffered = 1 << 20
	mostWaiting  = 64
	// mostData bounds a packet of data.
	mostData = 1 << 17

	streamName = "parley"
	trackName  = "parley-voice"
)

// peers are the two connections of a participant: one to publish by, one to subscribe by.
type peers struct {
	count *counts
	pub   *webrtc.PeerConnection
	sub   *webrtc.PeerConnection
	voice *webrtc.TrackLocalStaticRTP
	lossy *webrtc.DataChannel
	data  *webrtc.DataChannel // reliable
	done  sync.WaitGroup      // the goroutines that read

	// Of the participant's goroutine.
	early [2][]webrtc.ICECandidateInit
	offer uint32 // the number of ours

	ready  atomic.Bool // ICE and DTLS of pub
	failed atomic.Bool

	mu       sync.Mutex
	open     bool // the reliable channel is
	closed   bool
	sequence uint32
	waiting  [][]byte
}

// heard is what comes by peers. All may be called from any goroutine.
type peerEvents struct {
	candidate func(t roomproto.Target, c webrtc.ICECandidateInit)
	changed   func()
	sound     func(track string, p *rtp.Packet)
	data      func(p *roomproto.Packet)
	broken    func(p *transport.Panic) // a callback has panicked
}

func newAPI(loopback bool) (*webrtc.API, error) {
	m := new(webrtc.MediaEngine)
	if err := m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opusCapability(), PayloadType: 111}, webrtc.RTPCodecTypeAudio); err != nil {
		return nil, err
	}
	i := new(interceptor.Registry)
	if err := webrtc.ConfigureRTCPReports(i); err != nil {
		return nil, err
	}
	var s webrtc.SettingEngine
	s.SetICETimeouts(iceDisconnected, iceFailed, iceKeepAlive)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(loopback)
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	s.LoggerFactory = quiet
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(i), webrtc.WithSettingEngine(s)), nil
}

func opusCapability() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}
}

// configuration is what the server wants of ICE.
func configuration(servers []*roomproto.ICEServer, client *roomproto.ClientConfig) (c webrtc.Configuration) {
	for _, s := range servers {
		if s != nil && len(s.URLs) > 0 {
			c.ICEServers = append(c.ICEServers, webrtc.ICEServer{URLs: s.URLs, Username: s.Username, Credential: s.Credential})
		}
	}
	if client != nil && client.ForceRelay == roomproto.RelayEnabled {
		c.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	return c
}

// newPeers makes the connections; nothing is sent yet.
func newPeers(c webrtc.Configuration, loopback bool, count *counts, on peerEvents) (q *peers, err error) {
	api, err := newAPI(loopback)
	if err != nil {
		return nil, err
	}
	q = &peers{count: count}
	defer func() {
		if err != nil {
			q.close()
			err = fmt.Errorf("livekit: the connections cannot be made: %w", err)
		}
	}()
	if q.pub, err = api.NewPeerConnection(c); err != nil {
		return q, err
	}
	if q.sub, err = api.NewPeerConnection(c); err != nil {
		return q, err
	}
	for target, pc := range map[roomproto.Target]*webrtc.PeerConnection{roomproto.Publisher: q.pub, roomproto.Subscriber: q.sub} {
		pc.OnICECandidate(func(found *webrtc.ICECandidate) {
			defer transport.Recover(on.broken)
			if found != nil {
				on.candidate(target, found.ToJSON())
			}
		})
		pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
			defer transport.Recover(on.broken)
			if target == roomproto.Publisher {
				q.ready.Store(s == webrtc.PeerConnectionStateConnected)
			}
			if s == webrtc.PeerConnectionStateFailed {
				q.failed.Store(true)
			}
			on.changed()
		})
	}
	q.sub.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		defer transport.Recover(on.broken)
		q.hear(t, r, on)
	})
	q.sub.OnDataChannel(func(d *webrtc.DataChannel) {
		defer transport.Recover(on.broken)
		if l := d.Label(); l == roomproto.ReliableChannel || l == roomproto.LossyChannel {
			d.OnMessage(func(m webrtc.DataChannelMessage) {
				defer transport.Recover(on.broken)
				q.read(m, on.data)
			})
		}
	})
	return q, q.publish(on.broken)
}

// publish prepares what goes out: the track and the channels.
func (q *peers) publish(broken func(*transport.Panic)) (err error) {
	if q.voice, err = webrtc.NewTrackLocalStaticRTP(opusCapability(), trackName, streamName); err != nil {
		return err
	}
	t, err := q.pub.AddTransceiverFromTrack(q.voice, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return err
	}
	q.done.Go(transport.Contain(broken, func() { drain(t.Sender().Read) }))
	no, once := false, uint16(1)
	if q.lossy, err = q.pub.CreateDataChannel(roomproto.LossyChannel, &webrtc.DataChannelInit{Ordered: &no, MaxRetransmits: &once}); err != nil {
		return err
	}
	if q.data, err = q.pub.CreateDataChannel(roomproto.ReliableChannel, nil); err != nil {
		return err
	}
	q.data.OnOpen(transport.Contain(broken, q.opened))
	return nil
}

// drain reads reports, which the library looks at on their way.
func drain(read func([]byte) (int, interceptor.Attributes, error)) {
	buffer := make([]byte, 1500)
	for {
		if _, _, err := read(buffer); err != nil {
			return
		}
	}
}

// hear reads a track until its connection ends.
func (q *peers) hear(t *webrtc.TrackRemote, r *webrtc.RTPReceiver, on peerEvents) {
	q.mu.Lock()
	closed := q.closed
	if !closed {
		q.done.Add(2)
	}
	q.mu.Unlock()
	if closed {
		return
	}
	go transport.Contain(on.broken, func() {
		defer q.done.Done()
		drain(r.Read)
	})()
	defer q.done.Done()
	track := trackOf(t.StreamID(), t.ID())
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		on.sound(track, p)
	}
}

// trackOf finds the SID of a track: servers say it in the stream's id, behind the
// participant's, or as the track's own id.
func trackOf(stream, id string) string {
	if _, rest, packed := strings.Cut(stream, "|"); packed && strings.HasPrefix(rest, "TR") {
		return rest
	}
	return id
}

// read takes a packet of data.
func (q *peers) read(m webrtc.DataChannelMessage, take func(p *roomproto.Packet)) {
	p := new(roomproto.Packet)
	if m.IsString || len(m.Data) > mostData || roomproto.Unmarshal(m.Data, p) != nil {
		q.count.malformed.Add(1)
		return
	}
	take(p)
}

var errNoTrack = errors.New("livekit: the room hears nothing at the moment")

// write sends a packet of sound.
func (q *peers) write(_ context.Context, p *rtp.Packet) error {
	if !q.ready.Load() {
		return errNoTrack
	}
	return q.voice.WriteRTP(p)
}

// send sends data, or keeps it until the channel is open.
func (q *peers) send(p *roomproto.Packet) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || !q.open && len(q.waiting) >= mostWaiting || q.open && q.data.BufferedAmount() > mostBuffered {
		q.count.unsent.Add(1)
		return false
	}
	q.sequence++
	p.Sequence = q.sequence
	b := roomproto.Marshal(nil, p)
	if !q.open {
		q.waiting = append(q.waiting, b)
		return true
	}
	return q.pass(b)
}

func (q *peers) pass(b []byte) bool {
	if q.data.Send(b) != nil {
		q.count.unsent.Add(1)
		return false
	}
	return true
}

// opened sends what has waited for the channel.
func (q *peers) opened() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = true
	for _, b := range q.waiting {
		q.pass(b)
	}
	q.waiting = nil
}

// makeOffer offers what is published; restart has ICE look for its way anew.
func (q *peers) makeOffer(restart bool) (*roomproto.Description, error) {
	if restart && q.pub.SignalingState() == webrtc.SignalingStateHaveLocalOffer {
		// The answer was lost with the wire: as if it had been the one before.
		before := q.pub.CurrentRemoteDescription()
		if before == nil {
			return nil, errors.New("livekit: the first offer was not answered")
		}
		if err := q.pub.SetRemoteDescription(*before); err != nil {
			return nil, err
		}
	}
	offer, err := q.pub.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
	if err != nil {
		return nil, err
	}
	if err := q.pub.SetLocalDescription(offer); err != nil {
		return nil, err
	}
	q.offer++
	return &roomproto.Description{Type: offer.Type.String(), SDP: offer.SDP, ID: q.offer}, nil
}

// answered takes the answer to our offer.
func (q *peers) answered(d *roomproto.Description) error {
	if d.ID != 0 && d.ID != q.offer || q.pub.SignalingState() != webrtc.SignalingStateHaveLocalOffer {
		return nil // to an offer before
	}
	if err := q.pub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: d.SDP}); err != nil {
		return err
	}
	q.late(roomproto.Publisher, q.pub)
	return nil
}

// answer answers the server's offer.
func (q *peers) answer(d *roomproto.Description) (*roomproto.Description, error) {
	if err := q.sub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: d.SDP}); err != nil {
		return nil, err
	}
	q.late(roomproto.Subscriber, q.sub)
	answer, err := q.sub.CreateAnswer(nil)
	if err != nil {
		return nil, err
	}
	if err := q.sub.SetLocalDescription(answer); err != nil {
		return nil, err
	}
	return &roomproto.Description{Type: answer.Type.String(), SDP: answer.SDP, ID: d.ID}, nil
}

// trickle takes a candidate of the server's.
func (q *peers) trickle(t *roomproto.Trickle) {
	var c webrtc.ICECandidateInit
	if t.Target != roomproto.Publisher && t.Target != roomproto.Subscriber || json.Unmarshal([]byte(t.Candidate), &c) != nil {
		q.count.malformed.Add(1)
		return
	}
	pc := q.pub
	if t.Target == roomproto.Subscriber {
		pc = q.sub
	}
	early := &q.early[t.Target]
	switch {
	case pc.RemoteDescription() != nil:
		if pc.AddICECandidate(c) != nil {
			q.count.malformed.Add(1)
		}
	case len(*early) >= mostCandidates:
		q.count.overflow.Add(1)
	default:
		*early = append(*early, c)
	}
}

// late takes the candidates that came before their description.
func (q *peers) late(t roomproto.Target, pc *webrtc.PeerConnection) {
	for _, c := range q.early[t] {
		if pc.AddICECandidate(c) != nil {
			q.count.malformed.Add(1)
		}
	}
	q.early[t] = nil
}

// channels are those that are open, for a server that may be another one.
func (q *peers) channels() (list []*roomproto.DataChannel) {
	for _, d := range []*webrtc.DataChannel{q.data, q.lossy} {
		if id := d.ID(); id != nil {
			list = append(list, &roomproto.DataChannel{Label: d.Label(), ID: uint32(*id), Target: roomproto.Publisher})
		}
	}
	return list
}

// close ends the connections, and waits for those who read.
func (q *peers) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	for _, pc := range []*webrtc.PeerConnection{q.pub, q.sub} {
		if pc != nil {
			_ = pc.GracefulClose() // they are let go of either way
		}
	}
	q.done.Wait()
}
