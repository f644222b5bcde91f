// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/parley-voice/parley/transport"
)

// takeFrame handles a binary message. It gives the id of a message that is wrong.
func (c *conn) takeFrame(ctx context.Context, data []byte) (json.RawMessage, error) {
	f, err := decodeFrame(data)
	if err != nil {
		return nil, err
	}
	if f.kind == frameMessage {
		return c.takeMessage(ctx, f.content)
	}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	switch f.kind { //nolint:exhaustive // its type has the numbers of protobuf
	case frameAudio:
		err = c.hear(f.content, f.rate, f.channels)
	case frameText, frameTranscription:
		err = c.typed(string(f.content), nil)
	case frameInterruption:
		c.interrupt()
	default:
		err = errors.New("frame: of no known kind: send text, audio, transcription, message or interruption")
	}
	return nil, err
}

// takeMessage handles an RTVI message. It gives the id of one that is wrong.
func (c *conn) takeMessage(ctx context.Context, data []byte) (json.RawMessage, error) {
	e, err := decodeMessage(data)
	if err != nil {
		return e.ID, err
	}
	if e.Type == inMessage {
		return e.ID, c.clientMessage(ctx, &e)
	}
	if e.Type == inReady {
		return e.ID, c.clientReady(ctx, &e)
	}
	do, known := handlers()[e.Type]
	if !known {
		return e.ID, fmt.Errorf("type: %.64q is not supported", e.Type)
	}
	if err := c.begin(ctx); err != nil {
		return e.ID, err
	}
	return e.ID, do(c, &e)
}

// handlers are what the other messages do.
func handlers() map[string]func(*conn, *envelope) error {
	return map[string]func(*conn, *envelope) error{
		inText: (*conn).sendText, inContext: (*conn).appendToContext, inAudio: (*conn).rawAudio, inAudioBatch: (*conn).rawAudio,
		inDTMF: (*conn).dtmf, inFunctionDone: (*conn).functionDone, inDisconnect: (*conn).hangup,
		inUIEvent: (*conn).ignore, inUISnapshot: (*conn).ignore, inUICancel: (*conn).ignore,
	}
}

// ignore is for what a bot may leave alone: there is no agent here that sees a page.
func (c *conn) ignore(*envelope) error {
	c.server.count(func(s *Stats) { s.Ignored++ })
	return nil
}

func (c *conn) hangup(e *envelope) error {
	c.Tell(func(in transport.Ingress) { in.Hangup(strings.ReplaceAll(e.Type, "-", "_")) })
	return nil
}

// clientReady begins the session of a client that is ready to be told of it.
func (c *conn) clientReady(ctx context.Context, e *envelope) error {
	var d struct {
		Version string `json:"version"`
	}
	err := e.into(&d)
	spoken := 0
	if err == nil {
		spoken, err = major(d.Version)
	}
	if err == nil && spoken != legacyMajor && spoken != 2 {
		err = fmt.Errorf("version: %s: this bot speaks %s", d.Version, version)
	}
	c.mu.Lock()
	c.legacy = spoken == legacyMajor
	if c.held == nil {
		c.held = [][]byte{}
	}
	c.mu.Unlock()
	if err := c.begin(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	about := object{"library": "parley"}
	if c.config.Version != "" {
		about["library_version"] = c.config.Version
	}
	speaks := version
	if c.legacy {
		speaks = d.Version // what it is told has the form of its own version
	}
	c.send(outReady, or(e.ID), object{"version": speaks, "about": about})
	c.ready = true
	for _, message := range c.held {
		c.write(message)
	}
	c.held = nil
	if err != nil { // it is served nevertheless, as by Pipecat
		return fmt.Errorf("%w; it may not understand everything", err)
	}
	return nil
}

// or is an id that there is.
func or(id json.RawMessage) json.RawMessage {
	if len(id) == 0 {
		return json.RawMessage(`""`)
	}
	return id
}

// sendText takes what was typed.
func (c *conn) sendText(e *envelope) error {
	var d struct {
		Content *string `json:"content"`
		Options struct {
			RunImmediately *bool `json:"run_immediately"`
			AudioResponse  *bool `json:"audio_response"`
		} `json:"options"`
	}
	if err := e.into(&d); err != nil {
		return err
	}
	if d.Content == nil || strings.TrimSpace(*d.Content) == "" {
		return missing("content", "send the text")
	}
	if run := d.Options.RunImmediately; run != nil && !*run {
		return c.context(transport.ContextUser, *d.Content)
	}
	if err := c.typed(*d.Content, d.Options.AudioResponse); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.emit(outUserInput, object{"text": *d.Content, "input_type": "chat", "timestamp": timestamp(), "final": true, "msg_id": or(e.ID)})
	return nil
}

// typed answers text at once: what the bot is saying is over. spoken says whether the answer
// is to be; nil leaves it.
func (c *conn) typed(text string, spoken *bool) error {
	if err := bounded(text); err != nil {
		return err
	}
	c.interrupt()
	c.mu.Lock()
	change := spoken != nil && *spoken == c.text
	if change {
		c.spoken = !c.text
		c.text = !*spoken
	}
	written := c.text
	restores := change
	c.said = text
	c.mu.Unlock()
	key := c.key()
	c.Tell(func(in transport.Ingress) {
		if restores {
			in.Configure(transport.Wishes{TextOnly: &written})
		}
		in.Text(text, key)
	})
	return nil
}

// interrupt ends what the bot is saying, or about to say.
func (c *conn) interrupt() {
	c.mu.Lock()
	busy := false
	for _, t := range c.turns {
		busy = busy || !t.over()
	}
	c.mu.Unlock()
	if key := c.key(); busy {
		c.Tell(func(in transport.Ingress) { in.Cancel(transport.Request{Key: key}) })
	}
}

func bounded(text string) error {
	if len(text) > maxText {
		return fmt.Errorf("content: %d bytes: use at most %d", len(text), maxText)
	}
	return nil
}

// context adds an item to the conversation.
func (c *conn) context(role transport.ContextRole, text string) error {
	if err := bounded(text); err != nil {
		return err
	}
	key := c.key()
	c.Tell(func(in transport.Ingress) { in.Context(transport.Context{Role: role, Text: text, Key: key}) })
	return nil
}

// item is one of a conversation, as a client brings it.
type item struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

func (i *item) read() (role transport.ContextRole, text string, err error) {
	switch i.Role {
	case "user":
		role = transport.ContextUser
	case "assistant":
		role = transport.ContextAssistant
	case "system", "developer":
		role = transport.ContextSystem
	default:
		return "", "", fmt.Errorf("role: %.32q: use user, assistant or system", i.Role)
	}
	if text, err = contentText(i.Content); err == nil && text == "" {
		err = missing("content", "send text")
	}
	return role, text, err
}

// appendToContext is what clients had before send-text.
func (c *conn) appendToContext(e *envelope) error {
	var d struct {
		item
		RunImmediately bool `json:"run_immediately"`
	}
	if err := e.into(&d); err != nil {
		return err
	}
	role, text, err := d.read()
	if err != nil {
		return err
	}
	switch {
	case d.RunImmediately && role == transport.ContextUser:
		err = c.typed(text, nil)
	default:
		err = c.context(role, text)
	}
	if err != nil {
		return err
	}
	if d.RunImmediately && role != transport.ContextUser {
		key := c.key()
		c.Tell(func(in transport.Ingress) { in.Respond(key) })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send(outContextResult, or(e.ID), object{"result": "ok"})
	return nil
}

// dtmf takes keys: a list, or one as before 2.1.
func (c *conn) dtmf(e *envelope) error {
	var d struct {
		Buttons []string `json:"buttons"`
		Button  string   `json:"button"`
	}
	if err := e.into(&d); err != nil {
		return err
	}
	if d.Button != "" {
		d.Buttons = append(d.Buttons, d.Button)
	}
	if len(d.Buttons) == 0 {
		return missing("buttons", "send the keys")
	}
	const most = 64
	if len(d.Buttons) > most {
		return fmt.Errorf("buttons: %d: use at most %d", len(d.Buttons), most)
	}
	for _, b := range d.Buttons {
		if len(b) != 1 || !strings.Contains("0123456789*#ABCD", b) {
			return fmt.Errorf("buttons: %.16q: use 0 to 9, * and #", b)
		}
	}
	for _, b := range d.Buttons {
		key := c.key()
		c.Tell(func(in transport.Ingress) { in.Control(transport.Control{Kind: "dtmf", Digit: b, Key: key}) })
	}
	return nil
}

// functionDone takes what a function of the client has answered.
func (c *conn) functionDone(e *envelope) error {
	var d struct {
		ID     string          `json:"tool_call_id"`
		Result json.RawMessage `json:"result"`
	}
	if err := e.into(&d); err != nil {
		return err
	}
	if d.ID == "" {
		return missing("tool_call_id", "name the call")
	}
	c.mu.Lock()
	name, known := c.calls[d.ID]
	delete(c.calls, d.ID)
	if known {
		o := object{"tool_call_id": d.ID, "function_name": name, "cancelled": false}
		if len(d.Result) > 0 {
			o["result"] = d.Result
		}
		c.emit(outFunctionStopped, o)
	}
	c.mu.Unlock()
	if !known {
		return fmt.Errorf("tool_call_id: %.64q: is no call that waits for its result", d.ID)
	}
	text := string(bytes.TrimSpace(d.Result))
	var plain string
	if json.Unmarshal(d.Result, &plain) == nil {
		text = plain
	}
	c.Tell(func(in transport.Ingress) { in.ToolResult(transport.ToolResult{ID: d.ID, Output: text}) })
	return nil
}
