// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// ReasonInvalidRequest is the reason of the outcome of a call that was refused before
// the engine saw it: infrastructure_failure, not retryable.
const ReasonInvalidRequest = "invalid_request"

// The range of sample rates that the contract carries, Hz.
const (
	MinSampleRate = 8000
	MaxSampleRate = 192000
)

// InvalidRequest is the outcome for err, as Validate methods return it.
func InvalidRequest(err error) Outcome {
	return Outcome{
		Class:  OutcomeInfrastructureFailure,
		Reason: ReasonInvalidRequest,
		Detail: strings.ReplaceAll(err.Error(), "\n", "; "),
	}
}

// Validate checks the identity of a call for an adapter of modality want and reports
// all faults at once (nodes-providers-transports section 4, request identity).
func (c Call) Validate(want Modality) error {
	var faults []error
	required := func(field, value string) {
		if value == "" {
			faults = append(faults, fmt.Errorf("call.%s: is empty; every call carries one", field))
		}
	}
	required("session_id", c.SessionID)
	required("pipeline_version", c.PipelineVersion)
	required("event_id", c.EventID)
	required("provider_invocation_id", c.InvocationID)
	required("provider_id", c.ProviderID)
	required("idempotency_key", c.IdempotencyKey)
	if c.Modality != want {
		faults = append(faults, fmt.Errorf("call.modality: %q; this adapter serves %q", c.Modality, want))
	}
	if c.Attempt < 1 {
		faults = append(faults, fmt.Errorf("call.attempt: %d; attempts count from 1", c.Attempt))
	}
	if c.AuthorityEpoch < 0 {
		faults = append(faults, fmt.Errorf("call.authority_epoch: %d; epochs are not negative", c.AuthorityEpoch))
	}
	if c.Timeout <= 0 {
		faults = append(faults, fmt.Errorf("call.timeout: %v; a call has a positive time limit", c.Timeout))
	}
	return errors.Join(faults...)
}

// Validate checks a prompt and reports all faults at once.
func (p Prompt) Validate() error {
	var faults []error
	if len(p.Messages) == 0 {
		faults = append(faults, errors.New("prompt.messages: is empty; give at least one message"))
	}
	calls := map[string]bool{}
	for i := range p.Messages {
		m := &p.Messages[i]
		switch m.Role {
		case RoleSystem, RoleUser, RoleAssistant:
		case RoleToolCall, RoleToolResult:
			if err := m.validateTool(calls); err != nil {
				faults = append(faults, fmt.Errorf("prompt.messages[%d].%w", i, err))
			}
		default:
			faults = append(faults, fmt.Errorf("prompt.messages[%d].role: %q; use system, user, assistant, tool_call or tool_result", i, m.Role))
		}
		if !utf8.ValidString(m.Text) {
			faults = append(faults, fmt.Errorf("prompt.messages[%d].text: is not valid UTF-8", i))
		}
	}
	if err := ValidateTools(p.Tools); err != nil {
		faults = append(faults, fmt.Errorf("prompt.%w", err))
	}
	if p.MaxTokens < 0 {
		faults = append(faults, fmt.Errorf("prompt.max_tokens: %d; use 0 for the engine's own limit", p.MaxTokens))
	}
	if math.IsNaN(p.Temperature) || math.IsInf(p.Temperature, 0) {
		faults = append(faults, fmt.Errorf("prompt.temperature: %v; use a finite number, negative for the engine's default", p.Temperature))
	}
	return errors.Join(faults...)
}

// Validate checks a piece of speech and reports all faults at once.
func (s Speech) Validate() error {
	var faults []error
	if strings.TrimSpace(s.Text) == "" {
		faults = append(faults, errors.New("speech.text: is blank; there is nothing to speak"))
	}
	if !utf8.ValidString(s.Text) {
		faults = append(faults, errors.New("speech.text: is not valid UTF-8"))
	}
	if s.Rate < 0 || math.IsNaN(s.Rate) || math.IsInf(s.Rate, 0) {
		faults = append(faults, fmt.Errorf("speech.rate: %v; use a positive factor, 1 for normal, 0 for unset", s.Rate))
	}
	return errors.Join(faults...)
}

// Validate checks a recogniser's configuration.
func (c STTConfig) Validate() error {
	if c.SampleRate < MinSampleRate || c.SampleRate > MaxSampleRate {
		return fmt.Errorf("stt_config.sample_rate: %d Hz; use %d to %d", c.SampleRate, MinSampleRate, MaxSampleRate)
	}
	return nil
}
