// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// conversation keeps the record true (nodes-providers-transports section 4a): what the
// caller said, and of what the assistant generated, what was heard. The kernel knows
// lengths and places; the texts stay with the shell.
type conversation struct {
	utterances int64
	items      int64
	named      []namedItem // the latest, by which a client can take items out
}

// namedItem is an item by the name that the client knows it by.
type namedItem struct {
	role  ItemRole
	name  string
	key   int64
	order int64
	turn  eventabi.TurnID
}

// maxNamed is how many items can be taken out, the latest: more are not on record.
const maxNamed = 512

func (m *Machine) newItem() int64 {
	m.talk.items++
	return m.talk.items
}

// name notes what a client calls a new item: the invocation that its words came by, its turn,
// its call, or the key that it was brought with, which has no role.
func (m *Machine) name(role ItemRole, name string, it *Item) {
	if name == "" {
		return
	}
	if len(m.talk.named) == maxNamed {
		m.talk.named = append(m.talk.named[:0], m.talk.named[1:]...)
	}
	m.talk.named = append(m.talk.named, namedItem{role: role, name: name, key: it.Key, order: it.Order, turn: it.Turn})
}

// recordUser writes an utterance's words down, once. Its place is where it began, so
// an assistant item that it interrupted stands before it.
func (m *Machine) recordUser(u *utterance) {
	if u.recorded || u.text.Class == TextNone {
		return
	}
	u.recorded = true
	if u.forgotten {
		return
	}
	m.wished.owed = m.wished.owed || u.piece
	it := Item{
		Key: m.newItem(), Order: u.order, Role: ItemUser, Turn: u.turn, Text: u.text.Handle,
		GeneratedRunes: u.text.Runes, HeardRunes: m.shownRunes(&u.text, u.passed),
	}
	m.name(ItemUser, string(u.stt), &it)
	m.fx.converse(it)
}

// recordTyped writes a typed utterance down.
func (m *Machine) recordTyped() {
	t := &m.turn
	if t.recorded || t.text.Class == TextNone {
		return
	}
	t.recorded = true
	m.fx.converse(Item{
		Key: m.newItem(), Order: t.order, Role: ItemUser, Turn: t.id, Text: t.text.Handle,
		GeneratedRunes: t.text.Runes, HeardRunes: m.shownRunes(&t.text, t.run != nil && t.run.model != ""),
	})
}

// shownRunes is how much of the caller's words models are shown: all of them, or nothing where
// the graph has nodes for words and these have not come through it.
func (m *Machine) shownRunes(text *TextRef, passed bool) int64 {
	if m.withheld() && !passed {
		return 0
	}
	return text.Runes
}

// recordHeard brings the assistant's item up to the playout position, and to what was
// delivered as text. Nothing heard and nothing shown, no item.
func (m *Machine) recordHeard(out *output) {
	if out.forgotten {
		return
	}
	heard, errorMS := out.reply.Heard(out.played)
	shown := int64(0)
	if out.reply.Muted() {
		shown = out.reply.Runes()
	}
	if out.item == 0 {
		if heard == 0 && shown == 0 {
			return
		}
		out.item = m.newItem()
		m.name(ItemAssistant, string(out.turn), &Item{Key: out.item, Order: out.order, Turn: out.turn})
	}
	m.fx.converse(Item{
		Key: out.item, Order: out.order, Role: ItemAssistant, Turn: out.turn, Interrupted: out.cancelled && !out.whole(),
		Segments: int64(out.reply.Len()), GeneratedRunes: out.reply.Runes(), HeardRunes: heard, ShownRunes: shown, HeardErrorMS: errorMS,
	})
}

// refreshHeard brings every item that is still being spoken up to date before the
// model reads the conversation.
func (m *Machine) refreshHeard() {
	for _, out := range m.outputs {
		if out.audible() && out.started {
			m.recordHeard(out)
		}
	}
}

// standBehind moves what the caller has said and not been answered yet behind the
// output that it interrupts: an interrupted item stands before the user item that
// interrupted it. Speech can have begun before that output did.
func (m *Machine) standBehind() {
	var last int64
	for _, out := range m.outputs {
		if out.audible() || out.turn == m.scopeTurn() { // sound, or text
			last = max(last, out.order)
		}
	}
	if m.scopeTurn() != "" { // and the tools that it has called
		last = max(last, m.turn.tools.latest)
	}
	for i := range m.utterances {
		if u := &m.utterances[i]; u.turn == "" && !u.recorded && u.order < last {
			u.order = m.identity.nextOrder()
		}
	}
	for i := range m.proposals {
		if p := &m.proposals[i]; p.order != 0 && p.order < last {
			p.order = m.identity.nextOrder()
		}
	}
}

// forget takes an item out of the conversation. What is still being said of it is heard, and
// not written down any more.
func (m *Machine) forget(in *Forget) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) || m.duplicate(in.Key, in) {
		return
	}
	list := m.talk.named
	for i := len(list) - 1; i >= 0; i-- {
		n := list[i]
		if n.role != in.Role || n.name != in.Name || in.Name == "" {
			continue
		}
		m.talk.named = append(list[:i], list[i+1:]...)
		for _, out := range m.outputs {
			out.forgotten = out.forgotten || out.item == n.key
		}
		m.fx.converse(Item{Key: n.key, Order: n.order, Role: ItemForgotten, Turn: n.turn})
		return
	}
	for i := range m.utterances {
		if u := &m.utterances[i]; in.Role == ItemUser && !u.recorded && string(u.stt) == in.Name {
			u.forgotten = true // when it would be written down
			return
		}
	}
	m.refuse("unknown_item", in.kind(), "")
}
