// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// The bounds of flow section 6.
const (
	maxSkewMS    = 50
	maxMappingMS = 10
	// lastHeard is how long the mapping has to hold without sound: a rate that has just
	// changed by 1000 ppm makes 5 ms of it.
	lastHeard = 5 * timebase.Second
)

// timeWatch is what the clocks of a session must show.
type timeWatch struct {
	wallAt  timebase.Instant // the anchor: when the wall clock showed ...
	wallMS  int64            // ... this
	heard   bool             // the caller's clock can be known ...
	heardAt timebase.Instant // ... and was shown then
	gapEnd  timebase.Samples
	gaps    int64 // that were marked

	// Of the pass.
	before int64 // what the wall clock showed without the pass's reading
	rebase int64 // skew that must be evidenced, in ms, 0 = none
	refuse bool  // the reading must be refused
	mark   int   // discontinuities that must come
	marked int
}

// wall is what the wall clock must show at the present instant.
func (k *watch) wall() int64 { return k.time.wallMS + k.now.Sub(k.time.wallAt).MS() }

// read restates flow section 6, Observe.
func (k *watch) read(in *session.ClockReading) {
	if !k.running() {
		return
	}
	t := &k.time
	skew := in.WallMS - k.wall()
	switch size := max(skew, -skew); {
	case size > 10*maxSkewMS:
		t.refuse = true
	case size > maxSkewMS:
		t.rebase = skew
		t.wallAt, t.wallMS = k.now, in.WallMS
	}
}

// gap restates what is marked: audio that is missing and was not concealed, once a
// stretch.
func (k *watch) gap(in *session.AudioGap) {
	if !k.running() || !k.current(in.Epoch) || in.Samples <= 0 {
		return
	}
	if in.Concealed >= in.Samples {
		return
	}
	t := &k.time
	if t.gaps == 0 || in.Sample != t.gapEnd {
		t.mark++
		t.gaps++
	}
	t.gapEnd = in.Sample + in.Samples
}

// heardNow notes that a frame shows the caller's clock. The end of a gap shows it a frame
// late.
func (k *watch) heardNow() { k.time.heard, k.time.heardAt = true, k.now }

// discontinuity checks the mark of a gap.
func (k *watch) discontinuity(v *eventabi.Envelope) {
	if v.EdgeID != "" {
		return // of what an edge has dropped
	}
	k.time.marked++
	k.ok(GapMarked, v.SyncDomain == "caller_audio" && v.DiscontinuityID != "" && v.Reason != "", "a discontinuity that names nothing")
}

// nondeterministic checks the evidence of a rebase. The media clock's is not foreseen here:
// when it must not be rebased is what MediaMapped says.
func (k *watch) nondeterministic(e *session.Nondeterministic) {
	live := k.live < 0 && e.Turn == "" || k.live >= 0 && (e.Turn == k.turns[k.live].id || e.Turn == "")
	k.ok(RebaseEvidenced, e.Source == controlplane.SourceSystemTime && e.Ref != "" && live, "a rebase with incomplete evidence")
	if e.Key != "timebase.wall" {
		return
	}
	k.ok(RebaseEvidenced, k.time.rebase != 0 && e.SkewUS == k.time.rebase*1000, "the wall clock was rebased without need, or otherwise")
	k.time.rebase = 0
}

// stamped checks the wall time of a signal: projected, from the anchor of before the pass's
// reading or behind it.
func (k *watch) stamped(v *eventabi.Envelope) {
	k.ok(WallProjected, v.WallClockTimestampMS == k.wall() || v.WallClockTimestampMS == k.time.before, "wall_clock_timestamp_ms is not the projection")
}

// clocks checks what must hold of time between two steps.
func (k *watch) clocks(w *world) {
	t := &k.time
	k.ok(RebaseEvidenced, t.rebase == 0, "the wall clock was rebased without evidence")
	k.ok(RebaseEvidenced, !t.refuse, "a reading out of bounds was not refused")
	k.ok(GapMarked, t.mark == t.marked, "missing caller audio and its marks do not add up")
	if t.heard && !k.ended && k.now.Sub(t.heardAt) <= lastHeard && w.timely() {
		truth := w.position(k.now) + timebase.FrameSamples // a frame comes when it is complete
		off := k.mapped.Media - truth
		k.ok(MediaMapped, off.MS() <= maxMappingMS && off.MS() >= -maxMappingMS, "the kernel does not know the caller's sound clock")
	}
}

// beginTime starts a session's clocks.
func (k *watch) beginTime(in *session.Bootstrap) {
	k.time = timeWatch{wallAt: k.now, wallMS: in.WallMS, before: in.WallMS}
}

// beforeTime starts a pass.
func (k *watch) beforeTime() {
	t := &k.time
	t.before, t.rebase, t.refuse, t.mark, t.marked = k.wall(), 0, false, 0, 0
}
