// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/parley/internal/kernel/turn"
)

// Set reads values given as path=value, such as budgets.turn_budget_ms=1500. The path is
// that of the field in the pipeline spec; a name with dots is quoted. The value is read
// as YAML: a number, a text, a [list]. Of two values of one field the later one stands.
// flag names in faults where the values came from. The error is a text without a path.
func (n *Normalizer) Set(layer Layer, flag string, texts ...string) (*Document, error) {
	d := &Document{Layer: layer, given: settings{}}
	root := &node{kind: objectNode, at: place{file: flag}}
	for _, text := range texts {
		path, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("%s %q has no =; write path=value, such as budgets.turn_budget_ms=1500", flag, text)
		}
		names, err := splitPath(strings.TrimSpace(path))
		if err != nil {
			return nil, fmt.Errorf("%s %w", flag, err)
		}
		d.put(root, names, value, flag+" "+text)
	}
	n.take(d, root)
	return d, nil
}

// put reads a value and puts it in its place.
func (d *Document) put(root *node, names []string, value, file string) {
	v, fault := readYAML(file, []byte(value))
	if fault != nil {
		fault.Path, fault.Value, fault.Line, fault.Column = join(names...), quote(value), 0, 0
		fault.Message = strings.Replace(fault.Message, "the file is no YAML", "the value cannot be read", 1)
		d.Faults = append(d.Faults, *fault)
		return
	}
	if v == nil {
		v = &node{kind: scalarNode, json: "null"}
	}
	at := place{file: file}
	v.move(at)
	if len(names) == 1 && names[0] == "allowed_adaptive_actions" && v.kind == scalarNode {
		v = listOf(value, at) // retry,degrade needs no brackets
	}
	for i, name := range names {
		if i == len(names)-1 {
			root.replace(member{name, at, v})
			return
		}
		next := root.get(name)
		if next == nil || next.kind != objectNode {
			next = &node{kind: objectNode, at: at}
			root.replace(member{name, at, next})
		}
		root = next
	}
}

// replace puts a member in the place of one with its name, or last.
func (n *node) replace(m member) {
	for i := range n.members {
		if n.members[i].name == m.name {
			n.members[i] = m
			return
		}
	}
	n.members = append(n.members, m)
}

// move says of a whole tree where it stands.
func (n *node) move(at place) {
	n.at = at
	for i := range n.members {
		n.members[i].at = at
		n.members[i].value.move(at)
	}
	for _, e := range n.elems {
		e.move(at)
	}
}

// listOf reads a list without brackets.
func listOf(text string, at place) *node {
	list := &node{kind: listNode, at: at}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list.elems = append(list.elems, &node{kind: scalarNode, json: quote(item), at: at})
		}
	}
	return list
}

// variablePrefix begins every environment variable of Parley.
const variablePrefix = "PARLEY_"

// otherPrefix begins those variables of Parley that are not of flow: parley serve's own.
const otherPrefix = "PARLEY_SERVE__"

// Environment reads the environment layer. The variable of a field is PARLEY_ and its
// path in capitals, with two underscores for a dot and one for a hyphen:
//
//	PARLEY_BUDGETS__TURN_BUDGET_MS=1500
//	PARLEY_EDGES__TRANSPORT_STT__MAX_QUEUE_MS=500
//	PARLEY_TUNING=accuracy_first
//
// Its value is read as that of Set. Which variables of the environment are meant is seen
// by the two underscores, or by the name of a field that stands by itself; others belong
// to somebody else. environment is "NAME=value", as os.Environ gives it. below are the
// documents that declare further edges, nodes and tenants.
func (n *Normalizer) Environment(environment []string, below ...*Document) *Document {
	d := &Document{Layer: Environment, given: settings{}}
	var known settings
	for _, b := range below {
		known = b.given.over(known)
	}
	root := &node{kind: objectNode, at: place{file: "environment"}}
	for _, text := range slices.Sorted(slices.Values(environment)) {
		name, value, _ := strings.Cut(text, "=")
		rest, ours := strings.CutPrefix(name, variablePrefix)
		if !ours || strings.HasPrefix(name, otherPrefix) || !strings.Contains(rest, "__") && !n.single(rest) {
			continue
		}
		names := strings.Split(rest, "__")
		if slices.Contains(names, "") {
			d.Faults = append(d.Faults, Fault{
				File: name, Path: strings.ToLower(rest), Code: CodePath, Value: quote(value),
				Message: name + " has an empty name between its underscores; write " + variablePrefix + "SECTION__FIELD",
			})
			continue
		}
		d.put(root, n.meant(names, known), value, name)
	}
	n.take(d, root)
	return d
}

// single says whether a variable's name is that of a field outside every section.
func (n *Normalizer) single(name string) bool {
	return slices.ContainsFunc(n.fields.Fields, func(f *Field) bool {
		return f.Type != "object" && !ofSpecAlone(f.Name) && fold(f.Name) == fold(name)
	})
}

// meant finds the names that the parts of a variable's name stand for. A part that fits
// nothing is left, in small letters, for the schema to complain about.
func (n *Normalizer) meant(parts []string, known settings) []string {
	out := make([]string, len(parts))
	f := n.fields
	for i, part := range parts {
		candidates := []string{}
		for _, c := range f.members() {
			candidates = append(candidates, c.Name)
		}
		if f != nil && (f.Each != nil || f.Open) {
			candidates = append(candidates, ids(known, join(out[:i]...))...)
		}
		out[i] = strings.ToLower(part)
		if at := slices.IndexFunc(candidates, func(c string) bool { return fold(c) == fold(part) }); at >= 0 {
			out[i] = candidates[at]
		}
		if f == nil || !f.Open {
			f = f.Child(out[i])
		}
	}
	return out
}

func (f *Field) members() []*Field {
	if f == nil {
		return nil
	}
	return f.Fields
}

// ids lists the ids that may stand below a path: those of the voice graph, and those
// that documents name.
func ids(known settings, path string) []string {
	list := known.children(path)
	switch path {
	case "edges":
		for _, e := range turn.VoiceGraph() {
			list = append(list, string(e.ID))
		}
	case "node_execution_policies":
		list = append(list, voiceNodes()...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// ofSpecAlone says of a field that it says what the spec is, or what its graph is: no layer
// above the spec gives it.
func ofSpecAlone(name string) bool {
	switch name {
	case "pipeline", "version", "description", "labels", "comment", "prelude", "modules":
		return true
	}
	return false
}

// voiceNodes are the nodes of the voice graph.
func voiceNodes() []string { return []string{"endpointer", "llm", "segmenter", "stt", "tts"} }

// fold leaves of a name what a variable's name keeps of it.
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", ":", "").Replace(name))
}
