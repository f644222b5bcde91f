// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"fmt"
	"slices"
	"sync"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/node"
)

// clock is an instance's Timebase.
type clock Instance

func (c *clock) Now() node.Instant { return node.Instant(c.settings.Exec.Now()) }

// WakeAt replaces the instance's timer, also one that has fired and is not told yet. The
// event is one of the node's, so it waits for the hook that runs.
func (c *clock) WakeAt(at node.Instant) {
	i := (*Instance)(c)
	i.stopTimer()
	i.rang.Store(0)
	if at == node.Never || !i.Alive() {
		return
	}
	due := timebase.Instant(at)
	stop := c.settings.Exec.After(due, func() {
		i.rang.Store(int64(max(due, 1)))
		i.Kick()
	})
	i.mu.Lock()
	i.timer = stop
	i.mu.Unlock()
	if !i.Alive() {
		stop()
	}
}

func (i *Instance) stopTimer() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.timer != nil {
		i.timer()
		i.timer = nil
	}
}

// budget is an instance's Budget.
type budget Instance

func (b *budget) RemainingMS() int64 {
	i := (*Instance)(b)
	ends := i.watch.ends()
	if i.settings.Ends != nil {
		ends = timebase.Earliest(ends, i.settings.Ends())
	}
	if ends == timebase.Never {
		return -1
	}
	return max(0, ends.Sub(i.settings.Exec.Now())).MS()
}

// telemetry counts through a function, or not at all.
type telemetry func(name string, n int64)

func (t telemetry) Count(name string, n int64) {
	if t != nil {
		t(name, n)
	}
}

// chance is a turn's determinism context for one node.
type chance struct {
	seed   int64
	random timebase.Random
}

func newChance(seed int64) *chance {
	return &chance{seed: seed, random: timebase.NewRandom(uint64(seed))}
}

func (c *chance) Seed() int64    { return c.seed }
func (c *chance) Uint64() uint64 { return c.random.Uint64() }

// Store keeps the state of one session's nodes by class (authority-state section 4):
// turn-ephemeral state until the turn ends, the rest as long as the process. The zero
// value is empty.
type Store struct {
	mu     sync.Mutex
	values map[stateKey][]byte
	bytes  int
}

type stateKey struct {
	turn eventabi.TurnID // turn-ephemeral only
	name string
}

// maxState bounds the state of one session, in bytes of keys and values.
const maxState = 1 << 20

// EndTurn drops what belongs to a turn: the next one starts clean.
func (s *Store) EndTurn(turn eventabi.TurnID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, v := range s.values {
		if k.turn == turn && turn != "" {
			s.bytes -= len(k.name) + len(v)
			delete(s.values, k)
		}
	}
}

// stateHandle is one node's view of the Store.
type stateHandle struct {
	store        *Store
	turn         eventabi.TurnID
	conversation func() []node.Message
}

func (h *stateHandle) key(class node.StateClass, key string) (stateKey, error) {
	k := stateKey{name: string(class) + "/" + key}
	switch class {
	case node.StateTurn:
		if h.turn == "" {
			return k, fmt.Errorf("nodehost: state %q: class %s: outside a turn there is none; use %s", key, class, node.StateHot)
		}
		k.turn = h.turn
	case node.StateHot, node.StateDurable:
	default:
		return k, fmt.Errorf("nodehost: state %q: class %q: use %s, %s or %s", key, class, node.StateTurn, node.StateHot, node.StateDurable)
	}
	return k, nil
}

func (h *stateHandle) Get(class node.StateClass, key string) ([]byte, bool) {
	k, err := h.key(class, key)
	if err != nil {
		return nil, false
	}
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	v, ok := h.store.values[k]
	return slices.Clone(v), ok
}

func (h *stateHandle) Put(class node.StateClass, key string, value []byte) error {
	k, err := h.key(class, key)
	if err != nil {
		return err
	}
	s := h.store
	s.mu.Lock()
	defer s.mu.Unlock()
	grown := s.bytes + len(value)
	if old, ok := s.values[k]; ok {
		grown -= len(old)
	} else {
		grown += len(k.name)
	}
	if grown > maxState {
		return fmt.Errorf("nodehost: state %q: %d bytes would pass the session's bound of %d: keep less", key, grown, maxState)
	}
	if s.values == nil {
		s.values = map[stateKey][]byte{}
	}
	s.values[k] = slices.Clone(value)
	s.bytes = grown
	return nil
}

func (h *stateHandle) Conversation() []node.Message {
	if h.conversation == nil {
		return nil
	}
	return h.conversation()
}
