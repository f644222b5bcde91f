// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/voices"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	engines "github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
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

const (
	story = "Once upon a time there was a lighthouse at the end of the world. " +
		"Its keeper climbed the steps every evening, and counted them aloud."
	noon = "It is noon."
	// perCharacter is how long the engine of the test speaks a character.
	perCharacter = 65 * time.Millisecond
)

// record is what a session's conversation consists of.
type record struct {
	mu    sync.Mutex
	items map[int64]string
}

func (r *record) observe(n *parley.Notice) {
	c, ok := n.Record.(*session.Converse)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	text := string(c.Item.Role) + ": " + n.Text
	if c.Item.Interrupted {
		text = "interrupted " + text
	}
	r.items[c.Item.Key] = text
}

func (r *record) list() (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := int64(1); len(list) < len(r.items) && key < 1000; key++ {
		if text, ok := r.items[key]; ok {
			list = append(list, text)
		}
	}
	return list
}

// parleyItself starts Parley behind a server for telephones, with engines that do what they
// are told.
func parleyItself(t *testing.T) (address string, host *parley.Host, r *record) {
	t.Helper()
	stt := &providertest.FakeSTT{Utterances: []providertest.Utterance{
		providertest.Say("tell me a story", 4000), providertest.Say("what time is it", 4000),
	}}
	llm := &providertest.FakeLLM{Replies: []string{story, noon}}
	tts := &providertest.FakeTTS{}
	stt.Wait, llm.Wait, tts.Wait = true, true, true
	stt.Latency = engines.Latency{First: 30 * time.Millisecond}
	llm.Latency = engines.Latency{First: 50 * time.Millisecond, Next: time.Millisecond}
	tts.Latency = engines.Latency{First: 50 * time.Millisecond, Next: time.Millisecond}
	runtime, err := parley.New(parley.Config{
		STT: stt, LLM: llm, TTS: tts, MaxSessions: 4, TurnBudget: 20 * time.Second, ProviderTimeout: 10 * time.Second,
		Endpointer: func() (node.Node, error) {
			return vad.NewEndpointNode(&loud{quiet: 100}, vad.EndpointerConfig{EndpointingMS: 400})
		},
		Segmenter: func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r = &record{items: map[int64]string{}}
	host, err = runtime.Host(parley.HostConfig{
		Authenticate: func(_ context.Context, o transport.Offer) (parley.Grant, error) {
			if o.Token != transporttest.Token {
				return parley.Grant{}, &transport.RefusedError{Code: transport.RefusedToken}
			}
			return parley.Grant{}, nil
		},
		Watch: func(parley.Grant, transport.Kind) func(*parley.Notice) { return r.observe },
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{}, host)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer stop()
		if err := host.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		web.Close()
	})
	return "ws" + strings.TrimPrefix(web.URL, "http"), host, r
}

// say speaks a recording at the pace of speech, and a second of silence.
func (p *provider) say(t *testing.T, id string) {
	t.Helper()
	v, err := voices.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	clip, err := v.Clip()
	if err != nil {
		t.Fatal(err)
	}
	pcm := append(clip.PCM, make([]int16, transport.SampleRate)...)
	began := time.Now()
	for n := 0; len(pcm) >= transport.FrameSamples; n++ {
		time.Sleep(time.Until(began.Add(time.Duration(n) * transport.FrameDuration)))
		if err := p.Speak(pcm[:transport.FrameSamples]); err != nil {
			t.Fatal(err)
		}
		pcm = pcm[transport.FrameSamples:]
	}
}

// heardFor is how long the caller has heard something.
func (p *provider) heardFor() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Duration(len(p.heard)/p.format.size(1)) * time.Second / time.Duration(p.format.Rate)
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: did not come", what)
		}
	}
}

// TestConversation: Parley itself is called, answers, is interrupted, and remembers of its
// answer what the gateway says that the caller has heard.
func TestConversation(t *testing.T) {
	if testing.Short() {
		t.Skip("a conversation takes as long as it is to be heard; TestInterrupted holds the same with less")
	}
	for _, name := range []Dialect{Twilio, Plivo} {
		t.Run(string(name), func(t *testing.T) {
			address, host, r := parleyItself(t)
			p, err := callIn(t.Context(), address, func() int { return len(host.Sessions()) }, name, transporttest.Login{Token: transporttest.Token, Codec: "audio/x-mulaw"})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = p.Close() }()
			p.say(t, "young-man")
			await(t, "the story", func() bool { return p.heardFor() > time.Second })
			var until time.Duration // what the caller has heard when the story is cut
			var watching sync.WaitGroup
			watching.Go(func() {
				for end := time.Now().Add(2 * patience); until == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
					if got := r.list(); len(got) > 1 && strings.HasPrefix(got[1], "interrupted") {
						until = p.heardFor()
					}
				}
			})
			p.say(t, "amiable-woman")
			watching.Wait()
			await(t, "the record", func() bool { return len(r.list()) >= 4 && strings.HasSuffix(r.list()[3], noon) })
			got := r.list()
			if len(got) != 4 || got[0] != "user: tell me a story" || got[2] != "user: what time is it" {
				t.Fatalf("the record is %q", got)
			}
			text, cut := strings.CutPrefix(got[1], "interrupted assistant: ")
			if !cut || !strings.HasPrefix(story, text) {
				t.Fatalf("the record has %q of the story", got[1])
			}
			said := time.Duration(len(text)) * perCharacter
			// Marks come every 100 ms; the record ends with a whole word.
			if said > until+perCharacter || said < until-1200*time.Millisecond {
				t.Errorf("the record has %v of the story; the caller heard %v", said, until)
			}
			t.Logf("the caller heard %v until the story was cut, the record has %v: %q", until, said, text)
			if err := p.Leave(); err != nil {
				t.Fatal(err)
			}
			await(t, "the end", p.Ended)
		})
	}
}
