// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"strings"
	"testing"
)

func TestToolValidate(t *testing.T) {
	for name, row := range map[string]struct {
		tools []Tool
		want  []string // parts of the error; none = it is good
	}{
		"good":            {[]Tool{{Name: "get_weather", Description: "Weather.", Parameters: []byte(`{"type":"object"}`)}, {Name: "A-1"}}, nil},
		"names":           {[]Tool{{}, {Name: "a b"}, {Name: strings.Repeat("a", 65)}}, []string{"tools[0]: tool.name", "tools[1]: tool.name", "tools[2]: tool.name"}},
		"twice":           {[]Tool{{Name: "a"}, {Name: "a"}}, []string{"tools[1].name", "twice"}},
		"description":     {[]Tool{{Name: "a", Description: "\xff"}}, []string{"description", "UTF-8"}},
		"parameters":      {[]Tool{{Name: "a", Parameters: []byte("[]")}, {Name: "b", Parameters: []byte("{")}}, []string{"tools[0]: tool.parameters", "tools[1]: tool.parameters"}},
		"long parameters": {[]Tool{{Name: "a", Parameters: make([]byte, MaxToolContent+1)}}, []string{"tool.parameters", "at most"}},
		"too many":        {make([]Tool, MaxTools+1), []string{"tools: 129"}},
	} {
		err := ValidateTools(row.tools)
		if (err == nil) != (row.want == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range row.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in %v", name, part, err)
			}
		}
	}
}

// No tool result without its call (nodes-providers-transports section 4a).
func TestToolMessages(t *testing.T) {
	user := Message{Role: RoleUser, Text: "x"}
	made := func(id, name string) Message { return Message{Role: RoleToolCall, Call: id, Name: name, Text: "{}"} }
	result := func(id string) Message { return Message{Role: RoleToolResult, Call: id, Text: "y"} }
	for name, row := range map[string]struct {
		list []Message
		want string
	}{
		"good":         {[]Message{user, made("1", "a"), made("2", "a"), result("2"), result("1")}, ""},
		"unanswered":   {[]Message{user, made("1", "a")}, ""},
		"no id":        {[]Message{user, made("", "a")}, "messages[1].call"},
		"no name":      {[]Message{user, made("1", "")}, "messages[1].name"},
		"twice":        {[]Message{user, made("1", "a"), made("1", "a")}, "messages[2].call"},
		"no call":      {[]Message{user, result("1")}, "messages[1].call"},
		"result first": {[]Message{user, result("1"), made("1", "a")}, "messages[1].call"},
	} {
		err := Prompt{Messages: row.list}.Validate()
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEmitToolCall(t *testing.T) {
	var got []ToolCall
	e := NewEmitter(func(c Chunk) {
		if c.Kind == ChunkToolCall {
			got = append(got, c.Tool)
		}
	})
	e.ToolCall("a", " ")
	e.ToolCall(strings.Repeat("é", 80)+"\xff", "\xff")
	e.Final(Usage{})
	e.ToolCall("late", "{}")
	if len(got) != 2 || got[0] != (ToolCall{"a", "{}"}) || len(got[1].Name) != 128 || got[1].Arguments != "\ufffd" {
		t.Errorf("%+v", got)
	}
}
