// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/transport"
)

// trial does what bytes say to a feed, and keeps the books itself.
type trial struct {
	t        *testing.T
	f        *Feed
	s        *session
	c        Config
	written  int64
	promised []string // functions, in order
}

func (x *trial) play(raw []byte) {
	for ; len(raw) >= 3; raw = raw[3:] {
		n := int(binary.LittleEndian.Uint16(raw[1:]))
		switch raw[0] % 8 {
		case 0, 1, 2:
			n %= 1000
			x.f.Write(counting(int(x.written), n))
			x.written += int64(n)
		case 3:
			x.f.Write(counting(int(x.written), n))
			x.written += int64(n)
		case 4:
			x.f.Flush()
		case 5:
			name := fmt.Sprint("f", len(x.promised))
			if x.f.After(x.s.word(name)) {
				x.promised = append(x.promised, name)
			}
		case 6:
			x.f.Clear()
		case 7:
			time.Sleep(time.Duration(n%2000) * ms)
		}
		x.books()
	}
}

// books: every sample is accounted for, and no more waits than may.
func (x *trial) books() {
	x.t.Helper()
	synctest.Wait()
	st := x.f.Stats()
	if st.Written != x.written || st.Written != st.Out+st.Overflow+st.Cleared+st.Waiting {
		x.t.Fatalf("%d samples were written, counted %+v", x.written, st)
	}
	if limit := int64(samples(x.c.withDefaults().Longest)); st.Waiting > limit || st.Deepest > limit {
		x.t.Fatalf("%d samples wait, %d may", st.Waiting, limit)
	}
	if came := st.Out + st.Padded; int64(x.s.count()*frame) < came {
		x.t.Fatalf("%d frames came, counted %+v", x.s.count(), st)
	}
}

// paced: in no stretch of time more than rule 2 allows.
func (x *trial) paced() {
	x.t.Helper()
	c := x.c.withDefaults()
	for i := range x.s.at {
		for j := i; j < len(x.s.at); j++ {
			stretch := x.s.at[j] - x.s.at[i]
			sound := time.Duration(j-i+1) * transport.FrameDuration
			most := min(2*stretch+c.Burst, stretch+stretch/fastClock+c.Burst+c.CatchUp)
			if sound > most+time.Microsecond {
				x.t.Fatalf("%v of sound came within %v, %v may", sound, stretch, most)
			}
		}
	}
}

// FuzzFeed: whatever a client does, nothing is lost that is not counted, the order is kept,
// and the pace is.
func FuzzFeed(f *testing.F) {
	f.Add(uint8(0), []byte{0, 64, 1, 7, 20, 0, 5, 0, 0})
	f.Add(uint8(1), []byte{3, 255, 255, 5, 0, 0, 3, 255, 255, 6, 0, 0, 0, 1, 0, 4, 0, 0, 7, 255, 3})
	f.Add(uint8(2), []byte{3, 0, 60, 3, 200, 60, 7, 90, 1, 3, 1, 40, 5, 0, 0, 6, 1, 1})
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		if len(raw) > 300 {
			return
		}
		c := [...]Config{{}, {Longest: time.Second}, {Longest: 30 * ms, Burst: 20 * ms}, {CatchUp: -1, Burst: time.Second}}[kind%4]
		synctest.Test(t, func(t *testing.T) {
			feed, s := begin(t, c)
			x := &trial{t: t, f: feed, s: s, c: c}
			x.play(raw)
			time.Sleep(2*c.withDefaults().Longest + 5*time.Second) // each Flush may fill up a frame
			x.books()
			if waits := feed.Stats().Waiting; waits >= frame {
				t.Fatalf("%d samples wait for ever", waits)
			}
			if len(s.wrong) > 0 {
				t.Fatal(s.wrong)
			}
			x.paced()
			x.ordered()
		})
	})
}

// ordered: the functions that were promised ran, each once and in order.
func (x *trial) ordered() {
	x.t.Helper()
	n, last := 0, 0
	for _, line := range x.s.log {
		var name string
		var at int
		if _, err := fmt.Sscanf(line, "%s at %d", &name, &at); err != nil || name[0] != 'f' {
			continue
		}
		if n == len(x.promised) || name != x.promised[n] || at < last {
			x.t.Fatalf("the functions %v came as %v", x.promised, x.s.log)
		}
		n, last = n+1, at
	}
	if n != len(x.promised) {
		x.t.Fatalf("%d of %d functions came", n, len(x.promised))
	}
}
