// SPDX-License-Identifier: Apache-2.0

package equivalence

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/loopback"
	"github.com/parley-voice/parley/transport/realtime"
	"github.com/parley-voice/parley/transport/telephony"
	"github.com/parley-voice/parley/transport/websocket"
)

// serve gives the address of an adapter's server.
func serve(t *testing.T, h http.Handler, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// lengthOf is how long samples are at a rate.
func lengthOf(samples int64, rate int) time.Duration {
	return time.Duration(samples) * time.Second / time.Duration(rate)
}

// looped is a caller in this process.
type looped struct{ line *loopback.Line }

func overLoopback(t *testing.T, r *parley.Runtime, seen *record) caller {
	t.Helper()
	line, err := loopback.New(loopback.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(t.Context(), parley.Call{Transport: line, Observe: seen.observe}); err != nil {
		t.Fatal(err)
	}
	return looped{line}
}

func (l looped) Say(pcm []int16) { l.line.Place(0, pcm) }

func (l looped) Heard() time.Duration {
	n := int64(0)
	for _, v := range l.line.Agent() {
		if v != 0 {
			n++
		}
	}
	return lengthOf(n, transport.SampleRate)
}

func (l looped) Leave() error {
	l.line.HangUp()
	return nil
}

// native is this repository's own client.
type native struct {
	*microphone
	client *client.Client
	heard  atomic.Int64
}

func overWebSocket(t *testing.T, r *parley.Runtime, seen *record) caller {
	t.Helper()
	return overEncoding(t, r, seen, false)
}

func overBinary(t *testing.T, r *parley.Runtime, seen *record) caller {
	t.Helper()
	return overEncoding(t, r, seen, true)
}

func overEncoding(t *testing.T, r *parley.Runtime, seen *record, binary bool) caller {
	t.Helper()
	s, err := websocket.New(websocket.Config{}, door(t, r, seen))
	c, err := client.Dial(t.Context(), client.Config{
		URL: serve(t, s, err), Binary: binary, Token: func(context.Context) (string, error) { return token, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	n := &native{client: c}
	n.microphone = listen(t, func(pcm []int16) error {
		played := make([]int16, len(pcm))
		n.heard.Add(int64(c.ReadAudio(played)))
		return c.SendAudio(pcm)
	})
	t.Cleanup(func() { _ = c.Close() }) // it may have left
	return n
}

func (n *native) Heard() time.Duration { return lengthOf(n.heard.Load(), transport.SampleRate) }

func (n *native) Leave() error { return n.client.Close() }

// object is a message in JSON.
type object = map[string]any

// socket is a WebSocket that speaks JSON.
type socket struct{ *ws.Conn }

func dial(t *testing.T, url string, header http.Header) socket {
	t.Helper()
	c, answer, err := ws.Dial(t.Context(), url, &ws.DialOptions{HTTPHeader: header})
	if answer != nil && answer.Body != nil {
		_ = answer.Body.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1 << 24)
	t.Cleanup(func() { _ = c.CloseNow() })
	return socket{c}
}

func (s socket) send(message object) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	return s.Write(ctx, ws.MessageText, data)
}

// each reads messages until the wire ends.
func (s socket) each(t *testing.T, take func(data []byte)) {
	t.Helper()
	done := make(chan struct{})
	ctx := context.WithoutCancel(t.Context()) // until the cleanup
	go func() {
		defer close(done)
		for {
			_, data, err := s.Read(ctx)
			if err != nil {
				return
			}
			take(data)
		}
	}()
	t.Cleanup(func() {
		_ = s.CloseNow()
		<-done
	})
}

// assistant is a client of OpenAI's Realtime API. Like those that exist it says how far it
// has played an answer that was interrupted.
type assistant struct {
	*microphone
	socket socket
	heard  atomic.Int64 // bytes
}

const realtimeRate = 24000

func overRealtime(t *testing.T, r *parley.Runtime, seen *record) caller {
	t.Helper()
	s, err := realtime.New(realtime.Config{}, door(t, r, seen))
	a := &assistant{socket: dial(t, serve(t, s, err), http.Header{"Authorization": {"Bearer " + token}})}
	up, err := codec.NewResampler(transport.SampleRate, realtimeRate)
	if err != nil {
		t.Fatal(err)
	}
	var item string
	var of int64
	a.socket.each(t, func(data []byte) {
		var e struct {
			Type   string `json:"type"`
			ItemID string `json:"item_id"`
			Delta  string `json:"delta"`
		}
		_ = json.Unmarshal(data, &e)
		switch e.Type {
		case "response.output_audio.delta":
			sound, _ := base64.StdEncoding.DecodeString(e.Delta)
			if e.ItemID != item {
				item, of = e.ItemID, 0
			}
			of += int64(len(sound))
			a.heard.Add(int64(len(sound)))
		case "input_audio_buffer.speech_started":
			if item != "" {
				_ = a.socket.send(object{"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": lengthOf(of/2, realtimeRate).Milliseconds()})
				item = ""
			}
		}
	})
	a.microphone = listen(t, func(pcm []int16) error {
		return a.socket.send(object{"type": "input_audio_buffer.append", "audio": base64.StdEncoding.EncodeToString(little(up.Resample(nil, pcm)))})
	})
	return a
}

// little is samples as bytes.
func little(pcm []int16) []byte {
	b := make([]byte, 0, 2*len(pcm))
	for _, v := range pcm {
		b = append(b, byte(v), byte(uint16(v)>>8))
	}
	return b
}

func (a *assistant) Heard() time.Duration { return lengthOf(a.heard.Load()/2, realtimeRate) }

func (a *assistant) Leave() error {
	a.off()
	return a.socket.Close(ws.StatusNormalClosure, "")
}

// gateway is Twilio's: it plays what it is sent at the pace of speech, returns a mark when
// all before it was played, and clears its buffer on request.
type gateway struct {
	*microphone
	socket socket

	mu    sync.Mutex
	queue []queued
	heard int64
}

type queued struct {
	sound int // bytes
	mark  string
}

func overTwilio(t *testing.T, r *parley.Runtime, seen *record) caller {
	t.Helper()
	s, err := telephony.New(telephony.Config{}, door(t, r, seen))
	g := &gateway{socket: dial(t, serve(t, s, err), nil)}
	for _, m := range []object{
		{"event": "connected", "protocol": "Call", "version": "1.0.0"},
		{"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": object{
			"streamSid": "MZ1", "accountSid": "AC1", "callSid": "CA1", "tracks": []string{"inbound"}, "customParameters": object{"token": token},
			"mediaFormat": object{"encoding": "audio/x-mulaw", "sampleRate": codec.G711Rate, "channels": 1},
		}},
	} {
		if err := g.socket.send(m); err != nil {
			t.Fatal(err)
		}
	}
	g.socket.each(t, g.take)
	down, err := codec.NewResampler(transport.SampleRate, codec.G711Rate)
	if err != nil {
		t.Fatal(err)
	}
	chunk := 0
	g.microphone = listen(t, func(pcm []int16) error {
		g.play(codec.G711Rate / 50)
		chunk++
		sound := codec.MuLaw.Encode(nil, down.Resample(nil, pcm))
		return g.socket.send(object{"event": "media", "streamSid": "MZ1", "media": object{
			"track": "inbound", "chunk": chunk, "timestamp": 20 * chunk, "payload": base64.StdEncoding.EncodeToString(sound),
		}})
	})
	return g
}

// take takes a message of the server.
func (g *gateway) take(data []byte) {
	var e struct {
		Event string
		Media struct{ Payload []byte }
		Mark  struct{ Name string }
	}
	_ = json.Unmarshal(data, &e)
	g.mu.Lock()
	var marks []string
	switch e.Event {
	case "media":
		g.queue = append(g.queue, queued{sound: len(e.Media.Payload)})
	case "mark":
		g.queue = append(g.queue, queued{mark: e.Mark.Name})
	case "clear":
		for _, q := range g.queue {
			if q.mark != "" {
				marks = append(marks, q.mark)
			}
		}
		g.queue = nil
	}
	g.mu.Unlock()
	g.back(marks)
}

// play lets so many bytes be heard.
func (g *gateway) play(room int) {
	g.mu.Lock()
	var marks []string
	for len(g.queue) > 0 && (room > 0 || g.queue[0].mark != "") {
		q := &g.queue[0]
		if q.mark != "" {
			marks = append(marks, q.mark)
			g.queue = g.queue[1:]
			continue
		}
		n := min(room, q.sound)
		room -= n
		g.heard += int64(n)
		if q.sound -= n; q.sound == 0 {
			g.queue = g.queue[1:]
		}
	}
	g.mu.Unlock()
	g.back(marks)
}

func (g *gateway) back(marks []string) {
	for _, name := range marks {
		_ = g.socket.send(object{"event": "mark", "streamSid": "MZ1", "mark": object{"name": name}})
	}
}

func (g *gateway) Heard() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return lengthOf(g.heard, codec.G711Rate)
}

func (g *gateway) Leave() error {
	g.off()
	return g.socket.send(object{"event": "stop", "streamSid": "MZ1", "stop": object{"callSid": "CA1"}})
}
