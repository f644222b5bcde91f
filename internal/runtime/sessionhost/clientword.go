// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"strings"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/transport"
)

// Muted says that the microphone was switched off or on. Control overtakes the descriptors
// of frames; what had come by then was still said.
func (i *ingress) Muted(on bool) {
	s := (*Session)(i)
	if s.taken() {
		s.post(&session.Muted{On: on, Sample: s.ring.Head()})
	}
}

// Control hands on a control of the transport's own.
func (i *ingress) Control(c transport.Control) {
	s := (*Session)(i)
	if s.taken() {
		s.post(&session.TransportControl{
			Kind: bounded(c.Kind), Digit: bounded(c.Digit), DurationMS: c.DurationMS, Key: c.Key,
		})
	}
}

// Context adds to the conversation.
func (i *ingress) Context(c transport.Context) {
	s := (*Session)(i)
	if !s.taken() {
		return
	}
	text := session.Describe(c.Text, 0, s.settings.TextKey, s.language())
	if text.Class != session.TextNone && text.Runes <= session.MaxGivenRunes { // else it is refused
		text = s.describe(c.Text)
	}
	s.post(&session.Context{Role: session.ItemRole(bounded(string(c.Role))), Text: text, Key: c.Key})
}

// Forget takes an item out of the conversation.
func (i *ingress) Forget(f transport.Forget) {
	s := (*Session)(i)
	if s.taken() {
		s.post(&session.Forget{Role: session.ItemRole(bounded(string(f.Role))), Name: bounded(f.Name), Key: f.Key})
	}
}

// Respond asks for an answer without new words. The key stands on turn_open, or on the
// reject that says why there is no answer.
func (i *ingress) Respond(key eventabi.IdempotencyKey) {
	s := (*Session)(i)
	if s.taken() {
		s.post(&session.Respond{Key: key})
	}
}

// Configure changes what a client may choose. Interrupt belongs to the session's beginning,
// and is left here.
func (i *ingress) Configure(w transport.Wishes) {
	s := (*Session)(i)
	if !s.taken() {
		return
	}
	s.offerTools(w.Tools)
	in := &session.Wishes{
		Voice: bounded(wish(w.Voice)), Language: bounded(wish(w.Language)), TurnEnd: session.TurnEnd(bounded(string(w.TurnEnd))),
		Answer: position(w.Answer), TextOnly: position(w.TextOnly),
	}
	text := strings.ToValidUTF8(wish(w.Instructions), "\uFFFD")
	if text != "" { // without a handle until it is known that it will be used
		in.Instructions = session.Describe(text, 0, s.settings.TextKey, s.language())
	}
	if *in == (session.Wishes{}) {
		return
	}
	if in.Instructions.Runes > 0 && in.Validate() == nil {
		in.Instructions = s.refer(text, s.content.keepText(text))
	}
	s.post(in)
}

// maxName bounds what names something, so that a recording stays small whatever a client
// sends: longer is refused by the kernel anyway.
const maxName = 2 * eventabi.MaxIDLength

// bounded cuts a name, and makes sure that it can be recorded as text.
func bounded(name string) string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	if !utf8.ValidString(name) {
		name = strings.ToValidUTF8(name, "\uFFFD")
	}
	return name
}

func wish(v *string) string {
	if v == nil {
		return ""
	}
	return *v
}

func position(v *bool) session.Switch {
	switch {
	case v == nil:
		return ""
	case *v:
		return session.SwitchOn
	}
	return session.SwitchOff
}

// Wish has a session begin as a client wishes it. Whoever calls it has decided what the
// client may choose.
func (s *Settings) Wish(w transport.Wishes) {
	set := func(v *string, to *string) {
		if text := wish(to); text != "" {
			*v = text
		}
	}
	set(&s.SystemPrompt, w.Instructions)
	set(&s.Voice, w.Voice)
	set(&s.Language, w.Language)
	b := &s.Bootstrap.Settings
	if w.TurnEnd != "" {
		b.TurnEnd = session.TurnEnd(w.TurnEnd)
	}
	if w.Answer != nil {
		b.AnswerAsked = !*w.Answer
	}
	if w.TextOnly != nil {
		b.TextOnly = *w.TextOnly
	}
	if w.Interrupt != nil && !*w.Interrupt {
		b.Policy.Interruption = turn.Off
	}
	s.wishTools(w.Tools)
}

// instructions are the texts that clients have put in place of the system prompt: the one
// that came last, and the one that the model was asked with. Others are needed by nobody.
type instructions struct{ latest, used int64 }

// wished takes what a client chose: its instructions are kept until others have come and no
// turn works with them, and texts are described in its language from here on.
func (s *Session) wished(in *session.Wishes) {
	if in.Language != "" {
		s.spoken.Store(&in.Language)
	}
	h := in.Instructions.Handle
	if h == 0 {
		return
	}
	old := s.told.latest
	s.told.latest = h
	if old != s.told.used {
		s.content.unkeepText(old)
	}
	s.notice.Text = s.content.text(h)
}

// instruct has the model told what the turn's instructions say.
func (s *Session) instruct(handle int64) {
	if handle == 0 || handle == s.told.used {
		return
	}
	old := s.told.used
	s.told.used = handle
	if old != s.told.latest {
		s.content.unkeepText(old)
	}
	s.talk.instruct(s.content.text(handle))
}

// language is what the caller is said to speak.
func (s *Session) language() string {
	if l := s.spoken.Load(); l != nil {
		return *l
	}
	return s.settings.Language
}

// showSpeech tells the client of a boundary of the caller's speech.
func (s *Session) showSpeech(began bool, at timebase.Samples) {
	if sink, ok := s.link.(transport.SpeechSink); ok {
		sink.WriteSpeech(transport.Speech{Began: began, Sample: int64(at)})
	}
}

// called meets the end of a provider's call, nil when nothing is known of it: what it took is
// measured, and what a language model has used is told to clients that ask for that.
func (s *Session) called(end *invocation.End) {
	s.meter.called(end)
	if end == nil || end.Provider.Modality != provider.ModalityLLM || end.Turn == "" || end.Usage.InputTokens+end.Usage.OutputTokens <= 0 {
		return
	}
	if sink, ok := s.link.(transport.UsageSink); ok {
		u := &end.Usage
		sink.WriteUsage(transport.Usage{Turn: end.Turn, InputTokens: u.InputTokens, CachedTokens: u.CachedTokens, OutputTokens: u.OutputTokens})
	}
}

// spokenIn is the language that an utterance is recognised in: what the client chose, or the
// session's own.
func (s *Session) spokenIn(chosen string) string {
	if chosen != "" {
		return chosen
	}
	return s.settings.Language
}
