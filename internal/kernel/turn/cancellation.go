// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// FenceRetention is how long a fence is kept after its turn closed (lifecycle
// section 8, "Fence keys").
const FenceRetention = 600 * timebase.Second

// MaxFences bounds the fences kept by one session. At the bound the oldest goes; with
// ten minutes of retention that takes more than six cancelled turns a second.
const MaxFences = 4096

// Fences remembers which scopes of a session may not put output on the wire any more.
// The key is (scope, scope id); the session id is the owner's. The zero value is empty.
type Fences struct {
	session bool
	list    []fence // ordered by expiry
}

type fence struct {
	scope   eventabi.CancelScope
	id      string
	expires timebase.Instant
}

// Add fences a scope from now on. A session fence holds for good.
func (f *Fences) Add(scope eventabi.CancelScope, id string, at timebase.Instant) {
	if scope == eventabi.CancelSession {
		f.session = true
		return
	}
	if f.Has(scope, id) {
		return
	}
	f.expire(at)
	if len(f.list) >= MaxFences {
		f.list = append(f.list[:0], f.list[1:]...)
	}
	f.list = append(f.list, fence{scope: scope, id: id, expires: at.Add(FenceRetention)})
}

// Has says whether a scope is fenced, by its own fence or by the session's.
func (f *Fences) Has(scope eventabi.CancelScope, id string) bool {
	if f.session {
		return true
	}
	for i := len(f.list) - 1; i >= 0; i-- {
		if f.list[i].scope == scope && f.list[i].id == id {
			return true
		}
	}
	return false
}

// Session says whether the whole session is fenced.
func (f *Fences) Session() bool { return f.session }

// Len gives the number of fences kept.
func (f *Fences) Len() int { return len(f.list) }

func (f *Fences) expire(at timebase.Instant) {
	n := 0
	for n < len(f.list) && f.list[n].expires <= at {
		n++
	}
	if n > 0 {
		f.list = append(f.list[:0], f.list[n:]...)
	}
}
