// SPDX-License-Identifier: Apache-2.0

//go:build wasip1

// Command probe is a node that uses all that a node may use, and says what it found.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/wasm/guest"
)

var _ = guest.Serve(func(config json.RawMessage) (node.Node, error) {
	p := &probe{}
	if config != nil {
		if err := json.Unmarshal(config, p); err != nil {
			return nil, err
		}
	}
	if p.Refuse != "" {
		return nil, errors.New(p.Refuse)
	}
	return p, nil
})

func main() {}

type probe struct {
	node.NoOp
	Refuse string `json:"refuse"`
	File   string `json:"file"`
	held   []int16
	bytes  [][]byte
	class  eventabi.PayloadClass
}

func (*probe) Declaration() node.Declaration {
	return node.Declaration{
		Type: "probe", Package: "example.com/probe", Version: "1.0.0",
		Inputs:    []node.Type{node.TypeTextDelta, node.TypeAudioChunk, node.TypeTimer},
		Outputs:   []node.Type{node.TypeTextDelta, node.TypeAudioChunk},
		Streaming: node.StreamBoth, Scope: node.ScopeTurn, Class: node.Preemptible, Mode: node.CancelHard,
		State: []node.StateClass{node.StateTurn, node.StateHot}, BuffersAudio: true, LongRunning: true, Inline: false,
	}
}

// say emits what the probe makes of the last event: in its payload class.
func (p *probe) say(ctx *node.Context, format string, args ...any) {
	ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta, Class: p.class, Text: fmt.Sprintf(format, args...)})
}

func (p *probe) OnEvent(ctx *node.Context, ev *node.Event) error {
	if _, over := ctx.Cancel.Cancelled(); over {
		return nil
	}
	ctx.Telemetry.Count("probe_events", 1)
	if ev.Type != node.TypeTimer {
		p.class = ev.Class
	}
	switch ev.Type {
	case node.TypeAudioChunk:
		out := *ev
		p.held = append(p.held[:0], ev.PCM...)
		for i := range p.held {
			p.held[i] /= 2
		}
		out.PCM = p.held
		ctx.Emit(&out)
		return nil
	case node.TypeTimer:
		p.say(ctx, "timer at %v", time.Duration(ev.At))
		return nil
	}
	return p.text(ctx, ev)
}

func (p *probe) text(ctx *node.Context, ev *node.Event) error {
	switch ev.Text {
	case "who":
		p.say(ctx, "%s %s %s seed %d", ctx.Session, ctx.Turn, ctx.Node, ctx.Determinism.Seed())
	case "chance":
		p.say(ctx, "%d", ctx.Determinism.Uint64())
	case "time":
		p.say(ctx, "%v %d", time.Duration(ctx.Timebase.Now()), time.Now().UnixNano())
	case "wake":
		ctx.Timebase.WakeAt(ctx.Timebase.Now() + node.Instant(50*time.Millisecond))
	case "budget":
		p.say(ctx, "%d", ctx.Budget.RemainingMS())
	case "put":
		if err := ctx.State.Put(node.StateHot, "k", make([]byte, 9000)); err != nil {
			return err
		}
		v, ok := ctx.State.Get(node.StateHot, "k")
		_, none := ctx.State.Get(node.StateHot, "none")
		p.say(ctx, "%d %v %v", len(v), ok, none)
	case "talk":
		p.say(ctx, "%+v", ctx.State.Conversation())
	case "file":
		b, err := os.ReadFile(p.File)
		p.say(ctx, "%q %v", b, err != nil)
	case "write":
		p.say(ctx, "%v", os.WriteFile(p.File, []byte("x"), 0o600) != nil)
	case "env":
		p.say(ctx, "%q %d", os.Getenv("WORD"), len(os.Environ()))
	case "sleep":
		time.Sleep(time.Hour)
	case "panic":
		panic("planned")
	case "eat":
		for {
			p.bytes = append(p.bytes, make([]byte, 1<<20))
		}
	case "error":
		return errors.New("no such luck")
	case "goroutine":
		done := make(chan struct{})
		go func() { p.say(ctx, "from a goroutine"); close(done) }()
		<-done
	default:
		p.say(ctx, "%s", ev.Text)
	}
	return nil
}

func (p *probe) OnBudgetExhausted(ctx *node.Context, o node.BudgetOutcome) error {
	p.say(ctx, "budget %s", o)
	return nil
}

func (p *probe) OnCancel(ctx *node.Context, c node.Cancel) error {
	ctx.Telemetry.Count("cancel_"+c.Reason, 1)
	return nil
}
