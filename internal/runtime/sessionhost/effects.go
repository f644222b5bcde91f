// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"encoding/json"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// fence performs a Fence: the gate closes, the rest is flushed, the sink is told. It
// gives how long that took since the cancel was accepted.
func (s *Session) fence(at timebase.Instant, f *session.Fence) timebase.Span {
	took, ahead := s.fenceTook(f.Generation)
	s.egress.Fence(at, f.Turn, f.Generation, f.Session)
	if !ahead {
		took = s.exec.Now().Sub(at)
	}
	s.witness.Fence(transport.Fence{Turn: f.Turn, Generation: f.Generation, Session: f.Session})
	s.meter.measure(metric{
		name: "cancel_latency_ms", unit: "ms", value: millis(took), turn: f.Turn, labels: [3][2]string{{"scope", "session"}},
	})
	return took
}

// perform does what one decision asks for. Fences were performed before.
func (s *Session) perform(at timebase.Instant, e session.Effect) {
	switch e := e.(type) {
	case *session.Fence:
		s.notice.FenceTook = s.fence(at, e) // one that stands behind other decisions
		s.egress.Continue(at)
	case *session.Emit:
		s.emit(&e.Envelope)
	case *session.Hold:
		s.egress.Hold(e.Turn, e.Generation, e.All)
		s.egress.Continue(at) // protected output may go on under a hold that was of all
	case *session.Resume:
		s.egress.Resume(at, e.Generation)
	case *session.Play:
		s.play(at, e)
	case *session.EndOfAudio:
		s.egress.EndOfAudio(at, e.Turn, e.Generation)
	case *session.Discard:
		s.content.dropAudio(e.Handle)
	case *session.Open:
		s.graph.listen(e)
	case *session.Finalize:
		s.graph.finalize(e)
	case *session.Generate:
		s.generate(e)
	case *session.CallTool:
		s.callTool(e)
	case *session.Say:
		s.egress.Open(e.Turn, e.Generation)
		s.graph.say(e, s.content.text(e.Text))
	case *session.Degrade:
		s.graph.degrade(e)
	case *session.Fallback:
		s.talk.addSegment(e.Turn, e.Segment, e.Text)
	case *session.Work:
		s.graph.work(e)
	case *session.Place:
		s.talk.addSegment(e.Turn, e.Segment, e.Text)
	case *session.CancelCall:
		s.graph.cancelCall(e)
	case *session.Hook:
		s.graph.hook(e)
	case *session.Detach:
		s.graph.detach(e.Invocation)
		s.callOver(e.Invocation)
	case *session.Converse:
		s.talk.apply(e.Item)
	case *session.AppendTerminal:
		s.appendTerminal(at, e)
	case *session.TurnChange:
		s.turnChanged(e)
	case *session.Deliver:
		s.deliver(e)
	case *session.Release:
		s.letGo(e)
	case *session.Combine:
		s.content.join(e.Handle, e.With)
	case *session.Skip, *session.Detour:
		s.graph.onward(e)
	case *session.Ended:
		s.teardown(e.Reason)
	case *session.Decide:
		s.decided(&e.Outcome)
	case *session.Evidence:
		s.evidence(e)
	case *session.Merged, *session.SessionChange, *session.Refused, *session.Superseded, *session.Nondeterministic:
		// evidence: the recorder has it
	}
}

// generate has the model asked, and notes where what it brings belongs.
func (s *Session) generate(e *session.Generate) {
	s.turns[e.Invocation] = e.Turn
	if e.Segment > 0 {
		s.begins[e.Invocation] = e.Segment
	}
	if e.Written {
		s.written = e.Turn
	}
	s.graph.respond(e)
}

// turnChanged follows the turns that begin and those that are over.
func (s *Session) turnChanged(e *session.TurnChange) {
	switch e.Transition.ToState { //nolint:exhaustive // nothing hangs on the states between
	case controlplane.TurnActive:
		s.place.TurnOpened(s.hostTime())
	case controlplane.TurnClosed:
		s.graph.endTurn(e.Turn)
		s.egress.Forget(e.Turn)
	}
}

// decided counts a decision of admission.
func (s *Session) decided(o *controlplane.DecisionOutcome) {
	s.place.Decided(o)
	s.meter.decided(o)
}

// evidence ends the account of a closed turn's kernel time; the rest is the recorder's.
func (s *Session) evidence(e *session.Evidence) {
	s.notice.KernelOverhead = s.overhead.closeTurn()
	s.meter.measure(metric{name: "kernel_overhead_ms", unit: "ms", value: millis(s.notice.KernelOverhead), turn: e.Turn})
}

// emit passes a signal on to the client, and reads the turn's seed from its opening.
func (s *Session) emit(e *eventabi.Envelope) {
	if e.Signal == eventabi.SignalBargeIn {
		s.graph.spoken.bargeIn()
	}
	if e.Signal == eventabi.SignalTurnOpen {
		var body struct {
			Seed int64 `json:"seed"`
		}
		if err := json.Unmarshal(e.Payload, &body); err == nil {
			s.graph.seed = body.Seed
		}
	}
	s.flowSignal(e)
	s.meter.spent(e)
	if sink, ok := s.link.(transport.SignalSink); ok {
		sink.WriteSignal(e)
	}
}

func (s *Session) play(at timebase.Instant, e *session.Play) {
	pcm := s.content.samples(e.Handle)
	if !s.egress.Play(at, e.Turn, e.Generation, e.Handle, pcm, e.Protected) {
		panic("egress is full: the bound on synthesised audio does not hold")
	}
}

func (s *Session) appendTerminal(at timebase.Instant, e *session.AppendTerminal) {
	ok := !s.lost
	if ok && s.settings.Recorder != nil {
		ok = s.settings.Recorder.Terminal(at, e) == nil
	}
	s.feedback = append(s.feedback, &session.Appended{Turn: e.Turn, OK: ok})
}

// note takes what the shell itself learns from an input, and shows it to the observer.
func (s *Session) note(at timebase.Instant, in session.Input) {
	switch in := in.(type) {
	case *session.AudioIn:
		return
	case *session.Transcript:
		if old := s.interim[in.Invocation]; old != 0 && old != in.Text.Handle {
			s.content.dropText(old) // the kernel refers to the latest only
		}
		s.interim[in.Invocation] = in.Text.Handle
		s.notice.Text = s.content.text(in.Text.Handle)
	case *session.TextIn:
		s.notice.Text = s.content.text(in.Text.Handle)
	case *session.Context:
		s.notice.Text = s.content.text(in.Text.Handle)
	case *session.Wishes:
		s.wished(in)
	case *session.VoiceOn:
		s.showSpeech(true, in.Onset)
	case *session.VoiceOff:
		s.showSpeech(false, in.Offset)
	case *session.Segment:
		if turn, ok := s.turns[in.Invocation]; ok {
			if s.settings.Graph == nil { // else it goes through the graph first
				s.talk.addSegment(turn, s.begins[in.Invocation]+in.Index, in.Text.Handle)
			}
			if turn == s.written || s.settings.Graph != nil {
				s.graph.segmentTaken(turn)
			}
		}
		s.notice.Text = s.content.text(in.Text.Handle)
	case *session.NodeOutput:
		s.notice.Text = s.content.text(in.Text.Handle)
	case *session.ToolCalled:
		s.notice.Text = s.content.text(in.Arguments.Handle)
	case *session.ToolResult:
		s.notice.Text = s.content.text(in.Output.Handle)
	case *session.InvocationEnd:
		s.notice.Call = s.graph.takeEnd(in.Invocation)
		s.called(s.notice.Call)
		s.callOver(in.Invocation)
	case *session.CancelAck:
		s.notice.Call = s.graph.takeEnd(in.Invocation)
		s.called(s.notice.Call)
		s.callOver(in.Invocation)
	case *session.Unscheduled:
		s.callOver(in.Invocation)
	case *session.NodeFailed:
		s.notice.Detail = s.graph.takeDetail(in.Node)
	case *session.Offer, *session.Ready:
		// what goes on at edges is told by what it leads to
	case *session.EdgePolicy, *session.FlowPolicy, *session.NodePolicy, *session.Overflow,
		*session.Bootstrap, *session.CloseRequest, *session.Link, *session.LeaseChange, *session.Snapshots, *session.Wake,
		*session.EndOfUtterance, *session.Progress, *session.Speech, *session.Delivery,
		*session.Cancel, *session.Stop, *session.Appended, *session.EvidenceLost, *session.NodeSpent, *session.RuntimeFault,
		*session.ClockReading, *session.AudioGap, *session.Quota, *session.Usage, *session.Admission, *session.Load,
		*session.Muted, *session.TransportControl, *session.Forget, *session.Respond, *session.GraphNode, *session.GraphEdge, *session.NodeDone:
	}
	s.tell(at, in)
}

// callOver forgets what a call's results were to be matched with.
func (s *Session) callOver(id eventabi.InvocationID) {
	delete(s.interim, id)
	delete(s.turns, id)
	delete(s.begins, id)
}

// observe shows a decision to the observer.
func (s *Session) observe(at timebase.Instant, e session.Effect) {
	if c, ok := e.(*session.Converse); ok && s.settings.Observer != nil {
		s.notice.Text = s.talk.ItemText(&c.Item)
	}
	if f, ok := e.(*session.Fallback); ok {
		s.notice.Text = s.content.text(f.Text)
	}
	if p, ok := e.(*session.Place); ok {
		s.notice.Text = s.content.text(p.Text)
	}
	s.tell(at, e)
}

func (s *Session) tell(at timebase.Instant, r session.Record) {
	if s.settings.Observer != nil {
		s.notice.At, s.notice.Record = at, r
		s.settings.Observer(&s.notice)
	}
	s.notice = Notice{}
}

// teardown releases what the session holds. It does not wait: what takes time ends off
// the owner, and Done follows.
func (s *Session) teardown(reason string) {
	if s.over {
		return
	}
	s.over, s.reason = true, reason
	s.open.Store(false)
	s.fences.CloseSession()
	s.graph.close()
	s.taps.close()
	s.stop()
	s.driver.forget(s)
	s.discardPending()
	s.content.clear()
	digest := s.digest.Sum()
	s.exec.Go(func() {
		defer close(s.done)
		s.release(reason, digest)
		s.exec.leave()
		s.final = s.stats()
		if s.gone != nil {
			s.gone()
		}
	})
}

// release closes what the session holds outside itself.
func (s *Session) release(reason string, digest [32]byte) {
	defer func() {
		if recover() != nil {
			s.counts.faults.Add(1)
		}
	}()
	defer func() { _ = s.link.Close(reason) }() // the session is over either way
	if s.faulted {                              // then nobody may have told the link that nothing more is to be heard
		s.witness.Fence(transport.Fence{Session: true})
	}
	if s.settings.Recorder == nil {
		return
	}
	if err := s.settings.Recorder.Close(reason, digest); err != nil {
		s.counts.closing.Add(1)
	}
}
