// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"strings"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// speech is what the caller says, as the client is told.
type speech struct {
	current   *utterance   // that is being spoken, or was and may go on
	committed []*utterance // by the client, whose end the session has not told yet
	known     []*utterance // the latest that became items, for their transcripts
	length    time.Duration
}

// utterance is one of the caller's, and the item that it becomes.
type utterance struct {
	item      *item
	of        string // the session's name, empty = not known yet
	start     int64  // sample
	end       int64  // sample where it paused last
	voiced    bool
	began     time.Time // to be voiced, last
	announced bool      // speech_started was sent
	ended     bool      // the session was told its end
	told      string    // of the transcript
	latest    string    // interim transcript
}

const (
	// maxUtterances bounds those whose transcripts may still come.
	maxUtterances = 8
	// leastCommit is the shortest sound that can be committed, as OpenAI has it.
	leastCommit = 100 * time.Millisecond
	// pauseMost is how long speech that is in doubt may pause and still be the same.
	pauseMost = 700 * samplesMS
	// endByClient is the reason of an end_of_utterance that a client asked for.
	endByClient = "client"
)

func newUtterance(start int64) *utterance {
	return &utterance{start: start, end: start, item: &item{
		id: newID("item"), kind: kindMessage, role: string(transport.ContextUser), status: statusCompleted, part: partInputAudio,
		of: transport.Forget{Role: transport.ForgetUser},
	}}
}

// append takes sound of the caller.
func (c *conn) append(audio string) *fault {
	c.mu.Lock()
	format := c.set.in
	c.mu.Unlock()
	if c.hearing == nil || c.hearing.format != format {
		h, err := newHearing(format)
		if err != nil {
			return &fault{Type: errServer, Code: codeValue, Message: err.Error()}
		}
		c.hearing = h
	}
	pcm, length, f := c.hearing.decode(audio)
	if f != nil {
		return f
	}
	c.mu.Lock()
	c.speech.length += length
	c.mu.Unlock()
	c.feed.Write(pcm)
	return nil
}

// commit ends what the client has said, by its own word.
func (c *conn) commit() *fault {
	c.mu.Lock()
	if c.speech.length < leastCommit {
		had := c.speech.length
		c.mu.Unlock()
		return &fault{
			Code:    codeNoAudio,
			Message: "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has " + had.String() + " of audio.",
		}
	}
	u := c.speech.current
	if u == nil {
		u = newUtterance(0)
	}
	c.speech.current = nil
	c.speech.committed = append(c.speech.committed, u)
	if len(c.speech.committed) > maxUtterances {
		c.speech.committed = c.speech.committed[1:]
	}
	c.become(u)
	c.mu.Unlock()
	c.after(func(in transport.Ingress) {
		in.EndOfUtterance(eventabi.IdempotencyKey(u.item.id))
		c.mu.Lock()
		u.ended = true
		c.mu.Unlock()
	})
	return nil
}

// become makes an item of an utterance; the lock is held.
func (c *conn) become(u *utterance) {
	c.speech.length = 0
	c.emit(evCommitted, object{"item_id": u.item.id, "previous_item_id": c.items.last()})
	c.addWhole(u.item)
	if c.speech.known = append(c.speech.known, u); len(c.speech.known) > maxUtterances {
		c.speech.known = c.speech.known[1:]
	}
	if words := u.told; words != "" && !u.announced { // understood before anybody knew of it
		u.told = ""
		c.partly(u, words)
	}
}

// clearInput takes back what was not heard yet.
func (c *conn) clearInput() {
	c.feed.Clear()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.speech.length = 0
	c.emit(evCleared, object{})
}

// WriteSpeech follows where the caller is heard to speak.
func (c *conn) WriteSpeech(s transport.Speech) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.speech.current
	if !s.Began {
		if u == nil {
			u = c.awaited()
		}
		if u != nil {
			u.voiced, u.end = false, max(s.Sample, u.start)
		}
		return
	}
	if u == nil {
		if a := c.awaited(); a != nil { // its sound is behind the client's commit
			a.voiced = true
			return
		}
		u = newUtterance(s.Sample)
		c.speech.current = u
	}
	if !u.announced && s.Sample-u.end > pauseMost { // what it was before was nothing
		u.start, u.of, u.told = s.Sample, "", ""
	}
	u.voiced, u.began = true, time.Now()
	if !c.set.manual() && (c.active == nil || !c.set.interrupts()) {
		c.announce(u)
	}
}

// awaited is an utterance that was committed before the session had heard all of it.
func (c *conn) awaited() *utterance {
	for _, u := range c.speech.committed {
		if !u.ended {
			return u
		}
	}
	return nil
}

// announce tells that the caller speaks; the lock is held.
func (c *conn) announce(u *utterance) {
	if u.announced {
		return
	}
	u.announced = true
	c.emit(evSpeechStarted, object{"item_id": u.item.id, "audio_start_ms": u.start / samplesMS})
	if words := u.told; words != "" {
		u.told = ""
		c.partly(u, words)
	}
}

// utteranceOver meets the end of an utterance, whoever said it; the lock is held.
func (c *conn) utteranceOver(reason string) {
	if reason == endByClient && len(c.speech.committed) > 0 {
		c.speech.committed = c.speech.committed[1:]
		return
	}
	u := c.speech.current
	if u == nil {
		u = newUtterance(0)
	}
	c.speech.current = nil
	if !c.set.manual() {
		c.announce(u)
		c.emit(evSpeechStopped, object{"item_id": u.item.id, "audio_end_ms": u.end / samplesMS})
	}
	c.become(u)
}

// understood takes what was understood of an utterance; the lock is held.
func (c *conn) understood(t transport.Text) {
	u := c.whose(t.Of)
	if u == nil {
		return
	}
	if u.item.known || u.item.gone {
		return
	}
	if !t.Final {
		u.latest = t.Text
		c.partly(u, t.Text)
		return
	}
	c.transcribed(u, t.Text)
}

// transcribed meets the words of an utterance, which will not change; the lock is held.
func (c *conn) transcribed(u *utterance, words string) {
	u.item.text, u.item.known = words, true
	if !c.set.transcribes() {
		return
	}
	c.partly(u, words)
	c.emit(evTranscript, object{
		"item_id": u.item.id, "content_index": 0, "transcript": words,
		"usage": object{"type": "duration", "seconds": float64(u.end-u.start) / transport.SampleRate},
	})
}

// settleWords: a turn that speaks has its words. Where the recogniser failed they are the
// last that it had, and nothing further is told of them; the lock is held.
func (c *conn) settleWords(t *turn) {
	for _, u := range t.words {
		switch {
		case u.item.known, u.item.gone:
		case u.latest != "":
			c.transcribed(u, u.latest)
		case c.set.transcribes():
			u.item.known = true
			c.emit(evTranscriptFailed, object{"item_id": u.item.id, "content_index": 0, "error": object{
				"type": "transcription_error", "code": "not_understood", "message": "No words were understood.", "param": nil,
			}})
		}
	}
	t.words = nil
}

// whose finds the utterance that the session calls by a name; the lock is held.
func (c *conn) whose(of string) *utterance {
	if u := c.speech.current; u != nil && u.of == of {
		return u
	}
	for _, u := range c.speech.known {
		if u.of == of {
			return u
		}
	}
	u := c.speech.current
	for i := 0; u == nil && i < len(c.speech.known); i++ {
		if k := c.speech.known[i]; k.of == "" && !k.item.known {
			u = k
		}
	}
	if u != nil {
		u.of = of
		u.item.of.Name = of
		if u.item.gone {
			name := u.item.of
			c.later(func() { c.forget(name) })
		}
	}
	return u
}

// partly tells what is new of a transcript. An interim one replaces the one before, and a
// delta cannot: one that does not go on from what was told waits for the final.
func (c *conn) partly(u *utterance, words string) {
	if !u.announced && !c.isItem(u) {
		u.told = words // a later one replaces it
		return
	}
	more, goesOn := strings.CutPrefix(words, u.told)
	if !goesOn || more == "" || !c.set.transcribes() {
		return
	}
	u.told = words
	c.emit(evTranscriptDelta, object{"item_id": u.item.id, "content_index": 0, "delta": more})
}

// isItem says that an utterance has become an item; the lock is held.
func (c *conn) isItem(u *utterance) bool {
	for _, k := range c.speech.known {
		if k == u {
			return true
		}
	}
	return false
}
