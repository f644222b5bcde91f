// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"
)

// Bounds of a file.
const (
	// MaxFileBytes is the size beyond which a file is refused unread.
	MaxFileBytes = 1 << 20
	maxDepth     = 8
)

// file reads the YAML of the file layer. Of YAML it takes what has one meaning: no
// anchors, aliases, merge keys and tags.
func (l *Loaded) file(name string, data []byte) {
	if len(data) > MaxFileBytes {
		l.fault(Source{Layer: File, Name: name}, "", fmt.Sprintf("the file has more than %d bytes", MaxFileBytes))
		return
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return
	}
	var doc, more yaml.Node
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err == nil {
		err = loader.Load(&doc)
	}
	if errors.Is(err, io.EOF) {
		return // comments alone
	}
	if err == nil {
		if err = loader.Load(&more); errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			l.fault(Source{File, name, more.Line, more.Column}, "", "a second document follows: keep one in a file")
			return
		}
	}
	if err != nil {
		l.syntax(name, err)
		return
	}
	if len(doc.Content) == 1 {
		l.node(name, doc.Content[0], "", 0)
	}
}

func (l *Loaded) syntax(name string, err error) {
	at, text := Source{File, name, 1, 1}, err.Error()
	var where *yaml.LoadError
	if errors.As(err, &where) {
		at.Line, at.Column, text = max(1, where.Mark.Line), max(1, where.Mark.Column), where.Message
	}
	l.fault(at, "", "the file is no YAML: "+text)
}

// node reads what stands at a path.
func (l *Loaded) node(file string, n *yaml.Node, path string, depth int) {
	at := Source{File, file, n.Line, n.Column}
	f := l.find(path)
	switch {
	case n.Anchor != "" || n.Kind == yaml.AliasNode || n.Style&yaml.TaggedStyle != 0:
		l.fault(at, path, "anchors, aliases and tags are not read: write the value out")
	case empty(n):
		// A name without a value changes nothing.
	case n.Kind == yaml.MappingNode && f == nil && depth < maxDepth:
		l.section(file, n, path, depth)
	case f == nil && path == "":
		l.fault(at, path, "the file holds no settings: write name: value")
	case f == nil:
		l.fault(at, path, l.unknown(path))
	case f.Type == Table:
		l.table(file, n, f, at)
	default:
		given, ok := values(n)
		if !ok {
			l.fault(at, path, "give "+f.Admits())
			return
		}
		if f.Type == List && n.Kind == yaml.ScalarNode {
			given = words(f, n.Value)
		}
		l.take(path, given, at)
	}
}

// section reads the members of a mapping.
func (l *Loaded) section(file string, n *yaml.Node, path string, depth int) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		below := key.Value
		if path != "" {
			below = path + "." + below
		}
		at := Source{File, file, key.Line, key.Column}
		switch {
		case key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style == 0 && key.Value == "<<":
			l.fault(at, path, "a setting's name is plain text")
		case seen[key.Value]:
			l.fault(at, below, "it is set twice: keep one of them")
		case l.find(below) == nil && value.Kind != yaml.MappingNode && !(empty(value) && l.holds(below)):
			l.fault(at, below, l.unknown(below))
		case l.find(below) == nil && !l.holds(below):
			l.fault(at, below, l.unknown(below))
		default:
			l.node(file, value, below, depth+1)
		}
		seen[key.Value] = true
	}
}

// holds says whether a path is a section.
func (l *Loaded) holds(path string) bool {
	for i := range l.fields {
		if len(l.fields[i].Path) > len(path) && l.fields[i].Path[:len(path)+1] == path+"." {
			return true
		}
	}
	return false
}

func empty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 && (n.Value == "" || n.Value == "~" || n.Value == "null")
}

// values are the texts of a scalar or of a list of them.
func values(n *yaml.Node) (list []string, ok bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		return []string{n.Value}, true
	case yaml.SequenceNode:
		list = []string{}
		for _, e := range n.Content {
			if e.Kind != yaml.ScalarNode || e.Anchor != "" {
				return nil, false
			}
			list = append(list, e.Value)
		}
		return list, true
	case yaml.MappingNode, yaml.DocumentNode, yaml.AliasNode, yaml.StreamNode:
	}
	return nil, false
}
