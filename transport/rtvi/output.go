// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/outbox"
)

// voice turns the session's frames into the sound of messages.
type voice struct {
	encoder    codec.Encoder
	generation uint32
	sound      []byte
	ends       time.Time // when a client that plays at once has played what it was sent
}

// frameRoom is what stands around the sound of a message.
const frameRoom = 160

// WriteFrame sends a frame of a turn.
func (c *conn) WriteFrame(f *transport.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.turnOf(f.Turn)
	if t.fenced && t.generation == f.Generation {
		c.server.count(func(s *Stats) { s.Unheard++ })
		return nil
	}
	t.fenced, t.generation = false, f.Generation
	c.tellOf(t)
	c.speaks(t)
	if !c.binary && !c.flags.capture {
		c.server.count(func(s *Stats) { s.Unheard++ })
		return nil
	}
	v := &c.voice
	if v.encoder == nil {
		e, err := codec.Format{Codec: codec.NamePCM, Rate: c.flags.rate}.NewEncoder()
		if err != nil {
			return fmt.Errorf("rtvi: %w", err)
		}
		v.encoder, v.generation = e, f.Generation
	}
	if v.generation != f.Generation {
		v.encoder.Reset()
		v.generation = f.Generation
	}
	var err error
	if v.sound, err = v.encoder.Encode(c.lead(v.sound[:0]), f.PCM); err != nil {
		return fmt.Errorf("rtvi: %w", err)
	}
	c.out.Send(outbox.Message{Audio: true, Binary: c.binary, Turn: f.Turn, Generation: f.Generation, Data: c.sounds()})
	return nil
}

// lead begins the sound of a message: with silence, when the client has nothing left to play.
func (c *conn) lead(dst []byte) []byte {
	now := time.Now()
	if c.binary && now.After(c.voice.ends) {
		n := 2 * int(int64(c.flags.rate)*int64(c.config.Lead)/int64(time.Second))
		dst = append(dst, make([]byte, n)...)
		c.voice.ends = now.Add(c.config.Lead)
	}
	c.voice.ends = c.voice.ends.Add(transport.FrameDuration)
	return dst
}

// sounds makes the message of v.sound.
func (c *conn) sounds() []byte {
	sound := c.voice.sound
	if c.binary {
		return appendAudio(c.out.Buffer(len(sound)+frameRoom), sound, c.flags.rate)
	}
	b := c.out.Buffer(base64.StdEncoding.EncodedLen(len(sound)) + frameRoom)
	b = append(b, `{"label":"`+label+`","type":"`+outEvalAudio+`","data":{"audio":"`...)
	b = base64.StdEncoding.AppendEncode(b, sound)
	b = strconv.AppendInt(append(b, `","sampleRate":`...), int64(c.flags.rate), 10)
	return append(b, `}}`...)
}

// Fence drops the sound that waits, and tells a client whose bot is cut off.
func (c *conn) Fence(f transport.Fence) {
	c.mu.Lock()
	for _, t := range c.turns {
		if !f.Session && !t.in(f) {
			continue
		}
		t.fenced = true
		if !f.Session {
			c.cut(t)
		}
	}
	c.voice.ends = time.Time{}
	c.mu.Unlock()
	c.out.Fence(f)
}

// TextWindow says that any number of pieces is taken.
func (*conn) TextWindow() int { return 0 }

// WriteText takes what is said, or what was understood of the caller.
func (c *conn) WriteText(t transport.Text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.From == transport.TextCaller {
		c.understood(t)
		return
	}
	u := c.turnOf(eventabi.TurnID(t.Of))
	if t.Text == "" || u.fenced || u.stopped() {
		return
	}
	c.tellOf(u)
	c.say(t.Text)
}

// WriteToolCall has the client run a function. Its name and arguments are told whatever the
// level of reports: it could not do so without.
func (c *conn) WriteToolCall(call transport.ToolCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tellOf(c.turnOf(call.Turn))
	if len(c.calls) >= maxCalls {
		clear(c.calls) // a client that answers none
	}
	c.calls[call.ID] = call.Name
	arguments := arguments(call.Arguments)
	if c.legacy {
		c.emit(outFunctionCall, object{"function_name": call.Name, "tool_call_id": call.ID, "args": arguments})
		return
	}
	c.emit(outFunctionStarted, object{"function_name": call.Name})
	c.emit(outFunctionRuns, object{"function_name": call.Name, "tool_call_id": call.ID, "arguments": arguments})
}

// maxCalls bounds the calls that wait for their results.
const maxCalls = 64
