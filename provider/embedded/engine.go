// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// abiVersion is what the engines' parley_abi must answer (scripts/engines/wasm).
const abiVersion = 1

const remedy = "run make engines"

// engine is one compiled WebAssembly module, of which instances can be made.
type engine struct {
	path    string
	runtime wazero.Runtime
	cache   wazero.CompilationCache
	module  wazero.CompiledModule
}

// loadEngine compiles the module at path, or takes the compiled code from cacheDir, a
// folder that only this user may write to. With cacheDir empty nothing is kept. host may
// add functions that the module imports.
func loadEngine(ctx context.Context, path, cacheDir string, host func(context.Context, wazero.Runtime) error) (*engine, error) {
	code, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("embedded: reading the engine: %w: %s", err, remedy)
	}
	e, err := compileEngine(ctx, path, code, cacheDir, host)
	if err != nil && cacheDir != "" {
		// What is in the cache may be another program's, or cut off. Without it the
		// engine takes 0.1 s longer.
		e, err = compileEngine(ctx, path, code, "", host)
	}
	return e, err
}

func compileEngine(ctx context.Context, path string, code []byte, cacheDir string, host func(context.Context, wazero.Runtime) error) (*engine, error) {
	e := &engine{path: path}
	config := wazero.NewRuntimeConfig()
	if cacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
		if err != nil {
			return nil, fmt.Errorf("embedded: using the folder %s for compiled engines: %w", cacheDir, err)
		}
		e.cache = cache
		config = config.WithCompilationCache(cache)
	}
	e.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	err := host(ctx, e.runtime)
	if err == nil {
		_, err = wasi_snapshot_preview1.Instantiate(ctx, e.runtime)
	}
	if err == nil {
		e.module, err = e.runtime.CompileModule(ctx, code)
	}
	if err != nil {
		err = fmt.Errorf("embedded: %s is no engine of this version of Parley: %w: %s", path, err, remedy)
		return nil, errors.Join(err, e.close(ctx))
	}
	return e, nil
}

// close frees the code and the memory of every instance; none may be busy.
func (e *engine) close(ctx context.Context) error {
	err := e.runtime.Close(ctx)
	if e.cache != nil {
		err = errors.Join(err, e.cache.Close(ctx))
	}
	return err
}

// instance makes a new instance of the engine. files, if not empty, is a folder that it
// sees as /model, read-only; it sees no other file, no clock and no environment.
func (e *engine) instance(ctx context.Context, files string) (*instance, error) {
	i := &instance{engine: e, messages: &lastLine{}}
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize").WithStderr(i.messages)
	if files != "" {
		config = config.WithFSConfig(wazero.NewFSConfig().WithReadOnlyDirMount(files, "/model"))
	}
	var err error
	i.module, err = e.runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, memoryAllocator()), e.module, config)
	if err != nil {
		return nil, fmt.Errorf("embedded: starting %s: %w", e.path, err)
	}
	i.memory = i.module.Memory()
	version, err := i.call(ctx, "parley_abi")
	if err == nil && version != abiVersion {
		err = fmt.Errorf("its interface has version %d and this Parley speaks %d", version, abiVersion)
	}
	if err != nil {
		i.close(ctx)
		return nil, fmt.Errorf("embedded: %s is no engine of this version of Parley: %w: %s", e.path, err, remedy)
	}
	return i, nil
}

// function finds an exported function.
func (i *instance) function(name string) (api.Function, error) {
	f := i.module.ExportedFunction(name)
	if f == nil {
		return nil, fmt.Errorf("no function %s", name)
	}
	return f, nil
}
