// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/pion/rtp"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/transporttest"
)

// frail is a host whose sessions panic when a key is pressed.
type frail struct{ *transporttest.Host }

type frailIngress struct{ transport.Ingress }

func (frailIngress) Control(transport.Control) { panic("a test's") }

func (f frail) Begin(ctx context.Context, o transport.Offer, open transport.OpenFunc) (transport.Session, error) {
	return f.Host.Begin(ctx, o, func(ctx context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
		return open(ctx, b, frailIngress{in})
	})
}

// TestPanicEndsAtTheCall: what makes something panic, by a request or by a packet, costs its
// call and nothing else. The library would end the process.
func TestPanicEndsAtTheCall(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{Disconnect: 50 * time.Millisecond})
	s := serveOn(t, Config{}, host, frail{host})
	for name, press := range map[string]func(p *phone){
		"request": func(p *phone) {
			_ = p.request(sip.INFO, []byte("Signal=5\r\nDuration=100\r\n"), "application/dtmf-relay")
		},
		"packet": func(p *phone) { p.send(p.event, 160, event('5', true, 800)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPhone(t, s, "udp")
			session := p.call(host)
			press(p)
			transporttest.Await(session, func(l transport.LinkState) bool { return l == transport.LinkGone })
			session.AwaitDone()
		})
	}
	if session := newPhone(t, s, "udp").call(host); session.Reason() != "" {
		t.Errorf("another call ended: %s", session.Reason())
	}
}

// TestNothingOfTheOutputBefore: the filter's memory of an output, which may have been fenced,
// is no part of the next.
func TestNothingOfTheOutputBefore(t *testing.T) {
	m, _ := silentMedia(t)
	defer m.close()
	ear, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ear.Close()
	m.agreed.remote = netip.MustParseAddrPort(ear.LocalAddr().String())
	if err := m.write(1, tone(transport.FrameSamples, transport.SampleRate)); err != nil {
		t.Fatal(err)
	}
	if err := m.write(2, make([]int16, transport.FrameSamples)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, mostPacket)
	for i, silent := range []bool{false, true} {
		_ = ear.SetReadDeadline(time.Now().Add(patience))
		n, err := ear.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		var p rtp.Packet
		if err := p.Unmarshal(buffer[:n]); err != nil {
			t.Fatal(err)
		}
		if most := loudest(codec.MuLaw.Decode(nil, p.Payload)); (most == 0) != silent {
			t.Errorf("packet %d is as loud as %d", i, most)
		}
	}
}

// TestLongCallID: a caller whose Call-ID is long is heard pressing keys all the same.
func TestLongCallID(t *testing.T) {
	c := &call{id: strings.Repeat("x", 400), controls: 11}
	var got transport.Control
	c.in = keyed{got: &got}
	c.control(press{digit: "5"})
	if got.Digit != "5" || got.Key == "" || len(got.Key) > eventabi.MaxIDLength {
		t.Errorf("%+v", got)
	}
}

// keyed takes one control.
type keyed struct {
	transport.Ingress
	got *transport.Control
}

func (k keyed) Control(c transport.Control) { *k.got = c }

// TestCallsOnHold: who calls on hold is muted when the session can take it, and not before.
func TestCallsOnHold(t *testing.T) {
	s, host := serve(t, Config{}, transporttest.Config{})
	session := newPhone(t, s, "udp").call(host, "a=sendonly")
	transporttest.Await(session, func(m transporttest.Muted) bool { return m.On })
	if n := session.Early(); n != 0 {
		t.Errorf("%d calls came before the session had begun", n)
	}
	session.Close("enough")
}
