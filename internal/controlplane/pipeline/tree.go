// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"strings"
)

// Bounds of a document. Those of the schema's reader are wider.
const (
	// MaxSpecBytes is the size beyond which a file is refused unread.
	MaxSpecBytes = 1 << 20
	maxDepth     = 32
	maxNodes     = 1 << 16
)

// place is where something stands.
type place struct {
	file         string
	line, column int
}

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	listNode
	objectNode
)

// node is one value of a document, with its place.
type node struct {
	kind    nodeKind
	json    string // of a scalar
	members []member
	elems   []*node
	at      place
}

type member struct {
	name  string
	at    place
	value *node
}

func (n *node) get(name string) *node {
	for i := range n.members {
		if n.members[i].name == name {
			return n.members[i].value
		}
	}
	return nil
}

// quote writes a string as JSON.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // a string is always encoded
	}
	return string(b)
}

// placed maps an offset in the JSON of a tree to what stands there.
type placed struct {
	at    place
	value string // of a scalar
}

// encode writes the tree as JSON and notes where each value and each name begins.
func (n *node) encode() ([]byte, map[int]placed) {
	e := encoder{starts: map[int]placed{}}
	e.node(n)
	return e.out, e.starts
}

type encoder struct {
	out    []byte
	starts map[int]placed
}

func (e *encoder) node(n *node) {
	start := placed{at: n.at}
	if n.kind == scalarNode {
		start.value = n.json
	}
	e.starts[len(e.out)] = start
	switch n.kind {
	case scalarNode:
		e.out = append(e.out, n.json...)
	case listNode:
		e.out = append(e.out, '[')
		for i, v := range n.elems {
			if i > 0 {
				e.out = append(e.out, ',')
			}
			e.node(v)
		}
		e.out = append(e.out, ']')
	case objectNode:
		e.out = append(e.out, '{')
		for i := range n.members {
			m := &n.members[i]
			if i > 0 {
				e.out = append(e.out, ',')
			}
			e.starts[len(e.out)] = placed{at: m.at}
			e.out = append(append(e.out, quote(m.name)...), ':')
			e.node(m.value)
		}
		e.out = append(e.out, '}')
	}
}

// without gives the tree less what the pointers lead to, and less every member whose
// name stood before. Nil says that nothing is left.
func (n *node) without(pointers map[string]bool, at string) *node {
	if pointers[at] {
		return nil
	}
	switch n.kind {
	case scalarNode:
		return n
	case listNode:
		out := &node{kind: listNode, at: n.at}
		for i, v := range n.elems {
			if kept := v.without(pointers, at+"/"+itoa(i)); kept != nil {
				out.elems = append(out.elems, kept)
			}
		}
		return out
	case objectNode:
		out := &node{kind: objectNode, at: n.at}
		for _, m := range n.members {
			if out.get(m.name) != nil {
				continue
			}
			if kept := m.value.without(pointers, at+"/"+pointerToken(m.name)); kept != nil {
				out.members = append(out.members, member{m.name, m.at, kept})
			}
		}
		return out
	}
	return n
}

// pointerToken writes a name as a token of a JSON pointer (RFC 6901 section 3).
func pointerToken(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// pathOf turns a JSON pointer into a field path: edges.stt-llm.strategy.
func pathOf(pointer string) string {
	if pointer == "" {
		return ""
	}
	tokens := strings.Split(pointer[1:], "/")
	for i, t := range tokens {
		tokens[i] = segment(strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~"))
	}
	return strings.Join(tokens, ".")
}
