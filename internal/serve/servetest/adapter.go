// SPDX-License-Identifier: Apache-2.0

package servetest

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// Kind is the transport's name.
const Kind transport.Kind = "servetest"

// New makes the adapter.
func New(h transport.Host) http.Handler { return &adapter{h} }

type adapter struct{ host transport.Host }

// ServeHTTP begins a session for each connection.
func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	o := transport.Offer{Kind: Kind, Token: token, Session: eventabi.SessionID(r.URL.Query().Get("session")), Remote: r.RemoteAddr}
	if text := r.URL.Query().Get("instructions"); text != "" {
		o.Wishes.Instructions = &text
	}
	l := &link{out: make(chan message, 256), gone: make(chan struct{})}
	s, err := a.host.Begin(r.Context(), o, func(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
		l.in = in
		return l, nil
	})
	if err != nil {
		var refused *transport.RefusedError
		if !errors.As(err, &refused) {
			refused = &transport.RefusedError{Code: transport.RefusedInternal}
		}
		http.Error(w, refused.Error(), refused.HTTPStatus())
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the server has checked the origin
	if err != nil {
		l.in.Hangup("no_websocket")
		return
	}
	defer func() { _ = c.CloseNow() }()
	ctx, stop := context.WithCancel(context.WithoutCancel(r.Context()))
	defer stop()
	go l.read(ctx, c)
	l.write(ctx, c, s)
}

type message struct {
	kind websocket.MessageType
	data []byte
}

type link struct {
	in   transport.Ingress
	out  chan message
	once sync.Once
	gone chan struct{}
}

func (l *link) read(ctx context.Context, c *websocket.Conn) {
	for n := int64(0); ; {
		kind, data, err := c.Read(ctx)
		switch {
		case err != nil:
			l.in.Hangup("client_left")
			return
		case kind == websocket.MessageBinary:
			pcm := make([]int16, len(data)/2)
			for i := range pcm {
				pcm[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
			}
			l.in.Audio(n, pcm)
			n++
		case string(data) == "!hangup":
			l.in.Hangup("client_left")
		default:
			l.in.Text(string(data), "")
		}
	}
}

func (l *link) write(ctx context.Context, c *websocket.Conn, s transport.Session) {
	for {
		select {
		case m := <-l.out:
			if c.Write(ctx, m.kind, m.data) != nil {
				return
			}
		case <-l.gone:
			for len(l.out) > 0 {
				m := <-l.out
				if c.Write(ctx, m.kind, m.data) != nil {
					return
				}
			}
			<-s.Done()
			_ = c.Close(websocket.StatusNormalClosure, "")
			return
		}
	}
}

func (l *link) send(kind websocket.MessageType, data []byte) {
	select {
	case l.out <- message{kind, data}:
	default: // a client that does not read misses something
	}
}

// WriteFrame sends a frame.
func (l *link) WriteFrame(f *transport.Frame) error {
	data := make([]byte, 2*len(f.PCM))
	for i, v := range f.PCM {
		binary.LittleEndian.PutUint16(data[2*i:], uint16(v))
	}
	l.send(websocket.MessageBinary, data)
	return nil
}

// Fence has nothing to drop.
func (l *link) Fence(transport.Fence) {}

// WriteSignal sends a signal's name.
func (l *link) WriteSignal(e *eventabi.Envelope) {
	l.send(websocket.MessageText, []byte("signal "+string(e.Signal)))
}

// TextWindow takes everything.
func (l *link) TextWindow() int { return 0 }

// WriteText sends what the agent says.
func (l *link) WriteText(t transport.Text) {
	if t.From == transport.TextAgent {
		l.send(websocket.MessageText, []byte("agent "+t.Text))
	}
}

// Close tells the reason.
func (l *link) Close(reason string) error {
	l.send(websocket.MessageText, []byte("close "+reason))
	l.once.Do(func() { close(l.gone) })
	return nil
}

// Client is the other end.
type Client struct {
	conn *websocket.Conn
	// Refused is the status of a connection that was turned away, and what it was told.
	Refused int
	Answer  string
}

// Dial connects; a refusal is no error.
func Dial(ctx context.Context, url string, header http.Header) (*Client, error) {
	conn, answer, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		conn.SetReadLimit(1 << 20)
		return &Client{conn: conn}, nil
	}
	if answer == nil {
		return nil, err
	}
	text := make([]byte, 512)
	n, _ := answer.Body.Read(text)
	return &Client{Refused: answer.StatusCode, Answer: string(text[:n])}, nil
}

// Say types an utterance, or gives a command.
func (c *Client) Say(ctx context.Context, text string) error {
	return c.conn.Write(ctx, websocket.MessageText, []byte(text))
}

// Until reads until a text message begins with what is waited for, and gives it; frames
// counts the audio that came meanwhile.
func (c *Client) Until(ctx context.Context, prefix string) (text string, frames int, err error) {
	for {
		kind, data, err := c.conn.Read(ctx)
		switch {
		case err != nil:
			return "", frames, err
		case kind == websocket.MessageBinary:
			frames++
		case strings.HasPrefix(string(data), prefix):
			return string(data), frames, nil
		}
	}
}

// Close drops the connection.
func (c *Client) Close() error {
	if c.conn == nil {
		return nil
	}
	return c.conn.CloseNow()
}

// Patience is how long tests wait for what has to come.
const Patience = 60 * time.Second
