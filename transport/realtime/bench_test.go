// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/realtime"
	"github.com/parley-voice/parley/transport/transporttest"
)

// A frame of the agent: resampled, in base64, in JSON, handed to the outbox. A client that
// reads takes it off the other end.
func BenchmarkFrame(b *testing.B) {
	host := transporttest.NewHost(b, transporttest.Config{})
	url := serve(b, realtime.Config{Idle: time.Nanosecond}, host)
	socket, _, err := websocket.Dial(b.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + transporttest.Token}}}) //nolint:bodyclose // it has none
	if err != nil {
		b.Fatal(err)
	}
	s := host.Next()
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	f := transport.Frame{Turn: "t1", Generation: 1, Voiced: transport.FrameSamples, PCM: tone(transport.FrameSamples)}
	go func() {
		for {
			_, r, err := socket.Reader(context.WithoutCancel(b.Context()))
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r)
		}
	}()
	b.Cleanup(func() { _ = socket.CloseNow() })
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Link().WriteFrame(&f); err != nil {
			b.Fatal(err)
		}
		f.Position += transport.FrameSamples
	}
}
