// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"math"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// Settings is what a session may set over the profile's defaults. Zero means "the
// profile's value"; the plan's default provenance names the layer of every value.
type Settings struct {
	Policy        turn.Policy
	TurnBudgetMS  int64
	TurnHardCapMS int64
	NodeBudgetMS  int64 // one event, or all events of a turn, of one node
	PathBudgetMS  int64
	EdgeBudgetMS  int64
	InvocationMS  int64 // provider invocation timeout
	ToolTimeoutMS int64 // how long a turn waits for a tool
	Attempts      int64 // attempts per provider call and candidate
	// AdaptiveActions is what the plans allow: names with commas between them, "none", or
	// empty for the profile's four (turn-plan section 7).
	AdaptiveActions string
	// Layers says which layer the budgets and the actions came from, as path=layer of the
	// plan with blanks between; what is not named came from the session's own settings.
	Layers string
	// PlainTTS says that segments carry wishes of style which a plain request leaves out;
	// VoiceOnly that the client has no way to show text. Both shape the ladder.
	PlainTTS         bool
	VoiceOnly        bool
	DrainMS          int64
	DisconnectMS     int64
	StallMS          int64 // missing caller audio for so long is a stall
	SilenceMS        int64 // no speech for so long is silence
	MaxUtteranceMS   int64
	StreamingSTT     bool // the recogniser delivers partial transcripts
	DedupeKeys       int64
	StaleOutcome     string // turn_start_invalid_outcome: "defer" (profile) or "reject"
	AvailabilityMode bool   // a missing snapshot uses its documented default
	// What the client may choose of its session (Wishes), as it begins.
	TurnEnd     TurnEnd // empty = the endpointer
	AnswerAsked bool    // what was said is answered when Respond asks
	TextOnly    bool
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
	num(c, "node_budget_ms", &s.NodeBudgetMS)
	num(c, "path_budget_ms", &s.PathBudgetMS)
	num(c, "edge_budget_ms", &s.EdgeBudgetMS)
	num(c, "invocation_ms", &s.InvocationMS)
	num(c, "tool_timeout_ms", &s.ToolTimeoutMS)
	num(c, "attempts", &s.Attempts)
	str(c, "adaptive_actions", &s.AdaptiveActions)
	str(c, "layers", &s.Layers)
	boolean(c, "plain_tts", &s.PlainTTS)
	boolean(c, "voice_only", &s.VoiceOnly)
	num(c, "drain_ms", &s.DrainMS)
	num(c, "disconnect_ms", &s.DisconnectMS)
	num(c, "stall_ms", &s.StallMS)
	num(c, "silence_ms", &s.SilenceMS)
	num(c, "max_utterance_ms", &s.MaxUtteranceMS)
	boolean(c, "streaming_stt", &s.StreamingSTT)
	num(c, "dedupe_keys", &s.DedupeKeys)
	str(c, "stale_outcome", &s.StaleOutcome)
	boolean(c, "availability", &s.AvailabilityMode)
	str(c, "turn_end", &s.TurnEnd)
	boolean(c, "answer_asked", &s.AnswerAsked)
	boolean(c, "text_only", &s.TextOnly)
}

// SettingError names a value of a bootstrap that the kernel cannot run with.
type SettingError struct {
	Field string // as in a recording
	Value string
	Want  string
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("session: %s is %q: give %s", e.Field, e.Value, e.Want)
}

// The bounds of what may be set.
const (
	// maxSettingMS is a day: more is a slip of units.
	maxSettingMS = 24 * 60 * 60 * 1000
	// maxAttemptsSet bounds the attempts of one provider call.
	maxAttemptsSet = 10
	// maxQueuedSet bounds queued proposals; each keeps an utterance.
	maxQueuedSet = maxUtterances - 1
)

// Validate reports every value that the kernel cannot run with, each a SettingError.
// Zero is always right: it means the profile's value.
func (in *Bootstrap) Validate() error {
	s := &in.Settings
	c := settingsCheck{}
	c.id("session", string(in.Session), true)
	c.id("tenant", in.Tenant, false)
	c.id("pipeline", string(in.Pipeline), true)
	c.within("epoch", int64(in.Epoch), math.MaxInt64)
	c.within("wall_ms", in.WallMS, math.MaxInt64/2)
	c.policy(&s.Policy)
	c.ms("turn_budget_ms", s.TurnBudgetMS)
	c.ms("turn_hard_cap_ms", s.TurnHardCapMS)
	c.ms("node_budget_ms", s.NodeBudgetMS)
	c.ms("path_budget_ms", s.PathBudgetMS)
	c.ms("edge_budget_ms", s.EdgeBudgetMS)
	c.ms("invocation_ms", s.InvocationMS)
	c.ms("tool_timeout_ms", s.ToolTimeoutMS)
	c.within("attempts", s.Attempts, maxAttemptsSet)
	c.actions("adaptive_actions", s.AdaptiveActions)
	c.layers(s.Layers)
	c.second("stt_second", in.STTSecond, in.STT)
	c.second("llm_second", in.LLMSecond, in.LLM)
	c.second("tts_second", in.TTSSecond, in.TTS)
	c.ms("drain_ms", s.DrainMS)
	c.ms("disconnect_ms", s.DisconnectMS)
	c.ms("stall_ms", s.StallMS)
	c.ms("silence_ms", s.SilenceMS)
	c.ms("max_utterance_ms", s.MaxUtteranceMS)
	c.within("dedupe_keys", s.DedupeKeys, defaultDedupeKeys)
	c.oneOf("turn_end", string(s.TurnEnd), "", string(TurnEndVAD), string(TurnEndClient))
	if s.TextOnly && s.VoiceOnly {
		c.fault("text_only", "true", "false, since the client has no way to show text")
	}
	if in.Transport != "" && !oneWord(in.Transport, maxControlKind) {
		c.fault("transport", in.Transport, fmt.Sprintf("1 to %d small letters, digits, hyphens and underscores", maxControlKind))
	}
	c.oneOf("stale_outcome", s.StaleOutcome, "", string(eventabi.SignalDefer), string(eventabi.SignalReject))
	return errors.Join(c.faults...)
}

type settingsCheck struct {
	prefix string // of the fields
	faults []error
}

func (c *settingsCheck) policy(p *turn.Policy) {
	c.oneOf("proposal_trigger", string(p.Trigger), "", string(turn.TriggerEndOfUtterance), string(turn.TriggerSpeechStart))
	c.oneOf("overlap_policy", string(p.Overlap), "", string(turn.OverlapPreempt), string(turn.OverlapQueue), string(turn.OverlapReject))
	c.within("max_queued_proposals", p.MaxQueued, maxQueuedSet)
	c.oneOf("late_event_policy", string(p.Late), "", string(turn.LateDrop), string(turn.LateRemap), string(turn.LateDiagnostics))
	c.oneOf("interruption_mode", string(p.Interruption), "", string(turn.HoldThenDecide), string(turn.Immediate), string(turn.Off))
	c.ms("min_interruption_ms", p.MinInterruptionMS)
	c.within("min_interruption_words", p.MinInterruptionWords, 1000)
	c.oneOf("backchannels", p.Backchannels, "", "on", "off")
	c.ms("false_interruption_ms", p.FalseInterruptionMS)
	c.ms("transcript_wait_ms", p.TranscriptWaitMS)
	// Egress suppresses by generation, so what it accepted and did not play is withdrawn
	// whatever the edge says; playback_completed differs in nothing that can be heard.
	c.oneOf("commit_point", string(p.CommitPoint), "", string(turn.CommitAtStarted), string(turn.CommitAtCompleted))
}

func (c *settingsCheck) fault(field, value, want string) {
	c.faults = append(c.faults, &SettingError{Field: c.prefix + field, Value: value, Want: want})
}

func (c *settingsCheck) actions(field, v string) {
	if _, err := turn.ParseActions(v); err != nil {
		c.fault(field, v, fmt.Sprintf("%s, or some of %v with commas between them, each once", turn.NoActions, controlplane.AdaptiveActions()))
	}
}

// layers checks a list of name=layer.
func (c *settingsCheck) layers(v string) {
	if pair := turn.UnknownLayer(v); pair != "" {
		c.fault("layers", pair, fmt.Sprintf("name=layer, the layer one of %v", controlplane.Layers()))
	}
}

// second checks a second candidate: a switch to the same provider would be none.
func (c *settingsCheck) second(field, v, first string) {
	if v != "" && v == first {
		c.fault(field, v, "another provider than the first, or none")
	}
}

func (c *settingsCheck) ms(field string, v int64) { c.within(field, v, maxSettingMS) }

// within checks a number from 0 to high.
func (c *settingsCheck) within(field string, v, high int64) {
	if v < 0 || v > high {
		c.fault(field, fmt.Sprint(v), fmt.Sprintf("a whole number from 0 to %d", high))
	}
}

func (c *settingsCheck) oneOf(field, v string, set ...string) {
	want := ""
	for _, s := range set {
		if v == s {
			return
		}
		if s == "" {
			continue
		}
		if want != "" {
			want += " or "
		}
		want += s
	}
	c.fault(field, v, want)
}

// id checks an identifier: at most 128 characters of [A-Za-z0-9._:-] (authority-state
// section 5).
func (c *settingsCheck) id(field, v string, required bool) {
	good := len(v) <= eventabi.MaxIDLength && (v != "" || !required)
	for i := 0; good && i < len(v); i++ {
		b := v[i]
		good = b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' ||
			b == '.' || b == '_' || b == ':' || b == '-'
	}
	if !good {
		c.fault(field, v, fmt.Sprintf("1 to %d characters of letters, digits, dot, underscore, colon and hyphen", eventabi.MaxIDLength))
	}
}

// unusable gives the reason with which a bootstrap is refused, empty when it is fit. What
// was to bound the session and cannot be enforced is no less a reason than a setting.
func (m *Machine) unusable(in *Bootstrap) string {
	if in.Refusal != "" {
		return in.Refusal
	}
	if m.entry.fault != "" {
		return m.entry.fault
	}
	var fault *SettingError
	if errors.As(in.Validate(), &fault) {
		return "invalid_setting:" + fault.Field
	}
	return ""
}
