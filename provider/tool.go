// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Tool is a function that a language model may call. The runtime runs it.
type Tool struct {
	Name        string // 1 to 64 of letters, digits, underscore and hyphen
	Description string // what it does, for the model
	// Parameters is a JSON Schema of the arguments, as JSON: an object. Empty = no arguments.
	Parameters []byte
}

// ToolCall is a call as the model made it, complete: deltas of it are the adapter's to
// assemble.
type ToolCall struct {
	Name string
	// Arguments is what the model wrote, which ought to be JSON; "{}" when it wrote nothing.
	Arguments string
}

// The bounds of tools. Servers have lower ones of their own.
const (
	MaxTools       = 128
	maxToolName    = 64
	maxCalledName  = 128     // a model may name what there is not
	MaxToolContent = 1 << 18 // bytes of arguments, of an output, of a schema
)

// Validate checks a tool and reports all faults at once.
func (t Tool) Validate() error {
	var faults []error
	if !toolName(t.Name) {
		faults = append(faults, fmt.Errorf("tool.name: %q; use 1 to %d letters, digits, underscores and hyphens", t.Name, maxToolName))
	}
	if !utf8.ValidString(t.Description) {
		faults = append(faults, errors.New("tool.description: is not valid UTF-8"))
	}
	if len(t.Parameters) > MaxToolContent {
		faults = append(faults, fmt.Errorf("tool.parameters: %d bytes; give at most %d", len(t.Parameters), MaxToolContent))
	} else if p := bytes.TrimSpace(t.Parameters); len(p) > 0 && (p[0] != '{' || !json.Valid(p)) {
		faults = append(faults, errors.New("tool.parameters: is no JSON object; give a JSON Schema such as {\"type\":\"object\"}, or nothing"))
	}
	return errors.Join(faults...)
}

// ValidateTools checks a list of tools, each of which has a name of its own.
func ValidateTools(list []Tool) error {
	var faults []error
	if len(list) > MaxTools {
		faults = append(faults, fmt.Errorf("tools: %d of them; give at most %d", len(list), MaxTools))
	}
	names := map[string]bool{}
	for i, t := range list {
		if err := t.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("tools[%d]: %w", i, err))
		}
		if names[t.Name] {
			faults = append(faults, fmt.Errorf("tools[%d].name: %q is given twice; give each a name of its own", i, t.Name))
		}
		names[t.Name] = true
	}
	return errors.Join(faults...)
}

func toolName(s string) bool {
	if s == "" || len(s) > maxToolName {
		return false
	}
	for i := range len(s) {
		b := s[i]
		if !(b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '-') {
			return false
		}
	}
	return true
}

// validate reports what is wrong with the messages of tools: a result has its call before it.
func (m *Message) validateTool(calls map[string]bool) error {
	switch {
	case m.Call == "":
		return errors.New("call: is empty; give the id of the call")
	case m.Role == RoleToolCall && m.Name == "":
		return errors.New("name: is empty; name the tool")
	case m.Role == RoleToolCall && calls[m.Call]:
		return fmt.Errorf("call: %q is made twice; give each call an id of its own", m.Call)
	case m.Role == RoleToolResult && !calls[m.Call]:
		return fmt.Errorf("call: %q was not made before; give the call ahead of its result", m.Call)
	}
	calls[m.Call] = true
	return nil
}
