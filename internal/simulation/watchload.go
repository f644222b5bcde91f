// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"bytes"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// loadWatch is who may come in, and what is turned away, as seen from outside.
type loadWatch struct {
	quotas []gate.Quota
	counts [gate.Reported]int64
	host   string // the host's own word on the session
	entry  word   // what the session's start had to come to
	begun  bool   // it had its bootstrap, and nothing else against it

	level   gate.Level
	samples [16]sample // of the pressure, newest over oldest
	sampled int
}

// sample is what the host measured: the level that the pressure asks for, and the one that
// it does not let go of.
type sample struct {
	at          timebase.Instant
	asked, kept gate.Level
}

// passLoad is what one pass had to do with it.
type passLoad struct {
	only    bool       // it holds changes of load alone
	highest gate.Level // of the levels in force during the pass
	typed   int        // texts that may have become proposals
	away    int        // proposals turned away, for any reason
	reduced word       // what the turn that opened had to come to
	told    word       // what the steps of the ladder come to
	freed   bool       // the listener has made room for sound: what waits for it goes on
}

// word is what quotas say, in the order of strictness.
type word uint8

const (
	saysNothing word = iota
	saysDegrade
	saysText // degrade, and only an answer in text spares what is counted
	saysDefer
	saysReject
)

// says restates authority-state section 7 for the counts in force: where no more is left
// than the headroom, the action; the strictest word counts.
func (l *loadWatch) says(r *rules, starting bool) (worst word) {
	for i := range l.quotas {
		q := &l.quotas[i]
		if q.Max == 0 || starting != strings.Contains(string(q.Limit), "sessions") || l.left(q) > 0 {
			continue
		}
		switch q.Action {
		case "defer", "throttle":
			worst = max(worst, saysDefer)
		case "degrade":
			worst = max(worst, r.degrades(q.Limit))
		case "", "reject":
			worst = saysReject
		}
	}
	return worst
}

// left is what may be used before the action is taken.
func (l *loadWatch) left(q *gate.Quota) int64 {
	free := q.Max * q.HeadroomPerMille / 1000
	return q.Max - free - l.used(q)
}

// degrades restates what of its fidelity the session can give up for a limit: something,
// if its plans list degrade, and of what speaking costs the voice, if the client can read the
// answer. Where it cannot, the limit holds.
func (r *rules) degrades(l gate.Limit) word {
	spoken := l == "tts_characters" || l == "provider_concurrency"
	switch {
	case !r.allows("degrade"), spoken && !r.shows:
		return saysReject
	case spoken:
		return saysText
	}
	return saysDegrade
}

// countOf finds the count that a quota bounds, by its name; -1 when it is none that the shell
// counts.
func countOf(q *gate.Quota) int {
	for c := range gate.Reported {
		scope, limit, _ := strings.Cut(gate.CountName(c), "_")
		if scope == string(q.Scope) && limit == string(q.Limit) {
			return c
		}
	}
	return -1
}

func (l *loadWatch) used(q *gate.Quota) int64 {
	if c := countOf(q); c >= 0 {
		return l.counts[c]
	}
	return 0
}

// quota takes a bound, in place of the one of its scope and limit.
func (l *loadWatch) quota(in *session.Quota) {
	for i := range l.quotas {
		if q := &l.quotas[i]; q.Scope == in.Quota.Scope && q.Limit == in.Quota.Limit {
			*q = in.Quota
			return
		}
	}
	l.quotas = append(l.quotas, in.Quota)
}

// load follows the host's level.
func (k *watch) load(in *session.Load) {
	to := in.Level
	k.loads.level = to
	k.pass.load.highest = max(k.pass.load.highest, to)
	for w := gate.WorkTelemetry; w <= gate.WorkControl; w++ {
		k.ok(LevelsMonotone, to == 0 || to.Sheds(w) || !(to-1).Sheds(w), "a level spares what the one below it sheds")
	}
	k.ok(LevelsMonotone, !to.Sheds(gate.WorkLiveTurn) && !to.Sheds(gate.WorkControl), "a level touches live turns or control")
}

// levelled checks a new level against what was measured: it rises when all of the dwell
// asked for it, and falls by one when in all of the dwell nothing held it.
func (k *watch) levelled(from, to gate.Level) {
	l := &k.loads
	newest := l.samples[(l.sampled-1)%len(l.samples)]
	k.ok(LevelsMonotone, to > from || to == from-1, "a level falls by more than one")
	for i := range min(l.sampled, len(l.samples)) {
		s := l.samples[i]
		age := newest.at.Sub(s.at)
		if to > from && age <= timebase.MS(500) {
			k.ok(LevelsMonotone, s.asked >= to, "a level is taken that the pressure did not ask for")
		}
		if to < from && age < timebase.MS(3000) {
			k.ok(LevelsMonotone, s.kept < from, "a level is left that the pressure holds")
		}
	}
}

// measured takes what the host measured (the defaults of simple/v1 for the processors).
func (k *watch) measured(at timebase.Instant, share int64) {
	s := sample{at: at}
	for i, step := range [...]int64{800, 900, 950, 990} {
		if share >= step {
			s.asked = gate.Level(i + 1)
		}
		if share*1000 >= step*800 {
			s.kept = gate.Level(i + 1)
		}
	}
	k.loads.samples[k.loads.sampled%len(k.loads.samples)] = s
	k.loads.sampled++
}

// entered notes what the bootstrap has to come to.
func (k *watch) entered(in *session.Bootstrap) {
	l := &k.loads
	l.begun = in.Refusal == ""
	l.entry = l.says(&k.rules, true)
	switch l.host {
	case "reject":
		l.entry = saysReject
	case "defer":
		l.entry = saysDefer
	}
}

// entry checks that a session begins exactly when nothing speaks against it.
func (k *watch) entry() {
	if !k.loads.begun || k.step != 1 {
		return
	}
	refused := k.loads.entry >= saysDefer
	k.ok(EntryFollowsCounts, refused == (k.state == controlplane.SessionEnded), "a session began, or did not, against what was counted")
	k.ok(EntryFollowsCounts, !refused || k.link == controlplane.ConnectionDisconnected && k.ended, "something of a session that was refused is left")
}

// refusal checks a decision that somebody is not let in.
func (k *watch) refusal(o *controlplane.DecisionOutcome) {
	if o.OutcomeKind != controlplane.OutcomeReject && o.OutcomeKind != controlplane.OutcomeDefer {
		return
	}
	k.pass.load.away++
	k.ok(RefusalsReasoned, o.Reason != "", "a refusal without a reason")
	quota := strings.HasPrefix(o.Reason, "tenant_quota:") || strings.HasPrefix(o.Reason, "session_quota:")
	headroom := strings.HasPrefix(o.Reason, "headroom:")
	if !quota && !headroom {
		return
	}
	says := k.loads.says(&k.rules, o.Scope != controlplane.OutcomeTurn)
	k.ok(RefusalsReasoned, says == saysReject && o.OutcomeKind == controlplane.OutcomeReject ||
		says == saysDefer && o.OutcomeKind == controlplane.OutcomeDefer, "a quota refuses otherwise than it is set")
	k.ok(RefusalsReasoned, k.named(o.Reason), "the reason names a limit that is not reached")
	when := k.pass.signal != nil && bytes.Contains(k.pass.signal.Payload, []byte(`"retry_after_ms":`))
	k.ok(RefusalsReasoned, when == (o.OutcomeKind == controlplane.OutcomeDefer), "a deferral says when to come again, and only that")
}

// named says that a reason names a limit that is reached, or whose headroom is.
func (k *watch) named(reason string) bool {
	head, limit, _ := strings.Cut(reason, ":")
	for i := range k.loads.quotas {
		q := &k.loads.quotas[i]
		used := k.loads.used(q)
		switch {
		case string(q.Limit) != limit || q.Max == 0:
		case head == "headroom" && used < q.Max && k.loads.left(q) <= 0:
			return true
		case head == string(q.Scope)+"_quota" && used >= q.Max:
			return true
		}
	}
	return false
}

// turnedAway checks a rejection for overload: only levels that shed queued proposals make
// one.
func (k *watch) turnedAway(v *eventabi.Envelope) {
	if v.Reason == "overload:queued_proposals" {
		k.ok(LevelsMonotone, k.pass.load.highest >= gate.LevelQueued, "a proposal was turned away below the level that does it")
	}
}

// mayOpen checks that no proposal that a quota refuses opens a turn.
func (k *watch) mayOpen() {
	says := k.loads.says(&k.rules, false)
	k.ok(OpenWithinQuota, says <= saysText, "a turn opened although a quota refuses it")
	k.pass.load.reduced = max(says, min(k.loads.entry, saysDegrade))
}

// loadSettled checks what a pass did for the load.
func (k *watch) loadSettled(w *world) {
	p := &k.pass.load
	k.entry()
	k.ok(OpenWithinQuota, p.told >= p.reduced, "a turn was to run with less fidelity than it does")
	guarded := w.egress.guarding() || k.talk.owed // a barge-in may wait for protected sound
	if p.only && !k.pass.due && !guarded && !p.freed {
		for _, e := range w.fx.List {
			k.ok(QueuedBeforeLive, spares(e), "a change of load did more than turn queued proposals away")
		}
		k.counts[QueuedBeforeLive]++
	}
	queued := k.rules.queues && k.loads.level >= gate.LevelQueued && k.state == controlplane.SessionActive &&
		k.pass.live >= 0 && k.pass.live == k.live && !guarded
	if queued && p.typed > 0 {
		k.ok(QueuedBeforeLive, p.away >= p.typed, "a proposal is queued at a level that turns it away")
	}
}

// loadAlone says that a pass holds changes of load, and at most the playout position that
// stands in front of any pass.
func loadAlone(in []session.Input) bool {
	some := false
	for _, one := range in {
		if _, load := one.(*session.Load); load {
			some = true
			continue
		}
		if d, report := one.(*session.Delivery); !report || d.Event != session.DeliveryProgress {
			return false
		}
	}
	return some
}

// spares says that a decision is one that turns a queued proposal away and no more. What
// edges have to tell of what was before comes with any pass.
func spares(e session.Effect) bool {
	emit, emitted := e.(*session.Emit)
	decided, is := e.(*session.Decide)
	_, words := e.(*session.Converse) // what was said stays in the record
	return words || emitted && (emit.Envelope.Signal == eventabi.SignalReject || emit.Envelope.EdgeID != "") ||
		is && decided.Outcome.OutcomeKind == controlplane.OutcomeReject
}
