// SPDX-License-Identifier: Apache-2.0

package sessionhost

// fetchAhead is how many sessions of a queue are fetched at once: as many as the processor's
// nearest caches hold with what a frame of each needs, about 4 KB.
const fetchAhead = 16

// fetch brings the next sessions of a queue from memory, all of them together. A frame is some
// hundred instructions and touches some sixty lines of memory that nothing has touched for
// 20 ms; of thousands of sessions these are in no cache, and a processor that comes upon them
// one after the other waits for each. Lines that do not depend on each other it fetches at the
// same time: so all sessions' own first, then what those point to, and so on. What is read
// decides nothing.
//
// Somebody else may attend to a session of the queue: that one is left alone.
func (h *shard) fetch(which int) {
	q := &h.queues[which]
	if q.head < q.fetched || which != queueDue && which != queueData {
		return
	}
	q.fetched = min(q.head+fetchAhead, len(q.list))
	list := q.list[q.head:q.fetched]
	if len(list) < 2 {
		return
	}
	for depth := range fetchDepth {
		for _, s := range list {
			if s.busy {
				continue
			}
			if which == queueDue {
				h.fetched += s.touchDue(depth)
			} else {
				h.fetched += s.touchData(depth)
			}
		}
	}
}

// fetchDepth is how many pointers stand in a row.
const fetchDepth = 4

// touchDue reads what a frame of the agent needs: a field of each line of memory.
func (s *Session) touchDue(depth int) (sum int64) {
	switch depth {
	case 0:
		sum = s.touchOwn()
		if s.shown {
			sum++
		}
	case 1:
		sum = s.egress.Touch(0) + int64(s.machine.Deadline())
	default:
		sum = s.egress.Touch(depth - 1)
	}
	return sum
}

// touchData reads what a frame of the caller needs.
func (s *Session) touchData(depth int) (sum int64) {
	switch depth {
	case 0:
		sum = s.touchOwn()
		if s.settings.Recorder != nil || s.settings.Waits != nil || s.graph == nil {
			sum++
		}
	case 1:
		sum = s.machine.Touch(0) + int64(s.egress.NextTick()) + int64(len(*s.graph.listening.Load()))
		if ear := s.graph.ear.Load(); ear != nil {
			sum += ear.Touch()
		}
	default:
		sum = s.machine.Touch(depth-1) + s.graph.touch(depth)
	}
	return sum
}

// touch reads what those who listen need.
func (g *graph) touch(depth int) (sum int64) {
	if depth == 2 && g.ear.Load() != nil {
		sum = int64(g.reader.Seen())
	}
	if list := *g.listening.Load(); len(list) > 0 {
		l := list[len(list)-1]
		if sum += l.through.Load(); depth > 2 {
			sum += int64(l.reader.Seen())
			if i := l.hosted.Load(); i != nil {
				sum += i.Touch()
			}
		}
	}
	return sum
}

// touchOwn reads the session's own fields.
func (s *Session) touchOwn() int64 {
	sum := int64(s.born) + s.epoch.Load() + s.counts.frames.Load() + int64(s.last) +
		int64(len(s.pending)+len(s.again)+len(s.stepping)+s.timer.slot+len(s.fx.List))
	if s.playouts.waiting.Load() || s.meter.sink != nil {
		sum++
	}
	return sum
}
