// SPDX-License-Identifier: Apache-2.0

package jitter

import (
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/transport"
)

// trial feeds a Buffer anything and checks what must hold whatever comes.
type trial struct {
	rapid.TB
	b        *Buffer
	tags     []tag // of every frame, by what its samples say
	last     tag   // of the frame that came out last
	number   int64 // of what came out last, if it had one
	samples  int64 // that came out
	frames   int64
	restarts int64
}

// tag is what decides the order of frames: numbers, within one timeline.
type tag struct{ timeline, number int64 }

func newTrial(tb rapid.TB, c Config) *trial {
	tb.Helper()
	b, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return &trial{TB: tb, b: b, last: tag{-1, -1}, number: -1}
}

func (x *trial) push(at time.Duration, sequence int64, pcm []int16) {
	x.Helper()
	if len(pcm) > 1 {
		pcm[0], pcm[1] = int16(len(x.tags)), int16(len(x.tags)>>15)
	}
	number := x.b.unwrap(sequence)
	x.b.Push(at, sequence, pcm)
	x.tags = append(x.tags, tag{x.b.Counters().Restarts, number})
	x.check()
}

func (x *trial) pop(at time.Duration) {
	x.Helper()
	var p Piece
	for x.b.Pop(at, &p) {
		x.samples += p.Samples
		if p.Samples <= 0 || p.Samples%transport.FrameSamples != 0 || (p.Kind == Missing) != (p.PCM == nil) {
			x.Fatalf("a piece of kind %d has %d samples and %d in hand", p.Kind, p.Samples, len(p.PCM))
		}
		if x.b.config.SequenceBits == 0 && p.Sequence >= 0 {
			if p.Sequence <= x.number {
				x.Fatalf("a piece of kind %d has number %d, behind %d", p.Kind, p.Sequence, x.number)
			}
			x.number = p.Sequence + p.Samples/transport.FrameSamples - 1
		}
		if p.Kind == Frame {
			x.frames++
			came := x.tags[int(p.PCM[0])+int(p.PCM[1])<<15]
			if came.timeline < x.last.timeline || came.timeline == x.last.timeline && came.number <= x.last.number {
				x.Fatalf("frame %+v came out behind %+v", came, x.last)
			}
			x.last = came
		}
		x.check()
	}
	if next := x.b.Next(); next <= at {
		x.Fatalf("everything due at %v is out, and the next is due at %v", at, next)
	}
}

func (x *trial) check() {
	x.Helper()
	(&wire{t: x.TB, b: x.b}).accounts()
	c := x.b.Counters()
	if out := (c.Out + c.Lost + c.Dropped - x.b.skipped) * transport.FrameSamples; out != x.samples {
		x.Fatalf("%d samples are out, the counters say %d", x.samples, out)
	}
	if c.Out != x.frames || c.Concealed > c.Lost || x.b.end < x.b.next || x.b.end-x.b.next > int64(len(x.b.slots)) {
		x.Fatalf("counted %+v", c)
	}
	if c.Restarts < x.restarts {
		x.Fatal("restarts are counted down")
	}
	x.restarts = c.Restarts
}

func drawConfig(t *rapid.T) Config {
	c := Config{
		Target:       time.Duration(rapid.IntRange(1, 8).Draw(t, "target")) * frame,
		Conceal:      time.Duration(rapid.IntRange(-1, 3).Draw(t, "conceal")) * frame,
		SequenceBits: rapid.SampledFrom([]int{0, 8, 16, 62}).Draw(t, "bits"),
	}
	c.Maximum = c.Target + time.Duration(rapid.IntRange(1, 8).Draw(t, "room"))*frame
	return c
}

// A network as bad as it gets: loss, order, duplicates, delays, wild numbers, an owner
// that is away. The bound holds, everything is accounted for, the order is kept.
func TestAnyNetwork(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		x := newTrial(t, c)
		at, sequence := time.Duration(0), rapid.Int64Range(0, 1<<20).Draw(t, "first")
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			at += time.Duration(rapid.IntRange(0, 45).Draw(t, "wait")) * ms
			number := sequence
			switch rapid.IntRange(0, 12).Draw(t, "what") {
			case 0:
				number -= rapid.Int64Range(1, 12).Draw(t, "behind")
			case 1:
				number += rapid.Int64Range(1, 12).Draw(t, "ahead")
			case 2:
				number = rapid.Int64Range(-3, 1<<62).Draw(t, "wild")
			case 3:
				sequence += rapid.Int64Range(1, 20).Draw(t, "lost")
				continue
			case 4:
				at += time.Duration(rapid.IntRange(0, 3000).Draw(t, "away")) * ms
			case 5:
				sequence = rapid.Int64Range(0, 1<<40).Draw(t, "anew")
				number = sequence
			default:
				sequence++
			}
			if c.SequenceBits > 0 && number > 0 {
				number &= 1<<c.SequenceBits - 1
			}
			x.push(at, number, make([]int16, transport.FrameSamples))
			if rapid.Bool().Draw(t, "look") {
				x.pop(at)
			}
		}
		x.pop(at + time.Second)
		if held := x.b.Counters().Depth; held != 0 {
			t.Fatalf("a second later %d frames are held", held)
		}
	})
}

// FuzzBuffer reads a network out of bytes: wrapping numbers, hostile ones, and pieces that
// are no frames.
func FuzzBuffer(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{1, 20, 255, 255, 0, 0, 20, 0, 0, 1, 0, 20, 1, 0, 0})
	f.Add([]byte{2, 255, 255, 255, 255, 3, 9, 0, 0, 4, 200, 1, 128, 7})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) == 0 || len(raw) > 1024 {
			return
		}
		bits := [...]int{0, 8, 16, 62}[raw[0]%4]
		x := newTrial(t, Config{SequenceBits: bits})
		at := time.Duration(0)
		for raw = raw[1:]; len(raw) >= 4; raw = raw[4:] {
			at += time.Duration(raw[0]) * ms
			sequence := int64(int16(binary.LittleEndian.Uint16(raw[1:])))
			n := transport.FrameSamples
			switch raw[3] % 8 {
			case 0:
				sequence <<= raw[3] / 8
			case 1:
				n = int(raw[2])
			case 2:
				at += time.Duration(raw[3]) * time.Minute
			case 3:
				x.pop(at)
			}
			x.push(at, sequence, make([]int16, n))
		}
		x.pop(at + time.Second)
	})
}
