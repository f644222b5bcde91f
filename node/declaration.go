// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"

	"github.com/parley-voice/parley/api/eventabi"
)

// Declaration is what a node says of itself. A missing or false one fails registration.
type Declaration struct {
	Type    string // node_type, lower_snake_case
	Package string // package that holds it
	Version string // of the package
	Inputs  []Type
	Outputs []Type

	Streaming Streaming
	Scope     ExecutionScope
	Class     CancelClass
	Mode      CancelMode // empty = CancelHard
	Resources Resources
	State     []StateClass // classes used

	BuffersAudio bool // then it must handle OnBargeIn
	LongRunning  bool // then it must handle OnBudgetExhausted

	// Inline says that each event and hook takes a few microseconds and waits for nothing. The
	// host may then run the node on the goroutine that owns the session, which saves the way
	// to a worker and back. A node whose events take longer than that loses the privilege.
	Inline bool
}

// Streaming is when a node delivers results.
type Streaming string

// The streaming modes.
const (
	StreamIncremental Streaming = "incremental"
	StreamFinal       Streaming = "final"
	StreamBoth        Streaming = "both"
)

// ExecutionScope is how long an instance lives.
type ExecutionScope string

// The execution scopes.
const (
	ScopeSession ExecutionScope = "session"
	ScopeTurn    ExecutionScope = "turn"
)

// CancelClass says whether a node can be interrupted at any point or only where it asks.
type CancelClass string

// The cancel classes.
const (
	Preemptible CancelClass = "preemptible"
	Cooperative CancelClass = "cooperative"
)

// CancelMode is what becomes of the work in hand (lifecycle section 8, "Soft and hard").
type CancelMode string

// The cancel modes.
const (
	CancelHard CancelMode = "hard" // stops now, discards what is buffered
	CancelSoft CancelMode = "soft" // finishes the chunk in hand within the grace window
)

// Resources is what an instance needs.
type Resources struct {
	CPUUnits int64 // thousandths of a core
	MemoryMB int64
	GPU      bool
	Network  bool
}

// StateClass is a class of state (authority-state section 4).
type StateClass string

// The state classes.
const (
	StateTurn    StateClass = "turn-ephemeral"
	StateHot     StateClass = "session-hot"
	StateDurable StateClass = "session-durable"
)

// Check reports every fault of a node's declaration, held against the node itself.
func Check(n Node) error {
	d := n.Declaration()
	var faults []error
	want := func(ok bool, field string, value any, remedy string) {
		if !ok {
			faults = append(faults, fmt.Errorf("node %q: %s: %q: %s", d.Type, field, value, remedy))
		}
	}
	want(snake(d.Type), "node_type", d.Type, "give a name in lower_snake_case")
	want(d.Package != "", "package", d.Package, "name the package")
	want(d.Version != "", "version", d.Version, "name the package's version")
	want(len(d.Inputs) > 0, "inputs", d.Inputs, "name at least one event type")
	want(oneOf(d.Streaming, StreamIncremental, StreamFinal, StreamBoth), "streaming", d.Streaming, "use incremental, final or both")
	want(oneOf(d.Scope, ScopeSession, ScopeTurn), "execution_scope", d.Scope, "use session or turn")
	want(oneOf(d.Class, Preemptible, Cooperative), "cancel_class", d.Class, "use preemptible or cooperative")
	want(oneOf(d.Mode, "", CancelHard, CancelSoft), "cancel_mode", d.Mode, "use hard or soft")
	want(d.Resources.CPUUnits >= 0 && d.Resources.MemoryMB >= 0, "resources", fmt.Sprint(d.Resources), "amounts are not negative")
	for _, class := range d.State {
		want(oneOf(class, StateTurn, StateHot, StateDurable), "state", class, "use turn-ephemeral, session-hot or session-durable")
		want(class != StateTurn || d.Scope != ScopeSession, "state", class, "a session-scoped node has no turn-ephemeral state")
	}
	want(!d.Inline || d.Scope == ScopeSession && !d.LongRunning, "inline", "true", "only a session-scoped node that is not long_running may be inline")
	if d.BuffersAudio {
		_, ok := n.(BargeInHandler)
		want(ok, "buffers_audio", "true", "implement OnBargeIn")
	}
	if d.LongRunning {
		_, ok := n.(BudgetHandler)
		want(ok, "long_running", "true", "implement OnBudgetExhausted")
	}
	return errors.Join(faults...)
}

func oneOf[T comparable](v T, set ...T) bool {
	for _, s := range set {
		if v == s {
			return true
		}
	}
	return false
}

// snake says whether s is lower_snake_case, as node types are.
func snake(s string) bool {
	if s == "" || len(s) > eventabi.MaxIDLength || s[0] == '_' || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
