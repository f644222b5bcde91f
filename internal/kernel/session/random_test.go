// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// drunk sends a machine anything at any time: inputs that fit its state, inputs that do
// not, and values that no shell would send. It knows no protocol, so it finds what a
// simulator of a sane world does not.
type drunk struct {
	random  timebase.Random
	machine *Machine
	at      timebase.Instant
	fx      Effects
	keys    int64
	seen    []Effect // everything decided so far, when kept
	keep    bool
	digest  Digest
	slowly  bool // caller frames have no path of their own
}

func newDrunk(seed uint64, keep bool) *drunk {
	d := &drunk{random: timebase.NewRandom(seed), machine: New(), keep: keep}
	first := []Input{d.boot(), d.snapshots()}
	for d.random.Chance(1, 3) {
		in := d.entry()
		if _, ok := in.(*Usage); ok || d.random.Chance(1, 4) {
			first = append([]Input{in}, first...)
		}
	}
	for d.random.Chance(1, 2) { // a node that reads along
		first = append([]Input{d.edge()}, first...)
	}
	if d.random.Chance(1, 3) {
		first = append([]Input{&FlowPolicy{Flow: d.flow()}}, first...)
	}
	if d.random.Chance(1, 2) {
		first = append([]Input{&NodePolicy{Node: pick[eventabi.NodeID](d, "llm", "tts", "stt"), Policy: controlplane.NodeExecutionPolicy{
			ConcurrencyLimit: d.random.Below(3), FairnessKey: pick(d, "", "gpu"),
		}}}, first...)
	}
	d.step(first...)
	return d
}

func (d *drunk) step(in ...Input) {
	d.fx.Reset()
	if d.slowly {
		d.machine.now = max(d.machine.now, d.at)
		d.machine.fullPass(in, &d.fx)
	} else {
		d.machine.Step(d.at, in, &d.fx)
	}
	d.digest.Add(d.fx.List)
	if d.keep {
		d.seen = append(d.seen, d.fx.List...)
		d.fx.List = nil
	}
}

// stagger takes n passes.
func (d *drunk) stagger(n int) {
	for range n {
		d.at = d.at.Add(timebase.Span(d.random.Below(int64(120 * timebase.Millisecond))))
		if d.random.Chance(1, 40) {
			d.at = d.at.Add(timebase.MS(d.random.Below(3000)))
		}
		in := []Input{d.input()}
		for d.random.Chance(1, 3) {
			in = append(in, d.input())
		}
		d.step(in...)
	}
}

func pick[T any](d *drunk, list ...T) T { return list[d.random.Below(int64(len(list)))] }

func (d *drunk) boot() *Bootstrap {
	b := &Bootstrap{
		Session: "s1", Tenant: "t", Pipeline: "p1", Profile: "simple", Graph: "voice/1", Epoch: 1,
		WallMS: 1790000000000, STT: "ear", LLM: "mind", TTS: "mouth",
	}
	s := &b.Settings
	s.StreamingSTT = d.random.Chance(1, 2)
	s.AvailabilityMode = d.random.Chance(1, 4)
	s.TurnBudgetMS = pick[int64](d, 0, 500, 5000)
	s.TurnHardCapMS = pick[int64](d, 0, 3000)
	s.InvocationMS = pick[int64](d, 0, 300)
	s.ToolTimeoutMS = pick[int64](d, 0, 400)
	s.MaxUtteranceMS = pick[int64](d, 0, 1500)
	s.DrainMS = pick[int64](d, 0, 800)
	s.DisconnectMS = pick[int64](d, 0, 700)
	s.DedupeKeys = pick[int64](d, 0, 3)
	s.StaleOutcome = pick(d, "", "reject")
	s.PathBudgetMS = pick[int64](d, 0, 200)
	s.AdaptiveActions = pick(d, "", "", "none", "degrade", "fallback", "provider_switch,fallback", "retry,degrade")
	s.PlainTTS, s.VoiceOnly = d.random.Chance(1, 2), d.random.Chance(1, 4)
	s.StallMS, s.SilenceMS = pick[int64](d, 0, 400), pick[int64](d, 0, 900)
	s.TurnEnd, s.AnswerAsked = pick(d, "", "", TurnEndVAD, TurnEndClient), d.random.Chance(1, 6)
	s.TextOnly = !s.VoiceOnly && d.random.Chance(1, 6)
	if d.random.Chance(1, 2) {
		b.STTSecond, b.LLMSecond, b.TTSSecond = "ear2", "mind2", "mouth2"
	}
	if d.random.Chance(1, 2) {
		b.Fallback = TextRef{Handle: 99, Runes: 30, Words: 6, Class: TextWords}
	}
	p := &s.Policy
	p.Trigger = pick(d, "", turn.TriggerSpeechStart)
	p.Overlap = pick(d, "", turn.OverlapQueue, turn.OverlapReject)
	p.MaxQueued = pick[int64](d, 0, 3)
	p.Late = pick(d, "", turn.LateRemap, turn.LateDiagnostics)
	p.Interruption = pick(d, "", "", turn.Immediate, turn.Off)
	p.MinInterruptionWords = pick[int64](d, 0, 0, 2)
	p.Backchannels = pick(d, "", "off")
	return b
}

func (d *drunk) snapshots() *Snapshots {
	s := &Snapshots{AgeMS: pick[int64](d, 0, 0, 0, 7000)}
	for i := range s.Versions {
		s.Versions[i] = int64(d.at/timebase.Instant(timebase.Second)) + 1
		if d.random.Chance(1, 50) {
			s.Versions[i] = d.random.Below(3)
		}
	}
	if d.random.Chance(1, 12) {
		s.Admission, s.Reason = pick(d, "reject", "defer", "what"), pick(d, "", "tenant_quota:turns_per_minute")
	}
	return s
}

// entry draws what the host counts and says, sense or not.
func (d *drunk) entry() Input {
	switch d.random.Below(5) {
	case 0:
		return &Quota{Quota: gate.Quota{
			Scope:            pick(d, gate.ScopeTenant, gate.ScopeSession, gate.ScopeTurn, "odd"),
			Limit:            pick(d, gate.TurnsPerMinute, gate.TokensPerMinute, gate.AudioSeconds, gate.TTSCharacters, gate.ProviderConcurrency, gate.SessionsPerMinute, "odd"),
			Max:              d.random.Between(-1, 9),
			Action:           pick(d, "", gate.ActionReject, gate.ActionDefer, gate.ActionThrottle, gate.ActionDegrade, "odd"),
			HeadroomPerMille: pick[int64](d, 0, 0, 300, 1000),
		}}
	case 1:
		return &Admission{Outcome: pick(d, "", "admit", "reject", "defer", "odd"), RetryAfterMS: d.random.Below(99)}
	case 2:
		return &Load{Level: gate.Level(d.random.Below(7)), Reason: pick(d, "", "processor")}
	}
	u := &Usage{}
	for i := range u.Counts {
		u.Counts[i] = d.random.Between(-1, 9)
	}
	return u
}

func (d *drunk) text() TextRef {
	return TextRef{Handle: d.random.Below(99), Runes: d.random.Below(90), Words: d.random.Below(9), Class: TextClass(d.random.Below(3))}
}

func (d *drunk) turn() eventabi.TurnID {
	m := d.machine
	id := m.turn.id
	if n := len(m.outputs); n > 0 && d.random.Chance(1, 3) {
		id = m.outputs[d.random.Below(int64(n))].turn
	}
	if d.random.Chance(1, 10) {
		id = pick(d, "", eventabi.TurnID(fmt.Sprintf("t%d", d.random.Below(9))))
	}
	return id
}

func (d *drunk) call(kind callKind) eventabi.InvocationID {
	m := d.machine
	if d.random.Chance(1, 10) {
		return pick[eventabi.InvocationID](d, "", "t1-llm-1", "u1-stt", "t2-tts-2", "x")
	}
	for range 4 {
		if n := len(m.calls); n > 0 {
			if c := &m.calls[d.random.Below(int64(n))]; c.kind == kind {
				return c.id
			}
		}
	}
	return ""
}

func (d *drunk) epoch() eventabi.Epoch {
	return pick(d, 0, 0, 0, d.machine.authority.Epoch, d.machine.authority.Epoch, d.machine.authority.Epoch-1, d.machine.authority.Epoch+1)
}

func (d *drunk) key() eventabi.IdempotencyKey {
	if d.random.Chance(2, 3) {
		return ""
	}
	d.keys += d.random.Below(2)
	return eventabi.IdempotencyKey(fmt.Sprint(d.keys))
}

func (d *drunk) heard() timebase.Samples { return timebase.SamplesIn(timebase.Span(d.at)) }

// input draws one, those of a conversation more often than those of trouble.
func (d *drunk) input() Input {
	switch d.random.Below(16) {
	case 0, 1, 2, 3:
		return d.caller()
	case 4, 5, 6, 7, 8, 9:
		return d.provider()
	case 10, 11:
		return d.egress()
	case 12:
		return d.snapshots()
	case 13:
		return pick(d, Input(&Wake{}), d.entry(), d.item())
	case 14:
		return pick(d, d.sound(), d.said())
	}
	return d.trouble()
}

// mark draws a pair of thresholds.
func (d *drunk) mark(most int64) controlplane.Watermark {
	high := d.random.Between(1, most)
	return controlplane.Watermark{High: high, Low: d.random.Below(high)}
}

// edge draws a further edge, or the policy of one of the voice graph where any will do.
func (d *drunk) edge() *EdgePolicy {
	if d.random.Chance(1, 4) {
		graph := turn.VoiceGraph()
		return &EdgePolicy{Edge: "a-b", From: pick(d, "a", FromCallerText, FromAgentText), To: "b", Policy: graph[d.random.Below(int64(len(graph)))].Policy}
	}
	in := &EdgePolicy{Edge: pick[eventabi.EdgeID](d, "a-b", "a-c", "text-client", "telemetry", "stt-llm", "llm-tts")}
	if _, ours := voiceEdgeOf(in.Edge); !ours {
		in.From, in.To = pick(d, "a", FromCallerText, FromAgentText), pick(d, "b", "c")
	}
	p := controlplane.EdgeBufferPolicy{
		Strategy: pick(d, controlplane.StrategyBlock, controlplane.StrategyDrop, controlplane.StrategyMerge,
			controlplane.StrategySample, controlplane.StrategyLatestOnly),
		MaxQueueItems: d.random.Between(1, 6), MaxQueueMS: d.random.Between(1, 900), MaxQueueBytes: d.random.Between(1, 2000),
		MaxLatencyContributionMS: d.random.Between(1, 900), MaxBlockTimeMS: d.random.Between(1, 300),
		FairnessKey: pick(d, "", "k"), DefaultingSource: controlplane.DefaultedExplicit,
	}
	if p.Strategy == controlplane.StrategyDrop {
		p.DropVictim = pick(d, controlplane.VictimNewest, controlplane.VictimOldest)
	}
	p.LaneHandling = controlplane.LaneHandling{
		DataLane:      controlplane.LaneTreatment(p.Strategy),
		TelemetryLane: pick(d, "", controlplane.TreatDrop, controlplane.TreatSample, controlplane.TreatBestEffortDrop),
	}
	items, ms := d.mark(p.MaxQueueItems), d.mark(p.MaxQueueMS)
	p.Watermarks = controlplane.EdgeWatermarks{QueueItems: &items, QueueMS: &ms}
	if d.random.Chance(1, 2) {
		p.SyncDropPolicy = &controlplane.SyncDropPolicy{
			Policy:  pick(d, controlplane.SyncAtomicDrop, controlplane.SyncDropWithDiscontinuity, controlplane.SyncNone),
			Scope:   pick(d, controlplane.SyncEdgeLocal, controlplane.SyncPlanWide),
			GroupBy: controlplane.GroupBySyncID, SyncDomain: "d",
		}
	}
	in.Policy = p
	return in
}

// flow draws the flow control of all edges.
func (d *drunk) flow() controlplane.FlowControl {
	mode := func() controlplane.FlowMode {
		return pick(d, controlplane.FlowSignal, controlplane.FlowCredit, controlplane.FlowHybrid)
	}
	return controlplane.FlowControl{
		ModeByLane: controlplane.ByLane[controlplane.FlowMode]{ControlLane: mode(), DataLane: mode(), TelemetryLane: mode()},
		Watermarks: controlplane.ByLane[controlplane.Watermark]{ControlLane: d.mark(9), DataLane: d.mark(4), TelemetryLane: d.mark(9)},
		SheddingStrategyByLane: controlplane.ByLane[controlplane.SheddingStrategy]{
			ControlLane: controlplane.ShedNone,
			DataLane: pick(d, controlplane.ShedDrop, controlplane.ShedMerge, controlplane.ShedLatestOnly,
				controlplane.ShedDegrade, controlplane.ShedFallback),
			TelemetryLane: pick(d, controlplane.ShedDrop, controlplane.ShedSample),
		},
	}
}

// item is what happens at edges beside the voice graph.
func (d *drunk) item() Input {
	if d.random.Chance(1, 3) {
		return &Ready{To: pick(d, "client", "observer", "b", "c", "odd"), Count: d.random.Between(-1, 9)}
	}
	if d.random.Chance(1, 12) {
		lane := pick(d, eventabi.DataLane, eventabi.TelemetryLane, "odd")
		if d.random.Chance(1, 16) {
			lane = eventabi.ControlLane
		}
		return &Overflow{Lane: lane, Count: d.random.Between(-1, 9)}
	}
	return &Offer{
		Edge: pick[eventabi.EdgeID](d, "a-b", "a-b", "a-c", "telemetry", "text-client", "odd"), Handle: d.random.Below(99),
		Kind:   pick(d, ItemMetric, ItemInterim, ItemInterim, ItemAudio, ItemFinal, ItemSemantic, ItemMarker, "odd"),
		Stream: d.random.Below(3), Group: d.random.Below(4), Bytes: d.random.Between(-1, 900),
		Media: timebase.Samples(d.random.Below(3)) * 320, Turn: d.turn(),
	}
}

// sound is caller audio that comes, or does not.
func (d *drunk) sound() Input {
	if d.random.Chance(2, 3) {
		return &AudioIn{Epoch: d.epoch(), Sample: d.heard(), Samples: 320}
	}
	missing := pick[timebase.Samples](d, 320, 640, 1600, 80000, -1)
	return &AudioGap{
		Epoch: d.epoch(), Sample: pick(d, d.heard(), d.machine.heard, d.machine.gap.end, -1, 1<<62), Samples: missing,
		Concealed: pick(d, 0, missing, 320), Reason: pick(d, "", "lost", "overflow"),
	}
}

// said is what a client says beside sound and text.
func (d *drunk) said() Input {
	switch d.random.Below(5) {
	case 0:
		return &Muted{Epoch: d.epoch(), On: d.random.Chance(1, 2), Sample: pick(d, d.heard(), 0, -1)}
	case 1:
		return &TransportControl{
			Epoch: d.epoch(), Kind: pick(d, "dtmf", "dtmf", "flash", "", "o d d"), Digit: pick(d, "1", "#", "", "12"),
			DurationMS: pick[int64](d, 0, 90, -1), Key: d.key(),
		}
	case 2:
		return &Context{Epoch: d.epoch(), Role: pick(d, ItemUser, ItemAssistant, ItemSystem, "odd"), Text: d.text(), Key: d.key()}
	case 3:
		return &Respond{Epoch: d.epoch(), Key: d.key()}
	}
	return &Wishes{
		Epoch: d.epoch(), Instructions: d.text(), Voice: pick(d, "", "alto", "\x00"), Language: pick(d, "", "de"),
		TurnEnd: pick(d, "", TurnEndVAD, TurnEndClient, "odd"), Answer: pick(d, "", SwitchOn, SwitchOff, "odd"),
		TextOnly: pick(d, "", SwitchOn, SwitchOff),
	}
}

func (d *drunk) caller() Input {
	heard := d.heard()
	switch d.random.Below(6) {
	case 0, 1:
		return &VoiceOn{Onset: heard - timebase.Samples(d.random.Below(4000)), Heard: heard}
	case 2, 3:
		return &VoiceOff{Offset: heard - timebase.Samples(d.random.Below(4000)), Heard: heard}
	case 4:
		return &EndOfUtterance{Epoch: d.epoch(), Sample: heard, Reason: pick(d, "vad", "vad", "client", ""), Key: d.key()}
	}
	return &TextIn{Epoch: d.epoch(), Text: d.text(), Key: d.key()}
}

func (d *drunk) provider() Input {
	m := d.machine
	if d.random.Chance(1, 12) {
		return &Unscheduled{
			Invocation: d.call(pick(d, callSTT, callLLM, callTTS)), Attempt: d.random.Below(2),
			Reason: pick(d, "execution_pool_saturated", "execution_pool_closed", "node_concurrency_limited", "odd"),
		}
	}
	switch d.random.Below(10) {
	case 8, 9:
		return d.tool()
	case 0:
		return &Transcript{Invocation: d.call(callSTT), Revision: d.random.Below(1 << 40), Final: d.random.Chance(1, 3), Text: d.text()}
	case 1:
		return &Progress{Invocation: d.call(pick(d, callSTT, callLLM, callTTS))}
	case 2, 3:
		id, next := d.call(callLLM), int64(0)
		if c := m.call(id); c != nil && m.turn.output != nil {
			next = int64(m.turn.output.reply.Len()) - c.base
		}
		return &Segment{Invocation: id, Attempt: d.random.Below(2), Index: pick(d, next, next, next, d.random.Below(4)), Text: d.text(), Protected: d.random.Chance(1, 6)}
	case 4, 5:
		id := d.call(callTTS)
		chunk := d.random.Below(2)
		if c := m.call(id); c != nil {
			chunk = c.chunks
		}
		return &Speech{Invocation: id, Chunk: chunk, Handle: d.random.Below(1 << 20), Samples: timebase.Samples(d.random.Between(-1, 64000))}
	case 6:
		return &CancelAck{Invocation: d.call(pick(d, callSTT, callLLM, callTTS))}
	}
	return &InvocationEnd{
		Invocation: d.call(pick(d, callSTT, callLLM, callTTS)), Attempt: d.random.Below(2),
		Class:     pick(d, "success", "success", "success", "timeout", "overload", "blocked", "infrastructure_failure", "cancelled", ""),
		Retryable: d.random.Chance(1, 2), BackoffMS: d.random.Below(500), Reason: pick(d, "", "reset"),
	}
}

func (d *drunk) egress() Input {
	m := d.machine
	if d.random.Chance(1, 3) {
		return &Appended{Turn: d.turn(), OK: d.random.Chance(15, 16)}
	}
	in := &Delivery{Epoch: d.epoch(), Turn: d.turn(), Event: pick(d, DeliveryProgress, DeliveryStarted, DeliveryHeld, DeliveryCompleted, DeliveryFlushed, "odd")}
	if out := m.outputOf(in.Turn); out != nil {
		in.Played = out.played + timebase.Samples(d.random.Below(int64(out.accepted-out.played)+1))
		if d.random.Chance(1, 3) {
			in.Played = out.accepted
		}
	}
	if d.random.Chance(1, 30) {
		in.Played = timebase.Samples(d.random.Between(-5, 1<<50))
	}
	return in
}

func (d *drunk) trouble() Input {
	m := d.machine
	fenced := uint32(0)
	if n := len(m.outputs); n > 0 && d.random.Chance(1, 3) {
		fenced = m.outputs[d.random.Below(int64(n))].generation
	}
	switch d.random.Below(42) {
	case 40, 41:
		wall := m.clock.Wall(max(m.now, d.at))
		return &ClockReading{WallMS: wall + pick[int64](d, 0, 49, -49, 51, -300, 501, -3_600_000, 1<<62, -1<<62)}
	case 0, 1, 2, 3, 4, 5, 6, 7, 8, 9:
		return &Stop{Epoch: d.epoch(), Force: d.random.Chance(1, 2), Fenced: fenced, Key: d.key()}
	case 10, 11, 12, 13, 14, 15, 16, 17, 18, 19:
		scope := pick(d, eventabi.CancelTurn, eventabi.CancelTurn, eventabi.CancelNode, eventabi.CancelInvocation, "odd")
		if d.random.Chance(1, 40) {
			scope = eventabi.CancelSession
		}
		return &Cancel{
			Epoch: d.epoch(), Scope: scope, Turn: d.turn(), Node: pick[eventabi.NodeID](d, "stt", "llm", "tts", "vad"),
			Invocation: d.call(pick(d, callSTT, callLLM, callTTS)), Reason: pick(d, "", "policy", "odd"),
			Force: d.random.Chance(1, 3), Fenced: fenced, Key: d.key(),
		}
	case 20, 21, 22, 23, 24, 25, 26, 27:
		return &Link{State: pick(d, LinkLost, LinkGone, LinkResumed, LinkResumed, LinkResumed, "odd")}
	case 28, 29, 30, 31:
		return &LeaseChange{Epoch: m.authority.Epoch + eventabi.Epoch(d.random.Between(-1, 1))}
	case 32, 33:
		return &NodeFailed{Node: pick[eventabi.NodeID](d, "tts", "llm", "other"), Turn: d.turn(), Reason: pick(d, "panic", "hook_timeout"), LimitMS: d.random.Below(900)}
	case 34:
		return &NodeSpent{Node: pick[eventabi.NodeID](d, "tts", "llm", "other"), Turn: d.turn(), UsedMS: d.random.Between(-1, 900), LimitMS: pick[int64](d, 800, 800, 1)}
	case 35:
		return &LeaseChange{Revoked: d.random.Chance(1, 6)}
	case 36:
		return pick[Input](d, &CloseRequest{Reason: "client"}, &Wake{}, &Wake{}, &Wake{})
	case 37:
		return pick[Input](d, &Link{State: LinkLeft}, &Wake{}, &Wake{}, &Wake{})
	case 38:
		return pick[Input](d, &EvidenceLost{}, &Wake{}, &Wake{}, &Wake{}, &Wake{}, &Wake{})
	}
	return pick[Input](d, d.boot(), &RuntimeFault{Reason: "panic"}, &Wake{}, &Wake{}, &Wake{}, &Wake{}, &Wake{}, &Wake{})
}

// wait lets time pass with nothing happening but the deadlines that the machine reports,
// until done; false when that takes more than limit wakes.
func (d *drunk) wait(limit int, done func() bool) bool {
	for range limit {
		if done() {
			return true
		}
		deadline := d.machine.Deadline()
		if deadline == timebase.Never {
			return false
		}
		d.at = max(d.at, deadline)
		d.step(&Wake{})
	}
	return done()
}

const drunkSeeds = 600

// "An Active turn always has a deadline that ends it": with the whole world silent, a
// turn ends by time alone, whatever led there. Every invariant is checked at every step.
func TestEveryTurnEndsByTimeAlone(t *testing.T) {
	turns := int64(0)
	for seed := range uint64(drunkSeeds) {
		d := newDrunk(seed, false)
		d.stagger(int(d.random.Below(160)))
		m := d.machine
		if !d.wait(2000, func() bool { return !m.arbiter.Live() }) {
			t.Fatalf("seed %d: the turn %s stays %s with deadline %d at %d", seed, m.turn.id, m.TurnState(), m.Deadline(), d.at)
		}
		turns += m.Counters().Turns
	}
	if turns < drunkSeeds {
		t.Errorf("only %d turns in %d sessions: the drunk does not get anywhere", turns, drunkSeeds)
	}
}

// Teardown is bounded: every session reaches ENDED by its drain deadline, by time alone.
func TestEverySessionEndsByItsDeadline(t *testing.T) {
	for seed := range uint64(drunkSeeds) {
		d := newDrunk(seed, false)
		d.stagger(int(d.random.Below(160)))
		m := d.machine
		d.step(&CloseRequest{Reason: "test"})
		from := d.at
		if !d.wait(2000, func() bool { return m.State() == controlplane.SessionEnded }) {
			t.Fatalf("seed %d: the session stays %s", seed, m.State())
		}
		if took := d.at.Sub(from); took > timebase.MS(max(m.settings.DrainMS, defaultDrainMS)) {
			t.Errorf("seed %d: the drain took %d ms", seed, took.MS())
		}
		if m.Deadline() != timebase.Never {
			t.Errorf("seed %d: an ended session wants to be woken", seed)
		}
	}
}

// A silent agent for ever is what hangs users up (peers, section C): once the caller is
// silent and playback goes on, no hold of an interruption stays behind.
func TestNoHoldIsLeftBehind(t *testing.T) {
	for seed := range uint64(drunkSeeds) {
		d := newDrunk(seed, false)
		d.stagger(int(d.random.Below(160)))
		m := d.machine
		d.step(&Link{State: LinkResumed}, &VoiceOff{Offset: d.heard(), Heard: d.heard()})
		quiet := func() bool {
			playOut(d)
			return m.holds == 0 && !m.barge.wanted && !m.arbiter.Live() && !m.interruption.judge.Open()
		}
		if !d.wait(2000, quiet) && m.State() != controlplane.SessionEnded {
			t.Fatalf("seed %d: holds %b, barge-in wanted %v, turn %s", seed, m.holds, m.barge.wanted, m.TurnState())
		}
	}
}

// playOut lets egress play what it may: everything that is not held, and of what is held
// the protected audio at its head.
func playOut(d *drunk) {
	for _, out := range append([]*output(nil), d.machine.outputs...) {
		if out.cancelled || out.completed {
			continue
		}
		to := out.accepted
		if out.held {
			to = max(out.played, protectedHead(out))
		}
		switch {
		case to > out.played:
			d.step(&Delivery{Turn: out.turn, Event: DeliveryProgress, Played: to})
		case to == out.accepted && out.ended:
			d.step(&Delivery{Turn: out.turn, Event: DeliveryCompleted, Played: to})
		}
		if out.held && to < out.accepted {
			return // egress stands here
		}
	}
}

// protectedHead is how far egress plays a held output: to the end of the protected audio
// that is next.
func protectedHead(out *output) timebase.Samples {
	var end timebase.Samples
	for i := range out.reply.Len() {
		s := out.reply.At(i)
		end += s.Samples
		if end > out.played && !s.Protected {
			return end - s.Samples
		}
	}
	return end
}

// Same inputs, same decisions (overview section 4, invariant 17).
func TestSameInputsSameDecisions(t *testing.T) {
	for seed := range uint64(60) {
		a, b := newDrunk(seed, false), newDrunk(seed, false)
		a.stagger(120)
		b.stagger(120)
		if a.digest.Sum() != b.digest.Sum() {
			t.Errorf("seed %d: two runs differ", seed)
		}
	}
}

// frames takes a pass of caller frames and nothing else, with listeners that read on, or not.
func (d *drunk) frames() {
	var in []Input
	at := d.machine.heard
	d.at = d.at.Add(timebase.Span(d.random.Below(int64(30 * timebase.Millisecond))))
	for range 1 + d.random.Below(6) {
		read := at - timebase.Samples(d.random.Below(8)*timebase.FrameSamples)
		in = append(in, &AudioIn{Epoch: pick[eventabi.Epoch](d, 1, 1, 1, 1, 1, 2), Sample: at, Samples: timebase.FrameSamples, Heard: max(0, read), Listened: max(0, read)})
		at += timebase.FrameSamples
		d.at = d.at.Add(20 * timebase.Millisecond)
	}
	d.step(in...)
}

// The path of caller frames is a short cut: a pass of them decides what it would decide by the
// long way, and leaves behind what that leaves.
func TestFramesTakeAShortCut(t *testing.T) {
	cut := 0
	for seed := range uint64(200) {
		a, b := newDrunk(seed, false), newDrunk(seed, false)
		b.slowly = true
		for n := range 60 {
			for _, d := range []*drunk{a, b} {
				if d.random.Chance(1, 3) {
					d.stagger(1)
				} else {
					d.frames()
				}
			}
			if a.machine.State() == controlplane.SessionActive && len(a.fx.List) == 0 {
				cut++
			}
			if a.digest.Sum() != b.digest.Sum() || a.machine.deadline != b.machine.deadline || a.machine.Sequence() != b.machine.Sequence() ||
				a.machine.counters != b.machine.counters || a.at != b.at {
				t.Fatalf("seed %d, pass %d: deadline %d by the short way, %d by the long one; sequence %d and %d", seed, n,
					a.machine.deadline, b.machine.deadline, a.machine.Sequence(), b.machine.Sequence())
			}
		}
	}
	if cut < 1000 {
		t.Errorf("%d passes decided nothing: there was hardly a short cut to be tried", cut)
	}
}

func FuzzInputs(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, 60)
	}
	f.Fuzz(func(_ *testing.T, seed uint64, n int) {
		newDrunk(seed, false).stagger(max(0, min(n, 400)))
	})
}

// What the drunk draws of edges is what plans may say, else it would find nothing.
func TestDrunkEdgesAreValid(t *testing.T) {
	for seed := range uint64(200) {
		d := &drunk{random: timebase.NewRandom(seed)}
		e := edges{set: []EdgePolicy{*d.edge()}, flow: &FlowPolicy{Flow: d.flow()}}
		if err := e.set[0].Validate(); err != nil {
			t.Fatal(err)
		}
		if err := e.settings().Validate(); err != nil {
			t.Fatal(err)
		}
	}
}
