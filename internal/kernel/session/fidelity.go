// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// voiceLadder is the steps that the voice graph of this session can take. Inside a
// session sound has one rate, so there is no lower one to reduce it to.
func (m *Machine) voiceLadder() turn.Ladder {
	steps := []turn.Step{turn.ShortenContext}
	if m.settings.PlainTTS || len(m.plans.candidates[callTTS]) > 1 {
		steps = append(steps, turn.SimplifyTTS)
	}
	if !m.settings.VoiceOnly {
		steps = append(steps, turn.TextOnly)
	}
	return turn.NewLadder(steps...)
}

// stepFor gives the first step that helps what the turn waits for: a shorter prompt while
// the model is still to be asked, a plainer voice while there is sound to come, text when
// no sound comes. A voice that is heard is not taken away because something is slow.
func (m *Machine) stepFor(x *trouble) (turn.Step, bool) {
	t := &m.turn
	written := t.output.reply.Muted()
	return m.ladder.Next(t.fidelity, func(s turn.Step) bool {
		switch s {
		case turn.ShortenContext:
			return (x.awaits == stageWords || x.awaits == stageReply) && !x.lost && m.modelToCome()
		case turn.SimplifyTTS:
			return !written && x.awaits == stageSound && !x.lost && m.plainVoiceToCome()
		case turn.TextOnly:
			return !written && x.awaits == stageSound && (x.lost || t.firstOutput == 0) && (!t.output.reply.Complete() || m.unheardAny())
		case turn.FullFidelity, turn.ReduceSampleRate:
		}
		return false
	})
}

// modelToCome says that the model will be asked, for the first time or again.
func (m *Machine) modelToCome() bool {
	if !m.turn.asked || m.waitsForTools() {
		return true
	}
	c := m.turnCall(callLLM)
	return c != nil && c.retryAt != 0
}

// plainVoiceToCome says that something will be synthesised that can be asked for plainly.
func (m *Machine) plainVoiceToCome() bool {
	c := m.turnCall(callTTS)
	if c != nil && c.chunks == 0 && m.mayMoveOn(c) {
		return true
	}
	return m.settings.PlainTTS && !m.turn.output.reply.Complete() &&
		(c == nil || c.retryAt != 0 || c.chunks > 0 || c.tries < m.attempts())
}

// turnCall gives the live turn's call of a kind that is not over, nil when there is none.
func (m *Machine) turnCall(kind callKind) *call {
	for i := range m.calls {
		if c := &m.calls[i]; c.kind == kind && c.turn == m.turn.id && !c.cancelled && !c.parked {
			return c
		}
	}
	return nil
}

// degrade takes a step of the ladder, on behalf of whoever found it necessary: the budgets
// here, or an edge whose watermark is crossed. Losing the voice is the loss of a
// capability, and the client is told so (turn-plan section 7).
func (m *Machine) degrade(step turn.Step, by eventabi.Emitter, cause string) {
	t := &m.turn
	if !m.ladder.Has(step) || !t.fidelity.Lower(step) {
		return
	}
	reason := cause
	if step == turn.TextOnly {
		reason = "capability_lost:tts"
	}
	signal := m.emit(eventabi.SignalDegrade, by, t.id, reason)
	body := m.fx.body(64)
	body.str("step", string(step))
	body.str("cause", cause)
	signal.Payload = body.done()
	m.fx.add(&Degrade{Turn: t.id, Step: step, Reason: reason})
	switch step {
	case turn.SimplifyTTS:
		m.askPlainly()
	case turn.TextOnly:
		m.goOnAsText()
	case turn.FullFidelity, turn.ReduceSampleRate, turn.ShortenContext: // the next prompt is short
	}
}

// askPlainly asks for a segment anew that has no sound yet: another synthesiser where
// there is one and the plan allows it, else the same one without wishes.
func (m *Machine) askPlainly() {
	c := m.turnCall(callTTS)
	if c == nil || c.chunks > 0 {
		return
	}
	running := c.retryAt == 0
	if m.mayMoveOn(c) {
		if running {
			m.fx.add(&CancelCall{Invocation: c.id, Reason: string(controlplane.CancelTimeout)})
		}
		m.moveOn(c, "degrade:"+string(turn.SimplifyTTS))
		return
	}
	if running && c.tries < m.attempts() {
		m.fx.add(&CancelCall{Invocation: c.id, Reason: string(controlplane.CancelTimeout)})
		c.attempt++
		c.tries++
		m.startCall(c)
	}
}

// goOnAsText gives up the voice for the rest of the turn. What is not wholly synthesised
// is delivered as text, and so is everything that the model still writes.
func (m *Machine) goOnAsText() {
	t := &m.turn
	id := t.id
	m.cancelCalls(string(controlplane.CancelPolicy), func(c *call) bool { return c.turn == id && c.kind == callTTS })
	reply := &t.output.reply
	reply.Mute()
	m.drainReply()
	t.speech.Close()
	voiced := reply.Voiced()
	for i := range reply.Len() {
		if i >= voiced || reply.Unheard(i) {
			m.show(i)
		}
	}
	m.recordHeard(t.output)
	m.finished()
}

// show delivers a segment as text: it is output like sound.
func (m *Machine) show(i int) {
	out := m.turn.output
	s := out.reply.At(i)
	out.last = s.Text
	m.tell(FromAgentText, flow.Item{
		Handle: s.Text, Kind: flow.Final, Lane: flow.Data, Stream: -int64(out.generation), Group: segmentGroup(out.generation, i),
		Scope: out.generation, Bytes: mostBytes(s.Runes), Of: string(out.turn),
	})
	m.placeOutput(i)
	m.outputBegan()
}

// canStandIn says that the fallback line may still take the place of the answer: there is
// one, the caller has finished, and the model has said nothing.
func (m *Machine) canStandIn() bool {
	t := &m.turn
	reply := &t.output.reply
	return m.fallback.Class != TextNone && !t.stoodIn && t.budget.Started() &&
		t.firstOutput == 0 && reply.Len() == 0 && !reply.Ended()
}

// standIn takes the graph's alternate branch: the fallback line is the reply.
func (m *Machine) standIn(x *trouble) {
	t := &m.turn
	id := t.id
	t.stoodIn = true
	if !t.asked {
		m.recordAsked()
	}
	signal := m.emit(eventabi.SignalFallback, eventabi.EmitterBudget, id, x.cause())
	body := m.fx.body(64)
	body.str("branch", "reply")
	body.int("runes", m.fallback.Runes)
	signal.Payload = body.done()
	m.fx.add(&Fallback{Turn: id, Segment: 0, Text: m.fallback.Handle, Reason: x.cause()})
	reason := controlplane.CancelProviderError
	if x.scope != "" {
		reason = controlplane.CancelTimeout
	}
	m.cancelCalls(string(reason), func(c *call) bool { return c.turn == id && c.kind == callLLM })
	m.stopRun()
	m.addSegment(graph.Spoken{Text: m.fallback.Handle, Runes: m.fallback.Runes})
	t.output.reply.End()
	m.finished()
}

// recordAsked writes the caller's words down for a turn that does not wait for the model.
func (m *Machine) recordAsked() {
	t := &m.turn
	t.asked = true
	if t.utterance == 0 {
		m.recordTyped()
		return
	}
	if u := m.utterance(t.utterance); u != nil && u.final && u.ended {
		t.text = u.text
		m.recordUser(u)
	}
}
