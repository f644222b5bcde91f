// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

func translation() provider.Call {
	return provider.Call{
		SessionID: "s", PipelineVersion: "p", EventID: "k", InvocationID: "k", IdempotencyKey: "k", ProviderID: "fake_llm",
		Modality: provider.ModalityLLM, Timeout: time.Minute,
	}
}

func toTranslate() provider.Prompt {
	return provider.Prompt{MaxTokens: 100, Messages: []provider.Message{{Role: provider.RoleUser, Text: "Hello. Until tomorrow."}}}
}

// A completion is the whole text, of a stream that kept its discipline; what can be tried again is,
// once, under the same key, and nothing else is.
func TestComplete(t *testing.T) {
	const broken = provider.ReasonStreamProtocolViolation
	busy := provider.Outcome{Class: provider.OutcomeOverload, Reason: "rate_limited", Retryable: true, Backoff: 200 * time.Millisecond}
	for _, c := range []struct {
		name   string
		inject func(attempt int) providertest.Injection
		want   string // text, or the reason of the failure
		asked  int
	}{
		{"well", func(int) providertest.Injection { return providertest.Injection{} }, "Guten Tag. Bis morgen.", 1},
		{"retried", func(n int) providertest.Injection {
			if n > 1 {
				return providertest.Injection{}
			}
			return providertest.Injection{Fault: providertest.FaultError, At: 1}
		}, "Guten Tag. Bis morgen.", 2},
		{"busy", func(n int) providertest.Injection {
			return providertest.Injection{Fault: providertest.FaultError, Outcome: busy}
		}, "rate_limited", 2},
		{"blocked", func(int) providertest.Injection {
			return providertest.Injection{Fault: providertest.FaultError, Outcome: provider.Outcome{Class: provider.OutcomeBlocked, Reason: "safety"}}
		}, "safety", 1},
		{"duplicate", func(int) providertest.Injection {
			return providertest.Injection{Fault: providertest.FaultDuplicate, At: 1}
		}, broken, 1},
		{"out of order", func(int) providertest.Injection {
			return providertest.Injection{Fault: providertest.FaultOutOfOrder, At: 1}
		}, broken, 1},
		{"cut", func(int) providertest.Injection {
			return providertest.Injection{Fault: providertest.FaultTruncate, At: 1}
		}, broken, 1},
		{"panic", func(int) providertest.Injection { return providertest.Injection{Fault: providertest.FaultPanic, At: 1} }, "provider_panic", 1},
		{"stall", func(int) providertest.Injection { return providertest.Injection{Fault: providertest.FaultStall, At: 1} }, "deadline", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				keys := map[string]bool{}
				m := &providertest.FakeLLM{Replies: []string{"Guten Tag. Bis morgen."}, Behaviour: providertest.Behaviour{Inject: func(call provider.Call) providertest.Injection {
					asked++
					keys[call.IdempotencyKey] = true
					if call.Attempt != asked {
						t.Errorf("attempt %d is asked as %d", asked, call.Attempt)
					}
					return c.inject(asked)
				}}}
				ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
				defer stop()
				got, err := provider.Complete(ctx, m, translation(), toTranslate())
				var f *provider.Failure
				if errors.As(err, &f) {
					got = f.Outcome.Reason
				}
				if got != c.want || asked != c.asked || len(keys) != 1 {
					t.Errorf("%q after %d attempts under %d keys, want %q after %d: %v", got, asked, len(keys), c.want, c.asked, err)
				}
			})
		})
	}
}

// deafModel says more than anybody asked for, or does not end with its context.
type deafModel struct {
	*providertest.FakeLLM
	flood   bool
	release chan struct{}
}

func (m *deafModel) Generate(_ context.Context, _ provider.Call, _ provider.Prompt, sink provider.Sink) provider.Outcome {
	sink(provider.Chunk{Kind: provider.ChunkStart})
	for n := 1; m.flood && n < 100; n++ {
		sink(provider.Chunk{Kind: provider.ChunkTextDelta, Sequence: n, Text: strings.Repeat("x", 1000)})
	}
	if !m.flood {
		<-m.release
	}
	o := provider.Outcome{Class: provider.OutcomeSuccess}
	sink(provider.Chunk{Kind: provider.ChunkFinal, Sequence: 100, Outcome: o})
	return o
}

// A model that does not end when it is told to is let go, and one that says too much is no answer.
func TestCompleteLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &deafModel{release: make(chan struct{})}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		var f *provider.Failure
		if _, err := provider.Complete(ctx, m, provider.Call{}, provider.Prompt{}); !errors.As(err, &f) || f.Outcome.Class != provider.OutcomeTimeout {
			t.Errorf("got %v", err)
		}
		close(m.release)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		m = &deafModel{release: make(chan struct{})}
		if _, err := provider.Complete(cancelled, m, provider.Call{}, provider.Prompt{}); !errors.As(err, &f) || f.Outcome.Class != provider.OutcomeCancelled {
			t.Errorf("got %v", err)
		}
		close(m.release)
		if _, err := provider.Complete(t.Context(), &deafModel{flood: true}, provider.Call{}, provider.Prompt{}); !errors.As(err, &f) || f.Outcome.Reason != "completion_too_long" {
			t.Errorf("got %v", err)
		}
	})
}
