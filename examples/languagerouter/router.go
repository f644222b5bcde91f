// SPDX-License-Identifier: Apache-2.0

// Package languagerouter tells in which language the caller speaks, by the small words that each
// has, and gives transcripts the attribute language, which a select behind it asks for.
package languagerouter

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/parley-voice/parley/node"
)

// Type is the node_type.
const Type = "language_router"

// Config is what a spec says below config.
type Config struct {
	Languages []string `json:"languages"` // among which it chooses
	Default   string   `json:"default"`   // where the words do not tell
}

// stateKey is where the session's language is kept: "yes" and "ok" say nothing.
const stateKey = Type + "/language"

// words are the most frequent small words of a language, which no other one of these has.
func words(language string) []string {
	return strings.Fields(map[string]string{
		"en": "the and is are you what my i it of to would please how this that with have",
		"de": "der die das und ist ich sie nicht ein eine wie bitte mein auf mit was wir habe möchte",
		"fr": "le les et je vous est une pas que pour mon bonjour avec dans suis quoi comment voudrais",
		"es": "el los y es yo usted por favor qué una para mi como con cómo quiero hola está",
		"it": "il gli è io lei non per favore che uno mio come vorrei sono ciao della questo",
	}[language])
}

func known() []string { return []string{"de", "en", "es", "fr", "it"} }

// Validate checks what the types do not.
func (c *Config) Validate() error {
	for i, l := range c.Languages {
		if !slices.Contains(known(), l) {
			return fmt.Errorf("config.languages[%d]: %q: use some of %q", i, l, known())
		}
	}
	if !slices.Contains(c.Languages, c.Default) {
		return fmt.Errorf("config.default: %q: use one of config.languages, %q", c.Default, c.Languages)
	}
	return nil
}

// Kind makes the nodes.
func Kind() node.Kind {
	return node.KindOf(Config{Languages: known(), Default: "en"}, func(c Config) (node.Node, error) {
		table := map[string][]string{}
		for _, l := range c.Languages {
			table[l] = words(l)
		}
		return &router{config: c, table: table}, nil
	})
}

type router struct {
	node.NoOp
	config Config
	table  map[string][]string
}

func (r *router) Declaration() node.Declaration {
	return node.Declaration{
		Type: Type, Package: "examples/languagerouter", State: []node.StateClass{node.StateHot},
		Inputs: []node.Type{node.TypeTranscript}, Outputs: []node.Type{node.TypeTranscript},
	}.WithDefaults()
}

func (r *router) OnEvent(ctx *node.Context, ev *node.Event) error {
	language := r.config.Default
	if kept, ok := ctx.State.Get(node.StateHot, stateKey); ok {
		language = string(kept)
	}
	if heard := r.judge(ev.Text); heard != "" {
		language = heard
	}
	if ev.Final { // what is only guessed decides nothing for later
		if err := ctx.State.Put(node.StateHot, stateKey, []byte(language)); err != nil {
			return err
		}
	}
	out := *ev
	out.SetAttribute(node.AttributeLanguage, language)
	ctx.Emit(&out)
	return nil
}

// judge gives the language that has the most of the words; empty when none has more than the
// others.
func (r *router) judge(text string) string {
	heard := strings.FieldsFunc(strings.ToLower(text), func(c rune) bool { return !unicode.IsLetter(c) })
	best, most, tie := "", 0, false
	for _, language := range r.config.Languages {
		n := 0
		for _, w := range heard {
			if slices.Contains(r.table[language], w) {
				n++
			}
		}
		if n > most {
			best, most, tie = language, n, false
		} else if n == most {
			tie = true
		}
	}
	if most == 0 || tie {
		return ""
	}
	return best
}
