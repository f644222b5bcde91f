// SPDX-License-Identifier: Apache-2.0

package callsummariser_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/parley-voice/parley/examples/callsummariser"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
)

func TestConformance(t *testing.T) {
	nodetest.Conform(t, callsummariser.Kind(nil), "", func(s *nodetest.Suite) {
		s.Conversation = []node.Message{{Role: "user", Text: "hello"}}
	})
}

// The summary is there while the call goes on, and the last one is in the log once.
func TestSummary(t *testing.T) {
	var log bytes.Buffer
	n, err := callsummariser.Kind(slog.New(slog.NewTextHandler(&log, nil))).New(json.RawMessage(`{"max_chars":20}`))
	if err != nil {
		t.Fatal(err)
	}
	talk := []node.Message{
		{Role: "system", Text: "Be kind."},
		{Role: "user", Text: "I should like to book a table for two."},
		{Role: "assistant", Text: "One moment.", Interrupted: true},
		{Role: "tool_call", Name: "book_table", Text: "{}", Call: "c1"},
		{Role: "tool_result", Name: "book_table", Text: "full", Call: "c1", Failed: true},
	}
	summary := func(h *nodetest.Harness) (x callsummariser.Summary) {
		t.Helper()
		raw, _ := h.Get(node.StateDurable, callsummariser.StateKey)
		if err := json.Unmarshal([]byte(raw), &x); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		return x
	}
	nodetest.Play(t, n,
		nodetest.Talk(talk...), nodetest.Give(nodetest.Transcript(0, "and", false)), func(h *nodetest.Harness) {
			if _, ok := h.Get(node.StateDurable, callsummariser.StateKey); ok {
				t.Error("a guess of the recogniser is summarised")
			}
		},
		nodetest.Give(nodetest.Transcript(1, "I should like to book a table for two.", true)), func(h *nodetest.Harness) {
			if x := summary(h); x.UserTurns != 1 || x.AgentTurns != 1 || x.Interrupted != 1 || x.Asked != "I should like to bo…" || len(x.Tools) != 1 || x.Failed != 1 {
				t.Errorf("%+v", x)
			}
		},
		nodetest.Talk(append(talk, node.Message{Role: "user", Text: "Pity."}, node.Message{Role: "assistant", Text: "Goodbye."})...),
		nodetest.Stopped(), nodetest.Stopped(), nodetest.Expect(), func(h *nodetest.Harness) {
			if x := summary(h); x.UserTurns != 2 || x.Last != "Goodbye." {
				t.Errorf("%+v", x)
			}
		},
	)
	if text := log.String(); strings.Count(text, "the call is over") != 1 || !strings.Contains(text, "Goodbye.") {
		t.Errorf("logged %s", text)
	}
}
