// SPDX-License-Identifier: Apache-2.0

package libopus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

const (
	// abiVersion is what the engine's parley_abi must answer (scripts/engines/wasm).
	abiVersion = 1
	remedy     = "run make engines"
)

// The parameters where a Config names none.
const (
	DefaultBitrate  = 24000 // wide band speech, without audible loss
	DefaultEffort   = 5     // 10 takes twice as long, and is hardly heard
	DefaultEncoders = 1024
)

// Config says where the engine lies and how it encodes.
type Config struct {
	Engine string // path of opus.wasm
	// Compiled is a folder for compiled code, which only this user may write to; empty =
	// none is kept, and New takes 0.2 s longer.
	Compiled string
	// Bitrate is in bits a second; 0 = DefaultBitrate.
	Bitrate int
	// Effort is from 1 to 10, as libopus's complexity; 0 = DefaultEffort.
	Effort int
	// Loss is how many packets in a hundred the network is expected to lose. With any, each
	// packet holds the one before once more, in fewer bits.
	Loss int
	// Encoders is how many there may be at a time; 0 = DefaultEncoders.
	Encoders int
}

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	if c.Bitrate == 0 {
		c.Bitrate = DefaultBitrate
	}
	if c.Effort == 0 {
		c.Effort = DefaultEffort
	}
	if c.Encoders == 0 {
		c.Encoders = DefaultEncoders
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("libopus: %s: %v: %s", field, value, remedy))
	}
	if c.Engine == "" {
		fault("engine", "empty", "give the path of opus.wasm; where there is none, "+remedy)
	}
	if c.Bitrate < 6000 || c.Bitrate > 128000 {
		fault("bitrate", c.Bitrate, "use 0 for the default, or 6000 to 128000 bits a second")
	}
	if c.Effort < 1 || c.Effort > 10 {
		fault("effort", c.Effort, "use 0 for the default, or 1 to 10")
	}
	if c.Loss < 0 || c.Loss > 100 {
		fault("loss", c.Loss, "use 0 to 100 percent")
	}
	if c.Encoders < 1 || c.Encoders > 1<<16 {
		fault("encoders", c.Encoders, fmt.Sprintf("use 0 for the default, or 1 to %d", 1<<16))
	}
	return errors.Join(faults...)
}

// Library is the engine, compiled. It implements codec.OpusFactory and may be used from
// any goroutine.
type Library struct {
	config  Config
	runtime wazero.Runtime
	cache   wazero.CompilationCache
	module  wazero.CompiledModule
	open    atomic.Int64
	closed  atomic.Bool
}

var _ codec.OpusFactory = (*Library)(nil)

// New compiles the engine.
func New(ctx context.Context, c Config) (*Library, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	code, err := os.ReadFile(c.Engine)
	if err != nil {
		return nil, fmt.Errorf("libopus: reading the engine: %w: %s", err, remedy)
	}
	l, err := compile(ctx, c, code)
	if err != nil && c.Compiled != "" {
		// What is in the folder may be another program's, or cut off.
		c.Compiled = ""
		l, err = compile(ctx, c, code)
	}
	if err != nil {
		return nil, err
	}
	first, err := l.NewEncoder() // says now what is wrong with the engine, not at the first call
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	first.Close()
	return l, nil
}

func compile(ctx context.Context, c Config, code []byte) (*Library, error) {
	l := &Library{config: c}
	config := wazero.NewRuntimeConfig()
	if c.Compiled != "" {
		cache, err := wazero.NewCompilationCacheWithDir(c.Compiled)
		if err != nil {
			return nil, fmt.Errorf("libopus: using the folder %s for compiled engines: %w", c.Compiled, err)
		}
		l.cache = cache
		config = config.WithCompilationCache(cache)
	}
	l.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	_, err := wasi_snapshot_preview1.Instantiate(ctx, l.runtime)
	if err == nil {
		l.module, err = l.runtime.CompileModule(ctx, code)
	}
	if err != nil {
		err = fmt.Errorf("libopus: %s is no engine of this version of Parley: %w: %s", c.Engine, err, remedy)
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// NewEncoder makes an encoder. The error is a *transport.RefusedError when there are too
// many.
func (l *Library) NewEncoder() (codec.Encoder, error) {
	if l.open.Add(1) > int64(l.config.Encoders) {
		l.open.Add(-1)
		return nil, &transport.RefusedError{Code: transport.RefusedCapacity, Reason: fmt.Sprintf("%d encoders of Opus are in use", l.config.Encoders)}
	}
	e := &encoder{library: l}
	if err := e.start(); err != nil {
		l.open.Add(-1)
		return nil, err
	}
	return e, nil
}

// Close frees the engine and all its instances. Encoders fail from then on; none may be
// encoding.
func (l *Library) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	err := l.runtime.Close(context.Background())
	if l.cache != nil {
		err = errors.Join(err, l.cache.Close(context.Background()))
	}
	return err
}
