// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"fmt"

	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/observability/timeline"
)

// SessionRecorder is a session's recorder with its log: what the shell is given.
type SessionRecorder struct {
	*Recorder
	log *timeline.Writer
}

// RecordSession begins a recording in a folder. Meta's Codec is set here.
func RecordSession(dir string, o timeline.Options) (*SessionRecorder, error) {
	o.Meta.Codec = Codec
	w, err := timeline.Create(dir, o)
	if err != nil {
		return nil, fmt.Errorf("replay: record into %s: %w", dir, err)
	}
	return &SessionRecorder{Recorder: NewRecorder(w), log: w}, nil
}

// Terminal appends the terminal evidence of a turn: the decision that asks for it
// stands in the log already, a checkpoint seals it.
func (s *SessionRecorder) Terminal(timebase.Instant, *session.AppendTerminal) error {
	if err := s.Flush(); err != nil {
		return err
	}
	return s.check()
}

// Close ends the recording. Without it a recording is not whole.
func (s *SessionRecorder) Close(reason string, digest [32]byte) error {
	if own := s.Digest(); own != digest {
		return errors.Join(
			fmt.Errorf("replay: the session's digest %x is not the recorder's %x: decisions are missing", digest[:8], own[:8]),
			s.log.Abort())
	}
	if err := s.Flush(); err != nil {
		return errors.Join(err, s.log.Abort())
	}
	if len(reason) > timeline.MaxReason {
		reason = reason[:timeline.MaxReason]
	}
	if err := s.log.Close(timeline.End{Digest: digest, Reason: reason}); err != nil {
		return fmt.Errorf("replay: close: %w", err)
	}
	return nil
}

// Stats gives the state of the log.
func (s *SessionRecorder) Stats() timeline.Stats { return s.log.Stats() }

// Append appends a record of content, which is detail: when it cannot be kept it is
// dropped and counted (evidence-replay section 3).
func (s *SessionRecorder) Append(t timeline.Type, payload []byte) error {
	if err := s.log.Append(t, payload); err != nil {
		return fmt.Errorf("replay: %s: %w", t, err)
	}
	return nil
}
