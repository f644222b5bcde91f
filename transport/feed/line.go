// SPDX-License-Identifier: Apache-2.0

package feed

import "github.com/parley-voice/parley/transport"

// line is what waits: samples in a ring, and marks at positions among them.
type line struct {
	ring  []int16 // takes its memory when it is needed
	limit int
	head  int64 // position of the first sample that waits
	tail  int64 // behind the last
	marks []mark
}

// mark is what lies between two samples.
type mark struct {
	at  int64  // position of the sample behind it
	pad bool   // what is left of a frame before it is filled up
	gap int64  // samples that did not come
	do  func() // to be called
}

// leastRing is what the ring begins with: a live client's lumps fit in.
const leastRing = 4 * transport.FrameSamples

// write appends what there is room for and says how much that was.
func (l *line) write(pcm []int16) int {
	n := min(len(pcm), l.limit-int(l.tail-l.head))
	l.grow(int(l.tail-l.head) + n)
	for rest := pcm[:n]; len(rest) > 0; {
		c := copy(l.ring[int(l.tail%int64(len(l.ring))):], rest)
		rest = rest[c:]
		l.tail += int64(c)
	}
	return n
}

// grow makes room for n samples.
func (l *line) grow(n int) {
	if n <= len(l.ring) {
		return
	}
	size := max(leastRing, len(l.ring))
	for size < n {
		size *= 2
	}
	bigger := make([]int16, min(size, max(l.limit, leastRing)))
	for at := l.head; at < l.tail; {
		from := l.ring[int(at%int64(len(l.ring))):]
		c := copy(bigger[int(at%int64(len(bigger))):], from[:min(len(from), int(l.tail-at))])
		at += int64(c)
	}
	l.ring = bigger
}

// read takes samples out.
func (l *line) read(dst []int16) {
	for len(dst) > 0 {
		c := copy(dst, l.ring[int(l.head%int64(len(l.ring))):])
		dst = dst[c:]
		l.head += int64(c)
	}
	if l.head == l.tail && len(l.ring) > leastRing {
		l.ring = nil // a recording has gone through; what is live needs little
	}
}

// cut drops the samples and gaps from a position on, and gives the number of samples.
func (l *line) cut(from int64, marks int) (cleared int64) {
	cleared = l.tail - from
	l.tail = from
	clear(l.marks[marks:])
	l.marks = l.marks[:marks]
	return cleared
}

// until is how many samples lie before the first mark, or before the end.
func (l *line) until() int64 {
	if len(l.marks) > 0 {
		return l.marks[0].at - l.head
	}
	return l.tail - l.head
}

func (l *line) empty() bool { return l.head == l.tail && len(l.marks) == 0 }
