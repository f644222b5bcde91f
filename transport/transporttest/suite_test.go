// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// faultEnv names the fault of the adapter that the test binary, run again by
// TestSuiteFindsPlantedFaults, puts through the suite, and the category that looks for it.
const faultEnv = "TRANSPORTTEST_FAULT"

// An adapter that does everything passes.
func TestSuitePasses(t *testing.T) { Run(t, piped("")) }

// TestPlantedFault is the inner run of TestSuiteFindsPlantedFaults; it does nothing without.
func TestPlantedFault(t *testing.T) {
	if fault, ok := os.LookupEnv(faultEnv); ok {
		s := piped(fault)
		s.Patience = 2 * time.Second // what does not come is waited for in vain
		Run(t, s)
	}
}

// The suite finds each planted fault in the category that looks for it.
func TestSuiteFindsPlantedFaults(t *testing.T) {
	var at sync.WaitGroup
	slots := make(chan struct{}, 8)
	for fault, where := range map[string]string{
		"lets_everybody_in": "bootstrap_auth",
		"early":             "bootstrap_auth",
		"deaf_to_text":      "ingress_mapping/text",
		"twice":             "ingress_mapping/audio",
		"keeps_after_fence": "egress_fence/of_a_burst",
		"acks_backwards":    "egress_fence/acknowledgements",
		"loses":             "sequence/out",
		"leaves_as_lost":    "connection_states/leave",
		"resumes_anybody":   "connection_states/resume",
		"late":              "cleanup_deadline",
		"leaks":             "cleanup_deadline",
		"close_hangs":       "cleanup_deadline",
		"blocks":            "cleanup_deadline/stalled",
		"routes_back":       "routing_switch",
		"quiet":             "codec/pcm_s16le",
		"any_codec":         "codec/unsupported",
		"no_digit":          "namespaced_control",
	} {
		at.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			category, _, _ := strings.Cut(where, "/")
			cmd := exec.Command(os.Args[0], "-test.run=^TestPlantedFault$/^"+category+"$", "-test.timeout=1m")
			cmd.Env = append(os.Environ(), faultEnv+"="+fault)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestPlantedFault/"+where) {
				t.Errorf("fault %q was not found by %s: %v\n%s", fault, where, err, out)
			}
		})
	}
	at.Wait()
}

// Tones are told apart, in order and with their lengths, also when they are quiet, cut at odd
// places, or have been through a telephone.
func TestListen(t *testing.T) {
	var pcm []int16
	for n := range tones {
		pcm = append(pcm, make([]int16, 777)...)
		pcm = append(pcm, Tone(n, short)...)
	}
	for i := range pcm {
		pcm[i] = pcm[i] / 8 &^ 31 // quiet, and coarse
	}
	heard := Listen(pcm)
	if !slices.Equal(heard.order(), []int{0, 1, 2, 3, 4, 5, 6, 7}) {
		t.Fatalf("heard %v", heard)
	}
	for n := range tones {
		if long := heard.long(n); long < short-40*time.Millisecond || long > short {
			t.Errorf("tone %d for %v", n, long)
		}
	}
	if heard := Listen(make([]int16, 16000)); len(heard) > 0 {
		t.Errorf("heard %v in silence", heard)
	}
}

// What a subject lacks needs a reason.
func TestLacksNeedsAReason(t *testing.T) {
	s := Subject{Lacks: map[Ability]string{CanText: "it is a telephone"}}
	skipped := true
	t.Run("inner", func(t *testing.T) {
		s.needs(t, CanText)
		skipped = false
	})
	if !skipped {
		t.Error("a check ran that the subject has no way for")
	}
	s.needs(t, CanStop) // is not lacking
}
