// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// Wishes is what a client chooses of its session, from the next turn on; what is empty
// leaves what there is.
type Wishes struct {
	Epoch        eventabi.Epoch
	Instructions TextRef // in place of the system prompt; without a handle it stays
	Voice        string
	Language     string // BCP 47
	TurnEnd      TurnEnd
	Answer       Switch // whether an utterance that is over is answered; off = when Respond asks
	TextOnly     Switch // answers are written and not spoken
}

// TurnEnd says who ends an utterance.
type TurnEnd string

// Who ends an utterance.
const (
	TurnEndVAD    TurnEnd = "vad"    // the endpointer; the client's word counts as well
	TurnEndClient TurnEnd = "client" // the client alone
)

// Switch is a choice that may be left as it is, which is its zero value.
type Switch string

// The positions of a switch.
const (
	SwitchOn  Switch = "on"
	SwitchOff Switch = "off"
)

// Validate reports every wish that cannot be one, each a SettingError.
func (in *Wishes) Validate() error {
	c := settingsCheck{prefix: "wishes."}
	c.within("instructions_runes", in.Instructions.Runes, MaxGivenRunes)
	c.name("voice", in.Voice)
	c.name("language", in.Language)
	c.oneOf("turn_end", string(in.TurnEnd), "", string(TurnEndVAD), string(TurnEndClient))
	c.oneOf("answer", string(in.Answer), "", string(SwitchOn), string(SwitchOff))
	c.oneOf("text_only", string(in.TextOnly), "", string(SwitchOn), string(SwitchOff))
	return errors.Join(c.faults...)
}

// name checks the name of something that others define.
func (c *settingsCheck) name(field, v string) {
	good := len(v) <= eventabi.MaxIDLength && utf8.ValidString(v)
	for _, r := range v {
		good = good && unicode.IsPrint(r)
	}
	if !good {
		c.fault(field, v, fmt.Sprintf("at most %d bytes that can be printed", eventabi.MaxIDLength))
	}
}

// wished is what the client has chosen. What concerns a turn is taken over when one opens.
type wished struct {
	instructions int64 // handle; 0 = the session's own
	voice        string
	language     string
	clientEnds   bool
	asked        bool // what was said waits for Respond
	textOnly     bool
	owed         bool // words of an utterance that was cut, and has not been ended, wait for an answer
}

func (s *Settings) wished() wished {
	return wished{clientEnds: s.TurnEnd == TurnEndClient, asked: s.AnswerAsked, textOnly: s.TextOnly}
}

// wishesCame takes what the client chooses. An utterance that is open, and a turn that is
// live, go on as they began.
func (m *Machine) wishesCame(in *Wishes) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) {
		return
	}
	var fault *SettingError
	if errors.As(in.Validate(), &fault) {
		m.refuse("invalid_setting:"+fault.Field, in.kind(), "")
		return
	}
	w := &m.wished
	if in.Instructions.Handle != 0 {
		w.instructions = in.Instructions.Handle
	}
	if in.Voice != "" {
		w.voice = in.Voice
	}
	if in.Language != "" {
		w.language = in.Language
	}
	if in.TurnEnd != "" {
		w.clientEnds = in.TurnEnd == TurnEndClient
		m.caller.resting = m.caller.resting && w.clientEnds
	}
	if in.Answer != "" {
		w.asked = in.Answer == SwitchOff
	}
	if in.TextOnly == SwitchOn && m.settings.VoiceOnly {
		m.refuse("client_shows_no_text", in.kind(), "")
		return
	}
	if in.TextOnly != "" {
		w.textOnly = in.TextOnly == SwitchOn
	}
}

// cutShort says that words of an utterance which was cut while the client alone ends
// utterances wait for an answer, or may yet come.
func (m *Machine) cutShort() bool {
	for i := range m.utterances {
		if u := &m.utterances[i]; u.piece && !u.final {
			return true
		}
	}
	return m.wished.owed
}

// proposeOwed asks for the answer to an utterance of which all was cut off before its end.
func (m *Machine) proposeOwed(epoch eventabi.Epoch) {
	if !m.wished.asked {
		m.proposeBare(epoch, "")
	}
}

// keep leaves an utterance unanswered: its words are in the conversation as soon as they
// are final.
func (m *Machine) keep(u *utterance) {
	if u.final && u.ended {
		m.recordUser(u)
	}
}
