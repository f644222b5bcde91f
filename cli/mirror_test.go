// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The two ends of the mirror. What is sent to far arrives at near, and seems to come from far.
const (
	near = "10.9.0.1"
	far  = "10.9.0.2"
)

// What the mirror does to packets, as a mobile network does in a bad place.
const (
	mirrorDelay  = 20 * time.Millisecond
	mirrorJitter = 10 * time.Millisecond // more or less than that
	mirrorLoses  = 0.02
	mirrorHurry  = 0.10 // so many are not delayed, and overtake others
	mirrorHolds  = 4096 // packets; more are lost
)

// mirror is a network between this machine and itself that treats packets badly. It is a TUN
// device: the kernel hands it what is for far, it swaps the addresses, which leaves every
// checksum right, and hands it back. So the kernel's own TCP and UDP talk to each other.
type mirror struct {
	tun *os.File

	passed, lost, overtaken, udpLost, udpOvertaken atomic.Int64

	mu     sync.Mutex
	chance *rand.Rand
	held   int
	sent   uint64          // packets that came in
	newest uint64          // of those that went out
	newUDP uint64          // likewise, of UDP
	cut    map[uint16]bool // ports that nothing passes from or to
	closed bool
}

// openMirror makes the device. It needs a network of one's own.
func openMirror(t *testing.T) *mirror {
	t.Helper()
	fd, err := openTUN("mirror0")
	if err != nil {
		t.Skipf("no TUN device may be opened here (/dev/net/tun: %v); TestEquivalence loses and reorders packets without", err)
	}
	m := &mirror{
		tun: os.NewFile(uintptr(fd), "/dev/net/tun"), chance: rand.New(rand.NewPCG(4, 711)),
		cut: map[uint16]bool{},
	}
	network(t, "ip addr add "+near+"/24 dev mirror0 && ip link set mirror0 up")
	var reading sync.WaitGroup
	reading.Go(m.read)
	t.Cleanup(func() {
		m.mu.Lock()
		m.closed = true
		m.mu.Unlock()
		_ = m.tun.Close()
		reading.Wait()
	})
	return m
}

func openTUN(name string) (int, error) {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

func (m *mirror) read() {
	buffer := make([]byte, 1<<16)
	for {
		n, err := m.tun.Read(buffer)
		if err != nil {
			return // it was closed
		}
		if p := buffer[:n]; swap(p) {
			m.take(bytes.Clone(p))
		}
	}
}

// swap exchanges the addresses of a packet of IPv4 for far; others are not ours.
func swap(p []byte) bool {
	if len(p) < 20 || p[0]>>4 != 4 || !bytes.Equal(p[16:20], []byte{10, 9, 0, 2}) {
		return false
	}
	for i := 12; i < 16; i++ {
		p[i], p[i+4] = p[i+4], p[i]
	}
	return true
}

// ports gives those of a packet, and whether it is of UDP.
func ports(p []byte) (from, to uint16, udp bool) {
	if head := int(p[0]&15) * 4; len(p) >= head+4 {
		from, to = binary.BigEndian.Uint16(p[head:]), binary.BigEndian.Uint16(p[head+2:])
	}
	return from, to, p[9] == unix.IPPROTO_UDP
}

// take loses a packet or sends it on, at once or later.
func (m *mirror) take(p []byte) {
	from, to, udp := ports(p)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent++
	number := m.sent
	loses := m.chance.Float64() < mirrorLoses
	wait := mirrorDelay + time.Duration((2*m.chance.Float64()-1)*float64(mirrorJitter))
	if m.chance.Float64() < mirrorHurry {
		wait = 0
	}
	switch {
	case m.closed, m.cut[from], m.cut[to]:
	case loses || m.held >= mirrorHolds:
		m.lost.Add(1)
		if udp {
			m.udpLost.Add(1)
		}
	default:
		m.held++
		time.AfterFunc(wait, func() { m.give(p, number, udp) })
	}
}

// give hands a packet back to the kernel.
func (m *mirror) give(p []byte, number uint64, udp bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held--
	if m.closed {
		return
	}
	if number < m.newest {
		m.overtaken.Add(1)
	}
	if udp && number < m.newUDP {
		m.udpOvertaken.Add(1)
	}
	m.newest = max(m.newest, number)
	if udp {
		m.newUDP = max(m.newUDP, number)
	}
	if _, err := m.tun.Write(p); err == nil {
		m.passed.Add(1)
	}
}

// forget lets nothing more through from or to a port, and tells nobody: connections there are
// half open from then on.
func (m *mirror) forget(port uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut[port] = true
}
