// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"strings"
)

// Layer is where a value came from.
type Layer string

// The layers, from the lowest.
const (
	Default     Layer = "default"
	File        Layer = "file"
	Environment Layer = "environment"
	Flag        Layer = "flag"
)

// Source is the place of a value: a file with its line, a variable, or a flag.
type Source struct {
	Layer  Layer  `json:"layer"`
	Name   string `json:"name,omitempty"`
	Line   int    `json:"line,omitempty"` // from 1; 0 where there are no lines
	Column int    `json:"column,omitempty"`
}

// String is the place, for people.
func (s Source) String() string {
	if s.Line > 0 {
		return fmt.Sprintf("%s:%d:%d", s.Name, s.Line, s.Column)
	}
	return s.Name
}

// Fault is one defect of what was set.
type Fault struct {
	Source Source `json:"source"`
	Path   string `json:"path"`
	// Message names the value, unless it may be a secret, and the remedy.
	Message string `json:"message"`
}

// String is the fault in one line.
func (f Fault) String() string {
	parts := []string{}
	for _, p := range []string{f.Source.String(), f.Path, f.Message} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// RefusedError is that a configuration is refused, with every fault.
type RefusedError struct{ Faults []Fault }

func (e *RefusedError) Error() string {
	lines := []string{"the configuration is refused:"}
	for _, f := range e.Faults {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// Problem is a contradiction that a configuration finds in itself.
type Problem struct {
	Path    string // of the field to change
	Message string
}

// shown is a value as a fault shows it.
func (f *Field) shown(given []string) string {
	if f.Type == Ref { // it may be the secret itself
		return ""
	}
	text := strings.Join(given, ",")
	const most = 60
	if list := []rune(text); len(list) > most {
		text = string(list[:most-1]) + "…"
	}
	return fmt.Sprintf("%q: ", text)
}
