// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/controlplane/pipeline"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// registry lists the types of nodes that specs may name beside the runtime's own. Adding one
// is adding its line here.
func registry() (*node.Registry, error) {
	r := &node.Registry{}
	err := errors.Join(
		r.Register("external", newExternal()),
	)
	return r, err
}

// readSpecs is parley.ReadFlow with the types of this program.
func readSpecs(from parley.FlowSource) (*parley.Flow, error) {
	kinds, err := registry()
	if err != nil {
		return nil, err
	}
	from.Kinds = kinds
	return parley.ReadFlow(from)
}

// use has the agent run a spec. Nodes may name its engines.
func (a *agent) use(spec *parley.Flow) error {
	kinds, err := registry()
	if err != nil {
		return err
	}
	c := &a.config
	return c.Use(spec, kinds, parley.Engines{
		STT: map[string]provider.STT{c.STT.Descriptor().ID: c.STT},
		LLM: map[string]provider.LLM{c.LLM.Descriptor().ID: c.LLM},
		TTS: map[string]provider.TTS{c.TTS.Descriptor().ID: c.TTS},
	})
}

// specReader makes the reader of pipeline specs of this program.
func specReader() (*pipeline.Normalizer, error) {
	kinds, err := registry()
	if err != nil {
		return nil, err
	}
	return pipeline.New(parley.SpecKinds(kinds))
}
