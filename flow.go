// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"cmp"
	"fmt"

	"github.com/parley-voice/parley/internal/controlplane/pipeline"
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
}

// ReadFlow lays the layers over each other: profile < spec < environment < tenant <
// session (turn-plan section 5). The error tells every fault at once, each with its file
// and line, field, value and remedy; warnings are left to the command parley lint.
func ReadFlow(from FlowSource) (*Flow, error) {
	n, err := pipeline.New(nil)
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
