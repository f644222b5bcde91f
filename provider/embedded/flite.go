// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/parley-voice/parley/provider"
)

// Limits of one Synthesize.
const (
	maxCharacters = 20_000
	minRate       = 0.25
	maxRate       = 4.0
)

// maxIdleMemory is the memory that a synthesiser may keep between calls, bytes: a second
// of one sentence takes 1 MB. Another instance starts in a few milliseconds.
const maxIdleMemory = 32 << 20

// leadSamples is the silence that is left before the first word, 30 ms. The voice starts
// with about 200 ms of it, which the caller would take for slowness.
const leadSamples = 480

// FliteConfig says where the synthesiser lies and how much of the machine it may have.
type FliteConfig struct {
	Engine string // path of flite_slt.wasm
	// Compiled is a folder for compiled code, as in PocketSphinxConfig.
	Compiled string
	// Instances is how many texts can be spoken at a time; others wait. One speaks about
	// 25 times faster than real time. 0 = 1.
	Instances int
}

// Validate reports all faults of the configuration at once.
func (c FliteConfig) Validate() error {
	var faults []error
	if c.Engine == "" {
		faults = append(faults, errors.New("embedded: flite: engine: is empty; give the path of flite_slt.wasm"))
	}
	if c.Instances < 0 || c.Instances > maxInstances {
		faults = append(faults, fmt.Errorf("embedded: flite: instances: %d; use 0 to %d", c.Instances, maxInstances))
	}
	return errors.Join(faults...)
}

// Flite is the synthesiser, with the voice slt. It implements provider.TTS and is safe
// for concurrent use.
type Flite struct {
	engine  *engine
	pool    *pool[*speaker]
	closing atomic.Bool
}

var _ provider.TTS = (*Flite)(nil)

// NewFlite compiles the synthesiser. An instance is made by Warm, or else by the first
// Synthesize.
func NewFlite(ctx context.Context, c FliteConfig) (*Flite, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e, err := loadEngine(ctx, c.Engine, c.Compiled, speakerHost)
	if err != nil {
		return nil, err
	}
	f := &Flite{engine: e}
	f.pool = newPool(max(1, c.Instances), func(ctx context.Context) (*speaker, error) { return loadSpeaker(ctx, e) })
	return f, nil
}

// Warm makes one instance ahead of the first call.
func (f *Flite) Warm(ctx context.Context) error {
	s, err := f.pool.take(ctx)
	if err != nil {
		return err
	}
	f.pool.put(ctx, s, false)
	return nil
}

// Close ends what is being spoken as cancelled and frees the engine.
func (f *Flite) Close() error {
	if !f.pool.shut() {
		return nil
	}
	f.closing.Store(true)
	f.pool.drain()
	return f.engine.close(context.Background())
}

// Descriptor says what the synthesiser can do.
func (f *Flite) Descriptor() provider.Descriptor {
	return provider.Descriptor{
		ID:              "flite",
		Modality:        provider.ModalityTTS,
		Model:           "cmu_us_slt",
		ContractVersion: provider.ContractVersion,
		Capabilities: provider.Capabilities{
			Streaming:     true,
			Cancel:        true,
			CancelLatency: 10 * time.Millisecond, // one chunk of audio
			MaxInput:      maxCharacters,
			SampleRateHz:  speakerRate,
			Languages:     []string{"en-US"},
			Voices:        fliteVoices(),
			Offline:       true,
		},
		Expected: provider.Latency{First: 20 * time.Millisecond, Next: time.Millisecond},
	}
}

// Synthesize speaks sentence by sentence, in chunks of 20 ms. The timing of a sentence's
// words comes, as metadata, before its first audio.
func (f *Flite) Synthesize(ctx context.Context, call provider.Call, speech provider.Speech, sink provider.Sink) provider.Outcome {
	out := provider.NewEmitter(sink)
	if err := errors.Join(call.Validate(provider.ModalityTTS), validateSpeech(speech)); err != nil {
		return out.Fail(provider.InvalidRequest(err))
	}
	s, err := f.pool.take(ctx)
	if err != nil {
		return out.Fail(outcomeOf(err))
	}
	u := &utterance{ctx: ctx, closing: &f.closing, out: out, text: speakable(speech.Text)}
	broken := true
	defer func() { f.pool.put(ctx, s, broken || s.memory.Size() > maxIdleMemory) }()
	out.Start()
	stopped, err := s.say(context.WithoutCancel(ctx), u.text.text, stretchOf(speech.Rate), u)
	u.rethrow()
	if err == nil && stopped && u.stop == nil {
		err = errors.New("the engine stopped by itself, or handed out what is not in its memory")
	}
	if err != nil {
		return out.Fail(engineFailure(err, true).Outcome)
	}
	broken = false
	if stopped {
		return out.Fail(outcomeOf(u.stop))
	}
	return out.Final(provider.Usage{Characters: utf8.RuneCountInString(speech.Text), AudioSamples: u.samples})
}

// fliteVoices are the names of its one voice.
func fliteVoices() []string { return []string{"slt", "cmu_us_slt"} }

func validateSpeech(s provider.Speech) error {
	faults := []error{s.Validate()}
	if n := utf8.RuneCountInString(s.Text); n > maxCharacters {
		faults = append(faults, fmt.Errorf("speech.text: %d characters; this synthesiser takes %d, so cut it into segments", n, maxCharacters))
	}
	if s.Voice != "" && !slices.Contains(fliteVoices(), s.Voice) {
		faults = append(faults, fmt.Errorf("speech.voice: %q; this synthesiser has slt", s.Voice))
	}
	if !english(s.Language) {
		faults = append(faults, fmt.Errorf("speech.language: %q; this synthesiser speaks en-US", s.Language))
	}
	if s.Rate != 0 && (s.Rate < minRate || s.Rate > maxRate) {
		faults = append(faults, fmt.Errorf("speech.rate: %v; this synthesiser takes %v to %v", s.Rate, minRate, maxRate))
	}
	return errors.Join(faults...)
}

// utterance listens to the engine for one call.
type utterance struct {
	ctx     context.Context // of the call
	closing *atomic.Bool
	out     *provider.Emitter
	text    spoken
	words   []provider.Word // of the sentence, not told yet
	at      int64           // end of the last word
	cut     int64           // samples left out at the start
	made    int64           // samples that the engine has made
	samples int64           // samples delivered
	stop    error           // why audio stopped the engine
	thrown  any             // what a sink panicked with
}

// word keeps what makes sense: words in order, each a piece of the text.
func (u *utterance) word(offset, length int, from, until int64) {
	text, ok := u.text.original(offset, length)
	if u.made == 0 && len(u.words) == 0 {
		u.cut = max(0, from-leadSamples)
	}
	from, until = from-u.cut, until-u.cut
	if from = max(from, u.at); !ok || until < from {
		return
	}
	u.words = append(u.words, provider.Word{Text: text, Start: from, End: until})
	u.at = until
}

// audio passes the samples on. A panic of the sink is kept: it may not unwind through
// the engine's stack.
func (u *utterance) audio(pcm []int16) (goOn bool) {
	defer func() {
		if u.thrown = recover(); u.thrown != nil {
			goOn = false
		}
	}()
	if u.stop = u.ctx.Err(); u.stop == nil && u.closing.Load() {
		u.stop = context.Canceled
	}
	if u.stop != nil {
		return false
	}
	if len(u.words) > 0 {
		u.out.Metadata(u.words)
		u.words = nil
	}
	silent := min(max(0, u.cut-u.made), int64(len(pcm)))
	u.made += int64(len(pcm))
	pcm = pcm[silent:]
	u.samples += int64(len(pcm))
	u.out.Audio(pcm, speakerRate)
	return true
}

// rethrow goes on with a sink's panic where it would have gone without the engine.
func (u *utterance) rethrow() {
	if u.thrown != nil {
		panic(u.thrown)
	}
}
