// SPDX-License-Identifier: Apache-2.0

//go:build wasip1

// Command masker is a node for the sandbox: it replaces words in a reply by asterisks.
package main

import (
	"encoding/json"
	"strings"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/wasm/guest"
)

var _ = guest.Serve(func(config json.RawMessage) (node.Node, error) {
	m := &masker{}
	if config == nil {
		return m, nil
	}
	return m, json.Unmarshal(config, m)
})

func main() {}

type masker struct {
	node.NoOp
	Words []string `json:"words"`
}

func (*masker) Declaration() node.Declaration {
	return node.Declaration{
		Type: "masker", Package: "example.com/masker", Version: "1.0.0",
		Inputs: []node.Type{node.TypeSegment}, Outputs: []node.Type{node.TypeSegment},
		Streaming: node.StreamIncremental, Scope: node.ScopeTurn, Class: node.Preemptible,
	}
}

func (m *masker) OnEvent(ctx *node.Context, ev *node.Event) error {
	out := *ev
	for _, w := range m.Words {
		out.Text = strings.ReplaceAll(out.Text, w, strings.Repeat("*", len(w)))
	}
	ctx.Emit(&out)
	return nil
}
