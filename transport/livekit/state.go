// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"sync"

	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

// The states of an agent, as LiveKit's clients know them.
const (
	initializing = "initializing"
	listening    = "listening"
	thinking     = "thinking"
	speaking     = "speaking"
)

// state is what the agent shows of itself in the room.
type state struct {
	mu   sync.Mutex
	said string
}

// say shows a state, when it is another one than before.
func (s *state) say(r room, now string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said == now {
		return
	}
	s.said = now
	r.describe(map[string]string{roomproto.AttributeState: now})
}

// again shows it once more, to a server that may not know it.
func (s *state) again(r room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said != "" {
		r.describe(map[string]string{roomproto.AttributeState: s.said})
	}
}
