// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// ReadProfile reads a profile: YAML, of which JSON is a part. What it does not say is as
// the built-in profile of its scenario has it; a list of tenants or disturbances stands in
// place of the built-in one. The error tells every fault, each a ProfileError.
func ReadProfile(file string, text []byte) (Profile, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return Profile{}, syntax(file, err)
	}
	var doc yaml.Node
	if err := loader.Load(&doc); err != nil && !errors.Is(err, io.EOF) {
		return Profile{}, syntax(file, err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return Profile{}, &ProfileError{File: file, Line: 1, Field: "profile", Want: "write fields and their values, such as scenario: soak; 'parley load --print soak' shows them all"}
	}
	var more yaml.Node
	if err := loader.Load(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return Profile{}, syntax(file, err)
		}
		return Profile{}, &ProfileError{File: file, Line: more.Line, Field: "profile", Want: "keep one document in a file"}
	}
	r := reader{file: file, lines: map[string]int{}}
	root := doc.Content[0]
	p := Builtin(r.scenario(root))
	r.mapping(root, "", p.fields(), map[string]func(*yaml.Node){
		"tenants": func(n *yaml.Node) { p.Tenants = list(&r, n, "tenants", newTenant, (*Tenant).fields) },
		"disturbances": func(n *yaml.Node) {
			p.Disturbances = list(&r, n, "disturbances", newDisturbance, (*Disturbance).fields)
		},
	})
	if err := errors.Join(r.faults...); err != nil {
		return Profile{}, err
	}
	p.origin = origin{file, r.lines}
	return p, p.Validate()
}

func newTenant() Tenant           { return Tenant{Action: "reject"} }
func newDisturbance() Disturbance { return Disturbance{Sessions: 1} }

func syntax(file string, err error) error {
	e := &ProfileError{File: file, Line: 1, Field: "profile", Want: "the file is no YAML: " + err.Error()}
	var at *yaml.LoadError
	if errors.As(err, &at) {
		e.Line, e.Want = max(1, at.Mark.Line), "the file is no YAML: "+at.Message
	}
	return e
}

type reader struct {
	file   string
	faults []error
	lines  map[string]int // of the fields
}

func (r *reader) fault(n *yaml.Node, field, value, want string) {
	r.faults = append(r.faults, &ProfileError{File: r.file, Line: n.Line, Field: field, Value: value, Want: want})
}

// scenario looks ahead for the scenario, by which the defaults are.
func (r *reader) scenario(root *yaml.Node) Scenario {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "scenario" && slices.Contains(Scenarios(), root.Content[i+1].Value) {
			return Scenario(root.Content[i+1].Value)
		}
	}
	return Overload
}

// mapping reads the fields below a prefix; lists are those that are no single values.
func (r *reader) mapping(n *yaml.Node, prefix string, fields []field, lists map[string]func(*yaml.Node)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := prefix + key.Value
		if seen[name] {
			r.fault(key, name, value.Value, "write it once")
			continue
		}
		seen[name] = true
		r.lines[name] = key.Line
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		section := slices.ContainsFunc(fields, func(f field) bool { return strings.HasPrefix(f.name, name+".") })
		switch {
		case at >= 0:
			r.scalar(value, &fields[at], name)
		case section && value.Kind == yaml.MappingNode:
			r.mapping(value, name+".", fields, nil)
		case section:
			r.fault(value, name, value.Value, "write its fields below it")
		case lists[name] != nil:
			lists[name](value)
		default:
			r.fault(key, name, value.Value, "there is no such field; use "+strings.Join(names(prefix, fields, lists), ", "))
		}
	}
}

func (r *reader) scalar(n *yaml.Node, f *field, name string) {
	if n.Kind != yaml.ScalarNode {
		r.fault(n, name, "", "give one value")
		return
	}
	if err := f.set(n.Value); err != nil {
		r.fault(n, name, n.Value, err.Error())
	}
}

// list reads a list of mappings.
func list[T any](r *reader, n *yaml.Node, name string, fresh func() T, fields func(*T) []field) (all []T) {
	if n.Kind != yaml.SequenceNode {
		if n.Kind != yaml.ScalarNode || n.Value != "" {
			r.fault(n, name, n.Value, "write a list, each element behind a dash")
		}
		return nil
	}
	for i, e := range n.Content {
		at := fmt.Sprintf("%s[%d]", name, i)
		if e.Kind != yaml.MappingNode {
			r.fault(e, at, e.Value, "write fields and their values")
			continue
		}
		one := fresh()
		inside := reader{file: r.file, lines: map[string]int{}}
		inside.mapping(e, "", fields(&one), nil)
		r.lines[at] = e.Line
		for field, line := range inside.lines {
			r.lines[at+"."+field] = line
		}
		for _, err := range inside.faults {
			var f *ProfileError
			if errors.As(err, &f) {
				f.Field = at + "." + f.Field
			}
		}
		r.faults = append(r.faults, inside.faults...)
		all = append(all, one)
	}
	return all
}

// names lists what may stand below a prefix.
func names(prefix string, fields []field, lists map[string]func(*yaml.Node)) (list []string) {
	for _, f := range fields {
		rest, below := strings.CutPrefix(f.name, prefix)
		if first, _, _ := strings.Cut(rest, "."); below && !slices.Contains(list, first) {
			list = append(list, first)
		}
	}
	for name := range lists {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Set changes one value, as NAME=VALUE.
func (p *Profile) Set(assignment string) error {
	name, value, ok := strings.Cut(assignment, "=")
	if !ok {
		return fmt.Errorf("%q: use NAME=VALUE", assignment)
	}
	fields := p.fields()
	for i := range fields {
		if fields[i].name != name {
			continue
		}
		if err := fields[i].set(value); err != nil {
			return &ProfileError{Field: name, Value: value, Want: err.Error()}
		}
		if p.origin.lines[name] > 0 { // the file says it no more
			p.origin.lines = maps.Clone(p.origin.lines)
			delete(p.origin.lines, name)
		}
		return nil
	}
	list := make([]string, len(fields))
	for i := range fields {
		list[i] = fields[i].name
	}
	return &ProfileError{Field: name, Value: value, Want: "there is no such value; use one of " + strings.Join(list, ", ")}
}

// Text writes the profile as YAML, with what each value means. ReadProfile reads it.
func (p *Profile) Text() string {
	var b strings.Builder
	section := ""
	for _, f := range p.fields() {
		name, indent := f.name, ""
		if before, after, ok := strings.Cut(f.name, "."); ok {
			if before != section {
				fmt.Fprintf(&b, "%s:\n", before)
			}
			section, name, indent = before, after, "  "
		}
		writeField(&b, indent, name, &f, true)
	}
	writeList(&b, "tenants", p.Tenants, (*Tenant).fields)
	writeList(&b, "disturbances", p.Disturbances, (*Disturbance).fields)
	return b.String()
}

func writeList[T any](b *strings.Builder, name string, all []T, fields func(*T) []field) {
	if len(all) == 0 {
		fmt.Fprintf(b, "%s: []\n", name)
		return
	}
	fmt.Fprintf(b, "%s:\n", name)
	for i := range all {
		indent := "  - "
		for _, f := range fields(&all[i]) {
			if value := f.text(); value == "" || value == "0" || value == "0s" {
				continue
			}
			writeField(b, indent, f.name, &f, i == 0)
			indent = "    "
		}
	}
}

// column is where the meanings begin.
const column = 34

func writeField(b *strings.Builder, indent, name string, f *field, helped bool) {
	text := indent + name + ": " + quoted(f)
	if helped {
		text = fmt.Sprintf("%-*s # %s", column, text, f.help)
	}
	b.WriteString(strings.TrimRight(text, " "))
	b.WriteString("\n")
}

// quoted writes words that YAML could take for something else in quotes.
func quoted(f *field) string {
	text := f.text()
	if _, free := f.to.(*string); free && (f.one == nil) {
		return strconv.Quote(text)
	}
	return text
}
