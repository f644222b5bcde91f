// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// config checks what a node of the runtime's own is told.
func (b *nodeWork) config(t *NodeType) {
	given := b.given.below("config")
	var names []string
	for _, f := range t.Config {
		names = append(names, f.Name)
	}
	seen := map[string]bool{}
	for _, path := range given.sorted() {
		name, rest := head(path)
		v := given[path]
		i := slices.Index(names, name)
		switch {
		case seen[name]:
			continue
		case i < 0 && len(names) == 0:
			b.fault(v.source, "config."+path, CodeConfig, v.json(), "is no field of the type %s, which is told nothing; leave it out", t.Name)
		case i < 0:
			b.fault(v.source, "config."+path, CodeConfig, v.json(), "is no field of the type %s%s", t.Name, didYouMean(name, names))
		case rest != "":
			b.fault(v.source, "config."+path, CodeConfig, "", "lies below %s, which is a %s; want %s", name, t.Config[i].Type, t.Config[i].Doc)
		default:
			if want := t.Config[i].wants(v); want != "" {
				b.fault(v.source, "config."+path, CodeConfig, v.json(), "is %s; want %s: %s", v.json(), want, t.Config[i].Doc)
			}
		}
		seen[name] = true
	}
	if p, ok := given["provider"]; ok {
		if c, both := given["candidates"]; both {
			b.fault(later(p.source, c.source), "config.candidates", CodeConfig, "", "stands beside provider; candidates name them all: leave provider out")
		}
	}
	if line, ok := given["line"]; t.Name == "error_responder" && (!ok || strings.TrimSpace(line.text) == "") {
		source := b.given["type"].source
		if ok {
			source = line.source
		}
		b.fault(source, "config.line", CodeRequired, "", "is missing; give the words that the node says")
	}
}

// stringList reads a list of texts out of an open field; nil = it is none.
func stringList(v setting) (list []string) {
	if v.kind != rawSetting || json.Unmarshal([]byte(v.text), &list) != nil {
		return nil
	}
	return list
}

// later is the one of two places that is read second.
func later(a, b Source) Source {
	if b.Line > a.Line || b.Line == a.Line && b.Column > a.Column {
		return b
	}
	return a
}

// Admits says which values the field takes, in words.
func (f *ConfigField) Admits() string {
	switch f.Type {
	case "string":
		return "text"
	case "list":
		return "list of 1 or 2 names"
	}
	return f.bounds()
}

func (f *ConfigField) bounds() string {
	return strconv.FormatFloat(f.Min, 'g', -1, 64) + " to " + strconv.FormatFloat(f.Max, 'f', -1, 64)
}

// wants says what a field wants where a value is something else; empty = it fits.
func (f *ConfigField) wants(v setting) string {
	switch f.Type {
	case "string":
		if v.kind != textSetting || v.text == "" {
			return "a text"
		}
	case "list":
		const most = 2
		list := stringList(v)
		if len(list) == 0 || len(list) > most || slices.Contains(list, "") {
			return "a list of 1 to " + itoa(most) + " names"
		}
	default:
		n, err := strconv.ParseFloat(v.text, 64)
		if v.kind != rawSetting || err != nil || n < f.Min || n > f.Max || f.Type == "integer" && n != float64(int64(n)) {
			article := "a"
			if f.Type == "integer" {
				article = "an"
			}
			return article + " " + f.Type + " from " + f.bounds()
		}
	}
	return ""
}
