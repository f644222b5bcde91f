// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	sip.SetDefaultLogger(quiet(Config{}.withDefaults().Log))
	var spared []goleak.Option
	for _, f := range foreign() {
		spared = append(spared, goleak.IgnoreAnyFunction(f))
	}
	goleak.VerifyTestMain(m, spared...)
}

// foreign are the library's goroutines that outlive a call: it lets transactions over UDP end by
// their timers, as RFC 3261 wants it, and its client, which is the phone of the tests, keeps the
// socket of a call that failed.
func foreign() []string {
	const library = "github.com/emiago/sipgo/sip."
	return []string{
		library + "(*ServerTx).TerminateGracefully", library + "(*TransportUDP).readUDPConnection",
		library + "(*TransportUDP).createConnection.func1",
	}
}

// silentMedia makes the sound of a call that nobody is told of, and the caller's address.
func silentMedia(t *testing.T) (*media, netip.AddrPort) {
	t.Helper()
	rtp, rtcp, err := newPorts(30000, 30999).open(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	from := netip.MustParseAddrPort("127.0.0.1:4000")
	m, err := newMedia(rtp, rtcp, agreed{codec: PCMU, event: 101, remote: from}, Config{}.withDefaults(), &heard{})
	if err != nil {
		t.Fatal(err)
	}
	m.tell, m.press, m.gone = func(func(transport.Ingress)) {}, func(press) {}, func() {}
	return m, from
}

// TestPorts: pairs of the range, each once, round and round; none is left when all are in
// use, and one that is given back is found again.
func TestPorts(t *testing.T) {
	at := netip.MustParseAddr("127.0.0.1")
	var p *ports
	var open []*net.UDPConn
	for base := 31000; len(open) < 4; base += 100 { // where the ports are not in use
		for _, c := range open {
			_ = c.Close()
		}
		if open = nil; base > 60000 {
			t.Fatal("no ports are free: end what uses those from 31000 to 60000")
		}
		p = newPorts(base+1, base+6) // two pairs
		for range 2 {
			if rtp, rtcp, err := p.open(at); err == nil {
				open = append(open, rtp, rtcp)
			}
		}
	}
	for i := 0; i < len(open); i += 2 {
		a, b := netip.MustParseAddrPort(open[i].LocalAddr().String()).Port(), netip.MustParseAddrPort(open[i+1].LocalAddr().String()).Port()
		if a%2 != 0 || b != a+1 {
			t.Errorf("a pair of %d and %d", a, b)
		}
	}
	if _, _, err := p.open(at); err == nil {
		t.Error("a third pair was found")
	}
	for _, c := range open[2:] {
		_ = c.Close()
	}
	rtp, rtcp, err := p.open(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(open[:2], rtp, rtcp) {
		_ = c.Close()
	}
}

// TestNonce: one is good for its call, for a minute, on the server that made it.
func TestNonce(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	a, err := New(Config{}, host)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := New(Config{}, host)
	now := time.Now()
	n := a.nonce(now, "call")
	for name, ok := range map[string]bool{
		"at once":          a.fresh(now.Add(time.Millisecond), n, "call"),
		"not another call": !a.fresh(now, n, "other"),
		"not later":        !a.fresh(now.Add(nonceLasts+time.Second), n, "call"),
		"not before":       !a.fresh(now.Add(-time.Minute), n, "call"),
		"not elsewhere":    !b.fresh(now, n, "call"),
		"not garbage":      !a.fresh(now, "!", "call") && !a.fresh(now, "", "call") && !a.fresh(now, n[1:], "call"),
	} {
		if !ok {
			t.Error(name)
		}
	}
}

// TestFilter: who may not call is not read, nor what is more than the rate, nor more
// sources than are allowed.
func TestFilter(t *testing.T) {
	f := filter{peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, rate: 4, most: 2, known: map[netip.AddrPort]bool{}}
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	read := func(from string) bool {
		data, err := f.read(sip.TransportReadProps{LocalAddr: local, RemoteAddr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from))}, []byte("x"))
		if err != nil {
			t.Errorf("%v: would end the listener", err)
		}
		return len(data) > 0
	}
	if !read("192.0.2.1:1") || !read("192.0.2.1:2") || read("192.0.2.1:3") || read("198.51.100.1:1") {
		t.Error("sources beyond the bound, or strangers, were read")
	}
	n := 0
	for range 100 {
		if read("192.0.2.1:1") {
			n++
		}
	}
	if n < 6 || n > 8 {
		t.Errorf("%d of 100 at once were read; want the rest of two seconds' worth", n)
	}
	if strangers, flooded := f.counts(); strangers != 2 || flooded != int64(100-n) {
		t.Errorf("%d strangers, %d flooded", strangers, flooded)
	}
}

func TestTimer(t *testing.T) {
	for _, c := range []struct {
		headers string
		want    refresh
		small   bool
		answer  string
	}{
		{"", refresh{}, false, ""},
		{"Session-Expires: 1800;refresher=uac|Supported: timer", refresh{1800 * time.Second, false}, false, "1800;refresher=uac"},
		{"Session-Expires: 1800 ; refresher = uas|Supported: timer", refresh{1800 * time.Second, true}, false, "1800;refresher=uas"},
		{"Session-Expires: 1800|k: 100rel, timer", refresh{1800 * time.Second, false}, false, "1800;refresher=uac"},
		{"x: 1800", refresh{1800 * time.Second, true}, false, "1800;refresher=uas"},
		{"Session-Expires: 30|Supported: timer", refresh{30 * time.Second, false}, true, ""},
		{"Session-Expires: soon", refresh{}, false, ""},
	} {
		req := sip.NewRequest(sip.INVITE, sip.Uri{Host: "example.com"})
		for h := range strings.SplitSeq(c.headers, "|") {
			if name, value, ok := strings.Cut(h, ": "); ok {
				req.AppendHeader(sip.NewHeader(name, value))
			}
		}
		r, small := timerOf(req)
		if small != c.small || (!small && r != c.want) {
			t.Errorf("%q: %+v, too small %v", c.headers, r, small)
		}
		if h := r.headers(); !small && c.answer != "" && h[0].Value() != c.answer {
			t.Errorf("%q: answered with %q", c.headers, h[0].Value())
		}
	}
}

// TestConfig: all faults at once, and nothing that is open to all by mistake.
func TestConfig(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
	err := Config{
		UDP: "nowhere", TCP: "0.0.0.0:5060", Address: "example.com", Lowest: 80, Highest: 81, Codecs: []Codec{"OPUS"}, Realm: `"`, Algorithms: []string{"ROT13"},
		Silent: 1, Rate: -1, Sources: -1, Calls: -1,
	}.Validate()
	for _, field := range []string{"udp", "peers", "address", "lowest", "codecs[0]", "realm", "algorithms[0]", "silent", "rate", "sources", "calls"} {
		if err == nil || !strings.Contains(err.Error(), "sip: "+field+": ") {
			t.Errorf("%v\nsays nothing of %s", err, field)
		}
	}
	for _, c := range []Config{
		{UDP: "0.0.0.0:5060", TCP: "off"},
		{UDP: "off", TCP: "off"},
		{UDP: "[::]:5060"},
		{Lowest: 20000, Highest: 20003, Calls: 3},
		{Codecs: []Codec{PCMU, PCMU}},
	} {
		if c.Validate() == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	open := Config{UDP: "0.0.0.0:5060", Peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	if err := open.Validate(); err != nil {
		t.Errorf("%v", err)
	}
	if _, err := New(Config{Rate: -1}, nil); err == nil || !strings.Contains(err.Error(), "host") {
		t.Errorf("%v", err)
	}
}
