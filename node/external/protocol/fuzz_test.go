// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
)

// Whatever a child sends, the reader gives frames, or says what is wrong, within its bound.
func FuzzFrames(f *testing.F) {
	f.Add(protocol.AppendAudio(nil, &protocol.Audio{Instance: 1, PCM: []int16{1, 2}}))
	f.Add(protocol.AppendDone(nil, protocol.Done{Instance: 1, Sequence: 2, TookUS: 3}))
	f.Add([]byte("\x00\x00\x00\x11J{\"type\":\"hello\"}"))
	f.Add([]byte("\x00\x00\x00\x40J{\"type\":\"emit\",\"event\":{\"kind\":\"text\",\"type\":\"a\",\"class\":\"PII\"}}"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := protocol.NewReader(bytes.NewReader(stream))
		rest := len(stream)
		for {
			kind, body, err := r.Next()
			if err != nil {
				violation := (*protocol.Violation)(nil)
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &violation) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if rest -= 5 + len(body); rest < 0 {
				t.Fatal("more was read than was there")
			}
			switch kind {
			case protocol.KindAudio:
				var a protocol.Audio
				if protocol.ParseAudio(body, &a) == nil && len(a.PCM) > protocol.MaxSamples {
					t.Fatalf("%d samples", len(a.PCM))
				}
			case protocol.KindDone:
				_, _ = protocol.ParseDone(body)
			case protocol.KindJSON:
				m, err := protocol.ParseMessage(body)
				if err != nil {
					continue
				}
				m.Versions()
				var ev node.Event
				if m.Event.ToEvent(&ev) != nil {
					continue
				}
				if ev.Type == "" || len(ev.Attributes) > node.MaxAttributes {
					t.Fatalf("event %+v", ev)
				}
				if b, err := protocol.AppendMessage(nil, &protocol.Message{Type: "emit", Event: protocol.FromEvent(&ev)}); err != nil && len(b) > 0 {
					t.Fatal(err)
				}
			}
		}
	})
}
