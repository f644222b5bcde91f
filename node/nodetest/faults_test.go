// SPDX-License-Identifier: Apache-2.0

package nodetest_test

import (
	"os"
	"os/exec"
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
	fault  string
	shared *int
}

func (p *planted) Declaration() node.Declaration {
	d := p.echo.Declaration()
	if p.fault == "declaration" {
		d.Version = ""
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
	case "deaf": // to the cancel token
		ctx.Timebase.WakeAt(ctx.Timebase.Now() + node.Instant(200*time.Millisecond))
		ctx.Emit(say("and on"))
		return nil
	case "leak":
		*p.shared++
		ctx.Emit(say(strings.Repeat("x", *p.shared)))
	case "silent":
		return nil
	}
	return p.echo.OnEvent(ctx, ev)
}

func (p *planted) Stop(ctx *node.Context) error {
	if p.fault == "late" {
		ctx.Emit(say("too late"))
	}
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
	nodetest.Test(t, nodetest.Suite{
		New:     func(*testing.T) node.Node { return &planted{fault: fault, shared: &shared} },
		Events:  []node.Event{*say("one"), *say("two")},
		Advance: 100 * time.Millisecond,
	})
}

// The suite must find each planted fault, in the part that looks for it, and must pass
// the same node without one.
func TestSuiteFindsPlantedFaults(t *testing.T) {
	for fault, part := range map[string]string{
		"":            "",
		"declaration": "declaration",
		"early":       "hook_order",
		"late":        "hook_order",
		"undeclared":  "outputs",
		"classless":   "outputs",
		"silent":      "outputs",
		"deaf":        "cancel",
		"leak":        "no_leak_between_turns",
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPlantedFault$")
		cmd.Env = append(os.Environ(), "NODETEST_FAULT="+fault)
		out, err := cmd.CombinedOutput()
		if found := strings.Contains(string(out), "--- FAIL: TestPlantedFault/"+part); part != "" && (err == nil || !found) {
			t.Errorf("fault %q was not found by %s:\n%s", fault, part, out)
		}
		if part == "" && err != nil {
			t.Errorf("a sound node failed:\n%s", out)
		}
	}
}
