// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/wire"
)

// tape is a playback with a clock and acknowledgements that are kept.
func tape(c Config) (*playback, *[]wire.Played) {
	var told []wire.Played
	c.URL = "ws://x"
	p := newPlayback(c.withDefaults(), func(m *wire.Played) { told = append(told, *m) })
	return p, &told
}

// frame is 20 ms of one value at 16000 Hz.
func frame(generation uint32, position int64, value int16, counts uint16) *wire.Audio {
	b := make([]byte, 0, 640)
	for range 320 {
		b = append(b, byte(value), byte(uint16(value)>>8))
	}
	return &wire.Audio{Kind: wire.KindAgent, Samples: counts, Generation: generation, Position: position, Payload: b}
}

var noon = time.Unix(1_700_000_000, 0)

// TestPlaybackGathers shows that an output begins when 60 ms are there, or have passed.
func TestPlaybackGathers(t *testing.T) {
	p, _ := tape(Config{})
	buf := make([]int16, 160)
	p.put(frame(1, 0, 7, 320), noon)
	if n := p.read(buf, noon); n != 0 {
		t.Errorf("%d samples at once", n)
	}
	if n := p.read(buf, noon.Add(60*time.Millisecond)); n != 160 {
		t.Errorf("%d samples after 60 ms", n)
	}
	q, _ := tape(Config{})
	for i := range int64(3) {
		q.put(frame(1, 320*i, 7, 320), noon)
	}
	if n := q.read(buf, noon); n != 160 || buf[0] != 7 {
		t.Errorf("%d samples when three frames are there", n)
	}
}

// TestPlaybackAcknowledges shows when it is told how far playback is: every 100 ms, when it
// ran dry, with a new output, and finally at a fence.
func TestPlaybackAcknowledges(t *testing.T) {
	p, told := tape(Config{})
	for i := range int64(10) {
		p.put(frame(1, 320*i, 1, 320), noon)
	}
	p.put(frame(1, 3200, 1, 100), noon) // the end of the output, padded
	buf := make([]int16, 320)
	for range 11 {
		p.read(buf, noon)
	}
	positions := func() (list []int64) {
		for _, m := range *told {
			list = append(list, m.Position)
		}
		return list
	}
	if got := positions(); !slices.Equal(got, []int64{320, 1920, 3300}) {
		t.Errorf("told %v", got)
	}
	for i := range int64(5) {
		p.put(frame(2, 320*i, 2, 320), noon)
	}
	p.read(buf[:100], noon.Add(time.Second))
	p.fence(&wire.Fence{Generation: 2, Turn: "t2"})
	last := (*told)[len(*told)-1]
	if last.Generation != 2 || last.Position != 100 || !last.Final || last.Turn != "t2" {
		t.Errorf("%+v", last)
	}
	n := len(*told)
	p.fence(&wire.Fence{Generation: 2, Turn: "t2"})
	p.put(frame(2, 5000, 2, 320), noon)
	if got := p.read(buf, noon.Add(time.Hour)); got != 0 || len(*told) != n {
		t.Errorf("%d samples after the fence, %d acknowledgements", got, len(*told)-n)
	}
	// A fence of what was never played says so.
	p.fence(&wire.Fence{Generation: 9, Turn: "t9"})
	if last := (*told)[len(*told)-1]; last.Generation != 9 || last.Position != 0 || !last.Final {
		t.Errorf("%+v", last)
	}
}

// TestPlaybackIsBounded shows that sound that nobody reads is dropped, oldest first.
func TestPlaybackIsBounded(t *testing.T) {
	p, _ := tape(Config{Buffer: 100 * time.Millisecond})
	for i := range int64(20) {
		p.put(frame(1, 320*i, int16(i), 320), noon)
	}
	buf := make([]int16, 1)
	p.read(buf, noon)
	if p.held != 1599 || buf[0] != 15 || p.lost != 15*320 {
		t.Errorf("%d held, first %d, lost %d", p.held, buf[0], p.lost)
	}
	p.fence(&wire.Fence{Session: true})
	p.put(frame(3, 0, 1, 320), noon)
	if p.held != 0 || len(p.pieces) != 0 {
		t.Errorf("%d samples are held after the end", p.held)
	}
}

// TestEventsDropTheLeastNeeded shows what goes when nobody takes events, and that the last
// one always comes.
func TestEventsDropTheLeastNeeded(t *testing.T) {
	e := newEvents(3)
	e.put(&wire.ToolCall{ID: "c"})
	e.put(&wire.Transcript{Text: "par"})
	e.put(&wire.Metric{})
	e.put(&wire.Transcript{Text: "partial"})
	e.put(&wire.Transcript{Text: "final", Final: true})
	e.put(&wire.Speech{})
	e.put(&wire.Signal{})
	e.put(&Ended{Reason: "x"})
	e.put(&wire.Signal{}) // nothing comes behind the last
	stop := make(chan struct{})
	close(stop)
	e.run(stop)
	var got []string
	for ev := range e.out {
		switch ev := ev.(type) {
		case *wire.ToolCall:
			got = append(got, "tool")
		case *wire.Speech:
			got = append(got, "speech")
		case *wire.Signal:
			got = append(got, "signal")
		case *Ended:
			got = append(got, "ended")
		default:
			t.Errorf("%T", ev)
		}
	}
	if !slices.Equal(got, []string{"tool", "speech", "signal", "ended"}) || e.dropped != 4 {
		t.Errorf("%v, %d dropped", got, e.dropped)
	}
}
