// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"context"
	"net"
	"testing"

	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/outbox"
)

// TestDisplacedKeepsNoSound shows that what waits for a client that was displaced does not
// reach it any more: the fence of a cancel that comes next finds the new connection alone.
func TestDisplacedKeepsNoSound(t *testing.T) {
	second, l := bare(t, wire.DefaultFormat, wire.DefaultFormat)
	defer second.stop()
	first := &conn{server: second.server, coding: second.coding}
	first.ctx, first.stop = context.WithCancel(t.Context())
	near, far := net.Pipe()
	defer far.Close()
	first.raw = &raw{Conn: near}
	first.ending.Do(func() {}) // there is no WebSocket to say goodbye on
	var err error
	first.out, err = outbox.New(outbox.Config{Write: func(ctx context.Context, _ *outbox.Message) error {
		<-ctx.Done() // the client does not read
		return context.Cause(ctx)
	}})
	if err != nil {
		t.Fatal(err)
	}
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
	l.feed.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = first.out.Close(ended)
	_ = second.out.Close(t.Context())
}
