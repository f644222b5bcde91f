// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/admission"
)

// Refusal is the answer to a session that was not let in. Nothing of it is left: no
// transport was bound, and its recording, which has the decision, is closed.
type Refusal struct {
	Session eventabi.SessionID
	Outcome controlplane.OutcomeKind // reject or defer
	// Reason names what was reached: tenant_quota:<limit>, headroom:<limit>,
	// capacity:<bound> or overload:new_sessions.
	Reason string
	// RetryAfter is when to come again, 0 = not said.
	RetryAfter time.Duration
}

func (r *Refusal) Error() string {
	s := fmt.Sprintf("sessionhost: session %s: %s: %s", r.Session, r.Outcome, r.Reason)
	if r.RetryAfter > 0 {
		return s + fmt.Sprintf(": come again in %v, or open it elsewhere", r.RetryAfter)
	}
	return s + ": raise the limit, or open it elsewhere"
}

// Unwrap gives ErrFull where it was for want of a slot.
func (r *Refusal) Unwrap() error {
	if strings.HasPrefix(r.Reason, "capacity:") {
		return ErrFull
	}
	return nil
}

// opening is what the kernel is given first: what the session is bounded by, what was used
// before it came, the host's word, and the bootstrap. Nil asks nothing.
func opening(d *admission.Decision, b *session.Bootstrap) []session.Input {
	if d == nil {
		return []session.Input{b}
	}
	var list []session.Input
	for _, q := range d.Quotas {
		list = append(list, &session.Quota{Quota: q})
	}
	if len(d.Quotas) > 0 {
		usage := &session.Usage{}
		copy(usage.Counts[:], d.Counts[:])
		list = append(list, usage)
	}
	asked := &session.Admission{Outcome: string(d.Host.Outcome), Reason: d.Host.Reason, RetryAfterMS: d.Host.RetryAfterMS}
	return append(list, asked, b)
}

// bootstrap is the session's bootstrap at this instant.
func (s *Settings) bootstrap(wallMS int64) *session.Bootstrap {
	b := s.Bootstrap
	if b.WallMS == 0 {
		b.WallMS = wallMS
	}
	return &b
}

// refuse has the kernel decide what the host has decided, from the same counts, so that a
// session that is not let in is recorded and observed like any other. It runs on the
// goroutine of Open.
func refuse(s *Settings, d *admission.Decision, wallMS int64) error {
	refusal := &Refusal{
		Session: s.Bootstrap.Session, Outcome: d.Verdict.Outcome, Reason: d.Verdict.Reason,
		RetryAfter: time.Duration(d.Verdict.RetryAfterMS) * time.Millisecond,
	}
	return errors.Join(refusal, s.evidence(opening(d, s.bootstrap(wallMS))))
}

// evidence steps a session that ends before it began, and keeps and shows it. A recorder
// or an observer that panics costs the evidence and nothing else.
func (s *Settings) evidence(in []session.Input) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("sessionhost: session %s: its refusal could not be evidenced: %v", s.Bootstrap.Session, r)
		}
	}()
	const at = timebase.Instant(0)
	machine, fx, digest, reason := session.New(), session.Effects{}, session.Digest{}, ""
	machine.Step(at, in, &fx)
	digest.Add(fx.List)
	for _, e := range fx.List {
		if end, ok := e.(*session.Ended); ok {
			reason = end.Reason
		}
	}
	if s.Recorder != nil {
		err = s.Recorder.Pass(at, in, fx.List)
		err = errors.Join(err, s.Recorder.Close(reason, digest.Sum()))
	}
	if s.Observer != nil {
		for _, i := range in {
			s.Observer(&Notice{At: at, Record: i})
		}
		for _, e := range fx.List {
			s.Observer(&Notice{At: at, Record: e})
		}
	}
	return err
}

// enter hands the kernel what it is given first, in one pass.
func (s *Session) enter() {
	in := opening(s.decision, s.settings.bootstrap(s.driver.wallMS()))
	if s.place.Bounded() {
		s.usage = &session.Usage{}
		copy(s.usage.Counts[:], s.decision.Counts[:])
	}
	s.decision = nil
	s.driver.post(item{session: s, ask: func() { s.pending = append(s.pending, in...) }})
}

// refreshUsage gives the counts for a pass that may open a turn, nil when they are what the
// kernel has. They are taken anew each time: a turn that another session of the tenant
// has opened since counts.
func (s *Session) refreshUsage(at timebase.Instant) session.Input {
	if s.usage == nil {
		return nil
	}
	used := s.place.Used(at.Add(timebase.Span(s.born)))
	var counts [len(s.usage.Counts)]int64
	copy(counts[:], used[:])
	if counts == s.usage.Counts {
		return nil
	}
	s.usage.Counts = counts
	return s.usage
}

// hostTime is a session's instant on the clock of its host, by which tenants are counted.
func (s *Session) hostTime() timebase.Instant { return s.driver.now() }
