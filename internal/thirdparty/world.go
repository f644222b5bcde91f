// SPDX-License-Identifier: Apache-2.0

package thirdparty

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/voices"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
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

// What a World hears and says, in this order.
const (
	Ask   = "tell me a story"
	Story = "Once upon a time there was a lighthouse at the end of the world. " +
		"Its keeper climbed the steps every evening, and counted them aloud. " +
		"One night the light went out, and nobody could say why it had done so."
	Cut  = "what time is it"
	Noon = "It is noon."
	// Token is what its clients show.
	Token = "a-token-of-tests"
)

// World is Parley itself, with engines that do what they are told: what a client says first is
// understood as Ask and answered by Story, what it says then as Cut and answered by Noon.
type World struct {
	Host *parley.Host

	mu    sync.Mutex
	items map[int64]string
}

// NewWorld starts one, until the test ends. llm is who answers; nil = the two do.
func NewWorld(tb testing.TB, llm provider.LLM) *World {
	tb.Helper()
	w := &World{items: map[int64]string{}}
	stt := &providertest.FakeSTT{Utterances: []providertest.Utterance{providertest.Say(Ask, 4000), providertest.Say(Cut, 4000)}}
	if llm == nil {
		fake := &providertest.FakeLLM{Replies: []string{Story, Noon}}
		fake.Wait, fake.Latency = true, provider.Latency{First: 50 * time.Millisecond, Next: time.Millisecond}
		llm = fake
	}
	tts := &providertest.FakeTTS{}
	stt.Wait, tts.Wait = true, true
	stt.Latency = provider.Latency{First: 30 * time.Millisecond}
	tts.Latency = provider.Latency{First: 50 * time.Millisecond, Next: time.Millisecond}
	r, err := parley.New(parley.Config{
		STT: stt, LLM: llm, TTS: tts, MaxSessions: 16, TurnBudget: 20 * time.Second, ProviderTimeout: 10 * time.Second,
		Endpointer: func() (node.Node, error) {
			return vad.NewEndpointNode(&loud{quiet: 100}, vad.EndpointerConfig{EndpointingMS: 400})
		},
		Segmenter: func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	w.Host, err = r.Host(parley.HostConfig{
		Authenticate: func(_ context.Context, o transport.Offer) (parley.Grant, error) {
			if o.Token != Token {
				return parley.Grant{}, &transport.RefusedError{Code: transport.RefusedToken}
			}
			return parley.Grant{}, nil
		},
		Grants: parley.Grants{
			Instructions: true, Voices: []string{parley.AnyOf}, Languages: []string{parley.AnyOf},
			TurnEnd: true, Answer: true, Interrupt: true, TextOnly: true, Tools: true,
		},
		Watch: func(parley.Grant, transport.Kind) func(*parley.Notice) { return w.observe },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(tb.Context()), 20*time.Second)
		defer stop()
		if err := w.Host.Close(ctx); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return w
}

// observe keeps the conversation's items.
func (w *World) observe(n *parley.Notice) {
	c, ok := n.Record.(*session.Converse)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(c.Item.Role) + ": " + n.Text
	if c.Item.Interrupted {
		text = "interrupted " + text
	}
	w.items[c.Item.Key] = text
}

// Record is the conversation as the model reads it.
func (w *World) Record() (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := int64(1); len(list) < len(w.items) && key < 1000; key++ {
		if text, ok := w.items[key]; ok {
			list = append(list, text)
		}
	}
	return list
}

// Voice is a recording of a person, at 16000 Hz.
func Voice(tb testing.TB, id string) []int16 {
	tb.Helper()
	v, err := voices.Lookup(id)
	if err != nil {
		tb.Fatal(err)
	}
	clip, err := v.Clip()
	if err != nil {
		tb.Fatal(err)
	}
	return clip.PCM
}
