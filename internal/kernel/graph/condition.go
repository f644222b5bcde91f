// SPDX-License-Identifier: Apache-2.0

package graph

import "strings"

// AttributeKind is the attribute that every item has: its type.
const AttributeKind = "kind"

// numeric says that an operator puts numbers in order.
func (o Op) numeric() bool { return o == OpLess || o == OpAtMost || o == OpMore || o == OpAtLeast }

// Known says whether there is such an operator.
func (o Op) Known() bool { return o == OpEqual || o == OpNotEqual || o.numeric() }

// Micro reads a decimal of at most twelve digits before and six behind the point, in
// millionths; false where the text is none.
func Micro(s string) (int64, bool) {
	s, minus := strings.CutPrefix(s, "-")
	whole, part, dot := strings.Cut(s, ".")
	if whole == "" || len(whole) > 12 || len(part) > 6 || dot && part == "" {
		return 0, false
	}
	n, ok := digits(0, whole)
	if !ok {
		return 0, false
	}
	if n, ok = digits(n, part); !ok {
		return 0, false
	}
	for range 6 - len(part) {
		n *= 10
	}
	if minus {
		n = -n
	}
	return n, true
}

func digits(n int64, s string) (int64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// Attribute gives the value of an attribute of an item. Its kind is its type, unless it says
// otherwise.
func (it *Item) Attribute(name string) (string, bool) {
	for i := range it.Attributes {
		if it.Attributes[i].Name == name {
			return it.Attributes[i].Value, true
		}
	}
	if name == AttributeKind {
		return it.Type, true
	}
	return "", false
}

// Holds evaluates the condition for an item. What is not there equals nothing, and is in no
// order with anything.
func (t *Test) Holds(it *Item) bool {
	value, there := it.Attribute(t.Attribute)
	a, left := Micro(value)
	b, right := Micro(t.Value)
	numbers := left && right
	switch t.Op {
	case OpEqual:
		return there && (value == t.Value || numbers && a == b)
	case OpNotEqual:
		return !there || value != t.Value && !(numbers && a == b)
	case OpLess:
		return there && numbers && a < b
	case OpAtMost:
		return there && numbers && a <= b
	case OpMore:
		return there && numbers && a > b
	case OpAtLeast:
		return there && numbers && a >= b
	}
	return false
}

// decide evaluates all conditions of an edge, and gives the number of the one that decided:
// the first that does not hold, else the last; -1 where there is none.
func (e *Edge) decide(it *Item) (holds bool, test int) {
	for i := range e.When {
		if !e.When[i].Holds(it) {
			return false, i
		}
	}
	return true, len(e.When) - 1
}
