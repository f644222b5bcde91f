// SPDX-License-Identifier: Apache-2.0

package controlplane

// TurnState is a state of the turn machine (lifecycle section 2):
//
//	Idle --turn_open_proposed--> Opening --turn_open--> Active
//	Opening --reject|defer|stale_epoch_reject|deauthorized_drain--> Idle
//	Active --commit|abort--> Terminal --close--> Closed
type TurnState string

// The five turn states.
const (
	TurnIdle     TurnState = "Idle"
	TurnOpening  TurnState = "Opening"
	TurnActive   TurnState = "Active"
	TurnTerminal TurnState = "Terminal"
	TurnClosed   TurnState = "Closed"
)

// Trigger moves a turn from one state to the next. Triggers are spelled like the
// signals or outcomes that they stand for.
type Trigger string

// The nine triggers.
const (
	TriggerTurnOpenProposed  Trigger = "turn_open_proposed"
	TriggerTurnOpen          Trigger = "turn_open"
	TriggerReject            Trigger = "reject"
	TriggerDefer             Trigger = "defer"
	TriggerStaleEpochReject  Trigger = "stale_epoch_reject"
	TriggerDeauthorizedDrain Trigger = "deauthorized_drain"
	TriggerCommit            Trigger = "commit"
	TriggerAbort             Trigger = "abort"
	TriggerClose             Trigger = "close"
)

// TurnTransition is the evidence of one legal move. Deterministic is always true.
type TurnTransition struct {
	FromState     TurnState `json:"from_state"`
	Trigger       Trigger   `json:"trigger"`
	ToState       TurnState `json:"to_state"`
	Deterministic bool      `json:"deterministic"`
}

// LegalTransition returns the state that trigger leads to from the state from, or
// false when the turn machine has no such edge; the caller then refuses with code
// invalid_turn_transition and leaves the state as it is.
func LegalTransition(from TurnState, trigger Trigger) (TurnState, bool) {
	switch from {
	case TurnIdle:
		if trigger == TriggerTurnOpenProposed {
			return TurnOpening, true
		}
	case TurnOpening:
		switch trigger {
		case TriggerTurnOpen:
			return TurnActive, true
		case TriggerReject, TriggerDefer, TriggerStaleEpochReject, TriggerDeauthorizedDrain:
			return TurnIdle, true
		case TriggerTurnOpenProposed, TriggerCommit, TriggerAbort, TriggerClose:
		}
	case TurnActive:
		if trigger == TriggerCommit || trigger == TriggerAbort {
			return TurnTerminal, true
		}
	case TurnTerminal:
		if trigger == TriggerClose {
			return TurnClosed, true
		}
	case TurnClosed:
	}
	return "", false
}

// TurnTransitions lists every legal edge, in the order of lifecycle section 2.
func TurnTransitions() []TurnTransition {
	return []TurnTransition{
		{TurnIdle, TriggerTurnOpenProposed, TurnOpening, true},
		{TurnOpening, TriggerTurnOpen, TurnActive, true},
		{TurnOpening, TriggerReject, TurnIdle, true},
		{TurnOpening, TriggerDefer, TurnIdle, true},
		{TurnOpening, TriggerStaleEpochReject, TurnIdle, true},
		{TurnOpening, TriggerDeauthorizedDrain, TurnIdle, true},
		{TurnActive, TriggerCommit, TurnTerminal, true},
		{TurnActive, TriggerAbort, TurnTerminal, true},
		{TurnTerminal, TriggerClose, TurnClosed, true},
	}
}

// SessionState is a state of the session machine (lifecycle section 1).
type SessionState string

// The four session states, in the only order they can be passed through.
const (
	SessionConnecting SessionState = "CONNECTING"
	SessionActive     SessionState = "ACTIVE"
	SessionDraining   SessionState = "DRAINING"
	SessionEnded      SessionState = "ENDED"
)

// ConnectionState is the state of a session's link; it moves apart from the session.
type ConnectionState string

// The four connection states.
const (
	ConnectionConnected    ConnectionState = "connected"
	ConnectionReconnecting ConnectionState = "reconnecting"
	ConnectionDisconnected ConnectionState = "disconnected"
	ConnectionEnded        ConnectionState = "ended"
)

// Codes of refused moves; they leave the state untouched and are evidenced.
const (
	CodeInvalidTurnTransition    = "invalid_turn_transition"
	CodeInvalidSessionTransition = "invalid_session_transition"
)
