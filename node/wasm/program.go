// SPDX-License-Identifier: Apache-2.0

package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/wasm/internal/abi"
	"github.com/parley-voice/parley/node/wasm/internal/meter"
)

const (
	// spareWorth is how long a start may take before an instance is kept ready.
	spareWorth = time.Millisecond
	// stackDepth bounds the nesting of a guest's calls, bytes of frames.
	stackDepth = 4 << 20
)

// program is a config with its code: what instances are made of.
type program struct {
	kind      *Kind
	used      int64 // guarded by the kind's lock
	once      sync.Once
	fault     error
	config    Config
	limits    node.Limits
	seed      uint64 // chance before there is a session
	code      wazero.CompiledModule
	roots     []*os.Root
	about     node.Declaration
	startTook atomic.Int64

	mu      sync.Mutex
	live    map[*instance]struct{}
	ready   *instance
	filling bool // it is loaded, or a spare is made
	over    bool
}

// load reads, checks, compiles and asks.
func (p *program) load(raw json.RawMessage) error {
	defer func() {
		p.mu.Lock()
		p.filling = false
		p.mu.Unlock()
	}()
	var err error
	if p.config, err = parse(raw); err != nil {
		return err
	}
	p.limits = p.config.limits()
	code, err := p.read()
	if err == nil {
		err = p.compile(code)
	}
	if err == nil {
		err = p.describe()
	}
	if err != nil {
		return errors.Join(err, p.close())
	}
	return nil
}

// read gives the pinned code.
func (p *program) read() ([]byte, error) {
	info, err := os.Stat(p.config.Module)
	if err != nil {
		return nil, fmt.Errorf("wasm: module: %w: give the path of a .wasm file", err)
	}
	if !info.Mode().IsRegular() || info.Size() > meter.MaxSize {
		return nil, fmt.Errorf("wasm: module: %s has %d bytes: give a file of at most %d", p.config.Module, info.Size(), meter.MaxSize)
	}
	code, err := os.ReadFile(p.config.Module)
	if err != nil {
		return nil, fmt.Errorf("wasm: module: %w: make it readable", err)
	}
	sum := sha256.Sum256(code)
	if is := hex.EncodeToString(sum[:]); is != p.config.SHA256 {
		return nil, fmt.Errorf("wasm: sha256: %q: %s has %s: pin that where it is what you mean to run", p.config.SHA256, p.config.Module, is)
	}
	p.seed = binary.LittleEndian.Uint64(sum[:])
	return code, nil
}

// compile adds the meter and checks what the module asks for and offers.
func (p *program) compile(code []byte) error {
	at := p.config.Module
	metered, err := meter.Rewrite(code, stackDepth)
	if err != nil {
		return fmt.Errorf("wasm: module: %s: %w: build it as docs/wasm-nodes.md says", at, err)
	}
	ctx := context.Background()
	engine, err := p.kind.runtime(ctx)
	if err != nil {
		return err
	}
	if p.code, err = engine.CompileModule(ctx, metered); err != nil {
		return fmt.Errorf("wasm: module: %s: %w: build it as docs/wasm-nodes.md says", at, err)
	}
	for _, dir := range p.config.Grants.Read {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return fmt.Errorf("wasm: grants.read: %w: make it readable", err)
		}
		p.roots = append(p.roots, root)
	}
	return errors.Join(p.checkImports(), p.checkExports(), p.checkMemory())
}

// checkImports refuses what the host has not.
func (p *program) checkImports() error {
	var faults []error
	for _, f := range p.code.ImportedFunctions() {
		module, name, _ := f.Import()
		switch module {
		case meter.ImportModule, wasiModule:
		case abi.Module:
			if i := slices.IndexFunc(imports(), func(i hostFunction) bool { return i.name == name }); i < 0 {
				faults = append(faults, fmt.Errorf("wasm: import: %s.%s: there is no such function in version %d of the interface", module, name, abi.Version))
			}
		default:
			faults = append(faults, fmt.Errorf("wasm: import: %s.%s: import from %s and %s only", module, name, abi.Module, wasiModule))
		}
	}
	return errors.Join(faults...)
}

// checkExports holds what the module offers against the interface.
func (p *program) checkExports() error {
	var faults []error
	fault := func(name, remedy string) {
		faults = append(faults, fmt.Errorf("wasm: export: %s: %s", name, remedy))
	}
	offered := p.code.ExportedFunctions()
	for _, e := range exports() {
		f, ok := offered[e.name]
		switch {
		case !ok && e.required:
			fault(e.name, "is missing: build the module with package guest or parley_node.h")
		case ok && (!slices.Equal(f.ParamTypes(), e.params) || !slices.Equal(f.ResultTypes(), e.results)):
			fault(e.name, fmt.Sprintf("takes %v and gives %v: it must take %v and give %v",
				typeNames(f.ParamTypes()), typeNames(f.ResultTypes()), typeNames(e.params), typeNames(e.results)))
		}
	}
	for name := range offered {
		if len(name) > len(exportPrefix) && name[:len(exportPrefix)] == exportPrefix &&
			!slices.ContainsFunc(exports(), func(e export) bool { return e.name == name }) {
			fault(name, fmt.Sprintf("is unknown in version %d of the interface: names with %s are its own", abi.Version, exportPrefix))
		}
	}
	_, reactor := offered["_initialize"]
	if _, command := offered["_start"]; command && !reactor {
		fault("_start", "the module is a program that runs once: build a library, in Go with -buildmode=c-shared")
	}
	return errors.Join(faults...)
}

func (p *program) checkMemory() error {
	memory, ok := p.code.ExportedMemories()["memory"]
	if !ok {
		return errors.New("wasm: export: memory: is missing: export the memory under this name")
	}
	if need := int64(memory.Min()) << 16; need > int64(p.config.MemoryMB)<<20 {
		return fmt.Errorf("wasm: memory_mb: %d: the module begins with %d bytes: give it more", p.config.MemoryMB, need)
	}
	return nil
}

// describe asks an instance, which is not used for anything else.
func (p *program) describe() error {
	i, err := p.start()
	if err != nil {
		return err
	}
	defer i.close()
	if p.about, err = i.declare(); err != nil {
		return err
	}
	// The goroutine of a session is for code that can be trusted to give it back.
	p.about.Inline = false
	faults := []error{node.Check(&Node{program: p})}
	want := func(ok bool, field string, value any, remedy string) {
		if !ok {
			faults = append(faults, fmt.Errorf("wasm: node %q: %s: %v: %s", p.about.Type, field, value, remedy))
		}
	}
	d, offered := &p.about, p.code.ExportedFunctions()
	want(!d.Resources.Network, "network", true, "a sandboxed node has none; declare false")
	want(!d.Resources.GPU, "gpu", true, "a sandboxed node has none; declare false")
	want(d.Resources.MemoryMB <= int64(p.config.MemoryMB), "memory_mb", d.Resources.MemoryMB, fmt.Sprintf("the config allows %d: give it more", p.config.MemoryMB))
	want(!d.BuffersAudio || offered[exportBargeIn] != nil, "buffers_audio", true, "export "+exportBargeIn)
	want(!d.LongRunning || offered[exportBudget] != nil, "long_running", true, "export "+exportBudget)
	if pin := p.config.Package; pin != nil {
		want(pin.Name == d.Package, "package.name", pin.Name, fmt.Sprintf("the module declares %q", d.Package))
		want(pin.Version == "" || pin.Version == d.Version, "package.version", pin.Version, fmt.Sprintf("the module declares %q", d.Version))
	}
	return errors.Join(faults...)
}

// folders gives what the guest may read.
func (p *program) folders() wazero.FSConfig {
	config := wazero.NewFSConfig()
	for i, root := range p.roots {
		var files fs.FS = root.FS() // does not follow a link that leads out
		config = config.WithFSMount(files, p.config.Grants.Read[i])
	}
	return config
}

// take gives an instance that nobody has used.
func (p *program) take() (*instance, error) {
	p.mu.Lock()
	i := p.ready
	p.ready = nil
	p.mu.Unlock()
	defer p.kind.spare(p)
	if i != nil {
		return i, nil
	}
	return p.start()
}

// wants says whether a spare is missing, and that somebody makes it now.
func (p *program) wants() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.filling || p.ready != nil {
		return false
	}
	p.filling = true
	return true
}

// fill makes the spare.
func (p *program) fill() {
	i, err := p.start()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.filling = false
	if err == nil { // who needs one and has none will be told
		p.ready = i
	}
}

// enlist and strike keep the list of the instances that are to be closed.
func (p *program) enlist(i *instance) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return ErrClosed
	}
	p.live[i] = struct{}{}
	return nil
}

// gone says that no instance is to be made any more.
func (p *program) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

func (p *program) strike(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.live, i)
}

// idle says whether no instance serves.
func (p *program) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	serving := len(p.live)
	if p.ready != nil {
		serving--
	}
	return serving == 0 && !p.filling
}

// close ends the instances and frees the code.
func (p *program) close() error {
	p.mu.Lock()
	p.over = true
	var live []*instance
	for i := range p.live {
		live = append(live, i)
	}
	p.mu.Unlock()
	for _, i := range live {
		i.close()
	}
	var faults []error
	for _, root := range p.roots {
		faults = append(faults, root.Close())
	}
	if p.code != nil {
		faults = append(faults, p.code.Close(context.Background()))
	}
	return errors.Join(faults...)
}

func typeNames(list []api.ValueType) []string {
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = api.ValueTypeName(t)
	}
	return names
}
