// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
)

// The errors of what is sent, for errors.Is.
var (
	ErrClosed = errors.New("client: the session is over")
	ErrFull   = errors.New("client: too many messages wait for the connection to come back")
)

// RefusedError is the server's answer to a client that it does not let in.
type RefusedError struct {
	Code       string // as docs/websocket.md lists them
	Message    string
	RetryAfter time.Duration // 0 = not said
	Supported  []wire.Format
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("client: refused: %s: %s", e.Code, e.Message)
}

// Stats are what a Client counted.
type Stats struct {
	Reconnects    int64
	EventsDropped int64
	AudioSent     int64 // samples
	AudioAway     int64 // samples that were spoken while there was no connection
	AudioDropped  int64 // samples of the agent that there was no room for
	Dry           int64 // times that playback ran dry
	Pending       int   // messages that the server has not taken, now
}

// Client is a session on a server. Its methods may be called from any goroutine.
type Client struct {
	config Config
	events *events
	play   *playback
	stop   context.CancelCauseFunc
	ctx    context.Context
	done   chan struct{}

	mu       sync.Mutex
	link     *link // nil while there is none
	session  eventabi.SessionID
	turn     eventabi.TurnID // the latest
	address  string          // where the session is
	view     int64           // the newest of its routes
	received int64           // highest seq
	pending  []pending
	prefix   string
	number   int64
	sequence uint32 // of frames
	position int64  // of the microphone, samples
	stats    Stats
}

// pending is a message that the server has not taken.
type pending struct {
	key  eventabi.IdempotencyKey
	said encoded
}

// Dial opens a session. ctx bounds the opening and not the session. A server that does not
// let the client in is a *RefusedError; the first connection is tried once.
func Dial(ctx context.Context, c Config) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("client: a random prefix: %w", err)
	}
	cl := &Client{config: c, events: newEvents(c.Events), done: make(chan struct{}), prefix: hex.EncodeToString(random[:]), address: c.URL}
	cl.ctx, cl.stop = context.WithCancelCause(context.Background())
	cl.play = newPlayback(c, cl.ack)
	l, err := cl.connect(ctx)
	if err != nil {
		cl.stop(err)
		return nil, err
	}
	go cl.events.run(cl.done)
	go cl.run(l)
	return cl, nil
}

// Session is the id of the session.
func (c *Client) Session() eventabi.SessionID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Events gives what happens, until the channel is closed behind *Ended.
func (c *Client) Events() <-chan Event { return c.events.out }

// Stats gives what was counted.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	s := c.stats
	s.Pending = len(c.pending)
	c.mu.Unlock()
	c.play.mu.Lock()
	s.AudioDropped, s.Dry = c.play.lost, c.play.dry
	c.play.mu.Unlock()
	c.events.mu.Lock()
	s.EventsDropped = c.events.dropped
	c.events.mu.Unlock()
	return s
}

// SendAudio sends what the microphone has heard, 16 bit, mono, at Config.Rate, any length up
// to a second; silence as well, since it is the server that hears when somebody speaks.
func (c *Client) SendAudio(pcm []int16) error {
	if len(pcm) == 0 {
		return nil
	}
	if len(pcm) > c.config.Rate {
		return fmt.Errorf("client: audio: %d samples: send at most a second (%d) at a time", len(pcm), c.config.Rate)
	}
	data := make([]byte, 0, wire.HeaderSize+2*len(pcm))
	c.mu.Lock()
	l := c.link
	data = wire.AppendAudio(data, &wire.Audio{Kind: wire.KindCaller, Sequence: c.sequence, Position: c.position})
	c.sequence++
	c.position += int64(len(pcm))
	if l == nil {
		c.stats.AudioAway += int64(len(pcm))
	} else {
		c.stats.AudioSent += int64(len(pcm))
	}
	c.mu.Unlock()
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	if l == nil {
		return nil
	}
	for _, v := range pcm {
		data = append(data, byte(v), byte(uint16(v)>>8))
	}
	l.write(websocket.MessageBinary, data)
	return nil
}

// ReadAudio fills pcm with what is to be heard now, at Config.Rate: what an audio device
// asks for, at its own pace. Where there is nothing it is silence. It gives the number of
// samples that are the agent's. What it has given out counts as heard.
func (c *Client) ReadAudio(pcm []int16) int { return c.play.read(pcm, time.Now()) }

// SendText sends an utterance that was typed.
func (c *Client) SendText(text string) error {
	return c.deliver(func(k wire.Keyed) wire.FromClient { return &wire.Text{Text: text, Keyed: k} })
}

// EndOfUtterance says that the user has finished, with the sound that was sent before.
func (c *Client) EndOfUtterance() error {
	return c.deliver(func(k wire.Keyed) wire.FromClient { return &wire.EndOfUtterance{Keyed: k} })
}

// Cancel asks to cancel the output and work of the latest turn that was heard of: one that
// arrives late cancels no other. force also stops what is marked uninterruptible.
func (c *Client) Cancel(reason string, force bool) error {
	return c.deliver(func(k wire.Keyed) wire.FromClient {
		return &wire.Cancel{Request: wire.Request{Turn: c.turn, Reason: reason, Force: force, Keyed: k}}
	})
}

// Stop ends the output of the latest turn without implying a new one.
func (c *Client) Stop() error {
	return c.deliver(func(k wire.Keyed) wire.FromClient {
		return &wire.Stop{Request: wire.Request{Turn: c.turn, Keyed: k}}
	})
}

// Mute says that the microphone was switched off or on again.
func (c *Client) Mute(on bool) error {
	return c.deliver(func(k wire.Keyed) wire.FromClient { return &wire.Mute{On: on, Keyed: k} })
}

// DTMF hands on a key of a telephone: 0-9, *, #, A-D.
func (c *Client) DTMF(digit string, length time.Duration) error {
	return c.deliver(func(k wire.Keyed) wire.FromClient {
		return &wire.Control{Kind: "dtmf", Digit: digit, DurationMS: length.Milliseconds(), Keyed: k}
	})
}

// AddContext adds to the conversation without asking for an answer; role is user, assistant
// or system.
func (c *Client) AddContext(role, text string) error {
	return c.deliver(func(k wire.Keyed) wire.FromClient { return &wire.Context{Role: role, Text: text, Keyed: k} })
}

// Respond asks for an answer without new words.
func (c *Client) Respond() error {
	return c.deliver(func(k wire.Keyed) wire.FromClient { return &wire.Respond{Keyed: k} })
}

// Configure changes wishes, from the next turn on.
func (c *Client) Configure(w wire.Wishes) error {
	return c.deliver(func(k wire.Keyed) wire.FromClient { return &wire.Configure{Wishes: w, Keyed: k} })
}

// ToolResult answers a *wire.ToolCall; when the tool failed, output says why.
func (c *Client) ToolResult(id, output string, failed bool) error {
	return c.deliver(func(k wire.Keyed) wire.FromClient {
		return &wire.ToolResult{ID: id, Output: output, Failed: failed, Keyed: k}
	})
}

// Renew gives the session a fresh token, of Config.Token, before the one that it runs under
// expires.
func (c *Client) Renew(ctx context.Context) error {
	if c.config.Token == nil {
		return errors.New("client: token: nil: give a function that gives one")
	}
	token, err := c.config.Token(ctx)
	if err != nil {
		return fmt.Errorf("client: token: %w", err)
	}
	return c.deliver(func(k wire.Keyed) wire.FromClient { return &wire.Renew{Token: token, Keyed: k} })
}

// deliver sends a message that has to arrive, now or when the connection is back. What the
// server would refuse is refused here, with the field's name. message is called with the lock
// held.
func (c *Client) deliver(message func(wire.Keyed) wire.FromClient) error {
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) >= c.config.Pending {
		return ErrFull
	}
	c.number++
	key := eventabi.IdempotencyKey(c.prefix + "-" + strconv.FormatInt(c.number, 10))
	said, err := c.encode(message(wire.Keyed{Key: key}))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if f := said.check(); f != nil {
		return fmt.Errorf("client: %w", f)
	}
	c.pending = append(c.pending, pending{key, said})
	if c.link != nil {
		c.link.queue(said)
	}
	return nil
}

// taken forgets a message that has arrived, or that the server does not want.
func (c *Client) taken(key eventabi.IdempotencyKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = slices.DeleteFunc(c.pending, func(p pending) bool { return p.key == key })
}

// ack tells how far playback is. One that is lost with a connection does not matter: the
// next says more.
func (c *Client) ack(p *wire.Played) {
	if c.config.Silent {
		return
	}
	said, err := c.encode(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.link != nil {
		c.link.queue(said)
	}
}

// Close says goodbye and ends the session. It waits for the end of the connection, as long
// as Config.Patience.
func (c *Client) Close() error {
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l != nil && c.ctx.Err() == nil {
		if bye, err := c.encode(&wire.Bye{}); err == nil {
			l.queue(bye)
		}
		select {
		case <-l.done: // the server has said Ended and closed
		case <-time.After(c.config.Patience):
		}
	}
	c.stop(ErrClosed)
	<-c.done
	return nil
}
