// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"encoding/json"
	"strings"
	"testing"
)

// examples are messages as the providers' documentation has them (docs/telephony.md).
func examples() map[Dialect][]string {
	return map[Dialect][]string{
		Twilio: {
			`{"event":"connected","protocol":"Call","version":"1.0.0"}`,
			`{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"FirstName":"Jane","token":"secret"}},"streamSid":"MZ1"}`,
			`{"event":"media","sequenceNumber":"3","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"//8="},"streamSid":"MZ1"}`,
			`{"event":"media","sequenceNumber":"4","media":{"track":"outbound","chunk":"2","timestamp":"5","payload":"//8="},"streamSid":"MZ1"}`,
			`{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"1"}}`,
			`{"event":"mark","sequenceNumber":"4","streamSid":"MZ1","mark":{"name":"my label"}}`,
			`{"event":"stop","sequenceNumber":"5","stop":{"accountSid":"AC1","callSid":"CA1"},"streamSid":"MZ1"}`,
		},
		Telnyx: {
			`{"event":"connected","version":"1.0.0"}`,
			`{"event":"start","sequence_number":"1","start":{"user_id":"3e6f","call_control_id":"v3:MdI9","client_state":"aGF2","media_format":{"encoding":"PCMA","sample_rate":8000,"channels":1},"custom_parameters":{"token":"secret"}},"stream_id":"32de"}`,
			`{"event":"media","sequence_number":"4","media":{"track":"inbound","chunk":"2","timestamp":"5","payload":"1dU="},"stream_id":"32de"}`,
			`{"event":"dtmf","stream_id":"32de","occurred_at":"2026-01-01T00:00:00Z","sequence_number":"5","dtmf":{"digit":"#"}}`,
			`{"event":"mark","sequence_number":"4","stream_id":"32de","mark":{"name":"m"}}`,
			`{"stream_id":"32de","event":"error","sequence_number":"6","error":{"title":"rate_limit_reached","code":"100005","detail":"Too many requests"}}`,
			`{"event":"stop","sequence_number":"5","stop":{"user_id":"3e6f","call_control_id":"v2:T02"},"stream_id":"32de"}`,
		},
		Plivo: {
			`{"event":"start","sequenceNumber":1,"start":{"callId":"1234","streamId":"8765","accountId":"MA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-l16","sampleRate":16000}},"extra_headers":"userId=12345;token=secret"}`,
			`{"event":"media","sequenceNumber":2,"streamId":"8765","media":{"track":"inbound","timestamp":"1698","chunk":1,"payload":"AQA="},"extra_headers":"{}"}`,
			`{"event":"dtmf","sequenceNumber":3,"streamId":"8765","dtmf":{"track":"inbound","digit":"*","timestamp":"1700"},"extra_headers":"{}"}`,
			`{"event":"playedStream","sequenceNumber":"4","streamId":"8765","name":"customer greeting audio"}`,
			`{"event":"clearedAudio","sequenceNumber":5,"streamId":"8765"}`,
		},
		Exotel: {
			`{"event":"connected"}`,
			`{"event":"start","sequence_number":"1","stream_sid":"EX1","start":{"stream_sid":"EX1","call_sid":"c1","account_sid":"a1","from":"+91","to":"+92","custom_parameters":{"token":"secret"},"media_format":{"encoding":"base64","sample_rate":"8000","bit_rate":"128kbps"}}}`,
			`{"event":"media","sequence_number":3,"stream_sid":"EX1","media":{"chunk":2,"timestamp":"10","payload":"AQA="}}`,
			`{"event":"dtmf","sequence_number":5,"stream_sid":"EX1","dtmf":{"digit":"1","duration":"120"}}`,
			`{"event":"mark","sequence_number":15,"stream_sid":"EX1","mark":{"name":"turn-3-end"}}`,
			`{"event":"stop","sequence_number":42,"stream_sid":"EX1","stop":{"call_sid":"c1","account_sid":"a1","reason":"callended"}}`,
		},
	}
}

// TestDocumentedMessages: what the documentation shows is read as it is meant, and the
// start message tells the dialect.
func TestDocumentedMessages(t *testing.T) {
	want := map[Dialect]struct {
		stream, call string
		format       Format
		kinds        []kind
	}{
		Twilio: {"MZ1", "CA1", Format{Mulaw, 8000}, []kind{connected, started, media, media, dtmf, played, stopped}},
		Telnyx: {"32de", "v3:MdI9", Format{Alaw, 8000}, []kind{connected, started, media, dtmf, played, failed, stopped}},
		Plivo:  {"8765", "1234", Format{Linear16, 16000}, []kind{started, media, dtmf, played, cleared}},
		Exotel: {"EX1", "c1", Format{Linear16, 8000}, []kind{connected, started, media, dtmf, played, stopped}},
	}
	for name, list := range examples() {
		t.Run(string(name), func(t *testing.T) {
			var d *dialect
			for i, text := range list {
				m, told, err := decode(d, []byte(text))
				d = told
				if err != nil || m.kind != want[name].kinds[i] {
					t.Fatalf("%s: kind %d, %v; want kind %d", text, m.kind, err, want[name].kinds[i])
				}
				switch m.kind {
				case started:
					f, err := d.formatOf(m.start.encoding, m.start.rate)
					if d.name != name || m.stream != want[name].stream || m.start.call != want[name].call || f != want[name].format || err != nil {
						t.Errorf("%s: dialect %s, stream %q, call %q, format %v, %v", text, d.name, m.stream, m.start.call, f, err)
					}
					if m.start.parameters["token"] != "secret" {
						t.Errorf("%s: parameters %v; want the token", text, m.start.parameters)
					}
				case media:
					if len(m.sound) != 2 || m.mine != strings.Contains(text, `"outbound"`) {
						t.Errorf("%s: %d bytes, of the agent: %v", text, len(m.sound), m.mine)
					}
				case dtmf:
					if m.digit == "" || (name == Exotel && m.held != 120) {
						t.Errorf("%s: digit %q held for %d ms", text, m.digit, m.held)
					}
				case played:
					if m.name == "" {
						t.Errorf("%s: no name", text)
					}
				default:
				}
			}
		})
	}
}

// TestWhatIsSent: the messages to each provider, as its documentation has them.
func TestWhatIsSent(t *testing.T) {
	want := map[Dialect][3]string{
		Twilio: {`{"event":"media","streamSid":"s\"1","media":{"payload":"AQI="}}`, `{"event":"mark","streamSid":"s\"1","mark":{"name":"m"}}`, `{"event":"clear","streamSid":"s\"1"}`},
		Telnyx: {`{"event":"media","stream_id":"s\"1","media":{"payload":"AQI="}}`, `{"event":"mark","stream_id":"s\"1","mark":{"name":"m"}}`, `{"event":"clear","stream_id":"s\"1"}`},
		Plivo:  {`{"event":"playAudio","streamId":"s\"1","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"AQI="}}`, `{"event":"checkpoint","streamId":"s\"1","name":"m"}`, `{"event":"clearAudio","streamId":"s\"1"}`},
		Exotel: {`{"event":"media","stream_sid":"s\"1","media":{"payload":"AQI="}}`, `{"event":"mark","stream_sid":"s\"1","mark":{"name":"m"}}`, `{"event":"clear","stream_sid":"s\"1"}`},
	}
	for name, list := range want {
		d, _ := dialectOf(name)
		w := newWriter(&d, `s"1`, Format{Mulaw, 8000})
		for i, got := range [][]byte{w.media(nil, []byte{1, 2}), w.mark("m"), w.clear()} {
			if string(got) != list[i] || !json.Valid(got) {
				t.Errorf("%s:\n got %s\nwant %s", name, got, list[i])
			}
		}
		if room := w.room(160); cap(w.media(make([]byte, 0, room), make([]byte, 160))) != room {
			t.Errorf("%s: a message needs more than the room of %d bytes", name, room)
		}
	}
}

// TestWrongMessages: each fault names the field and the remedy.
func TestWrongMessages(t *testing.T) {
	twilio, _ := dialectOf(Twilio)
	for text, field := range map[string]string{
		`{`:                            "message: ",
		`[]`:                           "message: ",
		"\xff":                         "message: ",
		`{}`:                           "event: ",
		`{"event":"start"}`:            "start: ",
		`{"event":"start","start":{}}`: "start: ",
		`{"event":"media"}`:            "media: ",
		`{"event":"media","media":{"payload":"*"}}`:                "media.payload: ",
		`{"event":"media","media":{"payload":1}}`:                  "message: ",
		`{"event":"media","media":{"chunk":-1,"payload":""}}`:      "message: ",
		`{"event":"media","media":{"chunk":"nine","payload":""}}`:  "message: ",
		`{"event":"media","media":{"chunk":"1e300","payload":""}}`: "message: ",
		`{"event":"dtmf"}`:                                                "dtmf: ",
		`{"event":"dtmf","dtmf":{"digit":"12"}}`:                          "dtmf.digit: ",
		`{"event":"dtmf","dtmf":{"digit":""}}`:                            "dtmf.digit: ",
		`{"event":"mark","streamSid":"MZ1"}`:                              "mark: name: ",
		`{"event":"mark","streamSid":"MZ1","mark":{"name":["a","mark"]}}`: "message: ",
	} {
		if _, _, err := decode(&twilio, []byte(text)); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%q: %v; want a fault of %s", text, err, field)
		}
	}
	for _, text := range []string{`{"event":"warp"}`, `{"event":"playedStream","name":"x"}`, `{"event":"connected","start":null}`} {
		if m, _, err := decode(&twilio, []byte(text)); err != nil || (m.kind != other && m.kind != connected) {
			t.Errorf("%q: kind %d, %v; want that it is passed over", text, m.kind, err)
		}
	}
}

// TestFormats: every name that a provider gives an encoding; what is not known is refused
// with the list of what is.
func TestFormats(t *testing.T) {
	for _, c := range []struct {
		dialect  Dialect
		encoding string
		rate     int64
		want     Format
	}{
		{Twilio, "", 0, Format{Mulaw, 8000}},
		{Twilio, "audio/x-mulaw", 8000, Format{Mulaw, 8000}},
		{Telnyx, "PCMU", 8000, Format{Mulaw, 8000}},
		{Telnyx, "PCMA", 8000, Format{Alaw, 8000}},
		{Telnyx, "L16", 16000, Format{Linear16BE, 16000}},
		{Plivo, "audio/x-mulaw;rate=8000", 8000, Format{Mulaw, 8000}},
		{Plivo, "audio/x-l16", 16000, Format{Linear16, 16000}},
		{Exotel, "", 0, Format{Linear16, 8000}},
		{Exotel, "audio/x-raw", 24000, Format{Linear16, 24000}},
		{Exotel, "base64", 16000, Format{Linear16, 16000}},
		{Exotel, "audio/x-mulaw", 0, Format{Mulaw, 8000}},
	} {
		d, _ := dialectOf(c.dialect)
		if f, err := d.formatOf(c.encoding, c.rate); err != nil || f != c.want {
			t.Errorf("%s: %q at %d: %v, %v; want %v", c.dialect, c.encoding, c.rate, f, err, c.want)
		}
	}
	d, _ := dialectOf(Telnyx)
	for _, encoding := range []string{"OPUS", "G722", "AMR-WB", "audio/mp3"} {
		if _, err := d.formatOf(encoding, 16000); err == nil || !strings.Contains(err.Error(), "unsupported_codec") || !strings.Contains(err.Error(), "pcmu/8000") {
			t.Errorf("%s: %v; want that it is refused with the list", encoding, err)
		}
	}
	if _, err := d.formatOf("PCMU", 16000); err == nil {
		t.Error("G.711 at 16000 Hz was taken")
	}
}

func FuzzDecode(f *testing.F) {
	for _, list := range examples() {
		for _, text := range list {
			f.Add([]byte(text))
		}
	}
	f.Add([]byte(`{"event":"start","start":{"customParameters":null},"extra_headers":"a=%zz;;b"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, d, err := decode(nil, data)
		if err != nil {
			return
		}
		if m.kind == started && (d == nil || m.stream == "" || m.start.parameters == nil) {
			t.Errorf("a start without dialect, stream or parameters: %+v", m)
		}
		if m.kind == dtmf && len(m.digit) != 1 {
			t.Errorf("a digit of %q", m.digit)
		}
		if d == nil {
			return
		}
		w := newWriter(d, m.stream, d.format)
		for _, sent := range [][]byte{w.media(nil, data), w.mark("parley-1"), w.clear()} {
			if !json.Valid(sent) {
				t.Errorf("stream %q makes %q", m.stream, sent)
			}
		}
	})
}

// TestSound: samples come through each encoding as the runtime has them.
func TestSound(t *testing.T) {
	for _, name := range supported() {
		encoding, _, _ := strings.Cut(name, "/")
		f := Format{Encoding(encoding), 8000}
		s, err := newSpeaker(f)
		if err != nil {
			t.Fatal(err)
		}
		l, err := newListener(f)
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]int16, 320)
		for i := range pcm {
			pcm[i] = 8000
		}
		var back []int16
		for range 3 {
			loud := s.encode(nil, pcm)
			if err := l.check(loud); err != nil || l.samples(len(loud)) != 320 {
				t.Fatalf("%s: %d bytes of a frame: %v", name, len(loud), err)
			}
			back = l.decode(loud)
		}
		if v := back[160]; v < 7600 || v > 8400 {
			t.Errorf("%s: 8000 came back as %d", name, v)
		}
		quiet := s.silence(nil, f.size(160))
		l.reset()
		if back = l.decode(quiet); len(back) != 320 || back[200] > 16 || back[200] < -16 {
			t.Errorf("%s: silence came back as %d", name, back[200])
		}
	}
	l, _ := newListener(Format{Linear16, 8000})
	if l.check(make([]byte, 3)) == nil || l.check(make([]byte, 31*16000)) == nil {
		t.Error("half a sample, or more than a message may hold, was taken")
	}
}

func TestHeaders(t *testing.T) {
	for text, want := range map[string]string{
		"token=abc": "abc", "a=1;token=abc": "abc", "a=1, token=abc": "abc", `{"token":"abc"}`: "abc",
		"token=a%3Db": "a=b", "token=a+b==": "a+b==", "": "", "null": "", "token": "",
	} {
		if got := headers(text)["token"]; got != want {
			t.Errorf("%q: token %q; want %q", text, got, want)
		}
	}
}
