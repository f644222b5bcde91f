// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"fmt"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/connection"
)

// collect adds an item to the session's next pass. The owner calls it.
func (s *Session) collect(it *item) {
	switch {
	case it.ask != nil:
		it.ask()
	case it.input != nil:
		s.pending = append(s.pending, it.input)
		if it.kind == kindControl {
			s.controls = append(s.controls, it.posted)
		}
	default:
		s.frames = append(s.frames, it.frame)
		// The descriptor is lent to the kernel for the pass. Should the slice move, the
		// pointers of before keep their values where they were.
		s.pending = append(s.pending, &s.frames[len(s.frames)-1])
	}
}

// overflowed tells the kernel what the bounds of the mailbox kept out. The owner calls it.
func (s *Session) overflowed(lost *[lanes]int64) {
	for lane, name := range [lanes]eventabi.Lane{eventabi.ControlLane, eventabi.DataLane, eventabi.TelemetryLane} {
		if n := lost[lane]; n > 0 {
			s.pending = append(s.pending, &session.Overflow{Lane: name, Count: n})
		}
	}
}

// tick is what is due of a session's egress, and nothing else: frames first. more says
// that the kernel has to hear of it, or has a deadline.
func (s *Session) tick(at timebase.Instant) (more bool) {
	defer s.boundary()
	at = max(at, s.last)
	s.last = at
	if s.over {
		return false
	}
	s.acknowledge(at)
	if s.egress.NextTick() <= at {
		s.egress.Tick(at)
		s.deliveries()
	}
	s.meter.turn(at)
	if len(s.feedback) > 0 || at >= s.machine.Deadline() {
		// Until the kernel has heard of it nothing but the next frame is due: a deadline that has
		// passed would be due again in each slot, ahead of the kernels of all sessions.
		s.driver.rearm(s, s.egress.NextTick().Add(timebase.Span(s.born)))
		return true
	}
	s.rearm()
	return false
}

// attend is the owner's turn with a session: what is due of its egress, and then one
// pass for everything collected, and one for each answer to what was performed. A panic
// of anything in here stops at this boundary.
func (s *Session) attend(at timebase.Instant) {
	defer s.boundary()
	at = max(at, s.last)
	s.last = at
	if s.over {
		s.discardPending()
		return
	}
	s.acknowledge(at)
	if s.egress.NextTick() <= at {
		s.egress.Tick(at)
		s.deliveries()
	}
	s.preempted()
	s.meter.turn(at)
	for n := 0; ; n++ {
		if at >= s.machine.Deadline() {
			s.pending = append(s.pending, &session.Wake{})
		}
		if len(s.pending)+len(s.feedback) == 0 || s.over {
			break
		}
		if n == maxPasses {
			panic(fmt.Sprintf("%d passes in one drain did not come to rest", n))
		}
		s.pass(at)
	}
	s.rearm()
}

// turn is attend on a shard: caller audio of which the mailbox told the owner is passed on
// to those who listen to it when the kernel has its descriptor, so that one wake-up serves
// them all.
func (s *Session) turn(at timebase.Instant) {
	came := len(s.frames) > 0
	s.attend(at)
	if came && !s.over {
		s.wakeListeners()
	}
}

func (s *Session) wakeListeners() {
	defer s.boundary()
	s.graph.audioHeard()
}

// rearm asks for the next turn.
func (s *Session) rearm() {
	if s.over {
		return
	}
	next := timebase.Earliest(s.egress.NextTick(), s.machine.Deadline())
	s.driver.rearm(s, next.Add(timebase.Span(s.born)))
}

// pass is one pass of the kernel.
func (s *Session) pass(at timebase.Instant) {
	in := s.prepare(at)
	s.fx.Reset()
	s.stepping = in
	s.step(at, in)
	s.stepping = nil
	s.graph.turnEnds.Store(int64(s.machine.TurnEnds()))
	if s.deciding {
		s.stand()
	}
	s.settle(at, in)
}

// prepare completes the pass: what the kernel has to know before it decides stands in
// front. The answers to what was performed come first, because the position that they
// carry is older than the present one.
func (s *Session) prepare(at timebase.Instant) []session.Input {
	in := s.again[:0]
	if s.plain = s.heardOnly(at); s.plain { // most passes: there is nothing that the kernel has to know before
		in = append(in, s.pending...)
		s.again, s.deciding = in, false
		clear(s.pending)
		s.pending = s.pending[:0]
		return in
	}
	s.readClock(at)
	s.listening(at)
	var k looked
	k.look(s.feedback)
	k.look(s.pending)
	s.deciding = k.other
	if k.opens || s.machine.Waiting() {
		if !s.fresh || at.Sub(s.refreshed) > freshFor {
			s.snapshots = s.settings.Snapshots.Snapshots(at)
			s.refreshed, s.fresh = at, true
			in = append(in, &s.snapshots)
		}
		if !k.begins { // the counts that let it in stand in front of the bootstrap
			in = s.refreshUsage(at, in)
		}
	}
	in = append(in, s.feedback...)
	if k.other {
		s.playing, s.progress = s.egress.Progress(s.playing[:0]), s.progress[:0]
		for _, r := range s.playing {
			s.progress = append(s.progress, session.Delivery{Turn: r.Turn, Event: session.DeliveryProgress, Played: r.Played})
			in = append(in, &s.progress[len(s.progress)-1])
		}
	}
	in = append(in, s.pending...)
	s.again = in
	clear(s.pending)
	clear(s.feedback)
	s.pending, s.feedback = s.pending[:0], s.feedback[:0]
	return in
}

// heardOnly says that a pass is of caller frames alone, and that no reading of the clock is due
// and no turn waits to be opened.
func (s *Session) heardOnly(at timebase.Instant) bool {
	return len(s.frames) == len(s.pending) && len(s.feedback) == 0 && at < s.readNext && !s.machine.Waiting()
}

// looked is what a pass holds: the bootstrap, something that can open a turn, something
// that is not a caller frame.
type looked struct{ begins, opens, other bool }

func (k *looked) look(list []session.Input) {
	for _, in := range list {
		switch in := in.(type) {
		case *session.AudioIn:
			continue
		case *session.Bootstrap:
			k.begins, k.opens = true, true
		case *session.VoiceOn, *session.EndOfUtterance, *session.TextIn, *session.Wake, *session.Respond, *session.Muted:
			k.opens = true
		case *session.Transcript:
			k.opens = k.opens || in.Final
		case *session.CloseRequest, *session.Link, *session.LeaseChange, *session.Snapshots, *session.VoiceOff,
			*session.Quota, *session.Usage, *session.Admission, *session.Load,
			*session.EdgePolicy, *session.FlowPolicy, *session.NodePolicy, *session.Offer, *session.Ready, *session.Overflow,
			*session.Progress, *session.Segment, *session.Speech, *session.InvocationEnd, *session.Unscheduled, *session.Delivery,
			*session.Cancel, *session.Stop, *session.Appended, *session.EvidenceLost, *session.NodeFailed,
			*session.NodeSpent, *session.CancelAck, *session.RuntimeFault, *session.ClockReading, *session.AudioGap,
			*session.ToolCalled, *session.ToolResult, *session.GraphNode, *session.GraphEdge, *session.NodeOutput, *session.NodeDone,
			*session.TransportControl, *session.Context, *session.Forget, *session.Wishes:
		}
		k.other = true
	}
}

// settle does what a pass decided: the fences, the record, and then everything else in
// order.
func (s *Session) settle(at timebase.Instant, in []session.Input) {
	if s.plain && len(s.fx.List) == 0 {
		s.unmoved(at, in)
		return
	}
	s.took = s.took[:0]
	for _, e := range s.fx.List {
		f, ok := e.(*session.Fence)
		if !ok {
			break
		}
		s.took = append(s.took, s.fence(at, f))
	}
	if len(s.took) > 0 {
		s.egress.Continue(at)
	}
	s.digest.Add(s.fx.List)
	s.record(at, in, s.fx.List)
	for _, input := range in {
		s.note(at, input)
	}
	for i, e := range s.fx.List {
		if i < len(s.took) {
			s.notice.FenceTook = s.took[i]
		} else {
			s.perform(at, e)
		}
		s.observe(at, e)
	}
	if s.settings.Waits != nil {
		s.settings.Waits(at, s.machine)
	}
	clear(in)
	s.frames = s.frames[:0]
	s.deliveries()
}

// unmoved ends a pass of caller frames that decided nothing: it is kept, and shown to those who
// look at edges.
func (s *Session) unmoved(at timebase.Instant, in []session.Input) {
	s.record(at, in, nil)
	if s.settings.Waits != nil {
		s.settings.Waits(at, s.machine)
	}
	clear(in)
	s.frames = s.frames[:0]
}

// record keeps a pass. The first failure is told to the kernel; the recorder is still
// given what follows, because it reserves room for the terminal.
func (s *Session) record(at timebase.Instant, in []session.Input, decisions []session.Effect) {
	if s.settings.Recorder == nil {
		return
	}
	if err := s.settings.Recorder.Pass(at, in, decisions); err != nil && !s.lost {
		s.lost = true
		s.feedback = append(s.feedback, &session.EvidenceLost{})
	}
}

// deliveries turns what egress reports into inputs of the next pass.
func (s *Session) deliveries() {
	for _, r := range s.egress.TakeReports() {
		d := &session.Delivery{Turn: r.Turn, Played: r.Played}
		switch r.Event {
		case connection.Started:
			d.Event = session.DeliveryStarted
		case connection.Held:
			d.Event = session.DeliveryHeld
		case connection.Completed:
			d.Event = session.DeliveryCompleted
		case connection.Flushed:
			d.Event = session.DeliveryFlushed
		case connection.Moved:
			d.Event = session.DeliveryProgress
		}
		s.feedback = append(s.feedback, d)
	}
}

func (s *Session) discardPending() {
	for _, in := range s.pending {
		if speech, ok := in.(*session.Speech); ok {
			s.content.dropAudio(speech.Handle)
		}
	}
	clear(s.pending)
	s.pending, s.feedback, s.frames = s.pending[:0], s.feedback[:0], s.frames[:0]
}
