// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"fmt"
	"slices"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// tape is a sink that keeps what it hears.
type tape struct {
	pcm    []int16 // voiced samples only
	at     []timebase.Instant
	turns  []eventabi.TurnID
	voiced []int
	fences []transport.Fence
	err    error
}

func (s *tape) WriteFrame(f *transport.Frame) error {
	if len(f.PCM) != transport.FrameSamples {
		panic(fmt.Sprintf("frame of %d samples", len(f.PCM)))
	}
	for _, v := range f.PCM[f.Voiced:] {
		if v != 0 {
			panic("padding is not silent")
		}
	}
	s.pcm = append(s.pcm, f.PCM[:f.Voiced]...)
	s.at = append(s.at, timebase.Instant(f.At))
	s.turns = append(s.turns, f.Turn)
	s.voiced = append(s.voiced, f.Voiced)
	return s.err
}

func (s *tape) Fence(f transport.Fence) { s.fences = append(s.fences, f) }

// bench is an egress on a tape, with the samples of turn t being numbered from 1, and
// with the handles that came back.
type bench struct {
	*Egress
	tape     tape
	released []int64
	handle   int64
	sample   int16
	at       timebase.Instant
	reports  []string
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	b := &bench{}
	b.Egress = NewEgress(Settings{Fences: &Fences{}, Sink: &b.tape, Release: func(h int64) { b.released = append(b.released, h) }})
	return b
}

func (b *bench) play(turn eventabi.TurnID, generation uint32, n int, protected bool) bool {
	pcm := make([]int16, n)
	for i := range pcm {
		b.sample++
		pcm[i] = b.sample
	}
	b.handle++
	return b.Play(b.at, turn, generation, b.handle, pcm, protected)
}

// run lets time pass and ticks when the egress asks for it.
func (b *bench) run(ms int64) {
	end := b.at.Add(timebase.MS(ms))
	for next := b.NextTick(); next <= end; next = b.NextTick() {
		b.at = max(b.at, next)
		b.Tick(b.at)
	}
	b.at = end
}

func (b *bench) seen() string {
	for _, r := range b.TakeReports() {
		name := [...]string{"started", "held", "completed", "flushed", "moved"}[r.Event]
		b.reports = append(b.reports, fmt.Sprintf("%s %s %d", r.Turn, name, r.Played))
	}
	s := fmt.Sprint(b.reports)
	b.reports = nil
	return s
}

func wantSeen(t *testing.T, b *bench, want string) {
	t.Helper()
	if got := b.seen(); got != want {
		t.Fatalf("at %d ms: reports %s, want %s", b.at.MS(), got, want)
	}
}

// counting is whether pcm is 1, 2, 3, ...: each sample once, in order.
func counting(pcm []int16) bool {
	for i, v := range pcm {
		if v != int16(i+1) {
			return false
		}
	}
	return true
}

func TestFirstFrameGoesOutAtOnceThenEveryTwentyMS(t *testing.T) {
	b := newBench(t)
	b.at = timebase.Instant(7 * timebase.Millisecond)
	b.play("t1", 1, 1000, false)
	if len(b.tape.at) != 1 {
		t.Fatalf("%d frames when Play returned, want 1", len(b.tape.at))
	}
	b.EndOfAudio(b.at, "t1", 1)
	b.run(200)
	var got []int64
	for _, at := range b.tape.at {
		got = append(got, at.MS())
	}
	if want := []int64{7, 27, 47, 67}; !slices.Equal(got, want) {
		t.Errorf("frames at %v ms, want %v", got, want)
	}
	if len(b.tape.pcm) != 1000 || !counting(b.tape.pcm) {
		t.Errorf("%d samples came out, want 1..1000 in order", len(b.tape.pcm))
	}
	wantSeen(t, b, "[t1 started 320 t1 completed 1000]")
	if c := b.Counters(); c.Frames != 4 || c.Padded != 1 || c.Underruns != 0 || b.Queued() != 0 {
		t.Errorf("counters %+v, queued %d", c, b.Queued())
	}
	if !slices.Equal(b.released, []int64{1}) {
		t.Errorf("released %v, want [1]", b.released)
	}
}

// A late tick sends what is due, a few frames at most, and lateness does not add up.
func TestLateTicksCatchUpWithoutDrift(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 20*320, false)
	b.at = timebase.Instant(45 * timebase.Millisecond) // frames of 20 and 40 ms are due
	b.Tick(b.at)
	if n := len(b.tape.at); n != 3 {
		t.Fatalf("%d frames at 45 ms, want 3", n)
	}
	if next := b.NextTick(); next.MS() != 60 {
		t.Errorf("next frame at %d ms, want 60", next.MS())
	}
	b.at = timebase.Instant(500 * timebase.Millisecond)
	b.Tick(b.at)
	if n := len(b.tape.at); n != 3+maxCatchUp {
		t.Errorf("%d frames after a stall, want %d", n, 3+maxCatchUp)
	}
	if c := b.Counters(); c.Skipped != 1 || b.NextTick().MS() != 520 {
		t.Errorf("skipped %d, next %d ms: want the clock set anew", c.Skipped, b.NextTick().MS())
	}
}

func TestFrameSpansChunks(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 100, false)
	if len(b.tape.at) != 0 {
		t.Fatal("a frame went out before there was one")
	}
	for range 7 {
		b.play("t1", 1, 100, false)
	}
	b.run(19)
	if n := len(b.tape.pcm); n != 320 {
		t.Fatalf("%d samples, want one frame", n)
	}
	b.EndOfAudio(b.at, "t1", 1)
	b.run(100)
	if len(b.tape.pcm) != 800 || !counting(b.tape.pcm) {
		t.Errorf("%d samples, want 1..800", len(b.tape.pcm))
	}
}

// A turn that runs dry waits for more and goes on at once; the gap is counted once.
func TestUnderrun(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 320, false)
	b.run(70)
	b.play("t1", 1, 320, false)
	if n := len(b.tape.at); n != 2 || b.tape.at[1].MS() != 70 {
		t.Fatalf("frames at %v, want the second at 70 ms", b.tape.at)
	}
	if c := b.Counters(); c.Underruns != 1 {
		t.Fatalf("%d underruns, want 1", c.Underruns)
	}
	b.run(30)
	for range 4 {
		b.play("t1", 1, 10, false)
		b.run(10)
	}
	if c := b.Counters(); c.Underruns != 2 {
		t.Errorf("%d underruns, want one for each gap", c.Underruns)
	}
}

func TestHoldAndResumeAreSampleExact(t *testing.T) {
	random := timebase.NewRandom(1)
	for round := range 200 {
		b := newBench(t)
		total := 0
		for range 1 + random.Below(6) {
			n := int(1 + random.Below(1500))
			total += n
			b.play("t1", 1, n, false)
		}
		for range 6 {
			b.run(random.Below(40))
			before := len(b.tape.pcm)
			b.Hold("t1", 1, false)
			for _, r := range b.TakeReports() {
				if r.Event == Held && r.Played != timebase.Samples(before) {
					t.Fatalf("round %d: held at %d, but %d samples are out", round, r.Played, before)
				}
			}
			b.run(random.Below(300))
			if len(b.tape.pcm) != before {
				t.Fatalf("round %d: %d samples left during a hold", round, len(b.tape.pcm)-before)
			}
			b.Resume(b.at, 1)
		}
		b.EndOfAudio(b.at, "t1", 1)
		b.run(2000)
		if len(b.tape.pcm) != total || !counting(b.tape.pcm) {
			t.Fatalf("round %d: %d samples of %d, or out of order", round, len(b.tape.pcm), total)
		}
		for i := 1; i < len(b.tape.at); i++ {
			if gap := b.tape.at[i].Sub(b.tape.at[i-1]); gap < framePeriod {
				t.Fatalf("round %d: frames %d us apart, faster than speech", round, gap/timebase.Microsecond)
			}
		}
	}
}

// "Output marked uninterruptible is not held; queued output behind it is" (lifecycle 7.1).
func TestProtectedAudioGoesOnThroughAHold(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 1000, true)
	b.play("t1", 1, 1000, false)
	b.run(20)
	b.Hold("t1", 1, false)
	wantSeen(t, b, "[t1 started 320]")
	b.run(500)
	if len(b.tape.pcm) != 1000 {
		t.Fatalf("%d samples out, want the protected 1000 and no more", len(b.tape.pcm))
	}
	wantSeen(t, b, "[t1 held 1000]")
	if g := b.settings.Fences.Prefence("", false); g != 1 {
		t.Errorf("the protected piece is out: a cancel must fence, got %d", g)
	}
}

func TestPrefenceSparesProtectedOutput(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 1000, true)
	f := b.settings.Fences
	if g := f.Prefence("", false); g != 0 {
		t.Errorf("a plain cancel fenced protected output of generation %d", g)
	}
	if g := f.Prefence("t9", true); g != 0 {
		t.Errorf("a cancel of another turn fenced generation %d", g)
	}
	if g := f.Prefence("t1", true); g != 1 {
		t.Errorf("a forced cancel fenced %d, want 1", g)
	}
	b.run(100)
	if len(b.tape.pcm) != 320 {
		t.Errorf("%d samples, want only the frame before the fence", len(b.tape.pcm))
	}
}

func TestHoldBeforeFirstAudio(t *testing.T) {
	b := newBench(t)
	b.Hold("t1", 1, false)
	wantSeen(t, b, "[t1 held 0]")
	b.play("t1", 1, 640, false)
	b.run(100)
	if len(b.tape.pcm) != 0 {
		t.Fatal("audio left during the hold")
	}
	b.Resume(b.at, 1)
	if len(b.tape.pcm) != 320 {
		t.Errorf("%d samples when Resume returned, want 320", len(b.tape.pcm))
	}
}

func TestFenceDropsTheRestAndSaysWhatWasPlayed(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 2000, false)
	b.play("t2", 2, 640, false)
	b.run(30)
	b.Fence(b.at, "t1", 1, false)
	b.Continue(b.at)
	wantSeen(t, b, "[t1 started 320 t1 flushed 640]")
	b.EndOfAudio(b.at, "t2", 2)
	b.run(100)
	wantSeen(t, b, "[t2 started 320 t2 completed 640]")
	if n := len(b.tape.pcm); n != 1280 {
		t.Errorf("%d samples, want two frames of each turn", n)
	}
	b.play("t1", 1, 640, false)
	b.run(100)
	if n := len(b.tape.pcm); n != 1280 {
		t.Error("audio of a fenced turn left egress")
	}
	if !slices.Equal(b.released, []int64{1, 2, 3}) {
		t.Errorf("released %v, want each chunk once", b.released)
	}
	if b.Counters().Refused == 0 {
		t.Error("the fence held frames back and counted none")
	}
}

// A gate closed by another goroutine stops the frames before the kernel knows of it;
// the kernel's own Fence then gets the report, once.
func TestGateClosesBeforeTheKernelKnows(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 3200, false)
	b.run(30)
	if g := b.settings.Fences.Prefence("", false); g != 1 {
		t.Fatalf("fenced %d, want 1", g)
	}
	b.run(200)
	if n := len(b.tape.pcm); n != 640 {
		t.Fatalf("%d samples, want 640", n)
	}
	b.seen()
	b.Fence(b.at, "t1", 1, false)
	wantSeen(t, b, "[t1 flushed 640]")
	b.Fence(b.at, "t1", 1, false)
	wantSeen(t, b, "[]")
}

func TestSessionFenceIsForGood(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 3200, false)
	b.Fence(b.at, "", 0, true)
	wantSeen(t, b, "[t1 started 320 t1 flushed 320]")
	b.play("t2", 2, 640, false)
	b.run(100)
	if n := len(b.tape.pcm); n != 320 {
		t.Errorf("%d samples, want none after the session's fence", n)
	}
}

func TestQueueIsBounded(t *testing.T) {
	b := newBench(t)
	b.settings.MaxQueued = 1000
	if !b.play("t1", 1, 900, false) || b.play("t1", 1, 900, false) {
		t.Error("the second chunk does not fit")
	}
	if c := b.Counters(); c.Overflow != 1 {
		t.Errorf("overflow %d, want 1", c.Overflow)
	}
}

func TestProgress(t *testing.T) {
	b := newBench(t)
	if r := b.Progress(nil); len(r) > 0 {
		t.Error("progress with nothing playing")
	}
	b.play("t1", 1, 1000, false)
	b.run(25)
	if r := b.Progress(nil); len(r) != 1 || r[0].Turn != "t1" || r[0].Played != 640 {
		t.Errorf("progress %+v, want t1 at 640", r)
	}
	b.EndOfAudio(b.at, "t1", 1)
	b.run(100)
	if r := b.Progress(nil); len(r) > 0 {
		t.Error("progress after the end")
	}
}

func TestFramesCostNoAllocation(t *testing.T) {
	var f Fences
	sink := &count{}
	e := NewEgress(Settings{Fences: &f, Sink: sink, Release: func(int64) {}})
	pcm := make([]int16, 3200)
	at, handle := timebase.Instant(0), int64(0)
	step := func() {
		if e.Queued() < 3200 {
			handle++
			e.Play(at, "t1", 1, handle, pcm, false)
		}
		at = at.Add(framePeriod)
		e.Tick(at)
		e.TakeReports()
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations a frame, want 0", n)
	}
}

type count struct{ n int }

func (c *count) WriteFrame(*transport.Frame) error { c.n++; return nil }
func (c *count) Fence(transport.Fence)             {}

// A step that fences two turns closes both before anything goes on: no frame of the
// second leaves between the two fences.
func TestFencesOfOneStepStandTogether(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 2000, false)
	b.play("t2", 2, 2000, false)
	b.run(30)
	before := len(b.tape.pcm)
	b.at = b.at.Add(framePeriod) // a frame is due
	b.Fence(b.at, "t1", 1, false)
	b.Fence(b.at, "t2", 2, false)
	b.Continue(b.at)
	b.run(100)
	if n := len(b.tape.pcm); n != before {
		t.Errorf("%d samples left between or after the fences", n-before)
	}
}

// A turn that was held and ended without audio leaves nothing behind.
func TestForgetTurnWithoutAudio(t *testing.T) {
	b := newBench(t)
	for g := uint32(1); g <= 100; g++ {
		b.Hold("t", g, false)
		b.Forget("t")
	}
	if n := len(b.streams); n != 0 {
		t.Errorf("%d streams are left", n)
	}
	if g := b.settings.Fences.Armed(); g != 0 {
		t.Errorf("generation %d is armed and has nothing to fence", g)
	}
	b.play("t9", 200, 640, false)
	b.Forget("t9")
	b.EndOfAudio(b.at, "t9", 200)
	b.run(100)
	if n := len(b.tape.pcm); n != 640 {
		t.Errorf("%d samples of a turn with audio, want 640", n)
	}
}

// A cancel that comes while the first chunk is being made closes the gate that the
// chunk will meet.
func TestCancelBeforeTheFirstChunk(t *testing.T) {
	b := newBench(t)
	b.Open("t1", 1)
	if g := b.settings.Fences.Prefence("", false); g != 1 {
		t.Fatalf("fenced generation %d, want 1", g)
	}
	b.play("t1", 1, 640, false)
	b.run(100)
	if n := len(b.tape.pcm); n != 0 {
		t.Errorf("%d samples left after the cancel had returned", n)
	}
}

// A hold of all, which a lost link asks for, stops protected audio too; one that only
// an interruption asks for lets it go on.
func TestHoldOfAllStopsProtectedAudio(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 3200, true)
	b.run(30)
	b.Hold("t1", 1, true)
	before := len(b.tape.pcm)
	b.run(100)
	if n := len(b.tape.pcm); n != before {
		t.Fatalf("%d samples left during a hold of all", n-before)
	}
	b.Hold("t1", 1, false)
	b.wake(b.at)
	b.run(60)
	if n := len(b.tape.pcm); n == before {
		t.Error("protected audio stands although only an interruption holds")
	}
}

// Where time has slots, a frame is due at the begin of one, whenever the first went out; the
// distance between frames stays 20 ms.
func TestFramesAreDueAtTheBeginOfASlot(t *testing.T) {
	ms := int64(timebase.Millisecond)
	b := newBench(t)
	b.settings.Slot, b.settings.Phase = timebase.Millisecond, timebase.Instant(-300_000) // 0.3 ms
	begin := timebase.Instant(5*ms + 123_456)
	b.Play(begin, "t1", 1, 1, make([]int16, 10*transport.FrameSamples), false)
	want := timebase.Instant(26*ms - 300_000) // 25.12 ms, rounded up to a slot that begins at .7
	if due := b.NextTick(); due != want {
		t.Fatalf("the second frame is due at %d ns, want %d", due, want)
	}
	for i := range int64(3) {
		b.Tick(b.NextTick())
		if due := b.NextTick(); due != want.Add(timebase.Span((i+1)*20*ms)) {
			t.Errorf("frame %d is due at %d ns", i+3, due)
		}
	}
	late := b.NextTick().Add(200 * timebase.Millisecond).Add(1)
	b.Tick(late) // playback begins anew
	if due := b.NextTick(); int64(due-b.settings.Phase)%ms != 0 || due < late.Add(framePeriod) || due >= late.Add(framePeriod+timebase.Millisecond) {
		t.Errorf("after a pause the next frame is due at %d ns, %d after the tick", due, due-late)
	}
}
