// SPDX-License-Identifier: Apache-2.0

package shape

import (
	"regexp"
	"strings"
	"testing"
)

// The regular expression of a form, which the schema publishes, and its function,
// which the checker runs, admit the same texts.
func FuzzPatterns(f *testing.F) {
	for _, s := range []string{
		"", "a", "s-01", "a b", "é", "\n", "a\n", "v1.0", "v1.1", "v1.2", "v1.10", "v1.01", "v2.0", "v1.2.3", "v1.0.", "1.0",
		"v1.0.0.0", strings.Repeat("aB3", 42) + "xy", strings.Repeat("x", 129), strings.Repeat("0f", 32), strings.Repeat("0F", 32) + "0",
		"transport.telephony", "transport.", "transport", "a..b", "a.b.c", ".a", "v.1", "vv1.0", "1.2.3", "kind/12", "kind/", "/v", "a/b/c",
		"execution_profile/simple/v1", "execution_profile/", "tenant", "tenants", "fallback/policy", "fallback/a/b",
		"rtp-t-1-0123456789abcdef", "rtp--0123456789abcdef", "rtp-0123456789abcdef", "rtp-t-1-0123456789abcdeg",
		"mod:filter", "vad", "9lives", "_x", "a_b", "denoise@1.2.0", "@1", "a@", "a@b@c", strings.Repeat("a", 65), strings.Repeat("a", 65) + "@1",
		"rtp-" + strings.Repeat("t", 128) + "-0123456789abcdef", "rtp-" + strings.Repeat("t", 129) + "-0123456789abcdef",
	} {
		f.Add(s)
	}
	compiled := map[Pattern]*regexp.Regexp{}
	for _, p := range Patterns() {
		compiled[p] = regexp.MustCompile(p.Regexp())
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range Patterns() {
			if got, want := p.Match(s), compiled[p].MatchString(s); got != want {
				t.Errorf("form %d (%s): Match(%q) = %v, %s says %v", p, p.Doc(), s, got, p.Regexp(), want)
			}
		}
	})
}

func TestPatternsAreComplete(t *testing.T) {
	if n := len(Patterns()); n != int(NonEmpty) {
		t.Errorf("Patterns lists %d forms, there are %d", n, NonEmpty)
	}
	for _, p := range Patterns() {
		if p.Regexp() == "" || p.Doc() == "any text" {
			t.Errorf("form %d lacks an expression or its words", p)
		}
	}
}
