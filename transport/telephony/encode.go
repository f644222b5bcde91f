// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
)

// writer makes the messages to one stream.
type writer struct {
	d      *dialect
	format Format
	head   string // of each message, behind its event
}

func newWriter(d *dialect, stream string, f Format) writer {
	id, _ := json.Marshal(stream) // a string that was read from JSON can be written as JSON
	return writer{d: d, format: f, head: `","` + d.field + `":` + string(id)}
}

// room is how large a media message with a number of bytes of sound gets.
func (w *writer) room(bytes int) int { return len(w.head) + base64.StdEncoding.EncodedLen(bytes) + 128 }

// media appends a message with sound.
func (w *writer) media(dst, sound []byte) []byte {
	dst = append(append(append(dst, `{"event":"`...), w.d.play...), w.head...)
	dst = append(dst, `,"media":{`...)
	if w.d.typed {
		dst = append(append(append(dst, `"contentType":"`...), w.contentType()...), `","sampleRate":`...)
		dst = append(strconv.AppendInt(dst, int64(w.format.Rate), 10), ',')
	}
	dst = append(dst, `"payload":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, sound)
	return append(dst, `"}}`...)
}

// contentType is what Plivo calls an encoding.
func (w *writer) contentType() string {
	switch w.format.Encoding {
	case Mulaw:
		return "audio/x-mulaw"
	case Alaw:
		return "audio/x-alaw"
	case Linear16, Linear16BE:
	}
	return "audio/x-l16"
}

// mark makes the message that asks to be told when what was sent before has been played.
// name needs no escape.
func (w *writer) mark(name string) []byte {
	if w.d.flat {
		return []byte(`{"event":"` + w.d.mark + w.head + `,"name":"` + name + `"}`)
	}
	return []byte(`{"event":"` + w.d.mark + w.head + `,"mark":{"name":"` + name + `"}}`)
}

// clear makes the message that empties the gateway's buffer.
func (w *writer) clear() []byte { return []byte(`{"event":"` + w.d.clear + w.head + `}`) }
