// SPDX-License-Identifier: Apache-2.0

package session

import (
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
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

// A queued proposal opens in whatever pass ends the turn before it, so the shell has to
// know that it waits.
func TestWaiting(t *testing.T) {
	m, fx := New(), Effects{}
	step := func(lines ...string) {
		t.Helper()
		var in []Input
		for _, line := range lines {
			i, err := ParseInput(expand(line))
			if err != nil {
				t.Fatal(err)
			}
			in = append(in, i)
		}
		m.Step(0, in, &fx)
	}
	step("boot overlap_policy=queue", "fresh")
	step("text_in text=1 runes=4 words=1 class=2")
	if m.Waiting() {
		t.Error("with one proposal, which opened, something waits")
	}
	step("text_in text=2 runes=4 words=1 class=2")
	if !m.Waiting() {
		t.Error("a queued proposal does not wait")
	}
	step("cancel scope=turn")
	if m.Waiting() || m.turn.id != "t2" {
		t.Errorf("after the turn has ended the proposal waits: the turn is %s", m.turn.id)
	}
}
