// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/turn"
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
	// Silences are the nodes in the caller's sound or the agent's of which a frame that they do not
	// give back is silence; of the others it goes on as it came.
	Silences []eventabi.NodeID
	// Lines are what responders say.
	Lines map[eventabi.NodeID]string
	// Limits are how long the hooks of work nodes may take, where that is not as the session has
	// it. A node's budget for one event is in the definition.
	Limits map[eventabi.NodeID]node.Limits
}

// limits are those of a node's hooks.
func (s *Settings) limits(id eventabi.NodeID) node.Limits {
	out := s.Limits
	if s.Graph == nil {
		return out
	}
	own := s.Graph.Limits[id]
	for _, f := range [...]struct{ own, out *time.Duration }{
		{&own.Init, &out.Init}, {&own.Start, &out.Start}, {&own.Cancel, &out.Cancel}, {&own.Budget, &out.Budget}, {&own.Stop, &out.Stop},
	} {
		if *f.own > 0 {
			*f.out = *f.own
		}
	}
	return out
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

// ofKind says that a node is made by a kind of the registry.
func ofKind(n *kernelgraph.Node) bool {
	return n.Role == kernelgraph.RoleWork || n.Role == kernelgraph.RoleDeadLetter && n.Type != builtinDeadLetter
}

// builtinDeadLetter is the type of the runtime's own dead letter node: what it takes is in the
// recording and in the counts, and goes nowhere else.
const builtinDeadLetter = "dead_letter"

// validate reports what would keep a session from making its nodes.
func (g *Graph) validate(kinds *node.Registry) (faults []error) {
	for i := range g.Definition.Nodes {
		if n := &g.Definition.Nodes[i]; ofKind(n) {
			if _, err := kinds.Lookup(n.Type); err != nil {
				faults = append(faults, fmt.Errorf("sessionhost: graph.nodes.%s.node_type: %w", n.ID, err))
			}
		}
	}
	return faults
}

// Check reports every fault of a graph and of what its nodes are bound to. It asks each kind,
// and is for whoever configures: a session does not ask again.
func (g *Graph) Check(kinds *node.Registry) error {
	faults := g.check(kinds)
	if why := session.CheckGraph(g.inputs(func(text string) session.TextRef { return session.Describe(text, 1, 0, "") })); why != "" {
		faults = append(faults, fmt.Errorf("sessionhost: graph: %s: the kernel does not run it", why))
	}
	return errors.Join(faults...)
}

func (g *Graph) check(kinds *node.Registry) (faults []error) {
	fault := func(id eventabi.NodeID, field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("sessionhost: graph.nodes.%s.%s: %v: %s", id, field, value, remedy))
	}
	for i := range g.Definition.Nodes {
		n := &g.Definition.Nodes[i]
		switch {
		case ofKind(n):
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

// digest tells apart what a node is given outside the kernel; empty where that is nothing.
func (g *Graph) digest(id eventabi.NodeID) string {
	m, v := g.Models[id], g.Voices[id]
	given := struct {
		Config                        json.RawMessage
		Line, Prompt, Voice, Language string
		Rate                          float64
		Model                         *invocation.LLMConfig
		Silences                      bool `json:",omitempty"`
	}{g.Configs[id], g.Lines[id], m.SystemPrompt, v.Voice, v.Language, v.Rate, m.Config, slices.Contains(g.Silences, id)}
	if !given.Silences && len(given.Config) == 0 && given.Model == nil && given.Line+given.Prompt+given.Voice+given.Language == "" && given.Rate == 0 {
		return ""
	}
	b, err := json.Marshal(given)
	if err != nil { // a config that is no JSON, which its kind has to say
		b = given.Config
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// beside gives the session-scoped nodes of the graph as taps, and the edges that lead to them
// where nobody has set their policies: of a profile's edge that drops what its node is too slow
// for.
func (g *Graph) beside(kinds *node.Registry, set []session.EdgePolicy) (list []Tap, edges []session.EdgePolicy) {
	if g == nil {
		return nil, nil
	}
	sound := append(session.SoundNodes(&g.Definition), session.VoiceNodes(&g.Definition)...)
	tap := func(id eventabi.NodeID) bool {
		n := g.node(id)
		return n != nil && !slices.Contains(sound, id) && n.Role == kernelgraph.RoleWork && n.Scope == kernelgraph.ScopeSession
	}
	for i := range g.Definition.Nodes {
		n := g.Definition.Nodes[i]
		if !tap(n.ID) {
			continue
		}
		config := g.Configs[n.ID]
		list = append(list, Tap{ID: n.ID, Node: func() (node.Node, error) {
			kind, err := kinds.Lookup(n.Type)
			if err != nil {
				return nil, err
			}
			return kind.New(config)
		}})
	}
	for i := range g.Definition.Edges {
		e := &g.Definition.Edges[i]
		if !tap(e.To) || slices.ContainsFunc(set, func(p session.EdgePolicy) bool { return p.Edge == e.ID }) {
			continue
		}
		in := session.EdgePolicy{
			Edge: e.ID, From: string(e.From), To: string(e.To), Policy: turn.ProfileEdge(controlplane.StrategyDrop),
			Layers: "=" + controlplane.ProvenancePipelineSpec,
		}
		switch g.node(e.From).Role { //nolint:exhaustive // the others give nothing that is told beside the turn
		case kernelgraph.RoleRecogniser:
			in.From = session.FromCallerText
		case kernelgraph.RoleModel, kernelgraph.RoleSegmenter:
			in.From = session.FromAgentText
		}
		edges = append(edges, in)
	}
	return list, edges
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
		in.Config = g.digest(id)
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
