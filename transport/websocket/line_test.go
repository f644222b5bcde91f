// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/outbox"
)

// wireless is a connection whose messages go to write.
func wireless(t *testing.T, like *conn, write func(context.Context, *outbox.Message) error) *conn {
	t.Helper()
	c := &conn{server: like.server, coding: like.coding}
	c.ctx, c.stop = context.WithCancel(t.Context())
	near, far := net.Pipe()
	t.Cleanup(func() { _ = far.Close() })
	c.raw = &raw{Conn: near}
	c.ending.Do(func() {}) // there is no WebSocket to say goodbye on
	var err error
	if c.out, err = outbox.New(outbox.Config{Write: write}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		cancel()
		_ = c.out.Close(ended)
		c.stop()
	})
	return c
}

// onLine is a line with a connection that writes nothing.
func onLine(t *testing.T) (*conn, *line) {
	t.Helper()
	c, l := bare(t, wire.DefaultFormat, wire.DefaultFormat)
	near, far := net.Pipe()
	c.raw = &raw{Conn: near}
	c.ending.Do(func() {})
	t.Cleanup(func() {
		_ = far.Close()
		l.feed.Close()
		_ = c.out.Close(context.WithoutCancel(t.Context()))
		c.stop()
	})
	return c, l
}

// TestDisplacedKeepsNoSound shows that what waits for a client that was displaced does not
// reach it any more: the fence of a cancel that comes next finds the new connection alone.
func TestDisplacedKeepsNoSound(t *testing.T) {
	second, l := onLine(t)
	first := wireless(t, second, func(ctx context.Context, _ *outbox.Message) error {
		<-ctx.Done() // the client does not read
		return context.Cause(ctx)
	})
	l.attach(first, nil)
	frame := transport.Frame{Turn: "t1", Generation: 1, Voiced: 320, PCM: make([]int16, 320)}
	for range 5 {
		if err := l.WriteFrame(&frame); err != nil {
			t.Fatal(err)
		}
		frame.Position += 320
	}
	l.attach(second, &wire.Resume{Session: l.id})
	l.Fence(transport.Fence{Turn: "t1", Generation: 1})
	if got := first.out.Stats(); got.Fenced != 5 {
		t.Errorf("sound waits for the client that was displaced: %+v", got)
	}
}

// TestMissedFencesAreSaidAgain shows that a client which comes back too late for a fence
// learns of it all the same: it may hold sound that is still to stop.
func TestMissedFencesAreSaidAgain(t *testing.T) {
	first, l := onLine(t)
	l.log.most = 4
	frame := transport.Frame{Turn: "t1", Generation: 1, Voiced: 320, PCM: make([]int16, 320)}
	if err := l.WriteFrame(&frame); err != nil {
		t.Fatal(err)
	}
	l.Fence(transport.Fence{Turn: "t1", Generation: 1})
	for range 8 {
		l.WriteSignal(&eventabi.Envelope{})
	}
	var mu sync.Mutex
	var told []string
	second := wireless(t, first, func(_ context.Context, m *outbox.Message) error {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, string(m.Data))
		return nil
	})
	l.attach(second, &wire.Resume{Session: l.id, Received: 1})
	if err := second.out.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if last := told[len(told)-1]; !strings.Contains(last, `"fence"`) || !strings.Contains(last, `"generation":1`) {
		t.Errorf("the last of %d messages is %s", len(told), last)
	}
}
