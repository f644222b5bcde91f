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

	"github.com/parley-voice/parley/internal/thirdparty"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/realtime"
)

const (
	story = thirdparty.Story
	noon  = thirdparty.Noon
	// token is what clients show here.
	token = thirdparty.Token
)

// world is Parley itself behind a server.
type world struct {
	*thirdparty.World

	url   string // of the WebSocket
	https string // of the same server, for clients that speak TLS only
	cert  string // file
}

// newWorld starts one. llm is who answers; nil = a story, and then the time.
func newWorld(t *testing.T, llm provider.LLM) *world {
	t.Helper()
	var w world
	var s *realtime.Server
	plain := httptest.NewServer(http.HandlerFunc(func(o http.ResponseWriter, r *http.Request) { s.ServeHTTP(o, r) }))
	secure := httptest.NewTLSServer(plain.Config.Handler)
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	w.World = thirdparty.NewWorld(t, llm) // it ends before the servers
	var err error
	if s, err = realtime.New(realtime.Config{}, w.Host); err != nil {
		t.Fatal(err)
	}
	w.url = "ws" + strings.TrimPrefix(plain.URL, "http") + "/v1/realtime"
	w.https = secure.URL + "/v1"
	w.cert = filepath.Join(t.TempDir(), "cert.pem")
	pemmed := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(w.cert, pemmed, 0o600); err != nil {
		t.Fatal(err)
	}
	return &w
}

// voiced is a recording at 24000 Hz.
func voiced(t *testing.T, id string) []int16 {
	t.Helper()
	r, err := codec.NewResampler(transport.SampleRate, 24000)
	if err != nil {
		t.Fatal(err)
	}
	return r.Resample(nil, thirdparty.Voice(t, id))
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
