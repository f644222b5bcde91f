// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/session"
)

func expectNone(t *testing.T, r *Report) {
	t.Helper()
	for _, v := range r.Violations {
		t.Errorf("seed %d, session %d, step %d, at %d ms: %s: %s\n%s\n%s",
			v.Seed, v.Session, v.Step, v.AtMS, v.Invariant, v.Detail, strings.Join(v.Trace, "\n"), v.Command)
	}
}

// TestConversations is the short simulation of every test run: all invariants hold, all
// of them are asked, and every kind of fault strikes.
func TestConversations(t *testing.T) {
	r := Run(t.Context(), Options{Seeds: 300, Faults: AllFaults, Stop: 3})
	expectNone(t, r)
	if r.Turns < 300*DefaultTurns {
		t.Errorf("%d turns; every seed should come to at least %d", r.Turns, DefaultTurns)
	}
	for name, n := range r.Invariants {
		if n == 0 {
			t.Errorf("invariant %s was never asked", name)
		}
	}
	if len(r.NotCovered) > 0 {
		t.Errorf("faults that never struck: %v", r.NotCovered)
	}
	if r.FramesAfterFence != 0 {
		t.Errorf("%d writes reached the sink behind a fence", r.FramesAfterFence)
	}
	if r.Commits == 0 || r.Interruptions == 0 || r.FalseInterruptions == 0 {
		t.Errorf("a thin world: %d commits, %d interruptions, %d false ones", r.Commits, r.Interruptions, r.FalseInterruptions)
	}
	for action, n := range r.Adapted {
		if n == 0 {
			t.Errorf("no turn took %s", action)
		}
	}
	for _, reason := range []string{
		"cancelled", "authority_loss", "recording_evidence_unavailable", "node_timeout_or_failure", "provider_failure",
		"transport_disconnect_or_stall", "budget_exhausted", "runtime_internal_error",
	} {
		if r.Aborts[reason] == 0 {
			t.Errorf("no turn was aborted with %s", reason)
		}
	}
}

// Each kind of fault alone strikes within a few seeds.
func TestEveryFaultStrikes(t *testing.T) {
	for f := range faultCount {
		t.Run(f.String(), func(t *testing.T) {
			o := Options{Seeds: 50, First: 10_000, Turns: 10, Faults: FaultSet(0).With(f)}
			r := Run(t.Context(), o)
			if r.Faults[f.String()] == 0 { // some need a rare moment
				expectNone(t, r)
				o.First, o.Seeds = o.First+o.Seeds, 11*o.Seeds
				r = Run(t.Context(), o)
			}
			expectNone(t, r)
			if r.Faults[f.String()] == 0 {
				t.Error("it never struck")
			}
			for name, n := range r.Faults {
				if n > 0 && name != f.String() {
					t.Errorf("%s struck as well, %d times", name, n)
				}
			}
		})
	}
}

// Workers and their number change nothing but the time.
func TestWorkersChangeNothing(t *testing.T) {
	account := func(workers int) string {
		r := Run(t.Context(), Options{Seeds: 64, First: 500, Turns: 10, Faults: AllFaults, Workers: workers})
		expectNone(t, r)
		r.CPUSeconds, r.TurnsPerCPUMinute = 0, 0
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	one := account(1)
	for _, workers := range []int{2, 7} {
		if other := account(workers); other != one {
			t.Errorf("%d workers came to\n%s\none worker to\n%s", workers, other, one)
		}
	}
}

// digests runs some seeds and gives the digest over theirs.
func digests() string {
	w := newWorld()
	var all []string
	for seed := range int64(40) {
		o := w.runSeed(seed, 10, AllFaults, false)
		all = append(all, string(o.digest[:]))
	}
	var d session.Digest
	d.Add([]session.Effect{&session.Ended{Reason: strings.Join(all, "")}})
	sum := d.Sum()
	return string(hexOf(sum[:]))
}

func hexOf(b []byte) []byte {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return out
}

const childEnv = "PARLEY_SIMULATION_CHILD"

// Another process, with another address space and another seed of its maps, decides the
// same.
func TestProcessesAgree(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		t.Logf("digest=%s", digests())
		return
	}
	here := digests()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestProcessesAgree$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, rest, found := strings.Cut(string(out), "digest=")
	if there, _, _ := strings.Cut(rest, "\n"); !found || there != here {
		t.Errorf("this process has %s, another one %s", here, there)
	}
}

// A failure is shown with the least that it takes, and the command reproduces it.
func TestFailureIsShownSmall(t *testing.T) {
	w := newWorld()
	one := w.runSeed(1, 20, AllFaults, false)
	if one.violation != nil {
		t.Fatal(one.violation)
	}
	fails := func(turns int64, faults FaultSet) bool { return turns >= 3 && faults.Has(DiskFull) }
	turns, faults := smallest(20, AllFaults, fails)
	if turns != 3 || faults != FaultSet(0).With(DiskFull) {
		t.Errorf("shrunk to %d turns with %s, want 3 with disk_full", turns, faults)
	}
	turns, faults = smallest(20, AllFaults, func(int64, FaultSet) bool { return true })
	if turns != 1 || faults != 0 {
		t.Errorf("shrunk to %d turns with %s, want 1 with none", turns, faults)
	}
}

func TestParseFaults(t *testing.T) {
	for list, want := range map[string]FaultSet{
		"all": AllFaults, "none": 0, "": 0,
		"disk_full, node_hang": FaultSet(0).With(DiskFull).With(NodeHang),
		"time":                 FaultSet(0).With(TimeWallStep).With(TimeLateTimer).With(TimeDrift).With(TimeWander).With(TimeClockStep),
	} {
		got, err := ParseFaults(list)
		if err != nil || got != want {
			t.Errorf("ParseFaults(%q) = %s, %v; want %s", list, got, err, want)
		}
	}
	for f := range faultCount {
		if got, err := ParseFaults(f.String()); err != nil || got != FaultSet(0).With(f) {
			t.Errorf("%s does not read back: %s, %v", f, got, err)
		}
	}
	if _, err := ParseFaults("disk_full,gremlins"); err == nil || !strings.Contains(err.Error(), "gremlins") {
		t.Errorf("an unknown fault gives %v", err)
	}
}

// A panic of the kernel is a violation with the name of what broke, not the end of the
// simulation.
func TestPanicIsAViolation(t *testing.T) {
	w := newWorld()
	w.tamper = func(*world) { panic(&session.InvariantError{Name: "something"}) }
	one := w.runSeed(3, 5, AllFaults, true)
	if one.violation == nil || one.violation.Invariant != "no_panic" || !strings.Contains(one.violation.Detail, "something") {
		t.Errorf("got %+v", one.violation)
	}
	w.tamper = func(*world) { panic(errors.New("nil map")) }
	one = w.runSeed(3, 5, AllFaults, true)
	if one.violation == nil || !strings.Contains(one.violation.Detail, "nil map") || !strings.Contains(one.violation.Detail, ".go:") {
		t.Errorf("the origin is not shown: %+v", one.violation)
	}
	w.tamper = nil
	if one = w.runSeed(3, 5, AllFaults, false); one.violation != nil {
		t.Errorf("the world did not recover: %+v", one.violation)
	}
}

// Seeds that found something once.
func TestSeedsThatFailed(t *testing.T) {
	for _, c := range []struct {
		seed, turns int64
		faults      string
		what        string
	}{
		{3001324, 16, "provider_server_error,time_drift,time_wander,node_slow", "a rate that changed in a silence was followed by what had been heard before"},
		{100016, 15, "provider_timeout,load_tenant_flood", "two pieces of text lay on an edge under one sequence"},
		{
			100122, 10, "provider_slow_start,provider_late,transport_loss,transport_reorder,transport_burst,time_wander,worker_pause," +
				"node_hang,load_headroom,load_telemetry_full,load_credit_starvation,load_xoff_storm",
			"the synthesiser was asked before it was told that it may go on",
		},
		{
			100605, 4, "provider_overload,transport_jitter,time_drift,worker_pause,worker_two_owners,node_hang,node_panic,load_flood," +
				"load_admission_race,load_burst",
			"a chunk that one fence let in was accepted for a turn that the next one had closed",
		},
		{
			2438, 7, "provider_server_error,transport_jitter,time_drift,time_clock_step,worker_two_owners,disk_full,load_telemetry_full",
			"sound that waited for a credit was played behind what came after it",
		},
		{
			100032, 11, "provider_late,transport_jitter,time_wall_step,time_late_timer,load_headroom,load_data_full",
			"too much that may not be shed waited for a side edge, and that ended the session",
		},
		{524, 12, "pool_closed,load_stalled_reader", "the watch took what the pool refuses for control, and metrics behind it for lost"},
		{
			15131, 3, "provider_timeout,transport_duplicate,transport_gap,time_wall_step,time_late_timer,time_drift,worker_pause," +
				"worker_two_owners,store_rollback,store_stale,load_admission_race,pool_closed,pool_limited",
			"the watch waited to be told of a refusal between two attempts of a call whose turn had ended",
		},
		{3506, 20, "provider_duplicate,transport_jitter,worker_two_owners,node_garbage,load_flood,pool_saturated,load_slow_reader", "the watch took sound that had waited for that of a later segment"},
	} {
		set, err := ParseFaults(c.faults)
		if err != nil {
			t.Fatal(err)
		}
		if r := Run(t.Context(), Options{Seeds: 1, First: c.seed, Turns: c.turns, Faults: set}); len(r.Violations) > 0 {
			t.Errorf("%s:", c.what)
			expectNone(t, r)
		}
	}
}

// Decisions that stand where others stood are no other decisions.
func TestRecycledDecisionsAreTheSame(t *testing.T) {
	again, fresh := newWorld(), newWorld()
	fresh.fx.Recycle = false
	for seed := int64(1); seed <= 40; seed++ {
		one := again.runSeed(seed, DefaultTurns, AllFaults, false)
		two := fresh.runSeed(seed, DefaultTurns, AllFaults, false)
		if v := compare(seed, &one, &two); v != nil {
			t.Fatal(v.Detail)
		}
	}
}
