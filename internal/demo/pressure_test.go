// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/observability/waits"
	"github.com/parley-voice/parley/internal/report"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// What pressure does stays as lines of the live view, in the words of the account; signals
// of flow are for the panel, and grants of credits are no signals of the report.
func TestShowsPressure(t *testing.T) {
	c := newTold(t)
	edge := func(s eventabi.Signal, edge eventabi.EdgeID, reason, payload string) session.Record {
		return &session.Emit{Envelope: eventabi.Envelope{Signal: s, EdgeID: edge, Reason: reason, Payload: json.RawMessage(payload)}}
	}
	c.tell(1000, edge(eventabi.SignalWatermark, "llm-tts", "high", `{"queue_items":4,"queue_ms":30,"action":"block"}`),
		edge(eventabi.SignalFlowXOff, "llm-tts", "high", ""), edge(eventabi.SignalCreditGrant, "llm-tts", "", ""),
		edge(eventabi.SignalDropNotice, "llm-tts", "max_items", `{"count":2}`),
		edge(eventabi.SignalDegrade, "notes", "capability_lost:notes", ""),
		&session.Load{Level: gate.LevelQueued, Reason: "processor"},
		&session.Degrade{Turn: "t1", Step: "text_only", Reason: "capability_lost:tts"},
		edge(eventabi.SignalBudgetExhausted, "", "turn_budget", `{"used_ms":2000,"turn_budget_ms":2000,"outcome":"degrade"}`),
		&session.Decide{Outcome: controlplane.DecisionOutcome{OutcomeKind: "defer", Scope: "turn", Reason: "tenant_quota:turns_per_minute"}})
	c.tell(3000, edge(eventabi.SignalWatermark, "llm-tts", "low", `{"queue_items":1,"queue_ms":3}`))
	c.shows("pressure  llm-tts is above its high mark: 4 items, 30 ms; then block", "drop      llm-tts dropped 2 items: max_items",
		"cut off   notes is cut off", "overload  the host gives up queued proposals and what comes before: processor", "degrade   text_only: capability_lost:tts",
		"budget    turn_budget: 2000 of 2000 ms used; degrade", "refused   defer: tenant_quota:turns_per_minute", "eased     llm-tts is down at its low mark")
	if strings.Contains(c.show.String(), "producer") {
		t.Errorf("signals of flow are shown as lines:\n%s", c.show.String())
	}
	for _, s := range c.data.Signals {
		if s.Signal == string(eventabi.SignalCreditGrant) {
			t.Error("a grant of credits is among the report's signals")
		}
	}
	if s := c.data.Signals[0]; s.EdgeID != "llm-tts" {
		t.Errorf("the signal is of the edge %q", s.EdgeID)
	}
	if m := c.waits.Account().Marks; len(m) != 10 || m[2].What != waits.Credit {
		t.Errorf("the account has the marks %+v", m)
	}
}

// The panel follows the kernel's edges.
func TestPanelOfAnEdge(t *testing.T) {
	e := waits.Edge{
		ID: "e", MaxItems: 8, MaxMS: 60_000, Credits: true, Lost: true,
		Depth:  waits.Depth{Items: 3, MS: 1500, Blocks: 1, Off: true, High: true, Credit: 4},
		Counts: waits.Counts{Offered: waits.Lanes{Control: 1, Data: 9}, Delivered: waits.Lanes{Data: 5}, Drops: 2, Merged: 1},
	}
	p := panelEdge(&e)
	if p.In != 10 || p.Out != 5 || p.Dropped != 2 || p.Merged != 1 || p.Items != 3 || p.MaxItems != 8 ||
		p.Wait != 1500*time.Millisecond || p.MaxWait != time.Minute || !p.Off || !p.High || !p.Blocked || !p.Lost || p.Credits != 4 || !p.Credited {
		t.Errorf("the row is %+v", p)
	}
}

// Of a session that was not let in the recording and the summary are left, under the name
// that was asked for, and in place of an earlier demo.
func TestLeavesARefusal(t *testing.T) {
	for _, earlier := range []bool{false, true} {
		out := filepath.Join(t.TempDir(), "out")
		if earlier {
			put(t, filepath.Join(out, timelineName), "old")
			put(t, filepath.Join(out, summaryName), "old")
		}
		folder, err := prepare(out, true)
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(folder.path(recordingName), "000001.wal"), "log")
		told := newTold(t)
		c := &call{config: Config{Out: out, Fast: true}, folder: folder, collector: told.Collector}
		observe := func(r session.Record) { told.Observe(&sessionhost.Notice{At: timebase.Instant(0), Record: r}) }
		observe(&session.Bootstrap{})
		observe(&session.Emit{Envelope: eventabi.Envelope{Signal: eventabi.SignalDefer, Reason: "overload:new_sessions", Payload: json.RawMessage(`{"retry_after_ms":700}`)}})
		observe(&session.Decide{Outcome: controlplane.DecisionOutcome{OutcomeKind: "defer", Scope: "session", Reason: "overload:new_sessions"}})
		observe(&session.Ended{Reason: "session_refused:overload:new_sessions"})
		s, err := c.refused(&parley.Refusal{Session: "s1", Outcome: "defer", Reason: "overload:new_sessions"})
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Refusal.Session != "s1" || !strings.Contains(err.Error(), "overload:new_sessions") {
			t.Fatalf("the refusal is told as %v", err)
		}
		if err := folder.close(); err != nil {
			t.Fatal(err)
		}
		if a := s.Admission; a == nil || a.Outcome != "defer" || a.RetryAfterMS != 700 || s.Session.Reason != "session_refused:overload:new_sessions" {
			t.Errorf("the summary says %+v, %+v", s.Session, a)
		}
		var left report.Summary
		raw, err := os.ReadFile(filepath.Join(out, summaryName))
		if err != nil || json.Unmarshal(raw, &left) != nil || left.Admission.Reason != "overload:new_sessions" {
			t.Errorf("what is left: %v\n%s", err, raw)
		}
		entries, err := os.ReadDir(out)
		if err != nil || len(entries) != 2 {
			t.Errorf("%d files are left, %v", len(entries), err)
		}
	}
}
