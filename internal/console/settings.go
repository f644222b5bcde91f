// SPDX-License-Identifier: Apache-2.0

package console

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Settings say where a View is drawn and what that place can show.
type Settings struct {
	Out io.Writer
	// Terminal is whether Out understands cursor movements; without it every event is a plain line.
	Terminal bool
	// Color is whether colours may be used; it needs Terminal.
	Color bool
	// ASCII keeps the drawing, though not the words that are said, within seven bits.
	ASCII bool
	// Width is asked before each drawing for the columns there are; nil, or an answer below 1, means 80.
	Width func() int
	// Height is asked likewise for the rows, which bound the panel of edges; nil, or an answer
	// below 1, means 24.
	Height func() int
}

// Detect finds the Settings for a file such as standard output. Colour is off when NO_COLOR is set to anything
// (https://no-color.org), and a terminal that calls itself dumb gets plain lines. getenv is os.Getenv, or a test's.
func Detect(out *os.File, getenv func(string) string) Settings {
	size := func() (columns, rows int) {
		columns, rows, err := term.GetSize(int(out.Fd()))
		if err != nil {
			return 0, 0
		}
		return columns, rows
	}
	terminal := term.IsTerminal(int(out.Fd())) && getenv("TERM") != "dumb"
	return Settings{
		Out:      out,
		Terminal: terminal,
		Color:    terminal && getenv("NO_COLOR") == "",
		ASCII:    sevenBit(getenv),
		Width:    func() int { columns, _ := size(); return columns },
		Height:   func() int { _, rows := size(); return rows },
	}
}

// sevenBit follows the order in which the locale's variables count. None set says nothing, and most terminals know UTF-8.
func sevenBit(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToUpper(getenv(name)); value != "" {
			return !strings.Contains(value, "UTF-8") && !strings.Contains(value, "UTF8")
		}
	}
	return false
}
