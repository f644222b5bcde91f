// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strings"
	"testing"
)

// Lifecycle section 7.1: backchannels are words that never confirm by themselves, per
// language. What can carry an intent is none.
func TestDescribe(t *testing.T) {
	for _, row := range []struct {
		text, language string
		class          TextClass
		words, runes   int64
	}{
		{"", "en", TextNone, 0, 0},
		{"  \t", "en", TextNone, 0, 3},
		{"uh-huh", "en", TextBackchannel, 1, 6},
		{"Uh-huh.", "en", TextBackchannel, 1, 7},
		{"okay, right", "en-GB", TextBackchannel, 2, 11},
		{"I see. Got it!", "", TextBackchannel, 4, 14},
		{"no", "en", TextWords, 1, 2},
		{"Stop!", "en", TextWords, 1, 5},
		{"wait", "en", TextWords, 1, 4},
		{"yeah but", "en", TextWords, 2, 8},
		{"what's the time", "en", TextWords, 3, 15},
		{"ja genau", "de-AT", TextBackchannel, 2, 8},
		{"nein", "de", TextWords, 1, 4},
		{"d'accord", "fr", TextBackchannel, 1, 8},
		{"sí, claro", "es-MX", TextBackchannel, 2, 9},
		{"uh-huh", "de", TextWords, 1, 6},
		{"okay", "ja", TextWords, 1, 4}, // a language without a list has no backchannels
		{"こんにちは", "ja", TextWords, 1, 5},
		{"?!", "en", TextWords, 0, 2}, // something was said, whatever it was
		{"42", "en", TextWords, 1, 2},
	} {
		got := Describe(row.text, 7, 0, row.language)
		if got.Class != row.class || got.Words != row.words || got.Runes != row.runes || got.Handle != 7 {
			t.Errorf("Describe(%q, %s) = %+v, want class %d, %d words, %d runes", row.text, row.language, got, row.class, row.words, row.runes)
		}
	}
}

// The hash tells texts apart, and is useless to whoever lacks the session's secret.
func TestDescribeHashes(t *testing.T) {
	hash := func(text string, key uint64) uint64 { return Describe(text, 1, key, "en").Digest }
	again := hash("yes", 1)
	if hash("yes", 1) != again || again == hash("no", 1) || again == hash("yes", 2) {
		t.Error("equal texts under one key, and only those, have equal hashes")
	}
}

// A reference keeps nothing of the text but numbers (house: the kernel sees no content).
func TestDescribeKeepsNoText(t *testing.T) {
	secret := "four one one one"
	ref := Describe(secret, 3, 99, "en")
	line := Format(&TextIn{Text: ref})
	if strings.Contains(line, "four") || strings.Contains(string(Marshal(nil, &TextIn{Text: ref})), "four") {
		t.Errorf("the text shows in %q", line)
	}
}
