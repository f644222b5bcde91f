// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-voice/parley/node"
)

// Type is the node_type.
const Type = "translator"

// Request is a text to be translated.
type Request struct {
	Text     string
	From, To string // BCP 47; From empty = not known
	// What asks: a call that is made for it names them.
	Session, Turn string
	Key           string // makes the request recognisable
}

// Func translates. It ends when ctx does, may be called from any goroutine, and several times
// at once.
type Func func(ctx context.Context, r Request) (string, error)

// Config is what a spec says of a node.
type Config struct {
	From      string `json:"from"` // empty = what the events say
	To        string `json:"to"`
	TimeoutMS int64  `json:"timeout_ms"`
	OnFailure string `json:"on_failure"` // "pass" or "drop"
	Scope     string `json:"scope"`      // "turn"; "session" beside the turns, such as for captions
}

// What follows a failure.
const (
	Pass = "pass"
	Drop = "drop"
)

// The bounds.
const (
	maxTimeoutMS = 4500 // below the limit at which the host takes a node for one that hangs
	maxText      = 16 << 10
	maxGrowth    = 8 // times as long as what was said
	minAllowed   = 400
)

// Validate reports all faults at once.
func (c *Config) Validate() error {
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("config.%s: %v: %s", field, value, remedy))
	}
	if !tag(c.To) {
		fault("to", fmt.Sprintf("%q", c.To), "name a language as BCP 47 has it, such as de or pt-BR")
	}
	if c.From != "" && !tag(c.From) {
		fault("from", fmt.Sprintf("%q", c.From), "name a language as BCP 47 has it, or leave it out")
	}
	if c.TimeoutMS < 1 || c.TimeoutMS > maxTimeoutMS {
		fault("timeout_ms", c.TimeoutMS, fmt.Sprintf("use 1 to %d", maxTimeoutMS))
	}
	if c.OnFailure != Pass && c.OnFailure != Drop {
		fault("on_failure", fmt.Sprintf("%q", c.OnFailure), "use pass or drop")
	}
	if c.Scope != string(node.ScopeTurn) && c.Scope != string(node.ScopeSession) {
		fault("scope", fmt.Sprintf("%q", c.Scope), "use turn or session")
	}
	return errors.Join(faults...)
}

// tag says whether s looks like a language tag.
func tag(s string) bool {
	if len(s) > 35 {
		return false
	}
	for i, part := range strings.Split(s, "-") {
		if len(part) < 1 || len(part) > 8 || i == 0 && (len(part) < 2 || len(part) > 3) ||
			strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			return false
		}
	}
	return true
}

// Kind makes the nodes, which translate with f.
func Kind(f Func) node.Kind {
	defaults := Config{TimeoutMS: 2000, OnFailure: Pass, Scope: string(node.ScopeTurn)}
	return node.KindOf(defaults, func(c Config) (node.Node, error) { return New(c, f) })
}

// Node is one translator.
type Node struct {
	node.NoOp
	config    Config
	translate Func
	count     int64
}

// New makes a node of a config, or says what is wrong with it.
func New(c Config, f Func) (*Node, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if f == nil {
		return nil, errors.New("translate: nobody translates: give the kind a function that does")
	}
	return &Node{config: c, translate: f}, nil
}

// Declaration says what the node is.
func (n *Node) Declaration() node.Declaration {
	return node.Declaration{
		Type: Type, Package: "node/translate", Scope: node.ExecutionScope(n.config.Scope), Streaming: node.StreamFinal,
		Inputs:    []node.Type{node.TypeTranscript, node.TypeSegment, node.TypeTextEnd},
		Outputs:   []node.Type{node.TypeTranscript, node.TypeSegment, node.TypeTextEnd},
		Resources: node.Resources{CPUUnits: 5, MemoryMB: 1, Network: true}, LongRunning: true,
	}.WithDefaults()
}

// OnEvent translates what the event says, and gives it on.
func (n *Node) OnEvent(ctx *node.Context, ev *node.Event) error {
	if ctx.Over() || ev.Type == node.TypeTranscript && !ev.Final {
		return nil
	}
	out := *ev
	from := ev.Attribute(node.AttributeLanguage)
	if from == "" {
		from = n.config.From
	}
	switch {
	case strings.TrimSpace(ev.Text) == "":
	case same(from, n.config.To):
		ctx.Telemetry.Count("translate_same", 1)
	default:
		text, err := n.ask(ctx, ev.Text, from)
		if ctx.Over() {
			return nil
		}
		if err != nil {
			ctx.Telemetry.Count("translate_failed", 1)
			if n.config.OnFailure == Drop {
				return nil
			}
			break
		}
		ctx.Telemetry.Count("translate_done", 1)
		out.Text = text
		out.SetAttribute(node.AttributeLanguage, n.config.To)
	}
	ctx.Emit(&out)
	return nil
}

// ask has a text translated within its time.
func (n *Node) ask(ctx *node.Context, text, from string) (string, error) {
	if len(text) > maxText {
		return "", fmt.Errorf("translate: %d bytes are more than %d", len(text), maxText)
	}
	timeout := n.config.TimeoutMS
	if left := ctx.Budget.RemainingMS(); left >= 0 {
		timeout = min(timeout, left)
	}
	within, stop := context.WithTimeout(ctx.Cancel.Context(), time.Duration(timeout)*time.Millisecond)
	defer stop()
	n.count++
	got, err := n.translate(within, Request{
		Text: text, From: from, To: n.config.To, Session: string(ctx.Session), Turn: string(ctx.Turn),
		Key: fmt.Sprintf("%s/%s/%s/%d", ctx.Session, ctx.Turn, ctx.Node, n.count),
	})
	switch {
	case err != nil:
		return "", err
	case within.Err() != nil:
		return "", within.Err()
	case strings.TrimSpace(got) == "":
		return "", errors.New("translate: the translation is empty")
	case len(got) > minAllowed+maxGrowth*len(text):
		return "", fmt.Errorf("translate: the translation has %d bytes, of %d", len(got), len(text))
	}
	// A segment is joined to the next: it keeps the white space around it.
	rest := strings.TrimLeft(text, " \n")
	return text[:len(text)-len(rest)] + strings.TrimSpace(got) + rest[len(strings.TrimRight(rest, " \n")):], nil
}

// same says whether a language is the other, or the other in some place.
func same(a, b string) bool {
	first := func(s string) string {
		head, _, _ := strings.Cut(s, "-")
		return head
	}
	return a != "" && (strings.EqualFold(a, b) || strings.EqualFold(first(a), first(b)) && (first(a) == a || first(b) == b))
}
