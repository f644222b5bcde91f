// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

// The kinds that come with parley, and a translation by the model.
func TestBuiltInKinds(t *testing.T) {
	var asked []provider.Prompt
	llm := &providertest.FakeLLM{Reply: func(p provider.Prompt) string {
		asked = append(asked, p)
		return "Guten Tag."
	}}
	var r node.Registry
	if err := builtInKinds(&r, func() provider.LLM { return llm }); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.Types()); got != "[compliance noise_gate translator]" {
		t.Errorf("registered %s", got)
	}
	kind, err := r.Lookup("translator")
	if err != nil {
		t.Fatal(err)
	}
	n, err := kind.New(json.RawMessage(`{"from":"en","to":"de"}`))
	if err != nil {
		t.Fatal(err)
	}
	nodetest.Play(t, n, nodetest.Give(nodetest.Segment(0, "Hello. ")), nodetest.Expect(`segment "Guten Tag. " language=de`))
	if len(asked) != 1 || len(asked[0].Messages) != 2 || !strings.Contains(asked[0].Messages[0].Text, "from en into de") || asked[0].Messages[1].Text != "Hello. " {
		t.Errorf("asked %+v", asked)
	}
}

// A model that fails or is not there: the words go on as they are, and within their time.
func TestTranslationFails(t *testing.T) {
	for name, model := range map[string]provider.LLM{
		"none":  nil,
		"empty": &providertest.FakeLLM{Replies: []string{" "}},
		"hangs": &providertest.FakeLLM{Behaviour: providertest.Behaviour{Wait: true, Latency: provider.Latency{First: time.Hour}}},
	} {
		var r node.Registry
		if err := builtInKinds(&r, func() provider.LLM { return model }); err != nil {
			t.Fatal(err)
		}
		kind, err := r.Lookup("translator")
		if err != nil {
			t.Fatal(err)
		}
		n, err := kind.New(json.RawMessage(`{"to":"de"}`))
		if err != nil {
			t.Fatal(err)
		}
		h := nodetest.Play(t, n, nodetest.Give(nodetest.Segment(0, "Hello.")), nodetest.Expect(`segment "Hello."`))
		if h.Count("translate_failed") != 1 {
			t.Errorf("%s: not counted", name)
		}
	}
}
