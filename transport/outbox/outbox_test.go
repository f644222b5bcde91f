// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is what messages are written to. While it is shut, a write waits.
type wire struct {
	mu    sync.Mutex
	shut  chan struct{} // nil = open
	wrote []string
	deaf  bool // a write does not heed its context
}

func (w *wire) write(ctx context.Context, m *Message) error {
	w.mu.Lock()
	shut, deaf := w.shut, w.deaf
	w.mu.Unlock()
	if shut != nil {
		done := ctx.Done()
		if deaf {
			done = nil
		}
		select {
		case <-shut:
		case <-done:
			return context.Cause(ctx)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote = append(w.wrote, string(m.Data))
	return nil
}

func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut = make(chan struct{})
}

func (w *wire) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.shut)
	w.shut = nil
}

func (w *wire) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.wrote, " ")
}

func audio(generation uint32, text string) Message {
	return Message{Audio: true, Turn: "turn", Generation: generation, Binary: true, Data: []byte(text)}
}

func control(text string) Message { return Message{Data: []byte(text)} }

func newOutbox(t *testing.T, c Config) *Outbox {
	t.Helper()
	o, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s\n   want %s", what, got, want)
	}
}

func finish(t *testing.T, o *Outbox) {
	t.Helper()
	if err := o.Close(t.Context()); err != nil {
		t.Errorf("closing: %v", err)
	}
}

func TestOrderIsKept(t *testing.T) {
	var w wire
	o := newOutbox(t, Config{Write: w.write})
	var want []string
	for i := range 200 {
		m := audio(1, fmt.Sprint("a", i))
		if i%3 == 0 {
			m = control(fmt.Sprint("c", i))
		}
		want = append(want, string(m.Data))
		for o.Stats().Waiting > 40 {
			time.Sleep(time.Millisecond)
		}
		if !o.Send(m) {
			t.Fatalf("%s was not taken", m.Data)
		}
	}
	if err := o.Close(t.Context(), control("bye")); err != nil {
		t.Fatal(err)
	}
	expect(t, "written", w.text(), strings.Join(append(want, "bye"), " "))
	if s := o.Stats(); s.Audio+s.Control != 201 || s.Dropped+s.Unsent != 0 {
		t.Errorf("counted %+v", s)
	}
	if o.Send(control("late")) || !errors.Is(o.Err(), ErrClosed) || o.Stats().Refused != 1 {
		t.Error("a closed outbox takes messages")
	}
}

// Rule 4: the oldest audio goes, control stays in its place.
func TestAudioBeyondItsBoundPushesOutTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		w.close()
		o := newOutbox(t, Config{Write: w.write, Audio: 2})
		o.Send(audio(1, "a0"))
		synctest.Wait() // a0 is being written
		for _, m := range []Message{audio(1, "a1"), control("c"), audio(1, "a2"), audio(1, "a3"), audio(1, "a4")} {
			if !o.Send(m) {
				t.Errorf("%s was not taken", m.Data)
			}
		}
		if s := o.Stats(); s.Dropped != 2 || s.Waiting != 4 || s.Deepest != 4 {
			t.Errorf("counted %+v", s)
		}
		w.open()
		finish(t, o)
		expect(t, "written", w.text(), "a0 c a3 a4")
	})
}

// Rule 3.
func TestFenceDropsItsScopeAndNothingElse(t *testing.T) {
	for _, row := range []struct {
		name  string
		fence transport.Fence
		want  string
	}{
		{"generation", transport.Fence{Turn: "turn", Generation: 2}, "c0 a1 c1 a3 c2 b1 b3"},
		{"generation of the current turn", transport.Fence{Generation: 2}, "c0 a1 c1 a3 c2 b1 b3"},
		{"turn", transport.Fence{Turn: "turn"}, "c0 c1 c2"},
		{"another turn", transport.Fence{Turn: "other"}, "c0 a1 a2 c1 a3 c2 b1 b2 b3"},
		{"nothing", transport.Fence{}, "c0 a1 a2 c1 a3 c2 b1 b2 b3"},
		{"session", transport.Fence{Session: true}, "c0 c1 c2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w wire
				w.close()
				o := newOutbox(t, Config{Write: w.write})
				o.Send(control("c0"))
				synctest.Wait()
				for _, m := range []Message{audio(1, "a1"), audio(2, "a2"), control("c1"), audio(3, "a3")} {
					o.Send(m)
				}
				o.Fence(row.fence)
				o.Fence(row.fence)
				for _, m := range []Message{control("c2"), audio(1, "b1"), audio(2, "b2"), audio(3, "b3")} {
					o.Send(m)
				}
				w.open()
				finish(t, o)
				expect(t, "written", w.text(), row.want)
			})
		})
	}
}

func TestFenceWaitsForTheWriteUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		w.close()
		o := newOutbox(t, Config{Write: w.write})
		o.Send(audio(7, "a"))
		synctest.Wait()
		o.Fence(transport.Fence{Generation: 6}) // does not wait: it is not of its scope
		time.AfterFunc(30*time.Millisecond, w.open)
		began := time.Now()
		o.Fence(transport.Fence{Generation: 7})
		if took := time.Since(began); took != 30*time.Millisecond {
			t.Errorf("returned after %v, the write ended after 30ms", took)
		}
		expect(t, "written when the fence returned", w.text(), "a")
		if o.Stats().Late != 0 {
			t.Error("counted as late")
		}
		finish(t, o)
	})
}

func TestFenceWaitsNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		w.close()
		o := newOutbox(t, Config{Write: w.write})
		o.Send(audio(7, "a"))
		synctest.Wait()
		began := time.Now()
		o.Fence(transport.Fence{Generation: 7})
		if took := time.Since(began); took != settleWithin || o.Stats().Late != 1 {
			t.Errorf("returned after %v, counted %+v", took, o.Stats())
		}
		w.open()
		finish(t, o)
	})
}

// failures gathers what Failed is told.
func failures() (func(error), func() []error) {
	var mu sync.Mutex
	var list []error
	return func(err error) {
			mu.Lock()
			defer mu.Unlock()
			list = append(list, err)
		}, func() []error {
			mu.Lock()
			defer mu.Unlock()
			return list
		}
}

// Rules 4 and 5.
func TestControlBeyondItsBoundFails(t *testing.T) {
	for name, c := range map[string]Config{"messages": {Control: 2}, "bytes": {ControlBytes: 5}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w wire
				w.close()
				failed, told := failures()
				c.Write, c.Failed = w.write, failed
				o := newOutbox(t, c)
				o.Send(control("c0"))
				synctest.Wait()
				if !o.Send(control("c1")) || !o.Send(control("c2")) || o.Send(control("c3")) {
					t.Error("not two and no third were taken")
				}
				synctest.Wait()
				if got := told(); len(got) != 1 || !errors.Is(got[0], ErrOverflow) {
					t.Errorf("told %v", got)
				}
				if err := o.Close(t.Context(), control("bye")); !errors.Is(err, ErrOverflow) {
					t.Errorf("close says %v", err)
				}
				if s := o.Stats(); s.Unsent != 3 || s.Waiting != 0 || s.Refused != 2 || w.text() != "" {
					t.Errorf("counted %+v, written %q", s, w.text())
				}
			})
		})
	}
}

func TestAWriteThatTakesTooLongFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		failed, told := failures()
		o := newOutbox(t, Config{Write: w.write, Failed: failed, Timeout: time.Second})
		for range 5 { // quick ones do not add up
			o.Send(control("c"))
			time.Sleep(400 * time.Millisecond)
		}
		if o.Err() != nil {
			t.Fatal(o.Err())
		}
		w.close()
		o.Send(audio(1, "a"))
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if got := told(); len(got) != 1 || !errors.Is(got[0], ErrTimeout) {
			t.Errorf("told %v", got)
		}
	})
}

func TestAFailedWriteEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken pipe")
		failed, told := failures()
		o := newOutbox(t, Config{Write: func(context.Context, *Message) error { return broken }, Failed: failed})
		o.Send(control("c"))
		synctest.Wait()
		if got := told(); len(got) != 1 || !errors.Is(got[0], broken) {
			t.Errorf("told %v", got)
		}
		if o.Send(audio(1, "a")) || o.Stats().Unsent != 1 {
			t.Errorf("goes on: %+v", o.Stats())
		}
		o.Fence(transport.Fence{Session: true})
	})
}

func TestFailedMayClose(t *testing.T) {
	var o *Outbox
	closed := make(chan error, 1)
	ready := make(chan struct{})
	o = newOutbox(t, Config{
		Write:  func(context.Context, *Message) error { return errors.New("broken") },
		Failed: func(error) { <-ready; closed <- o.Close(t.Context()) },
	})
	close(ready)
	o.Send(control("c"))
	if err := <-closed; err == nil {
		t.Error("closing a failed outbox says nothing")
	}
}

func TestCloseIsBounded(t *testing.T) {
	for name, deaf := range map[string]bool{"a write that gives up": false, "a write that does not": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := wire{deaf: deaf}
				w.close()
				failed, told := failures()
				o := newOutbox(t, Config{Write: w.write, Failed: failed})
				o.Send(control("c"))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				if err := o.Close(ctx, control("bye")); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("close says %v", err)
				}
				if took := time.Since(began); took > time.Second+settleWithin {
					t.Errorf("close took %v", took)
				}
				if len(told()) != 0 {
					t.Errorf("closing is reported as the failure %v", told())
				}
				w.open()
			})
		})
	}
}

func TestBuffersAreUsedAgain(t *testing.T) {
	var w wire
	o := newOutbox(t, Config{Write: w.write})
	first := append(o.Buffer(8), "abcdefgh"...)
	o.Send(Message{Audio: true, Data: first})
	for o.Stats().Waiting > 0 {
		time.Sleep(time.Millisecond)
	}
	if again := o.Buffer(8); len(again) != 0 || &again[:1][0] != &first[0] {
		t.Error("the memory of a message that was written is not used again")
	}
	if b := o.Buffer(100); cap(b) < 100 {
		t.Errorf("room for %d bytes", cap(b))
	}
	finish(t, o)
	expect(t, "written", w.text(), "abcdefgh")
}

func TestConfigReportsAllFaults(t *testing.T) {
	_, err := New(Config{Audio: -1, Control: 1 << 20, ControlBytes: -1, Timeout: time.Hour})
	for _, field := range []string{"write", "audio", "control", "control_bytes", "timeout"} {
		if err == nil || !strings.Contains(err.Error(), "outbox: "+field+": ") {
			t.Errorf("%s is not reported: %v", field, err)
		}
	}
}

func BenchmarkSend(b *testing.B) {
	o, err := New(Config{Write: func(context.Context, *Message) error { return nil }, Audio: mostMessages})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		o.Send(Message{Audio: true, Turn: "t", Generation: 1, Data: o.Buffer(640)[:640]})
	}
	_ = o.Close(b.Context())
}
