// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Sources are what a configuration is filled from.
type Sources struct {
	// Name and Data are the file; no data = there is none.
	Name string
	Data []byte
	// Prefix begins the variables that are meant, such as PARLEY_SERVE__; Environment is
	// "NAME=value", as os.Environ gives it.
	Prefix      string
	Environment []string
	// Flags are values that the command line gives, the later one of a field over the
	// earlier.
	Flags []Given
}

// Given is a value of the command line.
type Given struct {
	Flag  string // as the user wrote it, e.g. --listen
	Path  string
	Value string
}

// Set reads path=value, as a flag of this name takes it.
func Set(flag, text string) (Given, error) {
	path, value, ok := strings.Cut(text, "=")
	if !ok || strings.TrimSpace(path) == "" {
		return Given{}, fmt.Errorf("%s %q has no =: write path=value, such as auth.mode=token", flag, text)
	}
	return Given{Flag: flag, Path: strings.TrimSpace(path), Value: value}, nil
}

// Value is one value that is in force.
type Value struct {
	Path   string `json:"path"`
	Text   string `json:"value"`
	Source Source `json:"source"`
}

// Validator is implemented by configurations whose fields can contradict each other.
type Validator interface{ Problems() []Problem }

// Loaded is what is in force and where it came from.
type Loaded struct {
	fields []Field
	config reflect.Value
	source map[string]Source
	faults []Fault
}

// Load fills config, a pointer to a struct that holds the defaults. The error is a
// *RefusedError with every fault; nothing is in force then.
func Load(config any, from Sources) (*Loaded, error) {
	l := &Loaded{fields: Fields(config), config: reflect.ValueOf(config).Elem(), source: map[string]Source{}}
	l.file(from.Name, from.Data)
	l.environment(from.Prefix, from.Environment)
	for _, g := range from.Flags {
		l.take(g.Path, words(l.find(g.Path), g.Value), Source{Layer: Flag, Name: g.Flag})
	}
	if v, ok := config.(Validator); ok && len(l.faults) == 0 {
		for _, p := range v.Problems() {
			l.faults = append(l.faults, Fault{Source: l.source[p.Path], Path: p.Path, Message: p.Message})
		}
	}
	if len(l.faults) > 0 {
		return nil, &RefusedError{Faults: l.faults}
	}
	return l, nil
}

// Values lists what is in force, in the order of the fields.
func (l *Loaded) Values() []Value {
	list := make([]Value, len(l.fields))
	for i := range l.fields {
		f := &l.fields[i]
		list[i] = Value{Path: f.Path, Text: f.text(l.config), Source: l.Source(f.Path)}
	}
	return list
}

// Source says where the value of a field came from.
func (l *Loaded) Source(path string) Source {
	if s, ok := l.source[path]; ok {
		return s
	}
	return Source{Layer: Default}
}

func (l *Loaded) find(path string) *Field {
	for i := range l.fields {
		if l.fields[i].Path == path {
			return &l.fields[i]
		}
	}
	return nil
}

// words are what one text gives: of a list its items, which commas part.
func words(f *Field, text string) []string {
	if f == nil || f.Type != List {
		return []string{text}
	}
	list := []string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// take puts a value in force, or notes what is wrong with it.
func (l *Loaded) take(path string, given []string, at Source) {
	f := l.find(path)
	if f == nil {
		l.fault(at, path, l.unknown(path))
		return
	}
	if f.Type == Table {
		l.written(f, given, at)
		return
	}
	if remedy := f.put(l.config, given); remedy != "" {
		l.fault(at, path, f.shown(given)+remedy)
		return
	}
	l.source[path] = at
}

func (l *Loaded) fault(at Source, path, message string) {
	l.faults = append(l.faults, Fault{Source: at, Path: path, Message: message})
}

// unknown is what is said of a path that no field has.
func (l *Loaded) unknown(path string) string {
	var names []string
	for i := range l.fields {
		name := l.fields[i].Path
		if strings.HasPrefix(name, path+".") {
			return "this is a section: name a field of it, such as " + name
		}
		names = append(names, name)
		if section, _, ok := strings.Cut(name, "."); ok {
			names = append(names, section)
		}
	}
	if near := nearest(path, names); near != "" {
		return "there is no such setting: did you mean " + near + "?"
	}
	return "there is no such setting: parley config print lists them"
}

// environment reads the variables that are meant.
func (l *Loaded) environment(prefix string, environment []string) {
	if prefix == "" {
		return
	}
	for _, text := range slices.Sorted(slices.Values(environment)) {
		name, value, _ := strings.Cut(text, "=")
		rest, ours := strings.CutPrefix(name, prefix)
		if !ours || value == "" {
			continue
		}
		path := strings.ToLower(strings.ReplaceAll(rest, "__", "."))
		l.take(path, words(l.find(path), value), Source{Layer: Environment, Name: name})
	}
}

// nearest gives the name that a misspelt one most likely meant; "" is none.
func nearest(name string, among []string) string {
	best, least := "", min(3, len(name)/3)+1
	for _, candidate := range among {
		last := candidate[strings.LastIndexByte(candidate, '.')+1:]
		if d := min(distance(name, candidate), distance(name, last)); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance counts the letters to insert, remove or replace. What is longer than any
// setting's name is far from all of them.
func distance(a, b string) int {
	const longest = 80
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var row, next [longest + 1]int
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(next[j]+1, row[j+1]+1, row[j]+cost)
		}
		row = next
	}
	return row[len(b)]
}
