// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"encoding/json"

	"github.com/parley-voice/parley/provider"
)

// toolSpec is one of "tools" in a request.
type toolSpec struct {
	Type     string       `json:"type"`
	Function functionSpec `json:"function"`
}

type functionSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
}

// wireCall is a call of a tool in a message of the conversation.
type wireCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function wireFunction `json:"function"`
}

type wireFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// callDelta is a piece of a call in an answer. The first of a call has its id and name;
// some servers send calls whole, and not all of them count.
type callDelta struct {
	Index    *int   `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// noParameters is the schema of a tool that takes none.
const noParameters = `{"type":"object","properties":{}}`

// toolSpecs is what may be called.
func toolSpecs(tools []provider.Tool) []toolSpec {
	list := make([]toolSpec, 0, len(tools))
	for _, t := range tools {
		parameters := json.RawMessage(noParameters)
		if len(t.Parameters) > 0 {
			parameters = t.Parameters
		}
		list = append(list, toolSpec{Type: "function", Function: functionSpec{Name: t.Name, Description: t.Description, Parameters: parameters}})
	}
	return list
}

// conversation puts the prompt's messages on the wire. Calls that were made together, and
// what was said before them, are one message of the assistant.
func conversation(messages []provider.Message) []message {
	var list []message
	for i := range messages {
		m := &messages[i]
		switch m.Role {
		case provider.RoleToolCall:
			if n := len(list); n == 0 || list[n-1].Role != string(provider.RoleAssistant) {
				list = append(list, message{Role: string(provider.RoleAssistant)})
			}
			last := &list[len(list)-1]
			last.ToolCalls = append(last.ToolCalls, wireCall{
				ID: m.Call, Type: "function", Function: wireFunction{Name: m.Name, Arguments: m.Text},
			})
		case provider.RoleToolResult:
			text := m.Text
			if m.Failed {
				text = "error: " + text
			}
			list = append(list, message{Role: "tool", Content: &text, ToolCallID: m.Call})
		case provider.RoleSystem, provider.RoleUser, provider.RoleAssistant:
			list = append(list, message{Role: string(m.Role), Content: &m.Text})
		}
	}
	return list
}

// calls assembles the tool calls of one answer.
type calls struct {
	list  []assembled
	bytes int
}

type assembled struct {
	id        string
	index     int
	name      string
	arguments []byte
}

// maxAssembled bounds the calls of one answer; the runtime takes fewer.
const maxAssembled = 64

// add takes a piece. It is of the call at its index, unless it brings another id, as
// servers do that do not count; without an index it is of the call that has its id, else of
// the last. ok is false for what has no place.
func (c *calls) add(d *callDelta) (ok bool) {
	x := c.find(d)
	if x == nil {
		if d.Function.Name == "" && d.ID == "" || len(c.list) == maxAssembled {
			return false
		}
		c.list = append(c.list, assembled{id: d.ID, index: len(c.list)})
		x = &c.list[len(c.list)-1]
		if d.Index != nil {
			x.index = *d.Index
		}
	}
	if x.name == "" {
		x.name = d.Function.Name
	}
	text := arguments(d.Function.Arguments)
	if c.bytes += len(text); c.bytes > provider.MaxToolContent {
		return false
	}
	x.arguments = append(x.arguments, text...)
	return true
}

// named says that each call names its tool.
func (c *calls) named() bool {
	for i := range c.list {
		if c.list[i].name == "" {
			return false
		}
	}
	return true
}

// arguments is a piece of the arguments: text, or with servers that parse them an object.
func arguments(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

func (c *calls) find(d *callDelta) *assembled {
	for i := len(c.list) - 1; i >= 0; i-- {
		x := &c.list[i]
		switch {
		case d.ID != "" && x.id == d.ID:
			return x
		case d.ID != "" && x.id != "": // another call
		case d.Index != nil && *d.Index == x.index, d.Index == nil && d.ID == "" && d.Function.Name == "":
			return x
		}
	}
	return nil
}
