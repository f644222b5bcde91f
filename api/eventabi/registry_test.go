// SPDX-License-Identifier: Apache-2.0

package eventabi

import (
	"slices"
	"testing"
)

// Event-abi section 5, the table as printed: signal, emitters, scope.
func TestRegistry(t *testing.T) {
	want := []struct {
		signals  []Signal
		emitters []Emitter
		scope    EventScope
	}{
		{[]Signal{"turn_open_proposed"}, []Emitter{"RK-02"}, "session"},
		{[]Signal{"turn_open", "commit", "close", "abort"}, []Emitter{"RK-03"}, "turn"},
		{[]Signal{"barge_in", "stop", "cancel"}, []Emitter{"RK-06", "RK-16"}, ""},
		{[]Signal{"watermark"}, []Emitter{"RK-13"}, ""},
		{[]Signal{"budget_warning", "budget_exhausted"}, []Emitter{"RK-17"}, ""},
		{[]Signal{"degrade", "fallback"}, []Emitter{"RK-13", "RK-17"}, ""},
		{[]Signal{"discontinuity"}, []Emitter{"RK-15"}, ""},
		{[]Signal{"drop_notice"}, []Emitter{"RK-12", "RK-13"}, ""},
		{[]Signal{"flow_xoff", "flow_xon", "credit_grant"}, []Emitter{"RK-14"}, ""},
		{[]Signal{"provider_error", "circuit_event", "provider_switch"}, []Emitter{"RK-11"}, ""},
		{[]Signal{"lease_issued", "lease_rotated", "migration_start", "migration_finish", "session_handoff"}, []Emitter{"CP-07", "CP-08"}, ""},
		{[]Signal{"admit", "reject", "defer"}, []Emitter{"RK-25", "CP-05"}, "session"},
		{[]Signal{"shed"}, []Emitter{"RK-25"}, ""},
		{[]Signal{"stale_epoch_reject", "deauthorized_drain"}, []Emitter{"RK-24"}, ""},
		{[]Signal{"connected", "reconnecting", "disconnected", "ended", "silence", "stall"}, []Emitter{"RK-23"}, ""},
		{[]Signal{"output_accepted", "playback_started", "playback_completed", "playback_cancelled"}, []Emitter{"RK-22", "RK-23"}, "turn"},
		{[]Signal{"recording_level_downgraded"}, []Emitter{"OR-02"}, ""},
		{[]Signal{"end_of_utterance", "transport_control"}, []Emitter{"RK-23"}, "session"},
		{[]Signal{"cancel_ack"}, []Emitter{"RK-16"}, ""},
		{[]Signal{"route_decision"}, []Emitter{"RK-07"}, ""},
		{[]Signal{"recording_level_restored"}, []Emitter{"OR-02"}, ""},
	}
	n := 0
	for _, row := range want {
		for _, name := range row.signals {
			n++
			spec, ok := LookupSignal(name)
			if !ok || !slices.Equal(spec.Emitters, row.emitters) || spec.Scope != row.scope {
				t.Errorf("%s: registry has %+v, %v; want emitters %v, scope %q", name, spec, ok, row.emitters, row.scope)
			}
			for _, e := range Emitters() {
				if spec.MayEmit(e) != slices.Contains(row.emitters, e) {
					t.Errorf("%s: MayEmit(%s) = %v", name, e, spec.MayEmit(e))
				}
			}
		}
	}
	if got := len(Signals()); got != n {
		t.Errorf("the registry has %d signals, the norm %d", got, n)
	}
	if _, ok := LookupSignal("applause"); ok {
		t.Error("a signal outside the registry is found")
	}
}

func TestRegistryIsWellFormed(t *testing.T) {
	seen := map[Signal]bool{}
	for _, s := range Signals() {
		if seen[s.Signal] {
			t.Errorf("%s stands twice in the registry", s.Signal)
		}
		seen[s.Signal] = true
		if s.Since < 0 || s.Since > KnownMinor {
			t.Errorf("%s: since v1.%d", s.Signal, s.Since)
		}
		for _, e := range s.Emitters {
			if !slices.Contains(Emitters(), e) {
				t.Errorf("%s: emitter %s is outside the closed set", s.Signal, e)
			}
		}
	}
	if n := len(Emitters()); n != 19 {
		t.Errorf("%d emitters; event-abi section 6 has 19", n)
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{"v1.0": {1, 0, 0}, "v1.12.3": {1, 12, 3}, "v0.9": {0, 9, 0}} {
		got, err := ParseVersion(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseVersion(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "v", "v1", "1.0", "v1.", "v1.x", "v1.00", "v-1.0", "v1.0.0.0", "v1.0 ", "v1.99999999999999999999"} {
		if v, err := ParseVersion(text); err == nil {
			t.Errorf("ParseVersion(%q) = %v", text, v)
		}
	}
}
