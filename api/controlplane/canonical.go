// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// CanonicalPlan returns the bytes that the plan hash covers: UTF-8 JSON of the plan
// without plan_hash and resolved_turn_plan_id, keys sorted by code point, no
// whitespace, integers in shortest form (turn-plan section 3). Absent optional
// fields are not written; sets are written in canonical order.
func CanonicalPlan(p *ResolvedTurnPlan) []byte { return AppendCanonicalPlan(nil, p) }

// AppendCanonicalPlan appends the canonical plan to dst and returns the result.
func AppendCanonicalPlan(dst []byte, p *ResolvedTurnPlan) []byte {
	w := writer{out: dst}
	w.plan(p, false)
	return w.out
}

// MarshalJSON writes the plan in canonical form with its hash and id.
func (p ResolvedTurnPlan) MarshalJSON() ([]byte, error) {
	w := writer{}
	w.plan(&p, true)
	return w.out, nil
}

// writer appends canonical JSON by hand: the simulator resolves a plan for each of
// millions of turns, and a reflecting encoder costs about ten times as much. Each
// method writes its keys in code-point order; a test holds the result against a
// generic encoder.
type writer struct {
	out   []byte
	marks []int // places, nil = none are wanted
}

// key starts a member; the first member of an object follows its brace directly.
func (w *writer) key(name string) {
	if c := w.out[len(w.out)-1]; c != '{' {
		w.out = append(w.out, ',')
	}
	w.out = append(w.out, '"')
	w.out = append(w.out, name...)
	w.out = append(w.out, '"', ':')
}

func (w *writer) open()  { w.out = append(w.out, '{') }
func (w *writer) close() { w.out = append(w.out, '}') }

func (w *writer) str(name, v string) {
	w.key(name)
	w.out = appendString(w.out, v)
}

// optStr, like optInt, writes the member only when it is present.
func (w *writer) optStr(name, v string) {
	if v != "" {
		w.str(name, v)
	}
}

func (w *writer) int(name string, v int64) {
	w.key(name)
	w.out = strconv.AppendInt(w.out, v, 10)
}

func (w *writer) optInt(name string, v int64) {
	if v != 0 {
		w.int(name, v)
	}
}

func (w *writer) bool(name string, v bool) {
	w.key(name)
	w.out = strconv.AppendBool(w.out, v)
}

func writeStrings[T ~string](w *writer, name string, list []T) {
	w.key(name)
	w.out = append(w.out, '[')
	for i, v := range list {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = appendString(w.out, string(v))
	}
	w.out = append(w.out, ']')
}

// actions writes a set of adaptive actions in canonical order without repeats;
// actions outside the closed set follow in code-point order, so that nothing that
// was given escapes the hash.
func (w *writer) actions(list []AdaptiveAction) {
	if !slices.IsSortedFunc(list, compareActions) || hasRepeat(list) {
		list = slices.Clone(list)
		slices.SortFunc(list, compareActions)
		list = slices.Compact(list)
	}
	writeStrings(w, "allowed_adaptive_actions", list)
}

func compareActions(a, b AdaptiveAction) int {
	if d := actionRank(a) - actionRank(b); d != 0 {
		return d
	}
	return strings.Compare(string(a), string(b))
}

func actionRank(a AdaptiveAction) int {
	switch a {
	case ActionRetry:
		return 0
	case ActionProviderSwitch:
		return 1
	case ActionDegrade:
		return 2
	case ActionFallback:
		return 3
	}
	return 4
}

func hasRepeat(list []AdaptiveAction) bool {
	for i := 1; i < len(list); i++ {
		if list[i] == list[i-1] {
			return true
		}
	}
	return false
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string in its shortest form: two-character
// escapes where JSON has them, \u00xx for the other control characters, everything
// else as UTF-8. Bytes that are not UTF-8 become U+FFFD, as in encoding/json.
func appendString(dst []byte, s string) []byte {
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) { // as nearly every one is
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	return appendEscaped(dst, s)
}

// plain says that a byte stands for itself in a JSON string, and is a character.
func plain(c byte) bool { return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' }

func appendEscaped(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
