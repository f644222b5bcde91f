// SPDX-License-Identifier: Apache-2.0

package sip

import "math"

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

// halves makes frames of 20 ms of packets of any whole 10 ms, by their timestamps. It has
// a frame when both of its halves have come, in whatever packets.
type halves struct {
	begun bool
	base  int64 // timestamp of firstSlot's begin, unwrapped
	last  int64 // the latest timestamp, unwrapped
	parts [parts]part
	// The counters, in packets and frames.
	malformed, partial int64
}

type part struct {
	slot int64
	have uint8 // bits of the halves that have come
	pcm  [whole]int16
}

// unwrap gives a timestamp on an axis that does not wrap.
func (h *halves) unwrap(timestamp uint32) int64 {
	if !h.begun {
		return int64(timestamp)
	}
	return h.last + int64(int32(timestamp-uint32(h.last)))
}

// put takes the sound of a packet and gives the frames that it completed.
func (h *halves) put(timestamp uint32, pcm []int16, frame func(slot int64, pcm []int16)) {
	if len(pcm) == 0 || len(pcm)%half != 0 || len(pcm) > longestPacket {
		h.malformed++
		return
	}
	at := h.unwrap(timestamp)
	if !h.begun {
		h.begun = true
		h.base = at
	}
	h.last = at
	// A sender that leaves out silence need not come back on a multiple of 10 ms.
	n := int64(math.Round(float64(at-h.base)/half)) + 2*firstSlot
	if n < 0 {
		h.malformed++
		return
	}
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
