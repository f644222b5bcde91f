// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/load"
	"github.com/parley-voice/parley/internal/runtime/histogram"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/transport"
)

// ServePart is the server of the case sockets: Parley with simulated engines, behind an
// adapter that listens on loopback. It tells its address, answers each line with its figures,
// and ends with its input.
func ServePart(n int, adapter func(transport.Host) (http.Handler, error), in io.Reader, out io.Writer) (err error) {
	p := load.Builtin(load.Soak)
	c := parley.Config{Segmenter: func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) }, MaxSessions: n}
	c.STT, c.LLM, c.TTS, c.Endpointer = load.Simulated(p.Engines, 1)
	r, err := parley.New(c)
	if err != nil {
		return err
	}
	host, err := r.Host(parley.HostConfig{Authenticate: func(context.Context, transport.Offer) (parley.Grant, error) { return parley.Grant{}, nil }})
	if err != nil {
		return err
	}
	defer func() {
		ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
		defer stop()
		err = errors.Join(err, host.Close(ctx))
	}()
	h, err := adapter(host)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 30 * time.Second}
	go func() { _ = s.Serve(l) }() // until Close, which it tells
	defer func() { _ = s.Close() }()
	if err := json.NewEncoder(out).Encode(map[string]string{"address": "ws://" + l.Addr().String()}); err != nil {
		return err
	}
	var before histogram.Snapshot
	var cpu time.Duration
	return answer(in, out, func() figures {
		late, used := r.Timing().FrameLateness, ProcessorTime()
		window := late.Since(before)
		f := figures{CPU: used - cpu, Sessions: int64(len(host.Sessions())), Frames: window.Count, P50: window.Quantile(500), P99: window.Quantile(990)}
		before, cpu = late, used
		return f
	})
}

// callers are the other end.
type callers struct {
	url    string
	habits load.Habits
	late   histogram.Histogram
	sent   atomic.Int64
	open   atomic.Int64
	failed atomic.Int64
}

// CallPart is the callers of the case sockets, n of them, who come over crowdRamp.
func CallPart(n int, url string, in io.Reader, out io.Writer) error {
	x := &callers{url: url, habits: load.Builtin(load.Soak).Callers}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			time.Sleep(crowdRamp * time.Duration(i) / time.Duration(n))
			if err := x.call(ctx, uint64(i)); err != nil && ctx.Err() == nil { //nolint:gosec // a small number
				x.failed.Add(1)
			}
		})
	}
	var before histogram.Snapshot
	var cpu time.Duration
	var sent int64
	err := answer(in, out, func() figures {
		late, used, all := x.late.Snapshot(), ProcessorTime(), x.sent.Load()
		window := late.Since(before)
		f := figures{
			CPU: used - cpu, Sessions: x.open.Load(), Frames: window.Count, Sent: all - sent,
			P50: window.Quantile(500), P99: window.Quantile(990), Failed: x.failed.Load(),
		}
		before, cpu, sent = late, used, all
		return f
	})
	stop()
	all.Wait()
	return err
}

// call is one caller's call: it speaks and listens in turn, acknowledges what it hears every
// 100 ms, and ends with ctx.
func (x *callers) call(ctx context.Context, seed uint64) error {
	c, _, err := websocket.Dial(ctx, x.url, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}}) //nolint:bodyclose // it has none
	if err != nil {
		return err
	}
	defer func() { _ = c.CloseNow() }()
	hello, err := wire.AppendClient(nil, &wire.Hello{})
	if err != nil {
		return err
	}
	if err := c.Write(ctx, websocket.MessageText, hello); err != nil {
		return err
	}
	_, data, err := c.Read(ctx)
	if err != nil {
		return err
	}
	if m, _, f := wire.ReadServer(data); f != nil {
		return f
	} else if _, welcome := m.(*wire.Welcome); !welcome {
		return fmt.Errorf("bench: the server says %T", m)
	}
	x.open.Add(1)
	defer x.open.Add(-1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// The end of the context closes the connection; the library does not watch it for each message.
	defer context.AfterFunc(ctx, func() { _ = c.CloseNow() })()
	go func() {
		defer stop()
		x.listen(context.Background(), c)
	}()
	return x.speak(ctx, c, seed)
}

// speak sends a frame each 20 ms.
func (x *callers) speak(ctx context.Context, c *websocket.Conn, seed uint64) error {
	chance := timebase.NewRandom(seed)
	draw := func(s load.Span) int64 {
		return int64(s.Least+time.Duration(chance.Below(int64(s.Most-s.Least)+1))) / int64(transport.FrameDuration)
	}
	var loud, quiet [2 * transport.FrameSamples]byte
	for i := 0; i < len(loud); i += 2 {
		loud[i], loud[i+1] = load.Loud&0xff, load.Loud>>8
	}
	payload := quiet[:]
	left := chance.Below(int64((x.habits.Speech.Most + x.habits.Listen.Most) / transport.FrameDuration))
	var data []byte
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n, began := int64(0), time.Now(); ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		timer.Reset(time.Until(began.Add(time.Duration(n+1) * transport.FrameDuration)))
		if left--; left < 0 {
			if payload[0] == 0 {
				payload, left = loud[:], draw(x.habits.Speech)
			} else if payload, left = quiet[:], draw(x.habits.Listen); chance.Chance(x.habits.InterruptPercent, 100) {
				left = draw(x.habits.CutIn)
			}
		}
		data = wire.AppendAudio(data[:0], &wire.Audio{Kind: wire.KindCaller, Sequence: uint32(n), Position: n * transport.FrameSamples, Payload: payload}) //nolint:gosec // it goes round
		if err := c.Write(context.Background(), websocket.MessageBinary, data); err != nil {
			return err
		}
		x.sent.Add(1)
	}
}

// listen holds each frame against the schedule that its output has kept so far, as load's
// own links do.
func (x *callers) listen(ctx context.Context, c *websocket.Conn) {
	var generation uint32
	var due time.Time
	for heard := 0; ; {
		kind, data, err := c.Read(ctx)
		if err != nil {
			return
		}
		at := time.Now()
		if kind != websocket.MessageBinary {
			continue
		}
		a, f := wire.ParseAudio(data, wire.KindAgent)
		if f != nil {
			return
		}
		if due = due.Add(transport.FrameDuration); a.Generation != generation || due.Year() == 1 {
			generation, due = a.Generation, at
		} else {
			x.late.Record(int64(at.Sub(due)))
			if at.Before(due) || at.Sub(due) > 3*transport.FrameDuration {
				due = at
			}
		}
		if heard++; heard%5 == 0 {
			if played, err := wire.AppendClient(nil, &wire.Played{Generation: a.Generation, Position: a.Position + int64(a.Samples)}); err != nil || c.Write(ctx, websocket.MessageText, played) != nil {
				return
			}
		}
	}
}
