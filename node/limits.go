// SPDX-License-Identifier: Apache-2.0

package node

import "time"

// Limits are the times that hooks may take (nodes-providers-transports section 1). A
// zero field means the default.
type Limits struct {
	Init   time.Duration
	Start  time.Duration
	Cancel time.Duration // OnBargeIn and OnCancel together, from the cancel on
	Budget time.Duration
	Stop   time.Duration
	// Event is the node's budget for one event. It is soft: passing it is told to the
	// kernel, whose plan says what follows, and the node goes on, until EventHard says that
	// it hangs.
	Event     time.Duration
	EventHard time.Duration
	// Turn, if it is set, makes the budget one for all events of a turn together; Event does
	// not count then. It applies to turn-scoped nodes.
	Turn time.Duration
}

// The default limits.
const (
	DefaultInit      = 5 * time.Second
	DefaultStart     = 2 * time.Second
	DefaultCancel    = 75 * time.Millisecond
	DefaultBudget    = 50 * time.Millisecond
	DefaultStop      = 2 * time.Second
	DefaultEvent     = 800 * time.Millisecond
	DefaultEventHard = 5 * time.Second
)

// WithDefaults fills the zero fields.
func (l Limits) WithDefaults() Limits {
	fill := func(v *time.Duration, def time.Duration) {
		if *v <= 0 {
			*v = def
		}
	}
	fill(&l.Init, DefaultInit)
	fill(&l.Start, DefaultStart)
	fill(&l.Cancel, DefaultCancel)
	fill(&l.Budget, DefaultBudget)
	fill(&l.Stop, DefaultStop)
	fill(&l.Event, DefaultEvent)
	fill(&l.EventHard, DefaultEventHard)
	return l
}
