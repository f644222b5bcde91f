// SPDX-License-Identifier: Apache-2.0

package shape

import "math"

// Type is the JSON type that a shape admits.
type Type uint8

// The types. Integer is a number without a fractional part; Any admits everything.
const (
	Any Type = iota
	Object
	Array
	String
	Integer
	Number
	Boolean
)

// MaxInteger is the largest integer that the contract admits anywhere: an int64.
const MaxInteger = math.MaxInt64

// Shape describes one JSON value. The zero value admits everything. Shapes are
// shared between fields and must not change once they are in use.
type Shape struct {
	Type Type
	// Nullable admits null beside Type.
	Nullable bool
	// Doc says what the value is, in a phrase; it is the schema's description and the
	// remedy of a missing field.
	Doc string
	// Private keeps the value, and everything below it, out of messages.
	Private bool

	// Enum is the closed set of a string; empty means any string. Why is the reason for
	// it, for a message, where the set alone would look arbitrary.
	Enum []string
	Why  string
	// AllowEmpty admits the empty string; strings are otherwise non-empty (event-abi
	// section 1).
	AllowEmpty bool
	// Pattern is the form of a string.
	Pattern Pattern

	// Min and Max bound an integer. Max 0 stands for MaxInteger.
	Min, Max int64
	// UnitInterval bounds a number to 0..1.
	UnitInterval bool
	// MustBeTrue admits only the boolean true.
	MustBeTrue bool

	// Items is the shape of each element of an array, with bounds on their number;
	// MaxItems 0 means no bound. Unique refuses equal elements.
	Items              *Shape
	MinItems, MaxItems int
	Unique             bool

	// Fields are the known members of an object. Unless Open, or Values is set, other
	// members are faults with code unknown_field.
	Fields []Field
	Open   bool
	// Names is the form of every member name, Values the shape of members that are
	// not in Fields.
	Names  Pattern
	Values *Shape
	// MinMembers is the least number of members.
	MinMembers int
	// Rules are the conditional demands on an object, in the order of checking.
	Rules []Rule

	// Or are shapes of other types that do as well: a value is held to the one whose type it
	// has, and to this one where it has none of their types.
	Or []*Shape

	// Ref names a shape that the schema refers to by URN instead of spelling it out.
	Ref string
}

// Field is a known member of an object.
type Field struct {
	Name     string
	Required bool
	Shape    *Shape
}

// Rule makes its demands of an object in which all conditions of When hold.
type Rule struct {
	// Doc is the rule in words, with the section of the norm; it ends up in messages
	// and as the schema's $comment.
	Doc  string
	When []Cond
	Then []Demand
}

// condOp is the kind of a condition.
type condOp uint8

const (
	opIn condOp = iota
	opHas
	opLacks
	opTrue
	opMatches
	opDiffers
	opInside
)

// Cond is a condition on one member of an object.
type Cond struct {
	op      condOp
	field   string
	values  []string
	pattern Pattern
	inner   *Cond
}

// In holds when the field is a string out of values.
func In(field string, values ...string) Cond { return Cond{op: opIn, field: field, values: values} }

// Has holds when the field is present, whatever its value; Lacks when it is not.
func Has(field string) Cond { return Cond{op: opHas, field: field} }

// Lacks holds when the field is absent.
func Lacks(field string) Cond { return Cond{op: opLacks, field: field} }

// True holds when the field is the boolean true.
func True(field string) Cond { return Cond{op: opTrue, field: field} }

// Matches holds when the field is a string of that form.
func Matches(field string, p Pattern) Cond { return Cond{op: opMatches, field: field, pattern: p} }

// Differs holds when the field is not a string of that form, or absent.
func Differs(field string, p Pattern) Cond { return Cond{op: opDiffers, field: field, pattern: p} }

// Inside holds when the field is an object in which inner holds.
func Inside(field string, inner Cond) Cond { return Cond{op: opInside, field: field, inner: &inner} }

// demandOp is the kind of a demand.
type demandOp uint8

const (
	opRequire demandOp = iota
	opForbid
	opRestrict
	opExactlyOne
	opAtLeastOne
	opClosed
	opSomeName
)

// Demand is what a rule asks of an object. Code is the code of the fault when the
// demand is not met; empty stands for the usual code of such a fault.
type Demand struct {
	op      demandOp
	code    string
	fields  []string
	shape   *Shape
	pattern Pattern
}

// Require demands that the fields are present (usual code: required).
func Require(fields ...string) Demand { return Demand{op: opRequire, fields: fields} }

// Forbid demands that the fields are absent (usual code: forbidden).
func Forbid(fields ...string) Demand { return Demand{op: opForbid, fields: fields} }

// Restrict demands that the field, if present, has the shape as well.
func Restrict(field string, s *Shape) Demand {
	return Demand{op: opRestrict, fields: []string{field}, shape: s}
}

// ExactlyOne demands that one of the fields is present and the others are not (usual
// code: one_of).
func ExactlyOne(fields ...string) Demand { return Demand{op: opExactlyOne, fields: fields} }

// AtLeastOne demands that one of the fields is present (usual code: any_of).
func AtLeastOne(fields ...string) Demand { return Demand{op: opAtLeastOne, fields: fields} }

// ClosedTo demands that no other members are present (usual code: unknown_field).
func ClosedTo(fields ...string) Demand { return Demand{op: opClosed, fields: fields} }

// SomeName demands that a member of the object in field has a name of that form
// (usual code: required).
func SomeName(field string, p Pattern) Demand {
	return Demand{op: opSomeName, fields: []string{field}, pattern: p}
}

// As gives the demand a code of its own.
func (d Demand) As(code string) Demand {
	d.code = code
	return d
}

// OneOf is the shape of a string out of a closed set.
func OneOf[T ~string](doc string, values ...T) *Shape {
	s := &Shape{Type: String, Doc: doc}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}

// Text is the shape of a non-empty string.
func Text(doc string) *Shape { return &Shape{Type: String, Doc: doc} }

// Count is the shape of an integer of at least least.
func Count(doc string, least int64) *Shape { return &Shape{Type: Integer, Doc: doc, Min: least} }

// Flag is the shape of a boolean.
func Flag(doc string) *Shape { return &Shape{Type: Boolean, Doc: doc} }
