// SPDX-License-Identifier: Apache-2.0

// Package profanityfilter keeps words out of what an agent says, or of what it is told. It has a
// list of its own and takes others; node/compliance is the grown-up form of it.
package profanityfilter

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/parley-voice/parley/node"
)

// Type is the node_type.
const Type = "profanity_filter"

// Config is what a spec says below config.
type Config struct {
	Words []string `json:"words"` // in place of the node's own
	With  string   `json:"with"`  // what is said instead
	Scope string   `json:"scope"` // turn: in the way of what is said; session: beside it
}

// Validate reports all faults at once.
func (c *Config) Validate() error {
	var faults []error
	if len(c.Words) == 0 || len(c.Words) > 5000 {
		faults = append(faults, fmt.Errorf("config.words: %d of them: give 1 to 5000", len(c.Words)))
	}
	if c.Scope != string(node.ScopeTurn) && c.Scope != string(node.ScopeSession) {
		faults = append(faults, fmt.Errorf("config.scope: %q: use turn or session", c.Scope))
	}
	return errors.Join(faults...)
}

// Kind makes the nodes.
func Kind() node.Kind {
	defaults := Config{Words: []string{"damn", "bloody", "crap", "hell"}, With: "beep", Scope: string(node.ScopeTurn)}
	return node.KindOf(defaults, func(c Config) (node.Node, error) {
		bad := map[string]bool{}
		for _, w := range c.Words {
			bad[strings.ToLower(w)] = true
		}
		about := node.Declaration{Type: Type, Package: "examples/profanityfilter", Scope: node.ExecutionScope(c.Scope)}
		return node.Text(about, func(ctx *node.Context, text string) (string, error) {
			clean, found := filter(text, bad, c.With)
			if found > 0 {
				ctx.Telemetry.Count(Type+"_found", found)
			}
			return clean, nil
		}), nil
	})
}

// filter replaces whole words, whatever their case.
func filter(text string, bad map[string]bool, with string) (string, int64) {
	var out, word strings.Builder
	found := int64(0)
	flush := func() {
		if w := word.String(); bad[strings.ToLower(w)] {
			out.WriteString(with)
			found++
		} else {
			out.WriteString(w)
		}
		word.Reset()
	}
	for _, r := range text {
		if unicode.IsLetter(r) {
			word.WriteRune(r)
			continue
		}
		flush()
		out.WriteRune(r)
	}
	flush()
	return out.String(), found
}
