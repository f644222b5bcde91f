// SPDX-License-Identifier: Apache-2.0

package rtvi_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/rtvi"
	"github.com/parley-voice/parley/transport/transporttest"
)

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 20 * time.Second

// event is a message, or sound as one of the type "audio".
type event = map[string]any

// wire encodes and decodes as Pipecat's clients do, with a protobuf library of its own.
type wire struct{ binary bool }

func field(dst []byte, n protowire.Number, body []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), body)
}

func (w wire) message(e event) (websocket.MessageType, []byte) {
	e["label"] = "rtvi-ai"
	data, _ := json.Marshal(e)
	if !w.binary {
		return websocket.MessageText, data
	}
	return websocket.MessageBinary, field(nil, 4, field(nil, 1, data))
}

// audio is sound at 16000 Hz.
func (w wire) audio(pcm []int16) (websocket.MessageType, []byte) {
	sound := codec.EncodePCM(nil, pcm)
	if !w.binary {
		return w.message(event{"type": "raw-audio", "id": "a", "data": event{
			"base64Audio": base64.StdEncoding.EncodeToString(sound), "sampleRate": 16000, "numChannels": 1,
		}})
	}
	body := field(field(nil, 2, []byte("audio")), 3, sound)
	body = protowire.AppendVarint(protowire.AppendTag(body, 4, protowire.VarintType), 16000)
	body = protowire.AppendVarint(protowire.AppendTag(body, 5, protowire.VarintType), 1)
	return websocket.MessageBinary, field(nil, 2, body)
}

// decode gives what came: a message, or sound as {"type": "audio", "sound": bytes, "rate": n}.
func (w wire) decode(data []byte) event {
	if !w.binary {
		var e event
		if json.Unmarshal(data, &e) != nil {
			return nil
		}
		if e["type"] == "eval-bot-audio" {
			sound, _ := base64.StdEncoding.DecodeString(at(e, "data", "audio").(string))
			return event{"type": "audio", "sound": sound, "rate": int(at(e, "data", "sampleRate").(float64))}
		}
		return e
	}
	n, _, tag := protowire.ConsumeTag(data)
	body, _ := protowire.ConsumeBytes(data[tag:])
	e := event{"type": "audio"}
	for len(body) > 0 {
		f, kind, size := protowire.ConsumeTag(body)
		body = body[size:]
		if kind == protowire.VarintType {
			v, size := protowire.ConsumeVarint(body)
			if body = body[size:]; f == 4 {
				e["rate"] = int(v)
			}
			continue
		}
		v, size := protowire.ConsumeBytes(body)
		body = body[size:]
		switch {
		case n == 4:
			var m event
			_ = json.Unmarshal(v, &m)
			return m
		case f == 3:
			e["sound"] = v
		}
	}
	if n == 5 {
		e["type"] = "interruption"
	}
	return e
}

// client is a client of the protocol, as far as tests need one.
type client struct {
	t      *testing.T
	wire   wire
	socket *websocket.Conn
	events chan event
	seen   []event
	closed error // why the wire ended, when events is closed
}

// serve starts a server on a host, and gives its address.
func serve(t *testing.T, c rtvi.Config, host transport.Host) string {
	t.Helper()
	s, err := rtvi.New(c, host)
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
	return web.URL + "/v1/rtvi/"
}

// dial connects a client that shows the token of tests.
func dial(t *testing.T, url string, binary bool, query string) *client {
	t.Helper()
	socket, answer, err := websocket.Dial(t.Context(), url+"ws?token="+transporttest.Token+query, nil)
	if answer != nil && answer.Body != nil {
		answer.Body.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	socket.SetReadLimit(1 << 24)
	c := &client{t: t, wire: wire{binary}, socket: socket, events: make(chan event, 4096)}
	go func() {
		defer close(c.events)
		for {
			_, data, err := socket.Read(context.WithoutCancel(t.Context()))
			if err != nil {
				c.closed = err
				return
			}
			c.events <- c.wire.decode(data)
		}
	}()
	t.Cleanup(func() { _ = socket.CloseNow() })
	return c
}

// start is a client of a new server that is ready.
func start(t *testing.T, binary bool, query string) (*client, *transporttest.Session) {
	t.Helper()
	host := transporttest.NewHost(t, transporttest.Config{})
	c := dial(t, serve(t, rtvi.Config{}, host), binary, query)
	c.ready()
	return c, host.Next()
}

func (c *client) ready() event {
	c.t.Helper()
	c.send(event{"type": "client-ready", "id": "ready", "data": event{"version": "2.1.0", "about": event{"library": "test"}}})
	return c.await("bot-ready")
}

func (c *client) write(kind websocket.MessageType, data []byte) {
	c.t.Helper()
	if err := c.socket.Write(c.t.Context(), kind, data); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) send(e event) {
	c.t.Helper()
	c.write(c.wire.message(e))
}

// ask sends a message and gives what answers it.
func (c *client) ask(kind string, data any) event {
	c.t.Helper()
	c.send(event{"type": kind, "id": "asked", "data": data})
	for {
		e := c.next()
		if e == nil {
			c.t.Fatalf("the wire ended (%v) before %s was answered", c.closed, kind)
		}
		if e["id"] == "asked" {
			return e
		}
	}
}

// next gives the next event, nil when the wire has ended.
func (c *client) next() event {
	c.t.Helper()
	select {
	case e, ok := <-c.events:
		if !ok {
			return nil
		}
		c.seen = append(c.seen, e)
		return e
	case <-time.After(patience):
		c.t.Fatalf("no event came; came before: %v", kinds(c.seen))
		return nil
	}
}

// await passes over events until one of a kind comes.
func (c *client) await(kind string) event {
	c.t.Helper()
	from := len(c.seen)
	for {
		e := c.next()
		if e == nil {
			c.t.Fatalf("the wire ended (%v) before %s; came: %v", c.closed, kind, kinds(c.seen[from:]))
		}
		if e["type"] == kind {
			return e
		}
	}
}

// until gives the kinds of the events through one of a kind, runs of one kind as one.
func (c *client) until(kind string) []string {
	c.t.Helper()
	from := len(c.seen)
	c.await(kind)
	return kinds(c.seen[from:])
}

func kinds(list []event) (out []string) {
	for _, e := range list {
		kind, _ := e["type"].(string)
		out = append(out, kind)
	}
	return slices.Compact(out)
}

// wantKinds compares kinds of events.
func wantKinds(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("events:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// at follows names into an event.
func at(e any, path ...string) any {
	for _, p := range path {
		m, _ := e.(map[string]any)
		e = m[p]
	}
	return e
}
