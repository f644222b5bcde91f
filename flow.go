// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/parley-voice/parley/internal/controlplane/pipeline"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/node"
)

// Flow is what is in force of flow settings: bounds, strategies and flow control of the
// edges, budgets, and the actions that plans allow; docs/flow.md tells of them. It does
// not change and may be shared by runtimes.
type Flow = pipeline.Effective

// FlowSource is what flow settings are made of, layer over layer.
type FlowSource struct {
	// Name and Spec are a pipeline spec: YAML, or JSON when the name ends in .json. Without
	// a text the spec changes nothing.
	Name string
	Spec []byte
	// Environment is "NAME=value", as os.Environ gives it; PARLEY_BUDGETS__TURN_BUDGET_MS
	// and its like are read, the rest is left.
	Environment []string
	// Tenant is a spec of what a tenant has otherwise.
	Tenant     []byte
	TenantName string
	// Set are values of the session, such as budgets.turn_budget_ms=1500.
	Set []string
	// SetName is what faults call them; empty = set.
	SetName string
	// Kinds are the types of nodes that the spec's graph may name beside the runtime's own.
	Kinds *node.Registry
}

// SpecKinds are the kinds of a registry as the reader of pipeline specs asks for them.
func SpecKinds(r *node.Registry) pipeline.Kinds { return specKinds{r} }

type specKinds struct{ registry *node.Registry }

func (k specKinds) Types() []string { return k.registry.Types() }

func (k specKinds) Describe(name string, config json.RawMessage) (pipeline.Declared, error) {
	kind, err := k.registry.Lookup(name)
	if err != nil {
		return pipeline.Declared{}, err
	}
	d, err := kind.Describe(config)
	if err != nil {
		return pipeline.Declared{}, err
	}
	out := pipeline.Declared{Package: d.Package, Version: d.Version, Scope: graph.Scope(d.Scope)}
	for _, t := range d.Inputs {
		out.Inputs = append(out.Inputs, string(t))
	}
	for _, t := range d.Outputs {
		out.Outputs = append(out.Outputs, string(t))
	}
	return out, nil
}

// ReadFlow lays the layers over each other: profile < spec < environment < tenant <
// session (turn-plan section 5). The error tells every fault at once, each with its file
// and line, field, value and remedy; warnings are left to the command parley lint.
func ReadFlow(from FlowSource) (*Flow, error) {
	n, err := pipeline.New(SpecKinds(from.Kinds))
	if err != nil {
		return nil, fmt.Errorf("parley: %w", err)
	}
	documents := []*pipeline.Document{
		n.Read(pipeline.Spec, from.Name, from.Spec),
		n.Read(pipeline.Tenant, from.TenantName, from.Tenant),
	}
	session, err := n.Set(pipeline.Session, cmp.Or(from.SetName, "set"), from.Set...)
	if err != nil {
		return nil, fmt.Errorf("parley: %w", err)
	}
	documents = append(documents, n.Environment(from.Environment, documents...), session)
	flow, faults, err := n.Resolve(nil, documents...)
	if err != nil {
		return nil, fmt.Errorf("parley: %w", err)
	}
	if flow != nil {
		return flow, nil
	}
	return nil, fmt.Errorf("parley: %w", &pipeline.RefusedError{Faults: faults})
}
