// SPDX-License-Identifier: Apache-2.0

package waits

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// call steps a kernel and keeps account of it.
type call struct {
	*session.Machine
	keeper *Keeper
	told   []string
	fx     session.Effects
}

func newCall() *call {
	c := &call{Machine: session.New()}
	c.keeper = NewKeeper(func(m *Mark) { c.told = append(c.told, string(m.What)+" "+m.Text()) })
	return c
}

func (c *call) step(ms int64, in ...session.Input) {
	at := timebase.Instant(timebase.MS(ms))
	c.fx.Reset()
	c.Step(at, in, &c.fx)
	for _, i := range in {
		c.keeper.Took(at, i)
	}
	for _, e := range c.fx.List {
		c.keeper.Took(at, e)
	}
	c.keeper.Look(at, c.Machine)
}

func boot() *session.Bootstrap {
	return &session.Bootstrap{
		Session: "s1", Tenant: "t", Pipeline: "p", Profile: controlplane.ProfileSimple, Graph: "g", Epoch: 1, WallMS: 1,
		STT: "stt", LLM: "llm", TTS: "tts", Settings: session.Settings{AvailabilityMode: true},
	}
}

func sideEdge() *session.EdgePolicy {
	return &session.EdgePolicy{
		Edge: "notes", From: "node", To: "archive", Layers: "strategy=session max_queue_items=pipeline_spec",
		Policy: controlplane.EdgeBufferPolicy{
			Strategy: controlplane.StrategyDrop, MaxQueueItems: 3, MaxQueueMS: 1000, MaxQueueBytes: 1000, MaxLatencyContributionMS: 1000,
			Watermarks:       controlplane.EdgeWatermarks{QueueItems: &controlplane.Watermark{High: 3, Low: 1}},
			DefaultingSource: controlplane.DefaultedExplicit,
			LaneHandling: controlplane.LaneHandling{
				DataLane: controlplane.LaneTreatment(controlplane.StrategyDrop), ControlLane: controlplane.TreatPriority,
				TelemetryLane: controlplane.LaneTreatment(controlplane.StrategySample),
			},
		},
	}
}

func offer(handle int64) *session.Offer {
	return &session.Offer{Edge: "notes", Handle: handle, Kind: session.ItemInterim, Stream: handle, Bytes: 10}
}

// The account of an edge under pressure: its counts are the kernel's, the marks stand in
// order, each value has its layer, and the steps show the peak.
func TestAccountOfAnEdge(t *testing.T) {
	c := newCall()
	c.step(0, sideEdge(), boot())
	c.step(100, offer(1), offer(2))
	c.step(150, offer(3), offer(4), offer(5))
	c.step(400, &session.Ready{To: "archive", Count: 10})
	c.step(900)
	a := c.keeper.Account()
	e := a.Edge("notes")
	if e == nil || !e.Eventful() || e.From != "node" || e.To != "archive" || e.MaxItems != 3 || !e.Side {
		t.Fatalf("the edge is %+v", e)
	}
	got := e.Counts
	want := Counts{
		Offered: Lanes{Data: 5}, Delivered: Lanes{Data: 3}, Dropped: map[string]int64{"max_items": 2}, Drops: 2, Highs: 1, Lows: 1,
		PeakItems: Lanes{Data: 3}, PeakBytes: 30, LongestWaitMS: 250,
	}
	var kernel flow.Stats
	c.EdgeStats(func(id eventabi.EdgeID, s *flow.Stats, _ flow.Depth) {
		if id == "notes" {
			kernel = *s
		}
	})
	if kernel.Offered[flow.Data] != 5 || kernel.Drops() != got.Drops || kernel.Highs != got.Highs {
		t.Errorf("the kernel has counted %+v", kernel)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("counts\n%+v, want\n%+v", got, want)
	}
	marks := strings.Join(c.told, "\n")
	if want := "high notes is above its high mark: 3 items, 50 ms; then "; !strings.HasPrefix(marks, want) {
		t.Errorf("marks\n%s\nwant first %s", marks, want)
	}
	for _, want := range []string{
		"drop notes dropped 2 items: max_items", "budget_exhausted edge_budget of notes: 250 of 100 ms used; continue",
		"low notes is down at its low mark: 1 item, 250 ms",
	} {
		if !strings.Contains(marks, want) {
			t.Errorf("%q is not among the marks\n%s", want, marks)
		}
	}
	layers := map[string]string{}
	for _, s := range e.Policy {
		layers[s.Field] = s.Value + " " + s.Layer
	}
	for field, want := range map[string]string{
		"strategy": "drop session", "max_queue_items": "3 pipeline_spec", "watermarks.queue_items.high": "3 session",
		"max_queue_ms": "1000 session", "mode_by_lane.DataLane": "signal " + controlplane.ProvenanceProfile,
	} {
		if layers[field] != want {
			t.Errorf("%s is %q, want %q", field, layers[field], want)
		}
	}
	most := int64(0)
	for i, s := range e.Steps {
		most = max(most, s.Items)
		if i > 0 && s.AtMS <= e.Steps[i-1].AtMS {
			t.Errorf("steps go back: %+v", e.Steps)
		}
	}
	if most != 3 || e.Steps[len(e.Steps)-1].Items != 0 {
		t.Errorf("steps are %+v", e.Steps)
	}
}

// A session that was not let in says why, and when to come again.
func TestAccountOfARefusal(t *testing.T) {
	c := newCall()
	quota := gate.Quota{Scope: gate.ScopeTenant, Limit: gate.SessionsPerMinute, Max: 12, Action: gate.ActionDefer}
	usage := &session.Usage{}
	used := gate.Counts{}
	*used.At(gate.ScopeTenant, gate.SessionsPerMinute) = 12
	copy(usage.Counts[:], used[:])
	c.step(0, &session.Quota{Quota: quota}, usage, &session.Admission{}, boot())
	a := c.keeper.Account().Admission
	if a.Outcome != "defer" || a.Reason != "tenant_quota:sessions_per_minute" || a.RetryAfterMS != 5000 || a.Used != 12 || a.Max != 12 {
		t.Errorf("admission is %+v", a)
	}
	if got := strings.Join(c.told, "\n"); got != "refusal defer: tenant_quota:sessions_per_minute; come again in 5000 ms" {
		t.Errorf("told %q", got)
	}
}

// The host's load, its effect on an edge, budgets and the ladder.
func TestAccountOfLoadAndBudgets(t *testing.T) {
	c := newCall()
	c.step(0, sideEdge(), boot())
	c.step(100, &session.Load{Level: gate.LevelLowPriority, Reason: "processor"}, offer(1))
	c.step(200, &session.Load{})
	c.keeper.Took(0, &session.Degrade{Turn: "t1", Step: "text_only", Reason: "capability_lost:tts"})
	c.keeper.Took(0, &session.Fallback{Turn: "t1", Reason: "node_budget:llm"})
	budget := func(s eventabi.Signal, reason, payload string) {
		c.keeper.Took(0, &session.Emit{Envelope: eventabi.Envelope{Signal: s, Reason: reason, Payload: json.RawMessage(payload)}})
	}
	budget(eventabi.SignalBudgetWarning, "turn_budget:continue", `{"used_ms":1600,"turn_budget_ms":2000}`)
	budget(eventabi.SignalBudgetExhausted, "turn_hard_cap", `{"used_ms":60000,"turn_budget_ms":2000,"turn_hard_cap_ms":60000,"outcome":"terminate"}`)
	a := c.keeper.Account()
	if a.Load != (Load{Changes: 2, Highest: "low_priority", Last: "none"}) {
		t.Errorf("load is %+v", a.Load)
	}
	if a.Edge("notes").Counts.Dropped["shed"] != 1 || a.Admission.Refused["overload:low_priority"] != 1 {
		t.Errorf("the load has shed %+v, %+v", a.Edge("notes").Counts, a.Admission)
	}
	b := a.Budgets
	if b.Warnings["turn_budget"] != 1 || b.Exhaustions["turn_hard_cap"] != 1 || b.Degrades["text_only"] != 1 || b.Fallbacks != 1 {
		t.Errorf("budgets are %+v", b)
	}
	told := strings.Join(c.told, "\n")
	for _, want := range []string{
		"overload the host gives up low priority and what comes before: processor", "shed notes sheds what comes: overload:low_priority",
		"overload the host is not overloaded any more", "degrade text_only: capability_lost:tts", "budget_warning turn_budget:continue: 1600 of 2000 ms used",
		"budget_exhausted turn_hard_cap: 60000 of 60000 ms used; terminate",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not told in\n%s", want, told)
		}
	}
}

// However many marks come, memory is bounded, what is beyond is counted, and an edge that
// flutters does not hide another.
func TestMarksAreBounded(t *testing.T) {
	k := NewKeeper(nil)
	xoff := func(edge eventabi.EdgeID) {
		k.Took(0, &session.Emit{Envelope: eventabi.Envelope{Signal: eventabi.SignalFlowXOff, EdgeID: edge}})
	}
	for range 3 * MaxMarksEach {
		xoff("flutters")
	}
	xoff("other")
	a := k.Account()
	if len(a.Marks) != MaxMarksEach+1 || a.Unmarked != 2*MaxMarksEach || a.Marks[MaxMarksEach].Edge != "other" {
		t.Errorf("%d marks, %d unmarked", len(a.Marks), a.Unmarked)
	}
	for range 100 {
		amount := int64(2)
		k.Took(1, &session.Emit{Envelope: eventabi.Envelope{Signal: eventabi.SignalCreditGrant, EdgeID: "other", Amount: &amount}})
	}
	if last := a.Marks[len(a.Marks)-1]; last.What != Credit || last.Count != 200 || last.Times != 100 {
		t.Errorf("the grants are %+v", last)
	}
}

// A track never has more steps than it may, goes forward, and loses no peak (invariants 2
// and 3), whatever the depth does.
func TestTrackKeepsPeaks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		var tr track
		type look struct {
			at    float64
			items int64
		}
		var all []look
		at := 0.0
		for range 5000 {
			at += float64(random.IntN(1+round*round)) + 0.25
			items := int64(random.IntN(4))
			if random.IntN(500) == 0 {
				items = int64(100 + random.IntN(900))
			}
			all = append(all, look{at, items})
			tr.add(at, items, float64(items))
		}
		steps := tr.steps()
		if len(steps) > maxSteps+1 {
			t.Fatalf("%d steps", len(steps))
		}
		for i := 1; i < len(steps); i++ {
			if steps[i].AtMS < steps[i-1].AtMS {
				t.Fatalf("step %d goes back from %v to %v", i, steps[i-1], steps[i])
			}
		}
		for _, l := range all {
			covered := false // by a step in whose stretch it lies, or that lasts over it
			for i, s := range steps {
				end := at + tr.stretch
				if i+1 < len(steps) {
					end = steps[i+1].AtMS + tr.stretch
				}
				covered = covered || s.AtMS <= l.at && l.at <= end && s.Items >= l.items
			}
			if !covered {
				t.Fatalf("round %d: a depth of %d at %v ms is not in the steps", round, l.items, l.at)
			}
		}
	}
}

// A step is three numbers, there and back.
func TestStepCoding(t *testing.T) {
	in := []Step{{20, 3, 40.5}, {40, 0, 0}}
	b, err := json.Marshal(in)
	if err != nil || string(b) != "[[20,3,40.5],[40,0,0]]" {
		t.Fatalf("%s %v", b, err)
	}
	var out []Step
	if err := json.Unmarshal(b, &out); err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%+v %v", out, err)
	}
}
