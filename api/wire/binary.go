// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// fielder is a message, or a part of one, that names its fields: once for all that is done
// with them, so that reading, writing and the published description cannot differ.
type fielder interface{ fields(c *coder) }

// doing is what a coder does with the fields that it is shown.
type doing int

const (
	writing doing = iota
	reading
	describing
)

// coder writes a message behind out, fills in the one field that was read, or describes all
// of them.
type coder struct {
	doing doing
	out   []byte

	// Of reading: a field that came, until somebody has taken it.
	number protowire.Number
	kind   protowire.Type
	value  uint64
	body   []byte
	taken  bool
	fault  *Fault

	describe func(field)
}

// field describes a field as a .proto file does.
type field struct {
	number protowire.Number
	label  string // optional, repeated, or none
	kind   string // empty = that of message
	name   string
	of     fielder
}

// has says whether the field that came is this one, of the kind that it should be.
func (c *coder) has(n protowire.Number, name string, kind protowire.Type) bool {
	if c.doing != reading || c.taken || c.number != n {
		return false
	}
	c.taken = true
	if c.kind != kind {
		c.fault = fault(FaultField, name, "has wire type %d: use %d", c.kind, kind)
		return false
	}
	return true
}

func (c *coder) told(n protowire.Number, name, label, kind string, of fielder) {
	if c.doing == describing {
		c.describe(field{number: n, label: label, kind: kind, name: name, of: of})
	}
}

func (c *coder) varint(n protowire.Number, v uint64) {
	c.out = protowire.AppendVarint(protowire.AppendTag(c.out, n, protowire.VarintType), v)
}

func (c *coder) bytes(n protowire.Number, b string) {
	c.out = protowire.AppendString(protowire.AppendTag(c.out, n, protowire.BytesType), b)
}

// utf8 gives the text of a field.
func (c *coder) utf8(name string) string {
	if !utf8.Valid(c.body) {
		c.fault = fault(FaultMalformed, name, "is no UTF-8")
		return ""
	}
	return string(c.body)
}

func text[T ~string](c *coder, n protowire.Number, name string, p *T) {
	if c.has(n, name, protowire.BytesType) {
		*p = T(c.utf8(name))
	} else if c.doing == writing && *p != "" {
		c.bytes(n, string(*p))
	}
	c.told(n, name, "", "string", nil)
}

// texts is a list. Empty ones in it count.
func texts[T ~string](c *coder, n protowire.Number, name string, p *[]T) {
	if c.has(n, name, protowire.BytesType) {
		*p = append(*p, T(c.utf8(name)))
	} else if c.doing == writing {
		for _, one := range *p {
			c.bytes(n, string(one))
		}
	}
	c.told(n, name, "repeated", "string", nil)
}

func maybeText(c *coder, n protowire.Number, name string, p **string) {
	if c.has(n, name, protowire.BytesType) {
		s := c.utf8(name)
		*p = &s
	} else if c.doing == writing && *p != nil {
		c.bytes(n, **p)
	}
	c.told(n, name, "optional", "string", nil)
}

func number[T ~int64](c *coder, n protowire.Number, name string, p *T) {
	if c.has(n, name, protowire.VarintType) {
		*p = T(c.value) //nolint:gosec // the two's complement of a varint is what int64 is
	} else if c.doing == writing && *p != 0 {
		c.varint(n, uint64(*p)) //nolint:gosec // likewise
	}
	c.told(n, name, "", "int64", nil)
}

func maybeNumber[T ~int64](c *coder, n protowire.Number, name string, p **T) {
	if c.has(n, name, protowire.VarintType) {
		v := T(c.value) //nolint:gosec // as number
		*p = &v
	} else if c.doing == writing && *p != nil {
		c.varint(n, uint64(**p)) //nolint:gosec // as number
	}
	c.told(n, name, "optional", "int64", nil)
}

func small(c *coder, n protowire.Number, name string, p *uint32) {
	if c.has(n, name, protowire.VarintType) {
		if c.value > math.MaxUint32 {
			c.fault = fault(FaultField, name, "%d: use at most %d", c.value, uint32(math.MaxUint32))
			return
		}
		*p = uint32(c.value)
	} else if c.doing == writing && *p != 0 {
		c.varint(n, uint64(*p))
	}
	c.told(n, name, "", "uint32", nil)
}

func truth(c *coder, n protowire.Number, name string, p *bool) {
	if c.has(n, name, protowire.VarintType) {
		*p = c.value != 0
	} else if c.doing == writing && *p {
		c.varint(n, 1)
	}
	c.told(n, name, "", "bool", nil)
}

func maybeTruth(c *coder, n protowire.Number, name string, p **bool) {
	if c.has(n, name, protowire.VarintType) {
		v := c.value != 0
		*p = &v
	} else if c.doing == writing && *p != nil {
		c.varint(n, protowire.EncodeBool(**p))
	}
	c.told(n, name, "optional", "bool", nil)
}

// raw is JSON, as its text.
func raw(c *coder, n protowire.Number, name string, p *json.RawMessage) {
	if c.has(n, name, protowire.BytesType) {
		if !json.Valid(c.body) {
			c.fault = fault(FaultField, name, "is no JSON: send a JSON value as text")
			return
		}
		*p = append(json.RawMessage(nil), c.body...)
	} else if c.doing == writing && len(*p) > 0 {
		c.bytes(n, string(*p))
	}
	c.told(n, name, "", "bytes", nil)
}

// raws are JSON values by their names.
func raws(c *coder, n protowire.Number, name string, p *map[string]json.RawMessage) {
	switch c.doing {
	case reading:
		if c.has(n, name, protowire.BytesType) {
			e := rawEntry{}
			if c.fill(name, c.body, &e); c.fault != nil {
				return
			}
			if *p == nil {
				*p = map[string]json.RawMessage{}
			}
			(*p)[e.key] = e.value
		}
	case writing:
		for _, key := range sortedKeys(*p) {
			c.part(n, &rawEntry{key: key, value: (*p)[key]})
		}
	case describing:
	}
	c.told(n, name, "", "map<string, bytes>", nil)
}

// message is *T that is a fielder.
type message[T any] interface {
	*T
	fielder
}

// inside is a message that is always there.
func inside[T any, P message[T]](c *coder, n protowire.Number, name string, p P) {
	if c.has(n, name, protowire.BytesType) {
		c.fill(name, c.body, p)
	} else if c.doing == writing {
		c.part(n, p)
	}
	c.told(n, name, "", "", p)
}

// maybe is a message that may be left out.
func maybe[T any, P message[T]](c *coder, n protowire.Number, name string, p *P) {
	if c.has(n, name, protowire.BytesType) {
		if *p == nil {
			*p = new(T)
		}
		c.fill(name, c.body, *p)
	} else if c.doing == writing && *p != nil {
		c.part(n, *p)
	}
	c.told(n, name, "", "", P(new(T)))
}

// many is a list of messages.
func many[T any, P message[T]](c *coder, n protowire.Number, name string, p *[]T) {
	if c.has(n, name, protowire.BytesType) {
		*p = append(*p, *new(T))
		c.fill(name, c.body, P(&(*p)[len(*p)-1]))
	} else if c.doing == writing {
		for i := range *p {
			c.part(n, P(&(*p)[i]))
		}
	}
	c.told(n, name, "repeated", "", P(new(T)))
}

// part writes a message within the message.
func (c *coder) part(n protowire.Number, m fielder) {
	c.out = protowire.AppendTag(c.out, n, protowire.BytesType)
	at := len(c.out)
	c.out = append(c.out, 0)
	m.fields(c)
	size := len(c.out) - at - 1
	if more := protowire.SizeVarint(uint64(size)) - 1; more > 0 {
		c.out = append(c.out, make([]byte, more)...)
		copy(c.out[at+1+more:], c.out[at+1:at+1+size])
	}
	protowire.AppendVarint(c.out[:at], uint64(size))
}

// fill reads a message within the message.
func (c *coder) fill(name string, b []byte, m fielder) {
	inner := coder{doing: reading}
	unknown := inner.read(b, m)
	if inner.fault == nil {
		inner.fault = unknown
	}
	if f := inner.fault; f != nil {
		if f.Field != "" {
			f.Field = name + "." + f.Field
		}
		c.fault = f
	}
}

// read fills m in. It goes on past fields that are not known, and gives the first.
func (c *coder) read(b []byte, m fielder) (unknown *Fault) {
	for len(b) > 0 {
		size := c.next(b)
		if size < 0 {
			c.fault = fault(FaultMalformed, "", "%v: send Protocol Buffers", protowire.ParseError(size))
			return unknown
		}
		b = b[size:]
		if m.fields(c); !c.taken {
			c.fault = fault(FaultUnknown, strconv.Itoa(int(c.number)), "is not known here and was ignored")
		}
		switch {
		case c.fault == nil:
		case c.fault.Code != FaultUnknown:
			return unknown
		default:
			if unknown == nil {
				unknown = c.fault
			}
			c.fault = nil
		}
	}
	return unknown
}

// next takes one field from b and gives its size, negative when it is none.
func (c *coder) next(b []byte) int {
	n, kind, tag := protowire.ConsumeTag(b)
	if tag < 0 {
		return tag
	}
	c.number, c.kind, c.value, c.body, c.taken, c.fault = n, kind, 0, nil, false, nil
	size := 0
	switch kind {
	case protowire.VarintType:
		c.value, size = protowire.ConsumeVarint(b[tag:])
	case protowire.BytesType:
		c.body, size = protowire.ConsumeBytes(b[tag:])
	case protowire.Fixed32Type, protowire.Fixed64Type, protowire.StartGroupType, protowire.EndGroupType:
		size = protowire.ConsumeFieldValue(n, kind, b[tag:])
	default:
		size = protowire.ConsumeFieldValue(n, kind, b[tag:])
	}
	if size < 0 {
		return size
	}
	return tag + size
}

// IsAudio says whether a binary frame is audio. Otherwise it is a message in the binary
// encoding: none begins with either byte, since no field has the number 0.
func IsAudio(b []byte) bool { return len(b) == 0 || b[0] == KindCaller || b[0] == KindAgent }

// AppendClientBinary writes a message of a client behind b, in the binary encoding.
func AppendClientBinary(b []byte, m FromClient) []byte {
	_, n := m.clientType()
	c := coder{out: b}
	c.part(n, m)
	return c.out
}

// AppendServerBinary writes a message of a server behind b, in the binary encoding; seq 0 =
// none.
func AppendServerBinary(b []byte, seq int64, m FromServer) []byte {
	_, n := m.serverType()
	c := coder{out: b}
	number(&c, seqNumber, "seq", &seq)
	c.part(n, m)
	return c.out
}

// seqNumber is the field of FromServer that numbers it.
const seqNumber = 1

// outer is what is around a message.
type outer struct {
	number protowire.Number // of the message that is in it; 0 = of none that is known
	body   []byte
	seq    int64
	// seqs says that there is a seq, known what may be in it.
	seqs  bool
	known func(protowire.Number) bool
}

func (o *outer) fields(c *coder) {
	if o.seqs {
		number(c, seqNumber, "seq", &o.seq)
	}
	if !c.taken && o.known(c.number) && c.has(c.number, "type", protowire.BytesType) {
		o.number, o.body = c.number, c.body
	}
}

// open reads what is around a message.
func (o *outer) open(b []byte) *Fault {
	if len(b) > MaxMessage {
		return fault(FaultMalformed, "", "a message of %d bytes: send at most %d", len(b), MaxMessage)
	}
	c := coder{doing: reading}
	unknown := c.read(b, o)
	if c.fault != nil {
		return c.fault
	}
	return unknown
}

// ReadClientBinary reads a message of a client in the binary encoding; as ReadClient.
func ReadClientBinary(b []byte) (FromClient, *Fault) {
	o := outer{known: func(n protowire.Number) bool { return clientMessage("", n) != nil }}
	told := o.open(b)
	if told != nil && (told.Code != FaultUnknown || o.number == 0) {
		if told.Code == FaultUnknown {
			told = fault(FaultType, "type", "%s: see the protocol %s", told.Field, Subprotocol)
		}
		return nil, told
	}
	if o.number == 0 {
		return nil, fault(FaultField, "type", "is empty: it is needed")
	}
	m := clientMessage("", o.number)
	c := coder{doing: reading}
	unknown := c.read(o.body, m)
	if c.fault != nil {
		told = c.fault
	} else if told == nil {
		told = unknown
	}
	kind, _ := m.clientType()
	m.stamp(kind, 0)
	return checked(m, told)
}

// ReadServerBinary reads a message of a server in the binary encoding; as ReadServer.
func ReadServerBinary(b []byte) (m FromServer, seq int64, f *Fault) {
	o := outer{seqs: true, known: func(n protowire.Number) bool { return serverMessage("", n) != nil }}
	if f := o.open(b); f != nil && f.Code != FaultUnknown {
		return nil, 0, f
	}
	if o.seq < 0 {
		return nil, 0, fault(FaultField, "seq", "%d: is negative", o.seq)
	}
	if o.number == 0 {
		return nil, o.seq, nil
	}
	m = serverMessage("", o.number)
	c := coder{doing: reading}
	if _ = c.read(o.body, m); c.fault != nil {
		return nil, o.seq, c.fault
	}
	kind, _ := m.serverType()
	m.stamp(kind, o.seq)
	return m, o.seq, nil
}

// Recode gives a message of a server, which was written here, in the other encoding.
func Recode(b []byte, binary bool) ([]byte, error) {
	if binary {
		m, seq, f := ReadServerBinary(b)
		if f != nil {
			return nil, f
		}
		return AppendServer(nil, seq, m)
	}
	m, seq, f := ReadServer(b)
	if f != nil {
		return nil, f
	}
	return AppendServerBinary(nil, seq, m), nil
}
