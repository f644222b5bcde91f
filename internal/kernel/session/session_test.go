// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
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
