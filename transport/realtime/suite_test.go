// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/realtime"
	"github.com/parley-voice/parley/transport/transporttest"
)

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits a lot; TestEnds and its like do not")
	}
	transporttest.Run(t, transporttest.Subject{
		Kind: realtime.Kind,
		Start: func(t *testing.T, h transport.Host) transporttest.Endpoint {
			s, err := realtime.New(realtime.Config{}, h)
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				serving.Add(1)
				defer serving.Done()
				s.ServeHTTP(w, r)
			}))
			t.Cleanup(func() { web.Close(); serving.Wait() })
			return subject("ws" + strings.TrimPrefix(web.URL, "http"))
		},
		Codecs: []string{"pcm_s16le", "g711_ulaw", "g711_alaw"},
		Lacks: map[transporttest.Ability]string{
			transporttest.CanText:    "typed words are context, and their answer is asked for",
			transporttest.CanRespond: "asked for in the middle of a turn it is refused, and behind a tool it belongs to the turn: TestTypedTurn, TestTools",
			transporttest.CanStop:    "the protocol has cancel only",
			transporttest.CanMute:    "a client that is muted sends nothing, or silence",
			transporttest.CanControl: "the protocol has no native controls",
			transporttest.CanResume:  "the protocol has no way back to a session",
			transporttest.CanRoute:   "the protocol has no way to another endpoint",
		},
	})
}

// subject is where clients of the suite connect to.
type subject string

// formats are the codecs as the protocol has them.
func formats(name string) event {
	switch name {
	case "g711_ulaw":
		return event{"type": "audio/pcmu"}
	case "g711_alaw":
		return event{"type": "audio/pcma"}
	case "", "pcm_s16le":
		return event{"type": "audio/pcm", "rate": 24000}
	}
	return event{"type": name}
}

func (s subject) Connect(ctx context.Context, l transporttest.Login) (transporttest.Client, error) {
	socket, _, err := websocket.Dial(ctx, string(s), &websocket.DialOptions{ //nolint:bodyclose // it has none
		HTTPHeader: http.Header{"Authorization": {"Bearer " + l.Token}},
	})
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	socket.SetReadLimit(1 << 24)
	c := &suiteClient{socket: socket, ended: make(chan struct{}), gone: make(chan struct{})}
	if err := c.tune(l.Codec); err != nil {
		return nil, err
	}
	if err := c.begin(ctx, l); err != nil {
		return nil, err
	}
	return c, nil
}

// begin sets the client's formats, and has its session begin.
func (c *suiteClient) begin(ctx context.Context, l transporttest.Login) error {
	err := c.post(event{"type": "session.update", "session": event{"type": "realtime", "audio": event{
		"input": event{"format": formats(l.Codec)}, "output": event{"format": formats(l.Codec)},
	}}})
	for err == nil {
		var data []byte
		if _, data, err = c.socket.Read(ctx); err != nil {
			break
		}
		var e event
		if err = json.Unmarshal(data, &e); err != nil {
			break
		}
		code, _ := at(e, "error", "code").(string)
		switch {
		case e["type"] == "session.updated":
			// An event that needs the session, and changes nothing: its answer says that there is one.
			err = c.post(event{"type": "conversation.item.retrieve", "event_id": "begun", "item_id": "none"})
			continue
		case e["type"] != "error":
			continue
		case at(e, "error", "event_id") == "begun":
			go c.read()
			return nil
		case at(e, "error", "param") != nil:
			_ = c.socket.CloseNow()
			return fmt.Errorf("the client was told %v", e)
		case code == "invalid_api_key":
			code = string(transport.RefusedToken)
		}
		_, _, _ = c.socket.Read(ctx) // its end
		return &transport.RefusedError{Code: transport.RefusalCode(code)}
	}
	return fmt.Errorf("the client was not let in: %w", err)
}

// suiteClient is a client of the suite.
type suiteClient struct {
	socket  *websocket.Conn
	codec   string
	up      *codec.Resampler
	down    *codec.Resampler
	ended   chan struct{}
	stalled atomic.Bool
	gone    chan struct{} // closed once
	once    sync.Once

	mu    sync.Mutex
	heard []int16
	texts []transport.Text
}

func (c *suiteClient) tune(name string) (err error) {
	rate := 24000
	if c.codec = name; strings.HasPrefix(name, "g711") {
		rate = 8000
	}
	c.up, err = codec.NewResampler(transport.SampleRate, rate)
	if err == nil {
		c.down, err = codec.NewResampler(rate, transport.SampleRate)
	}
	return err
}

func (c *suiteClient) post(e event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return c.socket.Write(context.Background(), websocket.MessageText, data)
}

func (c *suiteClient) read() {
	defer close(c.ended)
	for {
		_, data, err := c.socket.Read(context.Background())
		if err != nil {
			return
		}
		var e event
		if json.Unmarshal(data, &e) != nil {
			return
		}
		c.mu.Lock()
		switch e["type"] {
		case "response.output_audio.delta":
			b, _ := base64.StdEncoding.DecodeString(e["delta"].(string))
			c.heard = c.down.Resample(c.heard, c.decode(b))
		case "response.output_audio_transcript.delta":
			c.texts = append(c.texts, transport.Text{From: transport.TextAgent, Text: e["delta"].(string)})
		}
		c.mu.Unlock()
		if c.stalled.Load() {
			<-c.gone
		}
	}
}

func (c *suiteClient) decode(b []byte) []int16 {
	switch c.codec {
	case "g711_ulaw":
		return codec.MuLaw.Decode(nil, b)
	case "g711_alaw":
		return codec.ALaw.Decode(nil, b)
	}
	pcm, _ := codec.DecodePCM(nil, b)
	return pcm
}

func (c *suiteClient) Speak(pcm []int16) error {
	pcm = c.up.Resample(nil, pcm)
	var b []byte
	switch c.codec {
	case "g711_ulaw":
		b = codec.MuLaw.Encode(nil, pcm)
	case "g711_alaw":
		b = codec.ALaw.Encode(nil, pcm)
	default:
		b = codec.EncodePCM(nil, pcm)
	}
	return c.post(event{"type": "input_audio_buffer.append", "audio": base64.StdEncoding.EncodeToString(b)})
}

func (c *suiteClient) Heard() []int16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int16(nil), c.heard...)
}

func (c *suiteClient) Texts() []transport.Text {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]transport.Text(nil), c.texts...)
}

func (c *suiteClient) Send(what any) error {
	switch what := what.(type) {
	case transporttest.EndOfUtterance:
		return errors.Join(c.Speak(make([]int16, transport.SampleRate/4)), c.post(event{"type": "input_audio_buffer.commit"}))
	case transporttest.Cancel:
		return c.post(event{"type": "response.cancel"})
	case transport.Context:
		return c.post(event{"type": "conversation.item.create", "item": event{
			"type": "message", "role": what.Role, "content": []event{{"type": "input_text", "text": what.Text}},
		}})
	case transport.Wishes:
		return c.post(event{"type": "session.update", "session": event{"type": "realtime", "instructions": *what.Instructions}})
	case transport.ToolResult:
		return c.post(event{"type": "conversation.item.create", "item": event{
			"type": "function_call_output", "call_id": what.ID, "output": what.Output,
		}})
	}
	return errors.ErrUnsupported
}

func (c *suiteClient) Leave() error {
	go c.socket.Close(websocket.StatusNormalClosure, "")
	return nil
}

func (c *suiteClient) Ended() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (c *suiteClient) Drop() error { return c.socket.CloseNow() }

func (c *suiteClient) Stall() { c.stalled.Store(true) }

func (c *suiteClient) Garble() error {
	for _, data := range []string{`{`, `[]`, `{"type":"nonsense"}`, `{"type":"input_audio_buffer.append","audio":"***"}`, "\x00"} {
		if err := c.socket.Write(context.Background(), websocket.MessageText, []byte(data)); err != nil {
			return err
		}
	}
	return c.socket.Write(context.Background(), websocket.MessageBinary, make([]byte, 64))
}

func (c *suiteClient) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.socket.CloseNow()
}
