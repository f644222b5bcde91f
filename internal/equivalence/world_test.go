// SPDX-License-Identifier: Apache-2.0

package equivalence

import (
	"context"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/voices"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
)

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = time.Minute

const (
	token     = "a-token-of-tests"
	question  = "tell me a story"
	objection = "what time is it"
	story     = "Once upon a time there was a lighthouse at the end of the world. " +
		"Its keeper climbed the steps every evening, and counted them aloud. " +
		"One night the light went out, and nobody could say why it had done so."
	noon = "It is noon, and the sun stands high."
)

// loud hears speech in recordings without noise: a voice does not fall silent for long
// within a phrase.
type loud struct{ quiet int }

func (l *loud) Probability(frame *[vad.FrameSamples]int16) float32 {
	l.quiet++
	for _, v := range frame {
		if v > 500 {
			l.quiet = 0
		}
	}
	if l.quiet < 8 {
		return 0.9
	}
	return 0.05
}

func (l *loud) Reset() { l.quiet = 100 }

// spec is what every conversation runs: the same engines, nodes and settings.
func spec() parley.Config {
	stt := &providertest.FakeSTT{Utterances: []providertest.Utterance{providertest.Say(question, 4000), providertest.Say(objection, 4000)}}
	llm := &providertest.FakeLLM{Replies: []string{story, noon}}
	tts := &providertest.FakeTTS{}
	stt.Wait, llm.Wait, tts.Wait = true, true, true
	stt.Latency = provider.Latency{First: 30 * time.Millisecond}
	llm.Latency = provider.Latency{First: 50 * time.Millisecond, Next: time.Millisecond}
	// A piece of 160 ms each 60 ms: what a caller hears begins long before the synthesis is
	// over, and ends long after it, on each way and whatever the machine.
	tts.Latency = provider.Latency{First: 50 * time.Millisecond, Next: 60 * time.Millisecond}
	return parley.Config{
		STT: stt, LLM: llm, TTS: tts, MaxSessions: 4, TurnBudget: 40 * time.Second, ProviderTimeout: 30 * time.Second,
		Endpointer: func() (node.Node, error) {
			return vad.NewEndpointNode(&loud{quiet: 100}, vad.EndpointerConfig{EndpointingMS: 400})
		},
		Segmenter: func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
	}
}

// voice is what a caller says, 16 kHz.
func voice(t *testing.T, id string) []int16 {
	t.Helper()
	v, err := voices.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	clip, err := v.Clip()
	if err != nil {
		t.Fatal(err)
	}
	return clip.PCM
}

// newWorld starts a runtime whose record is kept.
func newWorld(t *testing.T) (*parley.Runtime, *record) {
	t.Helper()
	r, err := parley.New(spec())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer stop()
		if err := r.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r, newRecord()
}

// door lets clients of an adapter into a runtime.
func door(t *testing.T, r *parley.Runtime, seen *record) *parley.Host {
	t.Helper()
	h, err := r.Host(parley.HostConfig{
		Authenticate: func(_ context.Context, o transport.Offer) (parley.Grant, error) {
			if o.Token != token {
				return parley.Grant{}, &transport.RefusedError{Code: transport.RefusedToken}
			}
			return parley.Grant{}, nil
		},
		Grants: parley.Grants{
			Instructions: true, Voices: []string{parley.AnyOf}, Languages: []string{parley.AnyOf},
			TurnEnd: true, Answer: true, Interrupt: true, TextOnly: true, Tools: true,
		},
		Watch: func(parley.Grant, transport.Kind) func(*parley.Notice) { return seen.observe },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer stop()
		if err := h.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}
