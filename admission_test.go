// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/observability/replay"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/transport/loopback"
)

// answering is a configuration that calls can be held with.
func answering() parley.Config {
	c := config()
	c.Endpointer = func() (node.Node, error) { return vad.NewEndpointNode(loudness{}, vad.EndpointerConfig{}) }
	return c
}

func line(t *testing.T) *loopback.Line {
	t.Helper()
	l, err := loopback.New(loopback.Config{Manual: true, Length: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A call that is not let in gives an error that says what to do, and a recording that
// replays: in it stands who decided what, and from which counts.
func TestRefusedCall(t *testing.T) {
	c := answering()
	c.Quotas = parley.Quotas{Quotas: []parley.Quota{{Scope: "tenant", Limit: "concurrent_sessions", Max: 1, Action: "defer", RetryAfterMS: 2500}}}
	world, err := parley.NewVirtual(c, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := world.Start(t.Context(), parley.Call{ID: "first", Tenant: "acme", Transport: line(t)}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "second.parley")
	var seen []string
	_, err = world.Start(t.Context(), parley.Call{
		ID: "second", Tenant: "acme", Transport: line(t), Record: dir,
		Observe: func(n *parley.Notice) { seen = append(seen, session.Format(n.Record)) },
	})
	var refusal *parley.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != "tenant_quota:concurrent_sessions" || refusal.RetryAfter != 2500*time.Millisecond {
		t.Fatalf("the second call: %v", err)
	}
	report, err := replay.Run(dir, time.Now)
	if err != nil || !report.Whole || report.Divergence != nil || report.Decisions == 0 {
		t.Errorf("the recording of the refusal: %+v, %v", report, err)
	}
	if log := strings.Join(seen, "\n"); !strings.Contains(log, "usage tenant_concurrent_sessions=1") || !strings.Contains(log, "decide outcome=defer") {
		t.Errorf("the observer saw\n%s", log)
	}
	if _, err := world.Start(t.Context(), parley.Call{ID: "third", Tenant: "umbrella", Transport: line(t)}); err != nil {
		t.Errorf("a call of another tenant: %v", err)
	}
}

// A call that finds its model busy with another's is shed by decision, with what the file
// says of the node in its plan; the recording replays.
func TestShedCall(t *testing.T) {
	flow, err := parley.ReadFlow(parley.FlowSource{Name: "voice.yaml", Spec: []byte(
		"node_execution_policies: {llm: {concurrency_limit: 1, fairness_key: gpu}}\nallowed_adaptive_actions: [degrade]")})
	if err != nil {
		t.Fatal(err)
	}
	c := answering()
	c.Flow = flow
	world, err := parley.NewVirtual(c, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	dir := filepath.Join(t.TempDir(), "second.parley")
	var calls []*parley.Session
	for i, name := range []string{"first", "second"} {
		call := parley.Call{ID: name, Transport: line(t)}
		if i == 1 {
			call.Record = dir
			call.Observe = func(n *parley.Notice) { seen = append(seen, session.Format(n.Record)) }
		}
		x, err := world.Start(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, x)
	}
	if err := world.Run(t.Context(), 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for _, x := range calls {
		x.Ingress().Text("hello", "")
	}
	if err := world.Run(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, x := range calls {
		x.Close("test_over")
	}
	if err := world.Run(t.Context(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	log := strings.Join(seen, "\n")
	for _, part := range []string{
		"node_policy node=llm concurrency_limit=1 fairness_key=gpu", "unscheduled invocation=t1-llm-1 attempt=1 reason=node_concurrency_limited",
		`\"point\":\"node_dispatch\",\"fairness_key\":\"gpu\"`, "emit signal=abort by=RK-03 turn=t1 reason=node_timeout_or_failure",
	} {
		if !strings.Contains(log, part) {
			t.Errorf("%q is not in\n%s", part, log)
		}
	}
	<-calls[1].Done()
	report, err := replay.Run(dir, time.Now)
	if err != nil || !report.Whole || report.Divergence != nil || report.Decisions == 0 {
		t.Errorf("the recording: %+v, %v", report, err)
	}
}

// The quotas of a file are those of the runtime, a tenant's over everybody's, and stand in
// place of those of the configuration.
func TestQuotasOfAFile(t *testing.T) {
	flow, err := parley.ReadFlow(parley.FlowSource{Name: "voice.yaml", Spec: []byte(`
quotas:
  defaults: {concurrent_sessions: {max: 1, action: reject}}
  tenants: {acme: {concurrent_sessions: {max: 2, action: throttle, retry_after_ms: 700}}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	c := answering()
	c.Flow, c.Quotas = flow, parley.Quotas{Quotas: []parley.Quota{{Scope: "tenant", Limit: "concurrent_sessions", Max: 100}}}
	world, err := parley.NewVirtual(c, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	for i, call := range []struct {
		tenant string
		want   parley.Refusal
	}{
		{tenant: "acme"},
		{tenant: "acme"},
		{"acme", parley.Refusal{Outcome: "defer", RetryAfter: 700 * time.Millisecond}},
		{tenant: "umbrella"},
		{"umbrella", parley.Refusal{Outcome: "reject"}},
	} {
		_, err := world.Start(t.Context(), parley.Call{ID: fmt.Sprint("call", i), Tenant: call.tenant, Transport: line(t)})
		refusal := &parley.Refusal{}
		if err != nil && !errors.As(err, &refusal) || refusal.Outcome != call.want.Outcome || refusal.RetryAfter != call.want.RetryAfter {
			t.Errorf("call %d, of %s: %v", i, call.tenant, err)
		}
	}
}

// A quota cannot degrade where the plans may not.
func TestQuotasKeepToTheActions(t *testing.T) {
	c := config()
	c.Quotas = parley.Quotas{Quotas: []parley.Quota{{Scope: "tenant", Limit: "turns_per_minute", Max: 10, Action: "degrade"}}}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.AdaptiveActions = []controlplane.AdaptiveAction{controlplane.ActionRetry}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "do not contain degrade") {
		t.Errorf("a quota that degrades, without the action: %v", err)
	}
}

// In real time too, and the runtime says what it counted.
func TestRuntimeRefuses(t *testing.T) {
	c := answering()
	c.MaxSessions = 1
	r, err := parley.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(t.Context(), parley.Call{ID: "first", Tenant: "acme", Transport: line(t)}); err != nil {
		t.Fatal(err)
	}
	_, err = r.Start(t.Context(), parley.Call{ID: "second", Tenant: "acme", Transport: line(t), Record: filepath.Join(t.TempDir(), "r.parley")})
	var refusal *parley.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != "capacity:max_sessions" {
		t.Errorf("the second call: %v", err)
	}
	if st := r.Admission(); st.Sessions != 1 || st.Capacity != 1 || st.Starts.Deferred != 1 {
		t.Errorf("stats %+v", st)
	}
	if list := r.Tenants(); len(list) != 1 || list[0].Tenant != "acme" || list[0].Starts.Reasons["capacity:max_sessions"] != 1 {
		t.Errorf("tenants %+v", list)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := r.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Bad limits are refused when the program starts, with field, value and remedy.
func TestBadQuotas(t *testing.T) {
	c := config()
	c.MaxSessions = -2
	c.Workers, c.WorkQueue, c.MaxStreams = -1, 1<<30, -7
	c.Quotas = parley.Quotas{
		Quotas:  []parley.Quota{{Scope: "tenant", Limit: "sessions_per_minute", Max: 10, HeadroomPerMille: 1200}},
		Tenants: map[string][]parley.QuotaOverride{"acme": {{Scope: "session", Limit: "concurrent_sessions"}}},
	}
	for _, open := range []func() error{
		func() error { _, err := parley.New(c); return err },
		func() error { _, err := parley.NewVirtual(c, time.Time{}); return err },
	} {
		err := open()
		for _, part := range []string{
			"max_sessions: -2: use 0",
			"workers: -1: use 0 for the default, or 1 to 1048576", "work_queue: 1073741824: use 0", "max_streams: -7: use 0",
			`quota tenant:sessions_per_minute: headroom_per_mille is "1200": give a whole number from 0 to 999`,
			`quota session:concurrent_sessions of tenant acme: limit is "concurrent_sessions": give a limit that is counted of a session`,
		} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q is not in %v", part, err)
			}
		}
	}
}
