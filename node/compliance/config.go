// SPDX-License-Identifier: Apache-2.0

package compliance

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parley-voice/parley/node"
)

// Config is what a spec says of a node.
type Config struct {
	Scope string `json:"scope"` // "turn" or "session"
	Rules []Rule `json:"rules"`
}

// Rule finds something and does something with it. Of Words, Pattern and Find it has one.
type Rule struct {
	Name    string   `json:"name"` // lower_snake_case: what it is counted as
	Words   []string `json:"words"`
	Pattern string   `json:"pattern"` // RE2
	Find    string   `json:"find"`    // "card", "phone" or "email"

	Action    string `json:"action"` // "mask", "drop", "replace" or "tag"
	With      string `json:"with"`   // replace
	Mask      string `json:"mask"`   // mask: one character, empty = *
	Attribute string `json:"attribute"`
	Value     string `json:"value"` // tag: empty = the rule's name
}

// The actions.
const (
	Mask    = "mask"
	Drop    = "drop"
	Replace = "replace"
	Tag     = "tag"
)

// What Find finds.
const (
	Card  = "card"
	Phone = "phone"
	Email = "email"
)

// The bounds.
const (
	maxRules   = 64
	maxWords   = 10_000 // of all rules
	maxWord    = 64     // bytes
	maxPattern = 1000   // bytes
	maxWith    = 500    // bytes
	maxName    = 40
	maxFound   = 1000 // of one rule in one text
	maxText    = 1 << 16
)

// Validate reports all faults at once.
func (c *Config) Validate() error {
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("config.%s: %v: %s", field, value, remedy))
	}
	if c.Scope != string(node.ScopeTurn) && c.Scope != string(node.ScopeSession) {
		fault("scope", fmt.Sprintf("%q", c.Scope), "use turn or session")
	}
	if len(c.Rules) == 0 || len(c.Rules) > maxRules {
		fault("rules", fmt.Sprintf("%d of them", len(c.Rules)), fmt.Sprintf("give 1 to %d", maxRules))
	}
	words := 0
	seen := map[string]bool{}
	for i := range c.Rules {
		r := &c.Rules[i]
		at := fmt.Sprintf("rules[%d].", i)
		r.validate(func(field string, value any, remedy string) { fault(at+field, value, remedy) })
		if seen[r.Name] {
			fault(at+"name", fmt.Sprintf("%q", r.Name), "it is taken by an earlier rule: give each a name of its own")
		}
		seen[r.Name] = true
		words += len(r.Words)
	}
	if words > maxWords {
		fault("rules", fmt.Sprintf("%d words", words), fmt.Sprintf("give at most %d in all", maxWords))
	}
	return errors.Join(faults...)
}

func (r *Rule) validate(fault func(field string, value any, remedy string)) {
	if r.Name == "" || len(r.Name) > maxName || strings.Trim(r.Name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		fault("name", fmt.Sprintf("%q", r.Name), fmt.Sprintf("use 1 to %d lower-case letters, digits and underscores", maxName))
	}
	given := 0
	for _, is := range []bool{len(r.Words) > 0, r.Pattern != "", r.Find != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		fault("words", fmt.Sprintf("%d of words, pattern and find", given), "give one of them")
	}
	for _, w := range r.Words {
		if w == "" || len(w) > maxWord || fold(w) == "" || len(wordsOf(w)) != 1 {
			fault("words", fmt.Sprintf("%q", w), fmt.Sprintf("give single words of at most %d bytes; for more use pattern", maxWord))
		}
	}
	if len(r.Pattern) > maxPattern {
		fault("pattern", fmt.Sprintf("%d bytes", len(r.Pattern)), fmt.Sprintf("use at most %d", maxPattern))
	} else if re, err := regexp.Compile(r.Pattern); err != nil {
		fault("pattern", fmt.Sprintf("%q", r.Pattern), err.Error()+": use RE2 syntax")
	} else if r.Pattern != "" && re.MatchString("") {
		fault("pattern", fmt.Sprintf("%q", r.Pattern), "it matches nothing at all: give one that needs a character")
	}
	if r.Find != "" && !slices.Contains([]string{Card, Phone, Email}, r.Find) {
		fault("find", fmt.Sprintf("%q", r.Find), "use card, phone or email")
	}
	if !slices.Contains([]string{Mask, Drop, Replace, Tag}, r.Action) {
		fault("action", fmt.Sprintf("%q", r.Action), "use mask, drop, replace or tag")
	}
	if r.With != "" && r.Action != Replace || len(r.With) > maxWith {
		fault("with", fmt.Sprintf("%q", r.With), fmt.Sprintf("it is for action replace, at most %d bytes", maxWith))
	}
	if r.Mask != "" && (r.Action != Mask || utf8.RuneCountInString(r.Mask) != 1) {
		fault("mask", fmt.Sprintf("%q", r.Mask), "it is for action mask, one character")
	}
	if (r.Attribute != "") != (r.Action == Tag) || r.Value != "" && r.Action != Tag || len(r.Attribute)+len(r.Value) > maxWith {
		fault("attribute", fmt.Sprintf("%q", r.Attribute), "action tag needs one, and the others have none")
	}
}
