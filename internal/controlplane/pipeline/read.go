// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/schema"
)

// Normalizer reads documents and resolves them (CP-02). It holds the description of the
// pipeline spec, does not change after New, and may be shared.
type Normalizer struct {
	validator *schema.Validator
	fields    *Field
	kinds     Kinds
}

// New makes a normalizer. An error says that the published schema of this build cannot
// be read.
//
// kinds are the types of nodes that the program registers; nil = none.
func New(kinds Kinds) (*Normalizer, error) {
	fields, err := describe()
	if err != nil {
		return nil, err
	}
	return &Normalizer{validator: schema.NewValidator(schema.Options{}), fields: fields, kinds: kinds}, nil
}

// Fields describes the pipeline spec.
func (n *Normalizer) Fields() *Field { return n.fields }

// Document is what one layer gives.
type Document struct {
	Layer Layer
	// Faults are the defects of the document by itself. Resolve reports them too.
	Faults []Fault
	given  settings
	unfit  []string // paths of what was given and left out
}

// Read reads a pipeline spec, or what one changes of it, in YAML, or in JSON when the
// name ends in .json. The document holds what of it is fit.
func (n *Normalizer) Read(layer Layer, name string, data []byte) *Document {
	d := &Document{Layer: layer, given: settings{}}
	if len(data) > MaxSpecBytes {
		d.Faults = []Fault{{
			File: name, Line: 1, Column: 1, Code: schema.CodeTooLarge,
			Message: "the file is larger than " + itoa(MaxSpecBytes) + " bytes",
		}}
		return d
	}
	if fault := notText(name, data); fault != nil {
		d.Faults = []Fault{*fault}
		return d
	}
	var root *node
	if strings.EqualFold(filepath.Ext(name), ".json") {
		var fault *Fault
		if root, fault = n.json(name, data); fault != nil {
			d.Faults = []Fault{*fault}
			return d
		}
	} else {
		var fault *Fault
		if root, fault = readYAML(name, data); fault != nil {
			d.Faults = []Fault{*fault}
			return d
		}
	}
	if root != nil {
		n.take(d, root)
	}
	return d
}

// notText reports the first byte that is no UTF-8.
func notText(name string, data []byte) *Fault {
	if utf8.Valid(data) {
		return nil
	}
	f := &Fault{File: name, Line: 1, Column: 1, Code: schema.CodeSyntax}
	for rest := data; ; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size <= 1 {
			f.Message = fmt.Sprintf("byte 0x%02x is no UTF-8; save the file as UTF-8", rest[0])
			return f
		}
		f.Column++
		if r == '\n' {
			f.Line, f.Column = f.Line+1, 1
		}
		rest = rest[size:]
	}
}

// json reads a JSON document. What makes it none is found by the schema's own reader,
// which says it better than any other.
func (n *Normalizer) json(name string, data []byte) (*node, *Fault) {
	for _, f := range n.validator.Validate(schema.PipelineSpec, data).Faults {
		switch f.Code {
		case schema.CodeSyntax, schema.CodeEmptyDocument, schema.CodeTrailingData,
			schema.CodeTooLarge, schema.CodeTooDeep, schema.CodeTooManyValues:
			return nil, &Fault{File: name, Line: f.Line, Column: f.Column, Path: pathOf(f.Pointer), Code: f.Code, Message: f.Message}
		}
	}
	root, err := readJSON(name, data)
	if err != nil {
		return nil, &Fault{File: name, Line: 1, Column: 1, Code: schema.CodeSyntax, Message: err.Error()}
	}
	return root, nil
}

// take checks a document by itself, and keeps what of it is fit.
func (n *Normalizer) take(d *Document, root *node) {
	raw, starts := root.encode()
	unfit := map[string]bool{}
	for _, f := range n.validator.Validate(schema.PipelineSpec, raw).Faults {
		at := starts[f.Offset]
		if f.Code != schema.CodeDuplicateKey { // of two, the first stands
			unfit[f.Pointer] = true
			d.unfit = append(d.unfit, pathOf(f.Pointer))
		}
		d.Faults = append(d.Faults, Fault{
			File: at.at.file, Line: at.at.line, Column: at.at.column, Path: pathOf(f.Pointer), Code: f.Code, Value: at.value, Message: f.Message,
		})
	}
	if fit := root.without(unfit, ""); fit != nil {
		n.conditions(d, fit)
		d.given = fit.flatten(d.Layer, n.fields)
		d.spell()
	}
}

// spell turns the spellings that authors may use into those of the plan (flow section 1).
func (d *Document) spell() {
	for _, id := range d.given.children("edges") {
		edge := join("edges", id)
		d.spellStrategy(edge, edge+".strategy")
		d.spellStrategy(edge, edge+".lane_handling.DataLane")
	}
	for path, v := range d.given {
		switch {
		case path == "profile":
			v.text = controlplane.ProfileSimple
		case path == "allowed_adaptive_actions":
			v.list = canonicalActions(v.list)
		case strings.HasPrefix(path, "quotas.") && strings.HasSuffix(path, ".action") && v.text == "throttle":
			v.text = string(controlplane.QuotaDefer)
		default:
			continue
		}
		d.given[path] = v
	}
}

func (d *Document) spellStrategy(edge, path string) {
	v, ok := d.given[path]
	if !ok {
		return
	}
	said := v.text
	var victim controlplane.DropVictim
	switch said {
	case "drop_newest":
		victim = controlplane.VictimNewest
	case "drop_oldest":
		victim = controlplane.VictimOldest
	case "coalesce":
		v.text = string(controlplane.StrategyMerge)
	case "latest-only":
		v.text = string(controlplane.StrategyLatestOnly)
	}
	if victim != "" {
		v.text = string(controlplane.StrategyDrop)
		other, given := d.given[edge+".drop_victim"]
		if given && other.text != string(victim) {
			d.Faults = append(d.Faults, fault(v.source, path, CodeVictim, quote(said),
				"is %s, but drop_victim is %s; keep one of the two", quote(said), other.text))
		}
		if !given {
			d.given[edge+".drop_victim"] = str(victim, v.source)
		}
	}
	d.given[path] = v
}

// canonicalActions puts adaptive actions in the order of the plan, each once.
func canonicalActions(list []string) []string {
	out := []string{}
	for _, a := range controlplane.AdaptiveActions() {
		if slices.Contains(list, string(a)) {
			out = append(out, string(a))
		}
	}
	return out
}

// fault makes a fault of the value that came from source. The message goes on after the
// field's name.
func fault(source Source, path, code, value, format string, args ...any) Fault {
	names, err := splitPath(path)
	name := path
	if err == nil {
		name = names[len(names)-1]
	}
	return Fault{
		File: source.File, Line: source.Line, Column: source.Column, Path: path, Code: code, Value: value,
		Message: name + " " + fmt.Sprintf(format, args...),
	}
}
