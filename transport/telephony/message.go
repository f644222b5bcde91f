// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind says what a message is.
type kind uint8

const (
	other kind = iota // known to nobody, or of no interest
	connected
	started
	media
	dtmf
	played  // a mark came back
	cleared // the buffer was cleared
	stopped
	failed // the gateway says that a message of ours was wrong
)

// message is one message of a gateway, whatever its dialect.
type message struct {
	kind   kind
	stream string
	chunk  int64  // number of a media message, 0 when it has none
	mine   bool   // sound of the agent, which comes back when both tracks are streamed
	sound  []byte // as it is encoded
	digit  string
	held   int64  // how long a key was held in ms, 0 when unknown
	name   string // of a mark
	detail string // of what failed, of why it stopped
	start  start
}

// start is what a start message tells of the call.
type start struct {
	call       string
	encoding   string
	rate       int64
	parameters map[string]string
}

// number reads a number that some gateways write as a string.
type number int64

func (n *number) UnmarshalJSON(data []byte) error {
	s := strings.TrimSpace(string(bytes.Trim(data, `"`)))
	if s == "" || s == "null" {
		*n = 0
		return nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v < 0 || v >= 1<<53 {
		return fmt.Errorf("%.32q is no number of messages, samples or milliseconds", s)
	}
	*n = number(v)
	return nil
}

// text reads a string, and anything else as nothing.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = text(s)
	}
	return nil
}

// wire is the union of what the dialects send: their names differ enough to stand side by
// side.
type wire struct {
	Event      string     `json:"event"`
	StreamSid  text       `json:"streamSid"`
	StreamSid2 text       `json:"stream_sid"`
	StreamID   text       `json:"streamId"`
	StreamID2  text       `json:"stream_id"`
	Start      *wireStart `json:"start"`
	Media      *struct {
		Track   text   `json:"track"`
		Chunk   number `json:"chunk"`
		Payload string `json:"payload"`
	} `json:"media"`
	DTMF *struct {
		Digit    string `json:"digit"`
		Duration number `json:"duration"`
	} `json:"dtmf"`
	Mark *struct {
		Name string `json:"name"`
	} `json:"mark"`
	Name text `json:"name"`
	Stop *struct {
		Reason text `json:"reason"`
	} `json:"stop"`
	Error *struct {
		Title  text `json:"title"`
		Detail text `json:"detail"`
	} `json:"error"`
	Headers text `json:"extra_headers"`
}

type wireStart struct {
	StreamSid   text            `json:"streamSid"`
	StreamSid2  text            `json:"stream_sid"`
	StreamID    text            `json:"streamId"`
	CallSid     text            `json:"callSid"`
	CallSid2    text            `json:"call_sid"`
	CallID      text            `json:"callId"`
	CallControl text            `json:"call_control_id"`
	Parameters  map[string]text `json:"customParameters"`
	Parameters2 map[string]text `json:"custom_parameters"`
	Format      wireFormat      `json:"mediaFormat"`
	Format2     wireFormat      `json:"media_format"`
}

type wireFormat struct {
	Encoding text   `json:"encoding"`
	Rate     number `json:"sampleRate"`
	Rate2    number `json:"sample_rate"`
}

// The faults of a message; what is printed names the field.
var (
	errEvent   = errors.New("event: is missing: send an event")
	errMissing = errors.New("is missing: send it with the event of its name")
)

// decode reads one message. d is nil until the start message has told the dialect; then
// decode tells it.
func decode(d *dialect, data []byte) (message, *dialect, error) {
	var w wire
	if !utf8.Valid(data) {
		return message{}, d, errors.New("message: is no UTF-8: send JSON in text messages")
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return message{}, d, fmt.Errorf("message: %w: send one JSON object", err)
	}
	m := message{stream: first(w.StreamSid, w.StreamSid2, w.StreamID, w.StreamID2)}
	switch w.Event {
	case "":
		return m, d, errEvent
	case "connected":
		m.kind = connected
	case "start":
		if d == nil {
			d = detect(&w)
		}
		return m, d, m.readStart(&w)
	case "media":
		return m, d, m.readMedia(&w)
	case "dtmf":
		return m, d, m.readDigit(&w)
	case "stop", "end":
		m.kind = stopped
		if w.Stop != nil {
			m.detail = string(w.Stop.Reason)
		}
	case "error":
		m.kind = failed
		if w.Error != nil {
			m.detail = string(w.Error.Title) + ": " + string(w.Error.Detail)
		}
	default:
		return m, d, m.readMark(&w, d)
	}
	return m, d, nil
}

// detect tells the dialect of a start message by the name that it gives the stream.
func detect(w *wire) *dialect {
	name := Twilio
	switch {
	case w.StreamSid != "":
	case w.StreamID2 != "":
		name = Telnyx
	case w.StreamSid2 != "" || (w.Start != nil && w.Start.StreamSid2 != ""):
		name = Exotel
	case w.StreamID != "" || (w.Start != nil && w.Start.StreamID != ""):
		name = Plivo
	}
	d, _ := dialectOf(name)
	return &d
}

func (m *message) readStart(w *wire) error {
	m.kind = started
	s := w.Start
	if s == nil {
		return fmt.Errorf("start: %w", errMissing)
	}
	m.stream = cmp.Or(m.stream, first(s.StreamSid, s.StreamSid2, s.StreamID))
	if m.stream == "" {
		return errors.New("start: names no stream: send its id, which every message that is sent to it needs")
	}
	m.start = start{
		call:     first(s.CallSid, s.CallSid2, s.CallID, s.CallControl),
		encoding: first(s.Format.Encoding, s.Format2.Encoding),
		rate:     int64(max(s.Format.Rate, s.Format.Rate2, s.Format2.Rate, s.Format2.Rate2)),
	}
	m.start.parameters = headers(string(w.Headers))
	for _, list := range []map[string]text{s.Parameters2, s.Parameters} {
		for k, v := range list {
			m.start.parameters[k] = string(v)
		}
	}
	return nil
}

func (m *message) readMedia(w *wire) error {
	m.kind = media
	if w.Media == nil {
		return fmt.Errorf("media: %w", errMissing)
	}
	m.chunk = int64(w.Media.Chunk)
	m.mine = strings.HasPrefix(string(w.Media.Track), "outbound")
	sound, err := base64.StdEncoding.DecodeString(w.Media.Payload)
	if err != nil {
		return fmt.Errorf("media.payload: %w: send base64 of the sound", err)
	}
	m.sound = sound
	return nil
}

func (m *message) readDigit(w *wire) error {
	m.kind = dtmf
	if w.DTMF == nil {
		return fmt.Errorf("dtmf: %w", errMissing)
	}
	m.digit, m.held = strings.ToUpper(w.DTMF.Digit), int64(w.DTMF.Duration)
	if len(m.digit) != 1 || !strings.Contains("0123456789*#ABCD", m.digit) {
		return fmt.Errorf("dtmf.digit: %.8q: send one of 0-9, *, #, A-D", w.DTMF.Digit)
	}
	return nil
}

// readMark reads the events whose names differ.
func (m *message) readMark(w *wire, d *dialect) error {
	switch {
	case d == nil:
		return nil
	case w.Event == d.played:
		m.kind = played
		if m.name = string(w.Name); w.Mark != nil {
			m.name = w.Mark.Name
		}
		if m.name == "" {
			return fmt.Errorf("%s: name: is missing: send the name of the mark", w.Event)
		}
	case d.cleared != "" && w.Event == d.cleared:
		m.kind = cleared
	}
	return nil
}

// headers reads Plivo's extra headers: pairs as in "a=1;b=2", or a JSON object.
func headers(s string) map[string]string {
	read := map[string]string{}
	if json.Unmarshal([]byte(s), &read) == nil && read != nil {
		return read
	}
	read = map[string]string{}
	for pair := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok {
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil && strings.Contains(value, "%") {
			value = plain
		}
		read[name] = value
	}
	return read
}

// first gives the first that is not empty.
func first(list ...text) string {
	for _, s := range list {
		if s != "" {
			return string(s)
		}
	}
	return ""
}
