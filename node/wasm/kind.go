// SPDX-License-Identifier: Apache-2.0

package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/parley-voice/parley/node"
)

// MaxPrograms bounds the configs that a Kind holds at a time. The one that was not used for
// longest makes room, if no instance of it is serving.
const MaxPrograms = 64

// Options says how a Kind works. The zero value does.
type Options struct {
	// Compiled is a folder for compiled code, which only this user may write to; empty = none
	// is kept, and a module written in Go takes a second to compile each time.
	Compiled string
	// NoSpare has instances made when they are needed. Without it, one of each program that
	// is slow to start waits for the next turn.
	NoSpare bool
}

// Kind makes sandboxed nodes. It may be used from any goroutine.
type Kind struct {
	options Options
	clock   func() time.Duration // monotonic
	fills   sync.WaitGroup

	mu       sync.Mutex
	engine   wazero.Runtime
	cache    wazero.CompilationCache
	programs map[string]*program // by config
	uses     int64
	closed   bool
}

var _ node.Kind = (*Kind)(nil)

// New makes a Kind, which costs nothing until a config is described.
func New(o Options) *Kind {
	began := time.Now()
	return &Kind{options: o, clock: func() time.Duration { return time.Since(began) }, programs: map[string]*program{}}
}

// ErrClosed is what a Kind, and what it made, says after Close.
var ErrClosed = errors.New("wasm: closed: make another kind")

// Describe compiles the module, asks it what it is, and holds its answer against it.
func (k *Kind) Describe(config json.RawMessage) (node.Declaration, error) {
	p, err := k.program(config)
	if err != nil {
		return node.Declaration{}, err
	}
	k.spare(p)
	return p.about, nil
}

// New makes a node. It has no instance until Init.
func (k *Kind) New(config json.RawMessage) (node.Node, error) {
	p, err := k.program(config)
	if err != nil {
		return nil, err
	}
	return &Node{program: p}, nil
}

// Close ends all instances and frees the code. One that is in a call is waited for, and no
// call takes longer than its limit. Nodes fail from then on.
func (k *Kind) Close() error {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return nil
	}
	k.closed = true
	programs := k.programs
	k.programs = nil
	k.mu.Unlock()
	k.fills.Wait()
	var faults []error
	for _, p := range programs {
		p.once.Do(func() { p.fault = ErrClosed })
		faults = append(faults, p.close())
	}
	ctx := context.Background()
	if k.engine != nil {
		faults = append(faults, k.engine.Close(ctx))
	}
	if k.cache != nil {
		faults = append(faults, k.cache.Close(ctx))
	}
	return errors.Join(faults...)
}

// program gives what a config names, loaded.
func (k *Kind) program(config json.RawMessage) (*program, error) {
	key := string(config)
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return nil, ErrClosed
	}
	p := k.programs[key]
	var old *program
	if p == nil {
		var err error
		if old, err = k.room(); err != nil {
			k.mu.Unlock()
			return nil, err
		}
		p = &program{kind: k, filling: true, live: map[*instance]struct{}{}}
		k.programs[key] = p
	}
	k.uses++
	p.used = k.uses
	k.mu.Unlock()
	if old != nil {
		_ = old.close() // what a module says when it is closed concerns nobody any more
	}
	p.once.Do(func() { p.fault = p.load(config) })
	if p.fault != nil {
		k.mu.Lock()
		if k.programs[key] == p { // the next one may find another file
			delete(k.programs, key)
		}
		k.mu.Unlock()
		return nil, p.fault
	}
	return p, nil
}

// room takes the program out that was not used for longest, when there are too many. The
// lock is held.
func (k *Kind) room() (*program, error) {
	if len(k.programs) < MaxPrograms {
		return nil, nil
	}
	var oldest *program
	oldestKey := ""
	for key, p := range k.programs {
		if (oldest == nil || p.used < oldest.used) && p.idle() {
			oldest, oldestKey = p, key
		}
	}
	if oldest == nil {
		return nil, fmt.Errorf("wasm: %d programs are in use, which is the most: end sessions, or let nodes share a config", MaxPrograms)
	}
	delete(k.programs, oldestKey)
	return oldest, nil
}

// runtime gives the engine with the host's functions.
func (k *Kind) runtime(ctx context.Context) (wazero.Runtime, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.engine != nil || k.closed {
		if k.closed {
			return nil, ErrClosed
		}
		return k.engine, nil
	}
	config := wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2)
	if k.options.Compiled != "" {
		cache, err := wazero.NewCompilationCacheWithDir(k.options.Compiled)
		if err != nil {
			return nil, fmt.Errorf("wasm: using the folder %s for compiled code: %w", k.options.Compiled, err)
		}
		k.cache = cache
		config = config.WithCompilationCache(cache)
	}
	engine := wazero.NewRuntimeWithConfig(ctx, config)
	_, err := wasi_snapshot_preview1.Instantiate(ctx, engine)
	if err == nil {
		err = addImports(ctx, engine)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wasm: starting the engine: %w", err), engine.Close(ctx))
	}
	k.engine = engine
	return engine, nil
}

// spare has an instance made for the next turn, where that takes time.
func (k *Kind) spare(p *program) {
	if k.options.NoSpare || p.startTook.Load() < int64(spareWorth) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || !p.wants() {
		return
	}
	k.fills.Go(p.fill)
}
