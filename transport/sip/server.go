// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/parley-voice/parley/transport"
)

// Stats are what a Server counted.
type Stats struct {
	Open      int64 // calls, now
	Calls     int64 // sessions that began
	Refused   int64 // calls that were turned down; those who were asked for a password are none
	Packets   int64 // of RTP that were taken
	Foreign   int64 // of RTP from another source than the call's
	Malformed int64 // of RTP that could not be read
	Other     int64 // of RTP, of a payload type that was not agreed on
	Lost      int64 // frames of 20 ms that did not come in time
	Late      int64 // frames that came when their place was over
	Reordered int64 // frames that came in time, behind a later one
	Duplicate int64 // frames that came twice
	Strangers int64 // messages of SIP from addresses that may not call
	Flooded   int64 // messages of SIP beyond the rate
}

// Server answers telephone calls.
type Server struct {
	config Config
	host   transport.Host
	log    *slog.Logger
	ports  *ports
	key    [32]byte // of nonces

	listeners []*listener
	filter    filter
	heard     heard
	begun     atomic.Int64
	refused   atomic.Int64

	mu      sync.Mutex
	agent   *sipgo.UserAgent
	closing bool
	calls   map[string]*call // by Call-ID, from the INVITE on
}

// listener is one socket that SIP comes in by.
type listener struct {
	network string
	packets net.PacketConn
	streams net.Listener
	at      netip.AddrPort
	ua      sipgo.DialogUA
}

// New makes a Server that begins the sessions of its calls with host.
func New(c Config, host transport.Host) (*Server, error) {
	err := c.Validate()
	if host == nil {
		err = errors.Join(err, errors.New("sip: host: nil: give the one that begins sessions"))
	}
	if err != nil {
		return nil, err
	}
	c = c.withDefaults()
	s := &Server{
		config: c, host: host, log: c.Log, ports: newPorts(c.Lowest, c.Highest), calls: map[string]*call{},
		filter: filter{peers: c.Peers, rate: float64(c.Rate), most: c.Sources, known: map[netip.AddrPort]bool{}},
	}
	if _, err := rand.Read(s.key[:]); err != nil {
		return nil, err
	}
	return s, nil
}

// Stats gives what was counted.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	open := len(s.calls)
	s.mu.Unlock()
	strangers, flooded := s.filter.counts()
	return Stats{
		Open: int64(open), Calls: s.begun.Load(), Refused: s.refused.Load(),
		Packets: s.heard.packets.Load(), Foreign: s.heard.foreign.Load(), Malformed: s.heard.malformed.Load(), Other: s.heard.other.Load(),
		Lost: s.heard.lost.Load(), Late: s.heard.late.Load(), Reordered: s.heard.reordered.Load(), Duplicate: s.heard.duplicate.Load(),
		Strangers: strangers, Flooded: flooded,
	}
}

// Listen opens the sockets, so that Addr can tell them. Serve does it when it was not done.
func (s *Server) Listen() error {
	if len(s.listeners) > 0 {
		return nil
	}
	var opened []*listener
	for _, l := range []struct{ network, address string }{{"udp", s.config.UDP}, {"tcp", s.config.TCP}} {
		if l.address == off {
			continue
		}
		o, err := s.open(l.network, l.address)
		if err != nil {
			for _, o := range opened {
				o.close()
			}
			return err
		}
		opened = append(opened, o)
	}
	s.listeners = opened
	return nil
}

func (s *Server) open(network, address string) (*listener, error) {
	l := &listener{network: network}
	var err error
	var at net.Addr
	if network == "udp" {
		if l.packets, err = net.ListenPacket("udp", address); err == nil {
			at = l.packets.LocalAddr()
		}
	} else {
		if l.streams, err = net.Listen("tcp", address); err == nil {
			at = l.streams.Addr()
			l.streams = &gated{Listener: l.streams, filter: &s.filter, most: int64(2*s.config.Calls + 64)}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sip: %s: %s: cannot be listened at: %w", network, address, err)
	}
	l.at, err = netip.ParseAddrPort(at.String())
	return l, err
}

func (l *listener) close() {
	if l.packets != nil {
		_ = l.packets.Close()
	}
	if l.streams != nil {
		_ = l.streams.Close()
	}
}

// Addr is where the server listens with a network, "udp" or "tcp"; nothing before Listen.
func (s *Server) Addr(network string) netip.AddrPort {
	for _, l := range s.listeners {
		if l.network == network {
			return l.at
		}
	}
	return netip.AddrPort{}
}

// Serve answers calls until ctx ends. Calls that are open then are told that the link is
// gone; their sessions close them.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	agent, err := sipgo.NewUA(
		sipgo.WithUserAgent("parley"),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet(s.log)), sip.WithTransportLayerReadFilter(s.filter.read)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet(s.log)), sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {})),
	)
	if err != nil {
		return err
	}
	server, err := sipgo.NewServer(agent, sipgo.WithServerLogger(quiet(s.log)))
	if err != nil {
		return err
	}
	for _, l := range s.listeners {
		if err := s.introduce(l, agent); err != nil {
			return err
		}
	}
	s.handle(server)
	s.mu.Lock()
	s.agent = agent
	s.mu.Unlock()
	ended := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		failed := func(p *transport.Panic) { ended <- p }
		go transport.Contain(failed, func() {
			if l.packets != nil {
				ended <- server.ServeUDP(l.packets)
				return
			}
			ended <- server.ServeTCP(l.streams)
		})()
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-ended:
	}
	s.leave(agent)
	return err
}

// introduce makes what a listener's dialogs need: a client and the address in Contact.
func (s *Server) introduce(l *listener, agent *sipgo.UserAgent) error {
	host := s.address(l, netip.AddrPort{})
	client, err := sipgo.NewClient(agent, sipgo.WithClientLogger(quiet(s.log)), sipgo.WithClientHostname(host.String()), sipgo.WithClientPort(int(l.at.Port())))
	if err != nil {
		return err
	}
	contact := sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: "parley", Host: bracketed(host), Port: int(l.at.Port())}}
	if l.network == "tcp" {
		contact.Address.UriParams = sip.NewParams()
		contact.Address.UriParams.Add("transport", "tcp")
	}
	l.ua = sipgo.DialogUA{Client: client, ContactHDR: contact, RewriteContact: true}
	return nil
}

func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// address is the one that callers send to. When the listener has none of its own it is the
// one from which packets to the caller leave.
func (s *Server) address(l *listener, caller netip.AddrPort) netip.Addr {
	if a, err := netip.ParseAddr(s.config.Address); err == nil {
		return a
	}
	if !l.at.Addr().IsUnspecified() {
		return l.at.Addr().Unmap()
	}
	if !caller.IsValid() {
		caller = netip.MustParseAddrPort("192.0.2.1:9") // documentation; nothing is sent
	}
	if probe, err := net.Dial("udp", caller.String()); err == nil {
		defer func() { _ = probe.Close() }()
		if a, err := netip.ParseAddrPort(probe.LocalAddr().String()); err == nil {
			return a.Addr().Unmap()
		}
	}
	return netip.IPv4Unspecified()
}

// leaveWithin bounds how long the sockets stay open for the goodbyes of calls.
const leaveWithin = 3 * time.Second

// leave ends what is open when the server ends.
func (s *Server) leave(agent *sipgo.UserAgent) {
	s.mu.Lock()
	s.closing = true
	var open []*call
	for _, c := range s.calls {
		open = append(open, c)
	}
	s.mu.Unlock()
	timer := time.NewTimer(leaveWithin)
	defer timer.Stop()
	for _, c := range open {
		c.tell(func(in transport.Ingress) { in.Link(transport.LinkGone) })
	}
	for _, c := range open {
		select {
		case <-c.done:
		case <-timer.C:
			timer.Reset(0)
		}
	}
	for _, l := range s.listeners {
		l.close()
	}
	_ = agent.Close()
}

// quiet lets the library tell only those who want to know all: what it calls an error is
// what strangers send.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(debugOnly{log.Handler()}) }

type debugOnly struct{ slog.Handler }

func (d debugOnly) Enabled(ctx context.Context, _ slog.Level) bool {
	return d.Handler.Enabled(ctx, slog.LevelDebug)
}

func (d debugOnly) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return d.Handler.Handle(ctx, r)
}

func (d debugOnly) WithAttrs(a []slog.Attr) slog.Handler { return debugOnly{d.Handler.WithAttrs(a)} }

func (d debugOnly) WithGroup(n string) slog.Handler { return debugOnly{d.Handler.WithGroup(n)} }

// via finds the listener that a request came by.
func (s *Server) via(req *sip.Request) *listener {
	network := strings.ToLower(req.Transport())
	for _, l := range s.listeners {
		if l.network == network {
			return l
		}
	}
	return s.listeners[0]
}
