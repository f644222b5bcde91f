// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"github.com/pion/rtp"

	"github.com/parley-voice/parley/internal/serve/servetest"
	"github.com/parley-voice/parley/transport/codec"
)

// telephone is a SIP telephone at the near end of a mirror, which the program takes to be at
// the far one.
type telephone struct {
	t     *testing.T
	cache *sipgo.DialogClientCache
	call  *sipgo.DialogClientSession
	sound *net.UDPConn
	to    netip.AddrPort

	mu       sync.Mutex
	speech   []int16
	heard    []int16
	voiced   time.Time // when the agent's voice came last
	last     uint16    // sequence number, the highest
	began    bool
	missing  int // numbers that were jumped over
	disorder int // packets that came behind a later one
}

func newTelephone(t *testing.T) *telephone {
	t.Helper()
	p := &telephone{t: t}
	silent := slog.New(slog.DiscardHandler)
	agent, err := sipgo.NewUA(sipgo.WithUserAgent("telephone"),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(silent)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(silent), sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) { p.ack() })))
	if err != nil {
		t.Fatal(err)
	}
	server, err := sipgo.NewServer(agent, sipgo.WithServerLogger(silent))
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", near+":0")
	if err != nil {
		t.Fatal(err)
	}
	port := int(netip.MustParseAddrPort(packets.LocalAddr().String()).Port())
	dialer, err := sipgo.NewClient(agent, sipgo.WithClientHostname(near), sipgo.WithClientPort(port), sipgo.WithClientLogger(silent))
	if err != nil {
		t.Fatal(err)
	}
	p.cache = sipgo.NewDialogClientCache(dialer, sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: "alice", Host: far, Port: port}})
	server.OnBye(func(req *sip.Request, tx sip.ServerTransaction) { _ = p.cache.ReadBye(req, tx) })
	var done sync.WaitGroup
	done.Go(func() { _ = server.ServeUDP(packets) })
	if p.sound, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(near)}); err != nil {
		t.Fatal(err)
	}
	done.Go(p.listen)
	t.Cleanup(func() {
		_, _ = packets.Close(), p.sound.Close()
		_ = agent.Close()
		done.Wait()
	})
	return p
}

// ack says again that the answer came: it comes again when the first ACK was lost.
func (p *telephone) ack() {
	p.mu.Lock()
	call := p.call
	p.mu.Unlock()
	if call != nil {
		_ = call.Ack(context.Background()) // it comes again
	}
}

var mediaLine = regexp.MustCompile(`(?m)^m=audio (\d+) `)

// dial calls until it is answered.
func (p *telephone) dial() error {
	port := netip.MustParseAddrPort(p.sound.LocalAddr().String()).Port()
	body := strings.Join([]string{
		"v=0", "o=alice 1 1 IN IP4 " + far, "s=-", "c=IN IP4 " + far, "t=0 0", fmt.Sprintf("m=audio %d RTP/AVP 0", port), "a=rtpmap:0 PCMU/8000", "",
	}, "\r\n")
	ctx, stop := context.WithTimeout(p.t.Context(), servetest.Patience)
	defer stop()
	req := sip.NewRequest(sip.INVITE, sip.Uri{Scheme: "sip", User: "agent", Host: far, Port: 5060})
	req.SetBody([]byte(body))
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	call, err := p.cache.WriteInvite(ctx, req)
	if err != nil {
		return err
	}
	if err := call.WaitAnswer(ctx, sipgo.AnswerOptions{}); err != nil {
		return err
	}
	m := mediaLine.FindSubmatch(call.InviteResponse.Body())
	if m == nil || !strings.Contains(string(call.InviteResponse.Body()), far) {
		return errors.New("the answer names no place for sound behind the mirror: " + string(call.InviteResponse.Body()))
	}
	n, err := strconv.ParseUint(string(m[1]), 10, 16)
	if err != nil {
		return err
	}
	p.to = netip.AddrPortFrom(netip.MustParseAddr(far), uint16(n))
	p.mu.Lock()
	p.call = call
	p.mu.Unlock()
	return call.Ack(ctx)
}

func (p *telephone) listen() {
	buffer := make([]byte, 1500)
	for {
		n, _, err := p.sound.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		var packet rtp.Packet
		if packet.Unmarshal(buffer[:n]) != nil || len(packet.Payload) == 0 {
			continue
		}
		p.mu.Lock()
		step := int16(packet.SequenceNumber - p.last) //nolint:gosec // numbers go round
		switch {
		case !p.began || step > 0:
			if p.began {
				p.missing += int(step) - 1
			}
			p.began, p.last = true, packet.SequenceNumber
		case step < 0:
			p.disorder++
			p.missing--
		}
		from := len(p.heard)
		p.heard = codec.MuLaw.Decode(p.heard, packet.Payload)
		if slices.Max(p.heard[from:]) > 700 {
			p.voiced = time.Now()
		}
		p.mu.Unlock()
	}
}

// send is 20 ms of what is said.
func (p *telephone) send(n int) error {
	frame := make([]int16, 160)
	p.mu.Lock()
	p.speech = p.speech[copy(frame, p.speech):]
	p.mu.Unlock()
	packet := rtp.Packet{
		Header:  rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: uint32(n) * 160, SSRC: 77}, //nolint:gosec // numbers go round
		Payload: codec.MuLaw.Encode(nil, frame),
	}
	b, err := packet.Marshal()
	if err == nil {
		_, err = p.sound.WriteToUDPAddrPort(b, p.to)
	}
	return err
}

func (p *telephone) with(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// says speaks until something comes true.
func (p *telephone) says(what, voice string, is func() bool) {
	p.t.Helper()
	until(p.t, what, func() bool {
		speech := append(narrow(p.t, voice), make([]int16, 8000)...)
		p.with(func() { p.speech = speech })
		return within(again, func() (yes bool) { p.with(func() { yes = is() }); return yes })
	})
}

// telephone is a call by SIP, whose sound goes by UDP: what is lost is lost.
func (w *badWorld) telephone(t *testing.T) {
	t.Helper()
	p := newTelephone(t)
	until(t, "an answered call", func() bool {
		err := p.dial()
		if err != nil {
			t.Log(err)
		}
		return err == nil
	})
	ctx, stop := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() { everyFrame(ctx, p.send) })
	session := func() (status, bool) {
		for id, s := range w.sessions(t, w.operator...) {
			if s.Kind == "telephony" && id != "t-1" && s.State != "ended" {
				return s, true
			}
		}
		return status{}, false
	}
	p.says("an answer", "young-man", func() bool { return loud(p.heard) })
	s, ok := session()
	if !ok {
		t.Fatalf("there is no session\n%s", w.log.String())
	}
	before := w.cancels(t)
	interrupts(t, &p.mu, &p.speech, func() bool { return time.Since(p.voiced) < 100*time.Millisecond }, func() bool { return w.cancels(t) > before })
	p.with(func() { p.heard = nil })
	p.says("another answer", "young-man", func() bool { return loud(p.heard) })
	until(t, "packets of each kind", func() bool {
		s, _ = session()
		done := false
		p.with(func() { done = s.Missed > 0 && p.missing > 0 && p.disorder > 0 })
		return done
	})
	t.Logf("the program missed %d frames; the telephone missed %d packets, and %d came behind later ones", s.Missed, p.missing, p.disorder)
	stop()
	sending.Wait()
	bye, done := context.WithTimeout(t.Context(), servetest.Patience)
	defer done()
	if err := p.call.Bye(bye); err != nil {
		t.Error(err)
	}
	until(t, "the end of the call", func() bool { _, open := session(); return !open })
}
