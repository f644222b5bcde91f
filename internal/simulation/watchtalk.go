// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// talkWatch is the conversation as seen from outside.
type talkWatch struct {
	voiced     bool    // the detector hears speech
	owner      int32   // the utterance that was opened last
	pending    []int32 // what was proposed in this step
	opens      int     // turns that opened in this step
	opener     int     // the last of them
	muddled    bool    // a proposal of a step before may be waiting
	turnedAway bool    // a proposal failed in this step
	check      []int32 // owners whose words must be in the record by the end of the step
	closed     bool
	typedNow   int32 // typed in this pass
	calmWorld  bool
	loud       bool // something other than noise was said since the turn opened
	noise      bool // noise was
	excused    bool
	heldFrom   timebase.Instant
	over       timebase.Instant // when an utterance ended last
	owed       bool             // the live turn has protected text
}

// ownerWatch is an utterance or a typed text, and what the record says of it.
type ownerWatch struct {
	item        int64 // key, 0 = not in the record
	words       bool  // something was said
	final       bool  // the kernel has its last transcript
	finalStep   int64 // when it came
	bound       bool  // a turn answers it
	turn        int   // the turn, if bound
	interrupted int   // the turn that it interrupted, -1 = none
}

// itemWatch is an item of the conversation record.
type itemWatch struct {
	item  session.Item
	given eventabi.IdempotencyKey // that a client brought it with
}

func (k *watch) ownerOf(n int32) *ownerWatch {
	for int(n) >= len(k.owners) {
		k.owners = append(k.owners, ownerWatch{interrupted: -1})
	}
	return &k.owners[n]
}

// owns ties a recogniser to its utterance, once the world has named it.
func (k *watch) owns(c *call) {
	if o := k.call(c.id); o != nil {
		o.owner = c.owner
	}
	k.talk.owner = c.owner
	switch {
	case c.act == actCough, c.act == actBackchannel, c.act == actMumble:
		k.talk.noise = true
	default:
		k.talk.loud = true
	}
}

func (k *watch) voiceOn() {
	if k.state == controlplane.SessionActive {
		k.talk.voiced = true
		k.talk.excused = true // even if it stops within this pass
	}
}

func (k *watch) utteranceEnd(in *session.EndOfUtterance) {
	k.said.ended(in)
	k.talk.voiced = false
	k.talk.loud = k.talk.loud || in.Reason == "client" // the client's word leaves no doubt
}

func (k *watch) typed(in *session.TextIn) {
	if in.Text.Class != session.TextNone {
		k.said.noise(k.now)
	}
	o := k.texts[in.Text.Handle].owner
	w := k.ownerOf(o)
	w.words, w.final = in.Text.Class != session.TextNone, true
	k.talk.typedNow = o
	if in.Text.Class != session.TextNone && !k.said.asked {
		k.pass.load.typed++
	}
	k.talk.loud = true
	if k.said.asked {
		return
	}
	k.propose(o)
}

// propose notes that an utterance may open a turn.
func (k *watch) propose(owner int32) {
	if len(k.talk.pending) < 16 {
		k.talk.pending = append(k.talk.pending, owner)
	}
}

// giveUp forgets an utterance that turned out to be none.
func (k *watch) giveUp(owner int32) {
	if o := k.ownerOf(owner); o.final && o.finalStep == k.step {
		o.final = false // control comes before data: the cancel was first
	}
	for i, o := range k.talk.pending {
		if o == owner {
			k.talk.pending = append(k.talk.pending[:i], k.talk.pending[i+1:]...)
			return
		}
	}
}

// opened notes that a turn has opened.
func (k *watch) opened(turn int) {
	k.talk.opens++
	k.talk.opener = turn
	k.talk.loud, k.talk.noise, k.talk.owed = false, false, false
	for i := range k.open {
		if c := &k.open[i]; c.kind == recognise && !c.finalized {
			k.talk.loud = true // somebody speaks already
		}
	}
}

// bind ties a turn to the words that it answers where there is no doubt about them: one
// proposal came in this step, one turn opened, nothing was turned away, and no proposal
// of a step before waits.
func (k *watch) bind(w *world) {
	t := &k.talk
	if t.muddled && len(t.pending) == 0 && k.live < 0 && !k.holding() && !w.egress.guarding() {
		t.muddled = false // nothing is left that a proposal could wait for
	}
	if t.opens != 1 || len(t.pending) != 1 || t.turnedAway || t.muddled || !k.rules.binds {
		t.muddled = t.muddled || len(t.pending) > 0
		return
	}
	if o := k.ownerOf(t.pending[0]); !o.bound {
		o.bound, o.turn = true, t.opener
		k.turns[t.opener].owner = t.pending[0]
	}
}

// noiseOnly says that since the turn opened nothing but coughs and backchannels was
// heard, in a session where nothing disturbs the detector.
func (t *talkWatch) noiseOnly(k *watch) bool {
	return t.calmWorld && k.rules.plain && t.noise && !t.loud
}

func (k *watch) transcript(in *session.Transcript) {
	c := k.call(in.Invocation)
	if c == nil || c.state != running || in.Revision <= c.revision {
		return
	}
	c.revision = in.Revision
	if !in.Final {
		return
	}
	o := k.ownerOf(c.owner)
	if o.final {
		return
	}
	o.final, o.words, o.finalStep = true, in.Text.Class != session.TextNone, k.step
	if o.bound && k.turns[o.turn].closed {
		k.talk.check = append(k.talk.check, c.owner)
	}
}

// refused forgets proposals that failed without a signal of their own.
func (k *watch) refused(e *session.Refused) {
	if e.What == "turn_open_proposed" {
		k.talk.turnedAway = true
		k.pass.load.away++
	}
	if e.Code == "timebase_out_of_bounds" && e.What == "clock_reading" {
		k.ok(RebaseEvidenced, k.time.refuse, "a reading within the bounds was refused")
		k.time.refuse = false
	}
}

// words ties turns to words, and checks that the record has what the callers of closed turns said.
func (k *watch) words(w *world) {
	k.bind(w)
	if k.talk.closed {
		for i := range k.turns {
			if t := &k.turns[i]; t.closed && t.owner != 0 && !t.wordsDue {
				t.wordsDue = true
				k.talk.check = append(k.talk.check, t.owner)
			}
		}
	}
	for _, n := range k.talk.check {
		o := &k.owners[n]
		if o.final && o.words && !k.ended {
			k.ok(WordsKept, o.item != 0, "a closed turn has lost its caller's words")
		}
	}
	k.talk.check = k.talk.check[:0]
	k.talk.typedNow = 0
}

// converse checks an item of the record (nodes-providers-transports section 4a).
func (k *watch) converse(it *session.Item) {
	n := int64(len(k.items))
	if !k.ok(ItemsKeepPlace, it.Key >= 1 && it.Key <= n+1, "keys of items do not count up") {
		return
	}
	fresh := it.Key == n+1
	if fresh {
		k.items = append(k.items, itemWatch{item: *it})
	} else {
		x := &k.items[it.Key-1]
		old := &x.item
		k.ok(ForgottenStays, old.Role != session.ItemForgotten, "an item that was taken out has come back")
		if it.Role == session.ItemForgotten {
			k.ok(ItemsKeepPlace, old.Order == it.Order && old.Turn == it.Turn, "an item changed its place")
			k.forgotten(x)
			x.given, old.Role = "", it.Role
			return
		}
		k.ok(ItemsKeepPlace, old.Role == it.Role && old.Order == it.Order && old.Turn == it.Turn, "an item changed its place")
		*old = *it
	}
	k.ok(HeardWithinPlayed, it.HeardRunes >= 0 && it.HeardRunes <= it.GeneratedRunes, "more was heard than was generated")
	if k.givenItem(it) {
		return
	}
	switch it.Role {
	case session.ItemUser:
		k.userItem(it, fresh)
	case session.ItemAssistant:
		k.assistantItem(it, fresh)
	case session.ItemToolCall, session.ItemToolResult:
		k.toolItem(it, fresh)
	case session.ItemSystem, session.ItemForgotten: // given; or what never was
	}
}

func (k *watch) userItem(it *session.Item, fresh bool) {
	n := k.texts[it.Text].owner
	o := k.ownerOf(n)
	k.ok(OneItemPerWords, n != 0 && (o.item == 0 && fresh || o.item == it.Key), "an utterance has two items, or none of its own")
	o.item = it.Key
	if o.interrupted < 0 {
		return
	}
	if t := &k.turns[o.interrupted]; t.item != 0 && k.items[t.item-1].item.Interrupted {
		k.ok(InterruptedBefore, k.items[t.item-1].item.Order < it.Order, "an item stands before the one that it interrupted")
	}
}

func (k *watch) assistantItem(it *session.Item, fresh bool) {
	i, g := k.turn(it.Turn), k.genOf(it.Turn)
	if !k.ok(OneAssistantItem, i >= 0 && k.turns[i].wasOpen, "an item of a turn that never opened") {
		return
	}
	t := &k.turns[i]
	k.ok(HeardWithinPlayed, it.ShownRunes == 0 || it.ShownRunes <= it.GeneratedRunes && (t.step == textOnly || t.text),
		"text counts as delivered in a turn that has a voice, or more than was generated")
	t.flows = t.flows || it.ShownRunes > 0
	if g < 0 { // no sound was asked for
		k.ok(HeardWithinPlayed, it.HeardRunes == 0, "something counts as heard that was not spoken")
		k.ok(OneAssistantItem, t.item == 0 && fresh || t.item == it.Key, "a turn has two items")
		t.item = it.Key
		return
	}
	k.ok(OneAssistantItem, t.item == 0 && fresh || t.item == it.Key, "a turn has two items")
	t.item = it.Key
	k.ok(HeardWithinPlayed, it.HeardRunes <= k.audible(&k.gens[g]), "something counts as heard that was not played")
	if t.committed && k.gens[g].over && !it.Interrupted && !k.gens[g].cut {
		k.ok(HeardWholeWhenDone, it.HeardRunes == k.audible(&k.gens[g]), "everything was played and something counts as not heard")
	}
}

// audible gives the length of the text, from its beginning, whose sound has begun to
// reach the sink. A segment that gave no sound counts with what was heard behind it.
func (k *watch) audible(g *genWatch) int64 {
	left, runes, silent := g.reached, int64(0), int64(0)
	for i := g.spoken; i < len(k.spoken) && left > 0; i++ {
		s := &k.spoken[i]
		if s.generation != g.generation {
			break
		}
		silent += s.runes
		if s.samples > 0 {
			runes, silent = runes+silent, 0
		}
		left -= s.samples
	}
	return runes
}

// interrupts remembers who interrupted a turn.
func (k *watch) interrupts(turn int) {
	n := k.talk.owner
	if k.talk.typedNow != 0 {
		n = k.talk.typedNow
	}
	if n == 0 || turn < 0 || !k.rules.binds {
		return
	}
	if o := k.ownerOf(n); o.item == 0 && o.interrupted < 0 && !o.bound {
		o.interrupted = turn
	}
}
