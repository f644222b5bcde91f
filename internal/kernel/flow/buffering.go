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
	return e.breaks(q.len()+1, q.bytes+it.Bytes, q.media+it.Media, e.Age(now))
}

// breaks says which bound a content of the data lane breaks.
func (e *Edge) breaks(items int, bytes int64, media, age timebase.Span) Reason {
	switch {
	case int64(items) > e.spec.Items:
		return MaxItems
	case bytes > e.spec.Bytes:
		return MaxBytes
	case max(media, age) > e.spec.Queue:
		return MaxQueueMS
	case age > e.spec.Latency:
		return MaxLatency
	}
	return NoReason
}

// admit brings an item into the data lane, by the edge's strategy when it does not fit.
func (e *Edge) admit(now timebase.Instant, it *Item, log *Log) Verdict {
	why := e.over(now, it)
	switch {
	case why == NoReason:
		e.push(now, it)
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
	if !e.hopeless(now, it) && e.makeRoom(now, it, why, how, log) {
		e.push(now, it)
		return Taken
	}
	if e.kept(it) {
		return e.overflow(0, it, log)
	}
	e.dropGroup(*it, why, log)
	return Refused
}

// hopeless says that an item would not fit even if everything went that may be dropped:
// then nothing is dropped for it.
func (e *Edge) hopeless(now timebase.Instant, it *Item) bool {
	q := &e.lanes[Data]
	stays := queue{}
	items, age := 0, timebase.Span(0)
	for i := range q.len() {
		x := q.at(i)
		if !e.shielded(x, it) {
			continue
		}
		if items == 0 {
			age = e.clock(now) - x.since
		}
		items++
		stays.bytes += x.Bytes
		stays.media += x.Media
	}
	return e.breaks(items+1, stays.bytes+it.Bytes, stays.media+it.Media, age) != NoReason
}

// makeRoom drops or merges what lies in the data lane until an item fits. It says false
// when the item itself has to go.
func (e *Edge) makeRoom(now timebase.Instant, it *Item, why Reason, how controlplane.BufferStrategy, log *Log) bool {
	kept := e.kept(it)
	newest := false
	switch how {
	case controlplane.StrategyDrop:
		newest = e.spec.Victim == controlplane.VictimNewest
		if newest && !kept {
			return false
		}
	case controlplane.StrategySample:
		if !kept && !e.sample(Data) {
			return false
		}
	case controlplane.StrategyMerge:
		e.mergeAll(log)
	case controlplane.StrategyLatestOnly:
		e.supersede(it, why, log)
	case controlplane.StrategyBlock:
	}
	for e.over(now, it) != NoReason && !e.lost(it.Group) && e.dropOne(newest, it, why, log) {
	}
	return e.over(now, it) == NoReason && !e.lost(it.Group) // its group may have gone to make room
}

// sample counts an item that sample has to judge, and says whether it is an Nth one.
func (e *Edge) sample(lane Lane) bool {
	e.sampled[lane]++
	return e.sampled[lane]%e.spec.Every == 0
}

// dropOne drops the oldest or the newest item that may be dropped for another to come in.
func (e *Edge) dropOne(newest bool, coming *Item, why Reason, log *Log) bool {
	q := &e.lanes[Data]
	for k := range q.len() {
		i := k
		if newest {
			i = q.len() - 1 - k
		}
		if !e.shielded(q.at(i), coming) {
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
	if e.breaks(q.len(), q.bytes+bytes, q.media+media, e.Age(now)) != NoReason {
		return false
	}
	q.bytes += bytes
	q.media += media
	it.since = e.clock(now)
	e.owe(it)
	e.merge(tail, it, log)
	e.stats.PeakBytes = max(e.stats.PeakBytes, q.bytes)
	e.stats.PeakMedia = max(e.stats.PeakMedia, q.media)
	return true
}

// mergeAll merges every pair of neighbours that are alike, oldest first.
func (e *Edge) mergeAll(log *Log) {
	q := &e.lanes[Data]
	last := -1 // the place of the one before
	q.sweep(func(i int) bool {
		if last < 0 || !q.at(last).alike(q.at(i)) {
			last++
			return false
		}
		older := q.at(last)
		bytes, media := older.Bytes, older.Media
		e.merge(older, q.at(i), log)
		q.bytes += older.Bytes - bytes
		q.media += older.Media - media
		return true
	})
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
// An item that comes, if one does, is the newest of its own.
func (e *Edge) supersede(coming *Item, why Reason, log *Log) {
	q := &e.lanes[Data]
	for i := 0; i < q.len(); {
		old := q.at(i)
		if e.shielded(old, coming) || !q.superseded(i) && (coming == nil || !old.same(coming)) {
			i++
			continue
		}
		alone := !e.atomic(old.Group)
		e.dropGroup(q.remove(i), why, log)
		if !alone {
			i = 0 // others went with it
		}
	}
}

// shedStale drops what has waited too long before it is delivered: a bound in time
// breaks at dequeue as well as at enqueue. What is protected is delivered late. Of a
// latest_only edge the newest of a stream survives its age. It says whether anything went.
func (e *Edge) shedStale(now timebase.Instant, log *Log) (shed bool) {
	q := &e.lanes[Data]
	for ; q.len() > 0; shed = true {
		why := NoReason
		switch {
		case e.Age(now) > e.spec.Latency:
			why = MaxLatency
		case max(q.media, e.Age(now)) > e.spec.Queue:
			why = MaxQueueMS
		}
		if why == NoReason || e.shielded(q.at(0), nil) {
			return shed
		}
		if e.spec.Strategy == controlplane.StrategyLatestOnly && !q.superseded(0) {
			return shed
		}
		e.dropGroup(q.remove(0), why, log)
	}
	return shed
}

// shedTo drops or merges down to the low watermarks: the action of a crossing.
func (e *Edge) shedTo(now timebase.Instant, how Action, log *Log) {
	q := &e.lanes[Data]
	switch how {
	case ActMerge:
		e.mergeAll(log)
	case ActLatestOnly:
		e.supersede(nil, Watermark, log)
	case ActDrop:
		newest := e.spec.Victim == controlplane.VictimNewest
		for q.len() > 0 && e.aboveLow(now) && e.dropOne(newest, nil, Watermark, log) {
		}
	case ActDegrade, ActFallback:
		e.tell(log, Event{What: Pressed, Lane: Data, Reason: Watermark, Action: how})
	case ActBlock:
	}
}

// offerControl takes control. It is never dropped: when there is no room, what says the
// same is put down once (flow section 4).
func (e *Edge) offerControl(now timebase.Instant, it *Item, log *Log) Verdict {
	q := &e.lanes[Control]
	if q.len() >= ControlItems {
		e.coalesce(it, log)
	}
	if q.len() >= ControlItems {
		return Breach
	}
	e.push(now, it)
	return Taken
}

// coalesce lets go of control that is said again later. Of duplicates the last one stays:
// between an XOFF and the next there was an XON, and the lane's state is what it was told
// last. Stream 0 is never said twice.
func (e *Edge) coalesce(coming *Item, log *Log) {
	q := &e.lanes[Control]
	for i := 0; i < q.len(); {
		if old := q.at(i); old.Stream == 0 || !old.same(coming) && !q.superseded(i) {
			i++
			continue
		}
		e.stats.Coalesced++
		e.release(log, q.remove(i).Handle)
	}
}

// offerTelemetry takes telemetry, or drops it: it never waits and delays nothing.
func (e *Edge) offerTelemetry(now timebase.Instant, it *Item, log *Log) Verdict {
	q := &e.lanes[Telemetry]
	full := q.len() >= TelemetryItems
	why := Watermark // XOFF is advice, and dropping heeds it
	if full {
		why = MaxItems
	}
	off, sampled := e.off[Telemetry], e.spec.Telemetry == controlplane.TreatSample
	if off && e.spec.Telemetry == controlplane.TreatDrop || (off || full) && sampled && !e.sample(Telemetry) {
		e.drop(*it, why, log)
		return Refused
	}
	if full { // best_effort_drop waits for this
		e.drop(q.remove(0), MaxItems, log)
	}
	e.push(now, it)
	return Taken
}
