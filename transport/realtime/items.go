// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// The kinds of items and of what they hold.
const (
	kindMessage = "message"
	kindCall    = "function_call"
	kindOutput  = "function_call_output"

	partInputText   = "input_text"
	partInputAudio  = "input_audio"
	partOutputText  = "output_text"
	partOutputAudio = "output_audio"
)

const (
	// maxGiven bounds what a client may say in one message, in characters, as the session has
	// it; maxText what one item may hold, in bytes, and mostWeight all of them.
	maxGiven   = 32 << 10
	maxText    = 256 << 10
	mostWeight = 4 << 20
)

// item is one of the conversation, as the client knows it.
type item struct {
	id     string
	kind   string
	role   string
	status string
	part   string // of a message: what its content is
	text   string // of it: the text, or the transcript
	known  bool   // the transcript is there
	call   string // id of the call
	name   string
	args   string
	output string
	// answered says that a call has a result.
	answered bool

	// of is what the session calls it: the turn of an answer, the utterance, the call, the key of
	// what the client has brought. Sound that nobody has understood yet has no name.
	of   transport.Forget
	gone bool // the client has deleted it

	// Of sound that was sent.
	turn       eventabi.TurnID
	generation uint32
	base       int64 // where in the turn it begins, in samples
	sent       int64 // samples
	cut        bool  // by the client
}

// describe is the item as the client is told.
func (it *item) describe() object {
	o := object{"id": it.id, "object": "realtime.item", "type": it.kind, "status": it.status}
	switch it.kind {
	case kindCall:
		o["call_id"], o["name"], o["arguments"] = it.call, it.name, it.args
	case kindOutput:
		o["call_id"], o["output"] = it.call, it.output
	default:
		o["role"], o["content"] = it.role, it.content()
	}
	return o
}

func (it *item) content() []object {
	switch it.part {
	case "":
		return []object{}
	case partInputText, partOutputText:
		return []object{{"type": it.part, "text": it.text}}
	case partInputAudio:
		part := object{"type": it.part, "transcript": nil}
		if it.known {
			part["transcript"] = it.text
		}
		return []object{part}
	}
	part := object{"type": it.part}
	if !it.cut { // how much of it was heard the client knows best
		part["transcript"] = it.text
	}
	return []object{part}
}

// items are those that a client can refer to.
type items struct {
	list []*item
	most int
}

func (l *items) find(id string) *item {
	for i := len(l.list) - 1; i >= 0; i-- {
		if l.list[i].id == id {
			return l.list[i]
		}
	}
	return nil
}

// last is the id of the latest item, nil when there is none.
func (l *items) last() any {
	if n := len(l.list); n > 0 {
		return l.list[n-1].id
	}
	return nil
}

// add puts an item at the end and gives the one before it.
func (l *items) add(it *item) (previous any) {
	previous = l.last()
	l.list = append(l.list, it)
	weight := 0
	for i := len(l.list) - 1; i >= 0; i-- {
		x := l.list[i]
		weight += len(x.text) + len(x.args) + len(x.output)
		if i < len(l.list)-1 && (len(l.list)-i > l.most || weight > mostWeight) {
			l.list = slices.Delete(l.list, 0, i+1)
			break
		}
	}
	return previous
}

// before is the id of the item that stands before another, nil when none does.
func (l *items) before(it *item) any {
	if i := slices.Index(l.list, it); i > 0 {
		return l.list[i-1].id
	}
	return nil
}

func (l *items) remove(it *item) {
	l.list = slices.DeleteFunc(l.list, func(other *item) bool { return other == it })
}

// addWhole adds an item that is complete, and tells the client; the lock is held.
func (c *conn) addWhole(it *item) {
	previous := c.items.add(it)
	c.emit(evItemAdded, object{"item": it.describe(), "previous_item_id": previous})
	c.emit(evItemDone, object{"item": it.describe(), "previous_item_id": previous})
}

// createItem adds what a client brings along.
func (c *conn) createItem(e *event) *fault {
	it, f := readItem(e.Item)
	if f != nil {
		return f
	}
	c.mu.Lock()
	f = c.place(it, e.PreviousItem)
	if f == nil {
		it.of.Name = newID("context") // its id is the client's: longer than a key may be, and free again when it was deleted
		c.addWhole(it)
		c.brought(it)
	}
	c.mu.Unlock()
	if f != nil {
		return f
	}
	if it.kind == kindOutput {
		c.Tell(func(in transport.Ingress) {
			in.ToolResult(transport.ToolResult{ID: it.call, Output: it.output})
		})
		return nil
	}
	key := it.of.Name
	c.after(func(in transport.Ingress) {
		in.Context(transport.Context{Role: transport.ContextRole(it.role), Text: it.text, Key: eventabi.IdempotencyKey(key)})
	})
	return nil
}

// brought meets an item of the client's; the lock is held.
func (c *conn) brought(it *item) {
	if it.kind != kindOutput {
		for _, t := range c.turns {
			t.asks = true
		}
		return
	}
	for _, call := range c.items.list {
		if call.kind == kindCall && call.call == it.call {
			c.answered(call)
			return
		}
	}
}

// place looks whether an item can stand where the client wants it; the lock is held.
func (c *conn) place(it *item, previous *string) *fault {
	if previous != nil && *previous != c.items.last() {
		if *previous != "root" && c.items.find(*previous) == nil {
			return noItem("previous_item_id", *previous)
		}
		if *previous != "root" || len(c.items.list) > 0 {
			return unsupported("previous_item_id", "the record of a conversation is in the order of what happened; leave it out")
		}
	}
	if c.items.find(it.id) != nil {
		return &fault{Code: codeItemThere, Param: "item.id", Message: fmt.Sprintf("Item with id '%s' already exists.", short(it.id))}
	}
	if it.kind == kindOutput && !slices.ContainsFunc(c.items.list, func(x *item) bool { return x.kind == kindCall && x.call == it.call }) {
		return &fault{Code: codeNoCall, Param: "item.call_id", Message: fmt.Sprintf("Tool call ID '%s' not found in conversation.", short(it.call))}
	}
	return nil
}

func noItem(param, id string) *fault {
	return &fault{Code: codeNoItem, Param: param, Message: fmt.Sprintf("Item with id '%s' not found.", short(id))}
}

// readItem reads an item that a client brings along.
func readItem(raw json.RawMessage) (*item, *fault) {
	if kind := kindOf(raw); kind != "" && kind != kindMessage && kind != kindOutput { // whose fields are not known here
		return nil, unsupported("item.type", "use 'message' or 'function_call_output'")
	}
	it := &item{status: statusCompleted}
	var content json.RawMessage
	f := walk("item", raw, map[string]reader{
		"id":        into(&it.id, "a string"),
		"object":    skip,
		"status":    skip,
		"type":      into(&it.kind, "a string"),
		"role":      into(&it.role, "a string"),
		"content":   keep(&content),
		"call_id":   into(&it.call, "a string"),
		"output":    into(&it.output, "a string"),
		"name":      into(&it.name, "a string"),
		"arguments": into(&it.args, "a string"),
	})
	switch {
	case f != nil:
		return nil, f
	case it.kind == "":
		return nil, missing("item.type")
	case len(it.id) > maxEventID:
		return nil, &fault{Code: codeValue, Param: "item.id", Message: fmt.Sprintf("Invalid 'item.id': at most %d characters.", maxEventID)}
	case it.id == "":
		it.id = newID("item")
	}
	if it.kind == kindMessage {
		f = it.readMessage(content)
	} else if it.call == "" {
		f = missing("item.call_id")
	}
	if f == nil && max(len(it.text), len(it.output)) > maxText {
		f = &fault{Code: codeValue, Param: "item", Message: fmt.Sprintf("Invalid 'item': at most %d bytes.", maxText)}
	}
	return it, f
}

// readMessage reads what a message says.
func (it *item) readMessage(content json.RawMessage) *fault {
	want := partInputText
	switch transport.ContextRole(it.role) {
	case transport.ContextUser, transport.ContextSystem:
	case transport.ContextAssistant:
		want = partOutputText
	default:
		return invalid("item.role", it.role, "user", "assistant", "system")
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if absent(content) {
		return missing("item.content")
	}
	if json.Unmarshal(content, &parts) != nil || len(parts) == 0 {
		return &fault{Code: codeType, Param: "item.content", Message: "Invalid type for 'item.content': expected a list of parts."}
	}
	texts := make([]string, len(parts))
	for i, p := range parts {
		at := fmt.Sprintf("item.content[%d].type", i)
		switch p.Type {
		case want, "text": // as it was called before
			texts[i] = p.Text
		case partInputAudio, "input_image", partOutputAudio, "audio":
			return unsupported(at, "use '"+want+"'; sound is taken by input_audio_buffer.append")
		default:
			return invalid(at, p.Type, want)
		}
	}
	it.part, it.text, it.known = want, strings.Join(texts, "\n"), true
	if utf8.RuneCountInString(it.text) > maxGiven {
		return &fault{Code: codeValue, Param: "item.content", Message: fmt.Sprintf("Invalid 'item.content': at most %d characters.", maxGiven)}
	}
	if strings.TrimSpace(it.text) == "" {
		return &fault{Code: codeValue, Param: "item.content", Message: "Invalid 'item.content': it says nothing."}
	}
	return nil
}

// refer answers the events that name an item.
func (c *conn) refer(e *event) *fault {
	c.mu.Lock()
	it := c.items.find(*e.ItemID)
	if it == nil {
		c.mu.Unlock()
		return noItem("item_id", *e.ItemID)
	}
	if e.Type == evItemRetrieve {
		c.emit(evItemRetrieved, object{"item": it.describe()})
		c.mu.Unlock()
		return nil
	}
	f, name := c.deleteItem(it), it.of
	c.mu.Unlock()
	if f == nil && name.Name != "" { // else it has no words yet, and is forgotten when it has
		c.forget(name)
	}
	return f
}

// deleteItem takes an item out of the conversation: what the model is asked from now on does
// not have it. The lock is held.
func (c *conn) deleteItem(it *item) *fault {
	switch f := it.of; {
	case it.kind == kindOutput:
		return inUse("The output of a function call goes with its call: delete the item of the call.")
	case c.underWay(it):
		return inUse("The answer that the item belongs to is under way: cancel it, or wait for its end.")
	case f.Role == transport.ForgetAgent && slices.ContainsFunc(c.items.list, func(x *item) bool { return x != it && x.of == f }):
		return inUse("The answer was given in several messages, which are one to the model: they cannot be deleted one by one.")
	}
	it.gone = true
	c.items.remove(it)
	c.emit(evItemDeleted, object{"item_id": it.id})
	for _, x := range slices.Clone(c.items.list) {
		if it.kind == kindCall && x.kind == kindOutput && x.call == it.call {
			c.items.remove(x)
			c.emit(evItemDeleted, object{"item_id": x.id})
		}
	}
	return nil
}

// forget has the session forget an item, behind what came before.
func (c *conn) forget(f transport.Forget) {
	c.after(func(in transport.Ingress) { in.Forget(f) })
}

// inUse says why an item cannot be deleted.
func inUse(why string) *fault { return &fault{Code: codeInUse, Param: "item_id", Message: why} }

// underWay says that an item is of an answer that has not ended; the lock is held.
func (c *conn) underWay(it *item) bool {
	id := it.turn // of a call
	if it.of.Role == transport.ForgetAgent {
		id = eventabi.TurnID(it.of.Name)
	}
	if c.active != nil && slices.Contains(c.active.output, it) {
		return true
	}
	return id != "" && slices.ContainsFunc(c.turns, func(t *turn) bool { return t.id == id && !t.over() })
}

// samplesMS is a millisecond of the session's sound.
const samplesMS = transport.SampleRate / 1000

// truncate takes the client's word of how much of an answer was heard.
func (c *conn) truncate(e *event) *fault {
	c.mu.Lock()
	it := c.items.find(*e.ItemID)
	if it == nil || it.part != partOutputAudio {
		c.mu.Unlock()
		if it == nil {
			return noItem("item_id", *e.ItemID)
		}
		return &fault{Code: codeValue, Param: "item_id", Message: "Only audio messages of the assistant can be truncated."}
	}
	heard := min(int64(*e.AudioEndMS)*samplesMS, it.sent)
	it.cut = true
	final := true // nothing more is played
	if r := c.active; r != nil && r.message == it {
		final = r.turn.stopping()
	}
	c.emit(evItemTruncated, object{"item_id": it.id, "content_index": 0, "audio_end_ms": heard / samplesMS})
	played := transport.Playout{Turn: it.turn, Generation: it.generation, Position: it.base + heard, Final: final}
	c.mu.Unlock()
	if played.Turn != "" {
		c.Tell(func(in transport.Ingress) { in.Played(played) })
	}
	return nil
}
