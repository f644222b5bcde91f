// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/node"
)

// outEdge is an edge that a tap is the source of, and what its flow control has told the
// tap: each edge stops and starts it by itself (flow section 3).
type outEdge struct {
	policy  *session.EdgePolicy
	off     bool // told by XOFF
	cut     bool // given up: nothing goes there, and it stops nobody
	credits bool // one credit an item
	begun   bool // something was offered: the first window comes with the first offer
	// credit is what is in the tap's hand. The kernel counts the same: what was sent without a
	// credit waits there for one, and is paid for when one comes, or is dropped and never is.
	credit int64
	unpaid []int64 // handles of those, in order
}

// outEdges are the edges that a tap is the source of.
func (s *Settings) outEdges(id eventabi.NodeID) (list []outEdge) {
	mode := turn.ProfileFlow().ModeByLane.DataLane
	if s.Flow != nil {
		mode = s.Flow.Flow.ModeByLane.DataLane
	}
	for i := range s.Edges {
		if s.Edges[i].From == string(id) {
			list = append(list, outEdge{policy: &s.Edges[i], credits: mode != controlplane.FlowSignal})
		}
	}
	return list
}

// stopped says that one of the tap's edges takes nothing now. The lock is held.
func (x *tap) stopped() bool {
	for i := range x.outs {
		o := &x.outs[i]
		if !o.cut && (o.off || o.credits && o.begun && o.credit == 0) {
			return true
		}
	}
	return false
}

// emit offers what the tap says to the edges that it is the source of.
func (x *tap) emit(ev *node.Event) {
	for i := range x.outs {
		o := &x.outs[i]
		in := &session.Offer{
			Edge: o.policy.Edge, Kind: session.ItemInterim, Of: string(x.id), Stream: streamOf(ev), Group: groupOf(ev, o.policy),
		}
		if ev.Kind == eventabi.KindAudio {
			handle, ok := x.s.content.addAudio(ev.PCM)
			if !ok {
				continue // the session holds too much sound, and counts it
			}
			in.Handle, in.Kind, in.Media = handle, session.ItemAudio, timebase.Samples(len(ev.PCM))
			in.Bytes = 2 * int64(len(ev.PCM))
		} else {
			in.Handle, in.Bytes = x.s.content.addText(ev.Text), int64(len(ev.Text))
			if ev.Final {
				in.Kind = session.ItemFinal
			}
		}
		x.mu.Lock()
		o.spend(in.Handle)
		x.mu.Unlock()
		x.s.post(in)
	}
}

// spend pays for an item, or notes that it was not paid for.
func (o *outEdge) spend(handle int64) {
	o.begun = true
	switch {
	case !o.credits || o.cut:
	case o.credit > 0:
		o.credit--
	default:
		o.unpaid = append(o.unpaid, handle)
	}
}

// grant gives further credits. What waits for one is paid for first, as in the kernel.
func (o *outEdge) grant(n int64) {
	paid := min(n, int64(len(o.unpaid)))
	o.unpaid = append(o.unpaid[:0], o.unpaid[paid:]...)
	o.credit += n - paid
}

// settled forgets an item that went, or was dropped, without a credit.
func (o *outEdge) settled(handle int64) {
	if i := slices.Index(o.unpaid, handle); i >= 0 {
		o.unpaid = slices.Delete(o.unpaid, i, i+1)
	}
}

// streamOf numbers what an event can stand for others of: the same kind of thing, from the
// same call. A translation replaces no mood.
func streamOf(ev *node.Event) int64 { return numberOf(string(ev.Type), string(ev.Invocation)) }

// groupOf is the sync group of an event on an edge, by what the edge groups by; 0 = none.
func groupOf(ev *node.Event, p *session.EdgePolicy) int64 {
	sync := p.Policy.SyncDropPolicy
	if sync == nil || ev.Sync == nil {
		return 0
	}
	key := ev.Sync.ID
	switch sync.GroupBy {
	case controlplane.GroupByEventID:
		key = string(ev.Sync.Event)
	case controlplane.GroupByCustom:
		key = ev.Sync.Group
	case controlplane.GroupBySyncID:
	}
	if key == "" {
		return 0
	}
	return numberOf(key, "")
}

// numberOf gives names the number that the kernel knows them by, and the record keeps: it
// has no table to grow with the session. It is positive and exact in every reader of JSON
// (53 bits); FNV-1a.
func numberOf(name, of string) int64 {
	const offset, prime, bits = 14695981039346656037, 1099511628211, 53
	h := uint64(offset)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	h *= prime // between them, as for a zero byte
	for i := range len(of) {
		h = (h ^ uint64(of[i])) * prime
	}
	h ^= h >> bits
	return max(1, int64(h&(1<<bits-1))) //nolint:gosec // 53 bits
}

// flow tells a tap what one of its edges says: while one of them takes nothing, the tap
// asks for nothing more.
func (t *taps) flow(e *eventabi.Envelope) {
	t.edge(e.EdgeID, func(o *outEdge) {
		switch e.Signal { //nolint:exhaustive // the rest is not for a producer
		case eventabi.SignalFlowXOff, eventabi.SignalFlowXOn:
			o.off = e.Signal == eventabi.SignalFlowXOff
		case eventabi.SignalCreditGrant:
			o.grant(*e.Amount)
		case eventabi.SignalDegrade:
			o.cut, o.unpaid = true, nil
		}
	})
}

// gone says what has become of an item of an edge: it was delivered, or let go.
func (t *taps) gone(edge eventabi.EdgeID, handle int64) {
	t.edge(edge, func(o *outEdge) { o.settled(handle) })
}

// edge changes what a tap knows of one of its edges, and has the tap look again.
func (t *taps) edge(id eventabi.EdgeID, change func(o *outEdge)) {
	for _, x := range t.list {
		for i := range x.outs {
			o := &x.outs[i]
			if o.policy.Edge != id {
				continue
			}
			x.mu.Lock()
			was := x.stopped()
			change(o)
			free := was && !x.stopped()
			x.mu.Unlock()
			if free {
				x.instance.Kick()
			}
			return
		}
	}
}
