// SPDX-License-Identifier: Apache-2.0

package turn

// Policy is how proposals and interruptions are judged (lifecycle sections 7 and 7.1).
// It is set with the session's bootstrap and does not change, so it is the same for the
// whole of every turn. The zero value of a field means the profile's.
type Policy struct {
	Trigger              Trigger
	Overlap              Overlap
	MaxQueued            int64
	Late                 LatePolicy
	Interruption         InterruptionMode
	MinInterruptionMS    int64 // speech needed to confirm
	MinInterruptionWords int64 // words of a partial transcript needed as well, 0 = none
	Backchannels         string
	FalseInterruptionMS  int64 // silence after an unconfirmed start before playback resumes
	// TranscriptWaitMS is how much longer than MinInterruptionMS a start without any
	// transcript is held before it counts as confirmed, when the recogniser streams and
	// backchannels are told apart. While held, waiting costs the caller nothing.
	TranscriptWaitMS int64
	CommitPoint      CommitPoint
}

// Trigger is when the prelude proposes a turn.
type Trigger string

// The proposal triggers.
const (
	TriggerEndOfUtterance Trigger = "end_of_utterance"
	TriggerSpeechStart    Trigger = "speech_start"
)

// Overlap is what becomes of a proposal that meets a live turn.
type Overlap string

// The overlap policies.
const (
	OverlapPreempt Overlap = "preempt"
	OverlapQueue   Overlap = "queue"
	OverlapReject  Overlap = "reject"
)

// LatePolicy is what becomes of an event for a closed turn.
type LatePolicy string

// The late-event policies.
const (
	LateDrop        LatePolicy = "drop"
	LateRemap       LatePolicy = "remap"
	LateDiagnostics LatePolicy = "diagnostics_only"
)

// InterruptionMode says what counts as a barge-in.
type InterruptionMode string

// The interruption modes.
const (
	HoldThenDecide InterruptionMode = "hold_then_decide"
	Immediate      InterruptionMode = "immediate"
	Off            InterruptionMode = "off"
)

// CommitPoint is from where on audio is not withdrawn.
type CommitPoint string

// The commit points (lifecycle section 8).
const (
	CommitAtAccepted  CommitPoint = "output_accepted"
	CommitAtStarted   CommitPoint = "playback_started"
	CommitAtCompleted CommitPoint = "playback_completed"
)

// The profile's values (turn-plan section 6).
const (
	DefaultMinInterruptionMS   = 300
	DefaultFalseInterruptionMS = 700
	DefaultTranscriptWaitMS    = 300
	DefaultMaxQueued           = 1
)

// WithDefaults fills every unset field with the profile's value.
func (p Policy) WithDefaults() Policy {
	fill(&p.Trigger, TriggerEndOfUtterance)
	fill(&p.Overlap, OverlapPreempt)
	fill(&p.MaxQueued, DefaultMaxQueued)
	fill(&p.Late, LateDrop)
	fill(&p.Interruption, HoldThenDecide)
	fill(&p.MinInterruptionMS, DefaultMinInterruptionMS)
	fill(&p.Backchannels, "on")
	fill(&p.FalseInterruptionMS, DefaultFalseInterruptionMS)
	fill(&p.TranscriptWaitMS, DefaultTranscriptWaitMS)
	fill(&p.CommitPoint, CommitAtStarted)
	return p
}

func fill[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
