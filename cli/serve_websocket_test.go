// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/internal/serve/servetest"
)

// listener is a client of Parley's own that plays by the clock.
type listener struct {
	*client.Client
	t *testing.T

	mu     sync.Mutex
	events []client.Event
	sound  int // samples of the agent's that were played
}

func listen(t *testing.T, p *program) *listener {
	t.Helper()
	return listenBy(t, client.Config{URL: p.url + websocketPath})
}

func listenBy(t *testing.T, config client.Config) *listener {
	t.Helper()
	c, err := patiently(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{Client: c, t: t}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for ev := range c.Events() {
			l.mu.Lock()
			l.events = append(l.events, ev)
			l.mu.Unlock()
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	var playing sync.WaitGroup
	playing.Go(func() {
		frame := make([]int16, 320)
		for tick := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			n := c.ReadAudio(frame)
			l.mu.Lock()
			l.sound += n
			l.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		c.Close()
		stop()
		playing.Wait()
		<-over
	})
	return l
}

// await waits for the nth event that matches, from 1.
func (l *listener) await(what string, nth int, is func(client.Event) bool) {
	l.t.Helper()
	for end := time.Now().Add(servetest.Patience); l.count(is) < nth; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("it does not come: %s", what)
		}
	}
}

// count gives how many events match so far.
func (l *listener) count(is func(client.Event) bool) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range l.events {
		if is(ev) {
			n++
		}
	}
	return n
}

func emitted(s eventabi.Signal) func(client.Event) bool {
	return func(ev client.Event) bool {
		m, ok := ev.(*wire.Signal)
		return ok && m.Signal.Signal == s
	}
}

// said gives what the agent was shown to say.
func (l *listener) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, ev := range l.events {
		if m, ok := ev.(*wire.Transcript); ok && m.From == "agent" {
			b.WriteString(m.Text)
		}
	}
	return b.String()
}

// A conversation of Parley's own client with the program: a question is answered, the answer
// is played to its end, the next is interrupted and stops.
func TestServeOwnClient(t *testing.T) {
	p := serveProcess(t, nil)
	l := listen(t, p)
	if err := l.SendText("what time is it"); err != nil {
		t.Fatal(err)
	}
	l.await("the first answer, played to its end", 1, emitted(eventabi.SignalPlaybackCompleted))
	if l.said() == "" || l.sound == 0 {
		t.Errorf("said %q, %d samples", l.said(), l.sound)
	}
	if err := l.SendText("tell me a story"); err != nil {
		t.Fatal(err)
	}
	l.await("the second answer", 2, emitted(eventabi.SignalPlaybackStarted))
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	l.await("its end", 1, emitted(eventabi.SignalPlaybackCancelled))
	l.Close()
	l.await("the end", 1, func(ev client.Event) bool { _, ok := ev.(*client.Ended); return ok })
	code, body := p.get(t, "/api/sessions")
	if code != 200 || !strings.Contains(body, `"transport":"websocket"`) && !strings.Contains(body, "websocket") {
		t.Errorf("%d %s", code, body)
	}
}
