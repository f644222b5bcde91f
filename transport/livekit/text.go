// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

const (
	// chunkBytes is how much text a chunk holds, as LiveKit's SDKs have it.
	chunkBytes = 15000
	// mostText bounds a text that somebody sends, and what is kept of one that is written.
	mostText = 32 << 10
	// mostStreams bounds the texts that come, or are written, at a time.
	mostStreams = 8
	// mostKeys is how many texts are known by their ids, so that one counts once.
	mostKeys = 64
)

// texts writes what is said to the room.
type texts struct {
	mu     sync.Mutex
	room   room
	caller string
	track  string // SID of the caller's
	open   []*segment
	over   bool
}

// segment is what the agent says in a turn.
type segment struct {
	turn, stream string
	chunks       uint64
	text         string
	cut          bool
}

func (t *texts) init(r room, caller string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.room, t.caller = r, caller
}

// heard says which track the caller's words come from.
func (t *texts) heard(track string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.track = track
}

// write shows a piece.
func (t *texts) write(piece transport.Text) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || piece.Text == "" || t.room == nil {
		return
	}
	if piece.From == transport.TextCaller {
		t.callers(piece)
		return
	}
	s := t.segment(piece.Of)
	if s.cut {
		return
	}
	if s.chunks == 0 {
		t.room.send(&roomproto.Packet{Header: header(s.stream, attributes(piece.Of, t.room.self().track, false))})
	}
	for rest := piece.Text; rest != ""; s.chunks++ {
		var part string
		part, rest = chunk(rest)
		t.room.send(&roomproto.Packet{Chunk: &roomproto.Chunk{StreamID: s.stream, Index: s.chunks, Content: []byte(part)}})
	}
	if len(s.text)+len(piece.Text) <= mostText {
		s.text += piece.Text
	}
	t.legacy(t.room.self().identity, t.room.self().track, s.turn, s.text, false)
}

// callers shows what the caller said: each piece a stream of its own, which a later one of
// the same segment replaces.
func (t *texts) callers(piece transport.Text) {
	stream := streamID()
	t.room.send(&roomproto.Packet{Identity: t.caller, Header: header(stream, attributes(piece.Of, t.track, piece.Final))})
	n := uint64(0)
	for rest := piece.Text; rest != ""; n++ {
		var part string
		part, rest = chunk(rest)
		t.room.send(&roomproto.Packet{Identity: t.caller, Chunk: &roomproto.Chunk{StreamID: stream, Index: n, Content: []byte(part)}})
	}
	t.room.send(&roomproto.Packet{Identity: t.caller, Trailer: &roomproto.Trailer{StreamID: stream}})
	t.legacy(t.caller, t.track, piece.Of, piece.Text, piece.Final)
}

// legacy shows it to clients that know no text streams.
func (t *texts) legacy(identity, track, id, text string, final bool) {
	t.room.send(&roomproto.Packet{Transcription: &roomproto.Transcription{
		Identity: identity, TrackSID: track, Segments: []*roomproto.Segment{{ID: id, Text: text, Final: final}},
	}})
}

// segment finds a turn's, or begins it. The oldest is closed when there are too many.
func (t *texts) segment(turn string) *segment {
	for _, s := range t.open {
		if s.turn == turn {
			return s
		}
	}
	if len(t.open) >= mostStreams {
		t.end(0)
	}
	s := &segment{turn: turn, stream: streamID()}
	t.open = append(t.open, s)
	return s
}

// cut takes nothing more of a turn that was interrupted.
func (t *texts) cut(turn string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.segment(turn).cut = true
}

// close ends a turn's text.
func (t *texts) close(turn string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, s := range t.open {
		if s.turn == turn {
			t.end(i)
			return
		}
	}
}

// closeAll ends all.
func (t *texts) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	for len(t.open) > 0 {
		t.end(0)
	}
}

func (t *texts) end(i int) {
	s := t.open[i]
	t.open = append(t.open[:i], t.open[i+1:]...)
	if s.chunks == 0 || t.room == nil {
		return
	}
	self := t.room.self()
	t.room.send(&roomproto.Packet{Trailer: &roomproto.Trailer{StreamID: s.stream, Attributes: attributes(s.turn, self.track, true)}})
	t.legacy(self.identity, self.track, s.turn, s.text, true)
}

func header(stream string, attributes map[string]string) *roomproto.Header {
	return &roomproto.Header{
		StreamID: stream, Timestamp: time.Now().UnixMilli(), Topic: roomproto.TopicTranscription, MimeType: "text/plain",
		Attributes: attributes, Text: &roomproto.TextHeader{},
	}
}

func attributes(segment, track string, final bool) map[string]string {
	a := map[string]string{roomproto.AttributeSegment: segment, roomproto.AttributeFinal: strconv.FormatBool(final)}
	if track != "" {
		a[roomproto.AttributeTrack] = track
	}
	return a
}

// chunk cuts a text between two characters.
func chunk(text string) (part, rest string) {
	if len(text) <= chunkBytes {
		return text, ""
	}
	n := chunkBytes
	for n > chunkBytes-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n], text[n:]
}

func streamID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return hex.EncodeToString(b[:])
}

// chat reads the texts that the caller sends. It is used by one goroutine at a time.
type chat struct {
	streams []*incoming
	keys    [mostKeys]string // in a ring
	n       int
	digits  int
}

// incoming is a text that is coming.
type incoming struct {
	id   string
	next uint64
	text []byte
}

// The faults of texts.
var (
	errText   = fmt.Errorf("livekit: a text that is no UTF-8, or longer than %d bytes", mostText)
	errStream = errors.New("livekit: a text stream that cannot be read: send text of one operation, without compression, its chunks in order")
)

// take gives what to tell the session, nil = nothing yet.
func (c *chat) take(p *roomproto.Packet) (func(in transport.Ingress), error) {
	switch {
	case p.Header != nil:
		return c.header(p.Header)
	case p.Chunk != nil:
		return nil, c.chunk(p.Chunk)
	case p.Trailer != nil:
		return c.trailer(p.Trailer)
	case p.Chat != nil && !p.Chat.Deleted && p.Chat.Edited == 0 && !p.Chat.Generated:
		return c.text(p.Chat.ID, p.Chat.Message)
	case p.User != nil:
		return c.user(p.User)
	case p.DTMF != nil:
		return c.key(p.DTMF)
	}
	return nil, nil
}

func (c *chat) header(h *roomproto.Header) (func(in transport.Ingress), error) {
	if h.Topic != roomproto.TopicChat || h.Text == nil {
		return nil, nil // of somebody else's business
	}
	if h.StreamID == "" || len(h.StreamID) > longestID || h.Text.Operation != 0 || h.Compression != 0 || h.TotalLength > mostText {
		return nil, errStream
	}
	if len(h.Inline) > 0 {
		return c.text(h.StreamID, string(h.Inline))
	}
	if len(c.streams) >= mostStreams {
		c.streams = c.streams[1:] // the oldest will not be finished
	}
	c.streams = append(c.streams, &incoming{id: h.StreamID})
	return nil, nil
}

func (c *chat) chunk(k *roomproto.Chunk) error {
	for i, s := range c.streams {
		if s.id != k.StreamID {
			continue
		}
		if k.Index != s.next || len(s.text)+len(k.Content) > mostText {
			c.drop(i)
			return errStream
		}
		s.next++
		s.text = append(s.text, k.Content...)
	}
	return nil
}

func (c *chat) trailer(t *roomproto.Trailer) (func(in transport.Ingress), error) {
	for i, s := range c.streams {
		if s.id == t.StreamID {
			c.drop(i)
			if t.Reason != "" { // given up
				return nil, nil
			}
			return c.text(s.id, string(s.text))
		}
	}
	return nil, nil
}

func (c *chat) drop(i int) { c.streams = append(c.streams[:i], c.streams[i+1:]...) }

// user reads what clients without text streams send.
func (c *chat) user(u *roomproto.User) (func(in transport.Ingress), error) {
	switch u.Topic {
	case roomproto.TopicChat:
		return c.text(u.ID, string(u.Payload))
	case roomproto.TopicLegacyChat:
		var m struct {
			ID           string `json:"id"`
			Message      string `json:"message"`
			Ignore       bool   `json:"ignore"`
			IgnoreLegacy bool   `json:"ignoreLegacy"`
		}
		if len(u.Payload) > 2*mostText || json.Unmarshal(u.Payload, &m) != nil {
			return nil, errText
		}
		if m.Ignore || m.IgnoreLegacy { // it comes the other way as well
			return nil, nil
		}
		return c.text(m.ID, m.Message)
	}
	return nil, nil
}

// text takes a whole text, once for each id.
func (c *chat) text(id, text string) (func(in transport.Ingress), error) {
	if len(text) > mostText || len(id) > longestID || !utf8.ValidString(text) {
		return nil, errText
	}
	if text == "" {
		return nil, nil
	}
	if id != "" {
		for _, known := range c.keys {
			if known == id {
				return nil, nil
			}
		}
		c.keys[c.n%mostKeys] = id
		c.n++
	}
	return func(in transport.Ingress) { in.Text(text, eventabi.IdempotencyKey(id)) }, nil
}

// key takes a key of a telephone.
func (c *chat) key(d *roomproto.DTMF) (func(in transport.Ingress), error) {
	const digits = "0123456789*#ABCD"
	digit := d.Digit
	if digit == "" && d.Code < uint32(len(digits)) {
		digit = digits[d.Code : d.Code+1]
	}
	valid := false
	for _, known := range digits {
		valid = valid || digit == string(known)
	}
	if !valid {
		return nil, fmt.Errorf("livekit: %q, %d: no key of a telephone", d.Digit, d.Code)
	}
	c.digits++
	key := eventabi.IdempotencyKey("dtmf-" + strconv.Itoa(c.digits))
	return func(in transport.Ingress) { in.Control(transport.Control{Kind: "dtmf", Digit: digit, Key: key}) }, nil
}
