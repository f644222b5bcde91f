// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/jitter"
)

// ramp is a recording whose every frame tells its number.
func ramp(frames int) []int16 {
	pcm := make([]int16, frames*transport.FrameSamples)
	for i := range pcm {
		pcm[i] = int16(i/transport.FrameSamples + 1)
	}
	return pcm
}

func awful(seed uint64) *Impairment {
	return &Impairment{
		Seed: seed, LossPermille: 20, LossFrames: 4, ReorderPermille: 30, DuplicatePermille: 30,
		Jitter: 25 * time.Millisecond, DriftPPM: 500,
	}
}

// listen runs a line of a minute and gives what came of it.
func listen(t *testing.T, i *Impairment, step time.Duration) (*Line, *ear) {
	t.Helper()
	l, e := open(t, Config{Manual: true, Length: time.Minute, Clips: []Clip{{PCM: ramp(3000)}}, Impairment: i})
	for n := 0; l.Advance(step); n++ {
		if n > 100_000 {
			t.Fatal("the line does not end")
		}
	}
	if e.link != transport.LinkLeft {
		t.Errorf("the link is %q at the end", e.link)
	}
	return l, e
}

// Whatever the network does, what came is true and in its place, and what did not is a gap
// of the right length: the session's positions are the caller's.
func TestImpairedAudioKeepsItsPlace(t *testing.T) {
	l, e := listen(t, awful(3), 5*time.Millisecond)
	did := l.Impaired()
	if did.Sent != 3000 || did.Lost < 100 || did.Reordered < 30 || did.Duplicated < 30 {
		t.Errorf("the network did %+v", did)
	}
	c := did.Buffer
	if c.Pushed != did.Sent-did.Lost+did.Duplicated || c.Restarts+c.Stray+c.Malformed+c.Dropped != 0 || c.Duplicate < 30 || c.Reordered < 30 {
		t.Errorf("the buffer counted %+v", c)
	}
	missing, concealed := int64(0), int64(0)
	for _, g := range e.gaps {
		missing += g.Missing
		concealed += g.Concealed
	}
	if missing != c.Lost*transport.FrameSamples || concealed != c.Concealed*transport.FrameSamples || concealed == missing {
		t.Errorf("%d samples were missing and %d concealed, the buffer counted %+v", missing, concealed, c)
	}
	// The caller's track, laid out again: each frame of number n at frame n.
	at, guesses := int64(0), 0
	for i, sequence := range e.seq {
		if first := e.pcm[i*transport.FrameSamples]; int64(first) != sequence+1 {
			guesses++ // a guess repeats what was before
		}
		if sequence < at {
			t.Fatalf("frame %d came behind %d", sequence, at)
		}
		at = sequence
	}
	if guesses != int(c.Concealed) {
		t.Errorf("%d frames are not the caller's, %d were concealed", guesses, c.Concealed)
	}
	if end := int64(len(e.pcm)) + missing - concealed; end < 2990*transport.FrameSamples || end > 3000*transport.FrameSamples {
		t.Errorf("the session's audio ends at frame %d", end/transport.FrameSamples)
	}
	if len(l.Caller()) != 3000*transport.FrameSamples {
		t.Error("the caller's own track is not whole")
	}
}

// Equal seeds make equal trouble, and others another.
func TestImpairmentIsSeeded(t *testing.T) {
	run := func(seed uint64) string {
		l, e := listen(t, awful(seed), 20*time.Millisecond)
		return fmt.Sprintf("%+v %v %v %v", l.Impaired(), e.seq, e.gaps, e.pcm)
	}
	first := run(7)
	if again := run(7); again != first {
		t.Error("two equal runs differ")
	}
	if run(8) == first {
		t.Error("the seed changes nothing")
	}
}

// An impairment of nothing delays and changes nothing; and without one a line is driven
// by Advance as by Step.
func TestNoImpairment(t *testing.T) {
	l, e := listen(t, &Impairment{}, 5*time.Millisecond)
	if c := l.Impaired().Buffer; c.Out != 3000 || c.Lost+c.Late+c.Duplicate != 0 || !slices.Equal(e.pcm, l.Caller()) {
		t.Errorf("the buffer counted %+v", c)
	}
	l, e = listen(t, nil, 7*time.Millisecond)
	if !slices.Equal(e.pcm, ramp(3000)) || len(e.gaps) != 0 || l.Impaired() != (Impaired{}) {
		t.Errorf("%d samples came, %d gaps", len(e.pcm), len(e.gaps))
	}
}

// In real time an impaired line paces itself, finely enough for frames that come at
// instants of their own.
func TestImpairedPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l, err := New(Config{Length: 10 * time.Second, Clips: []Clip{{PCM: ramp(500)}}, Impairment: &Impairment{DriftPPM: 5000}})
		if err != nil {
			t.Fatal(err)
		}
		e := &ear{now: func() time.Duration { return time.Since(began) }}
		if _, err := l.Open(t.Context(), transport.Bootstrap{}, e); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		if err := l.Close("done"); err != nil {
			t.Fatal(err)
		}
		if len(e.at) != 500 || e.link != transport.LinkLeft {
			t.Fatalf("%d frames, link %q", len(e.at), e.link)
		}
		for n, at := range e.at {
			due := time.Duration(n+1)*19_900*time.Microsecond + jitter.DefaultTarget
			// The frames behind it are known by then, and were made sooner than they should.
			if late := at - due; late < -time.Millisecond || late > tick {
				t.Fatalf("frame %d came %v after it was due", n, late)
			}
		}
	})
}

func TestImpairmentFaults(t *testing.T) {
	_, err := New(Config{Impairment: &Impairment{
		LossPermille: 1001, LossFrames: -1, ReorderPermille: -1, DuplicatePermille: 2000, DriftPPM: 5001, Jitter: time.Minute,
		Buffer: jitter.Config{Target: 1},
	}})
	for _, part := range []string{
		"impairment.loss_permille: 1001", "loss_frames: -1", "reorder_permille: -1", "duplicate_permille: 2000", "drift_ppm: 5001",
		"impairment.jitter: 1m0s", "impairment.buffer: jitter: target: 1ns",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not reported in %v", part, err)
		}
	}
}
