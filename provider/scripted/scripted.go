// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/provider"
)

// ID and Model are what the descriptor says.
const (
	ID    = "scripted"
	Model = "scripted-v1"
)

// Config is what a Responder needs.
type Config struct {
	// Now is the clock for the time of day, in the caller's time zone. Required.
	Now func() time.Time
	// Plan names the skills for successive turns in which no rule matched, so that a
	// conversation on recordings without any command still shows them. Turns beyond its
	// end get the plain answer. See Skills for the names.
	Plan []string
	// Pace is the delay before each token, 0 for none.
	Pace time.Duration
}

// Validate reports all faults of the configuration at once.
func (c Config) Validate() error {
	var faults []error
	if c.Now == nil {
		faults = append(faults, errors.New("scripted: now: is nil; give the clock, for example time.Now"))
	}
	if c.Pace < 0 {
		faults = append(faults, fmt.Errorf("scripted: pace: %v; use 0 or a positive delay", c.Pace))
	}
	for i, name := range c.Plan {
		if !slices.Contains(Skills(), name) {
			faults = append(faults, fmt.Errorf("scripted: plan[%d]: %q is no skill; use one of %s", i, name, strings.Join(Skills(), ", ")))
		}
	}
	return errors.Join(faults...)
}

// Responder answers by rules. It implements provider.LLM and is safe for concurrent use.
type Responder struct {
	config Config
	rules  []rule
}

var _ provider.LLM = (*Responder)(nil)

// New builds a responder, or says what is wrong with its configuration.
func New(c Config) (*Responder, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Plan = slices.Clone(c.Plan)
	return &Responder{config: c, rules: compiled()}, nil
}

// Descriptor says that the answers are scripted.
func (r *Responder) Descriptor() provider.Descriptor {
	return provider.Descriptor{
		ID:              ID,
		Modality:        provider.ModalityLLM,
		Model:           Model,
		ContractVersion: provider.ContractVersion,
		Capabilities: provider.Capabilities{
			Streaming:     true,
			Cancel:        true,
			CancelLatency: time.Millisecond,
			Languages:     []string{"en"},
			Offline:       true,
			Tools:         true,
			Scripted:      true,
		},
		Expected: provider.Latency{First: max(r.config.Pace, time.Millisecond), Next: r.config.Pace},
	}
}

// Generate streams the reply word by word, and calls the tool that the caller has named.
// Usage counts words. Prompt.MaxTokens limits
// the words of the reply; Prompt.Temperature has no meaning here.
func (r *Responder) Generate(ctx context.Context, call provider.Call, prompt provider.Prompt, sink provider.Sink) provider.Outcome {
	out := provider.NewEmitter(sink)
	out.Start()
	if err := errors.Join(call.Validate(provider.ModalityLLM), prompt.Validate()); err != nil {
		return out.Fail(provider.InvalidRequest(err))
	}
	usage := provider.Usage{}
	for _, m := range prompt.Messages {
		usage.InputTokens += len(strings.Fields(m.Text))
	}
	tool, calls := toolCall(&prompt)
	for _, token := range tokens(r.says(&prompt, tool, calls)) {
		if prompt.MaxTokens > 0 && usage.OutputTokens == prompt.MaxTokens {
			break
		}
		if err := wait(ctx, r.config.Pace); err != nil {
			o, _ := provider.ContextOutcome(err)
			return out.Fail(o)
		}
		out.TextDelta(token)
		usage.OutputTokens++
	}
	if calls {
		out.ToolCall(tool.Name, tool.Arguments)
	}
	return out.Final(usage)
}

// says is the text of a reply: of a call, of what was called for, or of neither.
func (r *Responder) says(p *provider.Prompt, tool provider.ToolCall, calls bool) string {
	text := ""
	if list := results(p.Messages); len(list) > 0 {
		text = answered(list)
	} else if calls {
		text = calling(tool.Name)
	} else {
		return r.reply(p.Messages).text
	}
	if !disclosed(p.Messages) {
		return disclosure + " " + text
	}
	return text
}

// wait pauses for d and reports the context's end at once.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return ctx.Err()
	}
}

// tokens cuts text into words, each with the space that follows it.
func tokens(text string) []string { return strings.SplitAfter(text, " ") }
