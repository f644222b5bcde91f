// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// setting is one value with its source.
type setting struct {
	text   string   // a string, or a number in decimal
	list   []string // of a list; then text is empty
	kind   settingKind
	source Source
}

type settingKind uint8

const (
	textSetting settingKind = iota
	numberSetting
	listSetting
	// rawSetting is a value that only its reader knows, as JSON: one of a node's config.
	rawSetting
	// emptySetting says that an object without members stands at the path: an edge that
	// was named, and nothing said of it.
	emptySetting
)

// json writes the value.
func (s setting) json() string {
	switch s.kind {
	case numberSetting, rawSetting:
		return s.text
	case listSetting:
		out := make([]string, len(s.list))
		for i, v := range s.list {
			out[i] = quote(v)
		}
		return "[" + strings.Join(out, ", ") + "]"
	case emptySetting:
		return "{}"
	case textSetting:
	}
	return quote(s.text)
}

// number is the value of a number. The schema saw to it that it fits.
func (s setting) number() int64 {
	n, err := strconv.ParseInt(s.text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func num(n int64, source Source) setting {
	return setting{text: strconv.FormatInt(n, 10), kind: numberSetting, source: source}
}

func str[T ~string](s T, source Source) setting { return setting{text: string(s), source: source} }

// settings are values by field path: what one layer gives, or several laid over each
// other.
type settings map[string]setting

// over lays the settings of s over those of base, field by field: of a path that both
// give, the value of s stands.
func (s settings) over(base settings) settings {
	out := make(settings, len(base)+len(s))
	maps.Copy(out, base)
	maps.Copy(out, s)
	return out
}

// below gives what lies below a path, by the rest of its path.
func (s settings) below(path string) settings {
	out := settings{}
	for p, v := range s {
		if rest, ok := strings.CutPrefix(p, path+"."); ok {
			out[rest] = v
		}
	}
	return out
}

// children lists the names directly below a path, sorted.
func (s settings) children(path string) []string {
	seen := map[string]bool{}
	for p := range s {
		if path != "" {
			rest, ok := strings.CutPrefix(p, path+".")
			if !ok {
				continue
			}
			p = rest
		}
		name, _ := head(p)
		seen[name] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// groups gives what lies below each name directly below a path, by the rest of its path.
// It looks at each value once, so that a file with many tenants or nodes costs what its
// length is.
func (s settings) groups(path string) map[string]settings {
	out := map[string]settings{}
	for p, v := range s {
		rest, ok := strings.CutPrefix(p, path+".")
		if !ok {
			continue
		}
		name, rest := head(rest)
		if out[name] == nil {
			out[name] = settings{}
		}
		if rest != "" {
			out[name][rest] = v
		}
	}
	return out
}

// flatten takes the fields of a checked document apart. What lies in an open field is kept
// as it is written; its objects are taken apart, so that a layer can change one value in it.
func (n *node) flatten(layer Layer, fields *Field) settings {
	out := settings{}
	n.into(out, layer, fields, "")
	return out
}

func (n *node) into(out settings, layer Layer, f *Field, path string) {
	source := Source{Layer: layer, File: n.at.file, Line: n.at.line, Column: n.at.column}
	open := f != nil && f.Open
	switch n.kind {
	case objectNode:
		if len(n.members) == 0 && path != "" {
			out[path] = setting{kind: emptySetting, source: source}
		}
		for _, m := range n.members {
			at, below := segment(m.name), f
			if path != "" {
				at = path + "." + at
			}
			if !open {
				below = f.Child(m.name)
			}
			m.value.into(out, layer, below, at)
		}
	case listNode:
		v := setting{kind: listSetting, list: []string{}, source: source}
		if open {
			raw, _ := n.encode()
			v = setting{kind: rawSetting, text: string(raw), source: source}
		}
		for i := 0; i < len(n.elems) && !open; i++ {
			v.list = append(v.list, n.elems[i].scalar().text)
		}
		out[path] = v
	case scalarNode:
		v := n.scalar()
		if open && v.kind == numberSetting {
			v = setting{kind: rawSetting, text: n.json}
		}
		v.source = source
		out[path] = v
	}
}

// scalar reads a scalar. A number is an integer, or the schema would have refused it;
// 1e3 is one.
func (n *node) scalar() setting {
	var text string
	if json.Unmarshal([]byte(n.json), &text) == nil {
		return setting{text: text}
	}
	return setting{text: decimal(n.json), kind: numberSetting}
}

// decimal writes an integer of JSON in shortest form.
func decimal(lit string) string {
	neg := strings.HasPrefix(lit, "-")
	mantissa, power, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(lit, "-")), "e")
	whole, frac, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+frac, "0")
	if digits == "" {
		return "0"
	}
	exp, err := strconv.Atoi("0" + strings.TrimPrefix(power, "+"))
	if strings.HasPrefix(power, "-") {
		exp, err = strconv.Atoi(power)
	}
	const most = 20 // what is larger the schema has refused
	exp = min(exp-len(frac), most)
	if err != nil {
		return "0"
	}
	if exp < 0 {
		digits = digits[:max(0, len(digits)+exp)]
	} else {
		digits += strings.Repeat("0", exp)
	}
	if neg {
		return "-" + digits
	}
	return digits
}
