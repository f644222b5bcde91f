// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"strconv"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// utterance is one stretch of caller speech, from its first sound until its transcript
// has found its place.
type utterance struct {
	number     int64
	order      int64 // place in the conversation
	stt        eventabi.InvocationID
	openedAt   timebase.Instant
	voiced     bool
	voicedFrom timebase.Samples
	ended      bool
	endedAt    timebase.Instant
	final      bool // no better transcript will come
	failed     bool // its recogniser failed
	shed       bool // failed: it was not scheduled
	text       TextRef
	attributes []graph.Attribute // of the words, where a graph may ask for them
	passed     bool              // they came to a model by way of the graph
	revision   int64
	judging    bool // the interruption policy has not decided what it is
	waiting    bool // its proposal is pending or queued
	turn       eventabi.TurnID
	recorded   bool // its words are in the conversation
	forgotten  bool // they are to be in no conversation
	piece      bool // it was cut, and who speaks has not been said to be done
}

// proposal is an intent to open a turn (turn_open_proposed); it is never lifecycle
// state by itself.
type proposal struct {
	utterance  int64 // 0 = typed
	text       TextRef
	attributes []graph.Attribute
	order      int64 // typed: place in the conversation
	epoch      eventabi.Epoch
	at         timebase.Instant
	recorded   bool            // the words are in the conversation already
	apology    eventabi.TurnID // the turn that ended badly and for which it is, empty for all others
	bare       bool            // it has no words of its own: it answers what was said before
	key        eventabi.IdempotencyKey
}

func (m *Machine) audioIn(in *AudioIn) {
	if !m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) {
		m.hearFrame(in)
	}
}

// hearFrame takes a frame whose epoch is the lease's.
func (m *Machine) hearFrame(in *AudioIn) {
	m.authority.staleRun = false
	m.caller.came(m.now)
	m.hear(in.Sample+in.Samples, in)
	m.frameEdges(in)
}

// open gives the utterance that is being spoken, nil when there is none.
func (m *Machine) open() *utterance {
	if n := len(m.utterances); n > 0 && !m.utterances[n-1].ended {
		return &m.utterances[n-1]
	}
	return nil
}

func (m *Machine) utterance(number int64) *utterance {
	for i := range m.utterances {
		if m.utterances[i].number == number {
			return &m.utterances[i]
		}
	}
	return nil
}

// begin opens an utterance and starts its recognition, pre-roll included.
func (m *Machine) begin(onset timebase.Samples) *utterance {
	if len(m.utterances) >= maxUtterances || len(m.calls) >= maxCalls {
		m.refuse("utterance_limit", "voice_on", "")
		m.caller.unheard = true
		return nil
	}
	m.caller.unheard = false
	m.caller.spoken()
	m.talk.utterances++
	n := m.talk.utterances
	u := utterance{
		number:     n,
		order:      m.identity.nextOrder(),
		stt:        eventabi.InvocationID("u" + strconv.FormatInt(n, 10) + "-stt"),
		openedAt:   m.now,
		voicedFrom: onset,
	}
	m.utterances = append(m.utterances, u)
	if e := m.edge(edgeSTT); e != nil { // the recogniser before this one reads what is its own
		e.Consume(m.now, 0, m.heard, &m.edges.log)
	}
	m.calls = append(m.calls, call{id: u.stt, kind: callSTT, utterance: n, attempt: 1, tries: 1, candidate: m.ear})
	m.fx.add(&Open{Invocation: u.stt, From: max(0, onset-timebase.SamplesIn(preRoll)), Candidate: m.ear, Language: m.wished.language})
	return &m.utterances[len(m.utterances)-1]
}

// voiceOn: interruption acts at speech start, not at the proposal. After the session
// has begun to end, speech starts nothing.
func (m *Machine) voiceOn(in *VoiceOn) {
	if m.closing() {
		return
	}
	m.heard = max(m.heard, in.Heard)
	u := m.open()
	if u == nil {
		if u = m.begin(in.Onset); u == nil {
			return
		}
	}
	if u.voiced {
		return
	}
	m.speechBegan(u, in.Onset, in.Heard-in.Onset)
}

// speechBegan meets speech that starts or goes on after a pause; lead is how much of it
// is over.
func (m *Machine) speechBegan(u *utterance, onset, lead timebase.Samples) {
	u.voiced, u.voicedFrom = true, onset
	if m.speaking() && u.turn == "" {
		m.overlap(u, lead.Span())
	}
	m.proposeEarly(u)
}

// proposeEarly proposes at the start of speech where the profile says so. A start that
// the interruption policy has yet to judge waits for its verdict.
func (m *Machine) proposeEarly(u *utterance) {
	if m.policy.Trigger == turn.TriggerSpeechStart && !u.ended && !u.judging && !u.waiting && u.turn == "" {
		m.propose(u, m.authority.Epoch)
	}
}

func (m *Machine) voiceOff(in *VoiceOff) {
	m.caller.unheard = false
	m.heard = max(m.heard, in.Heard)
	u := m.open()
	if u == nil || !u.voiced {
		return
	}
	u.voiced = false
	if m.interruption.utterance == u.number {
		m.interruption.judge.Pause(m.now,
			max(0, in.Offset-u.voicedFrom).Span(), max(0, in.Heard-in.Offset).Span())
	}
}

// What ends an utterance (event-abi section 5).
const (
	endByClient = "client"
	endByVAD    = "vad"
)

// endOfUtterance finalises the recogniser and proposes a turn. Without an open
// utterance it is a duplicate and ignored (nodes-providers-transports section 7).
func (m *Machine) endOfUtterance(in *EndOfUtterance) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) || m.duplicate(in.Key, in) {
		return
	}
	if in.Reason != endByClient && in.Reason != endByVAD {
		m.refuse("unknown_end_reason", in.kind(), "")
		return
	}
	if in.Reason == endByVAD && m.wished.clientEnds {
		m.refuse("client_ends_turns", in.kind(), "")
		return
	}
	m.caller.resting, m.caller.unheard = m.wished.clientEnds, false
	epoch := in.Epoch
	if epoch == 0 {
		epoch = m.authority.Epoch
	}
	u := m.open()
	if u == nil && (in.Reason != endByClient || m.closing() || !m.cutShort()) {
		m.refuse("no_open_utterance", in.kind(), "")
		return
	}
	m.caller.spoken() // also of what was cut off before
	m.emit(eventabi.SignalEndOfUtterance, eventabi.EmitterConnection, "", in.Reason)
	if u == nil { // all of it was cut off before
		m.proposeOwed(epoch)
		return
	}
	m.endUtterance(u, in.Sample)
	if u.judging && in.Reason == endByClient && !m.closing() { // push to talk: no doubt left
		m.settleStart(true)
		return
	}
	m.utteranceOver(u, epoch)
}

// utteranceOver acts on the end of an utterance.
func (m *Machine) utteranceOver(u *utterance, epoch eventabi.Epoch) {
	switch {
	case u.turn != "" && u.turn == m.turn.id && m.arbiter.Live(): // opened at speech start
		m.startBudget()
		m.turn.endOfSpeech = m.now
		m.ask()
	case m.closing():
	case u.judging:
		m.interruption.judge.Ending(!u.final)
	case !u.waiting && u.turn == "":
		m.propose(u, epoch)
	}
}

func (m *Machine) endUtterance(u *utterance, through timebase.Samples) {
	m.voiceStopped(u)
	u.ended, u.endedAt = true, m.now
	if through == 0 {
		through = m.heard
	}
	if c := m.call(u.stt); c != nil && !c.cancelled {
		c.budget = turn.Allow(m.now, m.invocationTimeout())
		m.fx.add(&Finalize{Invocation: u.stt, Through: through})
	}
}

// cutUtterance ends an utterance that has lasted too long; speech that goes on is a
// new one.
func (m *Machine) cutUtterance(u *utterance) {
	voiced := u.voiced
	if m.wished.clientEnds { // the recogniser gets a new one, and nobody an answer
		u.piece = true
	} else {
		m.emit(eventabi.SignalEndOfUtterance, eventabi.EmitterConnection, "", endByVAD)
	}
	m.endUtterance(u, m.heard)
	m.utteranceOver(u, m.authority.Epoch)
	if !voiced || m.closing() {
		return
	}
	if next := m.begin(m.heard); next != nil {
		m.speechBegan(next, m.heard, 0)
	}
}

// finishListening ends the utterance under way when the session begins to end: its
// words still reach the conversation.
func (m *Machine) finishListening() {
	m.interruption.judge.Close()
	for i := range m.utterances {
		u := &m.utterances[i]
		u.judging = false
		if u.final && u.ended {
			m.recordUser(u)
		}
	}
	if u := m.open(); u != nil {
		m.endUtterance(u, m.heard)
		m.utteranceOver(u, m.authority.Epoch)
	}
}

// listening says that a transcript is still awaited.
func (m *Machine) listening() bool {
	for i := range m.utterances {
		if !m.utterances[i].final {
			return true
		}
	}
	return false
}

// propose asks for a turn that answers an utterance, unless the client asks for answers
// itself, or has not ended what the utterance is a piece of.
func (m *Machine) propose(u *utterance, epoch eventabi.Epoch) {
	if m.wished.asked || u.piece {
		m.keep(u)
		return
	}
	u.waiting = true
	m.addProposal(proposal{utterance: u.number, epoch: epoch, at: m.now})
}

func (m *Machine) addProposal(p proposal) {
	if len(m.proposals) >= maxProposals {
		m.dropProposal(m.proposals[0], "proposal_superseded")
		m.proposals = append(m.proposals[:0], m.proposals[1:]...)
	}
	m.proposals = append(m.proposals, p)
}

func (m *Machine) dropProposal(p proposal, code string) {
	m.refuse(code, "turn_open_proposed", "")
	m.abandon(p)
}

// abandon gives a proposal up. What was said stays in the conversation; what was typed
// may come again from its source.
func (m *Machine) abandon(p proposal) {
	u := m.utterance(p.utterance)
	if u == nil {
		return
	}
	u.waiting = false
	if u.final && u.ended {
		m.recordUser(u)
	}
}

// textIn is an utterance that was typed. It counts as confirmed at once.
func (m *Machine) textIn(in *TextIn) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) || m.duplicate(in.Key, in) {
		return
	}
	if in.Text.Class == TextNone {
		m.refuse("empty_text", in.kind(), "")
		return
	}
	epoch := in.Epoch
	if epoch == 0 {
		epoch = m.authority.Epoch
	}
	if m.speaking() && !m.closing() && m.policy.Overlap == turn.OverlapPreempt {
		m.requestBargeIn()
	}
	m.caller.spoken()
	m.tell(FromCallerText, flow.Item{
		Handle: in.Text.Handle, Kind: flow.Final, Lane: flow.Data, Stream: typedStream, Bytes: mostBytes(in.Text.Runes), Of: typedOf,
	})
	if m.wished.asked {
		m.recordGiven(ItemUser, &in.Text, in.Key)
		return
	}
	m.addProposal(proposal{text: in.Text, attributes: slices.Clone(in.Attributes), order: m.identity.nextOrder(), epoch: epoch, at: m.now})
}

// transcript takes a recogniser's result. It belongs to the utterance it was heard in,
// whenever it comes.
func (m *Machine) transcript(in *Transcript) {
	c := m.call(in.Invocation)
	if c == nil || c.kind != callSTT || c.cancelled {
		m.late(in, "")
		return
	}
	u := m.utterance(c.utterance)
	if u == nil || u.final || in.Revision <= u.revision {
		m.refuse("revision_out_of_order", in.kind(), "")
		return
	}
	u.revision = in.Revision
	kind := flow.Interim
	if in.Final {
		kind = flow.Final
	}
	m.edges.words = append(m.edges.words, words{seq: int64(m.identity.sequence), utterance: u.number, text: in.Text, final: in.Final, attributes: slices.Clone(in.Attributes)})
	if e := m.edge(edgeWords); e != nil {
		m.give(m.edges.number[edgeWords]-1, flow.Item{
			Handle: in.Text.Handle, Kind: kind, Lane: flow.Data, Stream: u.number, Bytes: mostBytes(in.Text.Runes), Of: string(in.Invocation),
		})
	}
	if in.Final || m.edges.number[edgeWords] == 0 {
		m.hearWords()
	}
}

func textKind(c TextClass) turn.TextKind {
	switch c {
	case TextNone:
		return turn.NoText
	case TextBackchannel:
		return turn.BackchannelText
	case TextWords:
		return turn.WordText
	}
	return turn.WordText
}

// finalText settles an utterance's words.
func (m *Machine) finalText(u *utterance) {
	u.final = true
	switch {
	case u.judging:
		m.interruption.judge.Ending(false)
	case u.waiting:
	case u.turn != "" && u.turn == m.turn.id && m.arbiter.State() == controlplane.TurnActive:
		if m.turn.asked && u.ended { // the answer could not wait for them
			m.recordUser(u)
		}
	case u.turn != "":
		m.lateSpeech(u)
	case u.ended: // its proposal came to nothing, or the session is ending
		m.recordUser(u)
	}
	m.ask() // with these words, or with others that had to wait for them
}

// lateSpeech: the turn of these words is closed. The conversation keeps them; policy
// says whether they may open a fresh turn (lifecycle section 9).
func (m *Machine) lateSpeech(u *utterance) {
	m.recordUser(u)
	if u.text.Class == TextNone {
		return
	}
	if m.policy.Late != turn.LateRemap || m.closing() || m.wished.asked {
		m.refuse(m.lateCode(), "transcript", u.turn)
		return
	}
	m.addProposal(proposal{text: u.text, attributes: u.attributes, epoch: m.authority.Epoch, at: m.now, recorded: true})
}

// sweep forgets utterances that have found their place.
func (m *Machine) sweep() {
	kept := m.utterances[:0]
	for _, u := range m.utterances {
		if !u.final || !u.ended || u.judging || u.waiting || m.awaited(&u) {
			kept = append(kept, u)
		}
	}
	m.utterances = kept
}

// awaited says that the live turn has yet to take the utterance's words.
func (m *Machine) awaited(u *utterance) bool {
	return u.turn != "" && u.turn == m.turn.id && m.arbiter.Live() && !m.turn.asked
}

// wordsAwaited says that an utterance which was over before the one with this number
// began still waits for its final transcript. The recogniser's timeout bounds the wait.
func (m *Machine) wordsAwaited(number int64) bool {
	for i := range m.utterances {
		u := &m.utterances[i]
		if u.number < number && u.ended && !u.final && !u.judging {
			return true
		}
	}
	return false
}
