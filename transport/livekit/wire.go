// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
	"github.com/parley-voice/parley/transport/outbox"
)

const (
	// protocol is the version of LiveKit's signalling that is spoken here: with packed stream
	// ids, reconnection by identity, and answers to requests; without being moved between rooms.
	protocol = 15
	// mostMessage bounds a message of signalling: the participants of a large room.
	mostMessage = 4 << 20
	// mostReason bounds what is kept of a server's words.
	mostReason = 512
)

// ErrCredentials says that LiveKit has turned the agent down.
var ErrCredentials = errors.New("LiveKit does not take the API key and secret, or they may not join this room")

// wire is one WebSocket of signalling.
type wire struct {
	ws    *websocket.Conn
	out   *outbox.Outbox
	in    chan *roomproto.Response // closed when nothing comes any more
	count *counts
	stop  context.CancelFunc
	done  sync.WaitGroup
	err   error // why; to be read when in is closed
}

// entrance is the URL that a room is entered by; sid is who we were, to be that again.
func entrance(u *url.URL, sid string) string {
	q := url.Values{}
	q.Set("protocol", strconv.Itoa(protocol))
	q.Set("auto_subscribe", "0")
	q.Set("sdk", "go")
	q.Set("os", runtime.GOOS)
	if sid != "" {
		q.Set("reconnect", "1")
		q.Set("reconnect_reason", "1")
		q.Set("sid", sid)
	}
	return u.JoinPath("rtc").String() + "?" + q.Encode()
}

// dialWire opens the signalling.
func dialWire(ctx context.Context, u *url.URL, token, sid string, count *counts) (*wire, error) {
	ws, res, err := websocket.Dial(ctx, entrance(u, sid), &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		return nil, dialError(u, res, err)
	}
	ws.SetReadLimit(mostMessage)
	w := &wire{ws: ws, in: make(chan *roomproto.Response, 64), count: count}
	w.out, err = outbox.New(outbox.Config{
		Write: func(ctx context.Context, m *outbox.Message) error {
			return ws.Write(ctx, websocket.MessageBinary, m.Data)
		},
		Failed: func(error) { _ = ws.CloseNow() },
	})
	if err != nil {
		_ = ws.CloseNow()
		return nil, err
	}
	var reading context.Context
	reading, w.stop = context.WithCancel(context.Background())
	w.done.Go(transport.Contain(func(*transport.Panic) { _ = ws.CloseNow() }, func() { w.read(reading) }))
	return w, nil
}

// dialError says what a server has answered.
func dialError(u *url.URL, res *http.Response, err error) error {
	if res == nil {
		return fmt.Errorf("livekit: url: %s cannot be reached: %w", u, err)
	}
	said := ""
	if res.Body != nil {
		b, _ := io.ReadAll(io.LimitReader(res.Body, mostReason))
		said = printable(string(b))
		_ = res.Body.Close()
	}
	return refusal(u, res.StatusCode, said)
}

// errAnswer says that a server was reached, and did not let us in.
var errAnswer = errors.New("the server does not let the agent in")

func refusal(u *url.URL, status int, said string) error {
	err := errAnswer
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		err = ErrCredentials
	}
	return fmt.Errorf("livekit: %s answers %d %q: %w", u, status, said, err)
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(strings.TrimSpace(s), "?"))
}

// read takes messages to the participant's goroutine.
func (w *wire) read(ctx context.Context) {
	defer close(w.in)
	for {
		kind, data, err := w.ws.Read(ctx)
		if err != nil {
			w.err = err
			return
		}
		m := new(roomproto.Response)
		if kind != websocket.MessageBinary || roomproto.Unmarshal(data, m) != nil {
			w.count.malformed.Add(1)
			continue
		}
		select {
		case w.in <- m:
		case <-ctx.Done():
			w.err = ctx.Err()
			return
		}
	}
}

// send sends a request; what a wire that is lost does not take is said again by who comes
// back.
func (w *wire) send(r *roomproto.Request) {
	w.out.Send(outbox.Message{Binary: true, Data: roomproto.Marshal(nil, r)})
}

// close says the last word and ends the wire.
func (w *wire) close(ctx context.Context, last *roomproto.Request) {
	var words []outbox.Message
	if last != nil {
		words = append(words, outbox.Message{Binary: true, Data: roomproto.Marshal(nil, last)})
	}
	_ = w.out.Close(ctx, words...) // a wire that is lost takes none
	w.stop()
	_ = w.ws.CloseNow()
	w.done.Wait()
}
