// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Panic is what a connection's own code panicked with. It is an error.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string {
	return fmt.Sprintf("transport: a goroutine of a connection has panicked: %v", p.Value)
}

// Contain puts a boundary around what a connection has run by others: on goroutines, by timers,
// as a callback of a library. There a panic would end the process, and with it every call; inside
// the boundary it is logged and costs the connection alone. broken ends that; it is called on a
// goroutine of its own, because a panic may leave locks held.
//
//	time.AfterFunc(d, transport.Contain(c.broken, c.expired))
//	go transport.Contain(c.broken, c.read)()
func Contain(broken func(*Panic), fn func()) func() {
	return func() {
		defer Recover(broken)
		fn()
	}
}

// Recover is deferred by what is its own boundary.
func Recover(broken func(*Panic)) {
	v := recover()
	if v == nil {
		return
	}
	p := &Panic{Value: v, Stack: debug.Stack()}
	slog.Default().Error("a connection has crashed", "panic", p.Value, "stack", string(p.Stack))
	if broken != nil {
		go func() {
			defer Recover(nil)
			broken(p)
		}()
	}
}
