// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"time"

	"github.com/pion/rtp"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/jitter"
)

const (
	// ticks are those of RTP's clock in a frame of 20 ms, at 48000 Hz.
	ticks = 960
	// wireRatio is RTP's clock over the session's.
	wireRatio = ticks / transport.FrameSamples
	// mostPackets bounds the packets that wait for the goroutine of a track.
	mostPackets = 64
	// quietPacket is a packet that has no sound: of DTX (RFC 6716, section 2.1.9), or the
	// silence that a server sends in the place of a track.
	quietPacket = 3
	// quietBehind is how long silence waits for a packet that may still come: less than the
	// target of the jitter buffer.
	quietBehind = 40 * time.Millisecond
	// quietLongest is after how long without a packet a sender is not silent but lost. It
	// refreshes its silence each 400 ms.
	quietLongest = 600 * time.Millisecond
	// look is how often the clock is looked at when nothing comes.
	look = transport.FrameDuration
)

// ear hears one track. But for take it is its goroutine's alone.
type ear struct {
	count   *counts
	packets chan arrival
	ended   chan struct{} // closed when its goroutine has

	order   order
	decoder *codec.OpusDecoder
	jitter  *jitter.Buffer
	began   time.Time

	begun    bool
	expected uint32 // timestamp of what follows
	slot     int64  // of the frame that is being filled
	part     []int16
	pcm      []int16
	last     time.Duration // when the latest packet came
	quiet    bool          // the sender says that it is silent
	muted    bool
}

func newEar(count *counts) (*ear, error) {
	e := &ear{count: count, packets: make(chan arrival, mostPackets), ended: make(chan struct{}), began: time.Now()}
	var err error
	if e.decoder, err = codec.NewOpusDecoder(); err != nil {
		return nil, err
	}
	e.jitter, err = jitter.New(jitter.Config{})
	return e, err
}

// arrival is a packet and when it came.
type arrival struct {
	at time.Duration
	p  *rtp.Packet
}

// take takes a packet to the ear's goroutine, or counts it as too many.
func (e *ear) take(p *rtp.Packet) {
	select {
	case e.packets <- arrival{time.Since(e.began), p}:
	default:
		e.count.overflow.Add(1)
	}
}

// put takes a packet that came at an instant.
func (e *ear) put(now time.Duration, p *rtp.Packet) {
	e.count.packets.Add(1)
	if len(p.Payload) == 0 { // padding, by which servers measure the way
		e.order.skip(now, p.SequenceNumber, e.decode)
		return
	}
	if !e.order.put(now, p, e.decode) {
		e.count.late.Add(1)
	}
}

// decode takes packets in their order.
func (e *ear) decode(now time.Duration, p *rtp.Packet) {
	e.last = now
	pcm, err := e.decoder.Decode(e.pcm[:0], p.Payload)
	if err != nil {
		e.count.malformed.Add(1)
		return
	}
	e.pcm = pcm
	e.quiet = len(p.Payload) <= quietPacket
	if !e.begun {
		e.begun, e.expected = true, p.Timestamp
	}
	switch ahead := int32(p.Timestamp - e.expected); {
	case ahead < 0 && ahead > -ticks*50:
		e.count.late.Add(1) // it is out already, as silence
		return
	case ahead != 0:
		e.jump(ahead)
	}
	e.expected = p.Timestamp + uint32(len(pcm)*wireRatio)
	e.fill(now, pcm)
}

// jump goes on at another place: whole frames away, and what is incomplete is dropped. A
// sender that has begun to count anew goes on at the next frame.
func (e *ear) jump(ahead int32) {
	const farthest = ticks * 50 * 60
	by := int64(1)
	if ahead > 0 && ahead <= farthest {
		by = int64(ahead+int32(len(e.part)*wireRatio)+ticks/2) / ticks
	}
	e.part = e.part[:0]
	e.slot += max(by, 0)
}

// fill makes frames.
func (e *ear) fill(now time.Duration, pcm []int16) {
	for len(pcm) > 0 {
		n := min(len(pcm), transport.FrameSamples-len(e.part))
		e.part = append(e.part, pcm[:n]...)
		pcm = pcm[n:]
		if len(e.part) == transport.FrameSamples {
			e.jitter.Push(now, e.slot, e.part)
			e.part = e.part[:0]
			e.slot++
		}
	}
}

// silence fills in what a sender leaves out on purpose.
func (e *ear) silence(now time.Duration) {
	if !e.begun || !e.quiet && !e.muted || !e.muted && now-e.last > quietLongest {
		return
	}
	var none [transport.FrameSamples]int16
	if skip := int64((now - e.last - time.Second) / transport.FrameDuration); skip > 0 {
		e.last += time.Duration(skip) * transport.FrameDuration
		e.expected += uint32(skip * ticks)
		e.slot += skip
	}
	for now-e.last >= transport.FrameDuration+quietBehind {
		e.last += transport.FrameDuration
		e.part = e.part[:0]
		e.expected += ticks
		e.jitter.Push(now, e.slot, none[:])
		e.slot++
	}
}

// run hears until stop is closed. tell calls the session.
func (e *ear) run(stop <-chan struct{}, muted func() bool, tell func(func(in transport.Ingress))) {
	timer := time.NewTimer(look)
	defer timer.Stop()
	for {
		timer.Reset(e.wait())
		select {
		case <-stop:
			return
		case p := <-e.packets:
			e.put(p.at, p.p)
		case <-timer.C:
		}
		now := time.Since(e.began)
		e.drain() // what has come is not missing
		e.order.tick(now, e.decode)
		e.muted = muted()
		e.silence(now)
		tell(func(in transport.Ingress) { e.jitter.Deliver(now, in) })
	}
}

// drain takes the packets that wait.
func (e *ear) drain() {
	for {
		select {
		case p := <-e.packets:
			e.put(p.at, p.p)
		default:
			return
		}
	}
}

// wait is how long nothing is due.
func (e *ear) wait() time.Duration {
	return max(0, min(look, e.jitter.Next()-time.Since(e.began)))
}

// The bounds of order.
const (
	// orderWithin is how long a packet waits for one before it: less than the target of the
	// jitter buffer, so that what waited is still in time.
	orderWithin = 40 * time.Millisecond
	orderMost   = 8
)

// order brings packets into the order of their numbers: a decoder of Opus is a stream's, and
// what comes in another order sounds wrong.
type order struct {
	begun bool
	next  uint16
	held  []heldPacket // of later numbers, in their order
}

type heldPacket struct {
	at time.Duration
	p  *rtp.Packet // without payload = a number without sound
}

// put takes a packet and gives those that are next; false when its number is over.
func (o *order) put(now time.Duration, p *rtp.Packet, give func(time.Duration, *rtp.Packet)) bool {
	if !o.begun {
		o.begun, o.next = true, p.SequenceNumber
	}
	const far = 1 << 10
	switch ahead := int16(p.SequenceNumber - o.next); {
	case ahead > far || ahead < -far: // the sender has begun to count anew
		o.flush(now, give)
		o.next = p.SequenceNumber
	case ahead < 0:
		return false
	case ahead > 0:
		return o.hold(now, p, give)
	}
	o.give(now, p, give)
	o.release(now, give)
	return true
}

// skip takes a number that has no sound.
func (o *order) skip(now time.Duration, number uint16, give func(time.Duration, *rtp.Packet)) {
	o.put(now, &rtp.Packet{Header: rtp.Header{SequenceNumber: number}}, give)
}

func (o *order) hold(now time.Duration, p *rtp.Packet, give func(time.Duration, *rtp.Packet)) bool {
	i := 0
	for i < len(o.held) && int16(o.held[i].p.SequenceNumber-p.SequenceNumber) < 0 {
		i++
	}
	if i < len(o.held) && o.held[i].p.SequenceNumber == p.SequenceNumber {
		return false // twice
	}
	o.held = append(o.held, heldPacket{})
	copy(o.held[i+1:], o.held[i:])
	o.held[i] = heldPacket{now, p}
	if len(o.held) > orderMost {
		o.pass(now, give)
	}
	return true
}

// tick gives up what has not come in time.
func (o *order) tick(now time.Duration, give func(time.Duration, *rtp.Packet)) {
	for len(o.held) > 0 && now-o.oldest() >= orderWithin {
		o.pass(now, give)
	}
}

func (o *order) oldest() time.Duration {
	least := o.held[0].at
	for _, h := range o.held {
		least = min(least, h.at)
	}
	return least
}

// pass goes on behind what is missing.
func (o *order) pass(now time.Duration, give func(time.Duration, *rtp.Packet)) {
	o.next = o.held[0].p.SequenceNumber
	o.release(now, give)
}

// release gives what is held and next.
func (o *order) release(now time.Duration, give func(time.Duration, *rtp.Packet)) {
	for len(o.held) > 0 && o.held[0].p.SequenceNumber == o.next {
		p := o.held[0].p
		o.held = o.held[:copy(o.held, o.held[1:])]
		o.give(now, p, give)
	}
}

// flush gives all that is held.
func (o *order) flush(now time.Duration, give func(time.Duration, *rtp.Packet)) {
	for len(o.held) > 0 {
		o.pass(now, give)
	}
}

func (o *order) give(now time.Duration, p *rtp.Packet, give func(time.Duration, *rtp.Packet)) {
	o.next = p.SequenceNumber + 1
	if len(p.Payload) > 0 {
		give(now, p)
	}
}
