// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ReadClient reads a text frame of a client. With a message and a fault the message holds,
// and the fault, of FaultUnknown, names a field that was ignored.
func ReadClient(b []byte) (FromClient, *Fault) {
	h, f := readHead(b)
	if f != nil {
		return nil, f
	}
	m := clientMessage(h.Type, 0)
	if m == nil {
		return nil, fault(FaultType, "type", "%.40q: see the protocol %s", h.Type, Subprotocol)
	}
	return checked(m, read(b, m))
}

// checked gives a message that was read, unless it cannot be meant.
func checked(m FromClient, told *Fault) (FromClient, *Fault) {
	key := KeyOf(m)
	if identifier("key", string(key)) != nil {
		key = ""
	}
	if told != nil {
		if told.Key = key; told.Code != FaultUnknown {
			return nil, told
		}
	}
	if f := m.check(); f != nil {
		f.Key = key
		return nil, f
	}
	return m, told
}

// ReadServer reads a text frame of a server, with its number; 0 = it has none. A type that
// is not known is no fault and gives nil.
func ReadServer(b []byte) (m FromServer, seq int64, f *Fault) {
	h, f := readHead(b)
	if f != nil {
		return nil, 0, f
	}
	if h.Seq < 0 {
		return nil, 0, fault(FaultField, "seq", "%d: is negative", h.Seq)
	}
	m = serverMessage(h.Type, 0)
	if m == nil {
		return nil, h.Seq, nil
	}
	if f := read(b, m); f != nil && f.Code != FaultUnknown {
		return nil, h.Seq, f
	}
	return m, h.Seq, nil
}

// AppendClient writes a message of a client behind b.
func AppendClient(b []byte, m FromClient) ([]byte, error) {
	kind, _ := m.clientType()
	return write(b, kind, 0, m)
}

// AppendServer writes a message of a server behind b; seq 0 = none.
func AppendServer(b []byte, seq int64, m FromServer) ([]byte, error) {
	kind, _ := m.serverType()
	return write(b, kind, seq, m)
}

// head is what all messages begin with.
type head struct {
	Type string `json:"type"`
	Seq  int64  `json:"seq,omitempty"`
}

func (h *head) stamp(kind string, seq int64) { h.Type, h.Seq = kind, seq }

func readHead(b []byte) (h head, f *Fault) {
	if len(b) > MaxMessage {
		return h, fault(FaultMalformed, "", "a message of %d bytes: send at most %d", len(b), MaxMessage)
	}
	if !utf8.Valid(b) {
		return h, fault(FaultMalformed, "", "the message is no UTF-8")
	}
	if at := bytes.TrimLeft(b, " \t\r\n"); len(at) == 0 || at[0] != '{' {
		return h, fault(FaultMalformed, "", "the message is no JSON object")
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return h, explain(err)
	}
	return h, needed("type", h.Type)
}

// read fills m, and tells of the first field that it does not have.
func read(b []byte, m any) *Fault {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(m)
	if err == nil {
		return nil
	}
	_, name, unknown := strings.Cut(err.Error(), "unknown field ")
	if !unknown {
		return explain(err)
	}
	if err := json.Unmarshal(b, m); err != nil {
		return explain(err)
	}
	if plain, err := strconv.Unquote(name); err == nil {
		name = plain
	}
	return fault(FaultUnknown, name, "is not known here and was ignored")
}

// explain makes a Fault of what the decoder says.
func explain(err error) *Fault {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		field := kind.Field
		for _, embedded := range []string{"head.", "Request.", "Keyed."} {
			field = strings.TrimPrefix(field, embedded)
		}
		return fault(FaultField, field, "is %s: use %s", kind.Value, kind.Type.Kind())
	}
	return fault(FaultMalformed, "", "%v", err)
}

// write puts the head in and encodes the whole.
func write(b []byte, kind string, seq int64, m interface{ stamp(string, int64) }) ([]byte, error) {
	m.stamp(kind, seq)
	body, err := json.Marshal(m)
	if err != nil {
		return b, err
	}
	return append(b, body...), nil
}
