// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"encoding/json"
)

// readJSON reads one JSON document, which the schema's reader has found to be one, and
// not too deep.
func readJSON(file string, data []byte) (*node, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	r := jsonReader{data: data, dec: dec, at: place{file, 1, 1}}
	return r.value()
}

type jsonReader struct {
	data []byte
	dec  *json.Decoder
	at   place // of the last token
	done int   // how much of data was counted
}

// token reads the next token and notes where it begins.
func (r *jsonReader) token() (json.Token, place, error) {
	start := int(r.dec.InputOffset())
	for start < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[start]) >= 0 {
		start++
	}
	for _, c := range r.data[r.done:start] {
		switch {
		case c == '\n':
			r.at.line++
			r.at.column = 1
		case c&0xC0 != 0x80: // not a continuation byte
			r.at.column++
		}
	}
	r.done = start
	t, err := r.dec.Token()
	return t, r.at, err
}

func (r *jsonReader) value() (*node, error) {
	t, at, err := r.token()
	if err != nil {
		return nil, err
	}
	n := &node{at: at}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			n.kind = listNode
			return n, r.list(n)
		}
		n.kind = objectNode
		return n, r.object(n)
	case string:
		n.json = quote(t)
	case json.Number:
		n.json = t.String()
	case bool:
		n.json = "false"
		if t {
			n.json = "true"
		}
	default:
		n.json = "null"
	}
	return n, nil
}

func (r *jsonReader) list(n *node) error {
	for r.dec.More() {
		v, err := r.value()
		if err != nil {
			return err
		}
		n.elems = append(n.elems, v)
	}
	_, _, err := r.token() // ]
	return err
}

func (r *jsonReader) object(n *node) error {
	for r.dec.More() {
		name, at, err := r.token()
		if err != nil {
			return err
		}
		v, err := r.value()
		if err != nil {
			return err
		}
		text, _ := name.(string) // the names of JSON are strings
		n.members = append(n.members, member{text, at, v})
	}
	_, _, err := r.token() // }
	return err
}
