// SPDX-License-Identifier: Apache-2.0

package rtvi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/rtvi"
	"github.com/parley-voice/parley/transport/transporttest"
)

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits a lot; TestTurns and TestFaults cover it without")
	}
	for _, form := range []wire{{binary: true}, {binary: false}} {
		name := map[bool]string{true: "protobuf", false: "json"}[form.binary]
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, transporttest.Subject{
				Kind: rtvi.Kind,
				Start: func(t *testing.T, h transport.Host) transporttest.Endpoint {
					return subject{serve(t, rtvi.Config{}, h), form}
				},
				Codecs: []string{"24000", "16000"},
				Lacks: map[transporttest.Ability]string{
					transporttest.CanEnd:       "the protocol has no end of an utterance",
					transporttest.CanStop:      "the protocol has no stop",
					transporttest.CanMute:      "a client that is muted sends nothing: TestMicrophoneOff",
					transporttest.CanRespond:   "the protocol asks for no answer but to what is said with it",
					transporttest.CanConfigure: "the protocol changes nothing of a session",
					transporttest.CanCancel:    "only what is typed cancels: TestTyped; and a frame of native clients: TestInterruptionFrame",
					transporttest.CanResume:    "the protocol has no way back to a session",
					transporttest.CanRoute:     "the protocol has no way to another endpoint",
				},
			})
		})
	}
}

// subject is where clients of the suite connect to.
type subject struct {
	url  string
	wire wire
}

func (s subject) Connect(ctx context.Context, l transporttest.Login) (transporttest.Client, error) {
	rate := l.Codec
	if rate == "" {
		rate = "24000"
	}
	socket, answer, err := websocket.Dial(ctx, s.url+"ws?capture_bot_audio=true&audio_out_sample_rate="+rate+"&token="+l.Token, nil)
	if err != nil {
		if answer != nil {
			answer.Body.Close()
			return nil, &transport.RefusedError{Code: transport.RefusedCodec, Supported: []string{"24000"}}
		}
		return nil, fmt.Errorf("dial: %w", err)
	}
	socket.SetReadLimit(1 << 24)
	c := &suiteClient{wire: s.wire, socket: socket, ended: make(chan struct{}), gone: make(chan struct{}), down: map[int]*codec.Resampler{}}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	go c.read()
	return c, nil
}

// begin says that it is ready, and waits for the answer.
func (c *suiteClient) begin(ctx context.Context) error {
	kind, data := c.wire.message(event{"type": "client-ready", "id": "1", "data": event{"version": "2.1.0"}})
	if err := c.socket.Write(ctx, kind, data); err != nil {
		return err
	}
	for {
		_, data, err := c.socket.Read(ctx)
		if err != nil {
			return fmt.Errorf("the client was not let in: %w", err)
		}
		e := c.wire.decode(data)
		if e["type"] == "error" {
			text, _ := at(e, "data", "error").(string)
			code, _, _ := strings.Cut(text, ":")
			_, _, _ = c.socket.Read(ctx) // its end
			return &transport.RefusedError{Code: transport.RefusalCode(code)}
		}
		if e["type"] == "bot-ready" {
			return nil
		}
	}
}

// suiteClient is a client of the suite.
type suiteClient struct {
	wire    wire
	socket  *websocket.Conn
	down    map[int]*codec.Resampler
	ended   chan struct{}
	stalled atomic.Bool
	gone    chan struct{} // closed once
	once    sync.Once

	mu    sync.Mutex
	heard []int16
	texts []transport.Text
}

func (c *suiteClient) read() {
	defer close(c.ended)
	for {
		_, data, err := c.socket.Read(context.Background())
		if err != nil {
			return
		}
		e := c.wire.decode(data)
		c.mu.Lock()
		switch e["type"] {
		case "audio":
			rate := e["rate"].(int)
			if c.down[rate] == nil {
				c.down[rate], _ = codec.NewResampler(rate, transport.SampleRate)
			}
			pcm, _ := codec.DecodePCM(nil, e["sound"].([]byte))
			c.heard = c.down[rate].Resample(c.heard, pcm)
		case "bot-llm-text":
			c.texts = append(c.texts, transport.Text{From: transport.TextAgent, Text: at(e, "data", "text").(string)})
		case "user-transcription":
			c.texts = append(c.texts, transport.Text{
				From: transport.TextCaller, Text: at(e, "data", "text").(string), Final: at(e, "data", "final").(bool),
			})
		}
		c.mu.Unlock()
		if c.stalled.Load() {
			<-c.gone
		}
	}
}

func (c *suiteClient) post(kind string, data any) error {
	form, message := c.wire.message(event{"type": kind, "id": "x", "data": data})
	return c.socket.Write(context.Background(), form, message)
}

func (c *suiteClient) Speak(pcm []int16) error {
	kind, data := c.wire.audio(pcm)
	return c.socket.Write(context.Background(), kind, data)
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
	case transporttest.Text:
		return c.post("send-text", event{"content": what.Text, "options": event{}})
	case transport.Control:
		return c.post("dtmf", event{"buttons": []string{what.Digit}})
	case transport.Context:
		return c.post("send-text", event{"content": what.Text, "options": event{"run_immediately": false}})
	case transport.ToolResult:
		return c.post("llm-function-call-result", event{
			"function_name": "clock", "tool_call_id": what.ID, "arguments": event{}, "result": json.RawMessage(what.Output),
		})
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
	for _, data := range []string{`{`, `[]`, `{"label":"rtvi-ai"}`, `{"label":"rtvi-ai","type":"nonsense","id":"1"}`, "\x00"} {
		if err := c.socket.Write(context.Background(), websocket.MessageText, []byte(data)); err != nil {
			return err
		}
	}
	return c.socket.Write(context.Background(), websocket.MessageBinary, []byte{0x12, 0xff, 0xff, 0xff})
}

func (c *suiteClient) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.socket.CloseNow()
}
