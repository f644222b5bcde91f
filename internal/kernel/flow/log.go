// SPDX-License-Identifier: Apache-2.0

package flow

import "github.com/parley-voice/parley/internal/kernel/timebase"

// Event is something that happened at an edge and that has to be done, told or counted.
// Which fields are set depends on What.
type Event struct {
	Edge   int // its number on the board
	What   What
	Lane   Lane
	Reason Reason
	First  int64 // sequences of dropped items
	Last   int64
	Count  int64 // dropped items; credits granted
	Handle int64
	With   int64 // handle to be joined behind Handle
	Group  int64 // sync group of the dropped items, 0 = none or several
	Domain string
	Number int64 // of a discontinuity on the edge, from 1
	Items  int64 // depth at a watermark
	TimeMS int64 // time in queue at a watermark
	Action Action
	// Through is the position behind a dropped item of sound whose consumer is known by its
	// position; it has to go on there.
	Through timebase.Samples
	Sources []int64 // lineage of a merged item
}

// What is the kind of an Event.
type What uint8

// The kinds of events.
const (
	Released      What = iota // Handle is not needed any more: its item was dropped, merged away or superseded
	Joined                    // the content of With goes behind that of Handle
	Skipped                   // the consumer has to go on at Through
	MergedOut                 // a merged item is delivered: First, Last, Count and Sources
	Dropped                   // a run of items was dropped: drop_notice
	Discontinuous             // consumers of Domain have to reset; follows the Dropped that caused it
	HighWater                 // the data lane rose above its high watermark; Action follows
	LowWater                  // it has fallen to its low watermark
	XOff                      // the lane's producer is to stop
	XOn                       // it may go on
	Granted                   // the producer has Count further credits
	Admitted                  // an item that waited with its producer is in the queue, or merged into what is; Handle
	Pressed                   // the plan answers pressure by Action, which is not the edge's to do
	Overflowed                // a protected item does not fit and may not be shed: section 8 decides
	Unrecoverable             // a protected item belongs to a group that was dropped
)

// Reason is why items were dropped (flow section 4).
type Reason uint8

// The reasons.
const (
	NoReason Reason = iota
	MaxItems
	MaxBytes
	MaxQueueMS
	MaxLatency
	BlockTimeout
	Watermark
	SyncAtomic
	Fenced
	Shed
	ReasonCount
)

func (r Reason) String() string {
	if r >= ReasonCount {
		return "unknown"
	}
	return [...]string{
		"", "max_items", "max_bytes", "max_queue_ms", "max_latency", "block_timeout", "watermark", "sync_atomic", "fenced", "shed",
	}[r]
}

// Log collects events in order. The zero value is ready; Reset keeps the memory.
type Log struct{ List []Event }

// Reset empties the log.
func (l *Log) Reset() {
	clear(l.List)
	l.List = l.List[:0]
}

// tell puts an event of the edge into a log.
func (e *Edge) tell(log *Log, ev Event) {
	ev.Edge = e.number
	log.List = append(log.List, ev)
}

// release says that a handle is free, if there is one.
func (e *Edge) release(log *Log, handle int64) {
	if handle != 0 {
		e.tell(log, Event{What: Released, Handle: handle})
	}
}
