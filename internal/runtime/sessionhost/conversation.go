// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/node"
)

// Conversation is the record of who said what, as the kernel keeps it true
// (nodes-providers-transports section 4a): the kernel says which part of which text
// counts, the texts are here. It may be read from any goroutine, and after the session.
type Conversation struct {
	content *content

	mu       sync.Mutex
	system   string
	items    []session.Item // by (Order, Key)
	segments map[eventabi.TurnID][]int64
	spoken   []eventabi.TurnID         // the turns of segments, oldest first
	rounds   map[eventabi.TurnID][]int // of turns that called tools: where each further round begins in segments
}

// maxItems bounds the record; the oldest item goes first. It bounds the turns whose
// segments are kept as well, since a reply of which nothing was heard has no item.
// maxPrompt bounds the items that the model is shown; shortPrompt are those of a turn with
// a degrade step (turn-plan section 7, shorten_context): what the caller has just said, and
// the exchange and a half before it, which is what a reply mostly refers to.
const (
	maxItems    = 512
	maxPrompt   = 128
	shortPrompt = 4
)

// opening stands for a conversation in which nothing was said, nor the model told anything.
const opening = "The conversation begins. Greet the caller."

// Utterance is one item of the record with its words.
type Utterance struct {
	Role      session.ItemRole
	Turn      eventabi.TurnID
	Text      string // user: what was said; assistant: what was heard; tools: arguments, or the output
	Generated string // assistant: what was generated
	// Shown is, for the assistant, what has been delivered when the rest of a turn went out
	// as text: what was heard, and what was to be read. Empty where sound carried it all.
	Shown       string
	Interrupted bool
	// HeardErrorMS bounds how wrong the cut of Text may be, in milliseconds of speech.
	HeardErrorMS int64
	// Call is the key of a tool's call, which its result has as well, Tool its name. Failed
	// says that Text tells why the tool has no result; without one it did not answer in time.
	Call   string
	Tool   string
	Failed bool
}

func newConversation(c *content, system string) *Conversation {
	return &Conversation{content: c, system: system, segments: map[eventabi.TurnID][]int64{}, rounds: map[eventabi.TurnID][]int{}}
}

// instruct puts other words in place of the system prompt.
func (c *Conversation) instruct(system string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.system = system
}

// instructed says that prompts begin with a system prompt.
func (c *Conversation) instructed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.system != ""
}

// addSegment notes the next piece of a turn's reply.
func (c *Conversation) addSegment(turn eventabi.TurnID, index, text int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if index != int64(len(c.segments[turn])) {
		return
	}
	if index == 0 {
		if c.spoken = append(c.spoken, turn); len(c.spoken) > maxItems {
			c.forgetReply(c.spoken[0])
		}
	}
	c.segments[turn] = append(c.segments[turn], text)
}

// forgetReply drops what was generated for a turn.
func (c *Conversation) forgetReply(turn eventabi.TurnID) {
	for _, h := range c.segments[turn] {
		c.content.dropText(h)
	}
	delete(c.segments, turn)
	delete(c.rounds, turn)
	if i := slices.Index(c.spoken, turn); i >= 0 {
		c.spoken = slices.Delete(c.spoken, i, i+1)
	}
}

// apply takes an item's new value.
func (c *Conversation) apply(item session.Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.items, func(it session.Item) bool { return it.Key == item.Key })
	switch {
	case item.Role == session.ItemForgotten:
		if i >= 0 {
			c.takeOut(i)
		}
		return
	case i >= 0:
		c.items[i] = item
	case item.Role == session.ItemToolResult && c.toolItem(session.ItemToolCall, item.Call) < 0:
		return // its call was forgotten
	default:
		c.items = append(c.items, item)
	}
	slices.SortFunc(c.items, func(a, b session.Item) int {
		if a.Order != b.Order {
			return int(a.Order - b.Order)
		}
		return int(a.Key - b.Key)
	})
	if len(c.items) > maxItems {
		c.forget()
	}
}

// takeOut has an item be in no prompt any more, and with a call its result. It keeps its place,
// and its text until it is old: what is under way may still refer to that.
func (c *Conversation) takeOut(i int) {
	it := &c.items[i]
	if it.Role == session.ItemToolCall {
		if r := c.toolItem(session.ItemToolResult, it.Call); r >= 0 {
			c.items[r].Role = session.ItemForgotten
		}
	}
	it.Role = session.ItemForgotten
}

// forget drops the oldest item with its texts.
func (c *Conversation) forget() {
	old := c.items[0]
	c.items = append(c.items[:0], c.items[1:]...)
	switch {
	case old.Role == session.ItemToolCall:
		c.forgetTool(&old)
	case isReply(&old):
		c.forgetReply(old.Turn)
	default:
		c.content.dropText(old.Text)
	}
}

// reply joins what was generated for a turn.
func (c *Conversation) reply(turn eventabi.TurnID) string {
	var b strings.Builder
	for _, h := range c.segments[turn] {
		b.WriteString(c.content.text(h))
	}
	return b.String()
}

// words are what was said or heard.
func (c *Conversation) words(it *session.Item) string {
	if isReply(it) {
		return heard(c.reply(it.Turn), it.HeardRunes)
	}
	return c.content.text(it.Text)
}

// delivered is what has reached the other side: what was said, what was heard, and what went
// out as text. Words of the caller that came to no model are on record, and no model is shown
// them later: a node of the graph may have been there to keep them from it.
func (c *Conversation) delivered(it *session.Item) string {
	if it.Role == session.ItemUser && it.HeardRunes == 0 && it.GeneratedRunes > 0 {
		return ""
	}
	if it.ShownRunes > it.HeardRunes {
		return heard(c.reply(it.Turn), it.ShownRunes)
	}
	return c.words(it)
}

// ItemText gives the words of an item: what was said, or what was heard.
func (c *Conversation) ItemText(it *session.Item) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.words(it)
}

// Prompt is what the model is shown: the system prompt, and then what was said and
// heard, oldest first. An assistant item of which nothing was heard is not there; what was
// delivered as text counts like what was heard, since the caller may refer to it.
func (c *Conversation) Prompt() []node.Message { return c.prompt(maxPrompt, "") }

// prompt is the system prompt and the last items, for the model of a turn, which may have
// been asked before. What a turn said and called is one item here, however much that was.
func (c *Conversation) prompt(last int, live eventabi.TurnID) []node.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := c.entries()
	entries = entries[max(0, len(entries)-last):]
	list := make([]node.Message, 0, len(entries)+1)
	if c.system != "" {
		list = append(list, node.Message{Role: "system", Text: c.system})
	}
	for _, e := range entries {
		it := &c.items[e.item]
		if e.tools {
			list = c.appendTools(list, it.Turn, it.Turn == live)
		} else if text := strings.TrimSpace(c.delivered(it)); text != "" {
			list = append(list, node.Message{Role: string(it.Role), Text: text, Interrupted: it.Interrupted})
		}
	}
	if len(list) == 0 { // a client asks for an answer before anybody has said a word
		list = append(list, node.Message{Role: string(session.ItemSystem), Text: opening})
	}
	return list
}

// Utterances gives the record, oldest item first.
func (c *Conversation) Utterances() []Utterance {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]Utterance, 0, len(c.items))
	for i := range c.items {
		it := &c.items[i]
		if it.Role == session.ItemForgotten {
			continue
		}
		u := Utterance{
			Role: it.Role, Turn: it.Turn, Text: c.words(it), Interrupted: it.Interrupted, HeardErrorMS: it.HeardErrorMS,
			Call: it.Call, Tool: it.Name, Failed: it.Failed,
		}
		if it.Role == session.ItemAssistant && it.Text != 0 { // the client brought it along
			u.Generated = u.Text
		} else if it.Role == session.ItemAssistant {
			u.Generated = c.reply(it.Turn)
			if it.ShownRunes > 0 {
				u.Shown = c.delivered(it)
			}
		}
		list = append(list, u)
	}
	return list
}

// HeardText is what the caller heard of a turn's reply.
func (c *Conversation) HeardText(turn eventabi.TurnID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.items {
		if it := &c.items[i]; it.Role == session.ItemAssistant && it.Turn == turn && it.Text == 0 {
			return c.words(it)
		}
	}
	return ""
}

// ReplyText is what was generated for a turn, heard or not.
func (c *Conversation) ReplyText(turn eventabi.TurnID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reply(turn)
}

// maxWord is the longest word that a cut is moved back over, in characters. Scripts
// without spaces are cut where the playout position says.
const maxWord = 32

// heard cuts a text at a number of characters, back to the end of a whole word.
func heard(text string, runes int64) string {
	list := []rune(text)
	if runes >= int64(len(list)) {
		return text
	}
	cut := max(0, int(runes))
	if cut == 0 {
		return ""
	}
	if !wordRune(list[cut-1]) || !wordRune(list[cut]) {
		return string(list[:cut])
	}
	for back := cut; cut-back < maxWord; back-- {
		if back == 0 {
			return ""
		}
		if !wordRune(list[back-1]) {
			return string(list[:back])
		}
	}
	return string(list[:cut])
}

// wordRune says that r belongs to a word that must not be cut. Scripts that put no
// spaces between words have no such characters.
func wordRune(r rune) bool {
	if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) {
		return false
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '\'' || r == '\u2019' || r == '-'
}
