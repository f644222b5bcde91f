// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider/providertest"
)

func config() parley.Config {
	return parley.Config{
		STT: &providertest.FakeSTT{}, LLM: &providertest.FakeLLM{}, TTS: &providertest.FakeTTS{},
		Endpointer: func() (node.Node, error) { return vad.NewEndpointNode(nil, vad.EndpointerConfig{}) },
		Segmenter:  func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
	}
}

// Every fault of a configuration at once, each with its field and a remedy.
func TestConfigValidate(t *testing.T) {
	good := config()
	good.SecondLLM = &providertest.FakeLLM{Behaviour: providertest.Behaviour{ID: "spare"}}
	good.FallbackReply = "One moment please."
	for _, actions := range [][]controlplane.AdaptiveAction{nil, {}, {controlplane.ActionFallback, controlplane.ActionRetry}} {
		good.AdaptiveActions = actions
		if err := good.Validate(); err != nil {
			t.Errorf("actions %v: %v", actions, err)
		}
	}
	bad := config()
	bad.TTS = nil
	bad.SecondLLM = &providertest.FakeLLM{}
	bad.FallbackReply = " \n"
	bad.AdaptiveActions = []controlplane.AdaptiveAction{controlplane.ActionRetry, "improvise"}
	bad.TurnBudget, bad.Segmenter = -time.Second, nil
	err := bad.Validate()
	for _, part := range []string{
		"providers.tts: none is bound: give one", `second candidate: "fake_llm" is the first one as well`, "fallback_reply: \" \\n\": give words",
		`adaptive_actions: turn: adaptive action "improvise" is unknown`, "turn_budget: -1s: use 0", "segmenter: none is given",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not reported in\n%v", part, err)
		}
	}
}
