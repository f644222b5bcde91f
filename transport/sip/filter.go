// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// filter lets through what may be read at all, before it is looked at.
type filter struct {
	peers []netip.Prefix // none = all
	rate  float64        // messages a second
	most  int            // sources over UDP: each costs the library memory for good

	mu        sync.Mutex
	known     map[netip.AddrPort]bool
	level     float64
	at        time.Time
	strangers int64
	flooded   int64
}

// may says whether an address may call.
func (f *filter) may(a netip.Addr) bool {
	a = a.Unmap()
	return len(f.peers) == 0 || slices.ContainsFunc(f.peers, func(p netip.Prefix) bool { return p.Contains(a) })
}

// read is what the library asks for each packet and each piece of a stream.
func (f *filter) read(p sip.TransportReadProps, data []byte) ([]byte, error) {
	from, err := netip.ParseAddrPort(p.RemoteAddr.String())
	if err != nil {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	stream := p.LocalAddr.Network() == "tcp"
	if !f.may(from.Addr()) {
		f.strangers++
		return nil, nil
	}
	if !stream && !f.known[from] {
		if len(f.known) >= f.most {
			f.strangers++
			return nil, nil
		}
		f.known[from] = true
	}
	if !f.spend(time.Now()) {
		f.flooded++
		if stream {
			// A stream that misses a piece cannot be read on.
			return nil, net.ErrClosed
		}
		return nil, nil
	}
	return data, nil
}

// spend takes one message out of a bucket that fills at the rate and holds two seconds.
func (f *filter) spend(now time.Time) bool {
	if f.at.IsZero() {
		f.level = 2 * f.rate
	} else {
		f.level = min(2*f.rate, f.level+f.rate*now.Sub(f.at).Seconds())
	}
	f.at = now
	if f.level < 1 {
		return false
	}
	f.level--
	return true
}

func (f *filter) counts() (strangers, flooded int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.strangers, f.flooded
}

// gated is a listener for streams with a bound.
type gated struct {
	net.Listener
	filter *filter
	most   int64
	open   atomic.Int64
}

// Accept gives the next connection of somebody who may call; beyond the bound they are
// closed.
func (g *gated) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		if err != nil || !g.filter.may(from.Addr()) || g.open.Load() >= g.most {
			g.filter.mu.Lock()
			g.filter.strangers++
			g.filter.mu.Unlock()
			_ = conn.Close()
			continue
		}
		g.open.Add(1)
		return &counted{Conn: conn, open: &g.open}, nil
	}
}

// counted is a connection that is counted while it is open.
type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

// Close closes the connection.
func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
