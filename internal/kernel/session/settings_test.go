// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// NF-015: every fault of the settings at once, each naming field, value and remedy.
func TestBootstrapValidate(t *testing.T) {
	good := func() *Bootstrap { return &Bootstrap{Session: "s-09AZaz", Tenant: "t:1", Pipeline: "p_1.0"} }
	if err := good().Validate(); err != nil {
		t.Fatalf("a plain bootstrap is refused: %v", err)
	}
	for field, harm := range map[string]func(b *Bootstrap){
		"session":                func(b *Bootstrap) { b.Session = "" },
		"tenant":                 func(b *Bootstrap) { b.Tenant = "a b" },
		"pipeline":               func(b *Bootstrap) { b.Pipeline = "ü" },
		"epoch":                  func(b *Bootstrap) { b.Epoch = -1 },
		"wall_ms":                func(b *Bootstrap) { b.WallMS = -1 },
		"proposal_trigger":       func(b *Bootstrap) { b.Settings.Policy.Trigger = "x" },
		"overlap_policy":         func(b *Bootstrap) { b.Settings.Policy.Overlap = "x" },
		"max_queued_proposals":   func(b *Bootstrap) { b.Settings.Policy.MaxQueued = -1 },
		"late_event_policy":      func(b *Bootstrap) { b.Settings.Policy.Late = "x" },
		"interruption_mode":      func(b *Bootstrap) { b.Settings.Policy.Interruption = "x" },
		"min_interruption_ms":    func(b *Bootstrap) { b.Settings.Policy.MinInterruptionMS = -1 },
		"min_interruption_words": func(b *Bootstrap) { b.Settings.Policy.MinInterruptionWords = 1 << 40 },
		"backchannels":           func(b *Bootstrap) { b.Settings.Policy.Backchannels = "maybe" },
		"false_interruption_ms":  func(b *Bootstrap) { b.Settings.Policy.FalseInterruptionMS = 1 << 40 },
		"transcript_wait_ms":     func(b *Bootstrap) { b.Settings.Policy.TranscriptWaitMS = -1 },
		"commit_point":           func(b *Bootstrap) { b.Settings.Policy.CommitPoint = turn.CommitAtAccepted },
		"turn_budget_ms":         func(b *Bootstrap) { b.Settings.TurnBudgetMS = 1 << 62 },
		"turn_hard_cap_ms":       func(b *Bootstrap) { b.Settings.TurnHardCapMS = -1 },
		"invocation_ms":          func(b *Bootstrap) { b.Settings.InvocationMS = -1 },
		"node_budget_ms":         func(b *Bootstrap) { b.Settings.NodeBudgetMS = -1 },
		"path_budget_ms":         func(b *Bootstrap) { b.Settings.PathBudgetMS = -1 },
		"edge_budget_ms":         func(b *Bootstrap) { b.Settings.EdgeBudgetMS = -1 },
		"adaptive_actions":       func(b *Bootstrap) { b.Settings.AdaptiveActions = "retry,retry" },
		"stt_second":             func(b *Bootstrap) { b.STT, b.STTSecond = "a", "a" },
		"llm_second":             func(b *Bootstrap) { b.LLM, b.LLMSecond = "a", "a" },
		"tts_second":             func(b *Bootstrap) { b.TTS, b.TTSSecond = "a", "a" },
		"attempts":               func(b *Bootstrap) { b.Settings.Attempts = 99 },
		"layers":                 func(b *Bootstrap) { b.Settings.Layers = "budgets.turn_budget_ms=nobody" },
		"drain_ms":               func(b *Bootstrap) { b.Settings.DrainMS = -1 },
		"disconnect_ms":          func(b *Bootstrap) { b.Settings.DisconnectMS = -1 },
		"max_utterance_ms":       func(b *Bootstrap) { b.Settings.MaxUtteranceMS = -1 },
		"dedupe_keys":            func(b *Bootstrap) { b.Settings.DedupeKeys = -1 },
		"stale_outcome":          func(b *Bootstrap) { b.Settings.StaleOutcome = "panic" },
	} {
		b := good()
		harm(b)
		var fault *SettingError
		if err := b.Validate(); !errors.As(err, &fault) || fault.Field != field || fault.Want == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	both := good()
	both.Session, both.Settings.DrainMS = "", -1
	if err := both.Validate(); err == nil || !strings.Contains(err.Error(), "session is") || !strings.Contains(err.Error(), "drain_ms") {
		t.Errorf("not every fault is told: %v", err)
	}
}

// The layers that are told of edges and flow control are those of turn-plan section 5.
func TestLayersAreKnown(t *testing.T) {
	for _, c := range []struct{ layers, pair string }{
		{"", ""},
		{"=pipeline_spec max_queue_ms=tenant", ""},
		{"max_queue_ms", "max_queue_ms"},
		{"=session max_queue_ms=me", "max_queue_ms=me"},
	} {
		edge, flow := &EdgePolicy{Edge: "stt-llm", Layers: c.layers}, &FlowPolicy{Layers: c.layers}
		of := &NodePolicy{Node: "tts", Layers: c.layers}
		for _, err := range []error{edge.Validate(), flow.Validate(), of.Validate()} {
			var fault *SettingError
			if errors.As(err, &fault) != (c.pair != "") || c.pair != "" && (fault.Value != c.pair || !strings.HasSuffix(fault.Field, ".layers")) {
				t.Errorf("%q: %v, want a fault of %q", c.layers, err, c.pair)
			}
		}
	}
}

// A node's policy that cannot be run is told by its field.
func TestNodePolicyIsChecked(t *testing.T) {
	for field, in := range map[string]NodePolicy{
		"node_execution_policies..node":                 {},
		"node_execution_policies.llm.concurrency_limit": {Node: "llm", Policy: controlplane.NodeExecutionPolicy{ConcurrencyLimit: -1}},
		"node_execution_policies.tts.concurrency_limit": {Node: "tts", Policy: controlplane.NodeExecutionPolicy{ConcurrencyLimit: controlplane.MaxTasks + 1}},
		"node_execution_policies.endpointer.layers":     {Node: "endpointer", Layers: "=nobody"},
	} {
		var fault *SettingError
		if err := in.Validate(); !errors.As(err, &fault) || fault.Field != field || fault.Want == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	in := NodePolicy{Node: "llm", Policy: controlplane.NodeExecutionPolicy{ConcurrencyLimit: 4, FairnessKey: "gpu"}}
	if err := in.Validate(); err != nil {
		t.Error(err)
	}
}

// "Fairness key lookup: node policy, else edge policy, else session_id" (flow section 7).
func TestFairnessKeyLookup(t *testing.T) {
	nodes := []NodePolicy{
		{Node: "llm", Policy: controlplane.NodeExecutionPolicy{FairnessKey: "gpu"}},
		{Node: "tts", Policy: controlplane.NodeExecutionPolicy{ConcurrencyLimit: 3}},
	}
	keyed := func(id eventabi.EdgeID, to, key string) EdgePolicy {
		return EdgePolicy{Edge: id, To: to, Policy: controlplane.EdgeBufferPolicy{FairnessKey: key}}
	}
	edges := []EdgePolicy{
		keyed("stt-llm", "", "words"), keyed("llm-tts", "", "voice"), keyed("transport-stt", "", "ears"),
		keyed("transport-vad", "", ""), keyed("a-mood", "mood", ""), keyed("b-mood", "mood", "batch"),
	}
	for node, want := range map[eventabi.NodeID]string{
		"llm": "gpu", "tts": "voice", "stt": "ears", "endpointer": "", "segmenter": "", "mood": "batch", "other": "",
	} {
		if got := FairnessKey(node, nodes, edges); got != want {
			t.Errorf("%s: %q, want %q", node, got, want)
		}
	}
}

// The consumers that the kernel knows are the ends that the voice graph names.
func TestVoiceGraphNamesItsConsumers(t *testing.T) {
	for _, e := range turn.VoiceGraph() {
		v, ok := voiceEdgeOf(e.ID)
		if to := v.ends().To; !ok || to != "" && to != string(e.To) {
			t.Errorf("%s runs to %s, and is emptied by %q", e.ID, e.To, to)
		}
	}
}

// A payload is JSON whatever somebody chose for a key.
func TestPayloadsAreJSON(t *testing.T) {
	for _, key := range []string{"", "plain", `a "b" \c`, "\x00\x1f\x7f\n", "schlüssel", "键", "\U0001F511", "bad\xff"} {
		var body object
		body.str("key", key)
		body.strs("keys", []string{key, key})
		var read struct {
			Key  string
			Keys []string
		}
		raw := body.done()
		if err := json.Unmarshal(raw, &read); err != nil || read.Key != strings.ToValidUTF8(key, "\ufffd") || len(read.Keys) != 2 {
			t.Errorf("%q is written as %s and read as %q: %v", key, raw, read.Key, err)
		}
	}
}
