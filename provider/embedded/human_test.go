// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/voices"
)

// clip is a recording whose words are known.
type clip struct {
	text, speaker string
	pcm           []int16
}

// recordings are the human utterances of the demo, with the silence around them that an
// endpointer's pre-roll and hangover leave.
func recordings(tb testing.TB) []clip {
	tb.Helper()
	all, err := voices.All()
	if err != nil {
		tb.Fatal(err)
	}
	var list []clip
	for _, v := range all {
		if v.Role == voices.RoleBackchannel {
			continue // no words
		}
		sound, err := v.Clip()
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, clip{
			text: strings.ToLower(v.Transcript), speaker: v.Speaker,
			pcm: slices.Concat(make([]int16, recogniserRate*3/10), sound.PCM, make([]int16, recogniserRate/2)),
		})
	}
	return list
}

// The recogniser is a poor one, and says so; that it gets no poorer is checked on human
// speech. Most of what it hears wrong is names and words of 1811.
func TestHumanSpeechIsHeardNoWorse(t *testing.T) {
	const maxWrong = 27 // percent of the words
	p := newPocketSphinx(t, 1)
	wrong, words := 0, 0
	for _, c := range recordings(t) {
		want := normal(c.text)
		h := hear(t, p, c.speaker, c.pcm, 320)
		n := distance(want, normal(h.text))
		t.Logf("%d of %d words wrong: read %q, heard %q", n, len(want), c.text, h.text)
		wrong += n
		words += len(want)
	}
	if words < 60 || 100*wrong > maxWrong*words {
		t.Errorf("%d of %d words wrong, more than %d %%", wrong, words, maxWrong)
	}
}

// normal is text as words that can be compared: small letters, no marks.
func normal(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r != '\'' && (r < 'a' || r > 'z') })
}

// distance is the number of words to put in, take out or change (Levenshtein).
func distance(want, got []string) int {
	row := make([]int, len(got)+1)
	for j := range row {
		row[j] = j
	}
	for i, w := range want {
		diagonal := row[0]
		row[0] = i + 1
		for j, g := range got {
			change := diagonal
			if w != g {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(got)]
}
