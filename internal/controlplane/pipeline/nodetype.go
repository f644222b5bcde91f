// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/parley-voice/parley/internal/kernel/graph"
)

// moduleType is the node_type that stands for a subgraph.
const moduleType = "module"

// NodeType is a type of nodes that the runtime has itself.
type NodeType struct {
	Name, Doc string
	Role      graph.Role
	// Scope is how long an instance lives; empty = what feeds it says so.
	Scope graph.Scope
	// Inputs and Outputs are event types; of a node that passes on what comes both are empty.
	Inputs, Outputs []string
	Config          []ConfigField
}

// ConfigField is a field of a node's config.
type ConfigField struct {
	Name, Doc string
	Type      string // string, integer, number, list
	Min, Max  float64
}

// Event types that go along edges, as package node has them.
const (
	typeAudio      = "audio_chunk"
	typeAudioEnd   = "audio_end"
	typeVoiceOn    = "voice_on"
	typeVoiceOff   = "voice_off"
	typeEndpoint   = "end_of_utterance"
	typeTranscript = "transcript"
	typeRespond    = "respond"
	typeTextStart  = "text_start"
	typeTextDelta  = "text_delta"
	typeTextEnd    = "text_end"
	typeSegment    = "segment"
)

// NodeTypes lists the types that the runtime has itself, in the order of a conversation.
func NodeTypes() []NodeType {
	candidates := []ConfigField{
		{Name: "provider", Type: "string", Doc: "the engine, by the name that the program gives it; its own where it is absent"},
		{Name: "candidates", Type: "list", Doc: "engines in the order in which they are tried, in place of provider: at most two"},
	}
	language := ConfigField{Name: "language", Type: "string", Doc: "BCP 47, such as de; the engine's own where it is absent"}
	return []NodeType{
		{Name: "caller", Role: graph.RoleCaller, Scope: graph.ScopeSession, Doc: "where the caller's sound comes in", Outputs: []string{typeAudio}},
		{
			Name: "vad", Role: graph.RoleDetector, Scope: graph.ScopeSession, Doc: "hears speech begin and end, and proposes turns",
			Inputs: []string{typeAudio}, Outputs: []string{typeVoiceOn, typeVoiceOff, typeEndpoint},
		},
		{
			Name: "stt", Role: graph.RoleRecogniser, Scope: graph.ScopeSession, Doc: "speech to text",
			Inputs: []string{typeAudio}, Outputs: []string{typeTranscript},
			Config: append(slices.Clone(candidates), language),
		},
		{
			Name: "llm", Role: graph.RoleModel, Scope: graph.ScopeTurn, Doc: "the language model: answers what was said",
			Inputs: []string{typeTranscript, typeRespond}, Outputs: []string{typeTextStart, typeTextDelta, typeTextEnd},
			Config: append(slices.Clone(candidates),
				ConfigField{Name: "instructions", Type: "string", Doc: "what the model is told it is; the session's where it is absent"},
				ConfigField{Name: "max_tokens", Type: "integer", Min: 1, Max: 1 << 20, Doc: "the most tokens of an answer"},
				ConfigField{Name: "temperature", Type: "number", Min: 0, Max: 2, Doc: "how freely the model words it"}),
		},
		{
			Name: "segmenter", Role: graph.RoleSegmenter, Scope: graph.ScopeTurn, Doc: "cuts a reply into speakable pieces",
			Inputs: []string{typeTextStart, typeTextDelta, typeTextEnd}, Outputs: []string{typeSegment},
		},
		{
			Name: "tts", Role: graph.RoleSynthesiser, Scope: graph.ScopeTurn, Doc: "text to speech",
			Inputs: []string{typeSegment}, Outputs: []string{typeAudio, typeAudioEnd},
			Config: append(slices.Clone(candidates), language,
				ConfigField{Name: "voice", Type: "string", Doc: "the voice, by the engine's name; its own where it is absent"},
				ConfigField{Name: "rate", Type: "number", Min: 0.25, Max: 4, Doc: "how fast it speaks; 1 is the voice's own"}),
		},
		{
			Name: "speaker", Role: graph.RoleSpeaker, Scope: graph.ScopeSession, Doc: "where the agent's sound goes out",
			Inputs: []string{typeAudio, typeAudioEnd},
		},
		{Name: "merge", Role: graph.RoleMerge, Doc: "joins what comes in by a rule"},
		{Name: "select", Role: graph.RoleSelect, Doc: "passes what comes on along one of its edges: the first, by rank, whose conditions hold"},
		{Name: "dead_letter", Role: graph.RoleDeadLetter, Scope: graph.ScopeSession, Doc: "takes what no node could process, and counts it"},
		{
			Name: "error_responder", Role: graph.RoleResponder, Scope: graph.ScopeTurn, Doc: "says an apology after a turn that ended badly",
			Outputs: []string{typeSegment},
			Config:  []ConfigField{{Name: "line", Type: "string", Doc: "the words that it says"}},
		},
	}
}

func nodeType(name string) (NodeType, bool) {
	types := NodeTypes()
	i := slices.IndexFunc(types, func(t NodeType) bool { return t.Name == name })
	if i < 0 {
		return NodeType{}, false
	}
	return types[i], true
}

// Declared is what a type that the program registers says of a node with some config.
type Declared struct {
	Package, Version string
	Scope            graph.Scope
	Inputs, Outputs  []string
}

// Kinds are the types of nodes that the program registers.
type Kinds interface {
	// Types lists their names, sorted.
	Types() []string
	// Describe says what a node of a type with this config is; the config is an object of
	// JSON, nil when there is none. The error reports each fault of the config.
	Describe(name string, config json.RawMessage) (Declared, error)
}

// KindTypes lists the types that the program registers, sorted.
func (n *Normalizer) KindTypes() []string {
	if n.kinds == nil {
		return nil
	}
	return n.kinds.Types()
}

// DescribeKind says what a registered type is without a config. A type that needs one says so
// by an error.
func (n *Normalizer) DescribeKind(name string) (Declared, error) {
	if n.kinds == nil {
		return Declared{}, fmt.Errorf("pipeline: %q: the program registers no types", name)
	}
	return n.kinds.Describe(name, nil)
}

// TypeNames lists every node_type that a spec may name, sorted.
func (n *Normalizer) TypeNames() []string {
	out := append([]string{moduleType}, n.KindTypes()...)
	for _, t := range NodeTypes() {
		out = append(out, t.Name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
