// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
)

func message(t *testing.T, b []byte, m *protocol.Message) []byte {
	t.Helper()
	b, err := protocol.AppendMessage(b, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is written is read, in whatever pieces it comes.
func TestFrames(t *testing.T) {
	audio := protocol.Audio{Instance: 7, Sequence: 1 << 40, At: -5, Sample: 1 << 50, Final: true, PCM: []int16{0, 1, -1, 32767, -32768}}
	long := strings.Repeat("x", 100_000)
	stream := protocol.AppendAudio(nil, &audio)
	stream = protocol.AppendDone(stream, protocol.Done{Instance: 7, Sequence: 1 << 40, TookUS: 250})
	stream = message(t, stream, &protocol.Message{Type: protocol.TypeLog, Message: long})
	stream = protocol.AppendFrame(stream, protocol.KindGrease, []byte("?"))
	for name, from := range map[string]io.Reader{"whole": bytes.NewReader(stream), "bytes": iotest.OneByteReader(bytes.NewReader(stream)), "halves": iotest.HalfReader(bytes.NewReader(stream))} {
		r := protocol.NewReader(from)
		counted := 0
		r.Read = func(n int) { counted += n }
		kind, body, err := r.Next()
		var got protocol.Audio
		if err := errors.Join(err, protocol.ParseAudio(body, &got)); err != nil || kind != protocol.KindAudio || !reflect.DeepEqual(got, audio) {
			t.Fatalf("%s: %c %+v %v", name, kind, got, err)
		}
		kind, body, err = r.Next()
		if d, perr := protocol.ParseDone(body); errors.Join(err, perr) != nil || kind != protocol.KindDone || d != (protocol.Done{Instance: 7, Sequence: 1 << 40, TookUS: 250}) {
			t.Fatalf("%s: %+v %v %v", name, d, err, perr)
		}
		kind, body, err = r.Next()
		if m, perr := protocol.ParseMessage(body); errors.Join(err, perr) != nil || kind != protocol.KindJSON || m.Message != long {
			t.Fatalf("%s: %v %v", name, err, perr)
		}
		if kind, body, err = r.Next(); kind != protocol.KindGrease || string(body) != "?" || err != nil {
			t.Fatalf("%s: %c %q %v", name, kind, body, err)
		}
		if _, _, err := r.Next(); !errors.Is(err, io.EOF) || counted != len(stream) {
			t.Errorf("%s: %v, %d bytes of %d", name, err, counted, len(stream))
		}
	}
}

// A frame that is broken off, and one that breaks the rules, are told apart from an end.
func TestBadFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty":     binary.BigEndian.AppendUint32(nil, 0),
		"oversized": binary.BigEndian.AppendUint32(nil, protocol.MaxFrame+1),
	} {
		violation := (*protocol.Violation)(nil)
		if _, _, err := protocol.NewReader(bytes.NewReader(b)).Next(); !errors.As(err, &violation) || violation.Field != "frame length" {
			t.Errorf("%s: %v", name, err)
		}
	}
	begun := []bool{}
	r := protocol.NewReader(iotest.OneByteReader(bytes.NewReader(append(binary.BigEndian.AppendUint32(nil, 9), "Jabc"...))))
	r.Begun = func(partial bool) { begun = append(begun, partial) }
	if _, _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken off: %v", err)
	}
	if !slices.Contains(begun, true) {
		t.Error("nobody was told that a frame had begun")
	}
	for _, body := range []string{"", "[]", `{"type":7}`, `{}`, `{"type":"x","instance":-1}`, "\xff"} {
		if _, err := protocol.ParseMessage([]byte(body)); err == nil {
			t.Errorf("%q was taken", body)
		}
	}
	if err := protocol.ParseAudio(make([]byte, 28), &protocol.Audio{}); err == nil {
		t.Error("a short audio frame was taken")
	}
	if err := protocol.ParseAudio(make([]byte, 30), &protocol.Audio{}); err == nil {
		t.Error("half a sample was taken")
	}
	if _, err := protocol.ParseDone(make([]byte, 15)); err == nil {
		t.Error("a short done was taken")
	}
	if m, err := protocol.ParseMessage([]byte(`{"type":"hello","protocol":[1,9],"new":{"a":1}}`)); err != nil || !slices.Equal(m.Versions(), []int{1, 9}) {
		t.Errorf("what is not known is skipped: %v", err)
	}
	if _, err := protocol.AppendMessage(nil, &protocol.Message{Type: "log", Message: strings.Repeat("x", protocol.MaxFrame)}); err == nil {
		t.Error("a message that fits no frame was written")
	}
}

func TestEvents(t *testing.T) {
	ev := node.Event{
		Kind: eventabi.KindAudio, Type: "voiced", Class: eventabi.ClassAudioRaw, At: 1, Invocation: "c", Index: 2, Sample: 3, Heard: 4, PCM: []int16{5, -6},
		Text: "t", Final: true, Protected: true, Attributes: []node.Attribute{{Name: "a", Value: "b"}}, Sync: &node.Sync{ID: "i", Event: "e", Group: "g"},
	}
	var got node.Event
	if err := protocol.FromEvent(&ev).ToEvent(&got); err != nil || !reflect.DeepEqual(got, ev) {
		t.Errorf("%+v %v", got, err)
	}
	if protocol.Plain(&ev) {
		t.Error("it has more than an audio frame has room for")
	}
	for field, e := range map[string]*protocol.Event{
		"event":            nil,
		"event.type":       {Kind: "text", Class: "text_raw"},
		"event.kind":       {Type: "x", Kind: "smell", Class: "text_raw"},
		"event.class":      {Type: "x", Kind: "text"},
		"event.pcm":        {Type: "x", Kind: "text", Class: "text_raw", PCM: "AAAA"},
		"event.attributes": {Type: "x", Kind: "text", Class: "text_raw", Attributes: map[string]string{}},
	} {
		for i := range node.MaxAttributes + 1 {
			if field == "event.attributes" {
				e.Attributes[strings.Repeat("a", i+1)] = ""
			}
		}
		violation := (*protocol.Violation)(nil)
		if err := e.ToEvent(&got); !errors.As(err, &violation) || violation.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestDeclarations(t *testing.T) {
	d := protocol.Declare(node.Declaration{Type: "a", Package: "p", Version: "1", Inputs: []node.Type{"x"}, Mode: node.CancelHard, Resources: node.Resources{MemoryMB: 4}})
	same := *d
	same.CancelMode = ""
	if field, _, _ := d.Differs(&same); field != "" {
		t.Errorf("%s differs: an absent mode is hard", field)
	}
	if got := d.Node(); got.Type != "a" || got.Resources.MemoryMB != 4 {
		t.Errorf("%+v", got)
	}
	for field, change := range map[string]func(*protocol.Declaration){
		"inputs": func(d *protocol.Declaration) { d.Inputs = []node.Type{"y"} }, "resources": func(d *protocol.Declaration) { d.Resources.Network = true },
		"version": func(d *protocol.Declaration) { d.Version = "2" },
	} {
		other := *d
		change(&other)
		if got, _, _ := d.Differs(&other); got != field {
			t.Errorf("%s: %q differs", field, got)
		}
	}
}

// Neither side allocates for audio.
func TestAudioAllocatesNothing(t *testing.T) {
	audio := protocol.Audio{Instance: 1, Sequence: 2, PCM: make([]int16, node.FrameSamples)}
	out := protocol.AppendAudio(nil, &audio)
	out = protocol.AppendDone(out, protocol.Done{})
	from := bytes.NewReader(nil)
	r := protocol.NewReader(from)
	var in protocol.Audio
	trip := func() {
		out = protocol.AppendAudio(out[:0], &audio)
		out = protocol.AppendDone(out, protocol.Done{})
		from.Reset(out)
		_, body, err := r.Next()
		if err := errors.Join(err, protocol.ParseAudio(body, &in)); err != nil {
			panic(err)
		}
		if _, body, err = r.Next(); err != nil {
			panic(err)
		}
		if _, err := protocol.ParseDone(body); err != nil {
			panic(err)
		}
	}
	trip()
	if n := testing.AllocsPerRun(100, trip); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
