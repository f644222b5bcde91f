// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// openJSON puts together what was set at a path and below it: an object of an open field.
func openJSON(s settings, path string) json.RawMessage {
	below := s.below(path)
	if v, ok := s[path]; ok && len(below) == 0 {
		return json.RawMessage(v.json())
	}
	return json.RawMessage(objectJSON(below))
}

func objectJSON(s settings) string {
	groups := map[string]settings{}
	for p, v := range s {
		name, rest := head(p)
		if groups[name] == nil {
			groups[name] = settings{}
		}
		groups[name][rest] = v
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(groups)) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(name) + ": ")
		if v, leaf := groups[name][""]; leaf && len(groups[name]) == 1 {
			b.WriteString(v.json())
			continue
		}
		delete(groups[name], "")
		b.WriteString(objectJSON(groups[name]))
	}
	b.WriteByte('}')
	return b.String()
}

// settle takes away what cannot stand together in the open fields of layers: where one
// gives a value and another an object at the same path, the higher layer's stands.
func (s settings) settle(open string) {
	below := s.below(open)
	if len(below) > 0 {
		if v, ok := s[open]; ok && v.kind == emptySetting {
			delete(s, open)
		}
	}
	for p, v := range below {
		for above := p; ; {
			dot := lastDot(above)
			if dot < 0 {
				break
			}
			above = above[:dot]
			over, both := below[above]
			switch {
			case !both:
			case over.kind == emptySetting, over.source.Layer.rank() < v.source.Layer.rank():
				delete(s, open+"."+above)
			case over.source.Layer.rank() > v.source.Layer.rank():
				delete(s, open+"."+p)
			}
		}
	}
}

// lastDot finds the dot in front of the last name of a path, -1 when there is none.
func lastDot(path string) int {
	at := -1
	for rest, off := path, 0; ; {
		_, after := head(rest)
		if after == "" {
			return at
		}
		off += len(rest) - len(after)
		at, rest = off-1, after
	}
}
