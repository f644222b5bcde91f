// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// ports hands out pairs of UDP ports: an even one for RTP and the next for RTCP.
type ports struct {
	lowest, number int

	mu   sync.Mutex
	next int
}

func newPorts(lowest, highest int) *ports {
	return &ports{lowest: lowest + lowest%2, number: pairs(lowest, highest)}
}

var errPorts = errors.New("sip: ports: all are in use: widen the range or take fewer calls")

// open binds the next pair that is free. Ports go round, so that late packets of a call
// that is over do not meet the next one.
func (p *ports) open(at netip.Addr) (rtp, rtcp *net.UDPConn, err error) {
	for range p.number {
		p.mu.Lock()
		port := p.lowest + 2*p.next
		p.next = (p.next + 1) % p.number
		p.mu.Unlock()
		rtp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, uint16(port))))
		if err != nil {
			continue
		}
		rtcp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, uint16(port+1))))
		if err != nil {
			_ = rtp.Close()
			continue
		}
		return rtp, rtcp, nil
	}
	return nil, nil, fmt.Errorf("%w: %w", errPorts, err)
}
