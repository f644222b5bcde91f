// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// output is the delivery side of a turn: what egress was given and what of it went
// out. It outlives the turn, because delivery is separate from generation.
type output struct {
	turn       eventabi.TurnID
	generation uint32
	reply      graph.Reply
	chunks     int64
	last       int64 // handle of the last chunk
	accepted   timebase.Samples
	played     timebase.Samples
	started    bool
	ended      bool // no more audio comes
	cancelled  bool // fenced
	completed  bool
	flushing   bool // fenced, and egress has not said yet how far it came
	forgotten  bool // its item was taken out of the conversation
	held       bool
	heldAll    bool  // its protected part as well
	item       int64 // conversation item, 0 = nothing was heard yet
	order      int64 // place in the conversation, 0 = no audio yet
}

// ahead is how much accepted audio has not been played.
func (o *output) ahead() timebase.Span { return (o.accepted - o.played).Span() }

// audible says that sound of the output is still to be heard.
func (o *output) audible() bool {
	return !o.cancelled && !o.completed && o.accepted > 0
}

// whole says that all of the output was played, and all that was generated.
func (o *output) whole() bool { return o.ended && o.accepted > 0 && o.played == o.accepted }

// holdMask says why egress holds.
type holdMask uint8

const (
	holdInterruption holdMask = 1 << iota
	holdLink
)

func (m *Machine) addOutput(id eventabi.TurnID) *output {
	out := m.newOutput(id)
	if len(m.outputs) >= maxOutputs {
		m.fenceOutput(m.outputs[0])
		m.outputs = append(m.outputs[:0], m.outputs[1:]...)
	}
	m.outputs = append(m.outputs, out)
	return out
}

func (m *Machine) outputOf(id eventabi.TurnID) *output {
	for _, out := range m.outputs {
		if out.turn == id {
			return out
		}
	}
	return nil
}

// audible says that any accepted sound is still to be heard.
func (m *Machine) audible() bool {
	for _, out := range m.outputs {
		if out.audible() {
			return true
		}
	}
	return false
}

// speaking says that assistant output is being generated or still audible: the state
// in which user speech is an interruption.
func (m *Machine) speaking() bool {
	return m.arbiter.State() == controlplane.TurnActive || m.audible()
}

// fence stops a scope at the last write.
func (m *Machine) fence(f *Fence) {
	m.fenced = true
	m.fx.add(f)
}

// fenceOutputs fences and flushes everything that is still to be heard.
func (m *Machine) fenceOutputs() {
	for _, out := range m.outputs {
		m.fenceOutput(out)
	}
}

// fenceOutput fences one turn's output. What was accepted and is unfinished is
// reported as playback_cancelled, once; what has just ended with its last sample played
// is completed, and was not interrupted.
func (m *Machine) fenceOutput(out *output) {
	if out.cancelled || out.completed && out.accepted > 0 && out.turn != m.scopeTurn() {
		return
	}
	audible, whole := out.audible(), out.whole()
	out.cancelled, out.completed, out.flushing = true, false, audible
	m.fences.Add(eventabi.CancelTurn, string(out.turn), m.now)
	m.fence(&Fence{Turn: out.turn, Generation: out.generation})
	m.fenceEdges(out.generation)
	if out.turn == m.turn.id {
		m.turn.fenced = m.now
	}
	switch {
	case audible && whole:
		if !out.started { // its report was lost
			out.started = true
			m.emit(eventabi.SignalPlaybackStarted, eventabi.EmitterEgress, out.turn, "")
		}
		m.emit(eventabi.SignalPlaybackCompleted, eventabi.EmitterEgress, out.turn, "")
	case audible:
		signal := m.emit(eventabi.SignalPlaybackCancelled, eventabi.EmitterEgress, out.turn, "")
		body := m.fx.body(64)
		body.int("played_through_samples", int64(out.played))
		signal.Payload = body.done()
	}
	m.recordHeard(out)
}

// settleHold makes egress hold, or go on at the very next sample, as the reasons say at
// the end of a pass. The reason of an interruption is derived and not kept, so no path
// can leave a hold behind that nothing releases.
func (m *Machine) settleHold() {
	m.holds &^= holdInterruption
	if m.interruption.judge.Open() || m.barge.wanted && m.protectedNext() {
		m.holds |= holdInterruption
	}
	all := m.holds&holdLink != 0
	for _, out := range m.outputs {
		over := out.cancelled || out.completed
		switch {
		case m.holds != 0 && !over && (!out.held || out.heldAll != all):
			out.held, out.heldAll = true, all
			m.fx.add(&Hold{Turn: out.turn, Generation: out.generation, All: all})
		case m.holds == 0 && out.held:
			out.held = false
			if !over {
				m.fx.add(&Resume{Generation: out.generation})
			}
		}
	}
}

// endAudio tells egress that a turn's audio is complete.
func (m *Machine) endAudio(out *output) {
	if out.ended || out.cancelled {
		return
	}
	out.ended = true
	if out.accepted > 0 {
		m.fx.add(&EndOfAudio{Turn: out.turn, Generation: out.generation})
		return
	}
	out.completed = true
}

// delivery takes what egress reports. Reports for a fenced output are refused but for
// its flush; they can only be late.
func (m *Machine) delivery(in *Delivery) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeDequeue, in) {
		return
	}
	out := m.outputOf(in.Turn)
	if out == nil {
		if in.Event != DeliveryFlushed && in.Event != DeliveryProgress {
			m.late(in, in.Turn)
		}
		return
	}
	if in.Played < out.played || in.Played > out.accepted {
		m.refuse("playout_out_of_range", in.kind(), in.Turn)
		return
	}
	if out.cancelled {
		m.lateDelivery(in, out)
		return
	}
	out.played = in.Played
	m.playedOn(out)
	switch in.Event {
	case DeliveryProgress, DeliveryHeld, DeliveryFlushed:
		if out.whole() { // there is nothing left that could be interrupted
			m.completed(out)
		}
	case DeliveryStarted:
		m.started(out)
	case DeliveryCompleted:
		if !out.ended || in.Played != out.accepted {
			m.refuse("playout_incomplete", in.kind(), out.turn)
			return
		}
		m.completed(out)
	}
	m.sayNext()
}

// lateDelivery: what egress says of a fenced output corrects how much was heard; it
// starts nothing.
func (m *Machine) lateDelivery(in *Delivery, out *output) {
	if in.Played != out.played {
		out.played = in.Played
		m.recordHeard(out)
	}
	switch in.Event {
	case DeliveryHeld, DeliveryProgress:
	case DeliveryFlushed:
		out.flushing = false
	case DeliveryStarted, DeliveryCompleted:
		m.counters.LateAfterCancel++
		m.refuse("late_after_cancel", in.kind(), in.Turn)
	}
}

func (m *Machine) started(out *output) {
	if out.started {
		m.refuse("duplicate", "delivery", out.turn)
		return
	}
	out.started = true
	m.emit(eventabi.SignalPlaybackStarted, eventabi.EmitterEgress, out.turn, "")
	m.recordHeard(out)
}

func (m *Machine) completed(out *output) {
	if out.completed {
		return
	}
	if !out.started {
		m.started(out)
	}
	out.completed = true
	m.emit(eventabi.SignalPlaybackCompleted, eventabi.EmitterEgress, out.turn, "")
	m.recordHeard(out)
}

// forgetOutputs drops outputs that nothing is owed to any more. A fenced one stays
// until egress has said how far it came.
func (m *Machine) forgetOutputs() {
	kept := m.outputs[:0]
	for _, out := range m.outputs {
		live := out.turn == m.turn.id && m.arbiter.Live()
		if live || out.audible() || out.flushing {
			kept = append(kept, out)
		}
	}
	for i := len(kept); i < len(m.outputs); i++ {
		m.outputs[i] = nil
	}
	m.outputs = kept
}
