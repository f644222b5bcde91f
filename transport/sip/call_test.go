// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"github.com/pion/rtp"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/transporttest"
)

const patience = 20 * time.Second

// serve starts a server for a test, at ports of the machine's choice.
func serve(t *testing.T, c Config, hc transporttest.Config) (*Server, *transporttest.Host) {
	t.Helper()
	host := transporttest.NewHost(t, hc)
	return serveOn(t, c, host, host), host
}

// serveOn is serve with a host around the test's.
func serveOn(t *testing.T, c Config, host *transporttest.Host, around transport.Host) *Server {
	t.Helper()
	if c.UDP == "" {
		c.UDP = "127.0.0.1:0"
	}
	if c.TCP == "" {
		c.TCP = "127.0.0.1:0"
	}
	if c.Lowest == 0 {
		c.Lowest, c.Highest = 32000, 33999
	}
	s, err := New(c, around)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context())) // until the cleanup
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		host.Close()
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// phone is a telephone made of the library's client, with the sound by hand.
type phone struct {
	t       *testing.T
	server  *Server
	network string
	agent   *sipgo.UserAgent
	cache   *sipgo.DialogClientCache
	rtp     *net.UDPConn
	from    *net.UDPConn // sends in place of rtp; nil = rtp does
	session *sipgo.DialogClientSession
	to      netip.AddrPort // where the answer wants sound
	event   uint8

	sequence  uint16
	timestamp uint32

	mu      sync.Mutex
	heard   []rtp.Packet
	sources []netip.AddrPort
	byes    []string // Reason of each
	updates int
	changed chan struct{}
}

func newPhone(t *testing.T, s *Server, network string) *phone {
	t.Helper()
	agent, err := sipgo.NewUA(sipgo.WithUserAgent("phone"), sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet(Config{}.withDefaults().Log))))
	if err != nil {
		t.Fatal(err)
	}
	server, err := sipgo.NewServer(agent)
	if err != nil {
		t.Fatal(err)
	}
	p := &phone{t: t, server: s, network: network, agent: agent, changed: make(chan struct{}, 1), timestamp: 4242, sequence: math.MaxUint16 - 3}
	packets, streams := sockets(t)
	at := netip.MustParseAddrPort(packets.LocalAddr().String())
	client, err := sipgo.NewClient(agent, sipgo.WithClientHostname("127.0.0.1"), sipgo.WithClientPort(int(at.Port())))
	if err != nil {
		t.Fatal(err)
	}
	contact := sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: "alice", Host: "127.0.0.1", Port: int(at.Port())}}
	if network == "tcp" {
		contact.Address.UriParams = sip.NewParams()
		contact.Address.UriParams.Add("transport", "tcp")
	}
	p.cache = sipgo.NewDialogClientCache(client, contact)
	server.OnBye(func(req *sip.Request, tx sip.ServerTransaction) {
		reason := ""
		if h := req.GetHeader("Reason"); h != nil {
			reason = h.Value()
		}
		if from := req.Source(); p.network == "udp" && from != s.Addr("udp").String() {
			t.Errorf("BYE came from %s; want from the socket that listens, %s", from, s.Addr("udp"))
		}
		_ = p.cache.ReadBye(req, tx)
		p.note(func() { p.byes = append(p.byes, reason) })
	})
	server.OnUpdate(func(req *sip.Request, tx sip.ServerTransaction) {
		_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "OK", nil))
		p.note(func() { p.updates++ })
	})
	var done sync.WaitGroup
	done.Go(func() { _ = server.ServeUDP(packets) })
	done.Go(func() { _ = server.ServeTCP(streams) })
	p.rtp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done.Go(p.listen)
	t.Cleanup(func() {
		_, _, _ = packets.Close(), streams.Close(), p.rtp.Close()
		_ = agent.Close()
		done.Wait()
	})
	return p
}

// sockets gives one for UDP and one for TCP at the same port.
func sockets(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, streams
		}
		_ = packets.Close() // that port is free for UDP only
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

func (p *phone) note(f func()) {
	p.mu.Lock()
	f()
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *phone) until(what string, is func() bool) {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		ok := is()
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-p.changed:
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			p.t.Fatalf("%s: did not come", what)
		}
	}
}

func (p *phone) listen() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := p.rtp.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		var packet rtp.Packet
		if packet.Unmarshal(append([]byte(nil), buffer[:n]...)) == nil {
			p.note(func() { p.heard, p.sources = append(p.heard, packet), append(p.sources, from) })
		}
	}
}

// offer is the phone's SDP.
func (p *phone) offer(lines ...string) []byte {
	port := netip.MustParseAddrPort(p.rtp.LocalAddr().String()).Port()
	list := append([]string{
		"v=0", "o=alice 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", fmt.Sprintf("m=audio %d RTP/AVP 8 0 101", port),
		"a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000",
	}, lines...)
	return []byte(strings.Join(list, "\r\n") + "\r\n")
}

// dial calls, and gives the status of the answer.
func (p *phone) dial(ctx context.Context, body []byte, options sipgo.AnswerOptions, headers ...sip.Header) int {
	p.t.Helper()
	to := sip.Uri{Scheme: "sip", User: "agent", Host: "127.0.0.1", Port: int(p.server.Addr(p.network).Port())}
	req := sip.NewRequest(sip.INVITE, to)
	req.SetTransport(strings.ToUpper(p.network))
	req.SetBody(body)
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	for _, h := range headers {
		req.AppendHeader(h)
	}
	session, err := p.cache.WriteInvite(ctx, req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.session = session
	var refused *sipgo.ErrDialogResponse
	switch err := session.WaitAnswer(ctx, options); {
	case errors.As(err, &refused):
		return refused.Res.StatusCode
	case err != nil:
		return 0
	}
	if err := session.Ack(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.answered(session.InviteResponse.Body())
	return 200
}

func (p *phone) answered(body []byte) {
	p.t.Helper()
	o, err := readOffer(body, []Codec{PCMU, PCMA})
	if err != nil {
		p.t.Fatalf("the answer: %v\n%s", err, body)
	}
	p.to, p.event = o.remote, o.event
}

// bearing is the header with a token.
func bearing(token string) sip.Header { return sip.NewHeader("X-Parley-Token", token) }

// call dials and is answered.
func (p *phone) call(host *transporttest.Host, lines ...string) *transporttest.Session {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.t.Context(), patience)
	defer stop()
	if status := p.dial(ctx, p.offer(lines...), sipgo.AnswerOptions{}, bearing(transporttest.Token)); status != 200 {
		p.t.Fatalf("answered with %d", status)
	}
	return host.Next()
}

// send puts a packet on the wire.
func (p *phone) send(kind uint8, timestamp uint32, payload []byte) {
	p.t.Helper()
	if err := p.sendQuietly(kind, timestamp, payload); err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) sendQuietly(kind uint8, timestamp uint32, payload []byte) error {
	p.mu.Lock()
	packet := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: kind, SequenceNumber: p.sequence, Timestamp: timestamp, SSRC: 77}, Payload: payload}
	p.sequence++
	from := p.from
	p.mu.Unlock()
	if from == nil {
		from = p.rtp
	}
	b, err := packet.Marshal()
	if err != nil {
		return err
	}
	_, err = from.WriteToUDPAddrPort(b, p.to)
	return err
}

// speak sends sound at the pace of speech, in packets of 20 ms.
func (p *phone) speak(pcm []int16) {
	p.t.Helper()
	began := time.Now()
	for n := 0; len(pcm) > 0; n++ {
		time.Sleep(time.Until(began.Add(time.Duration(n) * transport.FrameDuration)))
		p.send(0, p.timestamp, codec.MuLaw.Encode(nil, pcm[:whole]))
		p.timestamp += whole
		pcm = pcm[whole:]
	}
}

// request sends a request within the call and gives the status.
func (p *phone) request(method sip.RequestMethod, body []byte, kind string, headers ...sip.Header) *sip.Response {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.t.Context(), patience)
	defer stop()
	req := sip.NewRequest(method, p.session.InviteResponse.Contact().Address)
	if body != nil {
		req.SetBody(body)
		req.AppendHeader(sip.NewHeader("Content-Type", kind))
	}
	for _, h := range headers {
		req.AppendHeader(h)
	}
	res, err := p.session.Do(ctx, req)
	if err != nil {
		p.t.Fatal(err)
	}
	if method == sip.INVITE && res.IsSuccess() {
		ack := sip.NewRequest(sip.ACK, p.session.InviteResponse.Contact().Address)
		ack.AppendHeader(&sip.CSeqHeader{SeqNo: req.CSeq().SeqNo, MethodName: sip.ACK})
		if err := p.session.WriteRequest(ack); err != nil {
			p.t.Fatal(err)
		}
	}
	return res
}

func tone(samples, rate int) []int16 {
	pcm := make([]int16, samples)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(float64(i)*2*math.Pi*400/float64(rate)))
	}
	return pcm
}

func loudest(pcm []int16) (most int16) {
	for _, v := range pcm {
		most = max(most, v)
	}
	return most
}

// TestCall: over UDP and TCP a call is answered, heard, spoken to, presses keys in three
// ways, and hangs up.
func TestCall(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			s, host := serve(t, Config{}, transporttest.Config{})
			p := newPhone(t, s, network)
			session := p.call(host)
			if o := session.Offer(); o.Kind != Kind || o.Token != transporttest.Token || o.Capabilities.Ack != transport.AckEstimate || o.Capabilities.CodecsIn[0] != "pcmu" {
				t.Errorf("offer %+v", o)
			}
			p.speak(tone(25*whole, 8000))
			heard := session.AwaitHeard(20 * transport.FrameSamples)
			if v := loudest(heard); v < 7000 || v > 9000 {
				t.Errorf("a voice of 8000 is heard at %d\n%s", v, session.Transcript())
			}
			for range 3 {
				p.send(p.event, p.timestamp, event('5', false, 160))
			}
			for range 3 {
				p.send(p.event, p.timestamp, event('5', true, 480))
			}
			if c := transporttest.Await[transport.Control](session, nil); c.Digit != "5" || c.Kind != "dtmf" || c.DurationMS != 60 || c.Key == "" {
				t.Errorf("control %+v", c)
			}
			if res := p.request(sip.INFO, []byte("Signal=#\r\nDuration=100\r\n"), "application/dtmf-relay"); res.StatusCode != 200 {
				t.Errorf("INFO: %d", res.StatusCode)
			}
			transporttest.Await(session, func(c transport.Control) bool { return c.Digit == "#" && c.DurationMS == 100 })
			p.mu.Lock()
			p.heard = nil
			p.mu.Unlock()
			session.Play("turn", 1, tone(25*transport.FrameSamples, transport.SampleRate))
			p.until("the agent's voice", func() bool { return len(p.heard) >= 25 })
			p.checkStream()
			if n := len(transporttest.Came[transport.Control](session)); n != 2 {
				t.Errorf("%d controls; want 2\n%s", n, session.Transcript())
			}
			if err := p.session.Bye(t.Context()); err != nil {
				t.Errorf("BYE: %v", err)
			}
			if state := transporttest.Await[transport.LinkState](session, nil); state != transport.LinkLeft {
				t.Errorf("link %s", state)
			}
			session.AwaitDone()
			if n := s.Stats(); n.Open != 0 || n.Calls != 1 || n.Packets < 25 || n.Foreign != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

// checkStream holds what was heard to RTP: numbers that go up by one, timestamps by the
// samples, one source, the mark on the first, the voice as it was.
func (p *phone) checkStream() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var pcm []int16
	for i, packet := range p.heard {
		pcm = codec.MuLaw.Decode(pcm, packet.Payload)
		if packet.PayloadType != 0 || len(packet.Payload) != whole || p.sources[i] != p.to {
			p.t.Fatalf("packet %d: %v from %v; want from %v", i, packet.Header, p.sources[i], p.to)
		}
		if i == 0 {
			continue
		}
		before := p.heard[i-1]
		step := packet.Timestamp - before.Timestamp
		if packet.SequenceNumber != before.SequenceNumber+1 || packet.SSRC != before.SSRC || step%whole != 0 || step == 0 || (step > whole && !packet.Marker) {
			p.t.Errorf("packet %d: %v behind %v", i, packet.Header, before.Header)
		}
	}
	if v := loudest(pcm); v < 7000 || v > 9000 {
		p.t.Errorf("a voice of 8000 is heard at %d", v)
	}
}

// TestHangUp: the session ends the call with a BYE that says why.
func TestHangUp(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		s, host := serve(t, Config{}, transporttest.Config{})
		p := newPhone(t, s, network)
		session := p.call(host)
		session.Close(`it is "over"`)
		p.until("BYE", func() bool { return len(p.byes) == 1 })
		if !strings.Contains(p.byes[0], "it is _over_") {
			t.Errorf("%s: BYE with reason %q", network, p.byes[0])
		}
		if n := s.Stats().Open; n != 0 {
			t.Errorf("%s: %d calls are open", network, n)
		}
	}
}

// TestHold: a caller who puts the call on hold is muted and hears nothing, and comes back.
func TestHold(t *testing.T) {
	s, host := serve(t, Config{}, transporttest.Config{})
	p := newPhone(t, s, "udp")
	session := p.call(host)
	res := p.request(sip.INVITE, p.offer("a=sendonly"), "application/sdp")
	if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a=recvonly") {
		t.Fatalf("hold: %d\n%s", res.StatusCode, res.Body())
	}
	transporttest.Await(session, func(m transporttest.Muted) bool { return m.On })
	if err := session.Link().WriteFrame(&transport.Frame{Turn: "a", Generation: 1, Voiced: transport.FrameSamples, PCM: make([]int16, transport.FrameSamples)}); err == nil {
		t.Error("a frame went to a caller on hold")
	}
	if res := p.request(sip.UPDATE, p.offer("a=sendrecv"), "application/sdp"); res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a=sendrecv") {
		t.Fatalf("resume: %d\n%s", res.StatusCode, res.Body())
	}
	transporttest.Await(session, func(m transporttest.Muted) bool { return !m.On })
	if res := p.request(sip.INVITE, nil, ""); res.StatusCode != 200 || len(res.Body()) == 0 { // asks for an offer
		t.Errorf("without SDP: %d", res.StatusCode)
	}
	if res := p.request(sip.UPDATE, nil, ""); res.StatusCode != 200 || len(res.Body()) != 0 { // a refresh
		t.Errorf("refresh: %d", res.StatusCode)
	}
	if res := p.request(sip.INVITE, described("m=audio 4000 RTP/AVP 18"), "application/sdp"); res.StatusCode != 488 {
		t.Errorf("a codec that is none: %d", res.StatusCode)
	}
	if res := p.request(sip.INFO, []byte("x"), "text/plain"); res.StatusCode != 415 {
		t.Errorf("INFO of text: %d", res.StatusCode)
	}
	if res := p.request(sip.INFO, []byte("Signal=99"), "application/dtmf-relay"); res.StatusCode != 400 {
		t.Errorf("INFO of no key: %d", res.StatusCode)
	}
	if n := len(transporttest.Came[transporttest.Muted](session)); n != 2 {
		t.Errorf("%d times muted; want on and off\n%s", n, session.Transcript())
	}
	session.Close("enough")
}

// TestSource: sound is taken from the address that the offer named, and from the first port
// of it that sends; the agent's voice goes there.
func TestSource(t *testing.T) {
	s, host := serve(t, Config{}, transporttest.Config{})
	p := newPhone(t, s, "udp")
	session := p.call(host)
	// A translator of addresses has given the phone another port than it knows of.
	other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p.from = other
	p.speak(tone(10*whole, 8000))
	session.AwaitHeard(5 * transport.FrameSamples)
	p.from = nil
	p.speak(tone(2*whole, 8000))
	stranger, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err == nil { // where the machine has more than one such address
		p.from = stranger
		p.speak(tone(2*whole, 8000))
		p.from = nil
		defer func() { _ = stranger.Close() }()
	}
	p.until("foreign packets", func() bool { return s.Stats().Foreign >= 2 })
	done := make(chan error, 1)
	go func() {
		_ = other.SetReadDeadline(time.Now().Add(patience))
		_, _, err := other.ReadFromUDPAddrPort(make([]byte, 1500))
		done <- err
	}()
	session.Play("a", 1, tone(3*transport.FrameSamples, transport.SampleRate))
	if err := <-done; err != nil {
		t.Errorf("the voice does not go to where the caller sends from: %v", err)
	}
	_ = other.Close()
	session.Close("enough")
}

// TestLostAndOvertaken: what is overtaken is put in order, what is lost is a gap, and
// positions stay true.
func TestLostAndOvertaken(t *testing.T) {
	s, host := serve(t, Config{}, transporttest.Config{})
	p := newPhone(t, s, "udp")
	session := p.call(host)
	base, began := p.timestamp, time.Now()
	for i, n := range []uint32{0, 1, 3, 2, 4, 5, 6, 7, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29} {
		if n < 17 {
			time.Sleep(time.Until(began.Add(time.Duration(i) * transport.FrameDuration)))
		} else {
			time.Sleep(time.Until(began.Add(time.Duration(n) * transport.FrameDuration)))
		}
		pcm := make([]int16, whole)
		for i := range pcm {
			pcm[i] = int16(n) * 500
		}
		p.send(0, base+n*whole, codec.MuLaw.Encode(nil, pcm))
	}
	heard := session.AwaitHeard(26 * transport.FrameSamples)
	// In the middle of frame n there is its value, wherever frames were in time.
	right := 0
	for _, n := range []int{2, 3, 5, 6, 20, 22, 24} {
		if v := float64(heard[n*transport.FrameSamples+160]); math.Abs(v-float64(n)*500) < 500 {
			right++
		}
	}
	if right < 5 {
		t.Errorf("%d of 7 frames are in their place\n%s", right, session.Transcript())
	}
	gaps := transporttest.Came[transport.Gap](session)
	missing := int64(0)
	for _, g := range gaps {
		missing += g.Missing
	}
	if missing < 9*transport.FrameSamples {
		t.Errorf("gaps %+v; want nine frames", gaps)
	}
	session.Close("enough")
	_ = s
}

// TestSilent: a call that nothing is heard of is over.
func TestSilent(t *testing.T) {
	s, host := serve(t, Config{Silent: time.Second}, transporttest.Config{})
	p := newPhone(t, s, "udp")
	session := p.call(host)
	if state := transporttest.Await[transport.LinkState](session, nil); state != transport.LinkGone {
		t.Errorf("link %s; want gone", state)
	}
	session.Close("gone")
	p.until("BYE", func() bool { return len(p.byes) == 1 })
}

// TestTonesInBand: keys are found in the sound of a caller who offers no events.
func TestTonesInBand(t *testing.T) {
	s, host := serve(t, Config{Tones: true}, transporttest.Config{})
	p := newPhone(t, s, "udp")
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	body := []byte(strings.ReplaceAll(string(p.offer()), " 101\r\n", "\r\n"))
	if status := p.dial(ctx, body, sipgo.AnswerOptions{}, bearing(transporttest.Token)); status != 200 {
		t.Fatal(status)
	}
	session := host.Next()
	p.speak(append(pair(852, 1477, 4000, 0, 8*whole), make([]int16, 8*whole)...))
	if c := transporttest.Await[transport.Control](session, nil); c.Digit != "9" {
		t.Errorf("control %+v", c)
	}
	session.Close("enough")
}
