// SPDX-License-Identifier: Apache-2.0

package node

import "encoding/json"

// WithDefaults fills what a declaration leaves open with what is right for most nodes: version
// v1, one output for each input at once, in a turn, preemptible and hard. Type, Package and
// Inputs are the node's to say.
func (d Declaration) WithDefaults() Declaration {
	fill := func(v *string, def string) {
		if *v == "" {
			*v = def
		}
	}
	fill(&d.Version, "v1")
	fill((*string)(&d.Streaming), string(StreamIncremental))
	fill((*string)(&d.Scope), string(ScopeTurn))
	fill((*string)(&d.Class), string(Preemptible))
	fill((*string)(&d.Mode), string(CancelHard))
	return d
}

// KindOf makes a kind of a config with its defaults, which Decode reads, and of what makes a
// node of it. The node is cheap to make: it is made to be asked what it is.
func KindOf[C any](defaults C, create func(config C) (Node, error)) Kind {
	return KindFunc(func(raw json.RawMessage) (Node, error) {
		c, err := Decode(raw, defaults)
		if err != nil {
			return nil, err
		}
		return create(c)
	})
}

// TextFunc changes a text. What it gives goes on in the place of the text; nothing ("") drops
// the event. An error ends the node.
type TextFunc func(ctx *Context, text string) (string, error)

// Text makes a node of a function that changes text. The declaration is completed: without
// Inputs it takes what is said by either side in whole pieces, which are transcripts and
// segments; without Outputs it gives what it takes. An event goes on as it came, with the new
// text. Events without text go on unchanged, and once its turn is cancelled nothing does.
func Text(about Declaration, change TextFunc) Node {
	if len(about.Inputs) == 0 {
		about.Inputs = []Type{TypeTranscript, TypeSegment}
	}
	if len(about.Outputs) == 0 {
		about.Outputs = about.Inputs
	}
	return &Func{About: about.WithDefaults(), Event: func(ctx *Context, ev *Event) error {
		if ctx.Over() {
			return nil
		}
		out := *ev
		if ev.Text != "" {
			text, err := change(ctx, ev.Text)
			if err != nil {
				return err
			}
			if out.Text = text; text == "" {
				return nil
			}
		}
		if !ctx.Over() {
			ctx.Emit(&out)
		}
		return nil
	}}
}

// Over says whether the instance's scope is over: its turn was cancelled, or it has stopped.
func (c *Context) Over() bool {
	if c.Cancel == nil {
		return false
	}
	_, over := c.Cancel.Cancelled()
	return over
}

// SetAttribute gives the event an attribute, in place of one of the same name. It says false
// when the event has as many as it may. What the event came from keeps its own.
func (ev *Event) SetAttribute(name, value string) bool {
	list := make([]Attribute, 0, len(ev.Attributes)+1)
	done := false
	for _, a := range ev.Attributes {
		if a.Name == name {
			a.Value, done = value, true
		}
		list = append(list, a)
	}
	if !done {
		if len(list) >= MaxAttributes {
			return false
		}
		list = append(list, Attribute{Name: name, Value: value})
	}
	ev.Attributes = list
	return true
}
