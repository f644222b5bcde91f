// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"

	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// item is one thing that waits for a session: an input, a caller frame's descriptor, or a
// question to the owner, which stands among the control and is not bounded.
type item struct {
	input  session.Input // nil: a frame, or a question
	ask    func()
	frame  session.AudioIn
	kind   kind
	posted timebase.Instant // of control, on the driver's clock
}

// bare says that an item is a frame's descriptor.
func (it *item) bare() bool { return it.input == nil && it.ask == nil }

// kind says which bound an item counts against.
type kind uint8

// The kinds of items. Control and metrics are their lanes; the rest is data.
const (
	kindControl kind = iota
	kindMetric
	kindFrame  // caller audio and its gaps
	kindText   // what a caller typed, and what tools answered
	kindClient // what a client says beside sound and text
	kindResult // what nodes and providers say
	kindEnd    // the end of a call, and the last word of a recogniser
	kinds
)

// bound is how many items of a kind a mailbox holds. Whoever breaks it is far from what a
// conversation needs: a second of it is 50 frames and, while the agent speaks, as many
// results.
func (k kind) bound() int {
	return [kinds]int{
		kindControl: 256,
		kindMetric:  512,
		kindFrame:   maxFramesWaiting,
		kindText:    32,
		kindClient:  512,
		kindResult:  512,
		kindEnd:     128,
	}[k]
}

// maxTaken is how much data one turn of the owner takes from a mailbox: who has more has
// it done in further turns, between those of other sessions.
const maxTaken = 64

func (k kind) lane() flow.Lane {
	switch k {
	case kindControl:
		return flow.Control
	case kindMetric:
		return flow.Telemetry
	case kindFrame, kindText, kindClient, kindResult, kindEnd, kinds:
	}
	return flow.Data
}

// patient says that an item of this kind may wait for the owner's next slot, a millisecond
// at most, where others wake it: the kinds that come all the time.
func (k kind) patient() bool { return k == kindFrame || k == kindMetric }

// kindOf says what an input is to its mailbox.
func kindOf(in session.Input) kind {
	switch in := in.(type) {
	case *session.AudioIn, *session.AudioGap:
		return kindFrame
	case *session.TextIn, *session.ToolResult:
		return kindText
	case *session.TransportControl, *session.Context, *session.Forget, *session.Respond, *session.Wishes:
		return kindClient
	case *session.InvocationEnd, *session.Unscheduled, *session.NodeDone:
		return kindEnd
	case *session.Transcript:
		if in.Final {
			return kindEnd
		}
		return kindResult
	case *session.Offer:
		if in.Kind == session.ItemMetric {
			return kindMetric
		}
		return kindResult
	case *session.Progress, *session.Segment, *session.Speech, *session.ToolCalled, *session.NodeOutput:
		return kindResult
	case *session.Bootstrap, *session.CloseRequest, *session.Link, *session.LeaseChange, *session.Snapshots, *session.Wake,
		*session.VoiceOn, *session.VoiceOff, *session.EndOfUtterance, *session.Quota, *session.Usage, *session.Admission,
		*session.Load, *session.EdgePolicy, *session.FlowPolicy, *session.Ready, *session.Overflow, *session.Delivery,
		*session.Cancel, *session.Stop, *session.Appended, *session.EvidenceLost, *session.NodeFailed, *session.NodeSpent,
		*session.CancelAck, *session.RuntimeFault, *session.ClockReading, *session.NodePolicy, *session.Muted,
		*session.GraphNode, *session.GraphEdge:
	}
	return kindControl
}

// mailbox is what waits for one session. Control and data lie in one list, in the order in
// which they came: priority decides when a session has its turn, and the kernel decides it
// within the turn, but what is taken is always the oldest, so that the recording tells what
// happened in the order in which it happened. Metrics decide nothing and have a list of
// their own.
type mailbox struct {
	mu      sync.Mutex
	items   []item
	metrics []item
	through int // of items, up to and with the last control
	waiting [kinds]int
	listed  [lanes]bool  // the owner has the session on its list of the lane
	lost    [lanes]int64 // since it was emptied last
	merged  int64        // that went for others, altogether
}

// post is what became of an item.
type post uint8

const (
	lost   post = iota // its bound is reached
	merged             // one that waits says the same
	taken              // it waits
	first              // it waits, and the owner is to be told
)

// put adds an item, or what it says to one that waits. dropped is what it has replaced.
func (b *mailbox) put(it *item) (p post, dropped session.Input) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lane := it.kind.lane()
	if it.ask == nil {
		if b.waiting[it.kind] >= it.kind.bound() {
			p, dropped = b.merge(it)
			if p == lost && it.kind == kindControl && b.compact() {
				p = taken
			}
			if p != taken {
				if p == lost {
					b.lost[lane]++
				}
				return p, dropped
			}
		}
		b.waiting[it.kind]++
	}
	if lane == flow.Telemetry {
		b.metrics = append(b.metrics, *it)
	} else {
		b.items = append(b.items, *it)
	}
	if lane == flow.Control {
		b.through = len(b.items)
	}
	if b.listed[lane] {
		return taken, dropped
	}
	b.listed[lane] = true
	return first, dropped
}

// merge makes room for an item in a lane that is full, where what waits says the same.
func (b *mailbox) merge(it *item) (p post, dropped session.Input) {
	switch i, how := b.meet(len(b.items), it.input); how {
	case said:
		b.merged++
		return merged, nil
	case outdated:
		b.merged++
		dropped = b.items[i].input
		b.remove(i)
		return taken, dropped
	case goesOn, differs:
	}
	return lost, nil
}

// meet compares an input with the items before a place, the newest first.
func (b *mailbox) meet(before int, in session.Input) (at int, how coalescing) {
	for at = before - 1; at >= 0; at-- {
		if old := b.items[at].input; old != nil {
			if how = coalesce(old, in); how != goesOn {
				return at, how
			}
		}
	}
	return 0, goesOn
}

// compact has the control that waits said once, and says whether that made room. It takes a
// look at each pair, and is come to again only when as much control has come as it removed.
func (b *mailbox) compact() bool {
	for i := len(b.items) - 1; i > 0; i-- {
		if it := &b.items[i]; it.kind != kindControl || it.input == nil {
			continue
		}
		switch at, how := b.meet(i, b.items[i].input); how {
		case said:
			b.remove(i)
			b.merged++
		case outdated:
			b.remove(at)
			b.merged++ // and the same one is looked at again
		case goesOn, differs:
		}
	}
	return b.waiting[kindControl] < kindControl.bound()
}

func (b *mailbox) remove(i int) {
	b.waiting[b.items[i].kind]--
	n := copy(b.items[i:], b.items[i+1:]) + i
	b.items[n] = item{}
	b.items = b.items[:n]
	if i < b.through {
		b.through--
	}
}

// take moves what the session's turn is about: everything up to the last control, or, if
// that is more, as much data as one turn may hold; all of it on request. on is the lane for
// which the owner had it listed, lanes = none. more says that the owner is to list it again.
func (b *mailbox) take(on flow.Lane, all bool, into []item) (batch []item, overflow [lanes]int64, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if on < lanes {
		b.listed[on] = false
	}
	n := max(min(len(b.items), maxTaken), b.through)
	if all {
		n = len(b.items)
	}
	batch = b.move(&b.items, n, into[:0])
	b.through = 0
	if on == flow.Telemetry {
		batch = b.move(&b.metrics, min(len(b.metrics), maxTaken), batch)
		more = len(b.metrics) > 0
	}
	if on == flow.Data {
		more = len(b.items) > 0
	}
	if more {
		b.listed[on] = true
	}
	overflow, b.lost = b.lost, [lanes]int64{}
	return batch, overflow, more
}

// coalesced counts the items that went for others.
func (b *mailbox) coalesced() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.merged
}

// unlist says that the owner has taken the session off its list of a lane.
func (b *mailbox) unlist(on flow.Lane) {
	if on < lanes {
		b.mu.Lock()
		b.listed[on] = false
		b.mu.Unlock()
	}
}

// move takes the first n of a list.
func (b *mailbox) move(list *[]item, n int, batch []item) []item {
	batch = append(batch, (*list)[:n]...)
	for i := range (*list)[:n] {
		if it := &(*list)[i]; it.ask == nil {
			b.waiting[it.kind]--
		}
	}
	rest := copy(*list, (*list)[n:])
	clear((*list)[rest:])
	*list = (*list)[:rest]
	if rest == 0 && cap(*list) > keptItems {
		*list = nil
	}
	return batch
}

// keptItems is how many items an empty mailbox keeps room for, as many as a turn takes: more was
// a flood.
const keptItems = maxTaken
