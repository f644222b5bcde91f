// SPDX-License-Identifier: Apache-2.0

package flow

import "github.com/parley-voice/parley/internal/kernel/timebase"

// settle ends every call that may have moved something. Producers that wait come in where
// there is room; then it looks at the thresholds: the watermarks of the edge, which raise
// pressure and act, and those of flow control, which stop and start producers. What that
// frees lets others in, and waits that are over by now end. Each round has one producer
// fewer to look after.
func (e *Edge) settle(now timebase.Instant, log *Log) {
	for {
		if len(e.waiting) > 0 {
			e.admitWaiting(now, log)
		}
		e.mark(now, log)
		for lane := Data; lane < laneCount; lane++ {
			if e.rules.signals[lane] {
				e.signal(now, lane, log)
			}
		}
		if e.opened {
			e.grant(log)
		}
		if len(e.waiting) == 0 || !e.admissible(now) && !e.lapse(now, log) {
			return
		}
	}
}

// mark reports crossings of the data lane, each once: above when depth or time in queue
// has reached its high mark, below when both are at their low ones (flow section 2).
func (e *Edge) mark(now timebase.Instant, log *Log) {
	switch {
	case !e.high && e.aboveHigh(now):
		e.high = true
		e.stats.Highs++
		act := e.spec.Action()
		e.tell(log, e.crossing(now, HighWater, act))
		e.shedTo(now, act, log)
		if e.aboveLow(now) {
			return
		}
		fallthrough
	case e.high && !e.aboveLow(now):
		e.high = false
		e.stats.Lows++
		e.tell(log, e.crossing(now, LowWater, ""))
	}
}

func (e *Edge) crossing(now timebase.Instant, what What, act Action) Event {
	return Event{
		What: what, Lane: Data, Items: int64(e.lanes[Data].len()), TimeMS: e.inQueue(now).MS(), Action: act,
	}
}

// inQueue is the time that lies in the data lane: the longer of its sound and the age of
// its oldest item.
func (e *Edge) inQueue(now timebase.Instant) timebase.Span {
	return max(e.lanes[Data].media, e.Age(now))
}

func (e *Edge) aboveHigh(now timebase.Instant) bool {
	s := e.spec
	return s.HighItems > 0 && int64(e.lanes[Data].len()) >= s.HighItems || s.HighTime > 0 && e.inQueue(now) >= s.HighTime
}

func (e *Edge) aboveLow(now timebase.Instant) bool {
	s := e.spec
	return s.HighItems > 0 && int64(e.lanes[Data].len()) > s.LowItems || s.HighTime > 0 && e.inQueue(now) > s.LowTime
}

// signal stops and starts the producer of a lane that has it told. Control is never stopped
// (flow section 3).
// An edge whose watermarks act by blocking stops its producer at them as well: sound
// fills an edge by time long before it does by number.
func (e *Edge) signal(now timebase.Instant, lane Lane, log *Log) {
	n := int64(e.lanes[lane].len())
	blocks := lane == Data && e.rules.blocks
	switch {
	case !e.off[lane] && (n >= e.spec.FlowHigh[lane] || blocks && e.high):
		e.off[lane] = true
		e.stats.XOffs++
		e.tell(log, Event{What: XOff, Lane: lane, Items: n, TimeMS: e.inQueue(now).MS()})
	case e.off[lane] && n <= e.spec.FlowLow[lane] && !(blocks && e.high):
		e.off[lane] = false
		e.stats.XOns++
		e.tell(log, Event{What: XOn, Lane: lane, Items: n})
	}
}

// Off says that a lane's producer was told to stop.
func (e *Edge) Off(lane Lane) bool { return e.off[lane] }

// High says that the data lane is above its high watermark.
func (e *Edge) High() bool { return e.high }
