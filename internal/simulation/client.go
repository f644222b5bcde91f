// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"strconv"

	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// client is what the caller's client says beside sound, text and cancels. It draws from a
// chance of its own, so that the rest of a seed's world is what it is without it.
type client struct {
	random timebase.Random
	on     bool
	left   int64 // things that it has yet to say
	muted  bool
	ends   bool // it alone ends utterances
	asks   bool // it asks for answers
}

// seldom is longer than most conversations, and shorter than one may take to come to rest.
const seldom = 200_000

// drawClient draws a client for every third session. In the others conditions are hardly ever
// told: their frames are too few.
func (w *world) drawClient(seed uint64) {
	w.client = client{random: timebase.NewRandom(seed ^ 0x636c69656e74)}
	c, r, s := &w.client, &w.client.random, &w.habits.settings
	s.StallMS, s.SilenceMS = seldom, seldom
	if !r.Chance(1, 3) {
		return
	}
	c.on, c.left = true, r.Between(5, 60)
	some := [...]int64{0, r.Between(300, 4000), r.Between(300, 4000), seldom}
	s.StallMS, s.SilenceMS = some[r.Below(4)], some[r.Below(4)]
	c.ends, c.asks = r.Chance(1, 6), r.Chance(1, 6)
	if c.ends {
		s.TurnEnd = session.TurnEndClient
	}
	s.AnswerAsked, s.TextOnly = c.asks, !s.VoiceOnly && r.Chance(1, 6)
}

// startClient has it begin to speak.
func (w *world) startClient() {
	if w.client.on {
		w.after(0, w.client.random.Between(100, 2000), evClient, 0, 0)
	}
}

// speaks lets the client say something, and something else later.
func (w *world) speaks(e *event) {
	c := &w.client
	if w.phase != talking {
		return
	}
	if c.left == 0 {
		w.unmute(e.at)
		return
	}
	w.after(e.at, c.random.Between(50, 3000), evClient, 0, 0)
	if w.linkDown {
		return
	}
	c.left--
	if !c.muted && c.random.Chance(1, 2) {
		w.hear(e.at)
	}
	switch r := &c.random; r.Below(8) {
	case 0, 1:
		w.mute(e.at, c.muted == r.Chance(1, 8))
	case 2:
		w.control(e.at)
	case 3:
		w.give(e.at)
	case 4, 5:
		w.respond(e.at)
	default:
		w.wish()
	}
}

// mute switches the microphone, or says again what is known. Nothing is heard of one that is
// off, whether or not somebody else's epoch kept the news from the session.
func (w *world) mute(at timebase.Instant, on bool) {
	c := &w.client
	back := c.muted && !on
	c.muted = on
	in := w.pool.mutes.get()
	in.Epoch, in.On, in.Sample = w.stamp(), on, w.position(at)
	if back && w.speech.voiced { // the detector hears that the caller is silent
		w.speech.bits, w.speech.stopped = 1, at
		w.after(at, c.random.Between(64, 200), evVoiceOff, w.speech.number, 0)
	}
	w.add(in)
}

// unmute leaves a conversation with the microphone on.
func (w *world) unmute(at timebase.Instant) {
	if w.client.muted {
		w.mute(at, false)
	}
}

func (w *world) control(at timebase.Instant) {
	r := &w.client.random
	in := w.pool.controls.get()
	in.Epoch, in.Key = w.stamp(), w.key()
	in.Kind, in.Digit = "dtmf", "0123456789*#ABCDx"[r.Below(17):][:1]
	if r.Chance(1, 4) {
		in.Kind, in.Digit = "flash", ""
	}
	in.DurationMS = r.Between(-1, 300)
	w.add(in)
	w.remember(at, keyed{control: *in})
}

// give brings an item of the conversation along.
func (w *world) give(at timebase.Instant) {
	r := &w.client.random
	in := w.pool.contexts.get()
	w.owners++
	in.Epoch, in.Key = w.stamp(), w.key()
	in.Role = [...]session.ItemRole{session.ItemUser, session.ItemAssistant, session.ItemSystem, "nobody"}[r.Below(4)]
	words, class := r.Between(1, 40), session.TextWords
	if r.Chance(1, 16) {
		words, class = 0, session.TextNone
	}
	in.Text = w.text(w.owners, words, class, false)
	w.add(in)
	w.remember(at, keyed{context: *in})
	switch { // without a draw of its own: the others would be drawn otherwise
	case w.owners%3 == 0 && in.Key != "":
		w.forget("", string(in.Key))
	case w.owners%3 == 1:
		w.forget(session.ItemAssistant, "t"+strconv.FormatInt(int64(w.owners)%16, 10)) // which there may be
	}
}

// forget takes an item out again.
func (w *world) forget(role session.ItemRole, name string) {
	in := w.pool.forgets.get()
	in.Epoch, in.Role, in.Name, in.Key = w.stamp(), role, name, ""
	w.add(in)
}

func (w *world) respond(at timebase.Instant) {
	in := w.pool.responds.get()
	in.Epoch, in.Key = w.stamp(), w.key()
	w.add(in)
	w.remember(at, keyed{respond: *in})
}

// wish chooses something anew. A client that asks for answers goes on doing so.
func (w *world) wish() {
	c, r := &w.client, &w.client.random
	in := w.pool.wishes.get()
	in.Epoch = w.stamp()
	in.Voice = [...]string{"", "alto", "bass"}[r.Below(3)]
	in.Language = [...]string{"", "en", "de-DE"}[r.Below(3)]
	in.TextOnly = [...]session.Switch{"", session.SwitchOn, session.SwitchOff}[r.Below(3)]
	in.TurnEnd = [...]session.TurnEnd{"", session.TurnEndVAD, session.TurnEndClient, "nobody"}[r.Below(4)]
	if r.Chance(1, 2) {
		in.Instructions = w.text(0, 20, session.TextWords, false)
	}
	if in.TurnEnd == "nobody" || !w.current(in.Epoch) {
		w.add(in)
		return
	}
	if in.TurnEnd != "" {
		c.ends = in.TurnEnd == session.TurnEndClient
	}
	w.add(in)
}

// ending is who says that the utterance is over: where the client alone ends utterances the
// endpointer is heard now and then all the same.
func (w *world) ending() string {
	switch c := &w.client; {
	case w.habits.handheld:
		return "client"
	case c.ends && !c.random.Chance(1, 4):
		return "client"
	}
	return "vad"
}
