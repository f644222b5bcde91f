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
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/loopback"
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

// marked is a line whose client would acknowledge, and does not.
type marked struct{ *loopback.Line }

func (m marked) Capabilities() transport.Capabilities {
	c := m.Line.Capabilities()
	c.Ack = transport.AckGateway
	return c
}

// What a transport says of its acknowledgements reaches the call: it waits for them, and goes
// on without.
func TestCallsFollowTheTransportsAcknowledgements(t *testing.T) {
	for _, c := range []struct {
		wrap      func(*loopback.Line) transport.Adapter
		fallbacks int64
	}{
		{func(l *loopback.Line) transport.Adapter { return l }, 0},
		{func(l *loopback.Line) transport.Adapter { return marked{l} }, 1},
	} {
		conf := config()
		conf.STT = &providertest.FakeSTT{Utterances: []providertest.Utterance{providertest.Say("tell me a story", 4000)}}
		conf.LLM = &providertest.FakeLLM{Replies: []string{"Once upon a time."}}
		conf.Endpointer = func() (node.Node, error) { return vad.NewEndpointNode(loudness{}, vad.EndpointerConfig{}) }
		world, err := parley.NewVirtual(conf, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		line, err := loopback.New(loopback.Config{Manual: true, Length: 15 * time.Second, Clips: []loopback.Clip{{At: time.Second, PCM: tone(time.Second)}}})
		if err != nil {
			t.Fatal(err)
		}
		call, err := world.Start(t.Context(), parley.Call{ID: "acks", Transport: c.wrap(line), TextKey: 1})
		if err != nil {
			t.Fatal(err)
		}
		world.Every(20*time.Millisecond, line.Step)
		if err := world.Run(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		<-call.Done()
		if s := call.Stats(); s.Kernel.Commits != 1 || s.Egress.AckFallbacks != c.fallbacks {
			t.Errorf("%d turns were held, %d times without the client's word; want 1 and %d", s.Kernel.Commits, s.Egress.AckFallbacks, c.fallbacks)
		}
	}
}
