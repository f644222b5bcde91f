// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/realtime"
	"github.com/parley-voice/parley/transport/transporttest"
)

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 20 * time.Second

// event is one of the server's.
type event = map[string]any

// client is a client of the protocol, as far as tests need one.
type client struct {
	t      testing.TB
	socket *websocket.Conn
	events chan event
	seen   []event
	closed error // why the wire ended, when events is closed
}

// serve starts a server on a host, and gives its address.
func serve(tb testing.TB, c realtime.Config, host transport.Host) string {
	tb.Helper()
	s, err := realtime.New(c, host)
	if err != nil {
		tb.Fatal(err)
	}
	web := httptest.NewServer(s)
	tb.Cleanup(web.Close)
	return "ws" + strings.TrimPrefix(web.URL, "http") + "/v1/realtime"
}

// dial connects a client with the token of tests. Protocols in the header are subprotocols.
func dial(tb testing.TB, url string, header http.Header) *client {
	tb.Helper()
	if header == nil {
		header = http.Header{}
	}
	protocols := header["Protocols"]
	delete(header, "Protocols")
	if header.Get("Authorization") == "" && protocols == nil {
		header.Set("Authorization", "Bearer "+transporttest.Token)
	}
	socket, answer, err := websocket.Dial(tb.Context(), url, &websocket.DialOptions{HTTPHeader: header, Subprotocols: protocols})
	if answer != nil && answer.Body != nil {
		answer.Body.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	socket.SetReadLimit(1 << 24)
	c := &client{t: tb, socket: socket, events: make(chan event, 4096)}
	go func() {
		defer close(c.events)
		for {
			_, data, err := socket.Read(context.WithoutCancel(tb.Context()))
			if err != nil {
				c.closed = err
				return
			}
			var e event
			if json.Unmarshal(data, &e) != nil {
				tb.Errorf("no JSON came: %s", data)
			}
			c.events <- e
		}
	}()
	tb.Cleanup(func() { _ = socket.CloseNow() })
	return c
}

// start is a client of a new server, whose session has begun.
func start(t *testing.T, update event) (*client, *transporttest.Session) {
	t.Helper()
	host := transporttest.NewHost(t, transporttest.Config{})
	c := dial(t, serve(t, realtime.Config{}, host)+"?model=test", nil)
	c.await("session.created")
	c.send(event{"type": "session.update", "session": update})
	c.await("session.updated")
	return c, host.Next()
}

func (c *client) send(e event) {
	c.t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(data)
}

func (c *client) write(data []byte) {
	c.t.Helper()
	if err := c.socket.Write(c.t.Context(), websocket.MessageText, data); err != nil {
		c.t.Fatal(err)
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
		out = append(out, e["type"].(string))
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

// at follows names and numbers into an event.
func at(e any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := e.(map[string]any)
			e = m[p]
		case int:
			l, _ := e.([]any)
			if p >= len(l) {
				return nil
			}
			e = l[p]
		}
	}
	return e
}

// tone is sound of n samples.
func tone(n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(8000 - (i%40)*400)
	}
	return pcm
}

// encoded is pcm as an event has it.
func encoded(pcm []int16) string {
	var b []byte
	for _, v := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// heardOf is how many bytes of sound of an item came.
func (c *client) heardOf(item string) (n int) {
	for _, e := range c.seen {
		if e["type"] == "response.output_audio.delta" && e["item_id"] == item {
			b, err := base64.StdEncoding.DecodeString(e["delta"].(string))
			if err != nil {
				c.t.Error(err)
			}
			n += len(b)
		}
	}
	return n
}
