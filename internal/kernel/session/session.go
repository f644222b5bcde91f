// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// Machine is the kernel of one session. One owner steps it. Its parts are values that
// only the machine moves.
type Machine struct {
	state    controlplane.SessionState
	now      timebase.Instant
	deadline timebase.Instant
	others   timebase.Instant // the deadline but for a stall, which caller frames put off
	fx       *Effects         // of the step under way
	fenced   bool             // the step under way has a Fence
	cause    eventabi.EventID // the latest signal of the step under way that calls are cancelled for
	emitted  eventabi.Sequence
	lowered  eventabi.TurnID // the turn whose fidelity was lowered last, and how far
	lowest   turn.Fidelity

	identity  identity
	authority authority
	settings  Settings
	policy    turn.Policy
	plans     plans
	entry     entry
	load      gate.Level // of the host; what it sheds is Level.Sheds to say
	link      link
	drain     drain
	ladder    turn.Ladder
	fallback  TextRef
	ear       int64 // the recogniser that the next utterance is given to, of the ordered candidates

	arbiter      turn.Arbiter
	turn         liveTurn
	generation   uint32
	fences       turn.Fences
	interruption interruption
	barge        bargeIn
	holds        holdMask
	cancelling   cancelOrder
	proposals    []proposal
	queue        []proposal

	utterances []utterance
	heard      timebase.Samples // end of the caller audio so far
	clock      timebase.Clock
	gap        gap
	calls      []call
	tools      []toolCall // that were made, the oldest first
	meters     []meter    // budgets of nodes and edges, of the live turn and of the session since the last
	outputs    []*output
	edges      edges
	graph      *graphSetup       // nil = the voice graph of the profile
	detours    []detour          // of the caller's sound, the oldest first
	lateSound  []eventabi.NodeID // nodes in it of which it was told that they are late
	talk       conversation
	wished     wished
	caller     conditions

	// looked is when something other than a caller frame came last: with it came how far
	// playback is.
	looked timebase.Instant

	counters Counters
}

// Counters are what a session counted; they are metrics, not decisions.
type Counters struct {
	Turns                  int64 // accepted
	Commits, Aborts        int64
	InterruptionsConfirmed int64
	InterruptionsFalse     int64
	Refused                int64
	Deduped                int64
	StaleEpoch             int64
	LateAfterCancel        int64 // outputs that came after their fence and were dropped
	TransitionsInvalid     int64
	Gaps                   int64            // stretches of caller audio that did not come and were not concealed
	Missing, Concealed     timebase.Samples // caller audio that did not come, and what of it was concealed
	Mutes                  int64            // stretches with the microphone off
	Silences               int64            // stretches in which the caller did not speak
	Stalls                 int64            // stretches in which no caller audio came
	DeadLetters            int64            // items that no node of the graph could process
	Clock                  timebase.ClockCounters
}

// New gives a session in CONNECTING at instant 0. It waits for a Bootstrap.
func New() *Machine {
	m := &Machine{state: controlplane.SessionConnecting}
	m.link.state = controlplane.ConnectionDisconnected
	m.deadline = timebase.Instant(timebase.MS(defaultBootstrapMS))
	return m
}

// State gives the session's state.
func (m *Machine) State() controlplane.SessionState { return m.state }

// TurnState gives the state of the turn arbiter.
func (m *Machine) TurnState() controlplane.TurnState { return m.arbiter.State() }

// TurnLive says that a turn is between turn_open and close.
func (m *Machine) TurnLive() bool { return m.arbiter.Live() }

// Plan gives the plan of the turn that was accepted last, false before the first. It is
// frozen and shared: who looks changes nothing in it (turn-plan section 2; F-081).
func (m *Machine) Plan() (controlplane.ResolvedTurnPlan, bool) {
	return m.turn.plan, m.turn.plan.PlanHash != ""
}

// Counters gives the session's counters.
func (m *Machine) Counters() Counters {
	c := m.counters
	c.Clock = m.clock.Counters()
	return c
}

// Projection gives what the wall clock and the caller's sound clock show at an instant,
// false for one that lies before an anchor.
func (m *Machine) Projection(at timebase.Instant) (timebase.Anchor, bool) { return m.clock.Project(at) }

// Degraded says that the session lost a capability or had to give a node up, or that a
// degrade step is in force (lifecycle section 1).
func (m *Machine) Degraded() bool { return m.drain.degraded || m.Fidelity() != turn.FullFidelity }

// Load gives the host's overload level as the session knows it.
func (m *Machine) Load() gate.Level { return m.load }

// Fidelity is the degrade step in force: the live turn's.
func (m *Machine) Fidelity() turn.Step {
	if !m.arbiter.Live() {
		return turn.FullFidelity
	}
	return m.turn.fidelity.Step()
}

// TurnEnds is when what is left of the live turn's time is over, timebase.Never without
// a live turn or while its caller still speaks. Its nodes' budgets are nested in it.
func (m *Machine) TurnEnds() timebase.Instant {
	if !m.arbiter.Live() {
		return timebase.Never
	}
	return m.turn.budget.Ends()
}

// Waiting says that a proposal waits for a turn, or for protected output, to end: any
// pass may open a turn, and needs fresh snapshots for it.
func (m *Machine) Waiting() bool { return len(m.proposals)+len(m.queue) > 0 }

// Sequence gives the runtime sequence that was given out last.
func (m *Machine) Sequence() eventabi.Sequence { return m.identity.sequence }

// Deadline is when the machine wants to be stepped next, timebase.Never when it only
// waits for inputs. The shell sends a Wake then.
func (m *Machine) Deadline() timebase.Instant { return m.deadline }

// framesOnly says that a pass holds caller frames and nothing else.
func framesOnly(in []Input) bool {
	for _, i := range in {
		if _, frame := i.(*AudioIn); !frame {
			return false
		}
	}
	return true
}

// Touch reads what a caller frame needs, with depth for what is found by way of how many
// pointers, and gives a sum that means nothing and decides nothing. Who is about to step many
// machines has the processor bring all of them from memory at once with it, not one after the
// other.
func (m *Machine) Touch(depth int) int64 {
	if depth == 0 {
		return int64(m.deadline) + int64(m.emitted) + int64(m.identity.sequence) + int64(m.authority.Epoch) + int64(m.heard) + int64(m.caller.last) +
			int64(len(m.utterances)+len(m.outputs)+len(m.edges.kinds)+len(m.edges.log.List)+m.edges.number[edgeVAD]+len(m.detours)) + m.counters.Turns
	}
	sum := int64(0)
	for _, v := range [...]voiceEdge{edgeVAD, edgeSTT} {
		if n := m.edges.number[v]; n > 0 {
			sum += m.edges.board.Edge(n - 1).Touch(depth - 1)
		}
	}
	return sum
}

// Step is one pass: it takes everything that has arrived, decides, and appends the
// decisions to fx. Instants do not go back: an earlier one counts as the present.
func (m *Machine) Step(at timebase.Instant, in []Input, fx *Effects) {
	m.now = max(m.now, at)
	if m.now < m.deadline {
		taken := m.framesTaken(in)
		if taken > 0 && taken == len(in) && len(m.edges.log.List) == 0 {
			return
		}
		in = in[taken:] // what they made happen at their edges is decided below
	}
	m.fullPass(in, fx)
}

// framesTaken takes caller frames by their own path, where a pass holds nothing else, up to
// the first that makes something happen. It gives how many.
func (m *Machine) framesTaken(in []Input) (taken int) {
	if !framesOnly(in) {
		return 0
	}
	for taken < len(in) && len(m.edges.log.List) == 0 {
		frame, ok := in[taken].(*AudioIn)
		if !ok || !m.frame(frame) {
			break
		}
		taken++
	}
	return taken
}

// fullPass is a pass but for the caller frames that were no news.
func (m *Machine) fullPass(in []Input, fx *Effects) {
	m.fx, m.fenced, m.cause = fx, false, ""
	if !framesOnly(in) {
		m.looked = m.now
	}
	first := len(fx.List)
	m.takeAll(in)
	m.expire()
	m.settle()
	m.conclude()
	m.others = m.nextDeadline()
	m.deadline = timebase.Earliest(m.others, m.stallDue())
	if m.fenced {
		m.fencesFirst(fx.List[first:])
	}
	m.verify(fx.List[first:])
	m.fx = nil
}

// takeAll takes what has arrived, lane by lane.
func (m *Machine) takeAll(in []Input) {
	if len(in) == 1 { // as most passes have it
		m.take(in[0])
		m.hearWords()
		return
	}
	var there [flow.Telemetry + 1]bool
	for _, i := range in {
		there[i.lane()] = true
	}
	for lane := range there {
		if !there[lane] {
			continue
		}
		for _, i := range in {
			if int(i.lane()) == lane {
				m.take(i)
			}
		}
		m.hearWords()
	}
}

// frame is the path of a caller frame when nothing is due: no decision, no allocation.
func (m *Machine) frame(in *AudioIn) bool {
	if m.state != controlplane.SessionActive || !m.authority.Current(in.Epoch) || !m.caller.steady() {
		return false
	}
	if end := in.Sample + in.Samples; end > m.heard {
		if !m.clock.Follow(m.now, end) {
			return false
		}
		m.heard = end
	}
	m.authority.staleRun = false
	m.caller.came(m.now)
	m.deadline = timebase.Earliest(m.others, m.stallDue())
	m.identity.stamp()
	m.frameEdges(in)
	return true
}

// take accepts one input and applies it.
func (m *Machine) take(in Input) {
	if len(m.edges.words) > 0 {
		if _, words := in.(*Transcript); !words {
			m.hearWords() // what came before it, and has the sequences before its own
		}
	}
	m.identity.stamp()
	switch m.state {
	case controlplane.SessionConnecting:
		switch in.kind() {
		case "bootstrap", "edge_policy", "flow_policy", "node_policy", "graph_node", "graph_edge", "close_request", "wake", "runtime_fault", "snapshots", "link", "overflow",
			"quota", "usage", "admission", "load":
		default:
			m.turnBack("session_not_active", in)
			return
		}
	case controlplane.SessionEnded:
		switch in.kind() {
		case "wake": // it was on its way
		case "bootstrap", "close_request":
			m.turnBack(controlplane.CodeInvalidSessionTransition, in)
		default:
			m.turnBack("session_ended", in)
		}
		return
	case controlplane.SessionActive, controlplane.SessionDraining:
	}
	m.apply(in)
}

// turnBack refuses an input that the session's state does not admit.
func (m *Machine) turnBack(code string, in Input) {
	m.refuse(code, in.kind(), "")
	if speech, ok := in.(*Speech); ok {
		m.fx.add(&Discard{Handle: speech.Handle})
	}
	if offer, ok := in.(*Offer); ok {
		m.fx.release(Release{Edge: offer.Edge, Handle: offer.Handle})
	}
}

// apply takes what belongs to the conversation; what surrounds it is below.
func (m *Machine) apply(in Input) {
	switch in := in.(type) {
	case *AudioIn:
		m.audioIn(in)
	case *VoiceOn:
		m.voiceOn(in)
	case *VoiceOff:
		m.voiceOff(in)
	case *EndOfUtterance:
		m.endOfUtterance(in)
	case *TextIn:
		m.textIn(in)
	case *Transcript:
		m.transcript(in)
	case *Progress:
		m.progress(in)
	case *Segment:
		m.segment(in)
	case *Speech:
		m.speech(in)
	case *InvocationEnd:
		m.invocationEnd(in)
	case *Unscheduled:
		m.unscheduled(in)
	case *Delivery:
		m.delivery(in)
	case *Cancel:
		m.cancel(in)
	case *Stop:
		m.stop(in)
	case *Offer:
		m.offer(in)
	case *Ready:
		m.ready(in)
	case *Appended:
		m.appended(in)
	case *CancelAck:
		m.cancelAck(in)
	case *AudioGap:
		m.audioGap(in)
	case *ToolCalled:
		m.toolCalled(in)
	case *ToolResult:
		m.toolResult(in)
	case *NodeOutput:
		m.nodeOutput(in)
	case *NodeDone:
		m.nodeDone(in)
	case *Muted, *TransportControl, *Context, *Respond, *Wishes:
		m.clientWord(in)
	case *Bootstrap, *CloseRequest, *Link, *LeaseChange, *Snapshots, *Quota, *Usage, *Admission, *Load, *Wake,
		*EdgePolicy, *FlowPolicy, *NodePolicy, *GraphNode, *GraphEdge, *Overflow, *EvidenceLost, *NodeFailed, *NodeSpent, *RuntimeFault, *ClockReading:
		m.surround(in)
	}
}

// surround takes what the session is set up with, and what becomes of its surroundings.
func (m *Machine) surround(in Input) {
	switch in := in.(type) {
	case *Bootstrap:
		m.bootstrap(in)
	case *CloseRequest:
		m.closeRequest(in)
	case *Link:
		m.linkChanged(in)
	case *LeaseChange:
		m.leaseChanged(in)
	case *Snapshots:
		m.snapshotsCame(in)
	case *Quota:
		m.quotaSet(in)
	case *Usage:
		copy(m.entry.counts[:], in.Counts[:])
	case *Admission:
		m.admissionAsked(in)
	case *Load:
		m.loadChanged(in)
	case *Wake:
	case *EdgePolicy:
		m.edgePolicy(in)
	case *FlowPolicy:
		m.flowPolicy(in)
	case *NodePolicy:
		m.nodePolicy(in)
	case *GraphNode:
		m.graphNode(in)
	case *GraphEdge:
		m.graphEdge(in)
	case *Overflow:
		m.laneOverflow(in)
	case *EvidenceLost:
		m.arbiter.Raise(turn.CauseEvidence, controlplane.AbortEvidenceUnavailable)
		m.plans.evidenceLost = true
	case *NodeFailed:
		m.nodeFailed(in)
	case *NodeSpent:
		m.nodeSpent(in)
	case *RuntimeFault:
		m.runtimeFault(in)
	case *ClockReading:
		m.clockReading(in)
	case *AudioIn, *VoiceOn, *VoiceOff, *EndOfUtterance, *TextIn, *Transcript, *Progress, *Segment, *Speech,
		*InvocationEnd, *Unscheduled, *Delivery, *Cancel, *Stop, *Offer, *Ready, *Appended, *CancelAck, *AudioGap,
		*Muted, *TransportControl, *Context, *Respond, *Wishes, *ToolCalled, *ToolResult, *NodeOutput, *NodeDone:
		// the conversation's
	}
}

// settle runs verdicts, terminals and openings until nothing moves any more.
func (m *Machine) settle() {
	for {
		m.judge()
		m.report()
		moved := m.cutIn()
		moved = m.adapt() || moved
		moved = m.arbitrate() || moved
		moved = m.openNext() || moved
		moved = m.letOn() || moved
		if !moved {
			return
		}
	}
}

// fencesFirst moves fences to the front and keeps every other order: a fence stands
// before everything that rests on it. What the same pass had accepted for a fenced
// turn before its cancel is not played.
func (m *Machine) fencesFirst(list []Effect) {
	front := 0
	for i, e := range list {
		if play, ok := e.(*Play); ok && m.fences.Has(eventabi.CancelTurn, string(play.Turn)) {
			list[i] = &Discard{Handle: play.Handle}
		}
		if _, ok := e.(*Fence); ok {
			copy(list[front+1:i+1], list[front:i])
			list[front] = e
			front++
		}
	}
}
