// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/parley-voice/parley/transport"
)

const (
	// maxItems bounds the conversation that the evaluation harness begins with.
	maxItems = 256
	// controlMessage names a client-message to the session whose own name is no word.
	controlMessage = "client-message"
	maxName        = 32
)

// clientMessage takes a message of the application. Those of Pipecat's evaluation harness
// are the transport's own: they ask for no more than a client may do otherwise.
func (c *conn) clientMessage(ctx context.Context, e *envelope) error {
	var d struct {
		Name string          `json:"t"`
		Data json.RawMessage `json:"d"`
	}
	if err := e.into(&d); err != nil {
		return err
	}
	if d.Name == "" {
		return missing("t", "name the message")
	}
	if d.Name == inEvalConnect {
		return c.evalConnect(d.Data)
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	switch d.Name {
	case inEvalContext:
		return c.evalContext(d.Data)
	case inEvalConfigure:
		return c.evalConfigure(d.Data)
	case inEvalCancel:
		return c.hangup(&envelope{Type: inEvalCancel})
	case inEvalImage:
		return c.ignore(e)
	}
	var result any
	if c.config.Message != nil {
		var err error
		if result, err = c.config.Message(ctx, c.id, d.Name, d.Data); err != nil {
			return fmt.Errorf("%.64s: %w", d.Name, err)
		}
	} else {
		control := transport.Control{Kind: d.Name, Key: c.key()}
		if !word(d.Name) {
			control.Kind = controlMessage
		}
		c.Tell(func(in transport.Ingress) { in.Control(control) })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send(outResponse, or(e.ID), object{"t": d.Name, "d": result})
	return nil
}

// word says that the session takes a name as it is.
func word(s string) bool {
	for i := range len(s) {
		if b := s[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '_' && b != '-' {
			return false
		}
	}
	return len(s) <= maxName && s != "dtmf" // those have a digit
}

// evalConnect takes what the harness asks of the connection, which comes first; elsewhere
// the address has it.
func (c *conn) evalConnect(raw json.RawMessage) error {
	var d struct {
		SkipTTS      bool `json:"skip_tts"`
		CaptureAudio bool `json:"capture_bot_audio"`
	}
	if err := decode(inEvalConnect, raw, &d); err != nil {
		return err
	}
	if c.began {
		return fmt.Errorf("%s: comes late: send it first", inEvalConnect)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flags.capture, c.text = d.CaptureAudio, d.SkipTTS
	c.flags.wishes.TextOnly = &d.SkipTTS
	return nil
}

// evalContext takes the conversation that the bot's begins with.
func (c *conn) evalContext(raw json.RawMessage) error {
	var d struct {
		Messages []item `json:"messages"`
	}
	if err := decode(inEvalContext, raw, &d); err != nil {
		return err
	}
	if len(d.Messages) > maxItems {
		return fmt.Errorf("%s: messages: %d: use at most %d", inEvalContext, len(d.Messages), maxItems)
	}
	for i := range d.Messages {
		role, text, err := d.Messages[i].read()
		if err == nil {
			err = c.context(role, text)
		}
		if err != nil {
			return fmt.Errorf("%s: message %d: %w", inEvalContext, i+1, err)
		}
	}
	return nil
}

// evalConfigure takes what more the harness wants to be told. Calls of functions are told
// in full anyway: the client is who runs them.
func (c *conn) evalConfigure(raw json.RawMessage) error {
	var d struct {
		VAD *bool `json:"vad_user_speaking"`
	}
	if err := decode(inEvalConfigure, raw, &d); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.VAD != nil {
		c.vad = *d.VAD
	}
	return nil
}

// decode reads the data of a client-message; none is an empty object.
func decode(name string, raw json.RawMessage, v any) error {
	e := envelope{Type: name, Data: raw}
	return e.into(v)
}
