// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"slices"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// feed writes n samples, each the low bits of its own position.
func feed(r *Ring, n int) {
	head := r.Head()
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(int(head) + i)
	}
	r.Write(pcm)
}

func readAll(t *testing.T, l *Reader, through timebase.Samples) (n int) {
	t.Helper()
	var buf [333]int16
	for {
		got, at := l.Read(buf[:], through)
		if got == 0 {
			return n
		}
		for i, v := range buf[:got] {
			if v != int16(int(at)+i) {
				t.Fatalf("sample at %d is %d", int(at)+i, v)
			}
		}
		n += got
	}
}

func TestReadersFollowAtTheirOwnPace(t *testing.T) {
	var r Ring
	live := r.Listen(0)
	for range 100 {
		feed(&r, 320)
		if n := readAll(t, live, -1); n != 320 {
			t.Fatalf("read %d, want 320", n)
		}
	}
	late := r.Listen(32000 - 4800) // 300 ms of pre-roll
	if n := readAll(t, late, -1); n != 4800 {
		t.Errorf("pre-roll of %d samples, want 4800", n)
	}
	feed(&r, 1000)
	if n := readAll(t, late, 32500); n != 500 || late.At() != 32500 {
		t.Errorf("read %d up to %d, want 500 up to 32500", n, late.At())
	}
	if r.Lost() != 0 || len(r.buf) != ringMin {
		t.Errorf("lost %d, ring of %d: nobody was slow", r.Lost(), len(r.buf))
	}
}

func TestSlowReaderGrowsTheRingThenLosesTheOldest(t *testing.T) {
	var r Ring
	slow := r.Listen(0)
	for range 300 { // 96,000 samples
		feed(&r, 320)
	}
	if len(r.buf) != ringMax {
		t.Errorf("ring of %d samples, want it at its bound of %d", len(r.buf), ringMax)
	}
	if n := readAll(t, slow, -1); n != ringMax {
		t.Errorf("read %d, want the newest %d", n, ringMax)
	}
	if r.Lost() != 96000-ringMax {
		t.Errorf("lost %d, want %d counted", r.Lost(), 96000-ringMax)
	}
	slow.Close()
	if len(r.readers) != 0 {
		t.Error("a closed reader is still followed")
	}
}

func TestLateListenerMakesTheRingRemember(t *testing.T) {
	var r Ring
	for range 50 {
		feed(&r, 320)
	}
	if n := readAll(t, r.Listen(16000-10000), -1); n != ringMin || r.Lost() != 10000-ringMin {
		t.Errorf("read %d, lost %d: want what the ring had", n, r.Lost())
	}
	for range 50 {
		feed(&r, 320)
	}
	if n := readAll(t, r.Listen(32000-10000), -1); n != 10000 {
		t.Errorf("read %d, want the 10000 that were asked for the second time", n)
	}
}

// What did not come is silence in its place: the positions behind it stay true.
func TestSkipIsSilenceInItsPlace(t *testing.T) {
	var r Ring
	live := r.Listen(0)
	feed(&r, 1000)
	if at := r.Skip(777); at != 1000 || r.Head() != 1777 {
		t.Errorf("skipped from %d, head %d", at, r.Head())
	}
	feed(&r, 500)
	buf := make([]int16, 4000)
	n, at := live.Read(buf, -1)
	if n != 2277 || at != 0 {
		t.Fatalf("read %d from %d", n, at)
	}
	for i, v := range buf[:n] {
		want := int16(i)
		if i >= 1000 && i < 1777 {
			want = 0
		}
		if v != want {
			t.Fatalf("sample %d is %d, want %d", i, v, want)
		}
	}
	if r.Skip(0) != 2277 || r.Skip(-5) != 2277 || r.Head() != 2277 {
		t.Error("nothing moved the ring")
	}
}

// A silence longer than the ring costs no more than the ring, and is lost to a reader.
func TestSkipPastTheRing(t *testing.T) {
	var r Ring
	live := r.Listen(0)
	feed(&r, 3)
	r.Skip(1 << 40)
	buf := make([]int16, 16)
	n, at := live.Read(buf, -1)
	if at != 1<<40+3-ringMax || n != 16 || buf[0] != 0 || r.Lost() != at {
		t.Errorf("read %d from %d, lost %d", n, at, r.Lost())
	}
	if len(r.buf) != ringMax {
		t.Errorf("the ring has %d samples", len(r.buf))
	}
}

// An idle ring that only hears of gaps keeps time.
func TestSkipBeforeAnyAudio(t *testing.T) {
	var r Ring
	r.Skip(100)
	if n, at := r.Listen(0).Read(make([]int16, 200), -1); n != 100 || at != 0 {
		t.Errorf("read %d from %d", n, at)
	}
}

func TestRingIsFreeUntilAudioComes(t *testing.T) {
	var r Ring
	l := r.Listen(0)
	if n, _ := l.Read(make([]int16, 10), -1); n != 0 || r.buf != nil {
		t.Error("an idle ring holds memory")
	}
}

func TestCallerFrameCostsNoAllocation(t *testing.T) {
	var r Ring
	l := r.Listen(0)
	pcm, buf := make([]int16, 320), make([]int16, 512)
	r.Write(pcm)
	if n := testing.AllocsPerRun(500, func() {
		r.Write(pcm)
		l.Read(buf, -1)
	}); n != 0 {
		t.Errorf("%v allocations a frame, want 0", n)
	}
}

// What was dropped ahead of its writing is not read when it comes.
func TestReaderSkipsAheadOfTheSound(t *testing.T) {
	var r Ring
	live := r.Listen(0)
	feed(&r, 100)
	live.Skip(250)
	if n := live.Available(); n != 0 {
		t.Errorf("%d samples are there to be read", n)
	}
	feed(&r, 100)
	buf := make([]int16, 200)
	if n, _ := live.Read(buf, -1); n != 0 {
		t.Errorf("read %d samples that were dropped", n)
	}
	feed(&r, 100)
	if n, at := live.Read(buf, -1); n != 50 || at != 250 || buf[0] != 250 {
		t.Errorf("read %d from %d, %d", n, at, buf[0])
	}
}

// A ring grows when a reader would lose sound otherwise, and at no other time, though it does
// not look at its readers with each frame.
func TestRingGrowsForTheSlowest(t *testing.T) {
	random := timebase.NewRandom(11)
	grown := 0
	for range 40 {
		var r Ring
		var readers []*Reader
		piece := make([]int16, 400)
		for range 1500 {
			switch n := random.Below(12); {
			case n == 0 && len(readers) < 3:
				readers = append(readers, r.Listen(max(0, r.Head()-timebase.Samples(random.Below(6000)))))
			case n == 1 && len(readers) > 0:
				i := int(random.Below(int64(len(readers))))
				readers[i].Close()
				readers = slices.Delete(readers, i, i+1)
			case n < 7 && len(readers) > 0:
				readers[random.Below(int64(len(readers)))].Read(piece[:1+random.Below(400)], -1)
			default:
				size := len(r.buf)
				if size == 0 {
					size = ringMin
				}
				frame := 1 + int(random.Below(400))
				for _, reader := range readers {
					for int(r.head-reader.at)+frame > size && size < ringMax {
						size *= 2
						grown++
					}
				}
				if random.Below(10) == 0 {
					r.Skip(timebase.Samples(frame))
				} else {
					r.Write(piece[:frame])
				}
				if len(r.buf) != size {
					t.Fatalf("the ring holds %d samples, want %d", len(r.buf), size)
				}
			}
		}
	}
	if grown == 0 {
		t.Error("no ring grew")
	}
}
