// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// ear is an ingress that keeps what it hears. What the loopback has no way to say it has
// not: a call of that would panic.
type ear struct {
	transport.Ingress
	pcm  []int16
	seq  []int64
	gaps []transport.Gap
	at   []time.Duration
	link transport.LinkState
	now  func() time.Duration
}

func (e *ear) Audio(sequence int64, pcm []int16) {
	e.pcm = append(e.pcm, pcm...)
	e.seq = append(e.seq, sequence)
	if e.now != nil {
		e.at = append(e.at, e.now())
	}
}
func (e *ear) Gap(g transport.Gap)        { e.gaps = append(e.gaps, g) }
func (e *ear) Link(s transport.LinkState) { e.link = s }

func ones(n int, v int16) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = v
	}
	return pcm
}

func open(t *testing.T, c Config) (*Line, *ear) {
	t.Helper()
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{}
	if _, err := l.Open(t.Context(), transport.Bootstrap{}, e); err != nil {
		t.Fatal(err)
	}
	return l, e
}

func TestTimeline(t *testing.T) {
	l, e := open(t, Config{Manual: true, Length: 200 * time.Millisecond, Clips: []Clip{
		{At: 30 * time.Millisecond, PCM: ones(800, 100)},  // 30 to 80 ms
		{At: 60 * time.Millisecond, PCM: ones(640, 1000)}, // 60 to 100 ms
	}})
	for range 6 {
		l.Step()
	}
	if at := l.Place(0, ones(160, 7)); at != 120*time.Millisecond {
		t.Errorf("placed at %v, want at the next frame", at)
	}
	for l.Step() {
	}
	want := make([]int16, 3200)
	for i := 480; i < 1280; i++ {
		want[i] += 100
	}
	for i := 960; i < 1600; i++ {
		want[i] += 1000
	}
	for i := 1920; i < 2080; i++ {
		want[i] += 7
	}
	for i := range want {
		if e.pcm[i] != want[i] {
			t.Fatalf("sample %d is %d, want %d", i, e.pcm[i], want[i])
		}
	}
	if len(e.pcm) != 3200 || len(l.Caller()) != 3200 || e.seq[9] != 9 || e.link != transport.LinkLeft || len(l.clips) != 0 {
		t.Errorf("%d samples, %d kept, link %q, %d clips left", len(e.pcm), len(l.Caller()), e.link, len(l.clips))
	}
}

func TestRealTimePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l, err := New(Config{Clips: []Clip{{PCM: ones(320, 5)}}})
		if err != nil {
			t.Fatal(err)
		}
		e := &ear{now: func() time.Duration { return time.Since(began) }}
		if _, err := l.Open(t.Context(), transport.Bootstrap{}, e); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := l.Close("done"); err != nil {
			t.Fatal(err)
		}
		heard := len(e.at)
		time.Sleep(time.Second)
		if len(e.at) != heard || heard < 49 || heard > 50 {
			t.Errorf("%d frames in a second, %d after the close", heard, len(e.at)-heard)
		}
		for i, at := range e.at {
			if at != time.Duration(i+1)*20*time.Millisecond {
				t.Fatalf("frame %d came at %v", i, at)
			}
		}
		if l.Reason() != "done" || l.Step() {
			t.Errorf("closed with %q", l.Reason())
		}
	})
}

func TestAgentTrackKeepsInstantsAndOrder(t *testing.T) {
	l, _ := open(t, Config{Manual: true, Keep: time.Second})
	write := func(at time.Duration, v int16) {
		if err := l.WriteFrame(&transport.Frame{At: at, PCM: ones(320, v)}); err != nil {
			t.Fatal(err)
		}
	}
	write(100*time.Millisecond, 1)
	write(120*time.Millisecond, 2)
	write(120*time.Millisecond, 3) // two frames of one instant
	write(1100*time.Millisecond, 4)
	got := l.Agent()
	for i, v := range got {
		want := int16(0)
		if i >= 1600 {
			want = int16((i-1600)/320 + 1)
		}
		if v != want {
			t.Fatalf("sample %d is %d, want %d", i, v, want)
		}
	}
	if len(got) != 1600+960 || l.Lost() != 320 {
		t.Errorf("%d samples, %d beyond what is kept", len(got), l.Lost())
	}
}

func TestOneSession(t *testing.T) {
	l, e := open(t, Config{Manual: true})
	if _, err := l.Open(t.Context(), transport.Bootstrap{}, e); !errors.Is(err, ErrOpened) {
		t.Errorf("a second session: %v", err)
	}
	l.WriteSignal(&eventabi.Envelope{Signal: eventabi.SignalConnected})
	if s := l.Signals(); len(s) != 1 || s[0].Signal != eventabi.SignalConnected {
		t.Errorf("signals %v", s)
	}
	if l.Close("a") != nil || l.Close("b") != nil || l.Reason() != "a" {
		t.Errorf("reason %q", l.Reason())
	}
	if err := l.WriteFrame(&transport.Frame{PCM: ones(320, 1)}); err == nil {
		t.Error("a closed line took a frame")
	}
	if l.Kind() != "loopback" || l.Capabilities().Ack != transport.AckEstimate {
		t.Error("the line does not say what it is")
	}
}

func TestConfigFaults(t *testing.T) {
	_, err := New(Config{Clips: []Clip{{At: -1, PCM: ones(1, 1)}, {}}, Length: -1})
	for _, part := range []string{"clips[0].at", "clips[1].pcm", "length"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not reported in %v", part, err)
		}
	}
}
