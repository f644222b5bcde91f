// SPDX-License-Identifier: Apache-2.0

package websocket_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	coder "github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/transporttest"
	"github.com/parley-voice/parley/transport/websocket"
)

// TestConformance holds the adapter to the contract of transports.
func TestConformance(t *testing.T) {
	for _, encoding := range []string{wire.EncodingJSON, wire.EncodingBinary} {
		t.Run(encoding, func(t *testing.T) { conform(t, encoding == wire.EncodingBinary) })
	}
}

func conform(t *testing.T, binary bool) {
	t.Helper()
	transporttest.Run(t, transporttest.Subject{
		Kind: websocket.Kind, Codecs: []string{"pcm_s16le/16000", "pcm_s16le/24000", "pcm_s16le/48000", "g711_ulaw/8000", "g711_alaw/8000"},
		Start: func(t *testing.T, h transport.Host) transporttest.Endpoint {
			t.Helper()
			server, err := websocket.New(websocket.Config{CloseWithin: time.Second}, h)
			if err != nil {
				t.Fatal(err)
			}
			web := httptest.NewServer(server)
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
				defer cancel()
				if err := server.Close(ctx); err != nil {
					t.Errorf("sessions are left when all were closed: %v", err)
				}
				web.Close()
			})
			return endpoint{"ws" + strings.TrimPrefix(web.URL, "http"), binary}
		},
	})
}

type endpoint struct {
	url    string
	binary bool
}

// Connect brings a client.
func (e endpoint) Connect(ctx context.Context, l transporttest.Login) (transporttest.Client, error) {
	c := &peer{url: e.url, binary: e.binary}
	if err := c.connect(ctx, l, nil); err != nil {
		return nil, err
	}
	return c, nil
}

// peer is a client that acknowledges what it hears as soon as it does.
type peer struct {
	url    string
	binary bool

	mu       sync.Mutex
	ws       *coder.Conn
	format   wire.Format
	encoder  codec.Encoder
	decoder  codec.Decoder
	session  eventabi.SessionID
	received int64
	sequence uint32
	position int64
	heard    []int16
	texts    []transport.Text
	ended    bool
	stall    chan struct{} // closed when it reads again, nil = it reads
	readers  sync.WaitGroup
}

func (c *peer) connect(ctx context.Context, l transporttest.Login, resume *wire.Resume) error {
	ws, _, err := coder.Dial(ctx, c.url, &coder.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return err
	}
	ws.SetReadLimit(1 << 20)
	hello := &wire.Hello{Token: l.Token, Resume: resume}
	if l.Codec != "" {
		hello.Audio = &wire.Offered{In: []wire.Format{wire.Format(l.Codec)}, Out: []wire.Format{wire.Format(l.Codec)}}
	}
	kind, data, err := c.encode(hello)
	if err == nil {
		err = ws.Write(ctx, kind, data)
	}
	if err == nil {
		err = c.welcome(ctx, ws)
	}
	if err != nil {
		_ = ws.CloseNow()
		return err
	}
	c.readers.Go(func() { c.read(ws) })
	return nil
}

func (c *peer) welcome(ctx context.Context, ws *coder.Conn) error {
	frame, data, err := ws.Read(ctx)
	if err != nil {
		return err
	}
	m, _, f := c.decode(frame, data)
	if f != nil {
		return f
	}
	if r, ok := m.(*wire.Refused); ok {
		refused := &transport.RefusedError{Code: transport.RefusalCode(r.Code), Reason: r.Message}
		for _, s := range r.Supported {
			refused.Supported = append(refused.Supported, string(s))
		}
		return refused
	}
	w, ok := m.(*wire.Welcome)
	if !ok {
		return errors.New("no welcome")
	}
	kind, rate := w.Audio.In.Split()
	format := codec.Format{Codec: map[string]string{wire.PCM: codec.NamePCM, wire.ULaw: codec.NamePCMU, wire.ALaw: codec.NamePCMA}[kind], Rate: rate}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.encoder, err = format.NewEncoder(); err != nil {
		return err
	}
	if c.decoder, err = format.NewDecoder(); err != nil {
		return err
	}
	c.ws, c.session, c.format, c.ended = ws, w.Session, w.Audio.In, false
	return nil
}

func (c *peer) read(ws *coder.Conn) {
	for {
		c.mu.Lock()
		stall := c.stall
		c.mu.Unlock()
		if stall != nil {
			<-stall
		}
		kind, data, err := ws.Read(context.Background())
		if err != nil {
			c.mu.Lock()
			c.ended = c.ended || c.ws == ws
			c.mu.Unlock()
			return
		}
		if kind == coder.MessageBinary && wire.IsAudio(data) {
			c.play(data)
			continue
		}
		m, seq, _ := c.decode(kind, data)
		c.mu.Lock()
		c.received = max(c.received, seq)
		if m, ok := m.(*wire.Transcript); ok {
			c.texts = append(c.texts, transport.Text{From: transport.TextFrom(m.From), Of: m.Of, Text: m.Text, Final: m.Final})
		}
		c.mu.Unlock()
	}
}

func (c *peer) encode(m wire.FromClient) (coder.MessageType, []byte, error) {
	if c.binary {
		return coder.MessageBinary, wire.AppendClientBinary(nil, m), nil
	}
	data, err := wire.AppendClient(nil, m)
	return coder.MessageText, data, err
}

// decode reads the one encoding only: the server keeps to it.
func (c *peer) decode(kind coder.MessageType, data []byte) (wire.FromServer, int64, *wire.Fault) {
	if c.binary != (kind == coder.MessageBinary) {
		return nil, 0, &wire.Fault{Code: wire.FaultMalformed, Message: "the server speaks another encoding than it was asked for"}
	}
	if c.binary {
		return wire.ReadServerBinary(data)
	}
	return wire.ReadServer(data)
}

// play hears a frame, and says so.
func (c *peer) play(data []byte) {
	a, f := wire.ParseAudio(data, wire.KindAgent)
	if f != nil {
		return
	}
	c.mu.Lock()
	pcm, err := c.decoder.Decode(nil, a.Payload)
	if err == nil {
		_, rate := c.format.Split()
		c.heard = append(c.heard, pcm[:min(len(pcm), int(a.Samples)*transport.SampleRate/rate)]...)
	}
	c.mu.Unlock()
	_ = c.say(&wire.Played{Generation: a.Generation, Position: a.Position + int64(a.Samples)})
}

func (c *peer) say(m wire.FromClient) error {
	kind, data, err := c.encode(m)
	if err != nil {
		return err
	}
	return c.write(kind, data)
}

func (c *peer) write(kind coder.MessageType, data []byte) error {
	c.mu.Lock()
	ws := c.ws
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return ws.Write(ctx, kind, data)
}

// Speak sends sound.
func (c *peer) Speak(pcm []int16) error {
	c.mu.Lock()
	payload, err := c.encoder.Encode(nil, pcm)
	kind, _ := c.format.Split()
	a := wire.Audio{Kind: wire.KindCaller, Sequence: c.sequence, Position: c.position, Payload: payload}
	c.sequence++
	c.position += int64(len(payload))
	if kind == wire.PCM {
		c.position -= int64(len(payload) / 2)
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.write(coder.MessageBinary, wire.AppendAudio(nil, &a))
}

// Send says something else.
func (c *peer) Send(what any) error {
	switch v := what.(type) {
	case transporttest.Text:
		return c.say(&wire.Text{Text: v.Text, Keyed: wire.Keyed{Key: v.Key}})
	case transporttest.EndOfUtterance:
		return c.say(&wire.EndOfUtterance{Keyed: wire.Keyed{Key: v.Key}})
	case transporttest.Cancel:
		return c.say(&wire.Cancel{Request: wire.Request{Turn: v.Turn, Keyed: wire.Keyed{Key: v.Key}}})
	case transporttest.Stop:
		return c.say(&wire.Stop{Request: wire.Request{Turn: v.Turn, Keyed: wire.Keyed{Key: v.Key}}})
	case transporttest.Muted:
		return c.say(&wire.Mute{On: v.On})
	case transport.Control:
		return c.say(&wire.Control{Kind: v.Kind, Digit: v.Digit, Keyed: wire.Keyed{Key: v.Key}})
	case transport.Context:
		return c.say(&wire.Context{Role: string(v.Role), Text: v.Text, Keyed: wire.Keyed{Key: v.Key}})
	case transporttest.Respond:
		return c.say(&wire.Respond{Keyed: wire.Keyed{Key: v.Key}})
	case transport.Wishes:
		return c.say(&wire.Configure{Wishes: wire.Wishes{Instructions: v.Instructions}})
	case transport.ToolResult:
		return c.say(&wire.ToolResult{ID: v.ID, Output: v.Output})
	}
	return errors.ErrUnsupported
}

// Heard is the sound that came so far.
func (c *peer) Heard() []int16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int16(nil), c.heard...)
}

// Texts is what was shown so far.
func (c *peer) Texts() []transport.Text {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]transport.Text(nil), c.texts...)
}

// Leave says goodbye.
func (c *peer) Leave() error { return c.say(&wire.Bye{}) }

// Ended says that the connection is over.
func (c *peer) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Drop breaks the connection.
func (c *peer) Drop() error {
	c.mu.Lock()
	ws := c.ws
	c.mu.Unlock()
	return ws.CloseNow()
}

// Resume comes back.
func (c *peer) Resume(ctx context.Context, l transporttest.Login) error {
	c.mu.Lock()
	resume := &wire.Resume{Session: c.session, Received: c.received}
	c.mu.Unlock()
	return c.connect(ctx, l, resume)
}

// Stall stops to read.
func (c *peer) Stall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stall = make(chan struct{})
}

// Garble sends what no client should.
func (c *peer) Garble() error {
	for _, bad := range []string{"", "}{", `{"type":7}`, `{"type":"text"}`, "\xff\xfe", `{"type":"hello"}`} {
		if err := c.write(coder.MessageText, []byte(bad)); err != nil {
			return err
		}
	}
	for _, bad := range [][]byte{{1}, make([]byte, 20), make([]byte, 333), {0x12, 9, 1}, {0x9a, 6, 0}, {0x0a, 0}} {
		if err := c.write(coder.MessageBinary, bad); err != nil {
			return err
		}
	}
	return nil
}

// Close lets go of the client.
func (c *peer) Close() error {
	c.mu.Lock()
	ws := c.ws
	if c.stall != nil {
		close(c.stall)
		c.stall = nil
	}
	c.mu.Unlock()
	err := ws.CloseNow()
	c.readers.Wait()
	return err
}
