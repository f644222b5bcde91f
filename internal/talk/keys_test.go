// SPDX-License-Identifier: Apache-2.0

package talk

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

// typing gives what a terminal sends to an editor, and what was sent and done.
func typing(e *editor, keys string) (said []string, acts []act) {
	for i := range len(keys) {
		switch a := e.key(keys[i]); a {
		case actNone, actEdit:
		case actSend:
			said = append(said, e.take())
		default:
			acts = append(acts, a)
		}
	}
	return said, acts
}

func TestEditor(t *testing.T) {
	for name, c := range map[string]struct {
		keys string
		said []string
		left string
		acts []act
	}{
		"a line":                   {"what time is it\r", []string{"what time is it"}, "", nil},
		"two lines, pasted":        {"one\ntwo\nthree", []string{"one", "two"}, "three", nil},
		"nothing is not said":      {"  \r\r\n", nil, "  ", nil},
		"backspace takes a letter": {"grüß\x7f\x7fn\x08ß\r", []string{"grß"}, "", nil},
		"backspace at the start":   {"\x7f\x08a\r", []string{"a"}, "", nil},
		"ctrl-u takes the line":    {"wrong\x15right\r", []string{"right"}, "", nil},
		"ctrl-w takes a word":      {"tell me a stork  \x17story\r", []string{"tell me a story"}, "", nil},
		"other scripts":            {"日本語\r", []string{"日本語"}, "", nil},
		"arrows are skipped":       {"a\x1b[Ab\x1bOBc\x1b[1;5Cd\x1b[200~e\x1bxf\r", []string{"abcdef"}, "", nil},
		"no escape is kept":        {"\x1b[\x1b[31mred\r", []string{"red"}, "", nil},
		"a tab is a blank":         {"a\tb\r", []string{"a b"}, "", nil},
		"broken UTF-8 is skipped":  {"a\xffb\xe6\x97c\r", []string{"abc"}, "", nil},
		"controls":                 {"ab\x13\x14\x03\x04", nil, "ab", []act{actStop, actMute, actHangUp}},
		"ctrl-d on nothing":        {"\x04", nil, "", []act{actHangUp}},
	} {
		var e editor
		said, acts := typing(&e, c.keys)
		if !slices.Equal(said, c.said) || string(e.line) != c.left || !slices.Equal(acts, c.acts) {
			t.Errorf("%s: said %q, left %q, did %v; want %q, %q, %v", name, said, string(e.line), acts, c.said, c.left, c.acts)
		}
	}
}

func FuzzEditor(f *testing.F) {
	for _, seed := range []string{"hello\r", "\x1b[1;5C", "\xe6\x97", "\x1b[\x1b", strings.Repeat("\x1b[;", 50), "a\x17\x15\x7f\x08"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, keys string) {
		var e editor
		said, _ := typing(&e, keys)
		for _, text := range append(said, string(e.line)) {
			if n := len([]rune(text)); n > maxLine || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%d runes: %q", n, text)
			}
		}
		// Whatever came, an interrupt is heard: a sequence that never ends would swallow it.
		for range maxEscape + 4 {
			if e.key(ctrlC) == actHangUp {
				return
			}
		}
		t.Errorf("no Ctrl-C after %q", keys)
	})
}

func TestLinesOfAPipe(t *testing.T) {
	long := strings.Repeat("ä", 3*maxLine)
	to, stop := make(chan typed, 16), make(chan struct{})
	readLines(strings.NewReader("one\r\n\n  two \n"+long+"\nbro\xffken\nlast"), to, stop)
	var got []string
	for in := range to {
		if in.over {
			break
		}
		got = append(got, in.line)
	}
	if len(got) != 5 || len([]rune(got[2])) != maxLine {
		t.Fatalf("%d lines, the third of %d runes", len(got), len([]rune(got[2])))
	}
	got[2] = "long"
	if want := []string{"one", "two", "long", "broken", "last"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	close(stop)
	readLines(strings.NewReader("nobody\nlistens\n"), make(chan typed), stop) // it returns
	readKeys(strings.NewReader("nobody"), make(chan typed), stop)
}
