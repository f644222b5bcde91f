// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"
)

// readYAML reads one YAML document. Of YAML it takes what has one meaning: no anchors,
// aliases, merge keys and tags, and numbers as JSON writes them. Everything else that
// looks like a number, a date or a yes is text. A nil node is a file without a value.
func readYAML(file string, data []byte) (*node, *Fault) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, syntaxFault(file, data, err)
	}
	var doc, more yaml.Node
	if err := loader.Load(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, syntaxFault(file, data, err)
	}
	if err := loader.Load(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, syntaxFault(file, data, err)
		}
		return nil, &Fault{
			File: file, Line: more.Line, Column: more.Column, Code: "trailing_data",
			Message: "a second document follows; keep one in a file",
		}
	}
	r := yamlReader{file: file}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, nil
	}
	if root := doc.Content[0]; root.Kind == yaml.ScalarNode && isNull(root) {
		return nil, nil
	}
	n := r.node(doc.Content[0], 0)
	return n, r.fault
}

func syntaxFault(file string, data []byte, err error) *Fault {
	f := &Fault{File: file, Line: 1, Column: 1, Code: "syntax", Message: "the file is no YAML: " + err.Error()}
	var at *yaml.LoadError
	if errors.As(err, &at) {
		f.Line, f.Column = max(1, at.Mark.Line), max(1, at.Mark.Column)
		f.Message = "the file is no YAML: " + at.Message
		if at.ContextMsg != "" {
			f.Message += " (" + at.ContextMsg + ")"
		}
		if tabIndents(data, f.Line) {
			f.Message = "the file is no YAML: a tab cannot indent; use spaces"
		}
	}
	return f
}

// tabIndents says that a line, from 1, has a tab before its first character.
func tabIndents(data []byte, line int) bool {
	for range line - 1 {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	data, _, _ = bytes.Cut(data, []byte("\n"))
	text := bytes.TrimLeft(data, " \t")
	return bytes.IndexByte(data[:len(data)-len(text)], '\t') >= 0
}

type yamlReader struct {
	file  string
	count int
	fault *Fault // the first one; what follows has no meaning
}

func (r *yamlReader) fail(n *yaml.Node, code, format string, args ...any) *node {
	if r.fault == nil {
		r.fault = &Fault{File: r.file, Line: max(1, n.Line), Column: max(1, n.Column), Code: code, Message: fmt.Sprintf(format, args...)}
	}
	return &node{kind: scalarNode, json: "null"}
}

func (r *yamlReader) at(n *yaml.Node) place { return place{r.file, n.Line, n.Column} }

func (r *yamlReader) node(n *yaml.Node, depth int) *node {
	r.count++
	switch {
	case r.fault != nil:
		return &node{kind: scalarNode, json: "null"}
	case depth > maxDepth:
		return r.fail(n, "too_deep", "the file is nested deeper than %d levels", maxDepth)
	case r.count > maxNodes:
		return r.fail(n, "too_many_values", "the file has more than %d values", maxNodes)
	case n.Anchor != "" || n.Kind == yaml.AliasNode:
		return r.fail(n, "syntax", "anchors and aliases are not read: a value that has its line says where it came from; write it out")
	case n.Style&yaml.TaggedStyle != 0:
		return r.fail(n, "syntax", "the tag %s is not read; leave it out", n.Tag)
	}
	out := &node{at: r.at(n)}
	switch n.Kind {
	case yaml.ScalarNode:
		out.json = scalar(n)
	case yaml.SequenceNode:
		out.kind = listNode
		for _, e := range n.Content {
			out.elems = append(out.elems, r.node(e, depth+1))
		}
	case yaml.MappingNode:
		out.kind = objectNode
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 {
				return r.fail(key, "syntax", "a field's name is plain text")
			}
			if key.Style == 0 && key.Value == "<<" {
				return r.fail(key, "syntax", "merge keys are not read: a value that has its line says where it came from; write them out")
			}
			out.members = append(out.members, member{key.Value, r.at(key), r.node(n.Content[i+1], depth+1)})
		}
	case yaml.DocumentNode, yaml.AliasNode, yaml.StreamNode:
		return r.fail(n, "syntax", "a value is missing here")
	default:
		return r.fail(n, "syntax", "a value is missing here")
	}
	return out
}

// scalar writes a scalar as JSON.
func scalar(n *yaml.Node) string {
	plain := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	switch {
	case !plain:
	case isNull(n):
		return "null"
	case n.Value == "true" || n.Value == "false", isNumber(n.Value):
		return n.Value
	}
	return quote(n.Value)
}

func isNull(n *yaml.Node) bool {
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	}
	return false
}

// isNumber says whether a plain scalar is a number of JSON (RFC 8259 section 6).
func isNumber(s string) bool {
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && json.Valid([]byte(s))
}
