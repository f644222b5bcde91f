// SPDX-License-Identifier: Apache-2.0

package console

import (
	"strconv"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

// screen is as much of a terminal as the view uses: it keeps what scrolled away, and reflows when it is resized. It
// fails the test on any sequence that it does not know.
type screen struct {
	t       *testing.T
	columns int
	rows    []row
	line    int
	column  int
	hidden  bool
	styled  bool
}

// row is one row of cells; wrapped means that the row above runs on into it.
type row struct {
	cells   []string
	wrapped bool
}

func newScreen(t *testing.T, columns int) *screen {
	t.Helper()
	return &screen{t: t, columns: columns, rows: make([]row, 1)}
}

func (s *screen) Write(p []byte) (int, error) {
	text := []rune(string(p))
	for i := 0; i < len(text); i++ {
		switch r := text[i]; {
		case r == '\r':
			s.column = 0
		case r == '\n':
			s.down()
		case r == 0x1b:
			i = s.sequence(text, i)
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			s.t.Fatalf("control character %#x in %q", r, string(p))
		default:
			s.print(r)
		}
	}
	return len(p), nil
}

func (s *screen) sequence(text []rune, i int) int {
	if i+1 >= len(text) || text[i+1] != '[' {
		s.t.Fatalf("unknown escape in %q", string(text))
	}
	end := i + 2
	for text[end] >= 0x20 && text[end] < 0x40 {
		end++
	}
	switch arg, verb := string(text[i+2:end]), text[end]; {
	case verb == 'A':
		n, err := strconv.Atoi(arg)
		if err != nil {
			n = 1
		}
		if s.line -= n; s.line < 0 {
			s.t.Fatal("the cursor left the screen")
		}
	case verb == 'J' && arg == "":
		s.rows = s.rows[:s.line+1]
		s.rows[s.line].cells = s.rows[s.line].cells[:min(s.column, len(s.rows[s.line].cells))]
	case verb == 'm':
		s.styled = arg != "0"
	case verb == 'l' && arg == "?25":
		s.hidden = true
	case verb == 'h' && arg == "?25":
		s.hidden = false
	default:
		s.t.Fatalf("unknown sequence %q", string(text[i:end+1]))
	}
	return end
}

func (s *screen) down() {
	if s.line++; s.line == len(s.rows) {
		s.rows = append(s.rows, row{})
	}
}

func (s *screen) print(r rune) {
	width := (&runewidth.Condition{StrictEmojiNeutral: true}).RuneWidth(r)
	at := &s.rows[s.line]
	if width == 0 {
		if s.column > 0 {
			at.cells[s.column-1] += string(r)
		}
		return
	}
	if s.column+width > s.columns {
		s.down()
		s.column = 0
		at = &s.rows[s.line]
		at.wrapped = true
	}
	for len(at.cells) < s.column+width {
		at.cells = append(at.cells, " ")
	}
	at.cells[s.column] = string(r)
	if width == 2 {
		at.cells[s.column+1] = ""
	}
	s.column += width
}

// resize lays the rows out anew, as terminals do that reflow; the cursor stays on its character.
func (s *screen) resize(columns int) {
	var lines [][]string
	cursorLine, cursorAt := 0, 0
	for i, r := range s.rows {
		if !r.wrapped || i == 0 {
			lines = append(lines, nil)
		}
		last := len(lines) - 1
		if i == s.line {
			cursorLine, cursorAt = last, len(lines[last])+s.column
		}
		lines[last] = append(lines[last], r.cells...)
	}
	s.rows, s.columns = nil, columns
	for i, line := range lines {
		first := len(s.rows)
		s.rows = append(s.rows, row{})
		for len(line) > columns {
			s.rows[len(s.rows)-1].cells = line[:columns]
			line = line[columns:]
			s.rows = append(s.rows, row{wrapped: true})
		}
		s.rows[len(s.rows)-1].cells = line
		if i == cursorLine {
			s.line, s.column = min(first+cursorAt/columns, len(s.rows)-1), cursorAt%columns
		}
	}
}

func (s *screen) String() string {
	var out strings.Builder
	for _, r := range s.rows {
		out.WriteString(strings.TrimRight(strings.Join(r.cells, ""), " ") + "\n")
	}
	return out.String()
}
