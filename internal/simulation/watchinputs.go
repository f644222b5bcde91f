// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// The precedence of causes (lifecycle section 4).
const (
	rankAuthority = 1 + iota
	rankCancel
	rankEvidence
	rankBudget
	rankFailure
	rankDisconnect
)

// before takes what the kernel is about to be given.
func (k *watch) before(w *world) {
	k.step++
	k.now = max(k.now, w.passAt)
	k.texts = w.texts
	k.pass = passWatch{live: k.live, speeches: k.pass.speeches, turned: k.pass.turned[:0], due: k.deadline <= k.now, fences: true, epoch: k.epoch}
	k.pass.load = passLoad{only: loadAlone(w.in), highest: k.loads.level}
	k.faulted, k.ending, k.edges.full = false, false, false
	k.beforeTime()
	k.said.before()
	k.talk.closed, k.talk.turnedAway, k.talk.opens, k.talk.pending = false, false, 0, k.talk.pending[:0]
	if w.solo && len(w.in) == 1 { // nothing else comes that could have an effect
		k.alone(w.in[0])
	}
	for _, in := range w.in { // control before data, as the lanes have it
		k.control(in)
	}
	for _, in := range w.in {
		k.data(in)
	}
}

// alone recognises a pass that must have no effect.
func (k *watch) alone(in session.Input) {
	epoch, key, ok := badge(in)
	k.pass.stale = ok && !k.current(epoch)
	k.pass.again = ok && !k.pass.stale && k.seen(key)
}

// badge gives what a client's message is checked by.
func badge(in session.Input) (epoch eventabi.Epoch, key eventabi.IdempotencyKey, ok bool) {
	if in, is := in.(*session.AudioIn); is {
		return in.Epoch, "", true
	}
	if in, is := in.(*session.AudioGap); is {
		return in.Epoch, "", true
	}
	if in, is := in.(*session.EndOfUtterance); is {
		return in.Epoch, in.Key, true
	}
	if in, is := in.(*session.TextIn); is {
		return in.Epoch, in.Key, true
	}
	if in, is := in.(*session.Stop); is {
		return in.Epoch, in.Key, true
	}
	if in, is := in.(*session.Cancel); is {
		return in.Epoch, in.Key, true
	}
	return saidBadge(in)
}

// current restates when an epoch is the lease's.
func (k *watch) current(e eventabi.Epoch) bool { return !k.revoked && (e == 0 || e == k.epoch) }

func (k *watch) seen(key eventabi.IdempotencyKey) bool {
	return key != "" && slices.Contains(k.keys[max(0, len(k.keys)-k.rules.dedupe):], key)
}

// takes says whether a client's message counts: session running, epoch current, not
// seen before. It remembers the key.
func (k *watch) takes(epoch eventabi.Epoch, key eventabi.IdempotencyKey) bool {
	if k.state != controlplane.SessionActive && k.state != controlplane.SessionDraining {
		return false
	}
	if !k.current(epoch) || k.seen(key) {
		return false
	}
	if key != "" {
		k.keys = append(k.keys, key)
	}
	return true
}

// against notes a cause against the live turn.
func (k *watch) against(rank int) {
	if k.pass.live >= 0 && (k.pass.rank == 0 || rank < k.pass.rank) {
		k.pass.rank = rank
	}
}

func (k *watch) running() bool {
	return k.state == controlplane.SessionActive || k.state == controlplane.SessionDraining
}

// control takes an input of the control lane.
func (k *watch) control(in session.Input) {
	switch in := in.(type) {
	case *session.Bootstrap:
		k.bootstrap(in)
	case *session.Snapshots:
		k.snapshot(in)
	case *session.LeaseChange:
		k.lease(in)
	case *session.Link:
		k.linkInput(in)
	case *session.VoiceOn:
		k.voiceOn()
	case *session.VoiceOff:
		k.talk.voiced = false
	case *session.Muted:
		k.mutedInput(in)
	case *session.EndOfUtterance:
		if k.takes(in.Epoch, in.Key) {
			k.utteranceEnd(in)
		}
	case *session.Cancel:
		k.cancelInput(in)
	case *session.Stop:
		if k.takes(in.Epoch, in.Key) {
			k.pass.prefenced = max(k.pass.prefenced, in.Fenced)
			if in.Force || in.Fenced != 0 {
				k.against(rankCancel)
			}
		}
	case *session.Appended:
		k.appendedInput(in)
	case *session.EvidenceLost:
		k.against(rankEvidence)
	case *session.NodeFailed:
		if !k.workFailed(in) && k.pass.live >= 0 && in.Turn == k.turns[k.pass.live].id && !k.rules.survives(in.Node) && !(in.Node == "tts" && k.turns[k.pass.live].text) {
			k.against(rankFailure)
		}
	case *session.RuntimeFault:
		k.against(rankFailure)
		k.faulted = true
	case *session.CancelAck:
		k.ackInput(in)
	case *session.Quota:
		k.loads.quota(in)
	case *session.Usage:
		k.loads.counts = in.Counts
	case *session.Admission:
		k.loads.host = in.Outcome
	case *session.Load:
		k.load(in)
	case *session.ClockReading:
		k.read(in)
	case *session.EdgePolicy:
		k.setEdge(in)
	case *session.FlowPolicy:
		k.edges.flow = in.Flow
	case *session.Ready:
		if in.Count > 0 {
			k.reader(in.To).demand += in.Count
		}
	case *session.Overflow:
		k.fullLane(in)
	case *session.CloseRequest, *session.Wake, *session.Delivery, *session.NodeSpent, *session.NodePolicy, *session.Offer, *session.GraphNode, *session.GraphEdge:
	case *session.AudioIn, *session.AudioGap, *session.TextIn, *session.Transcript, *session.Progress, *session.Segment,
		*session.Speech, *session.InvocationEnd, *session.Unscheduled, *session.ToolCalled, *session.ToolResult, *session.NodeOutput, *session.NodeDone,
		*session.TransportControl, *session.Context, *session.Forget, *session.Respond, *session.Wishes:
	}
}

// fullLane: a full control lane is an invariant that broke.
func (k *watch) fullLane(in *session.Overflow) {
	if in.Lane == eventabi.ControlLane {
		k.against(rankFailure)
		k.faulted, k.edges.full = true, true
	}
}

// data takes an input of the data lane.
func (k *watch) data(in session.Input) {
	switch in := in.(type) {
	case *session.TextIn:
		if k.takes(in.Epoch, in.Key) {
			k.typed(in)
		}
	case *session.Transcript:
		k.transcript(in)
	case *session.Progress:
		k.alive(in.Invocation, in.Attempt)
	case *session.Segment:
		k.alive(in.Invocation, in.Attempt)
		k.talk.owed = k.talk.owed || in.Protected
	case *session.Speech:
		k.alive(in.Invocation, in.Attempt)
		k.pass.speeches = append(k.pass.speeches, speechWatch{call: in.Invocation, handle: in.Handle, samples: in.Samples, at: k.now})
	case *session.ToolCalled:
		k.toolCalled(in)
	case *session.ToolResult:
		k.toolResult(in)
	case *session.InvocationEnd:
		k.attemptEnd(in)
	case *session.NodeDone:
		k.nodeDone(in)
	case *session.NodeOutput:
	case *session.Unscheduled:
		k.unscheduled(in)
	case *session.AudioIn:
		if k.running() && k.current(in.Epoch) {
			k.heardNow()
			k.said.came(k.now)
		}
	case *session.AudioGap:
		k.gap(in)
	case *session.TransportControl, *session.Context, *session.Forget, *session.Respond, *session.Wishes:
		k.clientWord(in)
	case *session.Muted, *session.Bootstrap, *session.CloseRequest, *session.Link, *session.LeaseChange,
		*session.Snapshots, *session.Wake, *session.VoiceOn, *session.VoiceOff, *session.EndOfUtterance,
		*session.Delivery, *session.Cancel, *session.Stop, *session.Appended, *session.EvidenceLost,
		*session.NodeFailed, *session.NodeSpent, *session.CancelAck, *session.RuntimeFault, *session.ClockReading,
		*session.Quota, *session.Usage, *session.Admission, *session.Load,
		*session.EdgePolicy, *session.FlowPolicy, *session.NodePolicy, *session.Offer, *session.Ready, *session.Overflow,
		*session.GraphNode, *session.GraphEdge:
	}
}

func (k *watch) bootstrap(in *session.Bootstrap) {
	s := &in.Settings
	p := &s.Policy
	ms := func(v, def int64) timebase.Span {
		if v == 0 {
			v = def
		}
		return timebase.MS(v)
	}
	k.rules = rules{
		minInterruption:   ms(p.MinInterruptionMS, 300),
		falseInterruption: ms(p.FalseInterruptionMS, 700),
		transcriptWait:    ms(p.TranscriptWaitMS, 300),
		invocation:        ms(s.InvocationMS, 1000),
		tool:              ms(s.ToolTimeoutMS, 15000),
		hardCap:           ms(s.TurnHardCapMS, 60000),
		envelope:          ms(s.TurnBudgetMS, 2000),
		drain:             ms(s.DrainMS, 30000),
		disconnect:        ms(s.DisconnectMS, 15000),
		utterance:         ms(s.MaxUtteranceMS, 30000),
		attempts:          s.Attempts,
		dedupe:            int(s.DedupeKeys),
		available:         s.AvailabilityMode,
		plain:             *p == turn.Policy{} && s.StreamingSTT,
		early:             p.Trigger == turn.TriggerSpeechStart,
		binds:             p.Trigger != turn.TriggerSpeechStart && p.Overlap != turn.OverlapQueue && p.Late != turn.LateRemap,
	}
	if k.rules.attempts == 0 {
		k.rules.attempts = 2
	}
	k.rules.allowed = s.AdaptiveActions
	if k.rules.allowed == "" {
		k.rules.allowed = "retry,provider_switch,degrade,fallback"
	}
	for kind, second := range [...]string{in.STTSecond, in.LLMSecond, in.TTSSecond} {
		k.rules.candidates[kind] = 1
		if second != "" {
			k.rules.candidates[kind] = 2
		}
	}
	k.rules.binds = k.rules.binds && !k.said.on
	k.said.bootstrap(s, ms)
	k.rules.line, k.rules.shows = in.Fallback.Words > 0, !s.VoiceOnly
	if k.rules.dedupe == 0 {
		k.rules.dedupe = 8192
	}
	k.rules.queues = p.Overlap == turn.OverlapQueue
	k.epoch = in.Epoch
	k.entered(in)
	k.beginTime(in)
}

func (k *watch) snapshot(in *session.Snapshots) {
	k.snapBack = false
	for i, v := range in.Versions {
		k.snapBack = k.snapBack || v != 0 && v < k.snapHigh[i]
		k.snapHigh[i] = max(k.snapHigh[i], v)
	}
	k.snapshots, k.snapAt, k.snapHave = *in, k.now, true
}

// lease follows the authority: a new epoch or a revocation ends what the old one began.
func (k *watch) lease(in *session.LeaseChange) {
	if !k.running() || k.revoked || !in.Revoked && in.Epoch <= k.epoch {
		return
	}
	if in.Revoked {
		k.revoked = true
	} else {
		k.epoch = in.Epoch
	}
	k.against(rankAuthority)
	for i := range k.gens {
		k.gens[i].old = true
	}
}

func (k *watch) linkInput(in *session.Link) {
	if k.state == controlplane.SessionConnecting || k.ended || k.link == controlplane.ConnectionEnded {
		return
	}
	if in.State == session.LinkLeft {
		k.against(rankDisconnect)
	}
}

func (k *watch) cancelInput(in *session.Cancel) {
	if !k.takes(in.Epoch, in.Key) {
		return
	}
	switch in.Scope {
	case eventabi.CancelSession:
		k.against(rankCancel)
	case eventabi.CancelTurn:
		k.pass.prefenced = max(k.pass.prefenced, in.Fenced)
		if in.Turn == "" && (in.Force || in.Fenced != 0) {
			k.against(rankCancel)
		}
	case eventabi.CancelNode, eventabi.CancelInvocation:
	}
}

func (k *watch) appendedInput(in *session.Appended) {
	if k.pass.live < 0 || k.turns[k.pass.live].id != in.Turn || !k.turns[k.pass.live].appendAsked {
		return
	}
	if in.OK {
		k.turns[k.pass.live].appended = true
		return
	}
	k.against(rankEvidence)
}
