// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"math"
	"time"
)

// The measures of sound at 8000 Hz.
const (
	half  = 80       // 10 ms: packets are some of them
	whole = 2 * half // 20 ms: a frame
	// firstSlot is where counting begins, so that what is a little older has a number too.
	firstSlot = 1 << 20
	// parts is how many frames may be incomplete at a time.
	parts = 8
	// longestPacket bounds the sound of a packet, 120 ms.
	longestPacket = 12 * half
)

// strange is by how much a timestamp may differ from what the clock says, before the sender
// is taken to count anew.
const strange = 2 * time.Second

// halves makes frames of 20 ms of packets of any whole 10 ms, by their timestamps. It has
// a frame when both of its halves have come, in whatever packets. A sender that begins to
// count anew, as when a call is passed on, goes on where the clock is.
type halves struct {
	begun bool
	ssrc  uint32
	base  int64 // timestamp of half 0, unwrapped
	last  int64 // the latest timestamp, unwrapped
	start int64 // the half that it is the begin of
	end   int64 // the half behind its packet
	at    time.Duration
	parts [parts]part
	// The counters, in packets and frames.
	malformed, partial, restarts int64
}

type part struct {
	slot int64
	have uint8 // bits of the halves that have come
	pcm  [whole]int16
}

// unwrap gives a timestamp on an axis that does not wrap.
func (h *halves) unwrap(timestamp uint32) int64 {
	return h.last + int64(int32(timestamp-uint32(h.last)))
}

// put takes the sound of a packet that came at an instant, and gives the frames that it
// completed.
func (h *halves) put(now time.Duration, ssrc, timestamp uint32, pcm []int16, frame func(slot int64, pcm []int16)) {
	if len(pcm) == 0 || len(pcm)%half != 0 || len(pcm) > longestPacket {
		h.malformed++
		return
	}
	at := h.unwrap(timestamp)
	passed := time.Duration(at-h.last) * time.Second / 8000
	switch {
	case !h.begun:
		h.base = at - 2*firstSlot*half
	case ssrc != h.ssrc || passed-(now-h.at) > strange || (now-h.at)-passed > strange:
		h.restarts++
		next := max(h.end, h.start+int64((now-h.at)/(10*time.Millisecond)))
		h.base = at - (next+next%2)*half
	}
	h.begun, h.ssrc, h.last, h.at = true, ssrc, at, now
	// A sender that leaves out silence need not come back on a multiple of 10 ms.
	n := int64(math.Round(float64(at-h.base) / half))
	h.start, h.end = n, n+int64(len(pcm)/half)
	for ; len(pcm) > 0; n, pcm = n+1, pcm[half:] {
		h.half(n, pcm[:half], frame)
	}
}

func (h *halves) half(n int64, pcm []int16, frame func(slot int64, pcm []int16)) {
	slot, which := n/2, n%2
	p := &h.parts[slot%parts]
	if p.slot != slot {
		if p.have != 0 && p.have != 3 {
			h.partial++
		}
		p.slot, p.have = slot, 0
	}
	if p.have == 3 {
		return // twice
	}
	copy(p.pcm[which*half:], pcm)
	if p.have |= 1 << which; p.have == 3 {
		frame(slot, p.pcm[:])
	}
}
