// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/internal/runtime/admission"
	"github.com/parley-voice/parley/transport"
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

// opening is what the kernel is given first: what was set for the session's edges, what it
// is bounded by, what was used before it came, the host's word, and the bootstrap. Without
// a decision nobody was asked. keep keeps a text that the kernel is to know.
func (s *Settings) opening(d *admission.Decision, wallMS int64, keep func(text string) session.TextRef) (list []session.Input, b *session.Bootstrap) {
	for i := range s.Edges {
		p := s.Edges[i]
		list = append(list, &p)
	}
	for i := range s.Nodes {
		p := s.Nodes[i]
		list = append(list, &p)
	}
	if s.Flow != nil {
		f := *s.Flow
		list = append(list, &f)
	}
	list = append(list, s.Graph.inputs(keep)...)
	boot := s.Bootstrap
	if boot.WallMS == 0 {
		boot.WallMS = wallMS
	}
	if d != nil {
		list = append(list, asked(d)...)
	}
	return append(list, &boot), &boot
}

// asked is a decision of the host as the kernel is told of it.
func asked(d *admission.Decision) (list []session.Input) {
	for _, q := range d.Quotas {
		list = append(list, &session.Quota{Quota: q})
	}
	if len(d.Quotas) > 0 {
		usage := &session.Usage{}
		copy(usage.Counts[:], d.Counts[:])
		list = append(list, usage)
	}
	return append(list, &session.Admission{
		Outcome: string(d.Host.Outcome), Reason: d.Host.Reason, RetryAfterMS: d.Host.RetryAfterMS,
	})
}

// yield is what the session can give up as its plans allow it, before it begins. What is
// asked then is no matter of the voice.
func (s *Settings) yield() gate.Yield {
	list, err := turn.ParseActions(s.Bootstrap.Settings.AdaptiveActions)
	if err != nil || !slices.Contains(list, controlplane.ActionDegrade) {
		return gate.YieldNothing
	}
	return gate.YieldFidelity
}

// refuse has the kernel decide what the host has decided, from the same counts, so that a
// session that is not let in is recorded and observed like any other. It runs on the
// goroutine of Open.
func refuse(s *Settings, d *admission.Decision, wallMS int64) error {
	refusal := &Refusal{
		Session: s.Bootstrap.Session, Outcome: d.Verdict.Outcome, Reason: d.Verdict.Reason,
		RetryAfter: time.Duration(d.Verdict.RetryAfterMS) * time.Millisecond,
	}
	in, _ := s.opening(d, wallMS, func(text string) session.TextRef { return session.Describe(text, 0, s.TextKey, s.Language) })
	return errors.Join(refusal, s.evidence(in))
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
	if s.Waits != nil {
		s.Waits(at, machine)
	}
	return err
}

// enter hands the kernel what it is given first, in one pass.
func (s *Session) enter() {
	in, boot := s.settings.opening(s.decision, s.driver.wallMS(), func(text string) session.TextRef {
		return s.refer(text, s.content.keepText(text))
	})
	s.wall = boot.WallMS - s.Now().MS()
	if text := s.settings.FallbackReply; text != "" {
		boot.Fallback = s.refer(text, s.content.keepText(text))
	}
	if _, reads := s.link.(transport.TextSink); !reads {
		boot.Settings.VoiceOnly = true
	}
	if s.place.Bounded() {
		s.usage = &session.Usage{}
		copy(s.usage.Counts[:], s.decision.Counts[:])
	}
	s.decision = nil
	s.driver.post(s, item{ask: func() { s.pending = append(s.pending, in...) }})
}

// refreshUsage adds the counts to a pass that may open a turn, when they are not what the
// kernel has. They are taken anew each time: a turn that another session of the tenant has
// opened since counts.
func (s *Session) refreshUsage(at timebase.Instant, in []session.Input) []session.Input {
	if s.usage == nil {
		return in
	}
	used := s.place.Used(at.Add(timebase.Span(s.born)))
	var counts [len(s.usage.Counts)]int64
	copy(counts[:], used[:])
	if counts == s.usage.Counts {
		return in
	}
	s.usage.Counts = counts
	return append(in, s.usage)
}

// hostTime is a session's instant on the clock of its host, by which tenants are counted.
func (s *Session) hostTime() timebase.Instant { return s.driver.now() }
