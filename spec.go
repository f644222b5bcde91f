// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/controlplane/pipeline"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// Engines are the engines that the nodes of a pipeline spec may name, by name.
type Engines struct {
	STT map[string]provider.STT
	LLM map[string]provider.LLM
	TTS map[string]provider.TTS
}

// Use has calls run what a pipeline spec says: its settings, and the graph that it declares,
// where it declares one. Nodes that name no engine have those of the Config. kinds are those
// that the spec was read with. The error tells every engine that a node names and that is
// not there, with its place.
func (c *Config) Use(spec *Flow, kinds *node.Registry, engines Engines) error {
	c.Flow = spec
	if spec == nil || !spec.Declared() {
		return nil
	}
	b := binding{config: c, spec: spec, engines: &engines, graph: &Graph{
		Definition: spec.Graph(),
		Configs:    map[eventabi.NodeID]json.RawMessage{}, Limits: map[eventabi.NodeID]node.Limits{},
		Models: map[eventabi.NodeID]ModelBinding{}, Voices: map[eventabi.NodeID]VoiceBinding{}, Lines: map[eventabi.NodeID]string{},
	}}
	for _, n := range spec.Nodes() {
		b.node(&n)
	}
	if len(b.faults) > 0 {
		return fmt.Errorf("parley: %w", &pipeline.RefusedError{Faults: b.faults})
	}
	c.Graph, c.Nodes = b.graph, kinds
	return nil
}

// binding binds the nodes of a spec.
type binding struct {
	config  *Config
	spec    *Flow
	engines *Engines
	graph   *Graph
	faults  []pipeline.Fault
}

func (b *binding) node(n *pipeline.GraphNode) {
	switch n.Role { //nolint:exhaustive // the others are told nothing
	case graph.RoleRecogniser:
		b.recogniser(n.ID)
	case graph.RoleModel:
		b.model(n.ID)
	case graph.RoleSynthesiser:
		b.voice(n.ID)
	case graph.RoleResponder:
		b.graph.Lines[n.ID] = b.spec.Text(n.ID, "line")
	case graph.RoleWork:
		b.graph.Configs[n.ID] = n.Config
		if n.Silences {
			b.graph.Silences = append(b.graph.Silences, n.ID)
		}
		ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
		if l := n.Limits; l != (pipeline.NodeLimits{}) {
			b.graph.Limits[n.ID] = node.Limits{Init: ms(l.InitMS), Start: ms(l.StartMS), Cancel: ms(l.CancelMS), Stop: ms(l.StopMS)}
		}
	}
}

// engine finds the engines that a node names, in their order; nothing = it names none.
func engine[T any](b *binding, id eventabi.NodeID, among map[string]T) (first, second T) {
	for i, name := range b.spec.Candidates(id) {
		found, ok := among[name]
		switch {
		case !ok:
			b.unknown(id, name, slices.Sorted(maps.Keys(among)))
		case i == 0:
			first = found
		default:
			second = found
		}
	}
	return first, second
}

func (b *binding) unknown(id eventabi.NodeID, name string, known []string) {
	path := "nodes." + string(id) + ".config.provider"
	source := b.spec.SourceOf(path)
	if source.File == "" {
		path = "nodes." + string(id) + ".config.candidates"
		source = b.spec.SourceOf(path)
	}
	there := "this program gives none of a name"
	if len(known) > 0 {
		there = "use one of " + strings.Join(known, ", ")
	}
	b.faults = append(b.faults, pipeline.Fault{
		File: source.File, Line: source.Line, Column: source.Column, Path: path, Code: pipeline.CodeNoEngine, Value: strconv.Quote(name),
		Message: fmt.Sprintf("provider is %q, which is no engine here; %s, or leave it out", name, there),
	})
}

// lacks refuses what a node asks of an engine that does not have it: every turn would fail.
func (b *binding) lacks(id eventabi.NodeID, field, value string, d provider.Descriptor, has func(provider.Descriptor, string) ([]string, bool)) {
	known, lacks := has(d, value)
	if !lacks {
		return
	}
	path := "nodes." + string(id) + ".config." + field
	source := b.spec.SourceOf(path)
	b.faults = append(b.faults, pipeline.Fault{
		File: source.File, Line: source.Line, Column: source.Column, Path: path, Code: pipeline.CodeEngineLacks, Value: strconv.Quote(value),
		Message: fmt.Sprintf("%s is %q, which %s does not have; use one of %s, or leave it out", field, value, d.ID, strings.Join(known, ", ")),
	})
}

func (b *binding) recogniser(id eventabi.NodeID) {
	first, second := engine(b, id, b.engines.STT)
	if first != nil {
		b.config.STT, b.config.SecondSTT = first, second
	}
	if language := b.spec.Text(id, "language"); language != "" {
		b.config.Language = language
		if b.config.STT != nil {
			b.lacks(id, "language", language, b.config.STT.Descriptor(), unspoken)
		}
	}
}

func (b *binding) model(id eventabi.NodeID) {
	m := ModelBinding{SystemPrompt: b.spec.Text(id, "instructions")}
	m.LLM, m.Second = engine(b, id, b.engines.LLM)
	tokens, bounded := b.spec.Number(id, "max_tokens")
	warmth, set := b.spec.Number(id, "temperature")
	if bounded || set {
		m.Config = &invocation.LLMConfig{}
	}
	if n, err := strconv.ParseFloat(tokens, 64); bounded && err == nil {
		m.Config.MaxTokens = int(n)
	}
	if n, err := strconv.ParseFloat(warmth, 64); set && err == nil {
		m.Config.Temperature = n
	}
	if m.LLM != nil || m.Config != nil || m.SystemPrompt != "" {
		b.graph.Models[id] = m
	}
}

func (b *binding) voice(id eventabi.NodeID) {
	v := VoiceBinding{Voice: b.spec.Text(id, "voice"), Language: b.spec.Text(id, "language")}
	v.TTS, v.Second = engine(b, id, b.engines.TTS)
	rate, set := b.spec.Number(id, "rate")
	if n, err := strconv.ParseFloat(rate, 64); set && err == nil {
		v.Rate = n
	}
	if speaks := cmp.Or(v.TTS, b.config.TTS); speaks != nil {
		b.lacks(id, "voice", v.Voice, speaks.Descriptor(), unvoiced)
		b.lacks(id, "language", v.Language, speaks.Descriptor(), unspoken)
	}
	if v != (VoiceBinding{}) {
		b.graph.Voices[id] = v
	}
}
