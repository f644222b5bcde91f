// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// link is the state of the transport's connection (nodes-providers-transports
// section 6). It is not the session's state: a lost link ends nothing until its
// timeout is over.
type link struct {
	state    controlplane.ConnectionState
	deadline timebase.Instant // of the disconnect timeout, 0 = none
	over     bool             // it was given up: nobody listens any more
}

func (m *Machine) linkChanged(in *Link) {
	to, signal, ok := nextLink(m.link.state, in.State)
	if !ok || m.state == controlplane.SessionConnecting {
		m.refuse("invalid_connection_transition", in.kind(), "")
		return
	}
	m.link.state = to
	m.caller.afresh(m.now)
	m.emit(signal, eventabi.EmitterConnection, "", "")
	switch to {
	case controlplane.ConnectionConnected:
		m.link.deadline = 0
		m.holds &^= holdLink
		m.clock.Lose() // what was said meanwhile did not come
	case controlplane.ConnectionReconnecting, controlplane.ConnectionDisconnected:
		if m.link.deadline == 0 {
			m.link.deadline = m.now.Add(timebase.MS(m.settings.DisconnectMS))
		}
		if to == controlplane.ConnectionDisconnected {
			m.holds |= holdLink
		}
	case controlplane.ConnectionEnded:
		m.disconnect("client_left")
	}
}

// nextLink gives the state and the signal of a connection event, false when the state
// does not admit it.
func nextLink(from controlplane.ConnectionState, event LinkState) (controlplane.ConnectionState, eventabi.Signal, bool) {
	if from == controlplane.ConnectionEnded {
		return "", "", false
	}
	switch event {
	case LinkLost:
		return controlplane.ConnectionReconnecting, eventabi.SignalReconnecting, from == controlplane.ConnectionConnected
	case LinkGone:
		return controlplane.ConnectionDisconnected, eventabi.SignalDisconnected, from != controlplane.ConnectionDisconnected
	case LinkResumed:
		return controlplane.ConnectionConnected, eventabi.SignalConnected, from != controlplane.ConnectionConnected
	case LinkLeft:
		return controlplane.ConnectionEnded, eventabi.SignalDisconnected, true
	}
	return "", "", false
}

// disconnect gives the connection up: a live turn ends, buffered audio is flushed,
// whatever ended the turn, and the session drains.
func (m *Machine) disconnect(reason string) {
	m.link.deadline, m.link.over = 0, true
	m.arbiter.Raise(turn.CauseDisconnect, controlplane.AbortTransportDisconnect)
	m.beginDrain(reason)
}
