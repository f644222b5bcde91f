// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The bounds of the tools that a client offers.
const (
	maxTools          = 128
	maxToolName       = 64
	maxToolParameters = 256 << 10 // bytes
)

// ValidateTools checks what a client offers, so that an adapter can say what is wrong with
// it; the session leaves out what it could not call. It reports all faults at once.
func ValidateTools(list []Tool) error {
	var faults []error
	if len(list) > maxTools {
		faults = append(faults, fmt.Errorf("tools: %d of them: offer at most %d", len(list), maxTools))
	}
	names := map[string]bool{}
	for i := range list {
		t := &list[i]
		if !toolName(t.Name) {
			faults = append(faults, fmt.Errorf("tools[%d].name: %q: use 1 to %d letters, digits, underscores and hyphens", i, t.Name, maxToolName))
		} else if names[t.Name] {
			faults = append(faults, fmt.Errorf("tools[%d].name: %q: is given twice: give each tool a name of its own", i, t.Name))
		}
		names[t.Name] = true
		if !utf8.ValidString(t.Description) {
			faults = append(faults, fmt.Errorf("tools[%d].description: is not valid UTF-8: send text", i))
		}
		if err := parameters(t.Parameters); err != nil {
			faults = append(faults, fmt.Errorf("tools[%d].parameters: %w", i, err))
		}
	}
	return errors.Join(faults...)
}

func parameters(schema []byte) error {
	if len(schema) > maxToolParameters {
		return fmt.Errorf("%d bytes: send at most %d", len(schema), maxToolParameters)
	}
	if p := bytes.TrimSpace(schema); len(p) > 0 && (p[0] != '{' || !json.Valid(p)) {
		return errors.New(`is no JSON object: send a JSON Schema such as {"type":"object"}, or nothing`)
	}
	return nil
}

func toolName(s string) bool {
	for i := range len(s) {
		b := s[i]
		if !(b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '-') {
			return false
		}
	}
	return s != "" && len(s) <= maxToolName
}
