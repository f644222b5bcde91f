// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/parley-voice/parley/internal/kernel/graph"
)

// operators lists the operators of conditions, those of two characters first.
func operators() []graph.Op {
	return []graph.Op{graph.OpEqual, graph.OpNotEqual, graph.OpAtMost, graph.OpAtLeast, graph.OpLess, graph.OpMore}
}

// parseTest reads a condition such as language == de or confidence >= 0.8. What stands in
// quotes is taken as it is.
func parseTest(text string) (graph.Test, error) {
	at := strings.IndexAny(text, "=!<>")
	if at < 0 {
		return graph.Test{}, fmt.Errorf("has no operator; write attribute, one of == != < <= > >=, and a value, such as language == de")
	}
	t := graph.Test{Attribute: strings.TrimSpace(text[:at])}
	for _, op := range operators() {
		if strings.HasPrefix(text[at:], string(op)) {
			t.Op = op
			break
		}
	}
	if t.Op == "" {
		return t, fmt.Errorf("has no operator that is known at %.2q; use one of == != < <= > >=", text[at:])
	}
	t.Value = strings.TrimSpace(text[at+len(t.Op):])
	switch {
	case !attributeName(t.Attribute):
		return t, fmt.Errorf("asks for %q; an attribute's name is made of letters, digits, _, - and dots", t.Attribute)
	case t.Value == "":
		return t, fmt.Errorf("has no value behind %s; give one, or \"\" for an empty one", t.Op)
	case strings.HasPrefix(t.Value, `"`):
		var value string
		if err := json.Unmarshal([]byte(t.Value), &value); err != nil {
			return t, fmt.Errorf("has a value in quotes that cannot be read: %.40s", t.Value)
		}
		t.Value = value
	case strings.ContainsAny(t.Value, "=!<>\"&|"):
		return t, fmt.Errorf("has the value %q; a condition has one operator: give several conditions as a list, and put a value with = ! < > & | in quotes", t.Value)
	}
	return t, nil
}

func attributeName(name string) bool {
	if name == "" || len(name) > 128 {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return !(r == '_' || r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}) < 0
}

// formatTest writes a condition so that parseTest reads it.
func formatTest(t graph.Test) string {
	value := t.Value
	if value == "" || strings.ContainsAny(value, "=!<>\"&|\\") || strings.TrimSpace(value) != value || strings.IndexFunc(value, func(r rune) bool { return r < ' ' }) >= 0 {
		value = quote(value)
	}
	return t.Attribute + " " + string(t.Op) + " " + value
}

// conditions writes the conditions of all edges in one spelling: a list of texts. What is
// none is reported and left out.
func (n *Normalizer) conditions(d *Document, root *node) {
	n.conditionsBelow(d, root.get("edges"), "edges")
	if modules := root.get("modules"); modules != nil {
		for _, m := range modules.members {
			n.conditionsBelow(d, m.value.get("edges"), join("modules", m.name, "edges"))
		}
	}
}

func (n *Normalizer) conditionsBelow(d *Document, edges *node, path string) {
	if edges == nil {
		return
	}
	for _, edge := range edges.members {
		when := edge.value.get("when")
		if when == nil {
			continue
		}
		at := path + "." + segment(edge.name) + ".when"
		if when.kind == scalarNode {
			one := *when
			*when = node{kind: listNode, at: one.at, elems: []*node{&one}}
		}
		var kept []*node
		for i, e := range when.elems {
			text, err := conditionText(e)
			if err != nil {
				d.Faults = append(d.Faults, fault(Source{Layer: d.Layer, File: e.at.file, Line: e.at.line, Column: e.at.column},
					at, CodeCondition, quote(text), "number %d %s", i+1, err))
				d.unfit = append(d.unfit, at)
				continue
			}
			kept = append(kept, &node{kind: scalarNode, json: quote(text), at: e.at})
		}
		when.elems = kept
	}
}

// conditionText gives a condition in its one spelling, or the text of what is none.
func conditionText(e *node) (string, error) {
	if e.kind == scalarNode {
		text := e.scalar().text
		t, err := parseTest(text)
		if err != nil {
			return text, err
		}
		return formatTest(t), nil
	}
	t := graph.Test{}
	for name, to := range map[string]*string{"attribute": &t.Attribute, "op": (*string)(&t.Op), "value": &t.Value} {
		member := e.get(name)
		if member == nil {
			return "", fmt.Errorf("has no %s", name) // which the schema has reported
		}
		var text string
		if json.Unmarshal([]byte(member.json), &text) != nil {
			text = member.json // a number or a boolean, as it is written
		}
		*to = text
	}
	if !attributeName(t.Attribute) {
		return t.Attribute, fmt.Errorf("asks for %q; an attribute's name is made of letters, digits, _, - and dots", t.Attribute)
	}
	return formatTest(t), nil
}
