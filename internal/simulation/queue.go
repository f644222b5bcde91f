// SPDX-License-Identifier: Apache-2.0

package simulation

import "github.com/parley-voice/parley/internal/kernel/timebase"

// event is something that the world will do at an instant.
type event struct {
	at   timebase.Instant
	seq  uint32 // order of those at one instant
	kind eventKind
	who  int32 // the call, or another small argument
	arg  int64
}

type eventKind uint8

const (
	evAct       eventKind = iota // the caller does something; arg is the act
	evVoiceOn                    // who is the speech
	evVoiceOff                   //
	evEndpoint                   //
	evHear                       // the recogniser has a partial; who is the call
	evHeard                      // the recogniser has its final
	evThink                      // the language model goes on
	evVoice                      // the synthesiser goes on
	evStopped                    // a cancelled call answers
	evAppended                   // the recorder answers; who is the turn
	evSnapshot                   // the control plane refreshes its snapshots
	evRenew                      // the lease authority speaks
	evTrouble                    // a fault of the surroundings; arg is the Fault
	evLink                       // the link changes; arg is the state
	evIdle                       // the caller looks whether anything goes on
	evPressure                   // the host measures its pressure
	evOffer                      // a node has something for its edge; who is the wire
	evReady                      // a reader asks for more; who it is
	evDuplicate                  // a message is delivered again, in a pass of its own
	evTool                       // a tool answers; who it is
	evWork                       // a node of the graph is done; who is its job
	evClient                     // the client says something beside sound and text
	evFrame                      // a caller frame that was held up, in a pass of its own; arg is its position
)

// alone says that the event's inputs make up a pass of their own.
func (k eventKind) alone() bool { return k == evDuplicate || k == evFrame }

// queue is a binary heap of events, earliest first.
type queue struct {
	heap []event
	seq  uint32
}

func (q *queue) reset() { q.heap, q.seq = q.heap[:0], 0 }

func (q *queue) next() timebase.Instant {
	if len(q.heap) == 0 {
		return timebase.Never
	}
	return q.heap[0].at
}

func (a *event) before(b *event) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

func (q *queue) push(e event) {
	q.seq++
	e.seq = q.seq
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if q.heap[up].before(&e) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = e
}

func (q *queue) pop() event {
	top := q.heap[0]
	n := len(q.heap) - 1
	last := q.heap[n]
	q.heap = q.heap[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && q.heap[down+1].before(&q.heap[down]) {
			down++
		}
		if last.before(&q.heap[down]) {
			break
		}
		q.heap[i] = q.heap[down]
		i = down
	}
	q.heap[i] = last
	return top
}
