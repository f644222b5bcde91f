// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"fmt"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/session"
)

// boundary is where a panic of the owner's work is caught (house, point 9). The fence
// goes up first; then the kernel is asked to end the session in good order, and if
// it cannot, the session ends without it.
func (s *Session) boundary() {
	r := recover()
	if r == nil {
		return
	}
	s.fences.CloseSession()
	s.counts.faults.Add(1)
	s.discardPending()
	detail := fmt.Sprint(r)
	culprit := s.stepping
	s.stepping = nil
	if culprit != nil && !s.faulted {
		s.recordCulprit(culprit)
	}
	if !s.faulted {
		s.faulted = true
		if s.tryEnd(detail) {
			return
		}
	}
	s.forceEnd(detail)
}

// recordCulprit keeps the inputs that the kernel panicked on, so that the recording
// shows the bug. There are no decisions to keep with them.
func (s *Session) recordCulprit(in []session.Input) {
	defer func() {
		if recover() != nil { // the recorder is what panics
			s.counts.faults.Add(1)
		}
	}()
	s.record(s.last, in, nil)
	clear(in)
}

// tryEnd steps the fault through the kernel, so that a live turn gets its terminal.
func (s *Session) tryEnd(detail string) (ended bool) {
	defer func() {
		if recover() != nil {
			s.counts.faults.Add(1)
			ended = false
		}
	}()
	s.notice.Detail = detail
	s.pending = append(s.pending, &session.RuntimeFault{Reason: "panic"})
	s.pass(s.last)
	return s.over
}

// forceEnd ends a session that the kernel cannot end.
func (s *Session) forceEnd(detail string) {
	defer func() {
		if recover() != nil { // the recorder or the observer is what panics
			s.counts.faults.Add(1)
			s.teardown(string(controlplane.AbortRuntimeInternalError))
		}
	}()
	fault := &session.RuntimeFault{Reason: "panic"}
	s.record(s.last, []session.Input{fault}, nil)
	s.notice.Detail = detail
	s.note(s.last, fault)
	s.teardown(string(controlplane.AbortRuntimeInternalError))
}

// contained wraps work that runs off the owner: what panics there (a recorder that is
// given content, a hook of ours; nodes and adapters have boundaries of their own) ends
// the session as well, and nothing else.
func (s *Session) contained(work func()) func() {
	return func() {
		defer s.caught()
		work()
	}
}

// containedRun is contained for work that may want to run again.
func (s *Session) containedRun(run func(urgent bool) (again bool)) func(bool) bool {
	return func(urgent bool) bool {
		defer s.caught()
		return run(urgent)
	}
}

func (s *Session) caught() {
	if r := recover(); r != nil {
		s.fences.CloseSession()
		s.counts.faults.Add(1)
		s.post(&session.RuntimeFault{Reason: "worker_panic"})
	}
}
