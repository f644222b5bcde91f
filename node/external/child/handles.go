// SPDX-License-Identifier: Apache-2.0

package child

import (
	"errors"
	"sync"
	"time"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
)

// clock is the session's clock as far as this process knows it: it stands while a hook runs, and
// goes on by itself between hooks.
type clock struct {
	mu     sync.Mutex
	at     int64     // told last
	since  time.Time // when
	hook   int64     // what it stands at
	stands bool
}

func (c *clock) running() int64 { return c.at + int64(time.Since(c.since)) }

// tell takes an instant that came with a message.
func (c *clock) tell(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() || at > c.running() {
		c.at, c.since = at, time.Now()
	}
	c.hook = max(c.hook, at)
}

// set is what the next hook's instant is.
func (c *clock) set(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hook = at
}

func (c *clock) stand(stands bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stands = stands
}

func (c *clock) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stands {
		return c.hook
	}
	return c.running()
}

type timebase instance

func (t *timebase) Now() node.Instant { return node.Instant(t.clock.now()) }

// WakeAt asks the host, whose clock it is.
func (t *timebase) WakeAt(at node.Instant) {
	m := &protocol.Message{Type: protocol.TypeWake, Instance: t.number}
	if at != node.Never {
		v := int64(at)
		m.At = &v
	}
	_ = t.server.send(m) // the reader finds out
}

// budget is what the host said was left, less what has passed since by this process's clock.
type budget instance

func (b *budget) RemainingMS() int64 {
	i := (*instance)(b)
	ends := i.deadline.Load()
	if ends == 0 {
		return -1
	}
	i.clock.mu.Lock()
	now := i.clock.running()
	i.clock.mu.Unlock()
	return max(0, (ends-now)/int64(time.Millisecond))
}

type telemetry instance

func (t *telemetry) Count(name string, n int64) {
	_ = t.server.send(&protocol.Message{Type: protocol.TypeTelemetry, Instance: t.number, Name: name, N: n}) // the reader finds out
}

type state instance

var errGone = errors.New("child: the host has gone")

func (s *state) Get(class node.StateClass, key string) ([]byte, bool) {
	r := s.server.ask(&protocol.Message{Type: protocol.TypeStateGet, Instance: s.number, Class: class, Key: key})
	if r == nil || !r.Found || r.Error != nil {
		return nil, false
	}
	return r.Value, true
}

func (s *state) Put(class node.StateClass, key string, value []byte) error {
	r := s.server.ask(&protocol.Message{Type: protocol.TypeStatePut, Instance: s.number, Class: class, Key: key, Value: value})
	if r == nil {
		return errGone
	}
	if r.Error != nil {
		return r.Error
	}
	return nil
}

func (s *state) Conversation() []node.Message {
	r := s.server.ask(&protocol.Message{Type: protocol.TypeConversation, Instance: s.number})
	if r == nil {
		return nil
	}
	var list []node.Message
	for _, m := range r.Messages {
		list = append(list, node.Message{Role: m.Role, Text: m.Text, Interrupted: m.Interrupted, Call: m.Call, Name: m.Name, Failed: m.Failed})
	}
	return list
}
