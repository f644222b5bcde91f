// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/node"
)

type clock Harness

func (c *clock) Now() node.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) WakeAt(at node.Instant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake = at
}

// due takes the timer when it is due by an instant; Never when it is not.
func (c *clock) due(by node.Instant) node.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wake > by {
		return node.Never
	}
	at := c.wake
	c.wake = node.Never
	return at
}

type budget Harness

func (b *budget) RemainingMS() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ends == node.Never {
		return -1
	}
	return max(0, time.Duration(b.ends-b.now).Milliseconds())
}

type state Harness

func stateKey(class node.StateClass, key string) string { return string(class) + "/" + key }

func cutKey(k string) (class node.StateClass, key string, ok bool) {
	before, after, ok := strings.Cut(k, "/")
	return node.StateClass(before), after, ok
}

// use notes which class is used. The lock is held.
func (s *state) use(class node.StateClass) error {
	s.used[class] = true
	switch class {
	case node.StateTurn:
		if s.context.Turn == "" {
			return errors.New("outside a turn there is no turn-ephemeral state")
		}
	case node.StateHot, node.StateDurable:
	default:
		return fmt.Errorf("state class %q: use %s, %s or %s", class, node.StateTurn, node.StateHot, node.StateDurable)
	}
	return nil
}

func (s *state) Get(class node.StateClass, key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.use(class) != nil {
		return nil, false
	}
	v, ok := s.state[stateKey(class, key)]
	return slices.Clone(v), ok
}

func (s *state) Put(class node.StateClass, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.use(class)
	if err == nil {
		s.state[stateKey(class, key)] = slices.Clone(value)
	}
	return err
}

func (s *state) Conversation() []node.Message { return slices.Clone(s.talk) }

type telemetry Harness

func (t *telemetry) Count(name string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[name] += n
}

// chance is a fixed sequence (Knuth's MMIX generator).
type chance Harness

func (c *chance) Seed() int64 { return Seed }

func (c *chance) Uint64() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drawn = c.drawn*6364136223846793005 + 1442695040888963407
	return c.drawn
}
