// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/parley-voice/parley/provider"
)

// events reads all of a stream.
func events(r io.Reader) (list []string, err error) {
	d := newDecoder(r)
	for {
		e, err := d.next()
		if err != nil {
			return list, err
		}
		s := fmt.Sprintf("%s:%s", e.name, e.data)
		if e.cut {
			s += "!"
		}
		list = append(list, s)
	}
}

func TestDecoder(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      "",
		"data: a\n\n":                           ":a",
		"data:a\n\ndata:  b\n\n":                ":a|: b",
		"data: a\r\n\r\ndata: b\r\rdata: c\n\n": ":a|:b|:c",
		"data: a\ndata: b\ndata\n\n":            ":a\nb\n",
		": comment\n\ndata: a\n\n":              ":a",
		"event: x\ndata: a\n\ndata: b\n\n":      "x:a|:b",
		"event: x\n\ndata: b\n\n":               ":b",
		"id: 7\nretry: 9\ndata: a\n\n":          ":a",
		"\ufeffdata: a\n\n":                     ":a",
		"data: a":                               ":a!",
		"data: a\n":                             ":a!",
		"data: a\n\ndat":                        ":a",
		"data:\n\n":                             ":",
		"\n\n\n":                                "",
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			got, err := events(r)
			if strings.Join(got, "|") != want || !errors.Is(err, io.EOF) {
				t.Errorf("%q: %q %v, want %q", in, got, err, want)
			}
		}
	}
}

func TestDecoderBounds(t *testing.T) {
	line := "data: " + strings.Repeat("x", lineMax/2) + "\n"
	if _, err := events(strings.NewReader(line + line + line + "\n")); !errors.Is(err, errLineTooLong) {
		t.Errorf("an event of many lines: %v", err)
	}
	if _, err := events(strings.NewReader(strings.Repeat("x", lineMax+1))); !errors.Is(err, errLineTooLong) {
		t.Errorf("a line: %v", err)
	}
	if _, err := events(io.LimitReader(forever{}, 2*replyMax)); !errors.Is(err, errReplyTooLarge) {
		t.Errorf("a stream: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("data: a\n"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if got, err := events(broken); len(got) != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken connection: %q %v", got, err)
	}
}

// forever is an endless run of empty comments.
type forever struct{}

func (forever) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ":\n"[i%2]
	}
	return len(p), nil
}

// FuzzDecoder: whatever comes, in whatever pieces, the decoder ends, does not panic, says
// the same, and never gives an event that holds a line end it should have cut at.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte("data: " + delta("a") + "\n\n: x\r\n\r\ndata: [DONE]\n\n"))
	f.Add([]byte("event: error\rdata: {\rdata: }\r\r"))
	f.Add([]byte("\ufeffdata\n\ndata: [DONE]"))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err1 := events(bytes.NewReader(in))
		pieces, err2 := events(iotest.HalfReader(bytes.NewReader(in)))
		if strings.Join(whole, "|") != strings.Join(pieces, "|") || !errors.Is(err1, err2) {
			t.Fatalf("%q %v, in pieces %q %v", whole, err1, pieces, err2)
		}
		for _, e := range whole {
			if strings.Contains(e, "\r") {
				t.Fatalf("an event holds a carriage return: %q", e)
			}
		}
	})
}

// FuzzReply: whatever a server sends, the stream discipline holds.
func FuzzReply(f *testing.F) {
	f.Add([]byte("data: " + delta("a") + "\n\ndata: " + finish("stop") + "\n\ndata: [DONE]\n\n"))
	f.Add([]byte("data: {\"error\":{\"code\":\"content_filter\"}}\n\n"))
	f.Add([]byte("data: {\"choices\":[{\"delta\":{\"refusal\":\"no\"}}]}\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		checker := provider.NewStreamChecker(provider.ModalityLLM)
		r := reply{out: provider.NewEmitter(func(c provider.Chunk) {
			if err := checker.Check(c); err != nil {
				t.Fatal(err)
			}
		})}
		o := r.stream(t.Context(), bytes.NewReader(in))
		if err := checker.Finish(); err != nil || checker.Outcome() != o {
			t.Fatalf("%v; returned %+v, streamed %+v", err, o, checker.Outcome())
		}
	})
}
