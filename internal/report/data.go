// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/parley-voice/parley/internal/observability/waits"
)

// Data is everything the timeline shows of one session. Instants are milliseconds since the session began, with
// microseconds as decimals; a nil instant is something that did not occur. Build instants with At.
type Data struct {
	Session Session `json:"session"`
	Process Process `json:"process"`
	Voices  Voices  `json:"voices"`
	// Turns in the order they opened.
	Turns []Turn `json:"turns"`
	// Speech holds the voice detector's decisions about the caller, in time order.
	Speech []Speech `json:"speech"`
	// Partials holds the recogniser's results in the order they came, finals included.
	Partials []Partial `json:"partials"`
	// Signals holds the control signals in the order they were emitted, without the grants of credits, of which there
	// may be one for each item: Waits has their number.
	Signals []Signal `json:"signals"`
	// Waits is what waited, what was lost and what was turned away; nil when nobody kept account.
	Waits *waits.Account `json:"waits"`
	// Notes are remarks for the reader, such as a conversion of the input's sample rate.
	Notes []string `json:"notes"`
}

// Mode says which clock a session ran on.
type Mode string

const (
	// ModeReal paces audio by the wall clock.
	ModeReal Mode = "real"
	// ModeFast runs in virtual time: the same decisions, as fast as they can be computed.
	ModeFast Mode = "fast"
)

// Session identifies the conversation and says how it ended.
type Session struct {
	ID string `json:"id"`
	// State is the session's last state (lifecycle section 1), such as "ENDED", and Reason why it got there.
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Pipeline string `json:"pipeline"`
	Profile  string `json:"profile"`
	Mode     Mode   `json:"mode"`
	// StartedAt is the wall clock at the beginning, RFC 3339; empty in virtual time.
	StartedAt  string  `json:"started_at,omitempty"`
	DurationMs float64 `json:"duration_ms"`
	// Digest is the replay digest over every decision, in hexadecimal.
	Digest string `json:"digest"`
	// Recording is the path of the recording, as a person would type it after `parley replay`.
	Recording string `json:"recording"`
	// Audio is the name of the stereo WAV beside the timeline, or empty when there is none.
	Audio string `json:"audio,omitempty"`
	// Violations names the invariants that did not hold, one entry each time; empty is what must be.
	Violations []string `json:"violations"`
	Engines    []Engine `json:"engines"`
}

// Engine is one part that listened, thought or spoke.
type Engine struct {
	// Role is "vad", "stt", "llm" or "tts".
	Role    string `json:"role"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Scripted marks an engine that answers from a script and does not reason.
	Scripted bool   `json:"scripted"`
	Note     string `json:"note,omitempty"`
}

// Process says what ran the session.
type Process struct {
	Version   string `json:"version"`
	GoVersion string `json:"go_version"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	CPUs      int    `json:"cpus"`
	// PeakMemoryBytes is the largest resident size, nil where the system does not tell.
	PeakMemoryBytes *int64 `json:"peak_memory_bytes"`
}

// Voices are the two channels of the conversation, cut down to what a screen can show.
type Voices struct {
	Caller Envelope `json:"caller"`
	Agent  Envelope `json:"agent"`
}

// Turn is one turn of the agent: what it answered, when each step happened, and how it ended.
type Turn struct {
	TurnID string `json:"turn_id"`
	// Index counts accepted turns from 1.
	Index int `json:"index"`

	ProposedMs *float64 `json:"proposed_ms"`
	OpenedMs   *float64 `json:"opened_ms"`
	// EOUMs is the voice detector's end-of-utterance decision, from which latency counts.
	EOUMs          *float64 `json:"eou_ms"`
	STTFinalMs     *float64 `json:"stt_final_ms"`
	FirstTokenMs   *float64 `json:"first_token_ms"`
	FirstSegmentMs *float64 `json:"first_segment_ms"`
	// FirstAudioMs is the synthesiser's first chunk; PlaybackStartedMs is the first frame at the sink.
	FirstAudioMs      *float64 `json:"first_audio_ms"`
	PlaybackStartedMs *float64 `json:"playback_started_ms"`
	TerminalMs        *float64 `json:"terminal_ms"`
	ClosedMs          *float64 `json:"closed_ms"`
	// PlaybackEndMs is when the last frame that was heard had been played.
	PlaybackEndMs *float64 `json:"playback_end_ms"`

	Transcript string `json:"transcript"`
	// Reply is the text the turn generated; HeardText the part of it that reached the caller's ear.
	Reply     string `json:"reply"`
	HeardText string `json:"heard_text"`
	// HeardErrorMs bounds how far the end of HeardText may lie from the playout position, nil when it is exact.
	HeardErrorMs *float64 `json:"heard_error_ms"`
	// Segments are the sentence-sized pieces of Reply in the order they were handed to synthesis.
	Segments []Segment `json:"segments,omitempty"`

	// Terminal is "commit" or "abort" (lifecycle section 6), empty while neither was emitted; Reason explains an abort.
	Terminal string  `json:"terminal"`
	Reason   string  `json:"reason"`
	Cancel   *Cancel `json:"cancel"`
	Hold     []Hold  `json:"hold"`
}

// Segment is one piece of a reply as it left for synthesis.
type Segment struct {
	AtMs float64 `json:"at_ms"`
	Text string  `json:"text"`
}

// Cancel is a barge-in or stop that reached a turn (lifecycle sections 7 and 8).
type Cancel struct {
	// DetectedMs is when speech began to be suspected, HeldMs when egress fell silent for it.
	DetectedMs *float64 `json:"detected_ms"`
	HeldMs     *float64 `json:"held_ms"`
	AcceptedMs float64  `json:"accepted_ms"`
	// FenceAppliedMs is on the same clock as AcceptedMs; CancelToFenceUs may come from a finer one and is what is quoted.
	FenceAppliedMs  *float64 `json:"fence_applied_ms"`
	CancelToFenceUs *float64 `json:"cancel_to_fence_us"`
	// PlayedThroughMs is media time within the reply: how much of it was played.
	PlayedThroughMs *float64 `json:"played_through_ms"`
	// FramesAfterFence counts frames of the fenced turn at the sink; anything but 0 is a fault.
	FramesAfterFence int `json:"frames_after_fence"`
}

// Verdict is how a hold ended (lifecycle section 7.1).
type Verdict string

const (
	// VerdictResumed means that the sound confirmed nothing and playback went on at the next sample.
	VerdictResumed Verdict = "resumed"
	// VerdictConfirmed means that it was speech, and the turn was cancelled.
	VerdictConfirmed Verdict = "confirmed"
	// VerdictEnded means that the turn was cancelled for another reason before that was known.
	VerdictEnded Verdict = "ended"
)

// Hold is a stretch in which egress waited to learn whether the caller meant to interrupt.
type Hold struct {
	FromMs  float64 `json:"from_ms"`
	ToMs    float64 `json:"to_ms"`
	Verdict Verdict `json:"verdict"`
}

// SpeechKind is a decision of the voice detector.
type SpeechKind string

const (
	// VoiceOn and VoiceOff bound a stretch of voice.
	VoiceOn SpeechKind = "voice_on"
	// VoiceOff ends what VoiceOn began.
	VoiceOff SpeechKind = "voice_off"
	// EndOfUtterance is the endpointing decision.
	EndOfUtterance SpeechKind = "end_of_utterance"
)

// Speech is one decision about the caller's voice.
type Speech struct {
	AtMs float64    `json:"at_ms"`
	Kind SpeechKind `json:"kind"`
}

// Partial is one result of the recogniser: the whole text of the utterance as understood at that instant.
type Partial struct {
	AtMs float64 `json:"at_ms"`
	// Utterance groups the results that revise one another; TurnID is the turn that took it up, if one did.
	Utterance string `json:"utterance"`
	TurnID    string `json:"turn_id,omitempty"`
	Text      string `json:"text"`
	Final     bool   `json:"final"`
}

// Signal is one control signal.
type Signal struct {
	AtMs    float64 `json:"at_ms"`
	Signal  string  `json:"signal"`
	Emitter string  `json:"emitter"`
	TurnID  string  `json:"turn_id,omitempty"`
	EdgeID  string  `json:"edge_id,omitempty"`
	Reason  string  `json:"reason,omitempty"`
}

// At makes an instant out of the time since the session began, to the microsecond.
func At(since time.Duration) *float64 {
	ms := Millis(since)
	return &ms
}

// Millis is a duration in milliseconds, to the microsecond.
func Millis(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond).Microseconds()) / 1000
}

// Validate reports every fault that would make a misleading picture, each with the field, the value and the remedy.
func (d *Data) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !(d.Session.DurationMs > 0) || math.IsInf(d.Session.DurationMs, 0) {
		fault("session.duration_ms is %v: give the length of the conversation, more than 0", d.Session.DurationMs)
	}
	for _, voice := range []struct {
		name string
		of   Envelope
	}{{"caller", d.Voices.Caller}, {"agent", d.Voices.Agent}} {
		if err := voice.of.check(); err != nil {
			fault("voices.%s: %w", voice.name, err)
		}
	}
	for i, turn := range d.Turns {
		if turn.TurnID == "" {
			fault("turns[%d].turn_id is empty: every accepted turn has one", i)
		}
		if turn.Terminal != "" && turn.Terminal != "commit" && turn.Terminal != "abort" {
			fault("turns[%d].terminal is %q: use commit, abort, or nothing for a turn that did not end", i, turn.Terminal)
		}
		for j, hold := range turn.Hold {
			if hold.ToMs < hold.FromMs {
				fault("turns[%d].hold[%d] ends at %v ms, before it begins at %v ms", i, j, hold.ToMs, hold.FromMs)
			}
		}
	}
	return errors.Join(faults...)
}
