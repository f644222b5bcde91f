// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"bytes"
	"encoding/hex"
	"net/url"
	"testing"
)

// What Pipecat's own serialisers write for these frames: by google.protobuf in Python and by
// protobuf-ts in the browser.
func TestFramesOfPipecat(t *testing.T) {
	for name, test := range map[string]struct {
		hex  string
		want frame
	}{
		"audio":         {"12111205617564696f1a0200012080fa012801", frame{frameAudio, []byte{0, 1}, 32000, 1}},
		"message":       {"22040a027b7d", frame{kind: frameMessage, content: []byte("{}")}},
		"text":          {"0a041a026869", frame{kind: frameText, content: []byte("hi")}},
		"transcription": {"1a071a026869220175", frame{kind: frameTranscription, content: []byte("hi")}},
		"interruption":  {"2a00", frame{kind: frameInterruption}},
		"empty":         {"", frame{}},
		"unknown":       {"3200", frame{}},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := hex.DecodeString(test.hex)
			if err != nil {
				t.Fatal(err)
			}
			f, err := decodeFrame(data)
			if err != nil || f.kind != test.want.kind || !bytes.Equal(f.content, test.want.content) ||
				f.rate != test.want.rate || f.channels != test.want.channels {
				t.Errorf("%+v, %v; want %+v", f, err, test.want)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	for _, test := range []struct {
		data []byte
		want frame
	}{
		{appendMessage(nil, []byte(`{"a":1}`)), frame{kind: frameMessage, content: []byte(`{"a":1}`)}},
		{appendAudio(nil, make([]byte, 1000), 48000), frame{frameAudio, make([]byte, 1000), 48000, 1}},
		{appendInterruption(nil), frame{kind: frameInterruption}},
	} {
		f, err := decodeFrame(test.data)
		if err != nil || f.kind != test.want.kind || !bytes.Equal(f.content, test.want.content) || f.rate != test.want.rate || f.channels != test.want.channels {
			t.Errorf("%+v, %v; want %+v", f, err, test.want)
		}
	}
}

// Whatever comes is a frame or a fault.
func FuzzDecodeFrame(f *testing.F) {
	f.Add(appendMessage(nil, []byte("{}")))
	f.Add(appendAudio(nil, []byte{1, 2, 3, 4}, 16000))
	f.Add(appendInterruption(nil))
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{0x13, 0x14})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeFrame(data)
		if err == nil && len(got.content) > len(data) {
			t.Errorf("a content of %d bytes in %d", len(got.content), len(data))
		}
	})
}

// Whatever comes is a message of a known form, or a fault.
func FuzzDecodeMessage(f *testing.F) {
	f.Add([]byte(`{"label":"rtvi-ai","type":"send-text","id":"1","data":{"content":"hi","options":{}}}`))
	f.Add([]byte(`{"label":"rtvi-ai","type":"client-message","id":1,"data":{"t":"eval-context","d":{"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]}}}`))
	f.Add([]byte(`{"label":"x"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeMessage(data)
		if err == nil && (e.Label != label || e.Type == "") {
			t.Errorf("%+v was taken", e)
		}
		var i item
		if e.into(&i) == nil {
			if role, text, err := i.read(); err == nil && (role == "" || text == "") {
				t.Errorf("%q of %q was taken", text, role)
			}
		}
	})
}

// Whatever an address asks for is a wish that is bounded, or a fault.
func FuzzReadFlags(f *testing.F) {
	f.Add("skip_tts=true&capture_bot_audio=1&signals=yes")
	f.Add("config=eyJsYW5ndWFnZSI6ImVuIn0&audio_out_sample_rate=16000")
	f.Add("audio_out_sample_rate=-1")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		got, err := readFlags(q)
		if err == nil && (got.rate < 0 || len(got.wishes.Tools) > maxTools) {
			t.Errorf("%+v was taken", got)
		}
	})
}
