// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

// noOpus is an encoder that is there and encodes nothing.
type noOpus struct{}

func (noOpus) NewEncoder() (codec.Encoder, error) { return nil, errors.New("none") }

func valid() Config {
	return Config{URL: "wss://live.example", Key: "key", Secret: func(context.Context) (string, error) { return "secret", nil }, Opus: noOpus{}}
}

// All faults are told at once, each at its field; what is right has none.
func TestValidate(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Errorf("a configuration that is right: %v", err)
	}
	err := Config{
		URL: "live.example", Rooms: []string{"", "a", "a"}, Identity: "x", Participant: "x", Name: strings.Repeat("n", 300), Connect: time.Millisecond,
		Resume: time.Hour, Lifetime: time.Second,
	}.Validate()
	for _, field := range []string{"url", "key", "secret", "opus", "rooms[0]", "rooms[2]", "name", "participant", "connect", "resume", "lifetime"} {
		if err == nil || !strings.Contains(err.Error(), "livekit: "+field+": ") {
			t.Errorf("no fault at %s in %v", field, err)
		}
	}
	for text, want := range map[string]string{
		"wss://a.example": "wss://a.example", "https://a.example/": "wss://a.example", "http://127.0.0.1:7880": "ws://127.0.0.1:7880", "ws://h/p/": "ws://h/p",
		"": "", "ftp://h": "", "wss://": "", "wss://u:p@h": "", "wss://h?q=1": "",
	} {
		u, err := address(text)
		if got := ""; err == nil && u.String() != want || err != nil && want != got {
			t.Errorf("%q is read as %v, %v; want %q", text, u, err, want)
		}
	}
	if _, err := New(valid(), nil); err == nil {
		t.Error("a server without a host was made")
	}
	if err := (&Server{config: valid()}).Join(t.Context(), ""); err == nil {
		t.Error("a room without a name was joined")
	}
}

// A dry run tells what would be done, needs no network, and tells no secret.
func TestDryRun(t *testing.T) {
	c := valid()
	p, err := DryRun(t.Context(), c, "lobby")
	if err != nil || p.Room != "lobby" || p.Identity != DefaultIdentity || !p.Grants.RoomJoin || p.Grants.Room != "lobby" || !strings.HasPrefix(p.URL, "wss://live.example/rtc?") {
		t.Errorf("it would do %+v, %v", p, err)
	}
	c.Secret = func(context.Context) (string, error) { return "", errors.New("the variable is not set") }
	if _, err := DryRun(t.Context(), c, "lobby"); err == nil || !strings.Contains(err.Error(), "not set") {
		t.Errorf("without a secret: %v", err)
	}
	if _, err := DryRun(t.Context(), valid(), ""); err == nil {
		t.Error("without a room")
	}
}

// A token is of the algorithm and the claims that LiveKit wants.
func TestAccessToken(t *testing.T) {
	c := valid().withDefaults()
	now := time.Now()
	text, err := c.accessToken(t.Context(), "lobby", now)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return []byte("secret"), nil }, jwt.WithValidMethods([]string{"HS256"})); err != nil {
		t.Fatal(err)
	}
	video, _ := json.Marshal(claims["video"])
	if string(video) != `{"canPublish":true,"canPublishData":true,"canSubscribe":true,"canUpdateOwnMetadata":true,"room":"lobby","roomJoin":true}` ||
		claims["iss"] != "key" || claims["sub"] != DefaultIdentity || claims["kind"] != "agent" || claims["exp"] != float64(now.Add(DefaultLifetime).Unix()) {
		t.Errorf("the claims are %v", claims)
	}
}

// Packets that come in another order, twice or not at all are given in order, once, and
// none that came is lost, as long as they are no further apart than the order can hold.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint16().Draw(t, "first")
		n := rapid.IntRange(1, 60).Draw(t, "n")
		var list []uint16
		for i := range n {
			if i == 0 || rapid.IntRange(0, 9).Draw(t, "lost") > 0 {
				list = append(list, first+uint16(i))
			}
		}
		came := slices.Clone(list)
		for i := 1; i+1 < len(came); i++ { // neighbours change places
			if rapid.Bool().Draw(t, "swap") {
				came[i], came[i+1] = came[i+1], came[i]
				i++
			}
		}
		var o order
		var got []uint16
		give := func(_ time.Duration, p *rtp.Packet) { got = append(got, p.SequenceNumber) }
		now := time.Duration(0)
		for _, number := range came {
			now += transport.FrameDuration
			o.tick(now, give)
			o.put(now, &rtp.Packet{Header: rtp.Header{SequenceNumber: number}, Payload: []byte{1}}, give)
			if rapid.Bool().Draw(t, "twice") && o.put(now, &rtp.Packet{Header: rtp.Header{SequenceNumber: number}, Payload: []byte{1}}, give) {
				t.Fatalf("%d was taken twice", number)
			}
			if len(o.held) > orderMost {
				t.Fatalf("%d are held", len(o.held))
			}
		}
		o.tick(now+time.Second, give)
		if !slices.Equal(got, list) {
			t.Fatalf("%v came, and %v was given", came, got)
		}
	})
}

// hearing is what an ear gives for packets, each at its time, until an end.
type hearing struct {
	frames int
	gaps   int64
	last   int64
	again  bool // a number came twice, or went back
}

func (h *hearing) Audio(sequence int64, _ []int16) {
	h.frames++
	if sequence >= 0 {
		h.again = h.again || sequence <= h.last && h.frames > 1
		h.last = sequence
	}
}
func (h *hearing) Gap(g transport.Gap) { h.gaps += g.Missing - g.Concealed }

type onlySound struct {
	transport.Ingress
	*hearing
}

func (o onlySound) Audio(sequence int64, pcm []int16) { o.hearing.Audio(sequence, pcm) }
func (o onlySound) Gap(g transport.Gap)               { o.hearing.Gap(g) }

// toc is a packet of one frame of 20 ms, by its mode alone; its sound is silence.
func toc(size int) []byte { return append([]byte{0xf8}, make([]byte, size-1)...) }

func run(t *testing.T, until time.Duration, muted func(at time.Duration) bool, packets map[time.Duration]*rtp.Packet) (*ear, *hearing) {
	t.Helper()
	e, err := newEar(new(counts))
	if err != nil {
		t.Fatal(err)
	}
	h := new(hearing)
	for now := time.Duration(0); now < until; now += 5 * time.Millisecond {
		if p := packets[now]; p != nil {
			e.put(now, p)
		}
		e.order.tick(now, e.decode)
		e.muted = muted(now)
		e.silence(now)
		e.jitter.Deliver(now, onlySound{hearing: h})
	}
	return e, h
}

func never(time.Duration) bool { return false }

// What a sender leaves out because it is silent is silence, and what is lost is a gap
// (rule 3 of the package).
func TestSilence(t *testing.T) {
	packet := func(slot, number, size int) *rtp.Packet {
		return &rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(number), Timestamp: uint32(slot * ticks)}, Payload: toc(size)}
	}
	at := func(slot int) time.Duration { return time.Duration(slot) * transport.FrameDuration }
	quiet := map[time.Duration]*rtp.Packet{}
	number := 0
	for slot := range 10 {
		quiet[at(slot)] = packet(slot, number, 20)
		number++
	}
	for _, slot := range []int{10, 30, 50, 70} { // DTX: one each 400 ms
		quiet[at(slot)] = packet(slot, number, 2)
		number++
	}
	for slot := 85; slot < 100; slot++ {
		quiet[at(slot)] = packet(slot, number, 20)
		number++
	}
	e, h := run(t, at(103), never, quiet)
	if h.gaps != 0 || h.frames < 97 || h.frames > 100 || e.count.malformed.Load() != 0 {
		t.Errorf("silence that is meant came as %d frames and %d samples of gaps; malformed %d", h.frames, h.gaps, e.count.malformed.Load())
	}
	lost := map[time.Duration]*rtp.Packet{}
	for slot := range 100 {
		if slot < 30 || slot >= 50 {
			lost[at(slot)] = packet(slot, slot, 20)
		}
	}
	if _, h := run(t, at(103), never, lost); h.gaps < 15*transport.FrameSamples {
		t.Errorf("20 frames were lost, and %d samples are missing", h.gaps)
	}
	if _, h := run(t, at(103), func(now time.Duration) bool { return now >= at(30) && now < at(50) }, lost); h.gaps > 5*transport.FrameSamples {
		t.Errorf("with the microphone off for 20 frames, %d samples are missing", h.gaps)
	}
}

// A sender that begins to count anew, and packets that are none, are taken as they come.
func TestSenders(t *testing.T) {
	packets := map[time.Duration]*rtp.Packet{}
	for slot := range 60 {
		p := &rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(65500 + slot), Timestamp: 1<<32 - 5*ticks + uint32(slot*ticks)}, Payload: toc(20)}
		if slot >= 30 {
			p.SequenceNumber, p.Timestamp = uint16(9000+slot), uint32(777+slot*ticks)
		}
		if slot == 10 {
			p.Payload = nil // padding
		}
		if slot == 20 {
			p.Payload = []byte{0xff, 0xff, 0xff, 0xff}
		}
		packets[time.Duration(slot)*transport.FrameDuration] = p
	}
	e, h := run(t, 65*transport.FrameDuration, never, packets)
	if h.frames < 56 || e.count.malformed.Load() != 1 || e.count.packets.Load() != 60 {
		t.Errorf("%d frames; counted %d packets, %d malformed", h.frames, e.count.packets.Load(), e.count.malformed.Load())
	}
}

// A way that becomes longer has frames come again that were given up: their numbers do not.
func TestDelayed(t *testing.T) {
	packets := map[time.Duration]*rtp.Packet{}
	for slot := range 60 {
		at := time.Duration(slot) * transport.FrameDuration
		if slot >= 20 {
			at += 300 * time.Millisecond
		}
		packets[at] = &rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(slot), Timestamp: uint32(slot * ticks)}, Payload: toc(20)}
	}
	e, h := run(t, 80*transport.FrameDuration, never, packets)
	if h.again || e.jitter.Counters().Restarts == 0 || h.frames < 50 {
		t.Errorf("a number came again: %t; %d frames, the last %d; %+v", h.again, h.frames, h.last, e.jitter.Counters())
	}
}

// Texts come by every way that clients have, once each.
func TestChat(t *testing.T) {
	var c chat
	var got []string
	for _, p := range []*roomproto.Packet{
		{Header: &roomproto.Header{StreamID: "1", Topic: roomproto.TopicChat, Text: &roomproto.TextHeader{}}},
		{Header: &roomproto.Header{StreamID: "2", Topic: roomproto.TopicChat, Text: &roomproto.TextHeader{}, Inline: []byte("inline")}},
		{Chunk: &roomproto.Chunk{StreamID: "1", Content: []byte("caf\xc3")}},
		{Chunk: &roomproto.Chunk{StreamID: "1", Index: 1, Content: []byte("\xa9")}},
		{Trailer: &roomproto.Trailer{StreamID: "1"}},
		{Trailer: &roomproto.Trailer{StreamID: "1"}},
		{Chat: &roomproto.Chat{ID: "3", Message: "chat"}},
		{Chat: &roomproto.Chat{ID: "3", Message: "chat"}},
		{Chat: &roomproto.Chat{ID: "4", Message: "edited", Edited: 5}},
		{User: &roomproto.User{Topic: roomproto.TopicLegacyChat, Payload: []byte(`{"id":"5","message":"legacy"}`)}},
		{User: &roomproto.User{Topic: roomproto.TopicLegacyChat, Payload: []byte(`{"id":"6","message":"twice","ignoreLegacy":true}`)}},
		{User: &roomproto.User{Topic: roomproto.TopicChat, Payload: []byte("plain")}},
		{User: &roomproto.User{Topic: "other", Payload: []byte("other")}},
		{Header: &roomproto.Header{StreamID: "7", Topic: "files", Text: &roomproto.TextHeader{}}},
		{DTMF: &roomproto.DTMF{Code: 11}},
	} {
		f, err := c.take(p)
		if err != nil {
			t.Errorf("%+v: %v", p, err)
		}
		if f != nil {
			f(said{said: &got})
		}
	}
	if strings.Join(got, " ") != "inline café chat legacy plain #" {
		t.Errorf("the session was told %q", got)
	}
	for _, p := range []*roomproto.Packet{
		{Header: &roomproto.Header{Topic: roomproto.TopicChat, Text: &roomproto.TextHeader{}}},
		{Header: &roomproto.Header{StreamID: "8", Topic: roomproto.TopicChat, Text: &roomproto.TextHeader{}, TotalLength: mostText + 1}},
		{Chat: &roomproto.Chat{Message: strings.Repeat("x", mostText+1)}},
		{User: &roomproto.User{Topic: roomproto.TopicChat, Payload: []byte("\xff")}},
		{DTMF: &roomproto.DTMF{Code: 99}},
	} {
		if f, err := c.take(p); err == nil || f != nil {
			t.Errorf("%+v was taken", p)
		}
	}
}

type said struct {
	transport.Ingress
	said *[]string
}

func (s said) Text(text string, _ eventabi.IdempotencyKey) { *s.said = append(*s.said, text) }
func (s said) Control(c transport.Control)                 { *s.said = append(*s.said, c.Digit) }

// FuzzChat: whatever packets come, what is held is bounded, and texts are UTF-8.
func FuzzChat(f *testing.F) {
	f.Add([]byte{0x72, 3, 0x0a, 1, 's'}, []byte{0x7a, 3, 0x0a, 1, 's'})
	f.Add(roomproto.Marshal(nil, &roomproto.Packet{Header: &roomproto.Header{StreamID: "s", Topic: roomproto.TopicChat, Text: &roomproto.TextHeader{}}}),
		roomproto.Marshal(nil, &roomproto.Packet{Chunk: &roomproto.Chunk{StreamID: "s", Content: []byte("x")}}))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var c chat
		for range 20 {
			for _, data := range [][]byte{a, b} {
				p := new(roomproto.Packet)
				if roomproto.Unmarshal(data, p) != nil {
					continue
				}
				var got []string
				if f, _ := c.take(p); f != nil {
					f(said{said: &got})
				}
				for _, text := range got {
					if !utf8.ValidString(text) || len(text) > mostText {
						t.Fatalf("%q was taken", text)
					}
				}
			}
			if len(c.streams) > mostStreams {
				t.Fatalf("%d texts are held", len(c.streams))
			}
		}
	})
}

// A text is cut into chunks between characters, and nothing of it is lost.
func TestChunk(t *testing.T) {
	text := strings.Repeat("a€", chunkBytes)
	var all strings.Builder
	for rest := text; rest != ""; {
		var part string
		part, rest = chunk(rest)
		if len(part) > chunkBytes || !utf8.ValidString(part) || part == "" {
			t.Fatalf("a chunk of %d bytes", len(part))
		}
		all.WriteString(part)
	}
	if all.String() != text {
		t.Error("the chunks are another text")
	}
}

// The names of tracks are found where servers put them.
func TestTrackOf(t *testing.T) {
	for _, c := range [][3]string{{"PA_1|TR_2", "x", "TR_2"}, {"PA_1|camera", "TR_3", "TR_3"}, {"PA_1", "TR_4", "TR_4"}} {
		if got := trackOf(c[0], c[1]); got != c[2] {
			t.Errorf("%s, %s: %s", c[0], c[1], got)
		}
	}
}
