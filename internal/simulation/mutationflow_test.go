// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// onGiven changes signals about edges that nodes offer to.
func onGiven(s eventabi.Signal, f func(v *eventabi.Envelope)) func(*world) {
	return onSignal(s, func(w *world, v *eventabi.Envelope) {
		if v.EdgeID != "" && w.watch.edge(v.EdgeID).given {
			f(v)
		}
	})
}

func flowMutations() map[Invariant]func(*world) {
	return map[Invariant]func(*world){
		// The policy in force is tighter than the one that the kernel obeys.
		EdgeBoundsHold: func(w *world) {
			for i := range w.watch.edges.list {
				w.watch.edges.list[i].policy.MaxQueueBytes = 50
			}
		},
		OffersAccounted: drop(func(_ *world, e session.Effect) bool { _, ok := e.(*session.Release); return ok }),
		// Two deliveries of one edge change places.
		EdgeOrderKept: edit(func(_ *world, list []session.Effect) []session.Effect {
			last := -1
			for i, e := range list {
				d, ok := e.(*session.Deliver)
				if !ok {
					continue
				}
				if last >= 0 && list[last].(*session.Deliver).Edge == d.Edge {
					list[last], list[i] = list[i], list[last]
					return list
				}
				last = i
			}
			return list
		}),
		// What the watch knows as interim text is dropped as if it were final.
		ProtectedNeverLost: func(w *world) {
			for i := range w.watch.edges.list {
				for j := range w.watch.edges.list[i].lies {
					if x := &w.watch.edges.list[i].lies[j]; x.gone && !w.watch.ended {
						x.kind = session.ItemFinal
					}
				}
			}
		},
		NoticeBeforeDelivery: onGiven(eventabi.SignalDropNotice, func(v *eventabi.Envelope) {
			v.SeqRange = &eventabi.SeqRange{Start: v.SeqRange.Start, End: v.SeqRange.End}
			v.Payload = []byte(`{"count":99}`)
		}),
		// A member of the group that fell in this step is delivered after all.
		AtomicAllOrNothing: edit(func(w *world, list []session.Effect) []session.Effect {
			for i, e := range list {
				emit, ok := e.(*session.Emit)
				if !ok || emit.Envelope.Signal != eventabi.SignalDropNotice || emit.Envelope.Reason != flow.SyncAtomic.String() {
					continue
				}
				group, _ := numberIn(emit.Envelope.Payload, "sync_group")
				for _, later := range list[i+1:] {
					if d, ok := later.(*session.Deliver); ok && d.Edge == emit.Envelope.EdgeID {
						d.Group = group
						if x := w.watch.edge(d.Edge).byHandle(d.Handle); x != nil {
							x.group = group
						}
						return list
					}
				}
			}
			return list
		}),
		DiscontinuityFollows: drop(func(_ *world, e session.Effect) bool {
			emit, ok := e.(*session.Emit)
			return ok && emit.Envelope.Signal == eventabi.SignalDiscontinuity && emit.Envelope.EdgeID != ""
		}),
		WaitsCapped: func(w *world) {
			for i := range w.watch.edges.list {
				e := &w.watch.edges.list[i]
				if d, ok := w.kernel.Depth(e.id); ok && e.given && d.Waiting > 0 {
					w.watch.deadline = timebase.Never
				}
			}
		},
		// A metric is delivered ahead of the data that goes out in the same step.
		LanesByPriority: edit(func(_ *world, list []session.Effect) []session.Effect {
			first := slices.IndexFunc(list, func(e session.Effect) bool {
				d, ok := e.(*session.Deliver)
				return ok && d.Kind != session.ItemMetric
			})
			if first < 0 {
				return list
			}
			for i := first + 1; i < len(list); i++ {
				data := list[first].(*session.Deliver)
				if d, ok := list[i].(*session.Deliver); ok && d.Kind == session.ItemMetric && d.To == data.To {
					list[first], list[i] = list[i], list[first]
					return list
				}
			}
			return list
		}),
		DeliveredOnDemand: func(w *world) {
			for i := range w.watch.edges.readers {
				w.watch.edges.readers[i].demand = 0
			}
		},
		CreditsHold: onGiven(eventabi.SignalCreditGrant, func(v *eventabi.Envelope) {
			more := *v.Amount + 1
			v.Amount = &more
		}),
		NoSendWhileStopped: drop(func(_ *world, e session.Effect) bool { return isSignal(e, eventabi.SignalFlowXOn) }),
		SignalsAlternate:   twiceSignal(eventabi.SignalWatermark),
		ControlNeverRefused: func(w *world) {
			for _, in := range w.in {
				if o, ok := in.(*session.Overflow); ok && o.Lane == eventabi.ControlLane {
					w.watch.edges.full = true
					w.fx.List = nil
				}
			}
		},
		// A session that an edge beside the turn ended.
		EdgesDrain: on(func(_ *world, e *session.SessionChange) {
			if e.To == controlplane.SessionEnded {
				e.Reason = string(controlplane.AbortRuntimeInternalError) + ":edge_side-0"
			}
		}),
	}
}

// byHandle finds what lies on the edge.
func (e *edgeWatch) byHandle(handle int64) *lying {
	if i := e.held(handle); i >= 0 {
		return &e.lies[i]
	}
	return nil
}
