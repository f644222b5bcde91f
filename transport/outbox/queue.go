// SPDX-License-Identifier: Apache-2.0

package outbox

import "github.com/parley-voice/parley/transport"

// queue holds messages in order. Its memory is as large as it ever had to be.
type queue struct {
	list    []Message // from head on
	head    int
	audio   int
	control int
	bytes   int // of control
}

func (q *queue) len() int { return len(q.list) - q.head }

func (q *queue) push(m Message) {
	if len(q.list) == cap(q.list) && q.head > 0 {
		q.drop(func(*Message) bool { return false }, nil)
	}
	q.list = append(q.list, m)
	q.count(&m, 1)
}

func (q *queue) pop() Message {
	m := q.list[q.head]
	q.list[q.head] = Message{}
	q.head++
	if q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	q.count(&m, -1)
	return m
}

func (q *queue) count(m *Message, by int) {
	if m.Audio {
		q.audio += by
		return
	}
	q.control += by
	q.bytes += by * len(m.Data)
}

// drop takes out what match says, tells gone of each, and gives their number. What stays
// keeps its order.
func (q *queue) drop(match func(*Message) bool, gone func(*Message)) int64 {
	kept, n := 0, int64(0)
	for i := q.head; i < len(q.list); i++ {
		m := &q.list[i]
		if match(m) {
			q.count(m, -1)
			gone(m)
			n++
			continue
		}
		q.list[kept] = *m
		kept++
	}
	clear(q.list[kept:])
	q.list, q.head = q.list[:kept], 0
	return n
}

// dropOldest takes out the oldest audio.
func (q *queue) dropOldest(gone func(*Message)) {
	found := false
	q.drop(func(m *Message) bool {
		if found || !m.Audio {
			return false
		}
		found = true
		return true
	}, gone)
}

// fences are the scopes whose audio is refused: the latest few, and the session's end.
type fences struct {
	latest [rememberFences]transport.Fence
	n      int
}

func (f *fences) add(fence transport.Fence) {
	if f.hold(&Message{Audio: true, Turn: fence.Turn, Generation: fence.Generation}) && !fence.Session {
		return // it is named again
	}
	if fence.Session { // outlives all that come later: there is nothing to tell apart any more
		for i := range f.latest {
			f.latest[i] = fence
		}
		f.n = len(f.latest)
		return
	}
	f.latest[f.n%len(f.latest)] = fence
	f.n++
}

func (f *fences) hold(m *Message) bool {
	for i := range min(f.n, len(f.latest)) {
		if covers(f.latest[i], m) {
			return true
		}
	}
	return false
}

// covers says whether a fence names a message. Generations are counted over a session, so
// one is enough: a cancel of the current turn is fenced before its name is known. Without
// one the fence is for all of a turn.
func covers(f transport.Fence, m *Message) bool {
	switch {
	case !m.Audio:
		return false
	case f.Session:
		return true
	case f.Generation != 0:
		return f.Generation == m.Generation
	}
	return f.Turn != "" && f.Turn == m.Turn
}
