// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"errors"
	"unicode"

	"github.com/parley-voice/parley/provider"
)

// The fake's voice. 65 ms a character is close to English read aloud, about 15
// characters a second.
const (
	FakeRate       = 16000 // Hz, unless FakeTTS.SampleRate says otherwise
	fakeCharMillis = 65    // of a character at normal speed
	fakeChunkMs    = 100   // of one chunk
	fakePitch      = 200   // Hz of the tone
	fakeAmplitude  = 8000  // of 32767
)

// FakeTTS speaks a tone for each letter and silence for each space, 65 ms a character,
// in chunks of 100 ms, with the timing of the words before them. It is safe for
// concurrent use.
type FakeTTS struct {
	Behaviour
	SampleRate int  // Hz, 0 = FakeRate
	Silent     bool // silence in place of the tone
}

var _ provider.TTS = (*FakeTTS)(nil)

// Descriptor describes the fake.
func (f *FakeTTS) Descriptor() provider.Descriptor {
	return f.descriptor("fake_tts", provider.ModalityTTS, provider.Capabilities{
		Streaming: true, Cancel: true, Offline: true, SampleRateHz: f.rate(),
	})
}

func (f *FakeTTS) rate() int {
	if f.SampleRate > 0 {
		return f.SampleRate
	}
	return FakeRate
}

// Synthesize streams the tone.
func (f *FakeTTS) Synthesize(ctx context.Context, call provider.Call, speech provider.Speech, sink provider.Sink) provider.Outcome {
	if err := errors.Join(call.Validate(provider.ModalityTTS), speech.Validate()); err != nil {
		return refuse(sink, err)
	}
	pcm, words := f.speak(speech)
	elements := []provider.Chunk{{Kind: provider.ChunkMetadata, Words: words}}
	size := max(1, f.rate()*fakeChunkMs/1000)
	for at := 0; at < len(pcm); at += size {
		end := min(at+size, len(pcm))
		elements = append(elements, provider.Chunk{Kind: provider.ChunkAudio, PCM: pcm[at:end:end], SampleRate: f.rate()})
	}
	usage := provider.Usage{Characters: len([]rune(speech.Text)), AudioSamples: int64(len(pcm))}
	return f.perform(ctx, call, append(elements, success(usage)), sink)
}

// speak gives the samples of a text and where its words lie in them.
func (f *FakeTTS) speak(speech provider.Speech) (pcm []int16, words []provider.Word) {
	speed := speech.Rate
	if speed == 0 {
		speed = 1
	}
	size := max(1, int(float64(f.rate()*fakeCharMillis/1000)/speed))
	var word provider.Word
	for _, r := range speech.Text {
		at := int64(len(pcm))
		if unicode.IsSpace(r) {
			if word.Text != "" {
				words, word = append(words, word), provider.Word{}
			}
			pcm = append(pcm, make([]int16, size)...)
			continue
		}
		if word.Text == "" {
			word.Start = at
		}
		word.Text += string(r)
		word.End = at + int64(size)
		pcm = append(pcm, f.tone(size)...)
	}
	if word.Text != "" {
		words = append(words, word)
	}
	return pcm, words
}

// tone is n samples of a triangle wave: integers alone, so the same on every machine.
func (f *FakeTTS) tone(n int) []int16 {
	pcm := make([]int16, n)
	if f.Silent {
		return pcm
	}
	period := max(4, f.rate()/fakePitch)
	for i := range pcm {
		phase := i % period
		if phase > period/2 {
			phase = period - phase
		}
		pcm[i] = int16(4*fakeAmplitude*phase/period - fakeAmplitude)
	}
	return pcm
}
