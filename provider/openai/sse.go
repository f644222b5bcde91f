// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// The bounds on a stream, in bytes.
const (
	lineMax  = 1 << 20 // one line, and one event
	replyMax = 8 << 20 // all of a reply's stream
)

var (
	errLineTooLong   = errors.New("a line or event of the stream is longer than 1 MiB")
	errReplyTooLarge = errors.New("the stream is longer than 8 MiB")
)

// event is one server-sent event.
type event struct {
	name string // empty means "message"
	data []byte // valid until the next call
	// cut says that the stream ended before the event's empty line.
	cut bool
}

// decoder reads server-sent events (WHATWG HTML, section 9.2): lines end in CR, LF or
// both, an empty line ends an event, a line that starts with a colon is a comment.
type decoder struct {
	r     *bufio.Reader
	read  int
	line  []byte
	data  []byte
	began bool
	cr    bool // the last line ended in CR: a LF right after it belongs to it
}

func newDecoder(r io.Reader) *decoder { return &decoder{r: bufio.NewReaderSize(r, 4096)} }

// next gives the next event that has data. io.EOF says that the stream has ended; an
// event that the end cut off comes before it.
func (d *decoder) next() (event, error) {
	var e event
	d.data = d.data[:0]
	has := false
	for {
		line, err := d.nextLine()
		if err != nil && !errors.Is(err, io.EOF) {
			return event{}, err
		}
		ended := err != nil
		if len(line) == 0 && has {
			e.data, e.cut = d.data, ended
			return e, nil
		}
		switch field, value := split(line); field {
		case "data":
			if len(d.data)+len(value)+1 > lineMax {
				return event{}, errLineTooLong
			}
			if has {
				d.data = append(d.data, '\n')
			}
			d.data = append(d.data, value...)
			has = true
		case "event":
			e.name = string(value)
		case "":
			if len(line) == 0 {
				e.name = ""
			}
		}
		switch {
		case ended && has:
			e.data, e.cut = d.data, true
			return e, nil
		case ended:
			return event{}, io.EOF
		}
	}
}

// split cuts a line into field and value; a comment has no field.
func split(line []byte) (field string, value []byte) {
	name, value, _ := bytes.Cut(line, []byte{':'})
	return string(name), bytes.TrimPrefix(value, []byte{' '})
}

// nextLine gives a line without its end. The last line comes with io.EOF, also when it is
// empty.
func (d *decoder) nextLine() ([]byte, error) {
	d.line = d.line[:0]
	for {
		b, err := d.r.ReadByte()
		if err != nil {
			return d.whole(), err
		}
		if d.read++; d.read > replyMax {
			return nil, errReplyTooLarge
		}
		after := d.cr
		d.cr = b == '\r'
		switch {
		case b == '\n' && after:
			continue
		case b == '\n' || b == '\r':
			return d.whole(), nil
		case len(d.line) == lineMax:
			return nil, errLineTooLong
		}
		d.line = append(d.line, b)
	}
}

// whole is the line that was read, the first one without a byte order mark.
func (d *decoder) whole() []byte {
	if !d.began {
		d.began = true
		return bytes.TrimPrefix(d.line, []byte("\ufeff"))
	}
	return d.line
}
