// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// Graph is a session's graph, and what its nodes are bound to. The definition is the
// kernel's, which compiles it and refuses the session where it is faulty; the rest says by
// node id what stays outside the kernel.
type Graph struct {
	Definition kernelgraph.Definition
	// Configs are what the kinds of work nodes are given.
	Configs map[eventabi.NodeID]json.RawMessage
	// Models and Voices serve models and synthesisers that have others than the session's own.
	Models map[eventabi.NodeID]ModelBinding
	Voices map[eventabi.NodeID]VoiceBinding
	// Lines are what responders say.
	Lines map[eventabi.NodeID]string
}

// ModelBinding is what a model of the graph is. Without LLM it is the session's own.
type ModelBinding struct {
	LLM, Second provider.LLM
	// Config is in place of the session's, nil = the session's.
	Config *invocation.LLMConfig
	// SystemPrompt is in place of the session's and of what the client asks for; empty = that.
	SystemPrompt string
}

// VoiceBinding is what a synthesiser of the graph is. Without TTS it is the session's own. A
// binding with a voice or a language speaks so, whatever the client wishes.
type VoiceBinding struct {
	TTS, Second     provider.TTS
	Voice, Language string
	Rate            float64
}

// ids lists the nodes, in the order of the definition.
func (g *Graph) ids() (list []eventabi.NodeID) {
	if g == nil {
		return nil
	}
	for i := range g.Definition.Nodes {
		list = append(list, g.Definition.Nodes[i].ID)
	}
	return list
}

// node gives a node of the definition, nil when there is none.
func (g *Graph) node(id eventabi.NodeID) *kernelgraph.Node {
	if g == nil {
		return nil
	}
	for i := range g.Definition.Nodes {
		if g.Definition.Nodes[i].ID == id {
			return &g.Definition.Nodes[i]
		}
	}
	return nil
}

// hosted says that a node is made by a kind of the registry.
func hosted(n *kernelgraph.Node) bool {
	return n.Role == kernelgraph.RoleWork || n.Role == kernelgraph.RoleDeadLetter && n.Type != builtinDeadLetter
}

// builtinDeadLetter is the type of the runtime's own dead letter node: what it takes is in the
// recording and in the counts, and goes nowhere else.
const builtinDeadLetter = "dead_letter"

// validate reports every fault of what the nodes are bound to. The definition is the kernel's
// to judge.
func (g *Graph) validate(kinds *node.Registry) (faults []error) {
	fault := func(id eventabi.NodeID, field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("sessionhost: graph.nodes.%s.%s: %v: %s", id, field, value, remedy))
	}
	for i := range g.Definition.Nodes {
		n := &g.Definition.Nodes[i]
		switch {
		case hosted(n):
			kind, err := kinds.Lookup(n.Type)
			if err != nil {
				fault(n.ID, "node_type", n.Type, err.Error())
				continue
			}
			d, err := kind.Describe(g.Configs[n.ID])
			if err != nil {
				fault(n.ID, "config", string(g.Configs[n.ID]), err.Error())
				continue
			}
			if string(d.Scope) != string(n.Scope) {
				fault(n.ID, "scope", n.Scope, fmt.Sprintf("the kind %s makes nodes of scope %s: say so", n.Type, d.Scope))
			}
			if n.Version != "" && n.Version != d.Version {
				fault(n.ID, "version", n.Version, fmt.Sprintf("this program has %s of %s: pin that, or link the other", d.Version, d.Package))
			}
		case n.Role == kernelgraph.RoleResponder && strings.TrimSpace(g.Lines[n.ID]) == "":
			fault(n.ID, "line", `""`, "give the words that it says")
		}
	}
	for _, n := range g.Definition.Nodes {
		if b, ok := g.Models[n.ID]; ok && b.LLM != nil {
			faults = append(faults, boundTo(n.ID, b.LLM.Descriptor(), provider.ModalityLLM)...)
		}
		if b, ok := g.Voices[n.ID]; ok && b.TTS != nil {
			faults = append(faults, boundTo(n.ID, b.TTS.Descriptor(), provider.ModalityTTS)...)
		}
	}
	return faults
}

// boundTo reports what is wrong with the adapter of a node.
func boundTo(id eventabi.NodeID, d provider.Descriptor, want provider.Modality) (faults []error) {
	if d.ID == "" || d.Modality != want || d.ContractVersion != provider.ContractVersion {
		faults = append(faults, fmt.Errorf("sessionhost: graph.nodes.%s.provider: adapter %q of modality %q, contract %q: give a %s adapter with an id, of contract %s",
			id, d.ID, d.Modality, d.ContractVersion, want, provider.ContractVersion))
	}
	return faults
}

// inputs are the definition as the kernel is given it, ahead of the bootstrap. keep gives the
// handle of a responder's line.
func (g *Graph) inputs(keep func(text string) session.TextRef) (list []session.Input) {
	if g == nil {
		return nil
	}
	for i := range g.Definition.Nodes {
		in := &session.GraphNode{Node: g.Definition.Nodes[i]}
		id := in.Node.ID
		if b, ok := g.Models[id]; ok && b.LLM != nil {
			in.Provider = b.LLM.Descriptor().ID
			if b.Second != nil {
				in.Second = b.Second.Descriptor().ID
			}
		}
		if b, ok := g.Voices[id]; ok && b.TTS != nil {
			in.Provider = b.TTS.Descriptor().ID
			if b.Second != nil {
				in.Second = b.Second.Descriptor().ID
			}
		}
		if text := g.Lines[id]; in.Node.Role == kernelgraph.RoleResponder && text != "" {
			in.Line = keep(text)
		}
		list = append(list, in)
	}
	for i := range g.Definition.Edges {
		list = append(list, &session.GraphEdge{Edge: g.Definition.Edges[i]})
	}
	return list
}
