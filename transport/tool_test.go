// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"strings"
	"testing"
)

func TestValidateTools(t *testing.T) {
	for name, row := range map[string]struct {
		tools []Tool
		want  []string // parts of the error; none = it is good
	}{
		"good":      {[]Tool{{Name: "get_weather", Parameters: []byte(` {"type":"object"} `)}, {Name: "A-1"}}, nil},
		"none":      {nil, nil},
		"names":     {[]Tool{{}, {Name: "a b"}, {Name: strings.Repeat("a", 65)}}, []string{"tools[0].name", "tools[1].name", "tools[2].name"}},
		"twice":     {[]Tool{{Name: "a"}, {Name: "a"}}, []string{"tools[1].name", "twice"}},
		"texts":     {[]Tool{{Name: "a", Description: "\xff", Parameters: []byte("[]")}}, []string{"tools[0].description", "tools[0].parameters"}},
		"long":      {[]Tool{{Name: "a", Parameters: make([]byte, maxToolParameters+1)}}, []string{"at most"}},
		"cut short": {[]Tool{{Name: "a", Parameters: []byte("{")}}, []string{"JSON object"}},
		"too many":  {make([]Tool, maxTools+1), []string{"tools: 129"}},
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
