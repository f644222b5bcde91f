// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parley-voice/parley/transport"
)

// settings are what a client has set of its session. A value is replaced as a whole: what
// an update has reached is never seen half.
type settings struct {
	id            string
	model         string
	instructions  *string // nil = the operator's
	text          bool    // answers are written, not spoken
	in, out       format
	transcription json.RawMessage // null = the client does not read along
	language      *string
	noise         json.RawMessage
	detection     *detection // nil = the client ends its turns
	voice         string     // empty = the operator's
	speed         json.RawMessage
	tools         []tool
	declared      bool // tools were given, maybe none
	choice        json.RawMessage
	noTools       bool // by tool_choice
	// interrupt is whether speech interrupts, which only the beginning of a session sets;
	// nil = it has not begun.
	interrupt *bool
	// rest is what is kept and echoed, and changes nothing.
	rest map[string]json.RawMessage
}

// detection is how turns are told.
type detection struct {
	kind      string
	answer    bool
	interrupt bool
	rest      map[string]json.RawMessage
}

// tool is a function that the client runs.
type tool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

// The kinds of turn detection. Both are the endpointer that the operator has chosen.
const (
	serverVAD   = "server_vad"
	semanticVAD = "semantic_vad"
)

// The bounds of what a client may set.
const (
	maxInstructions = 64 << 10
	maxTools        = 128
	maxToolName     = 64
	maxToolBytes    = 32 << 10
)

func newSettings(id, model string) *settings {
	return &settings{
		id: id, model: model, in: pcm24, out: pcm24,
		detection: &detection{kind: serverVAD, answer: true, interrupt: true},
		rest:      map[string]json.RawMessage{},
	}
}

// echoed are the fields of a session that are kept for the client and have no effect.
func echoed() []string {
	return []string{
		"include", "max_output_tokens", "parallel_tool_calls", "prompt", "reasoning", "temperature", "tracing", "truncation",
	}
}

// update gives the settings with a client's changes.
func (s *settings) update(raw json.RawMessage) (*settings, *fault) {
	next := *s
	next.rest = maps.Clone(s.rest)
	fields := map[string]reader{
		"type":              oneOf(new(string), "realtime"),
		"object":            skip,
		"id":                skip,
		"expires_at":        skip,
		"model":             skip, // which one answers is the operator's choice
		"instructions":      next.readInstructions,
		"output_modalities": readModalities(&next.text),
		"tools":             next.readTools,
		"tool_choice":       next.readChoice,
		"audio":             next.readAudio,
	}
	for _, name := range echoed() {
		fields[name] = func(_ string, raw json.RawMessage) *fault {
			next.rest[name] = slices.Clone(raw)
			return nil
		}
	}
	if f := walk("session", raw, fields); f != nil {
		return nil, f
	}
	return &next, nil
}

func (s *settings) readInstructions(path string, raw json.RawMessage) *fault {
	var text string
	if f := into(&text, "a string")(path, raw); f != nil {
		return f
	}
	if len(text) > maxInstructions || utf8.RuneCountInString(text) > maxGiven {
		return &fault{Code: codeValue, Param: path, Message: fmt.Sprintf("Invalid '%s': at most %d characters, and %d bytes.", path, maxGiven, maxInstructions)}
	}
	s.instructions = &text
	return nil
}

// readModalities reads whether answers are spoken. Spoken ones have their text with them,
// so audio and text together are audio.
func readModalities(text *bool) reader {
	return func(path string, raw json.RawMessage) *fault {
		var list []string
		if f := into(&list, "a list of strings")(path, raw); f != nil {
			return f
		}
		if len(list) == 0 {
			return invalid(path, "[]", "audio", "text")
		}
		for _, m := range list {
			if m != "audio" && m != "text" {
				return invalid(path, m, "audio", "text")
			}
		}
		*text = !slices.Contains(list, "audio")
		return nil
	}
}

func (s *settings) readTools(path string, raw json.RawMessage) *fault {
	var list []json.RawMessage
	if f := into(&list, "a list of tools")(path, raw); f != nil {
		return f
	}
	if len(list) > maxTools {
		return &fault{Code: codeValue, Param: path, Message: fmt.Sprintf("Invalid '%s': at most %d tools.", path, maxTools)}
	}
	tools := make([]tool, 0, len(list))
	for i, one := range list {
		t, f := readTool(fmt.Sprintf("%s[%d]", path, i), one)
		if f != nil {
			return f
		}
		if slices.ContainsFunc(tools, func(other tool) bool { return other.Name == t.Name }) {
			return invalid(fmt.Sprintf("%s[%d].name", path, i), t.Name+" (given twice)")
		}
		tools = append(tools, t)
	}
	s.tools, s.declared = tools, true
	return nil
}

func readTool(path string, raw json.RawMessage) (t tool, f *fault) {
	if kind := kindOf(raw); kind != "" && kind != "function" { // whose fields are not known here
		return t, unsupported(path+".type", "only tools of type 'function' can be called")
	}
	f = walk(path, raw, map[string]reader{
		"type":        into(&t.Type, "a string"),
		"name":        into(&t.Name, "a string"),
		"description": into(&t.Description, "a string"),
		"parameters":  keep(&t.Parameters),
		"strict":      skip,
	})
	switch {
	case f != nil:
		return t, f
	case t.Type == "":
		return t, missing(path + ".type")
	case t.Name == "" || len(t.Name) > maxToolName:
		return t, &fault{Code: codeValue, Param: path + ".name", Message: fmt.Sprintf("Invalid '%s.name': 1 to %d characters.", path, maxToolName)}
	case len(t.Parameters)+len(t.Description) > maxToolBytes:
		return t, &fault{Code: codeValue, Param: path, Message: fmt.Sprintf("Invalid '%s': at most %d bytes.", path, maxToolBytes)}
	}
	if absent(t.Parameters) {
		t.Parameters = nil
	}
	return t, nil
}

// readChoice: that a model has to call a tool, or a certain one, is kept, and the model chooses all
// the same: an update that says so has instructions and tools besides, which count.
func (s *settings) readChoice(path string, raw json.RawMessage) *fault {
	var word string
	var named struct{ Type, Name string }
	switch {
	case json.Unmarshal(raw, &word) == nil && (word == "auto" || word == "none" || word == "required"):
	case word == "" && json.Unmarshal(raw, &named) == nil && named.Type == "function" && named.Name != "":
	default:
		return unsupported(path, "use 'auto', 'none', 'required' or a function by its name")
	}
	s.choice, s.noTools = slices.Clone(raw), word == "none"
	return nil
}

func (s *settings) readAudio(path string, raw json.RawMessage) *fault {
	return walk(path, raw, map[string]reader{"input": s.readInput, "output": s.readOutput})
}

func (s *settings) readInput(path string, raw json.RawMessage) *fault {
	return walk(path, raw, map[string]reader{
		"format":          readFormat(&s.in),
		"noise_reduction": keep(&s.noise),
		"transcription":   s.readTranscription,
		"turn_detection":  s.readDetection,
	})
}

func (s *settings) readOutput(path string, raw json.RawMessage) *fault {
	return walk(path, raw, map[string]reader{
		"format": readFormat(&s.out),
		"speed":  keep(&s.speed),
		"voice":  s.readVoice,
	})
}

// readVoice takes the name of a voice, or the object that stands for one.
func (s *settings) readVoice(path string, raw json.RawMessage) *fault {
	var name string
	if json.Unmarshal(raw, &name) == nil && name != "" {
		s.voice = name
		return nil
	}
	var object struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(raw, &object) == nil && object.ID != "" {
		s.voice = object.ID
		return nil
	}
	return &fault{Code: codeType, Param: path, Message: fmt.Sprintf("Invalid type for '%s': expected the name of a voice.", path)}
}

// readTranscription: which recogniser it is is the operator's choice. The language counts.
func (s *settings) readTranscription(path string, raw json.RawMessage) *fault {
	s.transcription = nil
	if absent(raw) {
		return nil
	}
	var language string
	f := walk(path, raw, map[string]reader{
		"model": skip, "prompt": skip, "delay": skip, "languages": skip,
		"language": into(&language, "a string"),
	})
	if f != nil {
		return f
	}
	if language != "" {
		s.language = &language
	}
	s.transcription = slices.Clone(raw)
	return nil
}

func (s *settings) readDetection(path string, raw json.RawMessage) *fault {
	if absent(raw) {
		s.detection = nil
		return nil
	}
	d := detection{kind: serverVAD, answer: true, interrupt: true, rest: map[string]json.RawMessage{}}
	if s.detection != nil {
		d.kind, d.answer, d.interrupt = s.detection.kind, s.detection.answer, s.detection.interrupt
	}
	if s.interrupt != nil {
		d.interrupt = *s.interrupt
	}
	fields := map[string]reader{
		"type":               oneOf(&d.kind, serverVAD, semanticVAD),
		"create_response":    into(&d.answer, "a boolean"),
		"interrupt_response": into(&d.interrupt, "a boolean"),
	}
	for _, name := range [...]string{"threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms", "eagerness", "model_version"} {
		fields[name] = func(_ string, raw json.RawMessage) *fault {
			d.rest[name] = slices.Clone(raw)
			return nil
		}
	}
	if f := walk(path, raw, fields); f != nil {
		return f
	}
	if s.interrupt != nil && d.interrupt != *s.interrupt {
		return unsupported(path+".interrupt_response", "it is set by the first session.update, and cannot change after that")
	}
	s.detection = &d
	return nil
}

// fix keeps what only the beginning of a session sets.
func (s *settings) fix() *settings {
	next := *s
	interrupt := s.interrupts()
	next.interrupt = &interrupt
	return &next
}

// manual says that the client ends its turns.
func (s *settings) manual() bool { return s.detection == nil }

// interrupts says that speech interrupts a response.
func (s *settings) interrupts() bool { return s.detection != nil && s.detection.interrupt }

// transcribes says that the client reads what it says.
func (s *settings) transcribes() bool { return !absent(s.transcription) }

// builtin are the voices of OpenAI's own model: a client that names one of them, often
// because a library does, means no engine's voice by it.
func builtin(voice string) bool {
	return slices.Contains([]string{
		"alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
	}, strings.ToLower(voice))
}

// wishes are what the host is asked for. Before the session begins (was is nil) that is all
// that was set, and after that what has changed.
func (s *settings) wishes(was *settings, voices map[string]string) transport.Wishes {
	first := was == nil
	if first {
		was = newSettings("", "")
	}
	var w transport.Wishes
	if s.instructions != nil && (was.instructions == nil || *was.instructions != *s.instructions) {
		w.Instructions = s.instructions
	}
	if s.language != nil && (was.language == nil || *was.language != *s.language) {
		w.Language = s.language
	}
	if voice, ok := s.wished(voices); ok && s.voice != was.voice {
		w.Voice = &voice
	}
	if s.text != was.text {
		w.TextOnly = &s.text
	}
	if first || s.manual() != was.manual() || s.answers() != was.answers() {
		w.TurnEnd = transport.TurnEndVAD
		if s.manual() {
			w.TurnEnd = transport.TurnEndClient
		}
		answer := s.answers()
		w.Answer = &answer
	}
	if first {
		interrupt := s.interrupts()
		w.Interrupt = &interrupt
	}
	if s.declared && (!was.declared || was.noTools != s.noTools || !sameTools(s.tools, was.tools)) {
		w.Tools = s.callable()
	}
	return w
}

// answers says that an utterance that is over is answered at once.
func (s *settings) answers() bool { return s.detection != nil && s.detection.answer }

// wished is the engine's voice that the client's stands for.
func (s *settings) wished(voices map[string]string) (string, bool) {
	if v, ok := voices[s.voice]; ok {
		return v, true
	}
	return s.voice, s.voice != "" && !builtin(s.voice)
}

func sameTools(a, b []tool) bool {
	return slices.EqualFunc(a, b, func(x, y tool) bool {
		return x.Name == y.Name && x.Description == y.Description && string(x.Parameters) == string(y.Parameters)
	})
}

// callable are the tools as the host knows them; never nil.
func (s *settings) callable() []transport.Tool {
	list := []transport.Tool{}
	if s.noTools {
		return list
	}
	for _, t := range s.tools {
		list = append(list, transport.Tool{Name: t.Name, Description: t.Description, Parameters: t.Parameters})
	}
	return list
}

// empty says that nothing is wished.
func empty(w *transport.Wishes) bool {
	return w.Instructions == nil && w.Voice == nil && w.Language == nil && w.TurnEnd == "" && w.Answer == nil &&
		w.Interrupt == nil && w.TextOnly == nil && w.Tools == nil
}
