// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// A machine that was never stepped wants to be woken: a session without a bootstrap ends
// (lifecycle section 1).
func TestNewMachine(t *testing.T) {
	m := New()
	if m.State() != controlplane.SessionConnecting || m.TurnState() != controlplane.TurnIdle || m.Degraded() {
		t.Errorf("a new session is %s, its turn %s, degraded %v", m.State(), m.TurnState(), m.Degraded())
	}
	if m.Deadline() != timebase.Instant(timebase.MS(10000)) {
		t.Errorf("it waits for its bootstrap until %d ms, want 10000", m.Deadline().MS())
	}
}

// Instants do not go back: an earlier one counts as the present.
func TestTimeDoesNotGoBack(t *testing.T) {
	d := newDrunk(2, false)
	m := d.machine
	m.Step(timebase.Instant(5*timebase.Second), []Input{&Wake{}}, &Effects{})
	m.Step(timebase.Instant(1*timebase.Second), []Input{&CloseRequest{}}, &Effects{})
	if m.now != timebase.Instant(5*timebase.Second) {
		t.Errorf("now is %d ms", m.now.MS())
	}
}

// Effects of a step are appended: the caller may collect several steps.
func TestStepAppends(t *testing.T) {
	d := newDrunk(2, false)
	var fx Effects
	d.machine.Step(d.at, []Input{&Stop{}}, &fx)
	d.machine.Step(d.at, []Input{&Stop{}}, &fx)
	if len(fx.List) != 2 {
		t.Errorf("%d effects of two steps, want 2", len(fx.List))
	}
	fx.Reset()
	if len(fx.List) != 0 {
		t.Error("Reset keeps effects")
	}
}

// rig steps a machine by lines of a script, at the present instant.
type rig struct {
	t  *testing.T
	m  *Machine
	at timebase.Instant
	fx Effects
}

func (r *rig) step(lines ...string) []Effect {
	r.t.Helper()
	var in []Input
	for _, line := range lines {
		i, err := ParseInput(expand(line))
		if err != nil {
			r.t.Fatal(err)
		}
		in = append(in, i)
	}
	r.fx.Reset()
	r.m.Step(r.at, in, &r.fx)
	return r.fx.List
}

func newRig(t *testing.T, boot string) *rig {
	t.Helper()
	r := &rig{t: t, m: New()}
	r.step(boot, "fresh")
	return r
}

// A queued proposal opens in whatever pass ends the turn before it, so the shell has to
// know that it waits.
func TestWaiting(t *testing.T) {
	r := newRig(t, "boot overlap_policy=queue")
	m := r.m
	r.step("text_in text=1 runes=4 words=1 class=2")
	if m.Waiting() {
		t.Error("with one proposal, which opened, something waits")
	}
	r.step("text_in text=2 runes=4 words=1 class=2")
	if !m.Waiting() {
		t.Error("a queued proposal does not wait")
	}
	r.step("cancel scope=turn")
	if m.Waiting() || m.turn.id != "t2" {
		t.Errorf("after the turn has ended the proposal waits: the turn is %s", m.turn.id)
	}
}

// Lifecycle section 8: what does not stop within its grace is detached and the session
// counts as degraded; a cancel that is obeyed degrades nothing.
func TestDegraded(t *testing.T) {
	for name, row := range map[string]struct {
		answer string
		want   bool
	}{"deaf": {"wake", true}, "obedient": {"cancel_ack invocation=t1-llm-1", false}} {
		r := newRig(t, "boot")
		r.step("text_in text=1 runes=4 words=1 class=2")
		r.step("cancel scope=turn")
		r.step(row.answer)
		r.at = r.at.Add(cancelGrace)
		r.step("wake")
		if r.m.Degraded() != row.want {
			t.Errorf("%s: degraded %v", name, r.m.Degraded())
		}
	}
	r := newRig(t, "boot")
	r.step("node_failed node=vad reason=panic")
	if !r.m.Degraded() {
		t.Error("a session that lost a node is not degraded")
	}
}

// Lifecycle section 1: degraded is also a session whose turn runs with reduced fidelity, for
// as long as it runs.
func TestDegradedTurn(t *testing.T) {
	r := newRig(t, "boot")
	r.step("quota scope=session limit=tts_characters max=100 action=degrade", "usage session_tts_characters=100")
	r.step("text_in text=1 runes=4 words=1 class=2")
	if !r.m.Degraded() {
		t.Error("a turn that opened with reduced fidelity degrades nothing")
	}
	r.step("cancel scope=turn")
	if r.m.Degraded() {
		t.Error("a turn that is over degrades the session")
	}
	r.step("usage", "text_in text=2 runes=4 words=1 class=2")
	if !r.m.arbiter.Live() || r.m.Degraded() {
		t.Error("the next turn does not climb back")
	}
}

// The flags of the levels that edges and observers go by.
func TestLoadIsKnown(t *testing.T) {
	r := newRig(t, "boot")
	for _, line := range []string{"load level=1", "load level=4 reason=memory", "load level=200", "load"} {
		r.step(line)
		in, err := ParseInput(line)
		if err != nil {
			t.Fatal(err)
		}
		if want := min(in.(*Load).Level, gate.LevelLowPriority); r.m.Load() != want {
			t.Errorf("%s: the level is %d", line, r.m.Load())
		}
	}
}

// Flow section 1: only protected items are left and the bound breaks: a reply of more
// segments than are kept ends with abort(edge_overflow), and is not cut short in silence.
func TestSegmentLimit(t *testing.T) {
	r := newRig(t, "boot")
	r.step("text_in text=1 runes=4 words=1 class=2")
	for i := range graph.MaxSegments {
		r.step(fmt.Sprintf("segment invocation=t1-llm-1 index=%d text=1 runes=1 words=1 class=2", i))
	}
	if !r.m.arbiter.Live() {
		t.Fatal("the turn ends before the bound")
	}
	for _, e := range r.step(fmt.Sprintf("segment invocation=t1-llm-1 index=%d text=1 runes=1 words=1 class=2", graph.MaxSegments)) {
		if ev, ok := e.(*Evidence); ok {
			if ev.Reason != string(controlplane.AbortEdgeOverflow) {
				t.Errorf("the turn ends with %s", ev.Reason)
			}
			return
		}
	}
	t.Error("the bound ends nothing")
}

// Flow section 8: for what the turn waits for, an edge warns by what the turn has left; what
// lies beside the turn has the edge's own budget, and a turn with nothing left tells that
// itself.
func TestEdgeBudgetNested(t *testing.T) {
	r := newRig(t, "boot turn_budget_ms=700 edge_budget_ms=100")
	r.step("text_in text=1 runes=4 words=1 class=2")
	r.m.edge(edgeReply)
	reply := r.m.edges.number[edgeReply] - 1
	r.m.edge(edgeClient)
	client := r.m.edges.number[edgeClient] - 1
	for _, row := range []struct {
		after, waited, want int64 // ms: since the turn opened, so far, in all
		n                   int
	}{
		{0, 0, 100, reply},
		{650, 20, 70, reply},
		{690, 0, 10, reply},
		{700, 30, 100, reply},
		{690, 0, 100, client},
	} {
		r.m.now = r.at.Add(timebase.MS(row.after))
		if got := r.m.waitNested(row.n, timebase.MS(row.waited)); got != timebase.MS(row.want) {
			t.Errorf("%d ms into the turn, after %d ms: %d ms in all, want %d", row.after, row.waited, got.MS(), row.want)
		}
	}
}

// Flow section 8, scope edge: what an edge reports of its residence is accounted for once a
// turn, with the edge and the values, and answered by the plan.
func TestEdgeBudget(t *testing.T) {
	type step func(m *Machine)
	wait := func(edge string, used int64) step {
		return func(m *Machine) { m.edgeSpent(eventabi.EdgeID(edge), false, timebase.MS(used), 0, timebase.MS(100)) }
	}
	silent := []string{"text_in text=1 runes=4 words=1 class=2"}
	answered := append(silent, "segment invocation=t1-llm-1 text=3 runes=60 words=12 class=2")
	heard := append(answered, "speech invocation=t1-tts-2 handle=1 samples=64000")
	for name, row := range map[string]struct {
		actions string
		before  []string
		step    step
		want    []string // signals with their reasons and outcomes
	}{
		"warned":                {"", answered, wait("llm-tts", 80), []string{"budget_warning edge_budget continue"}},
		"below":                 {"", answered, wait("llm-tts", 79), nil},
		"degrade":               {"", answered, wait("llm-tts", 100), []string{"budget_warning edge_budget continue", "budget_exhausted edge_budget degrade", "degrade capability_lost:tts"}},
		"fallback":              {"", silent, wait("stt-llm", 100), []string{"budget_warning edge_budget continue", "budget_exhausted edge_budget fallback", "fallback edge_budget:stt-llm"}},
		"nothing allowed":       {"none", silent, wait("stt-llm", 100), []string{"budget_warning edge_budget continue", "budget_exhausted edge_budget terminate", "abort budget_exhausted", "close"}},
		"heard":                 {"none", heard, wait("llm-tts", 900), []string{"budget_warning edge_budget continue", "budget_exhausted edge_budget continue"}},
		"no turn":               {"", nil, wait("tap", 900), []string{"budget_warning edge_budget continue", "budget_exhausted edge_budget continue"}},
		"overflow":              {"", heard, func(m *Machine) { m.overflow("llm-tts", stageSound) }, []string{"budget_exhausted edge_overflow degrade", "degrade capability_lost:tts"}},
		"overflow, none legal":  {"none", heard, func(m *Machine) { m.overflow("llm-tts", stageSound) }, []string{"budget_exhausted edge_overflow terminate", "abort edge_overflow", "close"}},
		"overflow, out of turn": {"", nil, func(m *Machine) { m.overflow("tap", stageNone) }, []string{"budget_exhausted edge_overflow continue"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "boot fallback=99 fallback_runes=30 fallback_class=2 adaptive_actions="+row.actions)
			for _, line := range row.before {
				r.at = r.at.Add(timebase.MS(10))
				r.step(line)
			}
			r.at = r.at.Add(timebase.MS(10))
			var fx Effects
			m := r.m
			m.now, m.fx = r.at, &fx
			row.step(m)
			m.settle()
			if got := told(fx.List); !slices.Equal(got, row.want) {
				t.Errorf("decided\n%q\nwant\n%q", got, row.want)
			}
			fx.Reset()
			row.step(m) // the account has said what it had to say
			m.settle()
			if strings.HasPrefix(name, "overflow") || row.before != nil && !m.arbiter.Live() {
				return
			}
			if got := told(fx.List); len(got) > 0 {
				t.Errorf("a second time it decides %q", got)
			}
		})
	}
}

// told gives the signals of a list with their reasons, and the outcome where there is one.
func told(list []Effect) (signals []string) {
	for _, e := range list {
		emit, ok := e.(*Emit)
		if !ok {
			continue
		}
		line := strings.TrimSpace(fmt.Sprintf("%s %s", emit.Envelope.Signal, emit.Envelope.Reason))
		var body struct{ Outcome string }
		if json.Unmarshal(emit.Envelope.Payload, &body) == nil && body.Outcome != "" {
			line += " " + body.Outcome
		}
		if emit.Envelope.Signal != eventabi.SignalOutputAccepted {
			signals = append(signals, line)
		}
	}
	return signals
}

// The accounts of one turn are bounded like everything else.
func TestMetersAreBounded(t *testing.T) {
	r := newRig(t, "boot")
	r.step("text_in text=1 runes=4 words=1 class=2")
	for i := range maxMeters {
		r.step(fmt.Sprintf("node_spent node=n%d turn=t1 used_ms=700 limit_ms=800", i))
	}
	list := r.step("node_spent node=another turn=t1 used_ms=700 limit_ms=800")
	if len(list) != 1 || Format(list[0]) != "refused code=meter_limit what=another turn=t1" {
		t.Errorf("decided %v", list)
	}
	if len(r.m.meters) != maxMeters {
		t.Errorf("%d accounts", len(r.m.meters))
	}
	r.step("cancel scope=turn")
	r.step("text_in text=1 runes=4 words=1 class=2")
	if len(r.m.meters) != 0 {
		t.Errorf("%d accounts of a turn that is over", len(r.m.meters))
	}
}

// Lifecycle section 1: a degrade step counts while it is in force, and no longer.
func TestDegradedWhileInForce(t *testing.T) {
	r := newRig(t, "boot")
	r.step("text_in text=1 runes=4 words=1 class=2")
	r.step("segment invocation=t1-llm-1 text=3 runes=60 words=12 class=2")
	if r.m.Degraded() || r.m.Fidelity() != turn.FullFidelity {
		t.Error("degraded before anything happened")
	}
	r.step("invocation_end invocation=t1-tts-2 class=blocked")
	if !r.m.Degraded() || r.m.Fidelity() != turn.TextOnly {
		t.Errorf("without a voice the session is degraded %v, at %q", r.m.Degraded(), r.m.Fidelity())
	}
	r.step("invocation_end invocation=t1-llm-1 class=success")
	r.step("appended turn=t1 ok=true")
	if r.m.Degraded() || r.m.arbiter.Live() {
		t.Error("degraded after the turn has closed")
	}
}

// The end of the turn's time is what its nodes' budgets are nested in.
func TestTurnEnds(t *testing.T) {
	r := newRig(t, "boot proposal_trigger=speech_start turn_budget_ms=2000 turn_hard_cap_ms=9000")
	want := func(what string, at timebase.Instant) {
		t.Helper()
		if got := r.m.TurnEnds(); got != at {
			t.Errorf("%s: the turn ends at %d ms, want %d", what, got.MS(), at.MS())
		}
	}
	want("no turn", timebase.Never)
	r.step("voice_on onset=0 heard=1600")
	want("the caller speaks", timebase.Never)
	r.at = timebase.Instant(timebase.MS(1000))
	r.step("end_of_utterance reason=vad sample=16000")
	want("the caller has spoken", timebase.Instant(timebase.MS(3000)))
	r.step("transcript invocation=u1-stt revision=1 final=true text=5 runes=9 words=2 class=2")
	r.step("segment invocation=t1-llm-1 text=3 runes=60 words=12 class=2")
	r.step("speech invocation=t1-tts-2 handle=1 samples=16000")
	want("the agent speaks", timebase.Instant(timebase.MS(10000)))
	r.step("cancel scope=turn")
	want("the turn is over", timebase.Never)
}

// Every way of adapting occurs in conversations without sense too, so that the invariants
// have seen it.
func TestTheDrunkAdapts(t *testing.T) {
	counts := map[string]int{}
	for seed := range uint64(1000) {
		d := newDrunk(seed, true)
		d.stagger(120)
		for _, e := range d.seen {
			if d, ok := e.(*Degrade); ok {
				counts[string(d.Step)]++
			}
			if h, ok := e.(*Hook); ok {
				counts[string(h.Outcome)]++
			}
			if emit, ok := e.(*Emit); ok {
				counts[string(emit.Envelope.Signal)]++
			}
		}
	}
	for _, way := range []string{"shorten_context", "simplify_tts", "text_only", "fallback", "provider_switch", "continue", "degrade", "terminate", "shed"} {
		if counts[way] == 0 {
			t.Errorf("%s never happened: %v", way, counts)
		}
	}
}

// Two graphs never share a plan hash, whatever differs: what they are, what serves their nodes,
// or what their nodes are given. The order in which one is declared is no difference (turn-plan
// section 3).
func TestGraphsHavePlansOfTheirOwn(t *testing.T) {
	base := []string{
		"node id=caller role=caller", "node id=ear role=recogniser", "node id=clean role=work config=a", "node id=mind role=model",
		"node id=cutter role=segmenter", "node id=mouth role=synthesiser", "node id=speaker role=speaker",
		"way from=caller to=ear", "way from=ear to=clean", "way from=clean to=mind", "way from=mind to=cutter", "way from=cutter to=mouth",
		"way from=mouth to=speaker",
	}
	plan := func(lines []string) string {
		m, fx := New(), Effects{}
		var in []Input
		for _, line := range append(slices.Clone(lines), "boot", "fresh", "text_in text=1 runes=4 words=1 class=2") {
			i, err := ParseInput(expand(line))
			if err != nil {
				t.Fatal(err)
			}
			in = append(in, i)
		}
		m.Step(0, in[:len(in)-1], &fx)
		m.Step(1, in[len(in)-1:], &fx)
		p, ok := m.Plan()
		if !ok {
			t.Fatalf("no turn opened with %v", lines)
		}
		return p.PlanHash
	}
	with := func(old, line string) []string {
		list := slices.Clone(base)
		list[slices.Index(list, old)] = line
		return list
	}
	first := plan(base)
	turned := slices.Clone(base)
	slices.Reverse(turned)
	if plan(turned) != first {
		t.Error("the order of the declaration is a difference")
	}
	seen := map[string]string{first: "the graph", plan(nil): "none"}
	for name, lines := range map[string][]string{
		"another config":   with("node id=clean role=work config=a", "node id=clean role=work config=b"),
		"another budget":   with("node id=clean role=work config=a", "node id=clean role=work config=a budget_ms=9"),
		"another provider": with("node id=mind role=model", "node id=mind role=model provider=other"),
		"another type":     with("node id=clean role=work config=a", "node id=clean role=work config=a type=wash"),
	} {
		hash := plan(lines)
		if other, there := seen[hash]; there {
			t.Errorf("%s and %s share a plan hash", name, other)
		}
		seen[hash] = name
	}
	if len(seen) != 6 {
		t.Errorf("%d hashes", len(seen))
	}
}
