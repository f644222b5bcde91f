// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"strconv"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// act is something that the caller or the client does.
type act int64

const (
	actSay         act = iota // a sentence
	actBackchannel            // "uh-huh"
	actCough                  // no words at all
	actMumble                 // long speech whose only words are backchannels
	actGoOn                   // speech that does not end
	actType                   // typed text
	actStop                   // stop
	actCancelTurn             //
	actCancelNode             //
	actCancelCall             //
	actCancelAll              // scope session
	actClose                  // a close request
	actLeave                  // the client leaves
)

// speech is the utterance that the caller is at.
type speech struct {
	kind    act
	number  int32
	bits    int64 // bits of speech left, this one included
	under   bool  // from the first sound to the endpoint
	voiced  bool
	since   timebase.Instant // when the bit began
	stopped timebase.Instant // when the bit ended
	heardMS int64            // speech of bits that are over
}

// nextAct is how the caller takes the floor when nobody speaks.
func (w *world) nextAct() act {
	if w.random.Below(100) < w.habits.typing {
		return actType
	}
	switch w.random.Below(24) {
	case 0:
		return actBackchannel
	case 1:
		return actCough
	}
	return actSay
}

// interruption is what the caller does while the agent thinks or speaks.
func (w *world) interruption() act {
	switch w.random.Below(24) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		return actSay
	case 8, 9, 10:
		return actBackchannel
	case 11, 12:
		return actCough
	case 13:
		return actMumble
	case 14, 15, 16:
		return actType
	case 17, 18:
		return actStop
	case 19, 20:
		return actCancelTurn
	case 21:
		return actCancelNode
	case 22:
		return actCancelCall
	}
	switch w.random.Below(16) {
	case 0:
		return actGoOn
	case 1:
		return actCancelAll
	case 2:
		return actClose
	case 3:
		return actLeave
	}
	return actSay
}

// plan lets the caller do something later.
func (w *world) plan(at timebase.Instant, ms int64, a act) {
	w.planned++
	w.after(at, ms, evAct, 0, int64(a))
}

// act does what was planned, if the caller still can.
func (w *world) act(e *event) {
	w.planned--
	if w.phase != talking || w.linkDown {
		return
	}
	switch a := act(e.arg); a {
	case actSay, actBackchannel, actCough, actMumble, actGoOn:
		w.speak(e.at, a)
	case actType:
		w.type_(e.at)
	case actStop:
		w.stop(e.at)
	case actCancelTurn, actCancelNode, actCancelCall, actCancelAll:
		w.cancel(e.at, a)
	case actClose:
		w.phase = closing
		w.add(&session.CloseRequest{Reason: "client"})
	case actLeave:
		w.sayLink(session.LinkLeft)
	}
}

// idle keeps a conversation going in which nothing happens any more.
func (w *world) idle(e *event) {
	if w.phase != talking {
		return
	}
	if w.planned == 0 && !w.speech.under {
		w.plan(e.at, 10, w.nextAct())
		if w.client.asks && !w.linkDown {
			w.respond(e.at)
		}
	}
	w.after(e.at, 4000, evIdle, 0, 0)
}

// speak begins an utterance.
func (w *world) speak(at timebase.Instant, kind act) {
	if w.speech.under {
		return
	}
	s := speech{kind: kind, number: w.speech.number + 1, bits: 1, under: true}
	if kind == actSay {
		s.bits = 1 + w.random.Below(6)/3
	}
	w.speech = s
	w.bit(at)
}

// bit begins a stretch of speech; the detector says so a little later.
func (w *world) bit(at timebase.Instant) {
	var length int64
	switch kind := w.speech.kind; {
	case kind == actCough:
		length = w.random.Between(60, 280)
	case kind == actBackchannel:
		length = w.random.Between(150, 550)
	case kind == actMumble:
		length = w.random.Between(700, 2500)
	case kind == actGoOn:
		length = w.random.Between(20000, 45000)
	default:
		length = w.random.Between(300, 2600)
	}
	w.speech.since = at
	w.speech.stopped = at.Add(timebase.MS(length))
	w.after(at, w.random.Between(32, 96), evVoiceOn, w.speech.number, 0)
	w.after(at, length+w.random.Between(64, 200), evVoiceOff, w.speech.number, 0)
}

// sound is what detector and endpointer say.
func (w *world) sound(e *event) {
	s := &w.speech
	if e.who != s.number || w.linkDown || w.client.muted {
		if e.kind == evEndpoint && e.who == s.number {
			s.under = false
		}
		return // no audio, nothing to detect
	}
	switch {
	case e.kind == evVoiceOn:
		w.hear(e.at)
		s.voiced = true
		on := w.pool.voiceOns.get()
		on.Onset, on.Heard = w.position(s.since), w.position(e.at)
		w.add(on)
	case e.kind == evVoiceOff:
		w.hear(e.at)
		s.voiced = false
		s.heardMS += s.stopped.Sub(s.since).MS()
		off := w.pool.voiceOffs.get()
		off.Offset, off.Heard = w.position(s.stopped), w.position(e.at)
		w.add(off)
		w.paused(e.at)
	case e.kind == evEndpoint:
		w.endpoint(e)
	}
}

// paused decides what follows a bit of speech: another bit or the end.
func (w *world) paused(at timebase.Instant) {
	s := &w.speech
	s.bits--
	if s.bits > 0 && w.phase == talking {
		w.bit(at.Add(timebase.MS(w.random.Between(80, 900))))
		return
	}
	silence := w.random.Between(300, 700)
	if w.habits.handheld {
		silence = w.random.Between(0, 120)
	}
	w.after(at, silence, evEndpoint, s.number, 0)
}

// endpoint ends the utterance.
func (w *world) endpoint(e *event) {
	s := &w.speech
	s.under = false
	if w.fault(TransportLoss, 12) {
		return // the words end with no end
	}
	end := w.pool.endings.get()
	end.Sample, end.Reason = w.position(s.stopped), w.ending()
	end.Epoch, end.Key = w.stamp(), w.key()
	w.add(end)
	w.remember(e.at, keyed{ending: *end})
}

// type_ sends an utterance as text.
func (w *world) type_(at timebase.Instant) {
	in := w.pool.typed.get()
	w.owners++
	in.Epoch, in.Key = w.stamp(), w.key()
	words := w.random.Between(1, 12)
	class := session.TextWords
	if w.random.Chance(1, 32) {
		words, class = 0, session.TextNone
	}
	in.Text = w.text(w.owners, words, class, false)
	w.add(in)
	w.remember(at, keyed{typed: *in})
}

func (w *world) stop(at timebase.Instant) {
	in := w.pool.stops.get()
	in.Epoch, in.Key, in.Force = w.stamp(), w.key(), w.random.Chance(1, 4)
	if w.habits.prefences && w.current(in.Epoch) {
		in.Fenced = w.egress.prefence(at, in.Force)
	}
	w.add(in)
	w.remember(at, keyed{stop: *in})
}

func (w *world) cancel(at timebase.Instant, a act) {
	in := w.pool.cancels.get()
	in.Epoch, in.Key, in.Force = w.stamp(), w.key(), w.random.Chance(1, 4)
	switch {
	case a == actCancelTurn:
		in.Scope = eventabi.CancelTurn
		if w.random.Chance(1, 2) {
			in.Turn = w.shown
		}
		if w.habits.prefences && in.Turn == "" && w.current(in.Epoch) {
			in.Fenced = w.egress.prefence(at, in.Force)
		}
	case a == actCancelNode:
		in.Scope = eventabi.CancelNode
		in.Node = [...]eventabi.NodeID{"stt", "llm", "tts", "nobody"}[w.random.Below(4)]
	case a == actCancelCall:
		in.Scope = eventabi.CancelInvocation
		if n := len(w.calls); n > 0 {
			in.Invocation = w.calls[max(0, int64(n)-1-w.random.Below(3))].id
		}
	default:
		in.Scope = eventabi.CancelSession
	}
	w.add(in)
	w.remember(at, keyed{cancel: *in})
}

// stamp is the epoch that ingress puts on a message; now and then another owner's.
func (w *world) stamp() eventabi.Epoch {
	if w.fault(WorkerTwoOwners, 8) {
		if w.epoch > 1 && w.random.Chance(1, 2) {
			return w.epoch - 1
		}
		return w.epoch + 1
	}
	if w.habits.stamped {
		return w.epoch
	}
	return 0
}

func (w *world) current(e eventabi.Epoch) bool { return e == 0 || e == w.epoch }

func (w *world) key() eventabi.IdempotencyKey {
	if !w.habits.keyed && !w.faults.Has(TransportDuplicate) {
		return ""
	}
	w.keys++
	return eventabi.IdempotencyKey("k" + strconv.FormatInt(w.keys, 10))
}

// keyed is a copy of a message that may be delivered again; the one with a key counts.
type keyed struct {
	ending session.EndOfUtterance
	typed  session.TextIn
	stop   session.Stop
	cancel session.Cancel

	control session.TransportControl
	context session.Context
	respond session.Respond
}

// remember keeps a message for its second delivery.
func (w *world) remember(at timebase.Instant, k keyed) {
	if !w.calm && w.faults.Has(TransportDuplicate) && w.random.Chance(1, 3) {
		w.lastKeyed = k
		w.after(at, w.random.Between(0, 2000), evDuplicate, 0, 0)
	}
}

// again delivers a message a second time.
func (w *world) again() {
	if w.calm {
		return
	}
	w.covered[TransportDuplicate]++
	k := &w.lastKeyed
	switch {
	case k.ending.Key != "":
		w.add(&k.ending)
	case k.typed.Key != "":
		w.add(&k.typed)
	case k.stop.Key != "":
		w.add(&k.stop)
	case k.cancel.Key != "":
		w.add(&k.cancel)
	case k.control.Key != "":
		w.add(&k.control)
	case k.context.Key != "":
		w.add(&k.context)
	case k.respond.Key != "":
		w.add(&k.respond)
	}
}

// text makes a text and its reference. A word has six characters, its blank included.
func (w *world) text(owner int32, words int64, class session.TextClass, protected bool) session.TextRef {
	ref := session.TextRef{
		Handle: int64(len(w.texts)), Words: words, Runes: max(0, words*6-1), Class: class, Digest: w.random.Uint64(),
	}
	w.texts = append(w.texts, text{owner: owner, ref: ref, protected: protected})
	return ref
}
