// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/histogram"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider/providertest"
)

// together holds sessions in one virtual world, each with a text at the same instant.
func together(t *testing.T, rigs ...*rig) []*Session {
	t.Helper()
	v := NewVirtual(1_790_000_000_000)
	var list []*Session
	for _, r := range rigs {
		s, err := v.Open(t.Context(), r.settings)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
		v.At(timebase.Instant(timebase.MS(100)), func() { s.Ingress().Text("tell me a story", "") })
		v.At(timebase.Instant(timebase.MS(20000)), func() { s.Close("test_over") })
	}
	if err := v.Run(t.Context(), timebase.Instant(timebase.MS(90000))); err != nil {
		t.Fatal(err)
	}
	return list
}

func limited(id string, n eventabi.NodeID, limit int64) *rig {
	r := newRig(id)
	r.settings.Nodes = []session.NodePolicy{{Node: n, Policy: controlplane.NodeExecutionPolicy{ConcurrencyLimit: limit, FairnessKey: "gpu"}}}
	return r
}

// Two sessions share a model that answers one at a time: the second is shed, with the reason
// and the key, and tried again; where that does not help it is as if the node had failed.
func TestNodeLimitIsADecision(t *testing.T) {
	one, two := limited("s1", nodeLLM, 1), limited("s2", nodeLLM, 1)
	two.settings.FallbackReply = sorry
	together(t, one, two)
	inOrder(t, one.log, "emit turn_open turn=t1", "emit commit turn=t1", "playback_completed turn=t1")
	if one.log.count("unscheduled") != 0 {
		t.Errorf("the first was shed\n%s", one.log)
	}
	inOrder(t, two.log, "generate invocation=t1-llm-1", "attempt=1", "unscheduled invocation=t1-llm-1 attempt=1 reason=node_concurrency_limited",
		"emit shed turn=t1 reason=node_concurrency_limited", "scope=node_dispatch",
		"generate invocation=t1-llm-1 turn=t1 attempt=2", "emit commit turn=t1", "playback_completed turn=t1")

	one, two = limited("s1", nodeLLM, 1), limited("s2", nodeLLM, 1)
	one.llm.Latency.Next *= 100
	one.settings.Bootstrap.Settings.TurnBudgetMS, two.settings.FallbackReply = 9000, sorry
	together(t, one, two)
	inOrder(t, two.log, "unscheduled invocation=t1-llm-1 attempt=1", "unscheduled invocation=t1-llm-1 attempt=2",
		"emit fallback turn=t1 reason=node_unscheduled:llm", "emit commit turn=t1", "playback_completed turn=t1")
	if n := len(two.line.voiced("t1")); n != spoken(sorry) {
		t.Errorf("%d samples of the line were heard, want %d", n, spoken(sorry))
	}

	other := newRig("s3") // under a key of its own there is room
	other.settings.Nodes = []session.NodePolicy{{Node: nodeLLM, Policy: controlplane.NodeExecutionPolicy{ConcurrencyLimit: 1}}}
	together(t, limited("s1", nodeLLM, 1), other)
	if other.log.count("unscheduled") != 0 || other.log.count("emit commit") != 1 {
		t.Errorf("a session of another key was shed\n%s", other.log)
	}
}

// "Excess data waits in the edge": a recogniser that may not begin yet begins when another
// has ended, with the audio that waited.
func TestRecogniserWaitsForItsLimit(t *testing.T) {
	v := NewVirtual(1_790_000_000_000)
	one, two := limited("s1", nodeSTT, 1), limited("s2", nodeSTT, 1)
	for i, r := range []*rig{one, two} {
		s, err := v.Open(t.Context(), r.settings)
		if err != nil {
			t.Fatal(err)
		}
		c := speaking([2]int64{1000, 2000 + 300*int64(i)})
		v.Every(20*timebase.Millisecond, func() bool { s.Ingress().Audio(-1, c.next()); return v.Now().MS() < 9000 })
		v.At(timebase.Instant(timebase.MS(12000)), func() { s.Close("test_over") })
	}
	if err := v.Run(t.Context(), timebase.Instant(timebase.MS(60000))); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*rig{one, two} {
		if r.log.count("emit commit turn=t1") != 1 || r.log.count("transcript invocation=u1-stt", "final=true") != 1 || r.log.count("unscheduled") != 0 {
			t.Errorf("an utterance was lost\n%s", r.log)
		}
	}
	first := func(r *rig) string {
		for _, line := range strings.Split(r.log.String(), "\n") {
			if strings.Contains(line, "transcript invocation=u1-stt") {
				return strings.Fields(line)[0]
			}
		}
		return "none"
	}
	if a, b := first(one), first(two); a >= b || len(a) != len(b) {
		t.Errorf("the recognisers began to answer at %s and %s ms: the second did not wait", a, b)
	}
}

// What the pool cannot take at all is a decision too, and the recording of it replays.
func TestStreamsRunOut(t *testing.T) {
	hostedBy(t, Config{Shards: 1, Pool: nodehost.PoolConfig{Streams: 1}}, func(t *testing.T, h *Host) {
		one, two := newRig("s1"), newRig("s2")
		one.llm.Wait, two.llm.Wait, one.tts.Wait, two.tts.Wait = true, true, true, true
		one.llm.Latency.First = 600 * time.Millisecond
		two.settings.FallbackReply = sorry
		rec := &tape{}
		two.settings.Recorder = rec
		a, b := open(t, h, one), open(t, h, two)
		a.Ingress().Text("tell me a story", "")
		time.Sleep(100 * time.Millisecond)
		b.Ingress().Text("tell me a story", "")
		time.Sleep(20 * time.Second)
		inOrder(t, two.log, "unscheduled invocation=t1-llm-1 attempt=1 reason=execution_pool_saturated",
			"emit shed turn=t1 reason=execution_pool_saturated", "unscheduled invocation=t1-llm-1 attempt=2", "emit fallback turn=t1 reason=node_unscheduled:llm")
		if st := h.Pool(); st.Streams != 0 || st.Saturated < 2 {
			t.Errorf("%+v", st)
		}
		if one.log.count("unscheduled invocation=t1-llm") != 0 || rec.passes == 0 {
			t.Errorf("the first was shed\n%s", one.log)
		}
	})
}

// A host that is being closed and has waited for long enough begins nothing any more: what
// is asked for then is shed as execution_pool_closed.
func TestClosedPoolShedsByDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := New(Config{Shards: 1})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig("s1")
		s := open(t, h, r)
		h.pool.Close()
		s.Ingress().Text("tell me a story", "")
		time.Sleep(time.Second)
		inOrder(t, r.log, "unscheduled invocation=t1-llm-1 attempt=1 reason=execution_pool_closed",
			"emit shed turn=t1 reason=execution_pool_closed", "emit abort turn=t1 reason=node_timeout_or_failure", "emit close turn=t1")
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

// sleeper is a node that keeps its worker for longer than anybody waits.
type sleeper struct {
	node.Node
	wake  chan struct{}
	stuck *atomic.Int64
}

func (n sleeper) OnEvent(*node.Context, *node.Event) error {
	n.stuck.Add(1)
	<-n.wake
	return nil
}

// The noisy neighbours (issue: one node that stalls, one that panics, one session that
// floods) share the pool with sessions that behave: those hold their turns as if they were
// alone, counts are exact, and nothing outlives its session.
func TestNoisyNeighbours(t *testing.T) {
	hostedBy(t, Config{Shards: 2, Pool: nodehost.PoolConfig{Workers: 4, Queue: 64}}, func(t *testing.T, h *Host) {
		wake := make(chan struct{})
		var stuck atomic.Int64
		var bad []*Session
		for i := range 6 {
			r := newRig(fmt.Sprint("stalls", i))
			r.settings.Endpointer = func() (node.Node, error) {
				n, err := vad.NewEndpointNode(loud{}, vad.EndpointerConfig{})
				return sleeper{n, wake, &stuck}, err
			}
			bad = append(bad, open(t, h, r))
		}
		panics := newRig("panics")
		panics.settings.Segmenter = func() (node.Node, error) {
			n, err := segmenter.NewNode(segmenter.Default())
			return brokenNode{n, "panic"}, err
		}
		p := open(t, h, panics)
		flood := open(t, h, newRig("flood"))
		var good []*rig
		var well []*Session
		for i := range 4 {
			r := newRig(fmt.Sprint("good", i))
			r.stt.Wait, r.llm.Wait, r.tts.Wait = true, true, true
			r.stt.Utterances = append(r.stt.Utterances, providertest.Say("and another", 4000))
			good, well = append(good, r), append(well, open(t, h, r))
		}
		c := speaking([2]int64{1000, 2000}, [2]int64{11000, 12000})
		for n := range 1100 {
			time.Sleep(20 * time.Millisecond)
			frame := c.next()
			for _, s := range well {
				s.Ingress().Audio(-1, frame)
			}
			for _, s := range bad {
				s.Ingress().Audio(-1, frame)
			}
			for range 20 {
				flood.Ingress().Audio(-1, frame)
			}
			if n%25 == 0 {
				p.Ingress().Text("fail", "")
				flood.Ingress().Text("more", "")
			}
		}
		for i, s := range well {
			if st := s.Stats(); st.Kernel.Commits != 2 || st.FramesIn != 1100 || st.FramesDropped != 0 || st.NodeFailures != 0 {
				t.Errorf("%s was disturbed: %+v\n%s", s.ID(), st, good[i].log)
			}
			if n := len(good[i].line.voiced("t1")); n != spoken(story) {
				t.Errorf("%s: %d samples were heard, want %d", s.ID(), n, spoken(story))
			}
			if good[i].log.count("2540 end_of_utterance")+good[i].log.count("2541 end_of_utterance") == 0 {
				t.Errorf("%s heard the end of its caller's words late\n%s", s.ID(), good[i].log)
			}
		}
		if st := p.Stats(); st.NodeFailures == 0 || st.Faults != 0 {
			t.Errorf("the node that panics: %+v", st)
		}
		if st := flood.Stats(); st.FramesIn != 22000 {
			t.Errorf("%d frames of the flood were counted", st.FramesIn)
		}
		if st := h.Pool(); st.Stalls == 0 || st.Panics != 0 || int64(st.Stalled) > stuck.Load() {
			t.Errorf("%d hooks do not return; %+v", stuck.Load(), st)
		}
		if n := h.Timing().PoolRun.Count; n < 4*1100 {
			t.Errorf("%d runs were measured", n)
		}
		for _, s := range bad {
			s.Close("test_over")
			<-s.Done()
		}
		close(wake)
	})
}

// A host's own gauges measure its pool's queue.
func TestGaugesOfThePool(t *testing.T) {
	p, err := nodehost.NewPool(nodehost.PoolConfig{Workers: 1, Queue: 4})
	if err != nil {
		t.Fatal(err)
	}
	g := &ownGauges{lateness: new(histogram.Histogram).Snapshot, poolFill: p.QueuePerMille}
	release, began := make(chan struct{}), make(chan struct{})
	p.Seat("a").Try("n", func() { close(began); <-release })
	<-began
	p.Seat("b").Try("n", func() {})
	if late, queue := g.Pressure(); late != 0 || queue != 250 {
		t.Errorf("%d us, %d per mille", late, queue)
	}
	close(release)
	if n := p.Wait(5 * time.Second); n != 0 {
		t.Errorf("%d are left", n)
	}
	if _, err := New(Config{Pool: nodehost.PoolConfig{Workers: -3}}); err == nil || !strings.Contains(err.Error(), "pool.workers: -3: use 0") {
		t.Errorf("a bad pool: %v", err)
	}
}
