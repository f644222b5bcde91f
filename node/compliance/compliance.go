// SPDX-License-Identifier: Apache-2.0

package compliance

import (
	"strings"
	"unicode"

	"github.com/parley-voice/parley/node"
)

// Type is the node_type.
const Type = "compliance"

// Kind makes the nodes.
func Kind() node.Kind {
	return node.KindOf(Config{Scope: string(node.ScopeTurn)}, func(c Config) (node.Node, error) { return New(c) })
}

// Node is one filter.
type Node struct {
	node.NoOp
	scope node.ExecutionScope
	rules []rule
}

type rule struct {
	Rule
	find  finder
	count string
}

// New makes a node of a config, or says what is wrong with it.
func New(c Config) (*Node, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	n := &Node{scope: node.ExecutionScope(c.Scope)}
	for _, r := range c.Rules {
		n.rules = append(n.rules, rule{Rule: r, find: r.finder(), count: Type + "_" + r.Name})
	}
	return n, nil
}

// Declaration says what the node is.
func (n *Node) Declaration() node.Declaration {
	return node.Declaration{
		Type: Type, Package: "node/compliance", Scope: n.scope,
		Inputs:    []node.Type{node.TypeTranscript, node.TypeSegment, node.TypeTextEnd},
		Outputs:   []node.Type{node.TypeTranscript, node.TypeSegment, node.TypeTextEnd},
		Resources: node.Resources{CPUUnits: 5, MemoryMB: 2},
	}.WithDefaults()
}

// OnEvent applies the rules to what the event says.
func (n *Node) OnEvent(ctx *node.Context, ev *node.Event) error {
	if ctx.Over() {
		return nil
	}
	if ev.Text == "" {
		ctx.Emit(ev)
		return nil
	}
	out := *ev
	if len(ev.Text) > maxText {
		ctx.Telemetry.Count(Type+"_too_long", 1)
		return nil
	}
	counts := ev.Type != node.TypeTranscript || ev.Final
	for i := range n.rules {
		r := &n.rules[i]
		found := r.find(out.Text, maxFound+1)
		if len(found) == 0 {
			continue
		}
		if counts {
			ctx.Telemetry.Count(r.count, int64(len(found)))
		}
		if len(found) > maxFound || r.Action == Drop {
			return nil
		}
		if r.Action == Tag {
			if !out.SetAttribute(r.Attribute, r.value()) {
				ctx.Telemetry.Count(Type+"_untagged", 1)
			}
			continue
		}
		if out.Text = r.change(out.Text, found); strings.TrimSpace(out.Text) == "" {
			return nil
		}
	}
	ctx.Emit(&out)
	return nil
}

func (r *rule) value() string {
	if r.Value == "" {
		return r.Name
	}
	return r.Value
}

// change puts something else in the place of what was found.
func (r *rule) change(text string, found []span) string {
	var b strings.Builder
	at := 0
	for _, s := range found {
		b.WriteString(text[at:s.from])
		if r.Action == Replace {
			b.WriteString(r.With)
		} else {
			b.WriteString(r.masked(text[s.from:s.to]))
		}
		at = s.to
	}
	b.WriteString(text[at:])
	return b.String()
}

// masked is a text without its letters and digits; a card keeps its last four.
func (r *rule) masked(text string) string {
	sign := r.Mask
	if sign == "" {
		sign = "*"
	}
	hide := len(digits(text)) - 4 // of a card
	var b strings.Builder
	for _, c := range text {
		switch {
		case !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c):
			b.WriteRune(c)
		case r.Find == Card && hide <= 0:
			b.WriteRune(c)
		default:
			b.WriteString(sign)
			hide--
		}
	}
	return b.String()
}
