// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Entry is one key of a [Table] with its value.
type Entry[V any] struct {
	Key   string
	Value V
}

// Table is a keyed collection that is written as a JSON object. Its entries are
// sorted by key (by code point, which for UTF-8 is byte order) and keys are unique.
// It stands where a map would, so that iteration has one order.
// Build one with [NewTable]; a literal must already be in order.
type Table[V any] []Entry[V]

// NewTable sorts entries by key into a Table. Of two entries with one key the
// later one stands.
func NewTable[V any](entries ...Entry[V]) Table[V] {
	t := Table[V](slices.Clone(entries))
	slices.SortStableFunc(t, func(a, b Entry[V]) int { return strings.Compare(a.Key, b.Key) })
	out := t[:0]
	for i, e := range t {
		if i+1 < len(t) && t[i+1].Key == e.Key {
			continue
		}
		out = append(out, e)
	}
	return out
}

// Get returns the value of key and whether it is there, by binary search.
func (t Table[V]) Get(key string) (V, bool) {
	i, ok := slices.BinarySearchFunc(t, key, func(e Entry[V], k string) int { return strings.Compare(e.Key, k) })
	if !ok {
		var zero V
		return zero, false
	}
	return t[i].Value, true
}

// sorted returns t itself when it keeps the order, else a sorted copy.
func (t Table[V]) sorted() Table[V] {
	for i := 1; i < len(t); i++ {
		if t[i-1].Key >= t[i].Key {
			return NewTable(t...)
		}
	}
	return t
}

// MarshalJSON writes the table as an object with sorted keys; nil is {}.
func (t Table[V]) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, e := range t.sorted() {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(out, e.Key)
		out = append(out, ':')
		v, err := json.Marshal(e.Value)
		if err != nil {
			return nil, fmt.Errorf("controlplane: encode table entry %q: %w", e.Key, err)
		}
		out = append(out, v...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON reads an object into a sorted table. A repeated key is an error.
func (t *Table[V]) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	tok, err := dec.Token()
	if err != nil {
		return fmt.Errorf("controlplane: read table: %w", err)
	}
	if tok == nil {
		*t = nil
		return nil
	}
	if tok != json.Delim('{') {
		return fmt.Errorf("controlplane: read table: want an object, got %v", tok)
	}
	out := Table[V]{}
	for dec.More() {
		if tok, err = dec.Token(); err != nil {
			return fmt.Errorf("controlplane: read table key: %w", err)
		}
		key, ok := tok.(string)
		if !ok {
			return fmt.Errorf("controlplane: read table key: want a string, got %v", tok)
		}
		var v V
		if err := dec.Decode(&v); err != nil {
			return fmt.Errorf("controlplane: read table entry %q: %w", key, err)
		}
		out = append(out, Entry[V]{Key: key, Value: v})
	}
	n := len(out)
	if out = NewTable(out...); len(out) != n {
		return fmt.Errorf("controlplane: read table: a key occurs twice")
	}
	*t = out
	return nil
}
