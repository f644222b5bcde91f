// SPDX-License-Identifier: Apache-2.0

package session

import "github.com/parley-voice/parley/internal/kernel/turn"

// Settings is what a session may set over the profile's defaults. Zero means "the
// profile's value"; the plan's default provenance names the layer of every value.
type Settings struct {
	Policy           turn.Policy
	TurnBudgetMS     int64
	TurnHardCapMS    int64
	InvocationMS     int64 // provider invocation timeout
	Attempts         int64 // attempts per provider call
	DrainMS          int64
	DisconnectMS     int64
	BootstrapMS      int64 // time that CONNECTING may last
	MaxUtteranceMS   int64
	StreamingSTT     bool // the recogniser delivers partial transcripts
	DedupeKeys       int64
	StaleOutcome     string // turn_start_invalid_outcome: "defer" (profile) or "reject"
	AvailabilityMode bool   // a missing snapshot uses its documented default
}

func (s *Settings) code(c *coder) {
	p := &s.Policy
	str(c, "proposal_trigger", &p.Trigger)
	str(c, "overlap_policy", &p.Overlap)
	num(c, "max_queued_proposals", &p.MaxQueued)
	str(c, "late_event_policy", &p.Late)
	str(c, "interruption_mode", &p.Interruption)
	num(c, "min_interruption_ms", &p.MinInterruptionMS)
	num(c, "min_interruption_words", &p.MinInterruptionWords)
	str(c, "backchannels", &p.Backchannels)
	num(c, "false_interruption_ms", &p.FalseInterruptionMS)
	num(c, "transcript_wait_ms", &p.TranscriptWaitMS)
	str(c, "commit_point", &p.CommitPoint)
	num(c, "turn_budget_ms", &s.TurnBudgetMS)
	num(c, "turn_hard_cap_ms", &s.TurnHardCapMS)
	num(c, "invocation_ms", &s.InvocationMS)
	num(c, "attempts", &s.Attempts)
	num(c, "drain_ms", &s.DrainMS)
	num(c, "disconnect_ms", &s.DisconnectMS)
	num(c, "bootstrap_ms", &s.BootstrapMS)
	num(c, "max_utterance_ms", &s.MaxUtteranceMS)
	boolean(c, "streaming_stt", &s.StreamingSTT)
	num(c, "dedupe_keys", &s.DedupeKeys)
	str(c, "stale_outcome", &s.StaleOutcome)
	boolean(c, "availability", &s.AvailabilityMode)
}
