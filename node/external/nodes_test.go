// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/child"
	"github.com/parley-voice/parley/node/external/protocol"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
)

// loud hears speech where samples are loud.
type loud struct{}

func (loud) Probability(frame *[vad.FrameSamples]int16) float32 {
	if frame[0] > 1000 {
		return 0.9
	}
	return 0.05
}
func (loud) Reset() {}

// testNodes are the programs of the tests: nodes of the tree, unchanged, and one that does what a
// text tells it to.
func testNodes() map[string]node.Kind {
	return map[string]node.Kind{
		"endpointer": node.KindFunc(func(json.RawMessage) (node.Node, error) { return vad.NewEndpointNode(loud{}, vad.EndpointerConfig{}) }),
		"segmenter":  node.KindFunc(func(json.RawMessage) (node.Node, error) { return segmenter.NewNode(segmenter.Default()) }),
		"puppet":     node.KindFunc(newPuppet),
		"soft":       node.KindFunc(func(c json.RawMessage) (node.Node, error) { return &puppet{mode: node.CancelSoft}, nil }),
		"liar":       node.KindFunc(func(c json.RawMessage) (node.Node, error) { return &puppet{mode: node.CancelSoft}, nil }),
	}
}

func runTestNode(name string) error {
	kind := testNodes()[name]
	if kind == nil {
		return fmt.Errorf("no node %q", name)
	}
	return child.Main(kind, child.Options{Credits: 4})
}

// testConfig is the config of a test node. What limits and others say is merged over it.
func testConfig(tb testing.TB, name string, more map[string]any) json.RawMessage {
	tb.Helper()
	about, err := testNodes()[name].Describe(nil)
	if err != nil {
		tb.Fatal(err)
	}
	c := map[string]any{
		"command": self(tb), "args": []string{"node-test", name}, "declaration": protocol.Declare(about), "limits": map[string]any{"cancel_ms": 30000, "time_ms": 5000},
	}
	for k, v := range more {
		c[k] = v
	}
	b, err := json.Marshal(c)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// puppet does what the text of an event says, and answers with a text.
type puppet struct {
	node.NoOp
	mode   node.CancelMode
	class  eventabi.PayloadClass // of what it was given last
	config struct{ Greeting, Refuse string }
}

func newPuppet(config json.RawMessage) (node.Node, error) {
	p := &puppet{}
	if len(config) > 0 {
		if err := json.Unmarshal(config, &p.config); err != nil {
			return nil, err
		}
	}
	if p.config.Refuse == "new" {
		return nil, errors.New("greeting: I was told to refuse")
	}
	return p, nil
}

func (p *puppet) Declaration() node.Declaration {
	return node.Declaration{
		Type: "puppet", Package: "tests", Version: "1.2.3", Inputs: []node.Type{node.TypeSegment, node.TypeAudioChunk}, Outputs: []node.Type{node.TypeSegment, node.TypeAudioChunk},
		Streaming: node.StreamIncremental, Scope: node.ScopeTurn, Class: node.Cooperative, Mode: p.mode, State: []node.StateClass{node.StateTurn},
		BuffersAudio: true, LongRunning: true,
	}
}

func (p *puppet) say(ctx *node.Context, text string) {
	ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeSegment, Class: p.class, Text: text})
}

func (p *puppet) Init(*node.Context) error {
	if p.config.Refuse == "init" {
		return errors.New("I was told to refuse")
	}
	return nil
}

func (p *puppet) OnEvent(ctx *node.Context, ev *node.Event) error {
	if ev.Type != node.TypeTimer {
		p.class = ev.Class
	}
	if ev.Type == node.TypeAudioChunk {
		if ev.Invocation != "" {
			ctx.Emit(ev)
			return nil
		}
		time.Sleep(time.Duration(ev.Sample))
		return nil
	}
	if ev.Type == node.TypeTimer {
		p.say(ctx, "the timer came")
		return nil
	}
	what, rest, _ := strings.Cut(ev.Text, " ")
	switch what {
	case "sleep":
		time.Sleep(20 * time.Second)
	case "spin":
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
			continue
		}
	case "wait":
		<-ctx.Cancel.Done()
		p.say(ctx, "too late")
	case "panic":
		panic(rest)
	case "fail":
		return errors.New(rest)
	case "exit":
		go panic("that is all")
		select {}
	case "undeclared":
		ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeTranscript, Class: eventabi.ClassTextRaw})
	case "classless":
		ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeSegment})
	case "emit":
		ctx.Emit(&node.Event{
			Kind: ev.Kind, Type: ev.Type, Class: ev.Class, Invocation: ev.Invocation, Index: ev.Index, Sample: ev.Sample, Heard: ev.Heard, Text: ev.Text,
			Final: ev.Final, Protected: ev.Protected, Attributes: ev.Attributes, Sync: ev.Sync, At: ev.At,
		})
	case "later":
		go func() {
			<-ctx.Cancel.Done()
			time.Sleep(20 * time.Millisecond)
			p.say(ctx, "after the cancel")
			ctx.Telemetry.Count("said_late", 1)
		}()
	default:
		return p.handles(ctx, what, rest)
	}
	return nil
}

// handles tries what the context offers.
func (p *puppet) handles(ctx *node.Context, what, rest string) error {
	switch what {
	case "env":
		p.say(ctx, strings.Join(os.Environ(), "\n"))
	case "put":
		return ctx.State.Put(node.StateTurn, "k", []byte(rest))
	case "get":
		v, ok := ctx.State.Get(node.StateTurn, "k")
		p.say(ctx, fmt.Sprintf("%s %v", v, ok))
	case "conversation":
		p.say(ctx, fmt.Sprint(ctx.State.Conversation()))
	case "seed":
		p.say(ctx, fmt.Sprint(ctx.Determinism.Seed(), ctx.Determinism.Uint64()))
	case "now":
		p.say(ctx, fmt.Sprintln(ctx.Timebase.Now(), ctx.Session, ctx.Turn, ctx.Node, ctx.Budget.RemainingMS() > 0))
	case "wake":
		ctx.Timebase.WakeAt(ctx.Timebase.Now() + 1000)
	case "count":
		ctx.Telemetry.Count(rest, 2)
	case "greet":
		p.say(ctx, p.config.Greeting)
	case "print":
		fmt.Fprintln(os.Stdout, rest)
	}
	return nil
}

func (*puppet) OnBargeIn(ctx *node.Context) error {
	ctx.Telemetry.Count("barge_in", 1)
	return nil
}

func (*puppet) OnCancel(ctx *node.Context, c node.Cancel) error {
	ctx.Telemetry.Count("cancel_"+string(c.Scope)+"_"+c.Reason, 1)
	return nil
}

func (*puppet) OnBudgetExhausted(ctx *node.Context, outcome node.BudgetOutcome) error {
	ctx.Telemetry.Count("budget_"+string(outcome), 1)
	return nil
}
