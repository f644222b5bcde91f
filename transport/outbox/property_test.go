// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/transport"
)

// scene sends from several goroutines over a wire of any speed while fences fall, and
// checks what must hold whatever the order was.
type scene struct {
	mu      sync.Mutex
	delay   func() time.Duration
	fenced  map[uint32]bool // Fence has returned
	broken  []uint32        // audio that began to be written behind its fence
	control [4][]uint32     // numbers as written, by sender
	audio   [4][]uint32
}

func message(sender, number, generation uint32, isAudio bool) Message {
	data := binary.LittleEndian.AppendUint32(nil, sender)
	return Message{Audio: isAudio, Turn: "t", Generation: generation, Data: binary.LittleEndian.AppendUint32(data, number)}
}

func (s *scene) write(_ context.Context, m *Message) error {
	s.mu.Lock()
	sender, number := binary.LittleEndian.Uint32(m.Data), binary.LittleEndian.Uint32(m.Data[4:])
	if m.Audio {
		if s.fenced[m.Generation] {
			s.broken = append(s.broken, m.Generation)
		}
		s.audio[sender] = append(s.audio[sender], number)
	} else {
		s.control[sender] = append(s.control[sender], number)
	}
	wait := s.delay()
	s.mu.Unlock()
	time.Sleep(wait)
	return nil
}

func increases(list []uint32) bool {
	for i := 1; i < len(list); i++ {
		if list[i] <= list[i-1] {
			return false
		}
	}
	return true
}

// Whatever meets whatever: order is kept, no control is lost, nothing of a fenced
// generation begins to be written once Fence has returned, and all is counted.
func TestAnyInterleaving(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		delays := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{0, 0, 0, 10 * time.Microsecond, time.Millisecond}), 1, 8).Draw(rt, "delays")
		bound := rapid.IntRange(1, 20).Draw(rt, "audio")
		senders := rapid.IntRange(1, 4).Draw(rt, "senders")
		steps := rapid.SliceOfN(rapid.Uint32Range(0, 99), 1, 60).Draw(rt, "steps")
		n := 0
		s := &scene{fenced: map[uint32]bool{}, delay: func() time.Duration { n++; return delays[n%len(delays)] }}
		o, err := New(Config{Write: s.write, Audio: bound, Control: 1000})
		if err != nil {
			rt.Fatal(err)
		}
		var group sync.WaitGroup
		for sender := range senders {
			group.Go(func() {
				for number, step := range steps {
					generation := 1 + uint32(number)/10
					switch {
					case step < 8:
						o.Fence(transport.Fence{Turn: "t", Generation: generation})
						s.mu.Lock()
						s.fenced[generation] = true
						s.mu.Unlock()
					case step < 40:
						o.Send(message(uint32(sender), uint32(number), 0, false))
					default:
						o.Send(message(uint32(sender), uint32(number), generation, true))
					}
				}
			})
		}
		group.Wait()
		if err := o.Close(t.Context()); err != nil {
			rt.Fatal(err)
		}
		s.check(rt, o, senders, steps)
	})
}

func (s *scene) check(rt *rapid.T, o *Outbox, senders int, steps []uint32) {
	stats := o.Stats()
	if len(s.broken) > 0 && stats.Late == 0 {
		rt.Fatalf("audio of %v was written behind its fence", s.broken)
	}
	controls, audios := 0, 0
	for _, step := range steps {
		if step >= 40 {
			audios++
		} else if step >= 8 {
			controls++
		}
	}
	for sender := range senders {
		if len(s.control[sender]) != controls {
			rt.Fatalf("%d of %d control messages were written", len(s.control[sender]), controls)
		}
		if !increases(s.control[sender]) || !increases(s.audio[sender]) {
			rt.Fatalf("the order is broken: %v, %v", s.control[sender], s.audio[sender])
		}
	}
	if all := stats.Audio + stats.Dropped + stats.Fenced; all != int64(audios*senders) || stats.Unsent != 0 || stats.Refused != 0 {
		rt.Fatalf("%d messages of audio were sent, counted %+v", audios*senders, stats)
	}
}

// FuzzOutbox reads sends, fences and pauses out of bytes; one goroutine sends, so that
// what must come out is known exactly.
func FuzzOutbox(f *testing.F) {
	f.Add([]byte{1})
	f.Add([]byte{3, 0x11, 0x12, 0x80, 0x13, 0x41, 0x12})
	f.Add([]byte{1, 0x11, 0x11, 0x11, 0x80, 0x80, 0x42, 0x12, 0x11, 0xC0, 0x13})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) == 0 || len(raw) > 500 {
			return
		}
		s := &scene{fenced: map[uint32]bool{}, delay: func() time.Duration { return 0 }}
		o := newOutbox(t, Config{Write: s.write, Audio: 1 + int(raw[0]%16), Control: 1000})
		var want []uint32
		sent, fences := int64(0), 0
		for number, b := range raw[1:] {
			switch generation := uint32(b & 15); b >> 6 {
			case 0:
				sent++
				o.Send(message(0, uint32(number), generation, true))
			case 1:
				fence := transport.Fence{Turn: "t", Generation: generation, Session: b == 0x7F}
				o.Fence(fence)
				fences++
				s.mu.Lock()
				if generation != 0 {
					s.fenced[generation] = true
				}
				s.mu.Unlock()
			case 2:
				want = append(want, uint32(number))
				o.Send(message(0, uint32(number), 0, false))
			case 3:
				for o.Stats().Waiting > 0 {
					time.Sleep(time.Microsecond)
				}
			}
		}
		if err := o.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		stats := o.Stats()
		if len(s.broken) > 0 && stats.Late == 0 && fences <= rememberFences {
			t.Fatalf("audio of %v was written behind its fence", s.broken)
		}
		if len(want) != len(s.control[0]) || !increases(s.control[0]) || !increases(s.audio[0]) {
			t.Fatalf("control %v, want %v; audio %v", s.control[0], want, s.audio[0])
		}
		if stats.Audio+stats.Dropped+stats.Fenced != sent {
			t.Fatalf("%d were sent, counted %+v", sent, stats)
		}
	})
}
