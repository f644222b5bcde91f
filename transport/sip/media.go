// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/jitter"
)

const (
	mostPacket = 1500
	// look is how often the clocks of a call are looked at when nothing comes.
	look = 100 * time.Millisecond
	// keepAlive is after how long without sound a packet of silence goes out: translators
	// of addresses forget those who are silent (RFC 6263).
	keepAlive = 5 * time.Second
	// pause is how far the timestamp may lie behind the clock before it jumps ahead.
	pause = 3 * transport.FrameDuration
)

// heard are the counters of what came by RTP.
type heard struct {
	packets, foreign, malformed, other atomic.Int64
	lost, late, reordered, duplicate   atomic.Int64 // frames, by the jitter buffers
}

// add counts what a jitter buffer has counted since.
func (h *heard) add(now, before jitter.Counters) {
	h.lost.Add(now.Lost - before.Lost)
	h.late.Add(now.Late - before.Late)
	h.reordered.Add(now.Reordered - before.Reordered)
	h.duplicate.Add(now.Duplicate - before.Duplicate)
}

// media is the sound of one call.
type media struct {
	count *heard
	tell  func(func(in transport.Ingress))
	press func(p press) // a key was pressed
	gone  func()        // nothing has come for silent
	crash func(v any, stack []byte)

	rtp, rtcp *net.UDPConn
	port      uint16 // of rtp
	ssrc      uint32 // ours
	began     time.Time
	done      sync.WaitGroup

	// Of the goroutine that receives.
	halves   halves
	jitter   *jitter.Buffer
	counted  jitter.Counters // of it, by count
	up       *codec.Resampler
	wide     []int16
	plain    []int16
	slot     int64 // the last that was decoded
	events   events
	tones    *tones // nil = not looked for
	accepted time.Duration
	silent   time.Duration
	told     bool

	mu     sync.Mutex
	agreed agreed
	locked netip.AddrPort // the source that is listened to; zero = none yet
	out    sender
}

// sender is the way out. It is used under media's lock.
type sender struct {
	down      *codec.Resampler
	output    uint32 // generation whose sound down still holds the end of
	narrow    []int16
	packet    []byte
	sequence  uint16
	timestamp uint32
	slot      int64 // of the last packet, on the clock of the call; -1 = none
	last      time.Duration
}

func newMedia(rtp, rtcp *net.UDPConn, a agreed, c Config, count *heard) (*media, error) {
	m := &media{count: count, rtp: rtp, rtcp: rtcp, agreed: a, silent: c.Silent, began: time.Now()}
	at, err := netip.ParseAddrPort(rtp.LocalAddr().String())
	if err != nil {
		return nil, err
	}
	m.port = at.Port()
	if m.jitter, err = jitter.New(jitter.Config{}); err != nil {
		return nil, err
	}
	if m.up, err = codec.NewResampler(codec.G711Rate, transport.SampleRate); err != nil {
		return nil, err
	}
	if m.out.down, err = codec.NewResampler(transport.SampleRate, codec.G711Rate); err != nil {
		return nil, err
	}
	if c.Tones && a.event == 0 {
		m.tones = newTones()
	}
	var random [10]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	m.out.sequence = binary.BigEndian.Uint16(random[:])
	m.ssrc = binary.BigEndian.Uint32(random[2:])
	m.out.timestamp = binary.BigEndian.Uint32(random[6:])
	m.out.slot = -1
	return m, nil
}

// start begins to receive.
func (m *media) start(tell func(func(in transport.Ingress)), press func(p press), gone func(), crash func(v any, stack []byte)) {
	m.tell, m.press, m.gone, m.crash = tell, press, gone, crash
	m.done.Go(transport.Contain(nil, m.receive)) // it has a boundary of its own that knows more
	m.done.Go(transport.Contain(nil, m.discard))
}

// close ends the sound; when it has returned, nothing is told any more.
func (m *media) close() {
	_ = m.rtp.Close()
	_ = m.rtcp.Close()
	m.done.Wait()
}

func (m *media) now() time.Duration { return time.Since(m.began) }

// law is the codec's.
func law(c Codec) codec.Law {
	if c == PCMA {
		return codec.ALaw
	}
	return codec.MuLaw
}

// receive reads packets and lets out what is due.
func (m *media) receive() {
	defer m.crashed()
	buffer := make([]byte, mostPacket)
	for {
		now := m.now()
		wake := min(m.jitter.Next(), now+look)
		if err := m.rtp.SetReadDeadline(m.began.Add(wake)); err != nil {
			return
		}
		n, from, err := m.rtp.ReadFromUDPAddrPort(buffer)
		now = m.now()
		switch {
		case err == nil:
			m.read(now, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buffer[:n])
		case errors.Is(err, net.ErrClosed):
			return
		case !errors.Is(err, os.ErrDeadlineExceeded):
			m.count.malformed.Add(1) // such as a port that nobody listens at
		}
		m.tell(func(in transport.Ingress) {
			m.jitter.Deliver(now, in)
		})
		if c := m.jitter.Counters(); c != m.counted {
			m.count.add(c, m.counted)
			m.counted = c
		}
		m.look(now)
	}
}

// discard empties the port of RTCP: its reports are not needed, and a full one answers
// nobody.
func (m *media) discard() {
	buffer := make([]byte, mostPacket)
	for {
		if _, _, err := m.rtcp.ReadFromUDPAddrPort(buffer); errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// read takes one packet.
func (m *media) read(now time.Duration, from netip.AddrPort, data []byte) {
	var p rtp.Packet
	if p.Unmarshal(data) != nil || p.Version != 2 {
		m.count.malformed.Add(1)
		return
	}
	m.mu.Lock()
	a := m.agreed
	ours := m.locked == from
	if !m.locked.IsValid() && from.Addr() == a.remote.Addr() && (p.PayloadType == a.sound || p.PayloadType == a.event) {
		m.locked, ours = from, true
	}
	m.mu.Unlock()
	if !ours {
		m.count.foreign.Add(1)
		return
	}
	switch {
	case p.PayloadType == a.sound:
		m.accepted = now
		m.count.packets.Add(1)
		m.sound(now, &p, law(a.codec))
	case p.PayloadType == a.event && a.event > 0:
		m.accepted = now
		m.count.packets.Add(1)
		if key, over := m.events.put(now, p.Timestamp, p.Payload); over {
			m.press(key)
		}
	default:
		m.count.other.Add(1)
	}
}

func (m *media) sound(now time.Duration, p *rtp.Packet, l codec.Law) {
	m.plain = l.Decode(m.plain[:0], p.Payload[:min(len(p.Payload), longestPacket+1)])
	before := m.halves.malformed
	m.halves.put(now, p.SSRC, p.Timestamp, m.plain, func(slot int64, pcm []int16) {
		if slot != m.slot+1 {
			m.up.Reset() // what follows does not join on
		}
		m.slot = slot
		if m.tones != nil {
			m.tones.put(pcm, m.press)
		}
		m.wide = m.up.Resample(m.wide, pcm)
		if len(m.wide) >= transport.FrameSamples {
			m.jitter.Push(now, slot, m.wide[:transport.FrameSamples])
			m.wide = m.wide[:copy(m.wide, m.wide[transport.FrameSamples:])]
		}
	})
	m.count.malformed.Add(m.halves.malformed - before)
}

// look is what time asks for.
func (m *media) look(now time.Duration) {
	if key, over := m.events.tick(now); over {
		m.press(key)
	}
	m.mu.Lock()
	held := m.agreed.held() || m.agreed.way == recvonly
	if !held && now-m.out.last >= keepAlive {
		_ = m.send(now, make([]int16, whole)) // the next one is as good
	}
	m.mu.Unlock()
	if held {
		m.accepted = now
	}
	if now-m.accepted >= m.silent && !m.told {
		m.told = true
		m.gone()
	}
}

// update takes what a new offer agreed on, and says whether the caller is on hold and was.
func (m *media) update(a agreed) (held, was bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was, held = m.agreed.held(), a.held()
	if a.remote != m.agreed.remote && !a.remote.Addr().IsUnspecified() {
		m.locked = netip.AddrPort{} // the caller has moved
	}
	m.agreed = a
	return held, was
}

var errHeld = errors.New("sip: the caller is on hold")

// write sends a frame of an output. Nothing of the one before is heard in it: that may have
// been fenced.
func (m *media) write(output uint32, pcm []int16) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.agreed.held() {
		return errHeld
	}
	if m.out.output != output {
		m.out.down.Reset()
		m.out.output = output
	}
	m.out.narrow = m.out.down.Resample(m.out.narrow[:0], pcm)
	return m.send(m.now(), m.out.narrow)
}

// send puts samples at 8000 Hz on the wire. m.mu is held.
func (m *media) send(now time.Duration, pcm []int16) error {
	to := m.locked
	if !to.IsValid() {
		to = m.agreed.remote
	}
	s := &m.out
	s.last = now
	slot, marker := s.slot+1, s.slot < 0
	if at := int64(now / transport.FrameDuration); at-slot > int64(pause/transport.FrameDuration) {
		slot, marker = at, true
	}
	h := rtp.Header{
		Version: 2, Marker: marker, PayloadType: m.agreed.sound, SequenceNumber: s.sequence,
		Timestamp: s.timestamp + uint32(slot)*whole, SSRC: m.ssrc,
	}
	s.slot = slot
	s.sequence++
	size := h.MarshalSize()
	s.packet = append(s.packet[:0], make([]byte, size)...)
	if _, err := h.MarshalTo(s.packet); err != nil {
		return err
	}
	s.packet = law(m.agreed.codec).Encode(s.packet, pcm)
	_, err := m.rtp.WriteToUDPAddrPort(s.packet, to)
	return err
}
