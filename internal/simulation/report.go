// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"fmt"

	"github.com/parley-voice/parley/api/controlplane"
)

// Report is the account of a run. Numbers count the first run of every seed only; the
// CPU time is that of both.
type Report struct {
	Seeds              int64            `json:"seeds"`
	First              int64            `json:"first_seed"`
	TurnsPerSeed       int64            `json:"turns_per_seed"`
	Interrupted        bool             `json:"interrupted,omitempty"`
	Sessions           int64            `json:"sessions"`
	Turns              int64            `json:"turns"`
	Steps              int64            `json:"steps"`
	Decisions          int64            `json:"decisions"`
	Digest             string           `json:"digest"` // over the decisions of all seeds, equal wherever they run
	CPUSeconds         float64          `json:"cpu_seconds"`
	TurnsPerCPUMinute  int64            `json:"turns_per_cpu_minute"`
	Commits            int64            `json:"commits"`
	Aborts             map[string]int64 `json:"aborts"`  // by reason
	Adapted            map[string]int64 `json:"adapted"` // adaptive actions taken: switches, degrade steps, fallbacks
	Interruptions      int64            `json:"interruptions"`
	FalseInterruptions int64            `json:"false_interruptions"`
	FramesAfterFence   int64            `json:"frames_after_fence"`
	Faults             map[string]int64 `json:"faults"` // how often each kind struck
	NotCovered         []string         `json:"faults_not_covered,omitempty"`
	Invariants         map[string]int64 `json:"invariants"` // how often each was checked
	Violations         []*Violation     `json:"violations"`
}

// Violation is a broken invariant, with what it takes to see it again.
type Violation struct {
	Seed      int64    `json:"seed"`
	Session   int64    `json:"session"` // of the seed, from 1
	Step      int64    `json:"step"`    // of the seed, from 1
	AtMS      int64    `json:"at_ms"`   // virtual, of the session
	Invariant string   `json:"invariant"`
	Detail    string   `json:"detail"`
	Trace     []string `json:"trace"` // the last inputs, and indented the decisions
	Command   string   `json:"command"`
}

// finish works out what depends on the whole.
func (r *Report) finish() {
	if r.CPUSeconds > 0 {
		r.TurnsPerCPUMinute = int64(float64(r.Turns) / r.CPUSeconds * 60)
	}
}

// abortReasons is the length of the closed list of lifecycle section 6, with a place
// for what is not in it.
const abortReasons = 12

func abortNames() [abortReasons]string {
	return [abortReasons]string{
		string(controlplane.AbortCancelled), string(controlplane.AbortAuthorityLoss),
		string(controlplane.AbortEvidenceUnavailable), string(controlplane.AbortNodeFailure),
		string(controlplane.AbortProviderFailure), string(controlplane.AbortTransportDisconnect),
		string(controlplane.AbortBudgetExhausted), string(controlplane.AbortEdgeOverflow),
		string(controlplane.AbortSyncUnrecoverable), string(controlplane.AbortRuntimeInternalError),
		string(controlplane.AbortPolicyTerminated), "other",
	}
}

// The adaptive actions that are counted, retries apart: every call may have one.
const (
	tookSwitch = iota
	tookShortContext
	tookPlainVoice
	tookText
	tookFallback
	adaptations
)

func adaptationNames() [adaptations]string {
	return [adaptations]string{"provider_switch", "shorten_context", "simplify_tts", "text_only", "fallback"}
}

func abortIndex(reason string) int {
	for i, name := range abortNames() {
		if name == reason {
			return i
		}
	}
	return abortReasons - 1
}

// shrink finds the least that still breaks the same invariant: fewer turns first, then
// no faults, then as few kinds as it takes. What it returns carries the trace.
func shrink(v *Violation, o Options) *Violation {
	w := newWorld()
	fails := func(turns int64, faults FaultSet, tracing bool) *Violation {
		one := w.runSeed(v.Seed, turns, faults, tracing)
		if one.violation == nil {
			two := newWorld().runSeed(v.Seed, turns, faults, false)
			one.violation = compare(v.Seed, &one, &two)
		}
		if one.violation == nil || one.violation.Invariant != v.Invariant {
			return nil
		}
		return one.violation
	}
	turns, faults := smallest(o.Turns, o.Faults, func(turns int64, faults FaultSet) bool {
		return fails(turns, faults, false) != nil
	})
	shown := fails(turns, faults, true)
	if shown == nil {
		shown = v // it does not show again, which says more than the trace would
		shown.Detail += "; it did not show again when run alone"
	}
	shown.Command = fmt.Sprintf("parley sim --seeds 1 --seed %d --turns %d", v.Seed, turns)
	if faults != AllFaults {
		shown.Command += " --faults " + faults.String()
	}
	return shown
}

// smallest looks for the fewest turns, then the fewest kinds of faults, that still fail.
// Fewer turns do not always fail where more do, so it tries them from the bottom.
func smallest(turns int64, faults FaultSet, fails func(turns int64, faults FaultSet) bool) (int64, FaultSet) {
	for fewer := int64(1); fewer < turns; fewer++ {
		if fails(fewer, faults) {
			turns = fewer
			break
		}
	}
	if fails(turns, 0) {
		return turns, 0
	}
	for f := range faultCount {
		if faults.Has(f) && fails(turns, faults.Without(f)) {
			faults = faults.Without(f)
		}
	}
	return turns, faults
}
