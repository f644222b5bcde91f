// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
)

// mostMissing bounds the silence that a jump of the position stands for: 10 s. A client
// that jumps further has begun anew.
const mostMissing = 10 * transport.SampleRate

// handle takes a message. The fault that it gives counts; one that does not was told.
func (c *conn) handle(l *line, kind websocket.MessageType, data []byte) *wire.Fault {
	if isAudio(kind, data) {
		f := c.audio(l, data)
		if f == nil {
			return nil
		}
		c.complain(f)
		if f.Code == wire.FaultOrder {
			c.server.counts.disorder.Add(1)
			return nil
		}
		return f
	}
	m, f := decode(kind, data)
	if f != nil {
		c.complain(f)
	}
	if m == nil {
		return f
	}
	if f = c.message(l, m); f != nil {
		f.Key = wire.KeyOf(m)
		c.complain(f)
	}
	return f
}

// audio takes a frame of the caller.
func (c *conn) audio(l *line, data []byte) *wire.Fault {
	a, f := wire.ParseAudio(data, wire.KindCaller)
	if f != nil {
		return f
	}
	pcm, missing, f := c.in.decode(&a)
	if f != nil {
		return f
	}
	if l.current() != c {
		return nil // another connection speaks for the session
	}
	if missing > 0 && missing <= mostMissing {
		gap := transport.Gap{Sequence: -1, Missing: missing, Reason: transport.GapLost}
		l.feed.After(func() { l.in.call(func(in transport.Ingress) { in.Gap(gap) }) })
	}
	l.feed.Write(pcm)
	return nil
}

// message takes a message, once for each key.
func (c *conn) message(l *line, m wire.FromClient) *wire.Fault {
	key := wire.KeyOf(m)
	l.mu.Lock()
	current := l.conn == c
	again := current && key != "" && !l.keys.first(key)
	l.mu.Unlock()
	if !current {
		return nil // another connection speaks for the session
	}
	if !again {
		if f := c.perform(l, m); f != nil {
			l.mu.Lock()
			l.keys.forget(key)
			l.mu.Unlock()
			return f
		}
		c.server.counts.messages.Add(1)
	} else {
		c.server.counts.repeated.Add(1)
	}
	if key != "" {
		c.say(&wire.Taken{Key: key, Again: again})
	}
	return nil
}

// perform does what a message says.
func (c *conn) perform(l *line, m wire.FromClient) *wire.Fault {
	var do func(in transport.Ingress)
	switch m := m.(type) {
	case *wire.Hello:
		return &wire.Fault{Code: wire.FaultUnexpected, Field: "type", Message: "hello was said already"}
	case *wire.Ping:
		c.pong(m)
		return nil
	case *wire.Bye:
		l.leave()
		return nil
	case *wire.Played:
		return c.played(l, m)
	case *wire.Renew:
		return c.renew(l, m)
	case *wire.EndOfUtterance:
		// Behind the audio that was sent before, which may still wait for its time.
		if !l.feed.After(func() { l.in.call(func(in transport.Ingress) { in.EndOfUtterance(m.Key) }) }) {
			return &wire.Fault{Code: wire.FaultUnexpected, Field: "type", Message: "too many ends of utterances wait for their audio"}
		}
		return nil
	case *wire.Text:
		do = func(in transport.Ingress) { in.Text(m.Text, m.Key) }
	case *wire.Cancel:
		do = func(in transport.Ingress) { in.Cancel(request(&m.Request)) }
	case *wire.Stop:
		do = func(in transport.Ingress) { in.Stop(request(&m.Request)) }
	case *wire.Mute:
		do = func(in transport.Ingress) { in.Muted(m.On) }
	case *wire.Control:
		do = func(in transport.Ingress) {
			in.Control(transport.Control{Kind: m.Kind, Digit: m.Digit, DurationMS: m.DurationMS, Key: m.Key})
		}
	case *wire.Context:
		do = func(in transport.Ingress) {
			in.Context(transport.Context{Role: transport.ContextRole(m.Role), Text: m.Text, Key: m.Key})
		}
	case *wire.Respond:
		do = func(in transport.Ingress) { in.Respond(m.Key) }
	case *wire.Configure:
		do = func(in transport.Ingress) { in.Configure(wishes(&m.Wishes)) }
	case *wire.ToolResult:
		do = func(in transport.Ingress) {
			in.ToolResult(transport.ToolResult{ID: m.ID, Output: m.Output, Failed: m.Failed})
		}
	default:
		return &wire.Fault{Code: wire.FaultInternal, Message: fmt.Sprintf("%T is not performed", m)}
	}
	l.in.call(do)
	return nil
}

func request(r *wire.Request) transport.Request {
	return transport.Request{Turn: r.Turn, Reason: r.Reason, Force: r.Force, Epoch: r.Epoch, Key: r.Key}
}

// played takes an acknowledgement, in the runtime's samples.
func (c *conn) played(l *line, m *wire.Played) *wire.Fault {
	if !l.acks {
		return &wire.Fault{Code: wire.FaultUnexpected, Field: "type", Message: "hello said that no acknowledgements come"}
	}
	l.mu.Lock()
	o := l.outputs.find(m.Generation)
	if o == nil || m.Turn != "" && m.Turn != o.turn {
		l.mu.Unlock()
		c.server.counts.strays.Add(1)
		return nil
	}
	p := transport.Playout{Turn: o.turn, Generation: o.generation, Final: m.Final}
	if p.Position = c.coding.back(m.Position); o.wire >= 0 && m.Position >= o.wire {
		p.Position = o.end
	}
	p.Position = min(p.Position, o.end)
	l.mu.Unlock()
	l.in.call(func(in transport.Ingress) { in.Played(p) })
	return nil
}

func (c *conn) pong(m *wire.Ping) { c.say(&wire.Pong{ID: m.ID, TimeMS: time.Now().UnixMilli()}) }

// renew puts a fresh token in the place of the session's, where the host does that.
func (c *conn) renew(l *line, m *wire.Renew) *wire.Fault {
	r, ok := c.server.host.(transport.Renewer)
	if !ok {
		return &wire.Fault{Code: wire.FaultRefused, Field: "token", Message: "sessions are not renewed here"}
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.server.config.Hello)
	defer cancel()
	err := r.Renew(ctx, l.id, m.Token)
	if err == nil {
		return nil
	}
	f := &wire.Fault{Code: wire.FaultRefused, Field: "token", Message: "the session could not be renewed"}
	var refused *transport.RefusedError
	if errors.As(err, &refused) {
		f.Message = refused.Error()
	}
	return f
}
