// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/jitter"
)

// Impairment is a bad network between the caller and the line's jitter buffer, and a
// caller whose sound device is not quite right. Equal seeds make equal trouble.
type Impairment struct {
	Seed uint64
	// LossPermille is how many of 1000 frames begin a loss; LossFrames is how many go in a
	// row, 0 = 1.
	LossPermille int
	LossFrames   int
	// ReorderPermille is how many of 1000 frames are overtaken by the next.
	ReorderPermille int
	// DuplicatePermille is how many of 1000 frames come twice.
	DuplicatePermille int
	// Jitter is the most that a frame is delayed by; the delays are drawn evenly.
	Jitter time.Duration
	// DriftPPM is how much too fast the caller's sound device runs; negative = too slow.
	DriftPPM int
	// Buffer is the jitter buffer; its zero value has the bounds of flow section 6.
	Buffer jitter.Config
}

// The limits of an impairment, which bound what is under way.
const (
	maxJitter     = time.Second
	maxLossFrames = 500 // 10 s
	maxDriftPPM   = 5000
	permille      = 1000
	// tick is the step of the line's own pacer while the network is bad: frames then come
	// at instants of their own.
	tick = 5 * time.Millisecond
)

// Validate reports all faults at once.
func (i *Impairment) Validate() error {
	var faults []error
	within := func(field string, value, low, high int) {
		if value < low || value > high {
			faults = append(faults, fmt.Errorf("loopback: impairment.%s: %d: use a number from %d to %d", field, value, low, high))
		}
	}
	within("loss_permille", i.LossPermille, 0, permille)
	within("loss_frames", i.LossFrames, 0, maxLossFrames)
	within("reorder_permille", i.ReorderPermille, 0, permille)
	within("duplicate_permille", i.DuplicatePermille, 0, permille)
	within("drift_ppm", i.DriftPPM, -maxDriftPPM, maxDriftPPM)
	if i.Jitter < 0 || i.Jitter > maxJitter {
		faults = append(faults, fmt.Errorf("loopback: impairment.jitter: %v: use 0 to %v", i.Jitter, maxJitter))
	}
	if err := i.Buffer.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("loopback: impairment.buffer: %w", err))
	}
	return errors.Join(faults...)
}

// Impaired is what a bad network did.
type Impaired struct {
	Sent, Lost, Reordered, Duplicated int64 // frames
	Buffer                            jitter.Counters
}

// network is the way from the caller to the session. It belongs to the goroutine that
// calls Step.
type network struct {
	Impairment
	random uint64
	buffer *jitter.Buffer
	now    time.Duration // the line's clock
	over   bool          // the caller has sent everything
	losing int           // frames of a loss that are still to go
	flight []*flight     // under way, first to come first
	free   []*flight
	did    Impaired
}

// flight is a frame under way.
type flight struct {
	at       time.Duration
	sequence int64
	pcm      [transport.FrameSamples]int16
}

func newNetwork(i Impairment) (*network, error) {
	buffer, err := jitter.New(i.Buffer)
	if err != nil {
		return nil, err
	}
	return &network{Impairment: i, random: i.Seed, buffer: buffer}, nil
}

// draw gives a number in [0, n), n > 0 (splitmix64; Steele, Lea and Flood, "Fast
// splittable pseudorandom number generators", 2014).
func (n *network) draw(below int64) int64 {
	n.random += 0x9e3779b97f4a7c15
	z := n.random
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	z ^= z >> 31
	return int64(z % uint64(below))
}

func (n *network) chance(of1000 int) bool { return n.draw(permille) < int64(of1000) }

// made is when the caller's device has made a frame, on the line's clock.
func (n *network) made(frame int64) time.Duration {
	return time.Duration(frame+1) * (transport.FrameDuration - transport.FrameDuration*time.Duration(n.DriftPPM)/1_000_000)
}

// send puts a frame on its way.
func (n *network) send(sequence int64, pcm []int16) {
	n.did.Sent++
	if n.losing == 0 && n.chance(n.LossPermille) {
		n.losing = max(1, n.LossFrames)
	}
	at := n.made(sequence) + time.Duration(n.draw(int64(n.Jitter)+1))
	overtaken, twice := n.chance(n.ReorderPermille), n.chance(n.DuplicatePermille)
	if n.losing > 0 {
		n.losing--
		n.did.Lost++
		return
	}
	if overtaken {
		n.did.Reordered++
		at += transport.FrameDuration * 3 / 2
	}
	n.fly(at, sequence, pcm)
	if twice {
		n.did.Duplicated++
		n.fly(at+time.Duration(n.draw(int64(transport.FrameDuration))), sequence, pcm)
	}
}

func (n *network) fly(at time.Duration, sequence int64, pcm []int16) {
	var f *flight
	if last := len(n.free) - 1; last >= 0 {
		f, n.free = n.free[last], n.free[:last]
	} else {
		f = &flight{}
	}
	f.at, f.sequence = at, sequence
	copy(f.pcm[:], pcm)
	place, _ := slices.BinarySearchFunc(n.flight, at+1, func(f *flight, at time.Duration) int { return cmp.Compare(f.at, at) })
	n.flight = slices.Insert(n.flight, place, f)
}

// arrive lets what has come by now into the buffer, and what is due out of it, each at its
// own instant.
func (n *network) arrive(in transport.Ingress) {
	come := 0
	for _, f := range n.flight {
		if f.at > n.now {
			break
		}
		n.buffer.Deliver(f.at, in)
		n.buffer.Push(f.at, f.sequence, f.pcm[:])
		n.free = append(n.free, f)
		come++
	}
	n.flight = slices.Delete(n.flight, 0, come)
	n.buffer.Deliver(n.now, in)
}

// done says that the caller has sent everything and all of it is out.
func (n *network) done() bool { return n.over && len(n.flight) == 0 && n.buffer.Held() == 0 }

// Advance lets the line's time go on, for a driver that wants an impaired caller's frames
// at their own instants and not at every Step. It says false when the caller has hung up or
// the line is closed.
func (l *Line) Advance(by time.Duration) bool {
	if l.net == nil {
		for l.rest += by; l.rest >= transport.FrameDuration; l.rest -= transport.FrameDuration {
			if !l.Step() {
				return false
			}
		}
		return true
	}
	l.net.now += by
	if !l.speak() {
		return false
	}
	l.net.arrive(l.in)
	l.mu.Lock()
	l.did = l.net.did
	l.did.Buffer = l.net.buffer.Counters()
	l.mu.Unlock()
	if l.net.done() {
		l.in.Link(transport.LinkLeft)
		return false
	}
	return true
}

// speak sends what the caller's device has made by now.
func (l *Line) speak() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.opened {
		return false
	}
	for !l.net.over && l.net.made(l.next) <= l.net.now {
		n := l.next
		l.next++
		if l.net.over = l.ends(n); l.net.over {
			break
		}
		l.fill(n)
		l.caller = l.keep(l.caller, n*transport.FrameSamples, l.frame[:])
		l.net.send(n, l.frame[:])
	}
	return true
}

// Impaired says what the network did so far; nothing where there is no impairment.
func (l *Line) Impaired() Impaired {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.did
}
