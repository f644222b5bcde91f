// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// over says which bound an item would break if it came into the data lane now, NoReason
// when it fits. The four bounds are independent (flow section 1): items and bytes, the
// time that lies in the queue (the longer of its sound and the age of its oldest item),
// and the latency that the oldest item has gathered already.
func (e *Edge) over(now timebase.Instant, it *Item) Reason {
	q := &e.lanes[Data]
	switch {
	case int64(q.len())+1 > e.spec.Items:
		return MaxItems
	case q.bytes+it.Bytes > e.spec.Bytes:
		return MaxBytes
	case max(q.media+it.Media, e.age(now)) > e.spec.Queue:
		return MaxQueueMS
	case e.age(now) > e.spec.Latency:
		return MaxLatency
	}
	return NoReason
}

// admit brings an item into the data lane, by the edge's strategy when it does not fit.
func (e *Edge) admit(now timebase.Instant, it *Item, log *Log) Verdict {
	why := e.over(now, it)
	switch {
	case why == NoReason:
		e.push(it)
		return Taken
	case e.spec.Strategy == controlplane.StrategyBlock:
		return e.park(now, it, log)
	}
	return e.shed(now, it, why, e.spec.Strategy, log)
}

// shed makes room by a strategy that does not wait. What cannot be shed waits for the
// decision of section 8.
func (e *Edge) shed(now timebase.Instant, it *Item, why Reason, how controlplane.BufferStrategy, log *Log) Verdict {
	if how == controlplane.StrategyMerge && e.mergeTail(now, it, log) {
		return Taken
	}
	if !e.tooLarge(it) && e.makeRoom(now, it, why, how, log) && !e.lost(it.Group) {
		e.push(it)
		return Taken
	}
	if it.Kind.Protected() {
		return e.overflow(it, log)
	}
	if e.lost(it.Group) {
		why = SyncAtomic // its group went to make room
	}
	e.dropGroup(*it, why, log)
	return Refused
}

// tooLarge says that an item fits into no queue of this edge, not even an empty one.
func (e *Edge) tooLarge(it *Item) bool { return it.Bytes > e.spec.Bytes || it.Media > e.spec.Queue }

// makeRoom drops or merges what lies in the data lane until an item fits. It says false
// when the item itself has to go.
func (e *Edge) makeRoom(now timebase.Instant, it *Item, why Reason, how controlplane.BufferStrategy, log *Log) bool {
	protected := it.Kind.Protected()
	newest := false
	switch how {
	case controlplane.StrategyDrop:
		newest = e.spec.Victim == controlplane.VictimNewest
		if newest && !protected {
			return false
		}
	case controlplane.StrategySample:
		e.sampled++
		if e.sampled%e.spec.Every != 0 && !protected {
			return false
		}
	case controlplane.StrategyMerge:
		e.mergeAll(log)
	case controlplane.StrategyLatestOnly:
		e.supersede(it, why, log)
	case controlplane.StrategyBlock:
	}
	for e.over(now, it) != NoReason {
		if !e.dropOne(newest, why, log) {
			return false
		}
	}
	return true
}

// dropOne drops the oldest or the newest item that may be dropped.
func (e *Edge) dropOne(newest bool, why Reason, log *Log) bool {
	q := &e.lanes[Data]
	for k := range q.len() {
		i := k
		if newest {
			i = q.len() - 1 - k
		}
		if !e.shielded(q.at(i)) {
			e.dropGroup(q.remove(i), why, log)
			return true
		}
	}
	return false
}

// mergeTail merges an item into the youngest neighbour, where that keeps the bounds: it
// takes no place, but bytes and sound.
func (e *Edge) mergeTail(now timebase.Instant, it *Item, log *Log) bool {
	q := &e.lanes[Data]
	if q.len() == 0 || !q.at(q.len()-1).alike(it) {
		return false
	}
	tail := q.at(q.len() - 1)
	bytes, media := it.Bytes, it.Media
	if it.Kind != Audio {
		bytes, media = it.Bytes-tail.Bytes, it.Media-tail.Media
	}
	if q.bytes+bytes > e.spec.Bytes || max(q.media+media, e.age(now)) > e.spec.Queue || e.age(now) > e.spec.Latency {
		return false
	}
	q.bytes += bytes
	q.media += media
	e.merge(tail, it, log)
	e.stats.PeakBytes = max(e.stats.PeakBytes, q.bytes)
	e.stats.PeakMedia = max(e.stats.PeakMedia, q.media)
	return true
}

// mergeAll merges every pair of neighbours that are alike, oldest first.
func (e *Edge) mergeAll(log *Log) {
	q := &e.lanes[Data]
	for i := 0; i+1 < q.len(); {
		if !q.at(i).alike(q.at(i + 1)) {
			i++
			continue
		}
		younger := q.remove(i + 1)
		older := q.at(i)
		bytes, media := older.Bytes, older.Media
		e.merge(older, &younger, log)
		q.bytes += older.Bytes - bytes
		q.media += older.Media - media
	}
}

// merge joins two neighbours and says what becomes of their contents.
func (e *Edge) merge(older, younger *Item, log *Log) {
	e.stats.Merged++
	handle, joined := older.absorb(younger)
	switch {
	case !joined:
		e.release(log, handle)
	case handle != 0:
		e.tell(log, Event{What: Joined, Lane: older.Lane, Handle: older.Handle, With: handle})
	}
}

// supersede keeps, of every stream, the newest item that may be dropped (latest_only).
// An item that comes is the newest of its own.
func (e *Edge) supersede(it *Item, why Reason, log *Log) {
	q := &e.lanes[Data]
	for i := 0; i < q.len(); {
		old := q.at(i)
		if !e.shielded(old) && (old.Stream == it.Stream && !it.Kind.Protected() || e.superseded(i)) {
			e.dropGroup(q.remove(i), why, log)
			i = 0 // a group may have gone with it
			continue
		}
		i++
	}
}

// superseded says that a newer item of the same stream lies behind the i-th.
func (e *Edge) superseded(i int) bool {
	q := &e.lanes[Data]
	for j := i + 1; j < q.len(); j++ {
		if q.at(j).Stream == q.at(i).Stream && q.at(j).Kind == q.at(i).Kind {
			return true
		}
	}
	return false
}

// shedStale drops what has waited too long before it is delivered: a bound in time
// breaks at dequeue as well as at enqueue. What is protected is delivered late. Of a
// latest_only edge the newest of a stream survives its age.
func (e *Edge) shedStale(now timebase.Instant, log *Log) {
	q := &e.lanes[Data]
	for q.len() > 0 {
		why := NoReason
		switch {
		case e.age(now) > e.spec.Latency:
			why = MaxLatency
		case max(q.media, e.age(now)) > e.spec.Queue:
			why = MaxQueueMS
		}
		if why == NoReason || e.shielded(q.at(0)) {
			return
		}
		if e.spec.Strategy == controlplane.StrategyLatestOnly && !e.superseded(0) {
			return
		}
		e.dropGroup(q.remove(0), why, log)
	}
}

// shedTo drops or merges down to the low watermarks: the action of a crossing.
func (e *Edge) shedTo(now timebase.Instant, how Action, log *Log) {
	q := &e.lanes[Data]
	switch how {
	case ActMerge:
		e.mergeAll(log)
	case ActLatestOnly:
		e.supersede(&Item{Stream: -1, Kind: Final}, Watermark, log)
	case ActDrop:
		newest := e.spec.Victim == controlplane.VictimNewest
		for q.len() > 0 && e.aboveLow(now) && e.dropOne(newest, Watermark, log) {
		}
	case ActDegrade, ActFallback:
		e.tell(log, Event{What: Pressed, Lane: Data, Reason: Watermark, Action: how})
	case ActBlock:
	}
}

// offerControl takes control. It is never dropped; what is there already in the same
// words is not put down twice.
func (e *Edge) offerControl(it *Item, log *Log) Verdict {
	q := &e.lanes[Control]
	if it.Stream != 0 {
		for i := range q.len() {
			if old := q.at(i); old.Stream == it.Stream && old.Kind == it.Kind {
				e.stats.Coalesced++
				e.release(log, it.Handle)
				return Taken
			}
		}
	}
	if q.len() >= ControlItems {
		return Breach
	}
	e.push(it)
	return Taken
}

// offerTelemetry takes telemetry, or drops it: it never waits and delays nothing.
func (e *Edge) offerTelemetry(it *Item, log *Log) Verdict {
	q := &e.lanes[Telemetry]
	full := q.len() >= TelemetryItems
	pressed := full || e.off[Telemetry]
	switch e.spec.Telemetry {
	case controlplane.TreatSample:
		if pressed {
			e.sampled++
			if e.sampled%e.spec.Every != 0 {
				e.drop(*it, MaxItems, log)
				return Refused
			}
		}
	case controlplane.TreatDrop:
		if pressed && !full { // XOFF is advice, and dropping heeds it
			e.drop(*it, Watermark, log)
			return Refused
		}
	default: // best_effort_drop: only when there is no room
	}
	if full {
		e.drop(q.remove(0), MaxItems, log)
	}
	e.push(it)
	return Taken
}
