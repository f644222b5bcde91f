// SPDX-License-Identifier: Apache-2.0

package gate

// Level is how overloaded a host is. Each level sheds what the ones below it shed, and
// one kind of work more, in the order of flow section 7 ("Overload order").
type Level uint8

// The levels.
const (
	LevelNone        Level = iota
	LevelTelemetry         // telemetry is shed
	LevelQueued            // queued proposals are turned away
	LevelNewSessions       // no new session is let in
	LevelLowPriority       // work that nobody waits for: interim captions, taps
)

// Work is a kind of work, the first to go first.
type Work uint8

// The kinds of work. Live turns and control are never shed: a host that cannot carry
// those has let in too many sessions, and turning words away would not help it.
const (
	WorkTelemetry Work = iota
	WorkQueuedProposal
	WorkNewSession
	WorkLowPriority
	WorkLiveTurn
	WorkControl
)

// Sheds says whether a level gives up a kind of work.
func (l Level) Sheds(w Work) bool {
	switch w {
	case WorkTelemetry:
		return l >= LevelTelemetry
	case WorkQueuedProposal:
		return l >= LevelQueued
	case WorkNewSession:
		return l >= LevelNewSessions
	case WorkLowPriority:
		return l >= LevelLowPriority
	case WorkLiveTurn, WorkControl:
	}
	return false
}

// Reason is the reason of a refusal that a level makes (flow section 7, F-173).
func (w Work) Reason() string { return "overload:" + w.String() }

func (w Work) String() string {
	switch w {
	case WorkTelemetry:
		return "telemetry"
	case WorkQueuedProposal:
		return "queued_proposals"
	case WorkNewSession:
		return "new_sessions"
	case WorkLowPriority:
		return "low_priority"
	case WorkLiveTurn:
		return "live_turns"
	case WorkControl:
	}
	return "control"
}
