// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// turnWatch is a turn, or a proposal that did not become one, as seen from outside.
type turnWatch struct {
	id           eventabi.TurnID
	state        controlplane.TurnState
	opened       timebase.Instant
	signalled    bool // turn_open was emitted
	wasOpen      bool
	aborted      bool
	cancelStep   int64 // the step in which a cancel of its scope was accepted
	committed    bool
	closed       bool
	evidence     int
	appendAsked  bool
	appended     bool
	accepted     int64
	started      bool
	playbackOver bool
	item         int64     // key of the assistant's item
	flows        bool      // output has begun
	answered     bool      // its envelope is over, and it goes on
	stoodIn      bool      // the fallback line stands in for the answer
	step         turn.Step // the degrade step in force
	text         bool      // its answer is text by the client's choice
	bare         bool      // it has no words of its own
	owner        int32     // whose words it answers, 0 = not known
	wordsDue     bool
	asked        bool             // its model was asked
	model        eventabi.NodeID  // of the graph
	sorry        bool             // it is an apology
	waits        bool             // for tools, and nothing else of the model
	cut          bool             // a part of it was cancelled: it may wait for nothing any more
	again        timebase.Instant // when the model was asked again last, 0 = never
	rounds       int              // how often
}

// Stages of a barge-in's sequence (lifecycle section 7).
const (
	stageBargeIn = 1 + iota
	stageCancel
	stageCancelled
	stageBargeHook
	stageCancelHook
	stageCalls
	stageAbort
	stageClose
)

func (k *watch) turn(id eventabi.TurnID) int {
	for i := len(k.turns) - 1; i >= 0; i-- {
		if k.turns[i].id == id {
			return i
		}
	}
	return -1
}

// emit checks a signal, first as an envelope, then for what it says.
func (k *watch) emit(v *eventabi.Envelope) {
	k.envelope(v)
	k.pass.signal = v
	if v.EdgeID != "" && v.Signal != eventabi.SignalRouteDecision {
		k.edgeSignal(v)
	}
	switch s := v.Signal; {
	case s == eventabi.SignalAdmit:
		k.pass.admitted = true
	case s == eventabi.SignalTurnOpen:
		k.turnOpen(v)
	case s == eventabi.SignalCommit, s == eventabi.SignalAbort:
		k.terminal(v)
	case s == eventabi.SignalBudgetWarning, s == eventabi.SignalBudgetExhausted:
		k.budget(v)
	case s == eventabi.SignalProviderSwitch, s == eventabi.SignalDegrade, s == eventabi.SignalFallback:
		k.ok(AdaptsAsAllowed, v.EdgeID != "" || k.rules.allows(string(s)), "an action that the plan does not list")
		if s == eventabi.SignalProviderSwitch {
			k.adapted[tookSwitch]++
		}
	case s == eventabi.SignalClose:
		k.stage(v.TurnID, stageClose)
		k.ok(TerminalThenClose, k.pass.terminal == v.TurnID, "close without its terminal")
		k.pass.terminal = ""
	case s == eventabi.SignalOutputAccepted, s == eventabi.SignalPlaybackStarted,
		s == eventabi.SignalPlaybackCompleted, s == eventabi.SignalPlaybackCancelled:
		k.playback(v)
	case s == eventabi.SignalEndOfUtterance:
		k.talk.over = k.now
		k.endSignal(v)
	case s == eventabi.SignalSilence, s == eventabi.SignalStall:
		k.condition(v)
	case s == eventabi.SignalTransportControl:
		k.controlSignal(v)
	case s == eventabi.SignalShed && v.ProviderInvocationID != "":
		k.shed(v)
	case s == eventabi.SignalDiscontinuity:
		k.discontinuity(v)
	case s == eventabi.SignalBargeIn:
		k.bargeIn(v.TurnID)
	case s == eventabi.SignalCancel:
		k.cancelSignal(v)
	case s == eventabi.SignalReject, s == eventabi.SignalDefer, s == eventabi.SignalStaleEpochReject, s == eventabi.SignalDeauthorizedDrain:
		k.talk.turnedAway = true
		k.turnedAway(v)
		k.said.refused(v)
	case s == eventabi.SignalConnected, s == eventabi.SignalReconnecting, s == eventabi.SignalDisconnected, s == eventabi.SignalEnded:
		k.connection(v.Signal)
		k.said.afresh(k.now)
	}
}

// envelope checks identity, order and the registry (event-abi sections 4 to 6).
func (k *watch) envelope(v *eventabi.Envelope) {
	k.ok(SequenceRises, v.RuntimeSequence > k.sequence, "runtime_sequence does not rise")
	k.sequence = v.RuntimeSequence
	number, err := strconv.ParseInt(strings.TrimPrefix(string(v.EventID), "e"), 10, 64)
	k.ok(EventIDsUnique, err == nil && number > k.events, "an event id was used before")
	k.events = number
	k.ok(TimeNeverReturns, v.RuntimeTimestampMS >= k.stampMS && v.RuntimeTimestampMS <= k.now.MS(), "runtime_timestamp_ms")
	k.stampMS = v.RuntimeTimestampMS
	k.stamped(v)
	if k.ok(EpochOnEverything, v.AuthorityEpoch != nil, "no authority_epoch") {
		e := *v.AuthorityEpoch
		k.ok(EpochOnEverything, e >= k.pass.epoch && e <= k.epoch, "authority_epoch is not one in force during the step")
		k.pass.epoch = e
	}
	spec := k.registry[v.Signal]
	if !k.ok(SignalsWellFormed, spec != nil, "a signal outside the registry") {
		return
	}
	k.ok(SignalsWellFormed, spec.MayEmit(v.EmittedBy), "an emitter that the registry does not allow")
	k.ok(SignalsWellFormed, spec.Scope == "" || spec.Scope == v.EventScope, "a scope that the registry does not allow")
	k.ok(SignalsWellFormed, (v.EventScope == eventabi.ScopeTurn) == (v.TurnID != ""), "turn_id and scope disagree")
	k.ok(SignalsWellFormed, len(spec.Reasons) == 0 || v.Signal == eventabi.SignalAbort || slices.Contains(spec.Reasons, v.Reason), "a reason outside the closed list")
	for _, list := range [2][]string{spec.Requires, spec.RequiresFrom11} {
		for _, field := range list {
			k.ok(SignalsWellFormed, has(v, field), "a field that the registry asks for is missing")
		}
	}
}

func has(v *eventabi.Envelope, field string) bool {
	switch field {
	case "reason":
		return v.Reason != ""
	case "scope":
		return v.Scope != ""
	case "provider_invocation_id":
		return v.ProviderInvocationID != ""
	case "causal_parent_id":
		return v.CausalParentID != ""
	case "payload":
		return len(v.Payload) > 0
	}
	return true
}

func (k *watch) decide(o *controlplane.DecisionOutcome) {
	s := k.pass.signal
	k.ok(DecisionsWellFormed, o.Scope != controlplane.OutcomeTurn || o.TurnID != "", "a decision of scope turn without turn_id")
	k.ok(DecisionsWellFormed, s != nil && s.EventID == o.EventID && string(s.Signal) == string(o.OutcomeKind), "a decision without its signal")
	k.refusal(o)
}

// turnOpen checks what must be so for a turn to open (lifecycle section 3, T5).
func (k *watch) turnOpen(v *eventabi.Envelope) {
	k.ok(NoTurnOutsideActive, k.state == controlplane.SessionActive, "turn_open outside ACTIVE")
	k.ok(OneLiveTurn, k.live < 0, "turn_open while another turn is live")
	i := k.turn(v.TurnID)
	if !k.ok(DeclaredEdges, i >= 0 && k.turns[i].state == controlplane.TurnOpening, "turn_open without a proposal") {
		return
	}
	t := &k.turns[i]
	k.ok(OpenAfterGates, k.pass.admitted, "turn_open without admit in its step")
	k.ok(OpenAfterGates, !k.revoked, "turn_open without authority")
	k.ok(OpenAfterGates, bytes.Contains(v.Payload, []byte(`"plan_hash":"`)), "turn_open without a plan")
	k.ok(OpenAfterGates, k.snapshotsHold(), "turn_open without valid snapshots")
	k.mayOpen()
	k.pass.admitted = false
	t.signalled, t.wasOpen, t.opened = true, true, k.now
	k.live = i
	k.graphTurn()
	t.sorry = bytes.Contains(v.Payload, []byte(`"error_responder_for"`))
	k.opened(i)
	k.answers(v, t)
}

// snapshotsHold restates the first two gates.
func (k *watch) snapshotsHold() bool {
	if !k.snapHave {
		return k.rules.available
	}
	if k.snapBack || k.snapshots.Admission == "reject" || k.snapshots.Admission == "defer" {
		return false
	}
	age := k.snapshots.AgeMS + k.now.Sub(k.snapAt).MS()
	limits := [session.SnapshotKinds]int64{10000, 60000, 60000, 60000, 60000, 5000}
	for i, v := range k.snapshots.Versions {
		if v == 0 && !k.rules.available || v != 0 && age > limits[i] {
			return false
		}
	}
	return true
}

// turnChange checks an edge (lifecycle section 2).
func (k *watch) turnChange(e *session.TurnChange) {
	tr := &e.Transition
	i := k.turn(e.Turn)
	if i < 0 {
		k.ok(ProposalsAreNotStates, tr.FromState == controlplane.TurnIdle, "a turn began in the middle")
		k.turns = append(k.turns, turnWatch{id: e.Turn, state: controlplane.TurnIdle})
		i = len(k.turns) - 1
	} else {
		k.ok(ProposalsAreNotStates, tr.FromState != controlplane.TurnIdle, "a turn id was used twice")
	}
	t := &k.turns[i]
	to, legal := edge(tr.FromState, tr.Trigger)
	k.ok(DeclaredEdges, legal && to == tr.ToState && t.state == tr.FromState, "an edge that is not declared from here")
	t.state = tr.ToState
	switch tr.ToState {
	case controlplane.TurnActive:
		k.ok(DeclaredEdges, t.signalled, "Active without turn_open")
	case controlplane.TurnTerminal:
		k.ok(TerminalThenClose, k.pass.terminal == t.id, "Terminal without its signal")
	case controlplane.TurnClosed:
		k.ok(TerminalThenClose, k.pass.terminal == "" && (t.committed || t.aborted), "Closed without its signals")
		t.closed = true
		k.live = -1
		k.talk.closed = true
	case controlplane.TurnOpening, controlplane.TurnIdle:
		k.ok(OneLiveTurn, k.live < 0, "a proposal was arbitrated while a turn was live")
	}
}

// edge is the table of lifecycle section 2.
func edge(from controlplane.TurnState, trigger controlplane.Trigger) (controlplane.TurnState, bool) {
	switch {
	case from == controlplane.TurnIdle && trigger == controlplane.TriggerTurnOpenProposed:
		return controlplane.TurnOpening, true
	case from == controlplane.TurnOpening && trigger == controlplane.TriggerTurnOpen:
		return controlplane.TurnActive, true
	case from == controlplane.TurnOpening && (trigger == controlplane.TriggerReject || trigger == controlplane.TriggerDefer ||
		trigger == controlplane.TriggerStaleEpochReject || trigger == controlplane.TriggerDeauthorizedDrain):
		return controlplane.TurnIdle, true
	case from == controlplane.TurnActive && (trigger == controlplane.TriggerCommit || trigger == controlplane.TriggerAbort):
		return controlplane.TurnTerminal, true
	case from == controlplane.TurnTerminal && trigger == controlplane.TriggerClose:
		return controlplane.TurnClosed, true
	}
	return "", false
}

// terminal checks commit and abort.
func (k *watch) terminal(v *eventabi.Envelope) {
	i := k.turn(v.TurnID)
	if !k.ok(NoTerminalUnopened, i >= 0 && k.turns[i].wasOpen, "a terminal of a turn that never opened") {
		return
	}
	t := &k.turns[i]
	k.ok(TerminalThenClose, !t.committed && !t.aborted && k.pass.terminal == "", "a second terminal")
	k.pass.terminal = v.TurnID
	if v.Signal == eventabi.SignalCommit {
		t.committed = true
		k.commits++
		k.ok(CommitNeedsAppend, t.appendAsked && t.appended, "commit without appended evidence")
		k.ok(TiesResolved, i != k.pass.live || k.pass.rank == 0, "commit although something else was pending")
		return
	}
	t.aborted = true
	k.aborts[abortIndex(v.Reason)]++
	k.stage(v.TurnID, stageAbort)
	rank := rankOf(v.Reason)
	k.ok(AbortReasonDeclared, rank > 0, "an abort reason outside the closed list")
	k.ok(TiesResolved, i != k.pass.live || k.pass.rank == 0 || rank <= k.pass.rank, "a cause of lower precedence won")
	k.ok(CancelledHasCancel, controlplane.AbortReason(v.Reason) != controlplane.AbortCancelled || t.cancelStep == k.step,
		"abort(cancelled) without a cancel")
}

// rankOf gives the precedence of an abort reason, 0 for one outside the list of
// lifecycle section 6.
func rankOf(reason string) int {
	switch controlplane.AbortReason(reason) {
	case controlplane.AbortAuthorityLoss:
		return rankAuthority
	case controlplane.AbortCancelled:
		return rankCancel
	case controlplane.AbortEvidenceUnavailable:
		return rankEvidence
	case controlplane.AbortBudgetExhausted:
		return rankBudget
	case controlplane.AbortNodeFailure, controlplane.AbortProviderFailure, controlplane.AbortEdgeOverflow,
		controlplane.AbortSyncUnrecoverable, controlplane.AbortRuntimeInternalError, controlplane.AbortPolicyTerminated:
		return rankFailure
	case controlplane.AbortTransportDisconnect:
		return rankDisconnect
	}
	return 0
}

// bargeIn begins the sequence of lifecycle section 7.
func (k *watch) bargeIn(id eventabi.TurnID) {
	if id == "" && k.live >= 0 {
		id = k.turns[k.live].id // joined with a cancel of the session
	}
	k.ok(BargeInSequence, k.pass.barge != id && (k.pass.stage == 0 || k.pass.stage >= stageCancel), "two barge-ins on one turn, or one inside another")
	k.pass.barge, k.pass.stage = id, stageBargeIn
	k.interrupts(k.turn(id))
	k.ok(NoBargeInOnNoise, !k.talk.noiseOnly(k), "a cough or a backchannel confirmed an interruption")
}

// stage moves a barge-in's sequence on; going back breaks it.
func (k *watch) stage(id eventabi.TurnID, to int) {
	if k.pass.stage == 0 || k.pass.barge != id {
		return
	}
	k.ok(BargeInSequence, to >= k.pass.stage && (to == stageCancel || k.pass.stage >= stageCancel), "out of order")
	k.pass.stage = to
}

func (k *watch) cancelSignal(v *eventabi.Envelope) {
	if v.Scope != eventabi.CancelTurn && v.Scope != eventabi.CancelSession {
		if i := k.turn(v.TurnID); i >= 0 {
			k.turns[i].cut = true
		}
		return
	}
	if v.TurnID == "" {
		k.stage(k.pass.barge, stageCancel)
	}
	k.stage(v.TurnID, stageCancel)
	if i := k.turn(v.TurnID); i >= 0 {
		k.turns[i].cancelStep = k.step
	}
	if v.Scope == eventabi.CancelSession && k.live >= 0 {
		k.turns[k.live].cancelStep = k.step
	}
	if g := k.genOf(v.TurnID); g >= 0 {
		k.ok(CancelIsFenced, k.gens[g].fenced || k.gens[g].over, "a cancelled turn is not fenced")
	}
}

func (k *watch) hook(e *session.Hook) {
	k.workHook(e)
	switch e.Hook {
	case session.HookBargeIn:
		k.ok(BargeInSequence, k.pass.barge == e.Turn, "on_barge_in without a barge-in")
		k.stage(e.Turn, stageBargeHook)
	case session.HookCancel:
		k.stage(e.Turn, stageCancelHook)
	case session.HookBudgetExhausted:
	}
}

func (k *watch) appendTerminal(e *session.AppendTerminal) {
	i := k.turn(e.Turn)
	if k.ok(CommitNeedsAppend, i >= 0 && i == k.live && !k.turns[i].appendAsked, "evidence asked for out of place") {
		k.turns[i].appendAsked = true
		k.ok(CommitNeedsAppend, e.Outputs == k.turns[i].accepted, "the evidence does not count the outputs")
	}
}

func (k *watch) evidence(e *session.Evidence) {
	i := k.turn(e.Turn)
	if !k.ok(EvidenceOnce, i >= 0 && k.turns[i].closed, "evidence of a turn that is not closed") {
		return
	}
	t := &k.turns[i]
	t.evidence++
	k.ok(EvidenceOnce, t.evidence == 1, "evidence twice")
	k.ok(EvidenceOnce, (e.Outcome == "commit") == t.committed, "the evidence tells another outcome")
}

// sessionChange checks an edge (lifecycle section 1).
func (k *watch) sessionChange(e *session.SessionChange) {
	legal := e.From == controlplane.SessionConnecting && (e.To == controlplane.SessionActive || e.To == controlplane.SessionEnded) ||
		e.From == controlplane.SessionActive && e.To == controlplane.SessionDraining ||
		e.From == controlplane.SessionDraining && e.To == controlplane.SessionEnded
	k.ok(DeclaredSessionEdges, legal && e.From == k.state, "an edge of the session that is not declared from here")
	k.state = e.To
	k.endedBy(e.Reason)
	if e.To == controlplane.SessionDraining {
		k.drainBy = k.now.Add(k.rules.drain)
		k.talk.over = k.now // an utterance under way ends here, also one without a recogniser
	}
}

// connection checks an edge (nodes-providers-transports section 6).
func (k *watch) connection(s eventabi.Signal) {
	const (
		connected    = controlplane.ConnectionConnected
		reconnecting = controlplane.ConnectionReconnecting
		disconnected = controlplane.ConnectionDisconnected
	)
	from, legal := k.link, false
	switch {
	case s == eventabi.SignalConnected:
		legal = from != controlplane.ConnectionEnded && from != connected
		k.link, k.linkSince = connected, 0
	case s == eventabi.SignalReconnecting:
		legal = from == connected
		k.link = reconnecting
	case s == eventabi.SignalDisconnected: // also a client that leaves
		legal = from != controlplane.ConnectionEnded
		k.link = disconnected
	case s == eventabi.SignalEnded:
		legal = true
		k.link = controlplane.ConnectionEnded
	}
	if k.link != connected && k.linkSince == 0 {
		k.linkSince = max(k.now, 1)
	}
	k.ok(ConnectionEdges, legal, "a connection signal that the state does not admit")
}
