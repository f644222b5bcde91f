// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"context"
	"fmt"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// LLMNode is the language model as a turn-scoped node: it answers the conversation as
// the session keeps it, and streams the text of the reply. The runtime has begun the
// call that an event names before it hands the event over.
type LLMNode struct {
	node.NoOp
	calls  *Controller
	models []provider.LLM // by the candidate that a call is for
	config LLMConfig
}

// LLMConfig is what a prompt carries besides the conversation.
type LLMConfig struct {
	MaxTokens   int     // 0 = the engine's own limit
	Temperature float64 // negative = the engine's default
	// Tools are what the model may call; one that cannot is not told of them.
	Tools []provider.Tool
}

// NewLLMNode makes the node of one turn, over the candidates in their order.
func NewLLMNode(calls *Controller, models []provider.LLM, c LLMConfig) *LLMNode {
	return &LLMNode{calls: calls, models: models, config: c}
}

// Declaration says what the node is.
func (n *LLMNode) Declaration() node.Declaration {
	return providerNode("llm", node.ScopeTurn,
		[]node.Type{node.TypeRespond},
		[]node.Type{node.TypeTextStart, node.TypeTextDelta, node.TypeTextEnd},
		n.models[0].Descriptor())
}

// OnEvent starts a call; its text comes while the call runs.
func (n *LLMNode) OnEvent(ctx *node.Context, ev *node.Event) error {
	if ev.Type != node.TypeRespond {
		return nil
	}
	call := n.calls.Call(ev.Invocation)
	if call == nil {
		return nil // cancelled before it began
	}
	model := n.models[call.Request().Candidate]
	request := call.Request()
	prompt := n.prompt(ctx.State.Conversation(), request.Provider.Capabilities.Tools, request.NoTools)
	id, called := ev.Invocation, int64(0)
	call.Run(
		func(c context.Context, identity provider.Call, sink provider.Sink) provider.Outcome {
			return model.Generate(c, identity, prompt, sink)
		},
		func(at timebase.Instant, c provider.Chunk) {
			switch c.Kind {
			case provider.ChunkStart:
				ctx.Emit(textEvent(node.TypeTextStart, id, at, ""))
			case provider.ChunkTextDelta:
				ctx.Emit(textEvent(node.TypeTextDelta, id, at, c.Text))
			case provider.ChunkToolCall:
				if n.calls.settings.Called != nil {
					n.calls.settings.Called(id, request.Attempt, called, c.Tool)
				}
				called++
			case provider.ChunkMetadata, provider.ChunkTextFinal, provider.ChunkAudio, provider.ChunkFinal, provider.ChunkError:
			}
		},
		func(at timebase.Instant, o provider.Outcome) {
			if o.Class == provider.OutcomeSuccess {
				ctx.Emit(textEvent(node.TypeTextEnd, id, at, ""))
			}
		})
	return nil
}

// prompt is what the model is given. One that cannot call tools, a second candidate perhaps,
// reads what they answered all the same.
func (n *LLMNode) prompt(conversation []node.Message, tools, noCalls bool) provider.Prompt {
	p := provider.Prompt{MaxTokens: n.config.MaxTokens, Temperature: n.config.Temperature}
	if tools {
		p.Tools, p.NoCalls = n.config.Tools, noCalls
	}
	for i := range conversation {
		m := &conversation[i]
		message := provider.Message{
			Role: provider.Role(m.Role), Text: m.Text, Interrupted: m.Interrupted, Call: m.Call, Name: m.Name, Failed: m.Failed,
		}
		switch message.Role {
		case provider.RoleToolCall:
			if !tools {
				continue
			}
		case provider.RoleToolResult:
			if !tools {
				message = provider.Message{Role: provider.RoleSystem, Text: "The tool " + m.Name + " answered: " + m.Text}
			}
		case provider.RoleSystem, provider.RoleUser, provider.RoleAssistant:
		}
		p.Messages = append(p.Messages, message)
	}
	return p
}

func textEvent(t node.Type, id eventabi.InvocationID, at timebase.Instant, text string) *node.Event {
	return &node.Event{
		Kind: eventabi.KindText, Type: t, Class: eventabi.ClassTextRaw, At: node.Instant(at), Invocation: id, Text: text,
	}
}

// providerNode is the declaration of a node around an adapter.
func providerNode(name string, scope node.ExecutionScope, in, out []node.Type, d provider.Descriptor) node.Declaration {
	streaming := node.StreamFinal
	if d.Capabilities.Streaming {
		streaming = node.StreamIncremental
	}
	return node.Declaration{
		Type:         name,
		Package:      fmt.Sprintf("provider/%s", d.ID),
		Version:      d.ContractVersion,
		Inputs:       in,
		Outputs:      out,
		Streaming:    streaming,
		Scope:        scope,
		Class:        node.Cooperative,
		Mode:         node.CancelHard,
		Resources:    node.Resources{Network: !d.Capabilities.Offline},
		BuffersAudio: name == "tts",
		LongRunning:  true,
	}
}
