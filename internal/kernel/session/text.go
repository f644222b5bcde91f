// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Describe makes the reference to a text: the form in which the gateway lets it into
// the kernel. It runs before anything is recorded, so the verdict on the words stands
// in the recording even where the words themselves are redacted. key makes the hash
// useless without the session's secret. language picks the backchannels (BCP 47; only
// the primary subtag counts; unknown languages have none).
func Describe(text string, handle int64, key uint64, language string) TextRef {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' && r != '-'
	})
	class := TextNone
	for _, w := range words {
		if !backchannel(strings.ToLower(w), language) {
			class = TextWords
			break
		}
		class = TextBackchannel
	}
	if len(words) == 0 && strings.TrimSpace(text) != "" {
		class = TextWords // a script without word separators, or symbols
	}
	return TextRef{
		Handle: handle,
		Runes:  int64(utf8.RuneCountInString(text)),
		Words:  int64(len(words)),
		Class:  class,
		Digest: keyedHash(text, key),
	}
}

// backchannel says whether a word alone never confirms an interruption (lifecycle
// section 7.1). The lists hold what listeners say to keep a speaker going; they are
// short on purpose: a word that can carry an intent ("no", "stop", "wait") is none.
func backchannel(word, language string) bool {
	primary, _, _ := strings.Cut(strings.ToLower(language), "-")
	switch primary {
	case "", "en":
		switch word {
		case "uh", "huh", "uh-huh", "uhhuh", "um", "hm", "hmm", "mm", "mmm", "mhm", "mm-hmm", "mmhmm", "ah", "aha", "oh",
			"okay", "ok", "yeah", "yep", "yes", "right", "sure", "wow", "really", "i", "see", "got", "it":
			return true
		}
	case "de":
		switch word {
		case "mhm", "hm", "hmm", "aha", "ah", "ach", "oh", "ja", "genau", "okay", "ok", "so", "klar", "gut", "stimmt", "echt":
			return true
		}
	case "fr":
		switch word {
		case "hm", "mhm", "ah", "oh", "oui", "ouais", "d'accord", "ok", "okay", "bien", "vraiment":
			return true
		}
	case "es":
		switch word {
		case "ajá", "aja", "mm", "mhm", "ah", "oh", "sí", "si", "vale", "ok", "claro", "ya", "bueno":
			return true
		}
	}
	return false
}

// keyedHash is FNV-1a over the key and the text: it tells equal from different, no
// more. A secret key keeps short texts from being looked up.
func keyedHash(text string, key uint64) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	for shift := 0; shift < 64; shift += 8 {
		h = (h ^ (key >> shift & 0xff)) * prime
	}
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * prime
	}
	return h
}
