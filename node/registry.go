// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Kind makes the nodes of one node_type. What a spec says below config is the kind's own;
// both methods are given it as a JSON object, nil when there is none, and report each fault
// of it with field, value and remedy.
type Kind interface {
	// Describe gives the declaration of a node with this config. It starts nothing and
	// always answers the same, so a spec is checked before a session begins.
	Describe(config json.RawMessage) (Declaration, error)
	// New makes a node, once for each instance: a turn's for a turn-scoped node.
	New(config json.RawMessage) (Node, error)
}

// KindFunc is a kind whose nodes are cheap to make: a node is made to be asked what it is.
type KindFunc func(config json.RawMessage) (Node, error)

// Describe asks a new node, and checks its declaration against it.
func (f KindFunc) Describe(config json.RawMessage) (Declaration, error) {
	n, err := f(config)
	if err != nil {
		return Declaration{}, err
	}
	if err := Check(n); err != nil {
		return Declaration{}, err
	}
	return n.Declaration(), nil
}

// New calls f.
func (f KindFunc) New(config json.RawMessage) (Node, error) { return f(config) }

// Registry holds the kinds that specs may name. The zero value is empty. It is filled
// before it is used, and not changed afterwards.
type Registry struct {
	kinds map[string]Kind
	names []string // sorted
}

// Register adds a kind under its node_type.
func (r *Registry) Register(name string, kind Kind) error {
	switch {
	case !snake(name):
		return fmt.Errorf("node: node_type: %q: give a name in lower_snake_case", name)
	case kind == nil:
		return fmt.Errorf("node: node_type %q: give a kind", name)
	case r.kinds[name] != nil:
		return fmt.Errorf("node: node_type: %q is registered already: give the other one another name", name)
	}
	if r.kinds == nil {
		r.kinds = map[string]Kind{}
	}
	r.kinds[name] = kind
	at, _ := slices.BinarySearch(r.names, name)
	r.names = slices.Insert(r.names, at, name)
	return nil
}

// ErrUnknownKind is what Lookup says of a node_type that nobody registered.
var ErrUnknownKind = errors.New("unknown node_type")

// Lookup gives the kind of a node_type.
func (r *Registry) Lookup(name string) (Kind, error) {
	if r != nil {
		if k := r.kinds[name]; k != nil {
			return k, nil
		}
	}
	return nil, fmt.Errorf("node: node_type: %q: %w: use one of %q, or register it", name, ErrUnknownKind, r.Types())
}

// Types lists the registered node_types, sorted.
func (r *Registry) Types() []string {
	if r == nil {
		return nil
	}
	return slices.Clone(r.names)
}
