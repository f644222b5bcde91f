// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What the messages of RTVI have in common.
const (
	label = "rtvi-ai"
	// version is of the protocol, as clients of 2.x are told.
	version = "2.2.0"
	// legacyMajor is that of clients which are told of the bot's output in its old form.
	legacyMajor = 1
)

// The messages of a client.
const (
	inReady         = "client-ready"
	inMessage       = "client-message"
	inText          = "send-text"
	inContext       = "append-to-context"
	inAudio         = "raw-audio"
	inAudioBatch    = "raw-audio-batch"
	inDTMF          = "dtmf"
	inFunctionDone  = "llm-function-call-result"
	inDisconnect    = "disconnect-bot"
	inUIEvent       = "ui-event"
	inUISnapshot    = "ui-snapshot"
	inUICancel      = "ui-cancel-job-group"
	inEvalConnect   = "eval-connect" // these are the name of a client-message
	inEvalContext   = "eval-context"
	inEvalConfigure = "eval-configure"
	inEvalCancel    = "eval-cancel"
	inEvalImage     = "eval-image"
)

// The messages of a bot.
const (
	outReady           = "bot-ready"
	outError           = "error"
	outErrorResponse   = "error-response"
	outResponse        = "server-response"
	outServerMessage   = "server-message"
	outContextResult   = "append-to-context-result"
	outUserStarted     = "user-started-speaking"
	outUserStopped     = "user-stopped-speaking"
	outVADStarted      = "vad-user-started-speaking"
	outVADStopped      = "vad-user-stopped-speaking"
	outUserTranscript  = "user-transcription"
	outUserInput       = "user-input"
	outUserLLMText     = "user-llm-text"
	outLLMStarted      = "bot-llm-started"
	outLLMText         = "bot-llm-text"
	outLLMStopped      = "bot-llm-stopped"
	outTTSStarted      = "bot-tts-started"
	outTTSText         = "bot-tts-text"
	outTTSStopped      = "bot-tts-stopped"
	outBotStarted      = "bot-started-speaking"
	outBotStopped      = "bot-stopped-speaking"
	outInterrupted     = "bot-interrupted"
	outBotOutput       = "bot-output"
	outTranscription   = "bot-transcription"
	outMetrics         = "metrics"
	outFunctionCall    = "llm-function-call" // of 1.x
	outFunctionStarted = "llm-function-call-started"
	outFunctionRuns    = "llm-function-call-in-progress"
	outFunctionStopped = "llm-function-call-stopped"
	outEvalAudio       = "eval-bot-audio"
)

// object is data of a message.
type object = map[string]any

// envelope is a message of a client.
type envelope struct {
	Label string          `json:"label"`
	Type  string          `json:"type"`
	ID    json.RawMessage `json:"id"`
	Data  json.RawMessage `json:"data"`
}

// decodeMessage reads a message. What can be read of one that is wrong is given as well, so
// that its sender can be told.
func decodeMessage(data []byte) (e envelope, err error) {
	if err := json.Unmarshal(data, &e); err != nil {
		return envelope{ID: e.ID}, fmt.Errorf("message: %w: send a JSON object", err)
	}
	switch {
	case e.Label != label:
		err = fmt.Errorf("label: %.64q: use %q", e.Label, label)
	case e.Type == "":
		err = errors.New("type: missing: say what the message is")
	}
	return e, err
}

// into reads the data of a message; none is an empty object.
func (e *envelope) into(v any) error {
	if len(e.Data) == 0 || string(e.Data) == "null" {
		return nil
	}
	if err := json.Unmarshal(e.Data, v); err != nil {
		return fmt.Errorf("%s: data: %w", e.Type, err)
	}
	return nil
}

// missing is the error for a field that a message cannot do without.
func missing(field, remedy string) error { return fmt.Errorf("%s: missing: %s", field, remedy) }

// major reads the first number of a protocol version of three.
func major(text string) (int, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return 0, fmt.Errorf("version: %.32q: use three numbers, such as %s", text, version)
	}
	var first int
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("version: %.32q: use three numbers, such as %s", text, version)
		}
		if i == 0 {
			first = int(n)
		}
	}
	return first, nil
}

// contentText is the text of an item of a conversation, as model APIs have it: a string, or
// parts of which some are text.
func contentText(raw json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", errors.New("content: neither a string nor a list of parts: send text")
	}
	var all []string
	for _, p := range parts {
		if p.Text != "" {
			all = append(all, p.Text)
		}
	}
	return strings.Join(all, " "), nil
}
