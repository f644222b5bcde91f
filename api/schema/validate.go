// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/jsondoc"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// Bounds of an artifact. An envelope stays below 2048 bytes and its payload below
// 65536 (event-abi section 1); the largest plans are some ten kilobytes.
const (
	// MaxArtifactBytes is the size beyond which an artifact is refused unread.
	MaxArtifactBytes = 4 << 20
	// MaxDepth is the nesting beyond which it is refused.
	MaxDepth = 64
	// MaxValues is the number of values and member names beyond which it is refused.
	MaxValues = 1 << 18
)

// Codes of artifacts that cannot be read as one JSON document.
const (
	CodeSyntax        = "syntax"
	CodeEmptyDocument = "empty_document"
	CodeTrailingData  = "trailing_data"
	CodeTooLarge      = "too_large"
	CodeTooDeep       = "too_deep"
	CodeTooManyValues = "too_many_values"
	CodeUnknownKind   = "unknown_kind"
)

// CodeDuplicateKey is the code of a name that occurs twice in one object; of the two
// the first one is judged further.
const CodeDuplicateKey = shape.CodeDuplicateKey

// Nearest gives the candidate that a misspelt name most likely meant, "" when none is
// likely enough.
func Nearest(name string, among []string) string { return shape.Nearest(name, among) }

// Fault is one defect of an artifact.
type Fault struct {
	// Pointer leads to the defect (RFC 6901). "" is the whole document; for a missing
	// field it is where the field belongs.
	Pointer string `json:"pointer"`
	// Code is stable across releases of a major version.
	Code string `json:"code"`
	// Message names field, value and remedy, for people.
	Message string `json:"message"`
	// Line and Column count from 1, Offset counts bytes from 0. They lead to the value
	// concerned, or to the object that lacks a field.
	Line   int `json:"line"`
	Column int `json:"column"`
	Offset int `json:"offset"`
}

// Report is the result of checking one artifact.
type Report struct {
	Kind Kind
	// Faults are the reasons why the artifact is refused; empty when it is valid.
	Faults []Fault
	// Notes are findings that do not make it invalid: unknown additions that the
	// unknown-event action tolerates, limits that it should keep, a legacy plan whose
	// hash cannot be verified. Each use of an unknown addition is to be audited.
	Notes []Fault
}

// Valid reports whether the artifact has no faults.
func (r Report) Valid() bool { return len(r.Faults) == 0 }

// Options steer a [Validator]. The zero value holds the defaults.
type Options struct {
	// UnknownAction governs additions of newer minor versions, unknown extension
	// namespaces and unknown payload types; "" is drop. Under reject they are faults.
	UnknownAction eventabi.UnknownAction
}

// Validator checks artifacts. It builds the tables once, so use one for many artifacts.
// It does not change after [NewValidator] and may be shared.
type Validator struct {
	opts   Options
	shapes []*shape.Shape // in the order of PublishedKinds
}

// NewValidator returns a validator with these options.
func NewValidator(opts Options) *Validator {
	v := &Validator{opts: opts}
	for _, k := range PublishedKinds() {
		v.shapes = append(v.shapes, shapeOf(k))
	}
	return v
}

// shape returns the shape of a kind, nil for an unknown one.
func (v *Validator) shape(k Kind) *shape.Shape {
	if i := slices.Index(PublishedKinds(), k); i >= 0 {
		return v.shapes[i]
	}
	return nil
}

// Validate checks one artifact from its raw JSON and reports every fault, in the
// order of the artifact's definition. It never panics, whatever data holds.
func (v *Validator) Validate(kind Kind, data []byte) Report {
	_, report := v.inspect(kind, data)
	return report
}

// Validate checks one artifact with a validator of its own; see [Validator.Validate].
func Validate(kind Kind, data []byte, opts Options) Report {
	return NewValidator(opts).Validate(kind, data)
}

// inspect is Validate, and hands out the tree; nil when data is not one document.
func (v *Validator) inspect(kind Kind, data []byte) (*jsondoc.Value, Report) {
	s := v.shape(kind)
	if s == nil {
		return nil, Report{Kind: kind, Faults: []Fault{{
			Code: CodeUnknownKind, Line: 1, Column: 1, Message: fmt.Sprintf("kind %q is unknown; use one of %v", kind, PublishedKinds()),
		}}}
	}
	doc, err := jsondoc.Parse(data, limits())
	if err != nil {
		p := err.Position
		return nil, Report{Kind: kind, Faults: []Fault{{
			Pointer: err.Pointer, Code: parseCode(err.Class), Message: err.Error(), Line: p.Line, Column: p.Column, Offset: p.Offset,
		}}}
	}
	in := inspector{action: v.opts.UnknownAction, faults: shape.Repeats(doc, "")}
	in.artifact(kind, s, doc, "")
	return doc, Report{Kind: kind, Faults: locate(data, in.faults), Notes: locate(data, in.notes)}
}

func limits() jsondoc.Limits {
	return jsondoc.Limits{MaxBytes: MaxArtifactBytes, MaxDepth: MaxDepth, MaxValues: MaxValues}
}

func parseCode(class jsondoc.ErrorClass) string {
	switch class {
	case jsondoc.Syntax:
		return CodeSyntax
	case jsondoc.Empty:
		return CodeEmptyDocument
	case jsondoc.Trailing:
		return CodeTrailingData
	case jsondoc.TooManyBytes:
		return CodeTooLarge
	case jsondoc.TooDeep:
		return CodeTooDeep
	case jsondoc.TooManyValues:
		return CodeTooManyValues
	}
	return CodeSyntax
}

// locate adds lines and columns, in one walk over data however many faults there are.
func locate(data []byte, faults []shape.Fault) []Fault {
	order := make([]int, len(faults))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return faults[a].Offset - faults[b].Offset })
	out := make([]Fault, len(faults))
	locator := jsondoc.NewLocator(data)
	for _, i := range order {
		f := faults[i]
		p := locator.Locate(f.Offset)
		out[i] = Fault{
			Pointer: f.Pointer, Code: f.Code, Message: f.Message, Line: p.Line, Column: p.Column, Offset: p.Offset,
		}
	}
	return out
}

// inspector gathers the findings of one artifact.
type inspector struct {
	action        eventabi.UnknownAction
	faults, notes []shape.Fault
}

func (in *inspector) fault(pointer, code string, offset int, format string, args ...any) {
	in.faults = append(in.faults, shape.Fault{
		Pointer: pointer, Code: code, Offset: offset, Message: shape.Name(pointer) + " " + fmt.Sprintf(format, args...),
	})
}

func (in *inspector) note(pointer, code string, offset int, format string, args ...any) {
	in.notes = append(in.notes, shape.Fault{
		Pointer: pointer, Code: code, Offset: offset, Message: shape.Name(pointer) + " " + fmt.Sprintf(format, args...),
	})
}

// artifact checks v, an artifact of that kind that stands at pointer.
func (in *inspector) artifact(kind Kind, s *shape.Shape, v *jsondoc.Value, pointer string) {
	if kind == ArtifactBundle {
		in.bundle(s, v, pointer)
		return
	}
	if (kind == EventRecord || kind == ControlSignal) && in.otherMajor(v, pointer) {
		return
	}
	in.faults = append(in.faults, shape.Check(s, v, pointer)...)
	switch kind {
	case EventRecord, ControlSignal:
		in.event(s, v, pointer)
	case ResolvedTurnPlan:
		in.plan(v, pointer)
	case TurnTransition, DecisionOutcome, ArtifactBundle, PipelineSpec:
	}
}

// bundle checks the frame first and then each part as an artifact of its own.
func (in *inspector) bundle(s *shape.Shape, v *jsondoc.Value, pointer string) {
	frame := *s
	frame.Fields = nil
	for _, f := range s.Fields {
		frame.Fields = append(frame.Fields, shape.Field{
			Name: f.Name, Required: true, Shape: &shape.Shape{Type: shape.Object, Open: true, Doc: "an artifact of that kind"},
		})
	}
	in.faults = append(in.faults, shape.Check(&frame, v, pointer)...)
	for _, f := range s.Fields {
		part := v.Get(f.Name)
		kind, _ := ParseKind(f.Name)
		if part != nil && part.Kind == jsondoc.Object {
			in.artifact(kind, f.Shape, part, pointer+"/"+f.Name)
		}
	}
}

// otherMajor reports an artifact of a major version that this build does not read.
// Nothing else can be said about it, so that is its only fault.
func (in *inspector) otherMajor(v *jsondoc.Value, pointer string) bool {
	field := v.Get("schema_version")
	version, err := eventabi.ParseVersion(field.Str())
	if err != nil || version.Readable() {
		return false
	}
	in.fault(pointer+"/schema_version", CodeUnsupportedMajor, field.Offset,
		"is %s, but this build reads major version v%d only (it knows %s); convert the artifact or use a build that reads v%d",
		version, eventabi.KnownMajor, eventabi.SchemaVersion, version.Major)
	return true
}
