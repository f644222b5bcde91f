// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	"github.com/parley-voice/parley/api/eventabi"
)

// The bounds of short fields, in bytes.
const (
	maxToken   = 1 << 13
	maxName    = 64
	maxFormats = 16
	maxReason  = 64
)

// first gives the first fault there is.
func first(faults ...*Fault) *Fault {
	for _, f := range faults {
		if f != nil {
			return f
		}
	}
	return nil
}

// identifier checks the form that all ids have; empty is the caller's to judge.
func identifier(field, id string) *Fault {
	if len(id) > eventabi.MaxIDLength {
		return fault(FaultField, field, "has %d characters: use at most %d", len(id), eventabi.MaxIDLength)
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == ':', c == '-':
		default:
			return fault(FaultField, field, "has %q: use letters, digits and . _ : -", c)
		}
	}
	return nil
}

func needed(field, value string) *Fault {
	if value == "" {
		return fault(FaultField, field, "is empty: it is needed")
	}
	return nil
}

func bounded(field, value string, most int) *Fault {
	if len(value) > most {
		return fault(FaultField, field, "has %d bytes: use at most %d", len(value), most)
	}
	return nil
}

// optional is oneOf for a field that may be left out.
func optional(field, value string, allowed ...string) *Fault {
	if value == "" {
		return nil
	}
	return oneOf(field, value, allowed...)
}

func oneOf(field, value string, allowed ...string) *Fault {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fault(FaultField, field, "%.40q: use one of %q", value, allowed)
}

func notNegative(field string, n int64) *Fault {
	if n < 0 {
		return fault(FaultField, field, "%d: use 0 or more", n)
	}
	return nil
}

func (k Keyed) check() *Fault { return identifier("key", string(k.Key)) }

func (h *Hello) check() *Fault {
	f := first(
		bounded("token", h.Token, maxToken),
		identifier("session", string(h.Session)),
		optional("encoding", h.Encoding, EncodingJSON, EncodingBinary),
	)
	if h.Resume != nil {
		f = first(f, needed("resume.session", string(h.Resume.Session)), identifier("resume.session", string(h.Resume.Session)),
			notNegative("resume.received", h.Resume.Received))
	}
	if h.Audio != nil {
		f = first(f, formats("audio.in", h.Audio.In), formats("audio.out", h.Audio.Out))
	}
	if h.Wishes != nil {
		f = first(f, h.Wishes.check())
	}
	return f
}

func formats(field string, list []Format) *Fault {
	if len(list) > maxFormats {
		return fault(FaultField, field, "has %d formats: use at most %d", len(list), maxFormats)
	}
	for _, format := range list {
		if f := bounded(field, string(format), maxName); f != nil {
			return f
		}
	}
	return nil
}

func (w *Wishes) check() *Fault {
	f := optional("wishes.turn_end", w.TurnEnd, "vad", "client")
	if w.Instructions != nil {
		f = first(f, bounded("wishes.instructions", *w.Instructions, MaxText))
	}
	if w.Voice != nil {
		f = first(f, bounded("wishes.voice", *w.Voice, eventabi.MaxIDLength))
	}
	if w.Language != nil {
		f = first(f, bounded("wishes.language", *w.Language, maxName))
	}
	if len(w.Tools) > MaxTools {
		f = first(f, fault(FaultField, "wishes.tools", "has %d tools: use at most %d", len(w.Tools), MaxTools))
	}
	for i, t := range w.Tools {
		at := fmt.Sprintf("wishes.tools[%d].", i)
		f = first(f, needed(at+"name", t.Name), bounded(at+"name", t.Name, maxName), bounded(at+"description", t.Description, MaxText))
	}
	return f
}

func (m *Text) check() *Fault {
	return first(needed("text", m.Text), bounded("text", m.Text, MaxText), m.Keyed.check())
}

func (r *Request) check() *Fault {
	return first(identifier("turn", string(r.Turn)), bounded("reason", r.Reason, maxReason), notNegative("epoch", int64(r.Epoch)), r.Keyed.check())
}

func (m *Played) check() *Fault {
	if m.Position > maxPosition {
		return fault(FaultField, "position", "%d: use at most %d", m.Position, int64(maxPosition))
	}
	return first(notNegative("position", m.Position), identifier("turn", string(m.Turn)))
}

func (m *Control) check() *Fault {
	return first(needed("kind", m.Kind), bounded("kind", m.Kind, maxName), bounded("digit", m.Digit, maxName),
		notNegative("duration_ms", m.DurationMS), m.Keyed.check())
}

func (m *Context) check() *Fault {
	return first(oneOf("role", m.Role, "user", "assistant", "system"), needed("text", m.Text), bounded("text", m.Text, MaxText), m.Keyed.check())
}

func (m *Configure) check() *Fault { return first(m.Wishes.check(), m.Keyed.check()) }

func (m *ToolResult) check() *Fault {
	return first(needed("id", m.ID), identifier("id", m.ID), bounded("output", m.Output, MaxText), m.Keyed.check())
}

func (m *Renew) check() *Fault {
	return first(needed("token", m.Token), bounded("token", m.Token, maxToken), m.Keyed.check())
}

func (*Ping) check() *Fault { return nil }
func (*Bye) check() *Fault  { return nil }
