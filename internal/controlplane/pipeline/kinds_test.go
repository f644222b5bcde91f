// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"fmt"

	"github.com/parley-voice/parley/internal/kernel/graph"
	contract "github.com/parley-voice/parley/node" // a value of a document is a node here
)

// testKinds are the types of nodes of these tests: real kinds in a real registry.
type testKinds struct{ registry *contract.Registry }

func newTestKinds() testKinds {
	r := &contract.Registry{}
	texts := []contract.Type{contract.TypeTranscript, contract.TypeSegment}
	about := func(name string, scope contract.ExecutionScope, types ...contract.Type) contract.Declaration {
		return contract.Declaration{
			Type: name, Package: "test", Version: "v1", Inputs: types, Outputs: types,
			Streaming: contract.StreamFinal, Scope: scope, Class: contract.Preemptible,
		}
	}
	kind := func(d contract.Declaration) contract.Kind {
		return contract.KindFunc(func(config json.RawMessage) (contract.Node, error) {
			var c struct {
				Words  []any
				Nested map[string]any
				Word   any
			}
			if len(config) > 0 {
				if err := json.Unmarshal(config, &c); err != nil {
					return nil, fmt.Errorf("config.words: %w: give a list", err)
				}
			}
			if c.Word != nil {
				return nil, fmt.Errorf("config.word: %v: there is no such field: use words", c.Word)
			}
			return &contract.Func{About: d}, nil
		})
	}
	untrue := about("untrue", contract.ScopeTurn, texts...)
	untrue.BuffersAudio = true // and does not handle OnBargeIn
	for name, k := range map[string]contract.Kind{
		"filter": kind(about("filter", contract.ScopeTurn, texts...)),
		"narrow": kind(about("narrow", contract.ScopeTurn, contract.TypeSegment)),
		"mood":   kind(about("mood", contract.ScopeSession, texts...)),
		"quiet":  kind(about("quiet", contract.ScopeSession, contract.TypeAudioChunk)),
		"brief":  kind(about("brief", contract.ScopeTurn, contract.TypeAudioChunk)),
		"untrue": contract.KindFunc(func(json.RawMessage) (contract.Node, error) { return &hookless{untrue}, nil }),
	} {
		if err := r.Register(name, k); err != nil {
			panic(err)
		}
	}
	return testKinds{r}
}

// hookless is a node that has the hooks it must have, and no other.
type hookless struct{ about contract.Declaration }

func (n *hookless) Declaration() contract.Declaration               { return n.about }
func (*hookless) Init(*contract.Context) error                      { return nil }
func (*hookless) Start(*contract.Context) error                     { return nil }
func (*hookless) OnEvent(*contract.Context, *contract.Event) error  { return nil }
func (*hookless) OnCancel(*contract.Context, contract.Cancel) error { return nil }
func (*hookless) Stop(*contract.Context) error                      { return nil }

func (k testKinds) Types() []string { return k.registry.Types() }

func (k testKinds) Describe(name string, config json.RawMessage) (Declared, error) {
	kind, err := k.registry.Lookup(name)
	if err != nil {
		return Declared{}, err
	}
	d, err := kind.Describe(config)
	out := Declared{Package: d.Package, Version: d.Version, Scope: graph.Scope(d.Scope)}
	for _, t := range d.Inputs {
		out.Inputs = append(out.Inputs, string(t))
	}
	for _, t := range d.Outputs {
		out.Outputs = append(out.Outputs, string(t))
	}
	return out, err
}
