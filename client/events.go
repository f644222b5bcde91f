// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/wire"
)

// Event is what a Client has to tell: one of *Connected, *Disconnected, *wire.Signal,
// *wire.Transcript, *wire.Speech, *wire.ToolCall, *wire.Metric, *wire.Error, *Ended.
type Event any

type (
	// Connected says that there is a connection.
	Connected struct {
		*wire.Welcome
	}
	// Disconnected says that the connection was lost, and when the next attempt is made.
	Disconnected struct {
		Err   error
		Again time.Duration
	}
	// Ended is the last event. Err is nil when the session ended by itself or by Close.
	Ended struct {
		Reason string
		Err    error
	}
)

// events hands events on, and drops the least needed when nobody takes them.
type events struct {
	out  chan Event
	wake chan struct{}
	most int

	mu      sync.Mutex
	waiting []Event
	dropped int64
	over    bool
}

func newEvents(most int) *events {
	return &events{out: make(chan Event, most+1), wake: make(chan struct{}, 1), most: most}
}

// put takes an event; it does not wait.
func (e *events) put(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over || ev == nil {
		return
	}
	if _, last := ev.(*Ended); last {
		e.over = true
	} else if len(e.waiting) >= e.most {
		e.dropped++
		i := e.least()
		e.waiting = slices.Delete(e.waiting, i, i+1)
	}
	e.waiting = append(e.waiting, ev)
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// least is the event that is needed least.
func (e *events) least() int {
	best, at := 0, 0
	for i, ev := range e.waiting {
		need := 3
		switch ev := ev.(type) {
		case *wire.Metric:
			need = 0
		case *wire.Transcript:
			if need = 2; !ev.Final {
				need = 1
			}
		case *wire.Speech, *wire.Signal, *wire.Error:
			need = 2
		}
		if i == 0 || need < best {
			best, at = need, i
		}
	}
	return at
}

// run hands on until the last event.
func (e *events) run(stop <-chan struct{}) {
	defer close(e.out)
	for {
		e.mu.Lock()
		var next Event
		if len(e.waiting) > 0 {
			next = e.waiting[0]
			e.waiting = slices.Delete(e.waiting, 0, 1)
		}
		e.mu.Unlock()
		if next == nil {
			<-e.wake // Ended comes for sure
			continue
		}
		_, last := next.(*Ended)
		select {
		case e.out <- next:
		case <-stop: // nobody may read any more: the channel keeps what it has room for
			e.press(next, last)
		}
		if last {
			return
		}
	}
}

// press puts an event into a channel that may be full; the last one always finds room.
func (e *events) press(ev Event, last bool) {
	for {
		select {
		case e.out <- ev:
			return
		default:
		}
		e.mu.Lock()
		e.dropped++
		e.mu.Unlock()
		if !last {
			return
		}
		select {
		case <-e.out:
		default:
		}
	}
}
