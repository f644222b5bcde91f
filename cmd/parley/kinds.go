// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/controlplane/pipeline"
	"github.com/parley-voice/parley/node"
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

// specReader makes the reader of pipeline specs of this program.
func specReader() (*pipeline.Normalizer, error) {
	kinds, err := registry()
	if err != nil {
		return nil, err
	}
	return pipeline.New(parley.SpecKinds(kinds))
}
