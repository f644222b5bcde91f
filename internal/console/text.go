// SPDX-License-Identifier: Apache-2.0

package console

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// clean makes one line of words out of any text: what could move the cursor, change colours, hide or reorder what
// follows is gone, and runs of white space are one blank.
func clean(text string) string {
	var out strings.Builder
	gap := false
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		switch {
		case unicode.IsSpace(r):
			gap = out.Len() > 0
			continue
		case unicode.IsControl(r), r == '\ufeff', r >= '\u2028' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			continue
		}
		if gap {
			out.WriteByte(' ')
			gap = false
		}
		out.WriteRune(r)
	}
	return out.String()
}

// ruler measures in terminal cells. It is not the library's default, which would ask the environment.
func ruler() *runewidth.Condition {
	return &runewidth.Condition{StrictEmojiNeutral: true}
}

func cells(text string) int { return ruler().StringWidth(text) }

// clip keeps the beginning of text, clipLeft its end; a mark stands for what is missing.
func clip(text string, width int, mark string) string {
	if cells(text) <= width {
		return text
	}
	return ruler().Truncate(text, max(width, 0), mark)
}

func clipLeft(text string, width int, mark string) string {
	missing := cells(text) - width
	if missing <= 0 {
		return text
	}
	return ruler().TruncateLeft(text, missing+cells(mark), mark)
}

// words are the words of runs; those wider than width, as in languages that write without blanks, are cut.
func words(runs []run, width int) []run {
	var out []run
	for _, r := range runs {
		for word := range strings.FieldsSeq(r.text) {
			for cells(word) > width {
				head := ruler().Truncate(word, width, "")
				if head == "" { // never without progress
					head = string([]rune(word)[:1])
				}
				out = append(out, run{head, r.how})
				word = strings.TrimPrefix(word, head)
			}
			if word != "" {
				out = append(out, run{word, r.how})
			}
		}
	}
	return out
}

// fewWords is how much of a text shorten leaves.
const fewWords = 12

// shorten keeps the first words of a long text and says how many more there are.
func shorten(text, mark string) string {
	all := strings.Fields(text)
	if len(all) <= fewWords+4 {
		return text
	}
	return strings.Join(all[:fewWords], " ") + mark + " and " + strconv.Itoa(len(all)-fewWords) + " more words"
}

// style is a colour or weight by its number in SGR sequences (ECMA-48, 8.3.117).
type style string

const (
	plain   style = ""
	dim     style = "2"
	bold    style = "1"
	struck  style = "2;9"
	cyan    style = "36"
	yellow  style = "33"
	red     style = "31"
	green   style = "32"
	magenta style = "35"
	blue    style = "34"
)

func (v *View) paint(s style, text string) string {
	if !v.color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

func (v *View) paintOff() string {
	if !v.color {
		return ""
	}
	return "\x1b[0m"
}

// clock is a time of the conversation as m:ss.mmm; brief drops what nobody reads while it moves.
func clock(at time.Duration, brief bool) string {
	ms := at.Round(time.Millisecond).Milliseconds()
	minutes, seconds := strconv.FormatInt(ms/60000, 10), strconv.FormatInt(ms/1000%60, 10)
	if len(seconds) == 1 {
		seconds = "0" + seconds
	}
	fraction := strconv.FormatInt(1000+ms%1000, 10)[1:]
	if brief {
		fraction = fraction[:1]
	}
	return minutes + ":" + seconds + "." + fraction
}

// span is a length of time in the unit that reads best.
func span(d time.Duration) string {
	us := float64(d) / float64(time.Microsecond)
	switch {
	case d == 0:
		return "0 ms"
	case d < time.Millisecond:
		return trimZero(strconv.FormatFloat(us, 'f', 1, 64)) + " µs"
	case d < time.Second:
		return strconv.FormatFloat(us/1e3, 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(us/1e6, 'f', 2, 64) + " s"
}

func trimZero(number string) string { return strings.TrimSuffix(number, ".0") }
