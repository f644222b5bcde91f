// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/outbox"
)

// nobody is an Ingress that takes everything, and checks what it can.
type nobody struct{ tb testing.TB }

func (n nobody) Audio(_ int64, pcm []int16) {
	if len(pcm) != transport.FrameSamples {
		n.tb.Errorf("a frame of %d samples", len(pcm))
	}
}

func (n nobody) Gap(g transport.Gap) {
	if g.Missing <= 0 {
		n.tb.Errorf("a gap of %d samples", g.Missing)
	}
}

func (n nobody) Played(p transport.Playout) {
	if p.Position < 0 || p.Position > 640 || p.Turn != "t1" {
		n.tb.Errorf("%+v was acknowledged of 640 samples of t1", p)
	}
}
func (nobody) Text(string, eventabi.IdempotencyKey)   {}
func (nobody) EndOfUtterance(eventabi.IdempotencyKey) {}
func (nobody) Cancel(transport.Request)               {}
func (nobody) Stop(transport.Request)                 {}
func (nobody) Link(transport.LinkState)               {}
func (nobody) TextTaken(int)                          {}
func (nobody) Muted(bool)                             {}
func (nobody) Control(transport.Control)              {}
func (nobody) Context(transport.Context)              {}
func (nobody) Forget(transport.Forget)                {}
func (nobody) Respond(eventabi.IdempotencyKey)        {}
func (nobody) Configure(transport.Wishes)             {}
func (nobody) ToolResult(transport.ToolResult)        {}
func (nobody) Hangup(string)                          {}

// bare is a line on a connection without a wire.
func bare(tb testing.TB, in, out wire.Format) (*conn, *line) {
	tb.Helper()
	s := &Server{config: Config{}.withDefaults(), lines: map[eventabi.SessionID]*line{}, empty: make(chan struct{})}
	c := &conn{server: s}
	c.ctx, c.stop = context.WithCancel(tb.Context())
	var err error
	c.out, err = outbox.New(outbox.Config{Control: 1 << 15, Write: func(context.Context, *outbox.Message) error { return nil }})
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.agree(&wire.Offered{In: []wire.Format{in}, Out: []wire.Format{out}}); err != nil {
		tb.Fatal(err)
	}
	l, err := newLine(s, transport.Bootstrap{SessionID: "s", Epoch: 1}, nobody{tb}, true, false)
	if err != nil {
		tb.Fatal(err)
	}
	l.attach(c, nil)
	tb.Cleanup(func() {
		l.feed.Close()
		c.stop()
		_ = c.out.Close(context.WithoutCancel(tb.Context()))
	})
	frame := &transport.Frame{Turn: "t1", Generation: 1, Voiced: 320, PCM: make([]int16, 320)}
	for range 2 {
		if err := l.WriteFrame(frame); err != nil {
			tb.Fatal(err)
		}
		frame.Position += 320
	}
	return c, l
}

// FuzzHandle: whatever a client sends, in whatever format, nothing panics, what reaches the
// session is whole, and nothing is acknowledged that was not sent.
func FuzzHandle(f *testing.F) {
	audio := wire.AppendAudio(nil, &wire.Audio{Kind: wire.KindCaller, Sequence: 1, Position: 5, Payload: []byte{1, 2, 3, 4}})
	f.Add(uint8(0), true, audio, false, []byte(`{"type":"played","generation":1,"position":320}`))
	f.Add(uint8(1), false, []byte(`{"type":"played","generation":1,"position":99999,"final":true}`), true, audio[:20])
	f.Add(uint8(4), true, audio, true, audio)
	f.Add(uint8(2), false, []byte(`{"type":"text","text":"x","key":"k"}`), false, []byte(`{"type":"text","text":"x","key":"k"}`))
	formats := []wire.Format{"pcm_s16le/16000", "pcm_s16le/11025", "g711_ulaw/8000", "pcm_s16le/48000", "opus/48000"}
	f.Fuzz(func(t *testing.T, format uint8, firstBinary bool, first []byte, secondBinary bool, second []byte) {
		in := formats[int(format)%len(formats)]
		out := formats[int(format)%(len(formats)-1)]
		c, l := bare(t, in, out)
		for _, m := range []struct {
			binary bool
			data   []byte
		}{{firstBinary, first}, {secondBinary, second}, {firstBinary, first}} {
			kind := websocket.MessageText
			if m.binary {
				kind = websocket.MessageBinary
			}
			if f := c.handle(l, kind, m.data); f != nil && f.Code == "" {
				t.Errorf("a fault without a code: %+v", f)
			}
		}
	})
}

// TestPositionsNeverPassWhatWasSent shows that positions of any rate come back as they went:
// no further than the truth, and the end as the end.
func TestPositionsNeverPassWhatWasSent(t *testing.T) {
	for _, format := range []wire.Format{"pcm_s16le/8000", "pcm_s16le/11025", "pcm_s16le/22050", "pcm_s16le/44100", "pcm_s16le/48000"} {
		o, err := newOutward([]wire.Format{format}, []string{string(format)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for at := range int64(5000) {
			back := o.back(o.position(at))
			if back > at || at-back > 16000/o.rate+1 {
				t.Fatalf("%s: %d came back as %d", format, at, back)
			}
		}
	}
}

func TestLog(t *testing.T) {
	g := log{most: 3}
	for range 5 {
		g.add([]byte("x"), false)
	}
	for received, want := range map[int64]struct {
		list   int
		missed int64
	}{0: {3, 2}, 1: {3, 1}, 2: {3, 0}, 3: {2, 0}, 5: {0, 0}, 9: {0, 0}} {
		if list, missed := g.since(received); len(list) != want.list || missed != want.missed {
			t.Errorf("since %d: %d messages, %d missed", received, len(list), missed)
		}
	}
	big := log{most: 100}
	for range 5 {
		big.add(make([]byte, logBytes/2), false)
	}
	if len(big.entries) != 2 || big.bytes > logBytes {
		t.Errorf("%d messages of %d bytes are kept", len(big.entries), big.bytes)
	}
}

func TestKeysAreBounded(t *testing.T) {
	var k keys
	for i := range 3 * keysKept {
		key := eventabi.IdempotencyKey(rune('a'+i%26)) + eventabi.IdempotencyKey(time.Duration(i).String())
		if !k.first(key) || k.first(key) {
			t.Fatalf("key %d", i)
		}
		if i%7 == 0 {
			k.forget(key)
			if !k.first(key) {
				t.Fatalf("key %d was not forgotten", i)
			}
		}
	}
	if len(k.set) > keysKept || len(k.ring) > keysKept {
		t.Errorf("%d keys in a ring of %d", len(k.set), len(k.ring))
	}
}

func TestBucket(t *testing.T) {
	b, now := newBucket(100), time.Unix(1, 0)
	n := 0
	for ; b.take(now) == 0; n++ {
	}
	if n != 200 {
		t.Errorf("%d messages at once", n)
	}
	if wait := b.take(now); wait != 20*time.Millisecond {
		t.Errorf("waits %v", wait)
	}
	if wait := b.take(now.Add(time.Minute)); wait != 0 {
		t.Errorf("waits %v after a minute", wait)
	}
}

// BenchmarkWriteFrame is what a frame costs up to the outbox.
func BenchmarkWriteFrame(b *testing.B) {
	for _, format := range []wire.Format{"pcm_s16le/16000", "pcm_s16le/24000", "g711_ulaw/8000"} {
		b.Run(string(format), func(b *testing.B) {
			_, l := bare(b, "pcm_s16le/16000", format)
			frame := &transport.Frame{Turn: "t1", Generation: 1, Voiced: 320, PCM: make([]int16, 320)}
			b.ReportAllocs()
			for b.Loop() {
				_ = l.WriteFrame(frame)
				frame.Position += 320
			}
		})
	}
}
