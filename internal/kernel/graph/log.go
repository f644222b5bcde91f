// SPDX-License-Identifier: Apache-2.0

package graph

import "github.com/parley-voice/parley/api/eventabi"

// Item describes something on its way through a graph. What it says lies elsewhere, behind
// Handle.
type Item struct {
	// Seq is its number in the run, from 1; it rises with every item. The run gives it.
	Seq int64
	// Origin is the Seq of the unit that it was made of: what came from outside, or a piece that
	// a segmenter cut. The run gives it.
	Origin int64
	Handle int64
	Type   string // of event, as node.Type has them
	// Attributes are what conditions may ask. The run keeps the slice, so whoever gave it does
	// not change it any more.
	Attributes []Attribute
}

// Event is something that a run has decided. Which fields are set depends on What.
type Event struct {
	What What
	// Node is where it happened: who is given the item, who evaluates, who has failed.
	Node eventabi.NodeID
	// To is the other node: what stands in for Node, or the dead letter node.
	To   eventabi.NodeID
	Edge eventabi.EdgeID // that the item came along; empty where it came along none
	Item Item
	Why  Why
	// Trigger and Reason are of a failure, as the caller gave them.
	Trigger Trigger
	Reason  string
	// Holds, Condition, Attribute and Value are of a Routed: what was asked, what the item says of
	// it, and what came of it. Condition is the number of the one that decided, -1 = the edge
	// has none.
	Holds     bool
	Condition int
	Attribute string
	Value     string
	// From is of a Merged: the Seq under which the item came.
	From int64
}

// What is the kind of an Event.
type What uint8

// The kinds of events.
const (
	Dispatched What = iota // Node is given Item: it is in its hands until it is done, or fails
	Routed                 // the conditions of Edge, out of Node, were evaluated for Item: a route_decision
	Merged                 // Item goes on behind the merge Node; it came as From along Edge
	Dropped                // Item ends here; Why says for what reason
	DeadLetter             // Node could not process Item; To is the dead letter node, empty = there is none
	FellBack               // To stands in for Node from now on
	Unresolved             // Node has failed and nothing stands in for it: the caller decides what becomes of the turn
	Cancelled              // Node is cancelled, and has to be told
	Rewired                // Item was in the hands of Node, or waited for it, and goes to To
	whatCount
)

func (w What) String() string {
	if w >= whatCount {
		return "unknown"
	}
	return [...]string{
		"dispatch", "route", "merge", "drop", "dead_letter", "fallback", "unresolved", "cancel", "rewire",
	}[w]
}

// Why is why an item ended before it was done.
type Why uint8

// The reasons.
const (
	NoReason    Why = iota
	NoRoute         // no condition held
	NoEdge          // nothing is connected that takes its type
	NotFirst        // another edge was first (merge rule first)
	Duplicate       // it has come here along another edge
	Partial         // its node failed when it had given something of it: the branch would say that again
	CancelledIn     // its node was cancelled
	Ended           // its node takes nothing more
	Gone            // its node has failed, and nothing stands in for it
	Failed          // its node failed with it in hand
	ByEdge          // an edge leads it to the dead letter node
	whyCount
)

func (w Why) String() string {
	if w >= whyCount {
		return "unknown"
	}
	return [...]string{
		"", "no_route", "no_edge", "not_first", "duplicate", "partial", "cancelled", "ended", "node_gone", "failed", "routed",
	}[w]
}

// Log collects events in order. The zero value is ready; Reset keeps the memory.
type Log struct{ List []Event }

// Reset empties the log.
func (l *Log) Reset() {
	clear(l.List)
	l.List = l.List[:0]
}

func (l *Log) add(ev Event) { l.List = append(l.List, ev) }

// Verdict is what a run says of what it was told.
type Verdict uint8

// The verdicts.
const (
	Taken   Verdict = iota
	Full            // there is no room: nothing was taken; offer it again after a Done, or give it up
	Late            // the node was cancelled, has failed or has ended, or has no such item in hand
	Unknown         // the graph has no such node
	Untyped         // the node does not give this type
	verdictCount
)

func (v Verdict) String() string {
	if v >= verdictCount {
		return "unknown"
	}
	return [...]string{"taken", "full", "late", "unknown_node", "untyped"}[v]
}
