// SPDX-License-Identifier: Apache-2.0

package talk

import (
	"bufio"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// act is what a key means.
type act uint8

const (
	actNone act = iota
	actEdit     // the line has changed
	actSend
	actStop
	actMute
	actHangUp
)

// The bounds of what is typed.
const (
	maxLine   = 4000 // runes of an utterance
	maxEscape = 32   // bytes of a sequence that is skipped
)

const (
	ctrlC     = 0x03
	ctrlD     = 0x04
	backspace = 0x08
	lineFeed  = 0x0a
	enter     = 0x0d
	ctrlS     = 0x13
	ctrlT     = 0x14
	ctrlU     = 0x15
	ctrlW     = 0x17
	escape    = 0x1b
	del       = 0x7f
)

// editor is the line that is being typed. It knows letters, Backspace, Ctrl-U and Ctrl-W; other
// keys, and what a terminal sends for arrows and the like, are skipped.
type editor struct {
	line    []rune
	partial []byte // of a rune
	skip    int    // bytes of an escape sequence, 0 = there is none
	csi     bool   // it has a bracket
}

// key takes a byte.
func (e *editor) key(b byte) act {
	if e.skip > 0 {
		e.sequence(b)
		return actNone
	}
	if len(e.partial) > 0 || b >= utf8.RuneSelf {
		return e.rune(b)
	}
	switch b {
	case ctrlC:
		return actHangUp
	case ctrlD:
		if len(e.line) == 0 {
			return actHangUp
		}
		return actNone
	case enter, lineFeed:
		if e.text() == "" {
			return actNone
		}
		return actSend
	case ctrlS:
		return actStop
	case ctrlT:
		return actMute
	case escape:
		e.skip = 1
		return actNone
	case backspace, del:
		e.line = e.line[:max(0, len(e.line)-1)]
	case ctrlU:
		e.line = e.line[:0]
	case ctrlW:
		e.word()
	default:
		return e.put(rune(b))
	}
	return actEdit
}

// sequence skips an escape sequence: two bytes, or with a bracket up to its final byte.
func (e *editor) sequence(b byte) {
	e.skip++
	switch {
	case e.skip == 2 && (b == '[' || b == 'O'):
		e.csi = true
		return
	case b == escape:
		e.skip, e.csi = 1, false
		return
	case e.csi && (b < 0x40 || b > 0x7e) && e.skip < maxEscape:
		return
	}
	e.skip, e.csi = 0, false
}

// rune gathers the bytes of one that has several; what is none is skipped.
func (e *editor) rune(b byte) act {
	e.partial = append(e.partial, b)
	if !utf8.FullRune(e.partial) {
		return actNone
	}
	r, size := utf8.DecodeRune(e.partial)
	broken := r == utf8.RuneError && size < len(e.partial)
	e.partial = e.partial[:0]
	if r == utf8.RuneError {
		if broken && b < utf8.RuneSelf { // the byte is a key of its own
			return e.key(b)
		}
		return actNone
	}
	return e.put(r)
}

func (e *editor) put(r rune) act {
	if r == '\t' {
		r = ' '
	}
	if !unicode.IsPrint(r) || len(e.line) >= maxLine {
		return actNone
	}
	e.line = append(e.line, r)
	return actEdit
}

// word takes the last one away.
func (e *editor) word() {
	n := len(e.line)
	for n > 0 && e.line[n-1] == ' ' {
		n--
	}
	for n > 0 && e.line[n-1] != ' ' {
		n--
	}
	e.line = e.line[:n]
}

func (e *editor) text() string { return strings.TrimSpace(string(e.line)) }

// take gives the line and begins another.
func (e *editor) take() string {
	text := e.text()
	e.line = e.line[:0]
	return text
}

// typed is what comes from the keyboard, or from a pipe.
type typed struct {
	key  byte
	line string // of a pipe
	over bool   // nothing comes any more
}

// readKeys hands on each byte of a terminal in raw mode, until stop.
func readKeys(r io.Reader, to chan<- typed, stop <-chan struct{}) {
	buffer := make([]byte, 256)
	for {
		n, err := r.Read(buffer)
		for _, b := range buffer[:n] {
			if !hand(to, stop, typed{key: b}) {
				return
			}
		}
		if err != nil {
			hand(to, stop, typed{over: true})
			return
		}
	}
}

// readLines hands on each line that has words; one that is too long is cut.
func readLines(r io.Reader, to chan<- typed, stop <-chan struct{}) {
	in := bufio.NewReaderSize(r, maxLine*utf8.UTFMax)
	for {
		part, more, err := in.ReadLine()
		text := []rune(strings.ToValidUTF8(string(part), ""))
		for more && err == nil { // what is beyond the bound is left out
			_, more, err = in.ReadLine()
		}
		line := strings.TrimSpace(string(text[:min(len(text), maxLine)]))
		if line != "" && !hand(to, stop, typed{line: line}) {
			return
		}
		if err != nil {
			hand(to, stop, typed{over: true})
			return
		}
	}
}

func hand(to chan<- typed, stop <-chan struct{}, t typed) bool {
	select {
	case to <- t:
		return true
	case <-stop:
		return false
	}
}
