// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/loopback"
)

const second = timebase.Instant(timebase.Second)

// The wall clock is read when a session begins and every ten seconds while anything
// happens in it; in virtual time it agrees with the projection to the millisecond.
func TestWallClockIsReadRarely(t *testing.T) {
	r := newRig("s1")
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 35000, nil)
	if n := r.log.count("clock_reading wall_ms="); n != 4 {
		t.Errorf("%d readings in 35 s, want 4\n%s", n, r.log)
	}
	inOrder(t, r.log, "bootstrap session=s1", "clock_reading wall_ms=1790000000000", "clock_reading wall_ms=1790000010000")
	if c := s.Stats().Kernel.Clock; c != (timebase.ClockCounters{}) {
		t.Errorf("an undisturbed session counted %+v", c)
	}
}

// A wall clock that is set is rebased with the next reading, once, and the wall time of
// what follows comes from there; a leap of an hour is refused. The recording replays to
// the same decisions.
func TestWallClockIsSet(t *testing.T) {
	r := newRig("s1")
	p := &parrot{machine: session.New(), t: t}
	r.settings.Recorder = p
	walls := map[eventabi.Signal]int64{}
	r.log.watch = func(n *Notice) {
		if e, ok := n.Record.(*session.Emit); ok {
			walls[e.Envelope.Signal] = e.Envelope.WallClockTimestampMS - 1_790_000_000_000 - n.At.MS()
		}
	}
	s := virtually(t, r, speaking([2]int64{12000, 13000}), 45000, func(v *Virtual, _ *Session) {
		v.At(5*second, func() { v.StepWall(300 * timebase.Millisecond) })
		v.At(25*second, func() { v.StepWall(-3600 * timebase.Second) })
	})
	if r.log.count("nondeterministic key=timebase.wall source=system_time") != 1 || r.log.count("nondeterministic") != 1 {
		t.Errorf("the set clock is not one rebase\n%s", r.log)
	}
	if n := r.log.count("refused code=timebase_out_of_bounds what=clock_reading"); n != 2 {
		t.Errorf("%d of two readings an hour behind were refused", n)
	}
	for _, signal := range []eventabi.Signal{eventabi.SignalTurnOpen, eventabi.SignalEnded} {
		if walls[signal] != 300 {
			t.Errorf("the wall time of %s is off the monotonic one by %d ms, want 300", signal, walls[signal])
		}
	}
	st := s.Stats()
	if st.Kernel.Clock.Rebases != 1 || st.Kernel.Clock.OutOfBounds != 2 {
		t.Errorf("counted %+v", st.Kernel.Clock)
	}
	if p.digest.Sum() != st.Digest || p.decisions == 0 {
		t.Errorf("the replay of %d decisions has another digest", p.decisions)
	}
}

// A gap in the middle of an utterance is silence in its place: detector, recogniser and
// kernel go on speaking of the same positions, and what was not concealed is marked once.
func TestGapKeepsPositionsTrue(t *testing.T) {
	r := newRig("s1")
	p := &parrot{machine: session.New(), t: t}
	r.settings.Recorder = p
	c := speaking([2]int64{1000, 3000})
	v := NewVirtual(1_790_000_000_000)
	s, err := v.Open(t.Context(), r.settings)
	if err != nil {
		t.Fatal(err)
	}
	v.Every(20*timebase.Millisecond, func() bool {
		frame := c.next()
		switch ms := c.n * 20; {
		case ms > 1500 && ms <= 1560: // three frames, concealed
			s.Ingress().Audio(c.n, frame)
			if ms == 1560 {
				s.Ingress().Gap(transport.Gap{Sequence: c.n - 2, Missing: 960, Concealed: 960, Reason: transport.GapLost})
			}
		case ms > 2000 && ms <= 2200: // ten frames, not
			s.Ingress().Gap(transport.Gap{Sequence: c.n, Missing: 320, Reason: transport.GapLost})
		default:
			s.Ingress().Audio(c.n, frame)
		}
		return v.Now() < 9*second
	})
	v.At(9*second, func() { s.Close("test_over") })
	if err := v.Run(t.Context(), 60*second); err != nil {
		t.Fatal(err)
	}
	if n := r.log.count("emit discontinuity turn= reason=lost"); n != 1 {
		t.Errorf("%d discontinuities, want 1\n%s", n, r.log)
	}
	// The detector hears the silence as a pause, 32 ms at a time; the end of the utterance
	// is where it would have been without the gap.
	if !strings.Contains(r.log.String(), "  3520 end_of_utterance sample=56320") {
		t.Errorf("the utterance does not end half a second after its last sound\n%s", r.log)
	}
	st := s.Stats()
	if st.Kernel.Gaps != 1 || st.Kernel.Missing != 960+3200 || st.Kernel.Concealed != 960 || st.SamplesLost != 0 || st.Kernel.Commits != 1 {
		t.Errorf("stats %+v", st)
	}
	if st.Kernel.Clock.Rebases != 0 || st.Kernel.Clock.MappingWorstUS != 0 {
		t.Errorf("a gap in its place moved the media clock: %+v", st.Kernel.Clock)
	}
	if p.digest.Sum() != st.Digest {
		t.Error("the replay has another digest")
	}
}

// Gaps come through the same bounded door as frames, and say nothing after the end.
func TestGapsAreBounded(t *testing.T) {
	s := newStill()
	r := newRig("s1")
	x := s.open(t, r)
	for range maxFramesWaiting + 10 { // the owner does not come to look
		x.Ingress().Gap(transport.Gap{Missing: 320, Concealed: 999})
		x.Ingress().Gap(transport.Gap{})
		x.Ingress().Gap(transport.Gap{Missing: -5})
	}
	s.pass(20 * time.Millisecond)
	x.Ingress().Gap(transport.Gap{Missing: 320})
	s.pass(20 * time.Millisecond)
	if k := x.machine.Counters(); k.Missing != 320*(maxFramesWaiting+1) || k.Concealed != 320*maxFramesWaiting || k.Gaps != 1 {
		t.Errorf("counted %+v", k)
	}
	s.close(t, x)
	x.Ingress().Gap(transport.Gap{Missing: 320})
	if st := x.Stats(); st.FramesDropped != 10 || x.counts.early.Load() != 1 {
		t.Errorf("stats %+v", st)
	}
}

// impaired runs a call over a bad line in virtual time, and gives what the line did.
func impaired(t *testing.T, r *rig, i *loopback.Impairment, length time.Duration, clips ...loopback.Clip) (*Session, loopback.Impaired) {
	t.Helper()
	line, err := loopback.New(loopback.Config{Manual: true, Length: length, Clips: clips, Impairment: i})
	if err != nil {
		t.Fatal(err)
	}
	r.settings.Connect = line.Open
	v := NewVirtual(1_790_000_000_000)
	s, err := v.Open(t.Context(), r.settings)
	if err != nil {
		t.Fatal(err)
	}
	v.Every(5*timebase.Millisecond, func() bool { return line.Advance(5 * time.Millisecond) })
	if err := v.Run(t.Context(), timebase.Instant(length)+60*second); err != nil {
		t.Fatal(err)
	}
	return s, line.Impaired()
}

func tone(d time.Duration) []int16 {
	pcm := make([]int16, int(d.Seconds()*transport.SampleRate))
	for i := range pcm {
		pcm[i] = 5000
	}
	return pcm
}

// A conversation over a bad line, offline: what is lost is concealed or marked, the words
// are answered, the media clock follows the caller's device, and it all replays.
func TestCallOverABadLine(t *testing.T) {
	r := newRig("s1")
	p := &parrot{machine: session.New(), t: t}
	r.settings.Recorder = p
	s, did := impaired(t, r, &loopback.Impairment{
		Seed: 11, LossPermille: 20, LossFrames: 5, ReorderPermille: 20, DuplicatePermille: 20, Jitter: 25 * time.Millisecond, DriftPPM: -500,
	}, 30*time.Second, loopback.Clip{At: time.Second, PCM: tone(2 * time.Second)})
	st := s.Stats()
	lost := timebase.Samples(did.Buffer.Lost) * timebase.FrameSamples
	guessed := timebase.Samples(did.Buffer.Concealed) * timebase.FrameSamples
	if did.Lost < 20 || st.Kernel.Missing != lost || st.Kernel.Concealed != guessed || st.SamplesLost != 0 || st.FramesDropped != 0 {
		t.Errorf("the line did %+v, the session counted %+v", did, st)
	}
	if st.Kernel.Gaps == 0 || int64(r.log.count("emit discontinuity")) != st.Kernel.Gaps {
		t.Errorf("%d gaps, %d discontinuities", st.Kernel.Gaps, r.log.count("emit discontinuity"))
	}
	if st.Kernel.Commits != 1 || st.Reason != "client_left" {
		t.Errorf("stats %+v\n%s", st, r.log)
	}
	if c := st.Kernel.Clock; c.Rebases != 0 || c.OutOfBounds != 0 || c.MappingWorstUS > 10_000 {
		t.Errorf("the media clock counted %+v", c)
	}
	if p.digest.Sum() != st.Digest {
		t.Error("the replay has another digest")
	}
}

// The whole way of a sound clock that is off by 500 ppm for an hour, with jitter, loss and
// the jitter buffer in it: mapping error within bounds, nothing dropped, no step.
func TestDriftingCallerStaysMapped(t *testing.T) {
	for _, ppm := range []int{500, -500} {
		r := newRig("s1")
		r.settings.Observer = nil
		s, did := impaired(t, r, &loopback.Impairment{
			Seed: 5, LossPermille: 5, Jitter: 40 * time.Millisecond, DriftPPM: ppm,
		}, time.Hour)
		st := s.Stats()
		if c := st.Kernel.Clock; c.Rebases != 0 || c.OutOfBounds != 0 || c.MappingWorstUS > 10_000 {
			t.Errorf("%+d ppm: the media clock counted %+v", ppm, c)
		}
		if b := did.Buffer; b.Dropped+b.Restarts+b.Stray != 0 || b.Deepest > 6 {
			t.Errorf("%+d ppm: the buffer counted %+v", ppm, b)
		}
		t.Logf("%+d ppm: %+v, %+v", ppm, st.Kernel.Clock, did.Buffer)
	}
}

// A reading is of the pass's instant: an owner that was busy in between has not set the
// clock.
func TestReadingIsOfThePassesInstant(t *testing.T) {
	s := newStill()
	s.wall = func() int64 { // 120 ms go by before the clock is read
		s.instant.Add(int64(120 * time.Millisecond))
		return 1_790_000_000_000 + s.instant.Load()/int64(time.Millisecond)
	}
	r := newRig("s1")
	x := s.open(t, r)
	frame := make([]int16, transport.FrameSamples)
	for range 3 {
		x.Ingress().Audio(-1, frame)
		s.pass(10 * time.Second)
	}
	if c := x.machine.Counters().Clock; c.WallSkewMS > 1 || c.WallSkewMS < -1 || r.log.count("clock_reading") != 4 ||
		r.log.count("nondeterministic key=timebase.wall") != 0 {
		t.Errorf("counted %+v\n%s", c, r.log)
	}
	s.close(t, x)
}
