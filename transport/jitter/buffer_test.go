// SPDX-License-Identifier: Apache-2.0

package jitter

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/transport"
)

const ms = time.Millisecond

// wire pushes frames whose samples tell their number, and keeps what comes out as text:
// "7" a frame, "(8)" a guess, "[9+3]" a gap of three.
type wire struct {
	t   rapid.TB
	b   *Buffer
	out []string
}

func newWire(t rapid.TB, c Config) *wire {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &wire{t: t, b: b}
}

func numbered(n int64) []int16 {
	pcm := make([]int16, transport.FrameSamples)
	for i := range pcm {
		pcm[i] = int16(n)
	}
	return pcm
}

func (w *wire) push(at time.Duration, sequences ...int64) {
	for _, s := range sequences {
		w.b.Push(at, s, numbered(s))
	}
}

func (w *wire) pop(at time.Duration) {
	w.t.Helper()
	var p Piece
	for w.b.Pop(at, &p) {
		switch p.Kind {
		case Frame:
			word := fmt.Sprint(p.Sequence)
			if p.PCM[0] != int16(p.Sequence) { // behind a restart, and only there
				word += fmt.Sprint(":", p.PCM[0])
			}
			if w.b.Counters().Restarts == 0 && p.PCM[0] != int16(p.Sequence) || p.Samples != transport.FrameSamples {
				w.t.Errorf("frame %d holds the samples of %d", p.Sequence, p.PCM[0])
			}
			w.out = append(w.out, word)
		case Concealed:
			w.out = append(w.out, fmt.Sprintf("(%d)", p.Sequence))
		case Missing:
			word := fmt.Sprintf("[%d+%d]", p.Sequence, p.Samples/transport.FrameSamples)
			if p.Reason != transport.GapLost {
				word += string(p.Reason)
			}
			w.out = append(w.out, word)
		}
	}
}

// play pushes frame n at n*20 ms and its delay, and pops at every arrival and every slot.
func (w *wire) play(from, to int64, delay func(n int64) time.Duration) {
	type arrival struct {
		at time.Duration
		n  int64
	}
	var list []arrival
	for n := from; n < to; n++ {
		if d := delay(n); d >= 0 {
			list = append(list, arrival{time.Duration(n)*frame + d, n})
		}
	}
	slices.SortStableFunc(list, func(a, b arrival) int { return int(a.at - b.at) })
	for _, a := range list {
		w.tick(a.at)
		w.push(a.at, a.n)
	}
	w.tick(time.Duration(to)*frame + w.b.config.Target)
}

// tick lets time pass, and pops when anything is due.
func (w *wire) tick(until time.Duration) {
	w.t.Helper()
	for next := w.b.Next(); next < until; next = w.b.Next() {
		w.pop(next)
	}
}

func (w *wire) expect(want string) {
	w.t.Helper()
	if got := strings.Join(w.out, " "); got != want {
		w.t.Errorf("out came %s\n   want %s", got, want)
	}
	w.accounts()
}

// accounts checks what holds at any time (doc.go, invariants 1 to 3).
func (w *wire) accounts() {
	w.t.Helper()
	c := w.b.Counters()
	if sum := c.Out + c.Late + c.Duplicate + c.Stray + c.Malformed + c.Dropped + c.Depth; sum != c.Pushed {
		w.t.Errorf("%d frames were pushed, %d are accounted for: %+v", c.Pushed, sum, c)
	}
	if c.Depth > int64(len(w.b.slots)) || c.Deepest > int64(len(w.b.slots)) || w.b.Held() > w.b.config.Maximum {
		w.t.Errorf("%d frames are held, %v are allowed", c.Depth, w.b.config.Maximum)
	}
	full := int64(0)
	for i := range w.b.slots {
		if w.b.slots[i].full {
			full++
		}
	}
	if full != c.Depth {
		w.t.Errorf("%d slots are full, %d are counted", full, c.Depth)
	}
}

func steady(int64) time.Duration { return 0 }

// except gives frames that are lost or late; others have no delay.
func except(delays map[int64]time.Duration) func(int64) time.Duration {
	return func(n int64) time.Duration { return delays[n] }
}

const lost = time.Duration(-1)

// Flow section 6, one row a rule.
func TestRules(t *testing.T) {
	for _, row := range []struct {
		name  string
		delay map[int64]time.Duration
		want  string
		count func(c Counters) int64
		n     int64
	}{
		{"in order", nil, "0 1 2 3 4 5 6 7 8 9", func(c Counters) int64 { return c.Out }, 10},
		{"jitter within the target", map[int64]time.Duration{2: 59 * ms, 5: 40 * ms}, "0 1 2 3 4 5 6 7 8 9", func(c Counters) int64 { return c.Lost }, 0},
		{"overtaken frames come out in order", map[int64]time.Duration{3: 45 * ms}, "0 1 2 3 4 5 6 7 8 9", func(c Counters) int64 { return c.Reordered }, 1},
		{"a lost frame is concealed", map[int64]time.Duration{4: lost}, "0 1 2 3 (4) 5 6 7 8 9", func(c Counters) int64 { return c.Concealed }, 1},
		{"60 ms are concealed", map[int64]time.Duration{4: lost, 5: lost, 6: lost}, "0 1 2 3 (4) (5) (6) 7 8 9", func(c Counters) int64 { return c.Concealed }, 3},
		{"what is longer is marked", map[int64]time.Duration{3: lost, 4: lost, 5: lost, 6: lost, 7: lost}, "0 1 2 (3) (4) (5) [6+1] [7+1] 8 9", func(c Counters) int64 { return c.Lost }, 5},
		{"a late frame is counted", map[int64]time.Duration{4: 85 * ms}, "0 1 2 3 (4) 5 6 7 8 9", func(c Counters) int64 { return c.Late }, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWire(t, Config{})
			w.play(0, 10, except(row.delay))
			w.expect(row.want)
			if got := row.count(w.b.Counters()); got != row.n {
				t.Errorf("counted %d, want %d: %+v", got, row.n, w.b.Counters())
			}
		})
	}
}

// A frame is held for the target and comes out by the clock of its sender.
func TestDue(t *testing.T) {
	w := newWire(t, Config{})
	if w.b.Next() != Never {
		t.Error("an empty buffer has something to come")
	}
	w.push(100*ms, 7)
	for n, at := range []time.Duration{159 * ms, 160 * ms} {
		w.pop(at)
		if len(w.out) != n {
			t.Fatalf("at %v %d frames are out", at, len(w.out))
		}
	}
	if w.b.Next() != 180*ms || w.b.Delay() != 60*ms {
		t.Errorf("the next is due at %v", w.b.Next())
	}
}

func TestDuplicates(t *testing.T) {
	w := newWire(t, Config{})
	w.push(0, 0, 0)
	w.push(20*ms, 1, 1)
	w.pop(80 * ms)
	w.push(80*ms, 1, 0, 2)
	w.pop(100 * ms)
	w.expect("0 1 2")
	if c := w.b.Counters(); c.Duplicate != 4 || c.Late != 0 {
		t.Errorf("counted %+v", c)
	}
}

// Flow section 6: overflow drops the oldest and marks a discontinuity.
func TestOverflow(t *testing.T) {
	w := newWire(t, Config{})
	for n := range int64(14) { // nobody takes anything for 280 ms
		w.push(time.Duration(n)*frame, n)
		w.accounts()
	}
	if c := w.b.Counters(); c.Dropped != 4 || c.Deepest != 10 || w.b.Next() != w.b.clock {
		t.Errorf("counted %+v", c)
	}
	w.pop(280 * ms)
	w.tick(340 * ms)
	w.expect("[0+4]overflow 4 5 6 7 8 9 10 11 12 13")
}

// An owner that was away for long: what was lost meanwhile is one gap of the right length.
func TestLongAbsence(t *testing.T) {
	w := newWire(t, Config{})
	w.play(0, 5, steady)
	w.b.Push(time.Hour, int64(time.Hour/frame), numbered(int64(time.Hour/frame)))
	w.pop(time.Hour)
	gap := int64(time.Hour/frame) - 9 - 5
	w.expect(fmt.Sprintf("0 1 2 3 4 [5+%d] [%d+7]", gap, 5+gap))
}

// A stall of the sender, or of the way: time goes on as a gap, and when the numbers go on
// where they stopped the timeline is moved to them, once it is sure.
func TestSenderStandsStill(t *testing.T) {
	w := newWire(t, Config{})
	w.play(0, 5, steady)
	w.tick(2 * time.Second)
	for n := range int64(10) {
		w.tick(2*time.Second + time.Duration(n)*frame)
		w.push(2*time.Second+time.Duration(n)*frame, 5+n)
	}
	w.tick(2*time.Second + 260*ms)
	c := w.b.Counters()
	if c.Restarts != 1 || c.Late != 3 || c.Out != 12 || c.Concealed != 3 {
		t.Errorf("counted %+v", c)
	}
	if last := w.out[len(w.out)-7:]; !slices.Equal(last, []string{"103:8", "104:9", "105:10", "106:11", "107:12", "108:13", "109:14"}) {
		t.Errorf("out came %v at last", last)
	}
	// Media time is real time: two seconds and 260 ms less the target, in slots of 20 ms.
	if slots := c.Out + c.Lost + c.Dropped; slots < 108 || slots > 111 {
		t.Errorf("%d slots came out in 2.2 s", slots)
	}
}

// A burst after a stall is late but for its end: it does not move the timeline.
func TestBurstAfterStall(t *testing.T) {
	w := newWire(t, Config{})
	w.play(0, 50, except(map[int64]time.Duration{}))
	w.play(50, 100, func(n int64) time.Duration { return 2*time.Second - time.Duration(n)*frame })
	w.play(100, 150, steady)
	c := w.b.Counters()
	if c.Restarts != 0 || c.Late < 45 || c.Out < 100 || c.Dropped != 0 {
		t.Errorf("counted %+v", c)
	}
	w.accounts()
}

// RFC 3550: numbers of 16 bits wrap.
func TestWrap(t *testing.T) {
	w := newWire(t, Config{SequenceBits: 16})
	for n := range int64(12) {
		at := time.Duration(n) * frame
		w.tick(at)
		if n != 7 {
			w.push(at, (65530+n)&0xffff)
		}
	}
	w.tick(300 * ms)
	w.expect("65530 65531 65532 65533 65534 65535 0 (1) 2 3 4 5")
}

// A sender that counts anew is followed once it is sure; one wild number is not.
func TestNumbersBeginAnew(t *testing.T) {
	w := newWire(t, Config{})
	feed := func(from time.Duration, numbers ...int64) {
		for i, n := range numbers {
			at := from + time.Duration(i)*frame
			w.tick(at)
			w.push(at, n)
		}
	}
	feed(0, 5000, 5001, 5002, 5003, 5004)
	feed(100*ms, 1<<40, 5006, 5007, 5008, 17)
	feed(200*ms, 5010, 5011)
	feed(240*ms, 0, 1, 2, 3, 4, 5, 6)
	w.tick(440 * ms)
	w.expect("5000 5001 5002 5003 5004 (5005) 5006 5007 5008 (5009) 5010 5011 (5012) (5013) (5014) 5015:3 5016:4 5017:5 5018:6")
	if c := w.b.Counters(); c.Restarts != 1 || c.Stray != 1 || c.Late != 4 {
		t.Errorf("counted %+v", c)
	}
	for _, first := range []int64{1 << 40, 1<<63 - 20} {
		w := newWire(t, Config{})
		feed := func(from time.Duration, first int64) {
			for i := range int64(15) {
				at := from + time.Duration(i)*frame
				w.tick(at)
				w.push(at, first+i)
			}
		}
		feed(0, 7)
		feed(300*ms, first)
		w.tick(700 * ms)
		if c := w.b.Counters(); c.Restarts != 1 || c.Stray != 3 || c.Out != 27 {
			t.Errorf("numbers that go on at %d: counted %+v", first, c)
		}
		w.accounts()
	}
}

// A transport without numbers delivers in order: nothing is late, nothing reordered.
func TestWithoutNumbers(t *testing.T) {
	w := newWire(t, Config{})
	for n := range 20 {
		at := time.Duration(n) * frame
		w.tick(at)
		w.b.Push(at, -1, numbered(-1))
	}
	w.tick(time.Second / 2)
	if c := w.b.Counters(); c.Out != 20 || c.Late+c.Reordered+c.Stray != 0 {
		t.Errorf("counted %+v", c)
	}
}

func TestMalformed(t *testing.T) {
	w := newWire(t, Config{})
	for _, n := range []int{0, 1, transport.FrameSamples - 1, transport.FrameSamples + 1} {
		w.b.Push(0, 0, make([]int16, n))
	}
	if c := w.b.Counters(); c.Malformed != 4 || w.b.Next() != Never {
		t.Errorf("counted %+v", c)
	}
	w.accounts()
}

// Flow section 6 and the sound clock of a caller, 500 ppm for an hour, with jitter: the
// depth stays what it was, nothing is dropped, lost or late, and what comes out keeps the
// sender's pace.
func TestHourOfDrift(t *testing.T) {
	for _, ppm := range []int64{500, -500} {
		t.Run(fmt.Sprintf("%+d ppm", ppm), func(t *testing.T) {
			b, err := New(Config{})
			if err != nil {
				t.Fatal(err)
			}
			pcm := numbered(1)
			var p Piece
			random := uint64(9)
			arrivals := [4]time.Duration{}
			longest := time.Duration(0)
			const frames = 3600 * 50
			period := frame - time.Duration(int64(frame)*ppm/1_000_000) // of the sender's frames
			for n := range int64(frames) {
				random = random*6364136223846793005 + 1442695040888963407
				sent := time.Duration(n) * period
				at := max(sent+time.Duration(random>>33)%(40*ms), arrivals[(n+3)%4])
				arrivals[n%4] = at
				for b.Next() <= at {
					due := b.Next()
					b.Pop(due, &p)
					longest = max(longest, due-time.Duration(p.Sequence)*period)
				}
				b.Push(at, n, pcm)
			}
			c := b.Counters()
			if c.Lost+c.Late+c.Dropped+c.Stray+c.Restarts != 0 || c.Out != frames-c.Depth || c.Deepest > 5 {
				t.Errorf("counted %+v", c)
			}
			if longest > DefaultTarget+45*ms {
				t.Errorf("a frame came out %v after it was sent", longest)
			}
			t.Logf("%+v, at most %v behind", c, longest)
		})
	}
}

// deaf takes what Deliver gives.
type deaf struct {
	audio, gaps int
	log         []string
	transport.Ingress
}

func (d *deaf) Audio(sequence int64, pcm []int16) {
	d.audio++
	if d.log != nil {
		d.log = append(d.log, fmt.Sprintf("%d:%d", sequence, len(pcm)))
	}
}

func (d *deaf) Gap(g transport.Gap) {
	d.gaps++
	if d.log != nil {
		d.log = append(d.log, fmt.Sprintf("gap %d: %d of %d, %s", g.Sequence, g.Missing-g.Concealed, g.Missing, g.Reason))
	}
}

// A session hears of a gap where it lies: behind the guesses, ahead of what follows.
func TestDeliver(t *testing.T) {
	w := newWire(t, Config{})
	d := &deaf{log: []string{}}
	missing := map[int64]bool{2: true, 5: true, 6: true, 7: true, 8: true, 9: true}
	for n := range int64(20) {
		at := time.Duration(n) * frame
		w.b.Deliver(at, d)
		if n < 12 && !missing[n] {
			w.push(at, n)
		}
	}
	want := []string{
		"0:320", "1:320", "2:320", "gap 2: 0 of 320, lost", "3:320", "4:320", "5:320", "6:320", "7:320",
		"gap 5: 320 of 1280, lost", "gap 9: 320 of 320, lost", "10:320", "11:320",
		"12:320", "13:320", "14:320", "gap 12: 320 of 1280, lost", "gap 16: 320 of 320, lost",
	}
	if !slices.Equal(d.log, want) {
		t.Errorf("delivered\n%s\nwant\n%s", strings.Join(d.log, "\n"), strings.Join(want, "\n"))
	}
}

// The steady state allocates nothing, with loss and jitter in it.
func TestNoAllocation(t *testing.T) {
	b, err := New(Config{SequenceBits: 16})
	if err != nil {
		t.Fatal(err)
	}
	d := &deaf{}
	pcm := numbered(3)
	n := int64(0)
	step := func() {
		at := time.Duration(n) * frame
		if n%17 > 4 {
			b.Push(at+time.Duration(n%3)*10*ms, n&0xffff, pcm)
		}
		b.Deliver(at, d)
		n++
	}
	for range 100 {
		step()
	}
	if got := testing.AllocsPerRun(2000, step); got != 0 {
		t.Errorf("%v allocations a frame", got)
	}
	if d.audio == 0 || d.gaps == 0 || b.Counters().Concealed == 0 {
		t.Errorf("%d frames, %d gaps: not what was to be measured", d.audio, d.gaps)
	}
}

func TestConfigFaults(t *testing.T) {
	_, err := New(Config{Target: 19 * ms, Maximum: 3 * time.Second, Conceal: 80 * ms, SequenceBits: 7})
	for _, part := range []string{"target: 19ms: use", "maximum: 3s: use", "conceal: 80ms: use", "sequence_bits: 7: use"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not reported in %v", part, err)
		}
	}
	for _, c := range []Config{{Target: 190 * ms}, {Maximum: 60 * ms}, {Maximum: -1}, {SequenceBits: 63}, {SequenceBits: -1}} {
		if c.Validate() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	for _, c := range []Config{{}, {Conceal: -1}, {Target: 20 * ms, Maximum: 40 * ms}, {SequenceBits: 16}, {Maximum: 2 * time.Second}} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	w := newWire(t, Config{Conceal: -1})
	w.play(0, 5, except(map[int64]time.Duration{2: lost}))
	w.expect("0 1 [2+1] 3 4")
}

// TestNumbersRise shows that no number comes out twice: not when sound that was given up comes
// after all and stays late, and not when the sender counts anew.
func TestNumbersRise(t *testing.T) {
	b, err := New(Config{Conceal: -1})
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	pop := func(at time.Duration) {
		var p Piece
		for b.Pop(at, &p) {
			for i := range p.Samples / transport.FrameSamples {
				got = append(got, p.Sequence+i)
			}
		}
	}
	at := time.Duration(0)
	send := func(first, n int64) {
		for i := range n {
			pop(at)
			b.Push(at, first+i, numbered(first+i))
			at += frame
		}
	}
	send(100, 10)
	at += time.Second // the way has become a second longer
	send(110, 30)
	send(0, 30) // another device goes on
	pop(at + time.Second)
	if b.Counters().Restarts != 2 {
		t.Fatalf("counted %+v", b.Counters())
	}
	for i := range got[1:] {
		if got[i+1] != got[i]+1 {
			t.Fatalf("number %d came behind %d of %v", got[i+1], got[i], got)
		}
	}
}
