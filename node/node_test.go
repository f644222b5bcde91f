// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
)

func sound() Declaration {
	return Declaration{
		Type: "echo", Package: "p", Version: "v1", Inputs: []Type{TypeTextDelta}, Streaming: StreamBoth,
		Scope: ScopeTurn, Class: Preemptible,
	}
}

// bare has only what every node must have.
type bare struct{ about Declaration }

func (b *bare) Declaration() Declaration      { return b.about }
func (*bare) Init(*Context) error             { return nil }
func (*bare) Start(*Context) error            { return nil }
func (*bare) OnEvent(*Context, *Event) error  { return nil }
func (*bare) OnCancel(*Context, Cancel) error { return nil }
func (*bare) Stop(*Context) error             { return nil }

func TestCheck(t *testing.T) {
	if err := Check(&bare{sound()}); err != nil {
		t.Errorf("a sound declaration: %v", err)
	}
	for field, breakIt := range map[string]func(d *Declaration){
		"node_type":       func(d *Declaration) { d.Type = "Echo Node" },
		"package":         func(d *Declaration) { d.Package = "" },
		"version":         func(d *Declaration) { d.Version = "" },
		"inputs":          func(d *Declaration) { d.Inputs = nil },
		"streaming":       func(d *Declaration) { d.Streaming = "sometimes" },
		"execution_scope": func(d *Declaration) { d.Scope = "" },
		"cancel_class":    func(d *Declaration) { d.Class = "" },
		"cancel_mode":     func(d *Declaration) { d.Mode = "gentle" },
		"resources":       func(d *Declaration) { d.Resources.MemoryMB = -1 },
		"state":           func(d *Declaration) { d.Scope, d.State = ScopeSession, []StateClass{StateTurn} },
		"buffers_audio":   func(d *Declaration) { d.BuffersAudio = true },
		"long_running":    func(d *Declaration) { d.LongRunning = true },
		"inline":          func(d *Declaration) { d.Inline = true },
	} {
		d := sound()
		breakIt(&d)
		if err := Check(&bare{d}); err == nil || !strings.Contains(err.Error(), field+":") {
			t.Errorf("%s: got %v", field, err)
		}
	}
	d := sound()
	d.BuffersAudio, d.LongRunning = true, true
	if err := Check(&Func{About: d}); err != nil {
		t.Errorf("NoOp handles barge-in and budget: %v", err)
	}
}

func TestFuncIsANode(t *testing.T) {
	got := ""
	f := &Func{About: sound(), Event: func(_ *Context, ev *Event) error { got += ev.Text; return nil }}
	ctx := &Context{}
	if f.Init(ctx) != nil || f.Start(ctx) != nil || f.OnEvent(ctx, &Event{Text: "a"}) != nil || f.OnCancel(ctx, Cancel{}) != nil || f.Stop(ctx) != nil {
		t.Error("a hook failed")
	}
	if got != "a" || f.Declaration().Type != "echo" {
		t.Errorf("got %q", got)
	}
	ctx.Emit(&Event{}) // nobody listens
}

func TestCancelToken(t *testing.T) {
	token := NewCancelToken(t.Context())
	if _, over := token.Cancelled(); over {
		t.Error("a new token is over")
	}
	token.Trip(Cancel{Scope: eventabi.CancelTurn, Reason: "first"})
	token.Trip(Cancel{Scope: eventabi.CancelTurn, Reason: "second"})
	<-token.Done()
	if c, over := token.Cancelled(); !over || c.Reason != "first" || token.Context().Err() == nil {
		t.Errorf("cancelled %v by %+v: the first cancel stays", over, c)
	}
	released := NewCancelToken(t.Context())
	released.Release()
	if c, over := released.Cancelled(); !over || c != (Cancel{}) {
		t.Errorf("released: %+v %v", c, over)
	}
}

func TestLimits(t *testing.T) {
	l := Limits{Cancel: time.Second}.WithDefaults()
	if l.Cancel != time.Second || l.Init != DefaultInit || l.Budget != DefaultBudget || l.EventHard != DefaultEventHard {
		t.Errorf("limits %+v", l)
	}
}
