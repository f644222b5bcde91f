// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/transport/loopback"
)

// A runtime runs what a file says: its calls are told of every edge and budget that
// somebody set, with its layer, before they begin; and they hold their conversation.
func TestCallsRunTheFlowSettings(t *testing.T) {
	flow, err := parley.ReadFlow(parley.FlowSource{
		Name: "voice.yaml", Spec: []byte("edges: {stt-llm: {max_queue_items: 8}, notes: {from: caller_text, to: mood, strategy: drop}}\nnode_execution_policies: {tts: {concurrency_limit: 2, fairness_key: gpu}}\nflow_control: {mode_by_lane: {DataLane: credit}}"),
		Environment: []string{"PARLEY_EDGES__STT_LLM__MAX_QUEUE_MS=300", "PATH=/bin"},
		Tenant:      []byte("allowed_adaptive_actions: [degrade]"), TenantName: "acme.yaml",
		Set: []string{"budgets.turn_budget_ms=1500"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := config()
	c.TurnBudget, c.Flow = 7*time.Second, flow
	c.Endpointer = func() (node.Node, error) { return vad.NewEndpointNode(loudness{}, vad.EndpointerConfig{}) }
	world, err := parley.NewVirtual(c, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	line, err := loopback.New(loopback.Config{Manual: true, Length: 5 * time.Second, Clips: []loopback.Clip{{At: time.Second, PCM: tone(time.Second)}}})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	call, err := world.Start(t.Context(), parley.Call{ID: "flow", Transport: line, TextKey: 1, Observe: func(n *parley.Notice) {
		line := session.Format(n.Record)
		if kind, _, _ := strings.Cut(line, " "); slices.Contains([]string{"edge_policy", "flow_policy", "node_policy", "bootstrap"}, kind) {
			told = append(told, line)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	world.Every(20*time.Millisecond, line.Step)
	if err := world.Run(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	<-call.Done()
	if s := call.Stats(); s.Kernel.Commits != 1 {
		t.Errorf("%d turns were held, and it ended by %s", s.Kernel.Commits, s.Reason)
	}
	want := [][]string{
		{"edge_policy", "notes", "from=caller_text", "to=mood", "strategy=drop"},
		{"edge_policy", "stt-llm", "max_queue_items=8", "max_queue_ms=300", "max_queue_items=pipeline_spec", "max_queue_ms=environment"},
		{"node_policy", "node=tts", "concurrency_limit=2", "fairness_key=gpu", "fairness_key=pipeline_spec"},
		{"flow_policy", "data_mode=credit", "mode_by_lane.DataLane=pipeline_spec"},
		{"bootstrap", "turn_budget_ms=1500", "adaptive_actions=degrade", "allowed_adaptive_actions=tenant", "budgets.turn_budget_ms=session"},
	}
	if len(told) != len(want) {
		t.Fatalf("the session was told\n%s", strings.Join(told, "\n"))
	}
	for i, parts := range want {
		for _, part := range parts {
			if !strings.Contains(told[i], part) {
				t.Errorf("%s does not say %s", told[i], part)
			}
		}
	}
}

// What is refused is refused before a call, every fault at once with its place; what there
// is only a warning about is not.
func TestReadFlowRefuses(t *testing.T) {
	_, err := parley.ReadFlow(parley.FlowSource{
		Name: "voice.json", Spec: []byte(`{"edges": {"stt-lmm": {"strategy": "block"}}, "tuning": 3}`),
		Environment: []string{"PARLEY_BUDGETS__TURN_BUDGET_MS=soon"},
		Tenant:      []byte("budgets: {path_budget_ms_default: 9000}"), TenantName: "acme.yaml",
		Set: []string{"flow_control.watermarks.DataLane={high: 3, low: 3}"},
	})
	if err == nil {
		t.Fatal("it is taken")
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, strings.TrimSpace(line))
	}
	for _, want := range []string{
		"parley: the pipeline spec is refused:",
		"voice.json:1:36: edges.stt-lmm: unknown_edge: ", "voice.json:1:57: tuning: type: ",
		"PARLEY_BUDGETS__TURN_BUDGET_MS: budgets.turn_budget_ms: type: ", "set flow_control.watermarks.DataLane={high: 3, low: 3}: ",
	} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("%q is not told in\n%v", want, err)
		}
	}
	if len(lines) != 5 {
		t.Errorf("%d lines, want 5:\n%v", len(lines), err)
	}
	if _, err := parley.ReadFlow(parley.FlowSource{Set: []string{"budgets"}}); err == nil || !strings.Contains(err.Error(), "has no =") {
		t.Errorf("a text without a path: %v", err)
	}
}
