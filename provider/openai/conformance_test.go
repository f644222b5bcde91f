// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"net/http"
	"testing"

	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

func TestConformance(t *testing.T) {
	answers := func(h http.HandlerFunc) func(t *testing.T) provider.LLM {
		return func(t *testing.T) provider.LLM { return serve(t, h) }
	}
	status := func(code int) func(t *testing.T) provider.LLM {
		return answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	providertest.TestLLM(t,
		answers(func(w http.ResponseWriter, _ *http.Request) {
			sse(w, delta("Once "), delta("upon "), delta("a time."), finish("stop"), "[DONE]")
		}),
		providertest.Failure[provider.LLM]{Name: "429", New: status(429), Class: provider.OutcomeOverload},
		providertest.Failure[provider.LLM]{Name: "504", New: status(504), Class: provider.OutcomeTimeout},
		providertest.Failure[provider.LLM]{Name: "500", New: status(500), Class: provider.OutcomeInfrastructureFailure},
		providertest.Failure[provider.LLM]{
			Name: "filter", Class: provider.OutcomeBlocked, Reason: "content_filter",
			New: answers(func(w http.ResponseWriter, _ *http.Request) { sse(w, finish("content_filter"), "[DONE]") }),
		},
	)
}
