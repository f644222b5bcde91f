// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

func TestFliteKeepsTheContract(t *testing.T) {
	shared := once(func() provider.TTS { return keptTTS{newFlite(t, 2)} })
	providertest.TestTTS(t, shared, providertest.Failure[provider.TTS]{
		Name: "closed", Class: provider.OutcomeInfrastructureFailure, Reason: "engine_closed",
		New: func(t *testing.T) provider.TTS {
			f := newFlite(t, 1)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			return f
		},
	})
}

func TestSpeechThatFliteCannotSpeakIsRefused(t *testing.T) {
	f := newFlite(t, 1)
	for field, speech := range map[string]provider.Speech{
		"speech.voice":    {Text: "hello", Voice: "narrator"},
		"speech.language": {Text: "hallo", Language: "de-DE"},
		"speech.rate":     {Text: "hello", Rate: 9},
		"speech.text":     {Text: strings.Repeat("a ", maxCharacters)},
	} {
		o := say(t, f, speech).outcome
		if o.Reason != provider.ReasonInvalidRequest || !strings.HasPrefix(o.Detail, field) {
			t.Errorf("%s: outcome %+v", field, o)
		}
	}
}

func TestEqualTextGivesEqualAudio(t *testing.T) {
	f := newFlite(t, 2)
	speech := provider.Speech{Text: "Your table is booked. Would you like a confirmation?", Voice: "slt", Language: "en"}
	want := say(t, f, speech)
	say(t, f, provider.Speech{Text: "Something else, in between.", Rate: 2})
	other, err := f.pool.take(t.Context()) // so that the next call needs the other instance
	if err != nil {
		t.Fatal(err)
	}
	defer f.pool.put(t.Context(), other, false)
	got := say(t, f, speech)
	if !slices.Equal(got.pcm, want.pcm) || !slices.Equal(got.words, want.words) {
		t.Errorf("%d samples, then %d that differ", len(want.pcm), len(got.pcm))
	}
	if want.chunks < len(want.pcm)/speakerChunk || want.chunks > 2+len(want.pcm)/speakerChunk+2 {
		t.Errorf("%d chunks for %d samples, want about one for each %d", want.chunks, len(want.pcm), speakerChunk)
	}
}

func TestRateStretchesTheSpeech(t *testing.T) {
	f := newFlite(t, 1)
	length := func(rate float64) int {
		return len(say(t, f, provider.Speech{Text: "one two three four five", Rate: rate}).pcm)
	}
	slow, normal, fast := length(0.5), length(0), length(2)
	if slow < normal*3/2 || fast > normal*3/4 {
		t.Errorf("%d samples slow, %d normal, %d fast", slow, normal, fast)
	}
}

// Words are told as they stand in the text, each where it is heard.
func TestWordsAreTimed(t *testing.T) {
	s := say(t, newFlite(t, 1), provider.Speech{Text: "Hello there, “my friend” — it’s 5:30 pm. Naïve café?  Yes; no (maybe)..."})
	var got []string
	for i, w := range s.words {
		got = append(got, w.Text)
		if w.End <= w.Start || (i > 0 && w.Start < s.words[i-1].End) || w.End > int64(len(s.pcm)) {
			t.Errorf("word %d is %+v, in %d samples", i, w, len(s.pcm))
		}
		if power(s.pcm[w.Start:w.End]) < 100*100 {
			t.Errorf("at word %+v nothing is heard", w)
		}
	}
	want := []string{"Hello", "there,", "“my", "friend”", "it’s", "5:30", "pm.", "Naïve", "café?", "Yes;", "no", "(maybe)..."}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if s.words[0].Start > leadSamples {
		t.Errorf("the first word starts at sample %d, want at most %d", s.words[0].Start, leadSamples)
	}
}

// power is the mean square of the samples.
func power(pcm []int16) int64 {
	var sum int64
	for _, s := range pcm {
		sum += int64(s) * int64(s)
	}
	return sum / int64(max(1, len(pcm)))
}

func TestOddTextsAreSpokenOrLeftOut(t *testing.T) {
	f := newFlite(t, 1)
	for _, text := range []string{
		"🙂", "日本語", "...", "\x01\x02", "a", "?!", "-", "$", "$$$", "1/2/3", "3.14159", "http://a.b/c?d=e&f=%20",
		strings.Repeat("9", 130), strings.Repeat("x", 130), strings.Repeat("a!", 50), "b" + strings.Repeat("!", 2000),
		strings.Repeat("(", 800) + "word" + strings.Repeat(")", 800), strings.Repeat("word ", 70), "A. B. C. D. E.", "<b>bold</b> & `code`",
		"line one\n\n\nline two", `"quoted" 'single'`, "ÀÉÎÕÜ àéîõü ß æ", "50% off #1 @home ~ ^ | \\ { } [ ]",
	} {
		s := say(t, f, provider.Speech{Text: text})
		if s.outcome.Class != provider.OutcomeSuccess {
			t.Errorf("%.40q: outcome %+v", text, s.outcome)
		}
	}
	if got := say(t, f, provider.Speech{Text: "Still here."}); len(got.pcm) == 0 {
		t.Error("no audio after the odd texts")
	}
}

// A sink's panic reaches the caller, and the synthesiser can be used again.
func TestPanicOfASinkPassesThrough(t *testing.T) {
	f := newFlite(t, 1)
	func() {
		defer func() {
			if got := recover(); got != "sink" {
				t.Errorf("recovered %v, want the sink's panic", got)
			}
		}()
		f.Synthesize(t.Context(), providertest.NewCall(provider.ModalityTTS), provider.Speech{Text: "hello there"}, func(c provider.Chunk) {
			if c.Kind == provider.ChunkAudio {
				panic("sink")
			}
		})
	}()
	if got := say(t, f, provider.Speech{Text: "hello"}); got.outcome.Class != provider.OutcomeSuccess {
		t.Errorf("outcome %+v", got.outcome)
	}
}

func TestCallersWaitForAnInstance(t *testing.T) {
	f := newFlite(t, 1)
	s, err := f.pool.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan provider.Outcome)
	go func() {
		done <- f.Synthesize(ctx, providertest.NewCall(provider.ModalityTTS), provider.Speech{Text: "hello"}, func(provider.Chunk) {})
	}()
	cancel() // it waits, and stops waiting
	if o := <-done; o.Class != provider.OutcomeCancelled {
		t.Errorf("outcome %+v, want cancelled", o)
	}
	go func() {
		done <- f.Synthesize(t.Context(), providertest.NewCall(provider.ModalityTTS), provider.Speech{Text: "hello"}, func(provider.Chunk) {})
	}()
	f.pool.put(t.Context(), s, false)
	if o := <-done; o.Class != provider.OutcomeSuccess {
		t.Errorf("outcome %+v, want success", o)
	}
}
