// SPDX-License-Identifier: Apache-2.0

package graph

import "github.com/parley-voice/parley/api/eventabi"

// Definition is a graph as it is declared, with its modules expanded: what Compile makes a
// Graph of. Names of where a node came from, comments and labels are no part of it, so they
// do not change what it means (turn-plan section 1).
type Definition struct {
	Nodes []Node
	Edges []Edge
}

// Role says who runs a node.
type Role string

// The roles. What is not RoleWork the runtime runs itself.
const (
	RoleWork        Role = "work"        // the node host: in process, external or sandboxed
	RoleCaller      Role = "caller"      // the source of caller audio
	RoleDetector    Role = "detector"    // voice activity and ends of utterances
	RoleRecogniser  Role = "recogniser"  // speech to text
	RoleModel       Role = "model"       // the language model
	RoleSegmenter   Role = "segmenter"   // cuts a model's text into speakable pieces
	RoleSynthesiser Role = "synthesiser" // text to speech
	RoleSpeaker     Role = "speaker"     // the sink of agent audio: egress
	RoleMerge       Role = "merge"       // fan-in by a rule
	RoleSelect      Role = "select"      // one of its outgoing edges, by ordered conditions
	RoleDeadLetter  Role = "dead_letter" // takes what no node could process
	RoleResponder   Role = "responder"   // says an apology after a turn that ended badly
)

// Scope is how long an instance of a node lives.
type Scope string

// The scopes.
const (
	ScopeSession Scope = "session"
	ScopeTurn    Scope = "turn"
)

// Trigger is what a fallback branch stands in for (F-007).
type Trigger string

// The triggers.
const (
	OnTimeout Trigger = "timeout"
	OnError   Trigger = "error"
	OnBudget  Trigger = "budget"
)

// MergeRule says how a merge node joins what comes in on its edges (F-005).
type MergeRule string

// The merge rules.
const (
	// MergeSequence passes everything on, in the order of the items' sequence numbers: the
	// profile's rule (sequence_order v1.0).
	MergeSequence MergeRule = "sequence_order"
	// MergeAll waits for one item of each live edge with the same origin, and passes them on
	// together, in the order of the edges.
	MergeAll MergeRule = "all"
	// MergeFirst passes on what the edge brings that is first with an origin, and drops what
	// the others bring of that.
	MergeFirst MergeRule = "first"
)

// Node is one node of a definition.
type Node struct {
	ID      eventabi.NodeID
	Type    string // node_type
	Version string // of its package; empty where the runtime's own
	Role    Role
	Scope   Scope
	// Inputs and Outputs are event types, as node.Type has them.
	Inputs, Outputs []string
	Merge           MergeRule // RoleMerge
	// FallbackOf names the node that this one stands in for, when one of FallbackOn happens to
	// it; it then takes what went to that one, and its outgoing edges count instead.
	FallbackOf eventabi.NodeID
	FallbackOn []Trigger
	// BudgetMS is the node's own budget for one event; 0 = node_budget_ms_default.
	BudgetMS int64
	Prelude  bool // it works ahead of turns, and raises proposals
}

// Edge is one edge of a definition.
type Edge struct {
	ID       eventabi.EdgeID
	From, To eventabi.NodeID
	Events   []string // types that go along it; empty = all that From gives and To takes
	When     []Test   // all have to hold; empty = always
	Rank     int64    // out of a select, edges are tried from the smallest rank on, then by id
	// Room is how many items may wait for To, whichever edge they came along: of all edges to a
	// node the smallest counts, and never more than the run allows; 0 = as many as that. What is
	// held back there until it is its turn does not count.
	Room int64
}

// Test is a condition over one attribute of an event (F-018).
type Test struct {
	Attribute string // language, confidence, sentiment, kind, or a name that a node gives
	Op        Op
	Value     string
}

// Op compares an attribute with a value. Numbers are decimal, with at most six places, and
// are compared as such; the rest compares bytes. What is not there equals nothing, and is in
// no order with anything.
type Op string

// The operators.
const (
	OpEqual    Op = "=="
	OpNotEqual Op = "!="
	OpLess     Op = "<"
	OpAtMost   Op = "<="
	OpMore     Op = ">"
	OpAtLeast  Op = ">="
)

// Attribute is what an event says of itself that a condition may ask.
type Attribute struct {
	Name, Value string
}
