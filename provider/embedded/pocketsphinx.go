// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/parley/provider"
)

// PocketSphinxConfig says where the recogniser lies and how much of the machine it may
// have.
type PocketSphinxConfig struct {
	Engine string // path of pocketsphinx.wasm
	Model  string // folder with en-us/, en-us.lm.bin and cmudict-en-us.dict
	// Compiled is a folder for compiled code, written to by this user alone; empty keeps
	// none, and each start takes 0.1 s longer.
	Compiled string
	// Instances is how many utterances can be recognised at a time, each with 90 MB of
	// memory while there are so many. 0 = 1.
	Instances int
}

// maxInstances bounds both engines' instances: more is a mistake of the configuration.
const maxInstances = 256

// Validate reports all faults of the configuration at once.
func (c PocketSphinxConfig) Validate() error {
	var faults []error
	if c.Engine == "" {
		faults = append(faults, errors.New("embedded: pocketsphinx: engine: is empty; give the path of pocketsphinx.wasm"))
	}
	if c.Model == "" {
		faults = append(faults, errors.New("embedded: pocketsphinx: model: is empty; give the folder with en-us.lm.bin"))
	}
	if c.Instances < 0 || c.Instances > maxInstances {
		faults = append(faults, fmt.Errorf("embedded: pocketsphinx: instances: %d; use 0 to %d", c.Instances, maxInstances))
	}
	return errors.Join(faults...)
}

// PocketSphinx is the recogniser. It implements provider.STT and is safe for concurrent
// use.
type PocketSphinx struct {
	engine *engine
	pool   *pool[*recogniser]
	voices voiceMemory

	mu      sync.Mutex
	streams map[*stream]struct{} // that hold an instance
}

var _ provider.STT = (*PocketSphinx)(nil)

// NewPocketSphinx compiles the recogniser. The model is loaded by Warm, or else by the
// first Open, which then takes half a second.
func NewPocketSphinx(ctx context.Context, c PocketSphinxConfig) (*PocketSphinx, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e, err := loadEngine(ctx, c.Engine, c.Compiled, noHost)
	if err != nil {
		return nil, err
	}
	p := &PocketSphinx{engine: e, streams: make(map[*stream]struct{})}
	p.pool = newPool(max(1, c.Instances), func(ctx context.Context) (*recogniser, error) {
		return loadRecogniser(ctx, e, c.Model)
	})
	return p, nil
}

// Warm loads one instance ahead of the first call, and so finds a damaged model.
func (p *PocketSphinx) Warm(ctx context.Context) error {
	r, err := p.pool.take(ctx)
	if err != nil {
		return err
	}
	p.pool.put(ctx, r, false)
	return nil
}

// Close ends the utterances that are open as cancelled and frees the engine.
func (p *PocketSphinx) Close() error {
	if !p.pool.shut() {
		return nil
	}
	p.mu.Lock()
	open := make([]*stream, 0, len(p.streams))
	for s := range p.streams {
		open = append(open, s)
	}
	p.mu.Unlock()
	for _, s := range open {
		s.abandon(context.Canceled)
	}
	p.pool.drain()
	return p.engine.close(context.Background())
}

// Descriptor says what the recogniser can do.
func (p *PocketSphinx) Descriptor() provider.Descriptor {
	return provider.Descriptor{
		ID:              "pocketsphinx",
		Modality:        provider.ModalitySTT,
		Model:           "en-us-ptm-5prealpha, offline demonstration",
		ContractVersion: provider.ContractVersion,
		Capabilities: provider.Capabilities{
			Streaming:     true,
			Partials:      true,
			Cancel:        true,
			CancelLatency: 10 * time.Millisecond, // one block of audio
			MaxConcurrent: cap(p.pool.slots),
			SampleRateHz:  recogniserRate,
			Languages:     []string{"en-US"},
			Offline:       true,
		},
		Expected: provider.Latency{First: 25 * time.Millisecond},
	}
}

// Open starts an utterance. When as many as Config.Instances are open it fails with
// overload, reason engine_busy: a recogniser that comes too late is of no use.
func (p *PocketSphinx) Open(ctx context.Context, call provider.Call, config provider.STTConfig, sink provider.Sink) (provider.STTStream, error) {
	if err := errors.Join(call.Validate(provider.ModalitySTT), validate(config)); err != nil {
		return nil, &provider.Failure{Outcome: provider.InvalidRequest(err)}
	}
	if err := ctx.Err(); err != nil {
		return nil, &provider.Failure{Outcome: outcomeOf(err), Cause: err}
	}
	r, err := p.pool.tryTake(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.begin(ctx, p.voices.of(call.SessionID)); err != nil {
		p.pool.put(ctx, r, true)
		return nil, engineFailure(err, true)
	}
	s := &stream{owner: p, ctx: context.WithoutCancel(ctx), session: call.SessionID, recogniser: r, out: provider.NewEmitter(sink)}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.mu.Lock()
	p.streams[s] = struct{}{}
	p.mu.Unlock()
	s.out.Start()
	s.unwatch = context.AfterFunc(ctx, func() { s.abandon(ctx.Err()) })
	return s, nil
}

func validate(c provider.STTConfig) error {
	if err := c.Validate(); err != nil {
		return err
	}
	var faults []error
	if c.SampleRate != recogniserRate {
		faults = append(faults, fmt.Errorf("stt_config.sample_rate: %d Hz; this recogniser takes %d", c.SampleRate, recogniserRate))
	}
	if !english(c.Language) {
		faults = append(faults, fmt.Errorf("stt_config.language: %q; this recogniser knows en-US", c.Language))
	}
	return errors.Join(faults...)
}

// english says whether a BCP 47 tag names English; empty leaves it to the engine.
func english(tag string) bool {
	language, _, _ := strings.Cut(strings.ToLower(tag), "-")
	return language == "" || language == "en"
}
