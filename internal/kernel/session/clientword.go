// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Muted says that the user has switched the microphone off or on again.
type Muted struct {
	Epoch  eventabi.Epoch
	On     bool
	Sample timebase.Samples // position up to which caller audio had come by then
}

// TransportControl is a control of the transport's own, such as a DTMF digit.
type TransportControl struct {
	Epoch      eventabi.Epoch
	Kind       string // e.g. "dtmf"
	Digit      string
	DurationMS int64
	Key        eventabi.IdempotencyKey
}

// Context is an item that the client adds to the conversation. It asks for no answer.
type Context struct {
	Epoch eventabi.Epoch
	Role  ItemRole
	Text  TextRef
	Key   eventabi.IdempotencyKey
}

// Forget asks to take an item out of the conversation. Role and Name are those by which the
// client knows it: of a user's words the invocation that they were understood by, of the
// assistant's the turn, of a tool's the call. Without a role Name is the key of the Context
// that brought it.
type Forget struct {
	Epoch eventabi.Epoch
	Role  ItemRole
	Name  string
	Key   eventabi.IdempotencyKey
}

// Respond asks for an answer to what was said so far, without new words.
type Respond struct {
	Epoch eventabi.Epoch
	Key   eventabi.IdempotencyKey
}

// MaxGivenRunes bounds an item that a client adds to the conversation, and its instructions.
const MaxGivenRunes = 32 << 10

// The bounds of a control, and what it may be.
const (
	maxControlKind = 32
	maxDigitMS     = 60_000
	controlDTMF    = "dtmf"
	digitsDTMF     = "0123456789*#ABCD"
	noTransport    = "unknown"
	reasonBusy     = "turn_in_progress"
)

// clientWord takes what a client says beside sound, text and cancels.
func (m *Machine) clientWord(in Input) {
	switch in := in.(type) { //nolint:gochecksumtype // the others are apply's
	case *Muted:
		m.mutedChanged(in)
	case *TransportControl:
		m.transportControl(in)
	case *Context:
		m.context(in)
	case *Forget:
		m.forget(in)
	case *Respond:
		m.respond(in)
	case *Wishes:
		m.wishesCame(in)
	}
}

// transportControl passes a control on as a signal, in the namespace of the transport
// (event-abi section 5, F-089). It decides nothing.
func (m *Machine) transportControl(in *TransportControl) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) || m.duplicate(in.Key, in) {
		return
	}
	if field := in.fault(); field != "" {
		m.refuse("malformed_control:"+field, in.kind(), "")
		return
	}
	var body object
	body.str("kind", in.Kind)
	if in.Digit != "" {
		body.str("digit", in.Digit)
	}
	if in.DurationMS > 0 {
		body.int("duration_ms", in.DurationMS)
	}
	signal := m.signal(eventabi.SignalTransportControl, eventabi.EmitterConnection, "", "")
	signal.Envelope.IdempotencyKey = in.Key
	signal.extend("transport."+m.identity.transport, body.done())
}

// fault names the field that is not as it must be, empty when all are.
func (in *TransportControl) fault() string {
	switch {
	case !oneWord(in.Kind, maxControlKind):
		return "kind"
	case in.Digit == "" && in.Kind == controlDTMF, in.Digit != "" && !digit(in.Digit):
		return "digit"
	case in.DurationMS < 0 || in.DurationMS > maxDigitMS:
		return "duration_ms"
	}
	return ""
}

// oneWord says that s is one word of at most n small letters, digits, hyphens and underscores.
func oneWord(s string, n int) bool {
	for i := range len(s) {
		if b := s[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '_' && b != '-' {
			return false
		}
	}
	return s != "" && len(s) <= n
}

func digit(s string) bool {
	for i := range len(digitsDTMF) {
		if s == digitsDTMF[i:i+1] {
			return true
		}
	}
	return false
}

// context adds an item to the conversation, at its place in the order of what happened.
// What a client says that the assistant has said counts as heard: there is nothing of it
// that could be played.
func (m *Machine) context(in *Context) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) || m.duplicate(in.Key, in) {
		return
	}
	why := ""
	switch {
	case in.Role != ItemUser && in.Role != ItemAssistant && in.Role != ItemSystem:
		why = "unknown_role"
	case in.Text.Class == TextNone:
		why = "empty_text"
	case in.Text.Runes > MaxGivenRunes:
		why = "text_too_long"
	}
	if why != "" {
		m.refuse(why, in.kind(), "")
		return
	}
	m.recordGiven(in.Role, &in.Text, in.Key)
}

// recordGiven writes down what is known as a whole and belongs to no turn.
func (m *Machine) recordGiven(role ItemRole, text *TextRef, key eventabi.IdempotencyKey) {
	it := Item{
		Key: m.newItem(), Order: m.identity.nextOrder(), Role: role, Text: text.Handle,
		GeneratedRunes: text.Runes, HeardRunes: text.Runes,
	}
	m.name("", string(key), &it)
	m.fx.converse(it)
}

// respond proposes a turn that answers what was said so far. It goes through the gates like
// any other. It cuts nothing off: where a turn is live or another answer is due it is turned
// away with turn_in_progress, and what is still to be heard of a turn that has closed is
// heard out first. Speech that is under way is no part of what is answered, and is judged
// like any speech over the agent's output from then on. Its key stands on turn_open, or on
// the refusal.
func (m *Machine) respond(in *Respond) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) || m.duplicate(in.Key, in) {
		return
	}
	epoch := in.Epoch
	if epoch == 0 {
		epoch = m.authority.Epoch
	}
	m.proposeBare(epoch, in.Key)
}

func (m *Machine) proposeBare(epoch eventabi.Epoch, key eventabi.IdempotencyKey) {
	p := proposal{bare: true, recorded: true, key: key, epoch: epoch, at: m.now}
	if len(m.proposals) >= maxProposals {
		m.turnAway(p, reasonBusy)
		return
	}
	m.addProposal(p)
}
