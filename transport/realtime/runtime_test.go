// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/voices"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/realtime"
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
		"Its keeper climbed the steps every evening, and counted them aloud. " +
		"One night the light went out, and nobody could say why it had done so."
	noon = "It is noon."
	// token is what clients show here.
	token = "a-token-of-tests"
)

// world is Parley itself behind a server, with engines that do what they are told.
type world struct {
	url   string // of the WebSocket
	https string // of the same server, for clients that speak TLS only
	cert  string // file
	host  *parley.Host

	mu    sync.Mutex
	heard []string // of the conversations' items, as they stood last
	items map[int64]string
}

// newWorld starts one. llm is who answers; nil = a story, and then the time.
func newWorld(t *testing.T, llm provider.LLM) *world {
	t.Helper()
	w := &world{items: map[int64]string{}}
	stt := &providertest.FakeSTT{Utterances: []providertest.Utterance{
		providertest.Say("tell me a story", 4000), providertest.Say("what time is it", 4000),
	}}
	if llm == nil {
		fake := &providertest.FakeLLM{Replies: []string{story, noon}}
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
		t.Fatal(err)
	}
	w.host, err = r.Host(parley.HostConfig{
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
		Watch: func(parley.Grant, transport.Kind) func(*parley.Notice) { return w.observe },
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := realtime.New(realtime.Config{}, w.host)
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := httptest.NewServer(s), httptest.NewTLSServer(s)
	w.url = "ws" + strings.TrimPrefix(plain.URL, "http") + "/v1/realtime"
	w.https = secure.URL + "/v1"
	w.cert = filepath.Join(t.TempDir(), "cert.pem")
	pemmed := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(w.cert, pemmed, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer stop()
		if err := w.host.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		plain.Close()
		secure.Close()
	})
	return w
}

// observe keeps the conversation's items.
func (w *world) observe(n *parley.Notice) {
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
	if _, known := w.items[c.Item.Key]; !known {
		w.heard = append(w.heard, "")
	}
	w.items[c.Item.Key] = text
}

// record is the conversation as the model reads it.
func (w *world) record() (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := int64(1); len(list) < len(w.items) && key < 1000; key++ {
		if text, ok := w.items[key]; ok {
			list = append(list, text)
		}
	}
	return list
}

// voiced is a recording at 24000 Hz.
func voiced(t *testing.T, id string) []int16 {
	t.Helper()
	v, err := voices.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	clip, err := v.Clip()
	if err != nil {
		t.Fatal(err)
	}
	r, err := codec.NewResampler(transport.SampleRate, 24000)
	if err != nil {
		t.Fatal(err)
	}
	return r.Resample(nil, clip.PCM)
}

// microphone sends silence, and what it is told to say, at the pace of speech.
type microphone struct {
	mu   sync.Mutex
	said []int16
	stop chan struct{}
	done sync.WaitGroup
}

func (c *client) microphone() *microphone {
	m := &microphone{stop: make(chan struct{})}
	m.done.Go(func() {
		const chunk = 24000 / 25
		began := time.Now()
		for n := 1; ; n++ {
			select {
			case <-m.stop:
				return
			case <-time.After(time.Until(began.Add(time.Duration(n) * 40 * time.Millisecond))):
			}
			lump := make([]int16, chunk)
			m.mu.Lock()
			m.said = m.said[copy(lump, m.said):]
			m.mu.Unlock()
			data, err := json.Marshal(event{"type": "input_audio_buffer.append", "audio": encoded(lump)})
			if err != nil || c.socket.Write(context.WithoutCancel(c.t.Context()), websocket.MessageText, data) != nil {
				return
			}
		}
	})
	c.t.Cleanup(m.close)
	return m
}

func (m *microphone) say(pcm []int16) {
	m.mu.Lock()
	m.said = append(m.said, pcm...)
	m.mu.Unlock()
}

func (m *microphone) close() {
	select {
	case <-m.stop:
	default:
		close(m.stop)
	}
	m.done.Wait()
}

// The conversation of Parley itself: a question, an answer that is cut short by speech, and
// the answer to what cut it short. What the model reads of the answer ends where the client
// has said that it stopped.
func TestConversation(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes as long as it is to be heard; TestInterruption does not")
	}
	w := newWorld(t, nil)
	c := dial(t, w.url, http.Header{"Authorization": {"Bearer " + token}})
	c.await("session.created")
	c.send(event{"type": "session.update", "session": event{"type": "realtime", "audio": event{"input": event{"transcription": event{"model": "x"}}}}})
	c.await("session.updated")
	m := c.microphone()
	m.say(voiced(t, "young-man"))
	c.await("input_audio_buffer.speech_started")
	created := c.await("response.created")
	item, _ := c.await("response.output_audio.delta")["item_id"].(string)
	for c.heardOf(item) < 2*24*2000 {
		c.await("response.output_audio.delta")
	}
	m.say(voiced(t, "amiable-woman"))
	c.await("input_audio_buffer.speech_started")
	sent := c.heardOf(item) / 2 / 24
	c.send(event{"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": sent - 100})
	done := c.await("response.done")
	if at(done, "response", "id") != at(created, "response", "id") || at(done, "response", "status") != "cancelled" ||
		at(done, "response", "status_details", "reason") != "turn_detected" {
		t.Errorf("response is %v", done["response"])
	}
	truncated := c.await("conversation.item.truncated")
	c.await("response.created")
	if done = c.await("response.done"); at(done, "response", "output", 0, "content", 0, "transcript") != noon {
		t.Errorf("response is %v", done["response"])
	}
	m.close()
	if truncated["audio_end_ms"] != float64(sent-100) {
		t.Errorf("truncated at %v ms; %d ms were sent, all but 100 were heard", truncated["audio_end_ms"], sent)
	}
	w.cutShort(t, event{"truncated": float64(sent - 100)})
}
