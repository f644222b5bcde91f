// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/admission"
	"github.com/parley-voice/parley/transport"
)

func tenantQuota(l gate.Limit, most int64, action gate.Action) gate.Quota {
	return gate.Quota{Scope: gate.ScopeTenant, Limit: l, Max: most, Action: action}
}

// unbound is a transport that must not be bound.
func unbound(t *testing.T) func(context.Context, transport.Bootstrap, transport.Ingress) (transport.Link, error) {
	t.Helper()
	return func(context.Context, transport.Bootstrap, transport.Ingress) (transport.Link, error) {
		t.Error("the transport of a session that was refused is bound")
		return nil, errors.New("refused")
	}
}

// A session that is not let in is refused with a reason, by the host and by the kernel from
// the same counts; its decision is recorded and observed, and nothing else of it is left.
func TestRefusal(t *testing.T) {
	quotas := func(q ...gate.Quota) Config { return Config{Shards: 1, Quotas: gate.Policy{Quotas: q}} }
	headroom := tenantQuota(gate.ConcurrentSessions, 2, gate.ActionDefer)
	headroom.HeadroomPerMille = 500
	for name, row := range map[string]struct {
		config Config
		want   Refusal
		line   string
	}{
		"slots": {
			Config{Shards: 1, MaxSessions: 1},
			Refusal{Outcome: controlplane.OutcomeDefer, Reason: "capacity:max_sessions", RetryAfter: 5 * time.Second},
			"decide outcome=defer phase=pre_turn scope=session event=e3 by=RK-25 reason=capacity:max_sessions",
		},
		"reject": {
			quotas(tenantQuota(gate.ConcurrentSessions, 1, "")),
			Refusal{Outcome: controlplane.OutcomeReject, Reason: "tenant_quota:concurrent_sessions"},
			"decide outcome=reject phase=pre_turn scope=tenant event=e5 by=RK-25 reason=tenant_quota:concurrent_sessions",
		},
		"throttle": {
			quotas(tenantQuota(gate.SessionsPerMinute, 1, gate.ActionThrottle)),
			Refusal{Outcome: controlplane.OutcomeDefer, Reason: "tenant_quota:sessions_per_minute", RetryAfter: time.Minute},
			"decide outcome=defer phase=pre_turn scope=tenant event=e5 by=RK-25 reason=tenant_quota:sessions_per_minute",
		},
		"headroom": {
			quotas(headroom),
			Refusal{Outcome: controlplane.OutcomeDefer, Reason: "headroom:concurrent_sessions", RetryAfter: 5 * time.Second},
			"decide outcome=defer phase=pre_turn scope=tenant event=e5 by=RK-25 reason=headroom:concurrent_sessions",
		},
	} {
		t.Run(name, func(t *testing.T) {
			hostedBy(t, row.config, func(t *testing.T, h *Host) {
				first := open(t, h, newRig("first"))
				r := newRig("second")
				rec := &parrot{machine: session.New(), t: t}
				r.settings.Recorder, r.settings.Connect = rec, unbound(t)
				_, err := h.Open(t.Context(), r.settings)
				var refusal *Refusal
				row.want.Session = "second"
				if !errors.As(err, &refusal) || *refusal != row.want {
					t.Fatalf("refused with %v, want %+v", err, row.want)
				}
				if errors.Is(err, ErrFull) != (name == "slots") || !strings.Contains(err.Error(), row.want.Reason) {
					t.Errorf("the error says %v", err)
				}
				inOrder(t, r.log, "bootstrap", row.line, "session_change from=CONNECTING to=ENDED", "ended reason=session_refused:"+row.want.Reason)
				if rec.decisions == 0 || rec.closed != "session_refused:"+row.want.Reason {
					t.Errorf("%d decisions recorded, closed with %q", rec.decisions, rec.closed)
				}
				if st := h.Admission(); h.Sessions() != 1 || st.Sessions != 1 || st.Starts.Admitted != 1 || st.Starts.Reasons[row.want.Reason] != 1 {
					t.Errorf("%d sessions, counted %+v", h.Sessions(), st)
				}
				if h.Working() != 0 {
					t.Errorf("%d calls run", h.Working())
				}
				// The place of one that ends is free again, where it was a place that was wanted.
				first.Close("test_over")
				<-first.Done()
				synctest.Wait()
				r.settings.Recorder, r.settings.Connect = nil, r.line.connect
				if _, err = h.Open(t.Context(), r.settings); (err == nil) != (name != "throttle") {
					t.Errorf("after the first has ended: %v", err)
				}
			})
		})
	}
}

// A session that was let in says so, behind its first signal, and the counts that it was
// decided from are recorded.
func TestAdmissionIsRecorded(t *testing.T) {
	hostedBy(t, Config{Shards: 1, Quotas: gate.Policy{
		Quotas: []gate.Quota{tenantQuota(gate.ConcurrentSessions, 5, "")},
	}}, func(t *testing.T, h *Host) {
		open(t, h, newRig("first"))
		r := newRig("second")
		open(t, h, r)
		synctest.Wait()
		inOrder(t, r.log, "quota scope=tenant limit=concurrent_sessions max=5", "usage tenant_concurrent_sessions=1 tenant_sessions_per_minute=1",
			"admission", "bootstrap", "emit connected", "emit admit turn= reason=authorized")
		if n := r.log.count("decide outcome=admit phase=pre_turn scope=session"); n != 1 {
			t.Errorf("%d admissions\n%s", n, r.log)
		}
		if n := r.log.count("usage "); n != 1 { // nothing is newer before a turn may open
			t.Errorf("the kernel was told the counts %d times\n%s", n, r.log)
		}
	})
}

// Who could only be let in with reduced fidelity, and may not be, is refused by the host as
// by the kernel; who may is let in, and its turns are asked with a short prompt.
func TestDegradedAdmission(t *testing.T) {
	hostedBy(t, Config{Shards: 1, Quotas: gate.Policy{
		Quotas: []gate.Quota{tenantQuota(gate.SessionsPerMinute, 1, gate.ActionDegrade)},
	}}, func(t *testing.T, h *Host) {
		open(t, h, newRig("first"))
		firm := newRig("firm")
		firm.settings.Bootstrap.Settings.AdaptiveActions = "retry"
		firm.settings.Connect = unbound(t)
		var refusal *Refusal
		if _, err := h.Open(t.Context(), firm.settings); !errors.As(err, &refusal) || refusal.Outcome != controlplane.OutcomeReject {
			t.Errorf("a session whose plans allow no degrade step: %v", err)
		}
		inOrder(t, firm.log, "decide outcome=reject phase=pre_turn scope=tenant", "ended reason=session_refused:tenant_quota:sessions_per_minute")
		r := newRig("second")
		s := open(t, h, r)
		s.Ingress().Text("tell me a story", "")
		time.Sleep(time.Second)
		inOrder(t, r.log, "emit admit turn= reason=tenant_quota:sessions_per_minute", "emit turn_open", "degrade turn=t1 step=shorten_context", "generate ")
		if st := h.Admission(); st.Starts.Admitted != 1 || st.Starts.Degraded != 1 || st.Starts.Rejected != 1 {
			t.Errorf("counted %+v", st.Starts)
		}
	})
}

// brokenRecorder panics.
type brokenRecorder struct{ tape }

func (*brokenRecorder) Pass(timebase.Instant, []session.Input, []session.Effect) error {
	panic("a bug in the recorder")
}

// What evidences a refusal may fail: the refusal stands, and says so.
func TestRefusalWithoutEvidence(t *testing.T) {
	hostedBy(t, Config{Shards: 1, MaxSessions: 1}, func(t *testing.T, h *Host) {
		open(t, h, newRig("first"))
		for name, recorder := range map[string]Recorder{"a bug in the recorder": &brokenRecorder{}, "the disk is full": &tape{fail: 1}} {
			r := newRig("second")
			r.settings.Recorder = recorder
			_, err := h.Open(t.Context(), r.settings)
			var refusal *Refusal
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// F-050: a tenant's quotas count over its sessions, and for every turn; another tenant is
// not concerned. A turn that is refused opens later, when the minute is over.
func TestTurnsOfATenant(t *testing.T) {
	hostedBy(t, Config{Shards: 2, Quotas: gate.Policy{
		Quotas:  []gate.Quota{tenantQuota(gate.TurnsPerMinute, 3, gate.ActionDefer)},
		Tenants: map[string][]gate.Override{"generous": {{Scope: gate.ScopeTenant, Limit: gate.TurnsPerMinute, Max: new(int64)}}},
	}}, func(t *testing.T, h *Host) {
		var rigs []*rig
		var sessions []*Session
		for _, tenant := range []string{"acme", "acme", "generous"} {
			r := newRig(fmt.Sprint(tenant, len(rigs)))
			r.settings.Bootstrap.Tenant = tenant
			r.llm.Replies = []string{"Yes."}
			rigs, sessions = append(rigs, r), append(sessions, open(t, h, r))
		}
		for range 5 {
			for _, s := range sessions {
				s.Ingress().Text("tell me a story", "")
				time.Sleep(2 * time.Second)
			}
		}
		opened := rigs[0].log.count("emit turn_open") + rigs[1].log.count("emit turn_open")
		deferred := rigs[0].log.count("emit defer", "tenant_quota:turns_per_minute") + rigs[1].log.count("emit defer", "tenant_quota:turns_per_minute")
		if opened != 3 || deferred != 7 || rigs[2].log.count("emit turn_open") != 5 {
			t.Errorf("acme opened %d turns and was deferred %d times; the other opened %d", opened, deferred, rigs[2].log.count("emit turn_open"))
		}
		var acme admission.TenantStats
		for _, s := range h.Tenants() {
			if s.Tenant == "acme" {
				acme = s
			}
		}
		if acme.Turns.Admitted != 3 || acme.Turns.Deferred != 7 || acme.Turns.Reasons["tenant_quota:turns_per_minute"] != 7 || acme.Starts.Admitted != 2 {
			t.Errorf("metrics of the tenant: %+v", acme)
		}
		time.Sleep(70 * time.Second)
		sessions[1].Ingress().Text("tell me a story", "")
		time.Sleep(time.Second)
		if now := rigs[0].log.count("emit turn_open") + rigs[1].log.count("emit turn_open"); now != 4 {
			t.Errorf("after a minute %d turns have opened, want 4\n%s", now, rigs[1].log)
		}
	})
}

// What the shell counts is what was used: the caller's audio that the recogniser was given,
// the characters of the reply, the tokens that the model says or the texts amount to, and
// the calls under way.
func TestUsageIsCounted(t *testing.T) {
	r := newRig("s1")
	v := NewVirtual(1_790_000_000_000)
	config := admission.Config{Slots: gate.SlotConfig{MaxSessions: 1}, Quotas: gate.Policy{
		Quotas: []gate.Quota{tenantQuota(gate.TokensPerMinute, 100_000, "")},
	}}
	if err := v.Govern(config); err != nil {
		t.Fatal(err)
	}
	s, err := v.Open(t.Context(), r.settings)
	if err != nil {
		t.Fatal(err)
	}
	c := speaking([2]int64{1000, 2000})
	v.Every(20*timebase.Millisecond, func() bool {
		s.Ingress().Audio(-1, c.next())
		return v.Now() < timebase.Instant(9*timebase.Second)
	})
	var calls []int64
	v.Every(5*timebase.Millisecond, func() bool {
		calls = append(calls, *used(v, gate.ProviderConcurrency))
		return v.Now() < timebase.Instant(9*timebase.Second)
	})
	if err := v.Run(t.Context(), timebase.Instant(9*timebase.Second)); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[gate.Limit][2]int64{
		gate.ConcurrentSessions: {1, 1}, gate.SessionsPerMinute: {1, 1}, gate.TurnsPerMinute: {1, 1},
		gate.AudioSeconds:  {1, 2}, // 1 s of speech, its pre-roll, and the silence that ends it
		gate.TTSCharacters: {int64(len(story)), int64(len(story))},
		// The fake says that its answer has one token a word; it does not count what it read.
		gate.TokensPerMinute: {int64(len(strings.Fields(story))), int64(len(strings.Fields(story)))},
	} {
		if got := *used(v, limit); got < want[0] || got > want[1] {
			t.Errorf("%s: %d, want %d to %d", limit, got, want[0], want[1])
		}
	}
	most, left := int64(0), calls[len(calls)-1]
	for _, n := range calls {
		most = max(most, n)
	}
	if most != 2 || left != 0 { // the model and the voice
		t.Errorf("%d calls at once, %d left", most, left)
	}
	// The second sentence is asked with the counts as they have become. Its answer is cut
	// off, so that the model does not say what it used: that is estimated.
	before := *used(v, gate.TokensPerMinute)
	s.Ingress().Text("tell me a story", "")
	v.At(timebase.Instant(9045*timebase.Millisecond), func() { s.Ingress().Stop(transport.Request{}) })
	if err := v.Run(t.Context(), timebase.Instant(9500*timebase.Millisecond)); err != nil {
		t.Fatal(err)
	}
	tokens := fmt.Sprintf("tenant_tokens_per_minute=%d ", len(strings.Fields(story)))
	if r.log.count("usage tenant_concurrent_sessions=1", "tenant_turns_per_minute=1 ", tokens, "session_turns_per_minute=1") != 1 {
		t.Errorf("the kernel was not told what was used\n%s", r.log)
	}
	read := int64(len("You are a storyteller.") + 2*len("tell me a story") + len(story))
	if after := *used(v, gate.TokensPerMinute) - before; after < read/4 || after > (read+int64(len(story)))/4+1 {
		t.Errorf("%d tokens of an answer that was cut off, %d bytes were read for it\n%s", after, read, r.log)
	}
	s.Close("test_over")
	if err := v.Run(t.Context(), timebase.Instant(60*timebase.Second)); err != nil {
		t.Fatal(err)
	}
	if *used(v, gate.ConcurrentSessions) != 0 || *used(v, gate.ProviderConcurrency) != 0 {
		t.Error("a session that has ended is still counted")
	}
}

func used(v *Virtual, l gate.Limit) *int64 {
	counts := v.desk.Tenants(v.clock)[0].Used
	return counts.At(gate.ScopeTenant, l)
}

// Virtual time asks as the host does.
func TestVirtualRefuses(t *testing.T) {
	v := NewVirtual(0)
	if err := v.Govern(admission.Config{Slots: gate.SlotConfig{MaxSessions: -1}}); err == nil || !strings.Contains(err.Error(), "capacity.max_sessions") {
		t.Errorf("a bad configuration: %v", err)
	}
	if err := v.Govern(admission.Config{Slots: gate.SlotConfig{MaxSessions: 1}}); err != nil {
		t.Fatal(err)
	}
	bad := newRig("s0")
	bad.settings.Connect = func(context.Context, transport.Bootstrap, transport.Ingress) (transport.Link, error) {
		return nil, errors.New("no such room")
	}
	if _, err := v.Open(t.Context(), bad.settings); err == nil { // and it holds no place
		t.Fatal("a transport that refuses is bound")
	}
	if _, err := v.Open(t.Context(), newRig("s1").settings); err != nil {
		t.Fatal(err)
	}
	r := newRig("s2")
	r.settings.Connect = unbound(t)
	var refusal *Refusal
	if _, err := v.Open(t.Context(), r.settings); !errors.As(err, &refusal) || refusal.Reason != "capacity:max_sessions" {
		t.Errorf("a session too many: %v", err)
	}
}

// However many come at once, no more get in than there are places, and each refusal is a
// decision.
func TestBurstOfArrivals(t *testing.T) {
	var spent atomic.Int64
	for name, row := range map[string]struct {
		config Config
		places int
		reason string
	}{
		"configured": {Config{Shards: 2, MaxSessions: 20}, 20, "capacity:max_sessions"},
		"slow start": {
			Config{Shards: 2, Adaptive: true, Capacity: gate.SlotConfig{Burst: 6}, ProcessorTime: func() time.Duration { return time.Duration(spent.Load()) }},
			6, "capacity:slow_start",
		},
	} {
		t.Run(name, func(t *testing.T) {
			hostedBy(t, row.config, func(t *testing.T, h *Host) {
				var in, refused atomic.Int64
				var all sync.WaitGroup
				for i := range 60 {
					all.Go(func() {
						r := newRig(fmt.Sprint("s", i))
						_, err := h.Open(t.Context(), r.settings)
						var refusal *Refusal
						switch {
						case err == nil:
							in.Add(1)
						case errors.As(err, &refusal) && refusal.Reason == row.reason && r.log.count("decide outcome=defer") == 1:
							refused.Add(1)
						default:
							t.Errorf("session %d: %v", i, err)
						}
					})
				}
				all.Wait()
				if in.Load() != int64(row.places) || refused.Load() != int64(60-row.places) {
					t.Errorf("%d were let in and %d refused, there are %d places", in.Load(), refused.Load(), row.places)
				}
			})
		})
	}
}

// The overload order at the host: level 2 turns away what is queued, level 3 who is new;
// the live turn is heard to its end; and when the pressure goes, everything comes back.
func TestOverload(t *testing.T) {
	var share atomic.Int64 // of the processors, in per mille
	var spent time.Duration
	last := time.Time{}
	clock := func() time.Duration {
		now := time.Now()
		if !last.IsZero() {
			spent += now.Sub(last) * time.Duration(newBarometer(&Config{}).processors*share.Load()) / 1000
		}
		last = now
		return spent
	}
	hostedBy(t, Config{Shards: 1, MaxSessions: 5, Adaptive: true, ProcessorTime: clock, MemoryLimit: 1 << 50}, func(t *testing.T, h *Host) {
		r := newRig("s1")
		r.settings.Bootstrap.Settings.Policy.Overlap = "queue"
		r.settings.Bootstrap.Settings.Policy.Interruption = "off"
		r.llm.Wait, r.llm.Latency.Next = true, 200*time.Millisecond // three seconds of a live turn
		s := open(t, h, r)
		s.Ingress().Text("tell me a story", "")
		time.Sleep(500 * time.Millisecond)
		s.Ingress().Text("and another", "")
		share.Store(960)
		time.Sleep(1500 * time.Millisecond)
		inOrder(t, r.log, "emit turn_open turn=t1", "load level=3 reason=processor", "emit reject turn= reason=overload:queued_proposals")
		late := newRig("s2")
		late.settings.Connect = unbound(t)
		var refusal *Refusal
		if _, err := h.Open(t.Context(), late.settings); !errors.As(err, &refusal) || refusal.Reason != "overload:new_sessions" ||
			refusal.Outcome != controlplane.OutcomeDefer || refusal.RetryAfter != 3*time.Second {
			t.Errorf("a new session under overload: %v", err)
		}
		time.Sleep(6 * time.Second)
		if n := len(r.line.voiced("t1")); n != spoken(story) {
			t.Errorf("%d samples of the live turn were heard, want %d", n, spoken(story))
		}
		share.Store(100)
		time.Sleep(4 * time.Second)
		third := newRig("s3")
		x := open(t, h, third) // level 2 by now
		time.Sleep(8 * time.Second)
		inOrder(t, r.log, "load level=3", "load level=2 reason=eased", "load level=1 reason=eased", "load reason=eased")
		inOrder(t, third.log, "load level=2 reason=eased", "emit admit", "load reason=eased")
		x.Ingress().Text("tell me a story", "")
		s.Ingress().Text("tell me a story", "")
		time.Sleep(time.Second)
		if third.log.count("emit turn_open") != 1 || r.log.count("emit turn_open") != 2 || h.Admission().Level != gate.LevelNone {
			t.Errorf("after the overload turns do not open\n%s", third.log)
		}
	})
}
