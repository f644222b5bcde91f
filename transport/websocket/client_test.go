// SPDX-License-Identifier: Apache-2.0

package websocket_test

import (
	"context"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport/transporttest"
	"github.com/parley-voice/parley/transport/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds a wait that should not be one; it is no measure of speed.
const patience = 20 * time.Second

// world is a server on a host that does what the test says.
type world struct {
	t      *testing.T
	server *websocket.Server
	host   *transporttest.Host
	url    string
}

func newWorld(t *testing.T, c websocket.Config, h transporttest.Config) *world {
	t.Helper()
	host := transporttest.NewHost(t, h)
	server, err := websocket.New(c, host)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(server)
	web.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(4096) // so that a client that does not read is felt soon
		return ctx
	}
	web.Start()
	w := &world{t: t, server: server, host: host, url: "ws" + strings.TrimPrefix(web.URL, "http") + "/v1/ws"}
	t.Cleanup(func() {
		host.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Errorf("sessions are left when all were closed: %v", err)
		}
		web.Close()
	})
	return w
}

// client is a WebSocket in the hands of a test. What it hears is read at once.
type client struct {
	kinds []coder.MessageType // of said
	t     *testing.T
	ws    *coder.Conn

	mu      sync.Mutex
	said    []wire.FromServer
	seqs    []int64
	audio   []wire.Audio
	err     error
	changed chan struct{}
	done    chan struct{}
}

// dial opens a connection; nothing is said yet.
func (w *world) dial(o *coder.DialOptions, query string) *client {
	w.t.Helper()
	c, err := w.try(o, query)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) try(o *coder.DialOptions, query string) (*client, error) {
	if o == nil {
		o = &coder.DialOptions{}
	}
	if o.Subprotocols == nil {
		o.Subprotocols = []string{wire.Subprotocol}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	ws, _, err := coder.Dial(ctx, w.url+query, o)
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(1 << 20)
	c := &client{t: w.t, ws: ws, changed: make(chan struct{}), done: make(chan struct{})}
	go c.hear()
	w.t.Cleanup(func() {
		_ = ws.CloseNow()
		<-c.done
	})
	return c, nil
}

// enter opens a connection and a session.
func (w *world) enter(h wire.Hello) (*client, *transporttest.Session, *wire.Welcome) {
	w.t.Helper()
	c := w.dial(nil, "")
	if h.Token == "" {
		h.Token = transporttest.Token
	}
	c.say(&h)
	welcome := await[*wire.Welcome](c, nil)
	return c, w.host.Next(), welcome
}

func (c *client) hear() {
	defer close(c.done)
	for {
		kind, data, err := c.ws.Read(context.Background())
		c.mu.Lock()
		switch {
		case err != nil:
			c.err = err
		case kind == coder.MessageText || !wire.IsAudio(data):
			read := wire.ReadServer
			if kind == coder.MessageBinary {
				read = wire.ReadServerBinary
			}
			m, seq, f := read(data)
			c.kinds = append(c.kinds, kind)
			if f != nil {
				c.t.Errorf("%v in %s", f, data)
			}
			c.said, c.seqs = append(c.said, m), append(c.seqs, seq)
		default:
			a, f := wire.ParseAudio(data, wire.KindAgent)
			if f != nil {
				c.t.Errorf("%v in %x", f, data[:min(len(data), 32)])
			}
			c.audio = append(c.audio, a)
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *client) say(m wire.FromClient) {
	c.t.Helper()
	data, err := wire.AppendClient(nil, m)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(coder.MessageText, data)
}

// sayIn says it in an encoding.
func (c *client) sayIn(kind coder.MessageType, m wire.FromClient) {
	c.t.Helper()
	if kind == coder.MessageBinary {
		c.write(kind, wire.AppendClientBinary(nil, m))
		return
	}
	c.say(m)
}

func (c *client) write(kind coder.MessageType, data []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, kind, data); err != nil {
		c.t.Logf("write: %v", err)
	}
}

// speak sends caller audio of 16000 Hz.
func (c *client) speak(sequence uint32, position int64, pcm []byte) {
	c.t.Helper()
	c.write(coder.MessageBinary, wire.AppendAudio(nil, &wire.Audio{Kind: wire.KindCaller, Sequence: sequence, Position: position, Payload: pcm}))
}

// until waits for something to be true.
func (c *client) until(what string, is func() bool) {
	c.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		c.mu.Lock()
		ok, changed := is(), c.changed
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			c.t.Fatalf("waited in vain for %s; heard %d messages, %d frames, error %v", what, len(c.said), len(c.audio), c.err)
		}
	}
}

// await waits for a message.
func await[T wire.FromServer](c *client, match func(T) bool) (found T) {
	c.t.Helper()
	c.until("a message", func() bool {
		for _, m := range c.said {
			if got, ok := m.(T); ok && (match == nil || match(got)) {
				found = got
				return true
			}
		}
		return false
	})
	return found
}

func count[T wire.FromServer](c *client) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.said {
		if _, ok := m.(T); ok {
			n++
		}
	}
	return n
}

// awaitClosed waits for the end of the connection and gives its code.
func (c *client) awaitClosed() coder.StatusCode {
	c.t.Helper()
	c.until("the end", func() bool { return c.err != nil })
	return coder.CloseStatus(c.err)
}

// frames gives the audio so far.
func (c *client) frames() []wire.Audio {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]wire.Audio(nil), c.audio...)
}

// refusedWith is the refusal that a client hears, and the code that it is closed with.
func (c *client) refusedWith() (*wire.Refused, coder.StatusCode) {
	c.t.Helper()
	code := c.awaitClosed()
	return await[*wire.Refused](c, nil), code
}
