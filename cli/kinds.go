// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"maps"
	"slices"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/controlplane/pipeline"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// registry lists the types of nodes that specs may name beside the runtime's own, and those of
// the program. Adding one is adding its line here. model gives who translates; done ends what the types hold.
func (env *environment) registry(model func() provider.LLM) (*node.Registry, func() error, error) {
	r, done, err := nodeKinds("")
	outside := newExternal()
	err = errors.Join(err,
		r.Register("external", outside),
		builtInKinds(r, model),
	)
	for _, name := range slices.Sorted(maps.Keys(env.program.Nodes)) {
		err = errors.Join(err, r.Register(name, env.program.Nodes[name]))
	}
	if err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return r, func() error { return errors.Join(outside.Close(), done()) }, nil
}

// noModel is for who only reads: nothing is translated then.
func noModel() provider.LLM { return nil }

// readSpecs is parley.ReadFlow with the types of this program.
func (env *environment) readSpecs(from parley.FlowSource) (flow *parley.Flow, err error) {
	kinds, done, err := env.registry(noModel)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	from.Kinds = kinds
	return parley.ReadFlow(from)
}

// use has the agent run a spec. Nodes may name its engines.
func (a *agent) use(env *environment, spec *parley.Flow) error {
	c := &a.config
	kinds, done, err := env.registry(func() provider.LLM { return c.LLM })
	if err != nil {
		return err
	}
	a.close = append(a.close, done)
	return c.Use(spec, kinds, parley.Engines{
		STT: map[string]provider.STT{c.STT.Descriptor().ID: c.STT},
		LLM: map[string]provider.LLM{c.LLM.Descriptor().ID: c.LLM},
		TTS: map[string]provider.TTS{c.TTS.Descriptor().ID: c.TTS},
	})
}

// specReader makes the reader of pipeline specs of this program. done ends what it holds.
func (env *environment) specReader() (n *pipeline.Normalizer, done func() error, err error) {
	kinds, done, err := env.registry(noModel)
	if err != nil {
		return nil, nil, err
	}
	if n, err = pipeline.New(parley.SpecKinds(kinds)); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return n, done, nil
}
