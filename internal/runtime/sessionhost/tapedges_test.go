// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"strconv"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
)

// speaker is a tap that says the same few things for each event it takes.
type speaker struct {
	scribe
	taken int
	says  func(i int) *node.Event // nil = no more
}

func (n *speaker) OnEvent(ctx *node.Context, _ *node.Event) error {
	n.taken++
	for i := 0; ; i++ {
		ev := n.says(i)
		if ev == nil {
			return nil
		}
		ctx.Emit(ev)
	}
}

// uttered is a text that is bound so.
func uttered(text string, sync *node.Sync) *node.Event {
	return &node.Event{Kind: eventabi.KindText, Type: node.TypeTranscript, Class: eventabi.ClassTextRaw, Text: text, Sync: sync}
}

// The edge holds five of six items, and the first has to go: all that is bound to it goes
// as well, by the key that the edge groups by.
func TestTapsBindByGroupBy(t *testing.T) {
	for by, lost := range map[controlplane.SyncGroupBy]int{
		controlplane.GroupBySyncID: 3, controlplane.GroupByEventID: 4, controlplane.GroupByCustom: 2,
	} {
		t.Run(string(by), func(t *testing.T) {
			r := newRig("s1")
			tap := &speaker{}
			tap.says = func(i int) *node.Event {
				if i == 6 || tap.taken > 1 {
					return nil
				}
				return uttered("la", &node.Sync{
					ID: "x" + strconv.Itoa(i%2), Event: eventabi.EventID("e" + strconv.Itoa(i/4)), Group: "g" + strconv.Itoa(i%3),
				})
			}
			out := edgePolicy("out", "notes", "deaf", controlplane.StrategyDrop, 5)
			out.Policy.SyncDropPolicy = &controlplane.SyncDropPolicy{
				Policy: controlplane.SyncAtomicDrop, Scope: controlplane.SyncEdgeLocal, GroupBy: by,
			}
			r.settings.Edges = []session.EdgePolicy{edgePolicy("in", session.FromAgentText, "notes", controlplane.StrategyDrop, 8), out}
			r.settings.Taps = []Tap{{ID: "notes", Node: func() (node.Node, error) { return tap, nil }}}
			virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
			then, _, _ := strings.Cut(r.log.String(), "emit playback_completed")
			if n := strings.Count(then, "release edge=out"); n != lost || r.log.count("emit drop_notice", "reason=sync_atomic") != 1 {
				t.Errorf("%d items were lost, not %d as one\n%s", n, lost, r.log)
			}
		})
	}
}

// What a node says of two kinds is two streams, and so is what it says of two calls; none
// of them is the stream of what is not one.
func TestTapStreams(t *testing.T) {
	seen := map[int64]bool{0: true}
	for _, ev := range []node.Event{{Type: "mood"}, {Type: "words"}, {Type: "words", Invocation: "u1"}, {Type: "wordsu", Invocation: "1"}} {
		if n := streamOf(&ev); n < 0 || seen[n] {
			t.Errorf("%+v is of stream %d", ev, n)
		} else {
			seen[n] = true
		}
	}
}

// newTap is a tap with two edges that lead on, in a mode.
func newTap(mode controlplane.FlowMode) (*taps, *tap) {
	s := &Settings{Edges: []session.EdgePolicy{{Edge: "a", From: "x"}, {Edge: "other", From: "y"}, {Edge: "b", From: "x"}}}
	s.Flow = &session.FlowPolicy{Flow: turn.ProfileFlow()}
	s.Flow.Flow.ModeByLane.DataLane = mode
	x := &tap{id: "x", outs: s.outEdges("x"), instance: &nodehost.Instance{}}
	return &taps{list: []*tap{x}}, x
}

// Each edge stops its tap by itself: one that lets go does not free what another holds.
func TestEachEdgeStopsItsTap(t *testing.T) {
	all, x := newTap(controlplane.FlowSignal)
	for i, step := range []struct {
		signal  eventabi.Signal
		edge    eventabi.EdgeID
		stopped bool
	}{
		{eventabi.SignalFlowXOff, "a", true},
		{eventabi.SignalFlowXOff, "b", true},
		{eventabi.SignalFlowXOff, "other", true},
		{eventabi.SignalFlowXOn, "a", true},
	} {
		all.flow(&eventabi.Envelope{Signal: step.signal, EdgeID: step.edge})
		if x.stopped() != step.stopped {
			t.Errorf("step %d: %v", i, x.stopped())
		}
	}
	x.outs[1].off = false
	if x.stopped() {
		t.Error("no edge stops it, and it is stopped")
	}
}

// A tap without a credit takes nothing more, so that nothing it says is shed for the want of
// one; a grant lets it go on. The consumer behind it takes one item in 200 ms.
func TestTapWaitsForCredits(t *testing.T) {
	for _, mode := range []controlplane.FlowMode{controlplane.FlowCredit, controlplane.FlowHybrid} {
		t.Run(string(mode), func(t *testing.T) {
			r := newRig("s1")
			flow := turn.ProfileFlow()
			flow.ModeByLane.DataLane = mode
			flow.Watermarks.DataLane = controlplane.Watermark{High: 2, Low: 1}
			r.settings.Flow = &session.FlowPolicy{Flow: flow}
			tap := &speaker{}
			tap.says = func(i int) *node.Event {
				if i == 1 {
					return nil
				}
				return uttered("la", nil)
			}
			r.settings.Edges = []session.EdgePolicy{
				edgePolicy("in", session.FromAgentText, "notes", controlplane.StrategyDrop, 64),
				edgePolicy("out", "notes", "reader", controlplane.StrategyBlock, 8),
			}
			r.settings.Edges[1].Policy.MaxBlockTimeMS = 20
			r.settings.Taps = []Tap{{ID: "notes", Node: func() (node.Node, error) { return tap, nil }}}
			r.llm.Replies = []string{strings.Repeat("And then the light went round again. ", 4)}
			granted := 0
			virtually(t, r, speaking([2]int64{1000, 2000}), 30000, func(v *Virtual, s *Session) {
				v.At(timebase.Instant(20*timebase.Second), func() {
					if granted = tap.taken; granted != 2 {
						t.Errorf("with two credits the tap took %d", granted)
					}
					s.post(&session.Ready{To: "reader", Count: 9})
				})
			})
			if tap.taken <= granted || r.log.count("reason=block_timeout edge=out") != 0 {
				t.Errorf("the tap took %d\n%s", tap.taken, r.log)
			}
		})
	}
}

// The tap counts what it sends without a credit as the edge does: a grant pays for what
// waits, and what was dropped while it waited is not paid for.
func TestTapCountsCredits(t *testing.T) {
	_, x := newTap(controlplane.FlowCredit)
	o := &x.outs[0]
	if x.stopped() {
		t.Fatal("the first window comes with the first offer")
	}
	o.spend(1)
	o.spend(2)
	o.spend(3)
	o.settled(2) // it waited in vain
	if !x.stopped() {
		t.Error("it goes on without a credit")
	}
	if o.grant(3); o.credit != 1 || len(o.unpaid) != 0 || x.stopped() {
		t.Errorf("%d credits, %v unpaid", o.credit, o.unpaid)
	}
	o.spend(4)
	if o.grant(0); !x.stopped() {
		t.Error("its credit is spent, and it goes on")
	}
}
