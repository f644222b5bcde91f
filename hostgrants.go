// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parley-voice/parley/transport"
)

// Grants is what clients may choose of their sessions. What they wish and are not granted
// stays as the runtime's configuration has it; SessionStatus says which wishes those were.
type Grants struct {
	Instructions bool     // in place of the system prompt
	Voices       []string // of those; AnyOf = any
	Languages    []string // of those, BCP 47; AnyOf = any
	TurnEnd      bool     // who ends an utterance
	Answer       bool     // whether an utterance is answered at once
	Interrupt    bool     // whether speech interrupts the agent
	TextOnly     bool     // that answers are written and not spoken
	Tools        bool     // to bring tools along
}

// AnyOf in a list of Grants is everything.
const AnyOf = "*"

// The bounds of wishes.
const (
	// MaxInstructions bounds what a client puts in place of the system prompt, in bytes.
	MaxInstructions = 64 << 10
	maxGranted      = 256
	maxNameBytes    = 128
	maxToolBytes    = 32 << 10 // description and parameters
)

func (g *Grants) validate() (faults []error) {
	for _, f := range [...]struct {
		name string
		list []string
	}{{"voices", g.Voices}, {"languages", g.Languages}} {
		if len(f.list) > maxGranted || slices.ContainsFunc(f.list, func(s string) bool { return s == "" || len(s) > maxNameBytes }) {
			faults = append(faults, fmt.Errorf("parley: host: grants.%s: %q: give at most %d names of 1 to %d bytes", f.name, f.list, maxGranted, maxNameBytes))
		}
	}
	return faults
}

// filter leaves of wishes what is granted, and names the rest.
func (g *Grants) filter(w transport.Wishes, declined func(string)) transport.Wishes {
	no := func(wished, granted bool, name string) bool {
		if wished && !granted {
			declined(name)
		}
		return wished && !granted
	}
	if no(w.Instructions != nil, g.Instructions, "instructions") {
		w.Instructions = nil
	}
	if no(w.Voice != nil, w.Voice != nil && among(g.Voices, *w.Voice), "voice") {
		w.Voice = nil
	}
	if no(w.Language != nil, w.Language != nil && among(g.Languages, *w.Language), "language") {
		w.Language = nil
	}
	if no(w.TurnEnd != "", g.TurnEnd, "turn_end") {
		w.TurnEnd = ""
	}
	if no(w.Answer != nil, g.Answer, "answer") {
		w.Answer = nil
	}
	if no(w.Interrupt != nil, g.Interrupt, "interrupt") {
		w.Interrupt = nil
	}
	if no(w.TextOnly != nil, g.TextOnly, "text_only") {
		w.TextOnly = nil
	}
	if no(w.Tools != nil, g.Tools, "tools") {
		w.Tools = nil
	}
	return w
}

// among says whether a list has a name; the empty one is the engines' own, and free.
func among(list []string, name string) bool {
	return name == "" || slices.Contains(list, AnyOf) || slices.Contains(list, name)
}

// validWishes refuses what is beyond its bound, or no text.
func validWishes(w *transport.Wishes) error {
	refuse := func(field, remedy string, args ...any) error {
		return &transport.RefusedError{Code: transport.RefusedInvalid, Reason: field + ": " + fmt.Sprintf(remedy, args...)}
	}
	for _, f := range [...]struct {
		name string
		text *string
		most int
	}{{"instructions", w.Instructions, MaxInstructions}, {"voice", w.Voice, maxNameBytes}, {"language", w.Language, maxNameBytes}} {
		if f.text != nil && (len(*f.text) > f.most || !utf8.ValidString(*f.text)) {
			return refuse(f.name, "use at most %d bytes of UTF-8", f.most)
		}
	}
	switch w.TurnEnd {
	case "", transport.TurnEndVAD, transport.TurnEndClient:
	default:
		return refuse("turn_end", "use %s or %s", transport.TurnEndVAD, transport.TurnEndClient)
	}
	if err := transport.ValidateTools(w.Tools); err != nil {
		return &transport.RefusedError{Code: transport.RefusedInvalid, Reason: strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	for i := range w.Tools {
		t := &w.Tools[i]
		if len(t.Description)+len(t.Parameters) > maxToolBytes {
			return refuse(fmt.Sprintf("tools[%d]", i), "description and parameters have at most %d bytes", maxToolBytes)
		}
	}
	return nil
}
