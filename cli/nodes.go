// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/wasm"
)

// nodeKinds lists what a spec's nodes may be: one line a kind. compiled is a folder for what
// sandboxed nodes are compiled to, empty where there is none. done ends what the kinds hold.
func nodeKinds(compiled string) (kinds *node.Registry, done func() error, err error) {
	sandbox := wasm.New(wasm.Options{Compiled: compiled})
	kinds = &node.Registry{}
	err = errors.Join(
		kinds.Register("wasm", sandbox),
	)
	return kinds, sandbox.Close, err
}
