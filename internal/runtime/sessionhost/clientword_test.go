// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/transport"
)

func ms(n int64) timebase.Instant { return timebase.Instant(timebase.MS(n)) }

func ptr[T any](v T) *T { return &v }

// The microphone is off from 2 s on, the packets stop at 6 s and come again at 12 s: each is
// told once, by its own name, and the session goes on.
func TestMuteStallAndSilenceAreToldApart(t *testing.T) {
	r := newRig("s1")
	c := speaking()
	v := NewVirtual(1_790_000_000_000)
	s, err := v.Open(t.Context(), r.settings)
	if err != nil {
		t.Fatal(err)
	}
	v.Every(20*timebase.Millisecond, func() bool {
		now := v.Now()
		if frame := c.next(); now < ms(2000) || now >= ms(5000) && now < ms(6000) || now >= ms(12000) {
			s.Ingress().Audio(-1, frame)
		}
		return now < ms(30000)
	})
	v.At(ms(2000), func() { s.Ingress().Muted(true) })
	v.At(ms(3000), func() { s.Ingress().Muted(true) })
	v.At(ms(5000), func() { s.Ingress().Muted(false) })
	v.At(ms(30000), func() { s.Close("test_over") })
	if err := v.Run(t.Context(), ms(60000)); err != nil {
		t.Fatal(err)
	}
	for line, n := range map[string]int{
		"  2000 emit silence turn= reason=user_muted": 1,
		"  7980 emit stall":                           1, // 2 s after the last frame
		" 22000 emit silence turn= reason=no_input":   1, // 10 s after the first of those that came again
		"emit silence":                                2,
		"emit stall":                                  1,
	} {
		if got := r.log.count(line); got != n {
			t.Errorf("%q: %d times, want %d\n%s", line, got, n, r.log)
		}
	}
	k := s.Stats().Kernel
	if k.Mutes != 1 || k.Stalls != 1 || k.Silences != 1 || s.Stats().Reason != "test_over" {
		t.Errorf("counters %+v, ended with %q", k, s.Stats().Reason)
	}
}

// shown is a link that keeps what its client is shown beside sound, text and signals.
type shown struct {
	line
	speech    []transport.Speech
	metrics   []string
	envelopes []eventabi.Envelope
}

func (l *shown) WriteSpeech(s transport.Speech) { l.speech = append(l.speech, s) }

func (l *shown) WriteMetric(e *eventabi.Envelope) { l.metrics = append(l.metrics, string(e.Payload)) }

func (l *shown) WriteSignal(e *eventabi.Envelope) { l.envelopes = append(l.envelopes, *e) }

func (r *rig) shown() *shown {
	l := &shown{}
	r.line = &l.line
	r.settings.Connect = func(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
		l.in = in
		return l, nil
	}
	return l
}

// overheard keeps what the engines of a rig are asked for.
type overheard struct {
	LLM     provider.LLM
	TTS     provider.TTS
	STT     provider.STT
	prompts []provider.Prompt
	speech  []provider.Speech
	listens []provider.STTConfig
}

type (
	askedLLM struct{ *overheard }
	askedTTS struct{ *overheard }
	askedSTT struct{ *overheard }
)

func (a askedLLM) Descriptor() provider.Descriptor { return a.LLM.Descriptor() }
func (a askedTTS) Descriptor() provider.Descriptor { return a.TTS.Descriptor() }
func (a askedSTT) Descriptor() provider.Descriptor { return a.STT.Descriptor() }

func (a askedLLM) Generate(ctx context.Context, call provider.Call, p provider.Prompt, sink provider.Sink) provider.Outcome {
	a.prompts = append(a.prompts, p)
	return a.LLM.Generate(ctx, call, p, sink)
}

func (a askedTTS) Synthesize(ctx context.Context, call provider.Call, s provider.Speech, sink provider.Sink) provider.Outcome {
	a.speech = append(a.speech, s)
	return a.TTS.Synthesize(ctx, call, s, sink)
}

func (a askedSTT) Open(ctx context.Context, call provider.Call, c provider.STTConfig, sink provider.Sink) (provider.STTStream, error) {
	a.listens = append(a.listens, c)
	return a.STT.Open(ctx, call, c, sink)
}

func (r *rig) overhear() *overheard {
	a := &overheard{LLM: r.llm, TTS: r.tts, STT: r.stt}
	r.settings.Providers = invocation.Providers{STT: askedSTT{a}, LLM: askedLLM{a}, TTS: askedTTS{a}}
	return a
}

// A link is told when its caller is heard to speak, and what was measured.
func TestClientIsShownSpeechAndMetrics(t *testing.T) {
	r := newRig("s1")
	l := r.shown()
	virtually(t, r, speaking([2]int64{1000, 2000}), 6000, nil)
	if len(l.speech) != 2 || !l.speech[0].Began || l.speech[1].Began || l.speech[0].Sample > 16000 || l.speech[1].Sample < 31000 {
		t.Errorf("the client was shown %+v", l.speech)
	}
	if !slices.ContainsFunc(l.metrics, func(m string) bool { return strings.Contains(m, `"name":"kernel_overhead_ms"`) }) {
		t.Errorf("the client was shown %d metrics, none of them the kernel's overhead", len(l.metrics))
	}
}

// F-089: a digit becomes a signal in the namespace of the session's transport; a flood of
// what is none is refused and harms nobody.
func TestControlsAreSignals(t *testing.T) {
	r := newRig("s1")
	r.settings.Kind = "telephony"
	l := r.shown()
	s := virtually(t, r, speaking(), 3000, func(v *Virtual, s *Session) {
		v.At(ms(1000), func() {
			s.Ingress().Control(transport.Control{Kind: "dtmf", Digit: "5", DurationMS: 120, Key: "d1"})
			s.Ingress().Control(transport.Control{Kind: "dtmf", Digit: "5", DurationMS: 120, Key: "d1"})
		})
		v.At(ms(2000), func() {
			for range 5000 {
				s.Ingress().Control(transport.Control{Kind: strings.Repeat("x\xff", 5000), Digit: "?"})
			}
		})
	})
	var found []eventabi.Envelope
	for _, e := range l.envelopes {
		if e.Signal == eventabi.SignalTransportControl {
			found = append(found, e)
		}
	}
	if len(found) != 1 || string(found[0].Extensions["transport.telephony"]) != `{"kind":"dtmf","digit":"5","duration_ms":120}` {
		t.Errorf("the controls are %+v", found)
	}
	if st := s.Stats(); st.Reason != "test_over" || st.Kernel.Refused < 5000 {
		t.Errorf("ended with %q, %d were refused", st.Reason, st.Kernel.Refused)
	}
}

// What a client brings along is in the prompt, at its place, and counts as heard.
func TestContextIsInThePrompt(t *testing.T) {
	r := newRig("s1")
	a := r.overhear()
	s := virtually(t, r, speaking(), 9000, func(v *Virtual, s *Session) {
		v.At(ms(100), func() {
			in := s.Ingress()
			in.Context(transport.Context{Role: transport.ContextUser, Text: "My name is Ada.", Key: "1"})
			in.Context(transport.Context{Role: transport.ContextAssistant, Text: "Hello Ada.", Key: "2"})
			in.Context(transport.Context{Role: transport.ContextAssistant, Text: "Hello Ada.", Key: "2"})
			in.Context(transport.Context{Role: transport.ContextSystem, Text: "The user is in a hurry."})
			in.Context(transport.Context{Role: transport.ContextUser, Text: strings.Repeat("too long ", 1<<14)})
			in.Context(transport.Context{Role: "tool", Text: "42"})
		})
		v.At(ms(1000), func() { s.Ingress().Text("Who am I?", "") })
	})
	want := []provider.Message{
		{Role: "system", Text: "You are a storyteller."},
		{Role: "user", Text: "My name is Ada."},
		{Role: "assistant", Text: "Hello Ada."},
		{Role: "system", Text: "The user is in a hurry."},
		{Role: "user", Text: "Who am I?"},
	}
	if prompts := a.prompts; len(prompts) != 1 || !slices.Equal(prompts[0].Messages, want) {
		t.Errorf("the model was shown %+v", prompts)
	}
	talk := s.Conversation().Utterances()
	if len(talk) != 5 || talk[1].Text != "Hello Ada." || talk[1].Generated != "Hello Ada." || talk[4].Text != story {
		t.Errorf("the conversation is %+v", talk)
	}
}

// A greeting: an answer without words of the caller, once for each key; while it is given
// there is no second one, and the client is told why.
func TestRespondWithoutWords(t *testing.T) {
	r := newRig("s1")
	l := r.shown()
	s := virtually(t, r, speaking(), 12000, func(v *Virtual, s *Session) {
		v.At(ms(100), func() { s.Ingress().Respond("r1") })
		v.At(ms(110), func() { s.Ingress().Respond("r1") })
		v.At(ms(120), func() { s.Ingress().Respond("r2") })
	})
	want := []Utterance{{Role: session.ItemAssistant, Turn: "t1", Text: story, Generated: story}}
	if got := s.Conversation().Utterances(); !slices.Equal(got, want) {
		t.Errorf("conversation %+v", got)
	}
	var told []string
	for _, e := range l.envelopes {
		if e.IdempotencyKey != "" {
			told = append(told, string(e.Signal)+" "+e.Reason+" "+string(e.IdempotencyKey))
		}
	}
	if !slices.Equal(told, []string{"turn_open  r1", "reject turn_in_progress r2"}) {
		t.Errorf("the client was told %q", told)
	}
}

// Nothing was said and the model was told nothing: it still has something to answer.
func TestRespondInAnEmptyConversation(t *testing.T) {
	r := newRig("s1")
	r.settings.SystemPrompt = ""
	a := r.overhear()
	s := virtually(t, r, speaking(), 9000, func(v *Virtual, s *Session) {
		v.At(ms(100), func() { s.Ingress().Respond("") })
	})
	if p := a.prompts; len(p) != 1 || len(p[0].Messages) != 1 || s.Stats().Kernel.Commits != 1 {
		t.Errorf("the model was shown %+v, %+v", p, s.Stats().Kernel)
	}
}

// Instructions, voice and language are the next turn's; the turn under way goes on as it began.
func TestWishesCountFromTheNextTurn(t *testing.T) {
	r := newRig("s1")
	a := r.overhear()
	s := virtually(t, r, speaking([2]int64{12000, 13000}), 30000, func(v *Virtual, s *Session) {
		v.At(ms(100), func() { s.Ingress().Text("hello", "") })
		v.At(ms(120), func() {
			for range 20 { // the last one counts, and the others are let go
				s.Ingress().Configure(transport.Wishes{Instructions: ptr("Rhyme."), Voice: ptr("alto"), Language: ptr("de-DE")})
			}
			s.Ingress().Configure(transport.Wishes{Voice: ptr("a\x00")})
			s.Ingress().Configure(transport.Wishes{Instructions: ptr(strings.Repeat("too long ", 1<<14))})
			s.Ingress().Configure(transport.Wishes{})
		})
	})
	prompts, spoken, heard := a.prompts, a.speech, a.listens
	if len(prompts) != 2 || prompts[0].Messages[0].Text != "You are a storyteller." || prompts[1].Messages[0].Text != "Rhyme." {
		t.Errorf("the model was shown %+v", prompts)
	}
	if len(spoken) != 4 || spoken[1].Voice != "" || spoken[1].Language != "en" || spoken[2].Voice != "alto" || spoken[3].Language != "de-DE" {
		t.Errorf("the synthesiser was asked for %+v", spoken)
	}
	if len(heard) != 1 || heard[0].Language != "de-DE" {
		t.Errorf("the recogniser was asked for %+v", heard)
	}
	if n := len(s.content.kept); n != 1 {
		t.Errorf("%d instructions are kept, want the last", n)
	}
	if n := r.log.count("refused code=invalid_setting:wishes"); n != 2 {
		t.Errorf("%d wishes were refused, want 2\n%s", n, r.log)
	}
}

// Push to talk: a pause of a second ends nothing, the client does. The client asks for the
// answer itself, and is given it in writing.
func TestClientEndsItsTurnsAndAsksForAnswers(t *testing.T) {
	r := newRig("s1")
	r.settings.Wish(transport.Wishes{TurnEnd: transport.TurnEndClient, Answer: ptr(false), TextOnly: ptr(true), Interrupt: ptr(false)})
	s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{3500, 4000}), 12000, func(v *Virtual, s *Session) {
		v.At(ms(5000), func() { s.Ingress().EndOfUtterance("commit") })
		v.At(ms(7000), func() { s.Ingress().Respond("ask") })
	})
	if n := r.log.count("  5000 emit end_of_utterance", "reason=client"); n != 1 || r.log.count("emit end_of_utterance") != 1 {
		t.Errorf("the utterance was ended otherwise than by its client\n%s", r.log)
	}
	if r.log.count("  7000 emit turn_open") != 1 || r.log.count("emit turn_open") != 1 || r.log.count("say ") != 0 || r.line.count() != 0 {
		t.Errorf("the answer was given too early, twice, or in sound\n%s", r.log)
	}
	var read string
	for _, x := range r.line.texts {
		if x.From == transport.TextAgent {
			read += x.Text
		}
	}
	talk := s.Conversation().Utterances()
	if read != story || len(talk) != 2 || talk[0].Text != "tell me a story" || talk[1].Shown != story {
		t.Errorf("the client reads %q, the conversation is %+v", read, talk)
	}
}

// More segments than a segmenter may have out are no reason to wait for the end of the reply
// where nobody takes them one by one.
func TestWrittenAnswerFlows(t *testing.T) {
	r := newRig("s1")
	r.llm.Replies = []string{strings.Repeat("This goes on and on without coming to an end. ", 30)}
	r.llm.Latency.Next = 10 * time.Millisecond
	r.settings.Wish(transport.Wishes{TextOnly: ptr(true)})
	virtually(t, r, speaking(), 9000, func(v *Virtual, s *Session) {
		v.At(ms(100), func() { s.Ingress().Text("go on", "") })
	})
	pieces := 0
	for _, x := range r.line.texts {
		if x.From == transport.TextAgent {
			pieces++
		}
	}
	if pieces < 25 {
		t.Errorf("the answer came in %d pieces\n%s", pieces, r.log)
	}
}

// What clients say is recorded as inputs: a fresh machine decides the same of it.
func TestClientWordsReplay(t *testing.T) {
	r := newRig("s1")
	p := &parrot{machine: session.New(), t: t}
	r.settings.Recorder = p
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 20000, func(v *Virtual, s *Session) {
		in := s.Ingress()
		v.At(ms(100), func() {
			in.Configure(transport.Wishes{Instructions: ptr("Rhyme."), Answer: ptr(false), TextOnly: ptr(true)})
		})
		v.At(ms(4000), func() {
			in.Context(transport.Context{Role: transport.ContextUser, Text: "please", Key: "c"})
			in.Respond("r")
		})
		v.At(ms(8000), func() { in.Muted(true); in.Control(transport.Control{Kind: "dtmf", Digit: "#"}) })
		v.At(ms(9000), func() { in.Muted(false) })
	})
	if p.digest.Sum() != s.Stats().Digest || s.Stats().Kernel.Turns != 1 || r.log.count("emit transport_control") != 1 {
		t.Errorf("the replay of %d decisions has another digest, or nothing happened: %+v", p.decisions, s.Stats().Kernel)
	}
}

// A client that switches its microphone without end, or says other things, faster than
// anybody looks, ends nothing; what has no room is counted.
func TestFloodOfClientWordsIsHarmless(t *testing.T) {
	s := newStill()
	x := s.open(t, newRig("s1"))
	for i := range 10 * kindControl.bound() {
		x.Ingress().Muted(i%2 == 0)
		x.Ingress().Context(transport.Context{Role: transport.ContextUser, Text: "again"})
		x.Ingress().Configure(transport.Wishes{Instructions: ptr("again")})
	}
	s.round()
	if st := x.stats(); st.ControlLost != 0 || st.DataLost == 0 || st.Reason != "" || st.Coalesced == 0 {
		t.Errorf("%d of control lost, %d of data, ended with %q, %d coalesced", st.ControlLost, st.DataLost, st.Reason, st.Coalesced)
	}
	if kept, texts := len(x.content.kept), len(x.content.texts); kept > 1 || texts > kindClient.bound() {
		t.Errorf("%d instructions and %d texts are kept", kept, texts)
	}
	s.close(t, x)
}
