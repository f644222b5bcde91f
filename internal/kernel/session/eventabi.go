// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// emit stamps a control signal and appends it. The caller may fill optional fields of
// the envelope that comes back. turn is empty for session scope.
func (m *Machine) emit(signal eventabi.Signal, by eventabi.Emitter, turn eventabi.TurnID, reason string) *eventabi.Envelope {
	return &m.signal(signal, by, turn, reason).Envelope
}

// signal is emit for those who fill what an envelope holds by pointer.
func (m *Machine) signal(signal eventabi.Signal, by eventabi.Emitter, turn eventabi.TurnID, reason string) *Emit {
	m.identity.stamp()
	scope := eventabi.ScopeSession
	if turn != "" {
		scope = eventabi.ScopeTurn
	}
	e := m.fx.signals.place(m.fx.Recycle)
	*e = Emit{} // and field by field, in its place: an envelope is too large to be copied
	e.epoch = m.authority.Epoch
	v := &e.Envelope
	v.SchemaVersion, v.EventKind, v.PayloadClass = eventabi.SchemaVersion, eventabi.KindControl, eventabi.ClassMetadata
	v.Lane, v.EventScope = eventabi.ControlLane, scope
	v.SessionID, v.TurnID, v.PipelineVersion = m.identity.session, turn, m.identity.pipeline
	v.EventID, v.RuntimeSequence = m.identity.eventID(), m.identity.sequence
	v.RuntimeTimestampMS, v.WallClockTimestampMS = m.now.MS(), m.clock.Wall(m.now)
	v.AuthorityEpoch = &e.epoch
	v.Signal, v.EmittedBy, v.Reason = signal, by, reason
	m.fx.add(e)
	if stops(signal) {
		m.cause = e.Envelope.EventID
	}
	return e
}

// stops says that a signal can be the cause for which calls are cancelled.
func stops(s eventabi.Signal) bool {
	return s == eventabi.SignalCancel || s == eventabi.SignalDeauthorizedDrain ||
		s == eventabi.SignalBudgetExhausted || s == eventabi.SignalProviderError ||
		s == eventabi.SignalDegrade || s == eventabi.SignalFallback
}

// decide records the decision outcome that belongs to a signal.
func (m *Machine) decide(signal *eventabi.Envelope, kind controlplane.OutcomeKind, phase controlplane.OutcomePhase, scope controlplane.OutcomeScope, turn eventabi.TurnID) {
	m.fx.decide(controlplane.DecisionOutcome{
		OutcomeKind:          kind,
		Phase:                phase,
		Scope:                scope,
		SessionID:            signal.SessionID,
		TurnID:               turn,
		EventID:              signal.EventID,
		RuntimeTimestampMS:   signal.RuntimeTimestampMS,
		WallClockTimestampMS: signal.WallClockTimestampMS,
		AuthorityEpoch:       signal.AuthorityEpoch,
		EmittedBy:            signal.EmittedBy,
		Reason:               signal.Reason,
	})
}

// refuse evidences an input that changes nothing.
func (m *Machine) refuse(code, what string, turn eventabi.TurnID) {
	m.counters.Refused++
	m.fx.refused(Refused{Code: code, What: what, Turn: turn})
}

// object builds a small JSON object with keys in the order given.
type object struct{ b []byte }

// body begins the payload of a signal, of about n bytes.
func (fx *Effects) body(n int) object {
	if !fx.Recycle {
		return object{b: make([]byte, 0, n)}
	}
	at := len(fx.payloads)
	if cap(fx.payloads)-at < n {
		fx.payloads, at = make([]byte, 0, max(n, 2*cap(fx.payloads))), 0
	}
	fx.payloads = fx.payloads[:at+n]
	return object{b: fx.payloads[at : at : at+n]}
}

func (o *object) key(name string) {
	switch {
	case o.b == nil:
		o.b = append(make([]byte, 0, 64), '{')
	case len(o.b) == 0:
		o.b = append(o.b, '{')
	default:
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) int(name string, v int64) {
	o.key(name)
	o.b = strconv.AppendInt(o.b, v, 10)
}

func (o *object) str(name, v string) {
	o.key(name)
	o.b = appendText(o.b, v)
}

func (o *object) strs(name string, list []string) {
	o.key(name)
	o.b = append(o.b, '[')
	for i, v := range list {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendText(o.b, v)
	}
	o.b = append(o.b, ']')
}

func (o *object) done() []byte { return append(o.b, '}') }

// special says that a byte of a text does not stand for itself in a JSON string in ASCII.
func special(c byte) bool { return c < ' ' || c >= utf8.RuneSelf-1 || c == '"' || c == '\\' }

func plainText(v string) bool {
	for i := range len(v) {
		if special(v[i]) {
			return false
		}
	}
	return true
}

// appendText appends a JSON string in ASCII. Most are of the kernel's own vocabulary; keys
// and names that somebody chose may be anything.
func appendText(b []byte, v string) []byte {
	const digits = "0123456789abcdef"
	escape := func(u rune) {
		b = append(b, '\\', 'u', digits[u>>12&15], digits[u>>8&15], digits[u>>4&15], digits[u&15])
	}
	b = append(b, '"')
	if plainText(v) {
		return append(append(b, v...), '"')
	}
	for _, r := range v {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < utf8.RuneSelf && !special(byte(r)):
			b = append(b, byte(r))
		case r > 0xffff:
			escape(0xd800 + (r-0x10000)>>10) // the two halves of UTF-16
			escape(0xdc00 + (r-0x10000)&0x3ff)
		default:
			escape(r)
		}
	}
	return append(b, '"')
}
