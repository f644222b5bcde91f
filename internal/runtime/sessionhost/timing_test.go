// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/histogram"
	"github.com/parley-voice/parley/transport"
)

// slow is a sink that takes its time, by the clock of the shard that writes.
type slow struct {
	line
	shard *still
	takes time.Duration
}

func (l *slow) WriteFrame(f *transport.Frame) error {
	l.shard.instant.Add(int64(l.takes))
	return l.line.WriteFrame(f)
}

func (l *slow) connect(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	l.in = in
	return l, nil
}

// playing opens n sessions that are about to play through slow sinks.
func playing(t *testing.T, s *still, n int, also func(i int, r *rig)) (list []*Session, links []*slow) {
	t.Helper()
	for i := range n {
		r, link := newRig(fmt.Sprint("s", i)), &slow{shard: s}
		r.settings.Connect = link.connect
		if also != nil {
			also(i, r)
		}
		x := s.open(t, r)
		x.Ingress().Text("tell me a story", "")
		s.until(t, "a turn that is generated and plays", func() bool {
			return x.machine.Counters().Commits == 1 && x.egress.NextTick() != timebase.Never
		})
		list, links = append(list, x), append(links, link)
	}
	return list, links
}

// How late a frame is, is told of the write, and not of the round that it is written in:
// who is behind others that take long is late.
func TestFrameLatenessIsThatOfTheWrite(t *testing.T) {
	s := newStill()
	const n = 4 * clockEvery
	list, links := playing(t, s, n, nil)
	s.pass(100 * time.Millisecond) // from here on all are due at one instant
	before := s.measured.lateness.Snapshot()
	for _, l := range links {
		l.takes = time.Millisecond / 2
	}
	s.pass(20 * time.Millisecond)
	late := s.measured.lateness.Snapshot().Since(before)
	if late.Count != n {
		t.Fatalf("%d frames left, want %d", late.Count, n)
	}
	// The k-th session writes k/2 ms after the round began, and is told so to within the
	// clockEvery sessions since the clock was read.
	for i := range int64(4) {
		at, want := late.Quantile(1000*(i+1)/4), i*clockEvery*int64(time.Millisecond)/2
		if at < want-int64(time.Millisecond) || at > want+int64(time.Millisecond) {
			t.Errorf("quarter %d of the frames is %d us late, want %d", i, at/1000, want/1000)
		}
	}
	for _, l := range links {
		l.takes = 0
	}
	s.close(t, list...)
}

// A group of sessions is counted apart, beside the host's own count.
func TestLatenessOfAGroup(t *testing.T) {
	s := newStill()
	var group histogram.Histogram
	list, _ := playing(t, s, 3, func(i int, r *rig) {
		if i > 0 {
			r.settings.Lateness = &group
		}
	})
	s.pass(100 * time.Millisecond)
	own, all := group.Snapshot(), s.measured.lateness.Snapshot()
	s.pass(23 * time.Millisecond)
	own, all = group.Snapshot().Since(own), s.measured.lateness.Snapshot().Since(all)
	if all.Count != 3 || own.Count != 2 {
		t.Errorf("%d frames, %d of the group; want 3 and 2", all.Count, own.Count)
	}
	if want := int64(3 * time.Millisecond); own.Sum != 2*want || all.Sum != 3*want {
		t.Errorf("%d ns late, %d of the group; each frame was 3 ms late", all.Sum, own.Sum)
	}
	s.close(t, list...)
}

// control_preempt_delay_ms is from the post to the begin of the pass (flow section 4), of
// control alone.
func TestControlPreemptDelay(t *testing.T) {
	s := newStill()
	x := s.open(t, newRig("s1"))
	before := s.measured.preempt.Snapshot()
	x.Ingress().Stop(transport.Request{})
	x.Ingress().Audio(-1, make([]int16, transport.FrameSamples))
	s.instant.Add(int64(2 * time.Millisecond))
	x.Ingress().Stop(transport.Request{})
	s.pass(3 * time.Millisecond)
	waited := s.measured.preempt.Snapshot().Since(before)
	if waited.Count != 2 || waited.Sum != int64(8*time.Millisecond) {
		t.Errorf("%d control inputs waited %d us together, want 2 and 8000", waited.Count, waited.Sum/1000)
	}
	s.close(t, x)
}

// What the host tells is of all of its shards.
func TestTimingOfAHost(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		rigs := []*rig{newRig("s1"), newRig("s2")}
		for _, r := range rigs {
			open(t, h, r).Ingress().Text("tell me a story", "")
		}
		time.Sleep(10 * time.Second)
		told := h.Timing()
		if want := int64(rigs[0].line.count() + rigs[1].line.count()); want == 0 || told.FrameLateness.Count != want {
			t.Errorf("%d frames were told of, %d were heard", told.FrameLateness.Count, want)
		}
		if told.ControlPreempt.Count == 0 {
			t.Error("no control was told of: each session has a bootstrap")
		}
	})
}
