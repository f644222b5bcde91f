// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"bytes"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// clientWatch is what the client has said beside sound and text, as seen from outside.
type clientWatch struct {
	on    bool // there is such a client
	stall timebase.Span
	quiet timebase.Span

	muted   bool
	streams bool // audio has begun
	resting bool // none is expected until it comes again
	stalled bool // told
	last    timebase.Instant
	silent  bool             // told
	busy    timebase.Instant // when somebody spoke last, or something was no silence
	owed    int              // mutes of this pass that are to be told

	ends, began bool // the client alone ends utterances: now, and before the pass
	asked       bool // it asks for answers
	always      bool // and has from the start
	text        bool // answers are written

	controls []session.TransportControl // of this pass, not told yet
	given    []session.Context          // likewise
	out      []session.Forget           // likewise
	keys     []eventabi.IdempotencyKey  // of those who asked for an answer and have none yet
	due      int                        // how many have asked
	shows    bool
}

func (c *clientWatch) begin(w *world) {
	*c = clientWatch{on: w.client.on, controls: c.controls[:0], given: c.given[:0], out: c.out[:0], keys: c.keys[:0]}
}

func (c *clientWatch) bootstrap(s *session.Settings, ms func(v, def int64) timebase.Span) {
	c.stall, c.quiet = ms(s.StallMS, 2000), ms(s.SilenceMS, 10000)
	c.ends = s.TurnEnd == session.TurnEndClient
	c.asked, c.always, c.text, c.shows = s.AnswerAsked, s.AnswerAsked, s.TextOnly, !s.VoiceOnly
}

// before begins a pass.
func (c *clientWatch) before() {
	c.began, c.owed = c.ends, 0
	c.controls, c.given, c.out = c.controls[:0], c.given[:0], c.out[:0]
}

// saidBadge gives what such a message is checked by.
func saidBadge(in session.Input) (epoch eventabi.Epoch, key eventabi.IdempotencyKey, ok bool) {
	switch in := in.(type) { //nolint:gochecksumtype // the others have none, or are badge's
	case *session.TransportControl:
		return in.Epoch, in.Key, true
	case *session.Context:
		return in.Epoch, in.Key, true
	case *session.Forget:
		return in.Epoch, in.Key, true
	case *session.Respond:
		return in.Epoch, in.Key, true
	case *session.Muted:
		return in.Epoch, "", true
	case *session.Wishes:
		return in.Epoch, "", true
	}
	return 0, "", false
}

// came notes caller audio.
func (c *clientWatch) came(at timebase.Instant) {
	if c.stalled {
		c.noise(at)
	}
	c.streams, c.resting, c.stalled, c.last = true, false, false, at
}

// afresh has audio expected from an instant on.
func (c *clientWatch) afresh(at timebase.Instant) {
	c.last, c.stalled = at, false
	c.noise(at)
}

// noise says that something was no silence.
func (c *clientWatch) noise(at timebase.Instant) { c.silent, c.busy = false, at }

func (c *clientWatch) ended(in *session.EndOfUtterance) {
	if in.Reason == "client" || !c.ends {
		c.resting = c.ends
	}
}

func (k *watch) mutedInput(in *session.Muted) {
	c := &k.said
	if !k.takes(in.Epoch, "") || in.On == c.muted {
		return
	}
	c.muted = in.On
	c.afresh(k.now)
	if in.On {
		c.owed++
		k.talk.voiced = false // nothing is heard of who speaks
	}
}

// clientWord takes the rest.
func (k *watch) clientWord(in session.Input) {
	epoch, key, _ := saidBadge(in)
	if !k.takes(epoch, key) {
		return
	}
	c := &k.said
	switch in := in.(type) { //nolint:gochecksumtype // the others are not such words
	case *session.TransportControl:
		if in.DurationMS >= 0 && (in.Kind == "dtmf" && len(in.Digit) == 1 && strings.Contains("0123456789*#ABCD", in.Digit) || in.Kind == "flash") {
			c.controls = append(c.controls, *in)
		}
	case *session.Context:
		if in.Text.Words > 0 && (in.Role == session.ItemUser || in.Role == session.ItemAssistant || in.Role == session.ItemSystem) {
			c.given = append(c.given, *in)
		}
	case *session.Forget:
		c.out = append(c.out, *in)
	case *session.Respond:
		c.due++
		if in.Key != "" {
			c.keys = append(c.keys, in.Key)
		}
		k.talk.turnedAway = true // what is proposed in this pass may be answered by it
	case *session.Wishes:
		c.wished(in)
	}
}

func (c *clientWatch) wished(in *session.Wishes) {
	if in.TurnEnd != "" && in.TurnEnd != session.TurnEndVAD && in.TurnEnd != session.TurnEndClient {
		return
	}
	if in.TurnEnd != "" {
		c.ends = in.TurnEnd == session.TurnEndClient
		c.resting = c.resting && c.ends
	}
	if in.TextOnly != "" && c.shows {
		c.text = in.TextOnly == session.SwitchOn
	}
}

// condition checks that silence or a stall is told once, and while it lasts.
func (k *watch) condition(v *eventabi.Envelope) {
	c := &k.said
	connected := k.link == controlplane.ConnectionConnected && k.state == controlplane.SessionActive
	switch {
	case v.Signal == eventabi.SignalStall:
		k.ok(ConditionsOnce, connected && c.streams && !c.muted && !c.resting && !c.stalled && k.now.Sub(c.last) >= c.stall, "a stall that is none, or was told")
		c.stalled = true
		k.talk.voiced = false
		c.noise(k.now)
	case v.Reason == "user_muted":
		k.ok(ConditionsOnce, c.owed > 0, "a mute that is none, or was told")
		c.owed--
	default:
		k.ok(ConditionsOnce, v.Reason == "no_input" && connected && c.streams && !c.muted && !c.stalled && !c.silent && k.live < 0 && k.now.Sub(c.busy) >= c.quiet,
			"silence that is none, or was told")
		c.silent = true
	}
}

// endSignal checks who ended an utterance.
func (k *watch) endSignal(v *eventabi.Envelope) {
	k.said.noise(k.now)
	k.ok(ClientEndsTurns, v.Reason == "client" || !k.said.ends || !k.said.began, "an utterance was ended although its client had not said so")
}

func (k *watch) controlSignal(v *eventabi.Envelope) {
	list := k.said.controls
	if !k.ok(ControlsTold, len(list) > 0, "a control that nobody gave") {
		return
	}
	in := list[0]
	k.said.controls = append(list[:0], list[1:]...)
	fields := v.Extensions["transport.unknown"]
	k.ok(ControlsTold, v.IdempotencyKey == in.Key && bytes.Contains(fields, []byte(`"kind":"`+in.Kind+`"`)) &&
		bytes.Contains(fields, []byte(`"digit":"`+in.Digit+`"`)) == (in.Digit != ""), "a control that is not what was given")
}

// givenItem checks an item that belongs to no turn and was not said.
func (k *watch) givenItem(it *session.Item) bool {
	list := k.said.given
	i := slices.IndexFunc(list, func(g session.Context) bool { return g.Text.Handle == it.Text && it.Text != 0 })
	if i < 0 {
		k.ok(GivenKept, it.Role != session.ItemSystem, "an item that nobody gave")
		if n := k.turn(it.Turn); n >= 0 {
			k.ok(RespondOnce, it.Role != session.ItemUser || !k.turns[n].bare, "a turn without words has some")
		}
		return false
	}
	g := &list[i]
	k.ok(GivenKept, it.Role == g.Role && it.Turn == "" && it.HeardRunes == it.GeneratedRunes && it.GeneratedRunes == g.Text.Runes,
		"an item is not what was given, or counts as heard in part")
	k.items[it.Key-1].given = g.Key
	k.said.given = append(list[:i], list[i+1:]...)
	return true
}

// calledBy says whether a client's name is that of an item.
func (x *itemWatch) calledBy(in *session.Forget) bool {
	if in.Role == "" {
		return x.given != "" && string(x.given) == in.Name
	}
	return x.item.Role == in.Role && x.given == "" && string(x.item.Turn) == in.Name
}

// forgotten checks that somebody has taken an item out.
func (k *watch) forgotten(x *itemWatch) {
	i := slices.IndexFunc(k.said.out, func(in session.Forget) bool { return x.calledBy(&in) })
	if k.ok(ForgottenStays, i >= 0, "an item was taken out that nobody has taken out") {
		k.said.out = append(k.said.out[:i], k.said.out[i+1:]...)
	}
}

// taken says that nothing is there any more of what was taken out.
func (k *watch) taken() bool {
	for i := range k.said.out {
		if slices.ContainsFunc(k.items, func(x itemWatch) bool { return x.calledBy(&k.said.out[i]) }) {
			return false
		}
	}
	return true
}

// answers checks a turn that opens: who asked for it, and how it is to be given.
func (k *watch) answers(v *eventabi.Envelope, t *turnWatch) {
	c := &k.said
	c.noise(k.now)
	t.text = c.text
	if key := v.IdempotencyKey; key != "" {
		t.bare = true
		k.ok(RespondOnce, c.drop(key), "a turn with a key that nobody gave, or that has its answer")
	}
	if c.always && !t.sorry {
		k.ok(AnswersWhenAsked, c.due > 0, "a turn that nobody asked for")
		c.due--
	}
}

// drop forgets a key, and says whether it was there.
func (c *clientWatch) drop(key eventabi.IdempotencyKey) bool {
	i := slices.Index(c.keys, key)
	if i >= 0 {
		c.keys = slices.Delete(c.keys, i, i+1)
	}
	return i >= 0
}

// refused follows a proposal that was turned away.
func (c *clientWatch) refused(v *eventabi.Envelope) {
	c.drop(v.IdempotencyKey)
}

// written checks how an answer is asked for.
func (k *watch) written(e *session.Generate) {
	if i := k.turn(e.Turn); i >= 0 {
		k.ok(WrittenUnspoken, e.Written == (k.turns[i].text || k.turns[i].step == textOnly), "an answer that is to be spoken or written otherwise than wished")
	}
}

// saidSettled checks what must hold between two steps.
func (k *watch) saidSettled() {
	c := &k.said
	if k.ended {
		return
	}
	if k.state == controlplane.SessionActive {
		k.ok(ConditionsTold, c.owed <= 0, "a mute was not told")
		k.ok(ControlsTold, len(c.controls) == 0, "a control was not told")
		k.ok(GivenKept, len(c.given) == 0, "an item that was given is not in the record")
		k.ok(ForgottenStays, k.taken(), "an item that was taken out is in the record")
	}
	if k.live >= 0 || slices.ContainsFunc(k.open, func(o callWatch) bool { return o.kind == recognise && o.state == running && !o.finalized }) {
		c.noise(k.now)
	}
	listens := k.state == controlplane.SessionActive && k.link == controlplane.ConnectionConnected
	if listens && c.streams && !c.muted && !c.resting && !c.stalled {
		k.by(ConditionsTold, c.last.Add(c.stall), "a stall")
	}
}
