// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// fault is what is wrong with an event, as the client is told.
type fault struct {
	Type    string // of the error; empty = invalid_request_error
	Code    string
	Param   string // empty = the event as a whole
	Message string
}

func (f *fault) Error() string { return f.Code + ": " + f.Param + ": " + f.Message }

// The codes of faults, where OpenAI's clients look for them or its documents name them.
const (
	codeJSON      = "invalid_json"
	codeMissing   = "missing_required_parameter"
	codeType      = "invalid_type"
	codeValue     = "invalid_value"
	codeUnknown   = "unknown_parameter"
	codeSupport   = "unsupported_parameter"
	codeNoItem    = "item_not_found"
	codeInUse     = "item_in_use"
	codeItemThere = "item_id_already_exists"
	codeNoAudio   = "input_audio_buffer_commit_empty"
	codeActive    = "conversation_already_has_active_response"
	codeNotActive = "response_cancel_not_active"
	codeRefused   = "response_refused"
	codeNoCall    = "invalid_tool_call_id"
	codeGarbage   = "too_many_errors"
)

func missing(param string) *fault {
	return &fault{Code: codeMissing, Param: param, Message: fmt.Sprintf("Missing required parameter: '%s'.", param)}
}

func unsupported(param, why string) *fault {
	return &fault{Code: codeSupport, Param: param, Message: fmt.Sprintf("Unsupported parameter: '%s': %s.", param, why)}
}

func invalid(param, value string, supported ...string) *fault {
	f := &fault{Code: codeValue, Param: param, Message: fmt.Sprintf("Invalid value: '%s'.", short(value))}
	if len(supported) > 0 {
		f.Message += " Supported values are: '" + strings.Join(supported, "', '") + "'."
	}
	return f
}

// short keeps what a client is told about its own words from growing with them.
func short(s string) string {
	const most = 64
	if len(s) <= most {
		return strings.ToValidUTF8(s, "?")
	}
	return strings.ToValidUTF8(s[:most], "?") + "..."
}

// The client's events.
const (
	evSessionUpdate = "session.update"
	evAppend        = "input_audio_buffer.append"
	evCommit        = "input_audio_buffer.commit"
	evClear         = "input_audio_buffer.clear"
	evItemCreate    = "conversation.item.create"
	evItemRetrieve  = "conversation.item.retrieve"
	evItemDelete    = "conversation.item.delete"
	evItemTruncate  = "conversation.item.truncate"
	evCreate        = "response.create"
	evCancel        = "response.cancel"
)

func clientEvents() []string {
	return []string{
		evSessionUpdate, evAppend, evCommit, evClear, evItemCreate, evItemRetrieve, evItemDelete, evItemTruncate, evCreate, evCancel,
	}
}

// event is what a client says. Which fields it has depends on its type.
type event struct {
	Type         string          `json:"type"`
	EventID      string          `json:"event_id"`
	Session      json.RawMessage `json:"session"`
	Audio        *string         `json:"audio"` // base64
	Item         json.RawMessage `json:"item"`
	PreviousItem *string         `json:"previous_item_id"`
	ItemID       *string         `json:"item_id"`
	ContentIndex *float64        `json:"content_index"`
	AudioEndMS   *float64        `json:"audio_end_ms"`
	ResponseID   *string         `json:"response_id"`
	Response     json.RawMessage `json:"response"`
}

// maxEventID bounds the ids that a client gives its events and items.
const maxEventID = 512

// decode reads an event and looks whether its type has what it needs. The event is there
// as far as it could be read, also with a fault, so that the answer can name it.
func decode(data []byte) (event, *fault) {
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return named(data), jsonFault(err)
	}
	if len(e.EventID) > maxEventID {
		e.EventID = ""
		return e, &fault{Code: codeValue, Param: "event_id", Message: fmt.Sprintf("Invalid 'event_id': at most %d characters.", maxEventID)}
	}
	if e.Type == "" {
		return e, missing("type")
	}
	if !slices.Contains(clientEvents(), e.Type) {
		return e, invalid("type", e.Type, clientEvents()...)
	}
	return e, e.check()
}

// named reads of a faulty event whose it is.
func named(data []byte) event {
	var e struct {
		EventID any `json:"event_id"`
	}
	_ = json.Unmarshal(data, &e) // a broken one has no name
	id, _ := e.EventID.(string)
	if len(id) > maxEventID {
		id = ""
	}
	return event{EventID: id}
}

func jsonFault(err error) *fault {
	if t, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // json wraps none
		return &fault{Code: codeType, Param: t.Field, Message: fmt.Sprintf("Invalid type for '%s': got %s.", t.Field, t.Value)}
	}
	return &fault{Code: codeJSON, Message: "The event is not a JSON object: " + short(err.Error())}
}

// check looks for the fields that the type must have.
func (e *event) check() *fault {
	switch e.Type {
	case evSessionUpdate:
		if absent(e.Session) {
			return missing("session")
		}
	case evAppend:
		if e.Audio == nil {
			return missing("audio")
		}
	case evItemCreate:
		if absent(e.Item) {
			return missing("item")
		}
	case evItemRetrieve, evItemDelete:
		if e.ItemID == nil {
			return missing("item_id")
		}
	case evItemTruncate:
		switch {
		case e.ItemID == nil:
			return missing("item_id")
		case e.AudioEndMS == nil:
			return missing("audio_end_ms")
		case *e.AudioEndMS < 0 || *e.AudioEndMS > math.MaxInt32:
			return invalid("audio_end_ms", fmt.Sprint(*e.AudioEndMS))
		case e.ContentIndex != nil && *e.ContentIndex != 0:
			return invalid("content_index", fmt.Sprint(*e.ContentIndex), "0")
		}
	}
	return nil
}

// absent says that a value is not there, or null.
func absent(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(raw, []byte("null"))
}

// kindOf is the type that an object names, empty where it names none.
func kindOf(raw json.RawMessage) string {
	var o struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(raw, &o) // what is wrong with it is found by who reads it
	return o.Type
}

// reader takes the value of a field.
type reader func(path string, raw json.RawMessage) *fault

// walk reads an object field by field, in the order of their names so that the first fault
// is always the same one. A field that no reader is for is a fault.
func walk(path string, raw json.RawMessage, fields map[string]reader) *fault {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil || object == nil {
		return &fault{Code: codeType, Param: path, Message: fmt.Sprintf("Invalid type for '%s': expected an object.", path)}
	}
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		at := path + "." + short(name)
		read, ok := fields[name]
		if !ok {
			return &fault{Code: codeUnknown, Param: at, Message: fmt.Sprintf("Unknown parameter: '%s'.", at)}
		}
		if f := read(at, object[name]); f != nil {
			return f
		}
	}
	return nil
}

// into reads a value of a type that JSON knows.
func into[T any](v *T, what string) reader {
	return func(path string, raw json.RawMessage) *fault {
		var got T
		if absent(raw) || json.Unmarshal(raw, &got) != nil {
			return &fault{Code: codeType, Param: path, Message: fmt.Sprintf("Invalid type for '%s': expected %s.", path, what)}
		}
		*v = got
		return nil
	}
}

// oneOf reads one of some words.
func oneOf(v *string, words ...string) reader {
	return func(path string, raw json.RawMessage) *fault {
		var got string
		if f := into(&got, "a string")(path, raw); f != nil {
			return f
		}
		if !slices.Contains(words, got) {
			return invalid(path, got, words...)
		}
		*v = got
		return nil
	}
}

// keep keeps a value as it came, to be echoed.
func keep(v *json.RawMessage) reader {
	return func(_ string, raw json.RawMessage) *fault {
		*v = slices.Clone(raw)
		return nil
	}
}

// skip takes a field that says nothing new.
func skip(string, json.RawMessage) *fault { return nil }
