// SPDX-License-Identifier: Apache-2.0

package equivalence

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"github.com/pion/rtp"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	gate "github.com/parley-voice/parley/transport/sip"
)

// phone calls by SIP, and speaks mu-law in RTP.
type phone struct {
	*microphone
	session *sipgo.DialogClientSession
	rtp     *net.UDPConn

	mu    sync.Mutex
	heard int64 // samples at 8 kHz
}

func overSIP(t *testing.T, r *parley.Runtime, seen *record) caller {
	t.Helper()
	return bySIP(t, r, seen, func(send func()) { send() })
}

// overBadSIP calls over a network that loses a packet in fifty and brings one in ten 30 ms
// late, behind its successors.
func overBadSIP(t *testing.T, r *parley.Runtime, seen *record) caller {
	t.Helper()
	chance := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	return bySIP(t, r, seen, func(send func()) {
		switch n := chance.IntN(100); {
		case n < 2:
		case n < 12:
			time.AfterFunc(30*time.Millisecond, send)
		default:
			send()
		}
	})
}

// bySIP calls, with its sound on a network.
func bySIP(t *testing.T, r *parley.Runtime, seen *record, network func(send func())) caller {
	t.Helper()
	s := gatewayAt(t, door(t, r, seen))
	p := &phone{}
	var err error
	if p.rtp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	to := p.dial(t, s.Addr("udp"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.listen()
	}()
	t.Cleanup(func() {
		_ = p.rtp.Close()
		<-done
	})
	down, err := codec.NewResampler(transport.SampleRate, codec.G711Rate)
	if err != nil {
		t.Fatal(err)
	}
	packet := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 77}}
	p.microphone = listen(t, func(pcm []int16) error {
		packet.Payload = codec.MuLaw.Encode(nil, down.Resample(nil, pcm))
		b, err := packet.Marshal()
		if err != nil {
			return err
		}
		packet.SequenceNumber++
		packet.Timestamp += uint32(len(packet.Payload))            //nolint:gosec // 160
		network(func() { _, _ = p.rtp.WriteToUDPAddrPort(b, to) }) // a call that has ended has no socket
		return nil
	})
	return p
}

// gateways counts the adapters: each has ports of its own.
var gateways atomic.Int32

// gatewayAt starts the adapter.
func gatewayAt(t *testing.T, h transport.Host) *gate.Server {
	t.Helper()
	lowest := 38000 + 100*int(gateways.Add(1)%10)
	s, err := gate.New(gate.Config{UDP: "127.0.0.1:0", TCP: "off", Lowest: lowest, Highest: lowest + 99}, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// dial calls, and gives where the answer wants sound.
func (p *phone) dial(t *testing.T, to netip.AddrPort) netip.AddrPort {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	agent, err := sipgo.NewUA(sipgo.WithUserAgent("phone"), sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close() })
	c, err := sipgo.NewClient(agent, sipgo.WithClientHostname("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	calls := sipgo.NewDialogClientCache(c, sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: "alice", Host: "127.0.0.1"}})
	port := netip.MustParseAddrPort(p.rtp.LocalAddr().String()).Port()
	offer := []byte(strings.Join([]string{
		"v=0", "o=alice 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", fmt.Sprintf("m=audio %d RTP/AVP 0", port), "a=rtpmap:0 PCMU/8000", "",
	}, "\r\n"))
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	p.session, err = calls.Invite(ctx, sip.Uri{Scheme: "sip", User: "agent", Host: "127.0.0.1", Port: int(to.Port())}, offer,
		sip.NewHeader("Content-Type", "application/sdp"), sip.NewHeader("X-Parley-Token", token))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.session.WaitAnswer(ctx, sipgo.AnswerOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := p.session.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	var media uint16
	for line := range strings.Lines(string(p.session.InviteResponse.Body())) {
		_, _ = fmt.Sscanf(line, "m=audio %d", &media) // the others are none
	}
	return netip.AddrPortFrom(to.Addr(), media)
}

func (p *phone) listen() {
	buffer := make([]byte, 1500)
	for {
		n, err := p.rtp.Read(buffer)
		if err != nil {
			return
		}
		var packet rtp.Packet
		if packet.Unmarshal(buffer[:n]) == nil {
			p.mu.Lock()
			p.heard += int64(voiced(codec.MuLaw.Decode(nil, packet.Payload)))
			p.mu.Unlock()
		}
	}
}

// voiced counts what is no silence: a phone is sent silence as well.
func voiced(pcm []int16) (n int) {
	for _, v := range pcm {
		if v > 8 || v < -8 {
			n++
		}
	}
	return n
}

func (p *phone) Heard() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return lengthOf(p.heard, codec.G711Rate)
}

func (p *phone) Leave() error {
	p.off()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	return p.session.Bye(ctx)
}
