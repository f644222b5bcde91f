// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxRows bounds a table.
const maxRows = 64

// table reads a list of sections. It is taken as a whole, or not at all.
func (l *Loaded) table(file string, n *yaml.Node, f *Field, at Source) {
	if n.Kind != yaml.SequenceNode || len(n.Content) > maxRows {
		l.fault(at, f.Path, fmt.Sprintf("give %s, at most %d", f.Admits(), maxRows))
		return
	}
	to := l.config.FieldByIndex(f.index)
	rows := reflect.MakeSlice(to.Type(), len(n.Content), len(n.Content))
	faults := len(l.faults)
	for i, item := range n.Content {
		where := fmt.Sprintf("%s[%d]", f.Path, i)
		if item.Kind != yaml.MappingNode || item.Anchor != "" {
			l.fault(Source{File, file, item.Line, item.Column}, where, "give a section: name: value")
			continue
		}
		row := &Loaded{fields: f.Columns, config: rows.Index(i), source: map[string]Source{}}
		row.section(file, item, "", 0)
		for _, fault := range row.faults {
			fault.Path = strings.TrimSuffix(where+"."+fault.Path, ".")
			l.faults = append(l.faults, fault)
		}
	}
	if len(l.faults) == faults {
		to.Set(rows)
		l.source[f.Path] = at
	}
}

// written reads a table that a variable or a flag gives, as YAML, of which JSON is a part. What
// is wrong in it is wrong at that place.
func (l *Loaded) written(f *Field, given []string, at Source) {
	var doc yaml.Node
	text := strings.Join(given, ",")
	if len(text) > MaxFileBytes || yaml.Unmarshal([]byte(text), &doc) != nil || len(doc.Content) != 1 {
		l.fault(at, f.Path, f.shown(given)+"write a list of sections, such as [{name: a}, {name: b}]")
		return
	}
	faults := len(l.faults)
	l.table(at.Name, doc.Content[0], f, at)
	for i := range l.faults[faults:] {
		l.faults[faults+i].Source = at
	}
}

// rows writes a table so that it can be read again. Fields that say nothing are left out.
func (f *Field) rows(v reflect.Value) string {
	if v.Len() == 0 {
		return ""
	}
	items := make([]string, v.Len())
	for i := range items {
		var parts []string
		for c := range f.Columns {
			column := &f.Columns[c]
			if cell := v.Index(i).FieldByIndex(column.index); !cell.IsZero() {
				raw, err := json.Marshal(cell.Interface())
				if err != nil {
					continue // of texts, numbers and lists of texts there is no such
				}
				parts = append(parts, column.Path+": "+string(raw))
			}
		}
		items[i] = "{" + strings.Join(parts, ", ") + "}"
	}
	return "[" + strings.Join(items, ", ") + "]"
}
