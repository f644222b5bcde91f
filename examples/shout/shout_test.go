// SPDX-License-Identifier: Apache-2.0

package shout_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/parley-voice/parley/examples/shout"
	"github.com/parley-voice/parley/node/nodetest"
)

func TestShout(t *testing.T) {
	nodetest.Conform(t, shout.Kind(), `{"mark":"!!"}`)
	n, err := shout.Kind().New(json.RawMessage(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	nodetest.Play(t, n, nodetest.Give(nodetest.Segment(0, "It is raining. ")), nodetest.Expect(`segment "IT IS RAINING! "`))
}

// The manual shows this node as it is, it is shorter than thirty lines, and its test is in it.
func TestManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/nodes.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("shout.go")
	if err != nil {
		t.Fatal(err)
	}
	_, node, _ := strings.Cut(string(source), "\n\n") // without the licence
	if n := strings.Count(node, "\n"); n >= 30 {
		t.Errorf("the node has %d lines", n)
	}
	if !strings.Contains(string(manual), "```go\n"+node+"```\n") {
		t.Error("docs/nodes.md does not show shout.go as it is")
	}
	test, err := os.ReadFile("shout_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(test), "func TestShout")
	body, _, _ := strings.Cut(after, "\n}\n")
	if !strings.Contains(string(manual), "```go\nfunc TestShout"+body+"\n}\n```\n") {
		t.Error("docs/nodes.md does not show the test as it is")
	}
}
