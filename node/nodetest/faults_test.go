// SPDX-License-Identifier: Apache-2.0

package nodetest_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
)

// planted is a node that breaks the contract in one way.
type planted struct {
	echo
	fault   string
	shared  *int
	kept    *node.Event
	stopped bool
}

func (p *planted) Declaration() node.Declaration {
	d := p.echo.Declaration()
	switch p.fault {
	case "declaration":
		d.Version = ""
	case "changing":
		*p.shared++
		d.Version = strings.Repeat("v", *p.shared)
	case "undeclared_state":
		d.State = nil
	}
	return d
}

func (p *planted) Start(ctx *node.Context) error {
	if p.fault == "early" {
		ctx.Emit(say("too early"))
	}
	return nil
}

func (p *planted) OnEvent(ctx *node.Context, ev *node.Event) error {
	switch p.fault {
	case "undeclared":
		ctx.Emit(&node.Event{Kind: eventabi.KindAudio, Type: node.TypeAudioEnd, Class: eventabi.ClassAudioRaw})
	case "classless":
		ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta})
	case "class": // lowered on the way
		ctx.Emit(say("for everybody"))
	case "deaf": // to the cancel token
		ctx.Timebase.WakeAt(ctx.Timebase.Now() + node.Instant(200*time.Millisecond))
		ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta, Class: ev.Class, Text: "and on"})
		return nil
	case "leak":
		*p.shared++
		ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta, Class: ev.Class, Text: strings.Repeat("x", *p.shared)})
	case "silent":
		return nil
	case "keeps": // what it was lent
		if p.kept != nil {
			ctx.Emit(p.kept)
		}
		p.kept = ev
	case "writes": // into what it was lent
		ev.Attributes[0].Value = "changed"
	case "wall":
		ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta, Class: ev.Class, Text: time.Now().String()})
	case "chance":
		ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta, Class: ev.Class, Text: strconv.FormatUint(rand.Uint64(), 16)})
	case "panic":
		panic("a bug")
	}
	return p.echo.OnEvent(ctx, ev)
}

func (p *planted) OnCancel(ctx *node.Context, _ node.Cancel) error {
	if p.fault == "slow_cancel" {
		time.Sleep(node.DefaultCancel + time.Millisecond)
	}
	return nil
}

func (p *planted) Stop(ctx *node.Context) error {
	if p.fault == "late" {
		ctx.Emit(say("too late"))
	}
	if p.fault == "stops_once" && p.stopped {
		panic("stopped twice")
	}
	p.stopped = true
	return nil
}

func say(text string) *node.Event {
	return &node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta, Class: eventabi.ClassTextRaw, Text: text}
}

// TestPlantedFault runs the suite on a node that is broken as the environment says; it
// does nothing without.
func TestPlantedFault(t *testing.T) {
	fault, ok := os.LookupEnv("NODETEST_FAULT")
	if !ok {
		return
	}
	shared := 0
	kind := node.KindOf(struct{}{}, func(struct{}) (node.Node, error) { return &planted{fault: fault, shared: &shared}, nil })
	if fault == "tolerant" { // of settings that it does not have
		kind = node.KindFunc(func(json.RawMessage) (node.Node, error) { return &planted{shared: &shared}, nil })
	}
	events := []node.Event{*say("one"), *say("two")}
	for i := range events {
		events[i].Attributes = []node.Attribute{{Name: "language", Value: "en"}}
	}
	nodetest.Conform(t, kind, "", func(s *nodetest.Suite) { s.Events, s.Advance = events, 100*time.Millisecond })
}

// TestPlantedSound is TestPlantedFault for nodes in the sound.
func TestPlantedSound(t *testing.T) {
	fault, ok := os.LookupEnv("NODETEST_SOUND")
	if !ok {
		return
	}
	types := []node.Type{node.TypeAudioChunk}
	about := node.Declaration{Type: "planted", Package: "nodetest", Inputs: types, Outputs: types, Scope: node.ScopeSession}.WithDefaults()
	nodetest.Conform(t, node.KindOf(struct{}{}, func(struct{}) (node.Node, error) {
		var before *node.Event
		return &node.Func{About: about, Event: func(ctx *node.Context, ev *node.Event) error {
			out := *ev
			out.PCM = append([]int16(nil), ev.PCM...)
			switch fault {
			case "longer":
				out.PCM = append(out.PCM, 0)
			case "moved":
				out.Sample += 7
			case "twice":
				ctx.Emit(&out)
			case "whole": // frames of one length alone
				out.PCM = make([]int16, node.FrameSamples)
			case "text":
				out.Kind = eventabi.KindText
			case "keeps":
				if ev.Sample > 16000 {
					return nil
				}
			case "behind": // one frame, which is fine
				held := out
				if before == nil {
					before = &held
					return nil
				}
				before, out = &held, *before
			}
			ctx.Emit(&out)
			return nil
		}}, nil
	}), "")
}

// The suite must find each planted fault, in the part that looks for it, and must pass
// the same node without one.
func TestSuiteFindsPlantedFaults(t *testing.T) {
	for fault, part := range map[string]string{
		"":                 "",
		"declaration":      "declaration",
		"changing":         "declaration",
		"tolerant":         "config",
		"early":            "hook_order",
		"late":             "hook_order",
		"stops_once":       "stop",
		"undeclared":       "outputs",
		"classless":        "outputs",
		"silent":           "outputs",
		"panic":            "outputs",
		"class":            "payload_class",
		"deaf":             "cancel",
		"slow_cancel":      "cancel",
		"undeclared_state": "context",
		"keeps":            "lent",
		"writes":           "lent",
		"leak":             "no_leak_between_turns",
		"wall":             "time_and_chance",
		"chance":           "time_and_chance",
	} {
		found(t, "TestPlantedFault", "NODETEST_FAULT", fault, part)
	}
	for fault, part := range map[string]string{
		"": "", "behind": "", "longer": "sound", "moved": "sound", "twice": "sound", "whole": "sound", "text": "sound", "keeps": "sound",
	} {
		found(t, "TestPlantedSound", "NODETEST_SOUND", fault, part)
	}
}

// found runs the suite on a node with a fault, which a part has to find; no part is to find
// anything where it is empty.
func found(t *testing.T, test, variable, fault, part string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), variable+"="+fault)
	out, err := cmd.CombinedOutput()
	if failed := strings.Contains(string(out), "--- FAIL: "+test+"/"+part); part != "" && (err == nil || !failed) {
		t.Errorf("fault %q was not found by %s:\n%s", fault, part, out)
	}
	if part == "" && err != nil {
		t.Errorf("a node without a fault failed (%q):\n%s", fault, out)
	}
}
