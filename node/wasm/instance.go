// SPDX-License-Identifier: Apache-2.0

package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/wasm/internal/abi"
)

// What one call may emit, and how many counters an instance may have.
const (
	MaxEmits     = 256
	MaxEmitted   = 4 << 20 // bytes
	MaxCounters  = 32
	firstInbox   = 2 << 10 // bytes; a frame has about 750
	overheadStep = 10 * time.Millisecond
)

// instance is one guest. Its lock is held while a call runs.
type instance struct {
	program *program
	ctx     context.Context // carries the instance to the host's functions
	host    *node.Context   // of the session; nil before Init
	seed    uint64

	mu      sync.Mutex
	closed  bool
	module  api.Module
	memory  api.Memory
	event   api.Function
	stack   [2]uint64
	inbox   uint32 // where the guest takes what it is given
	room    int    // bytes of it
	written []byte
	names   abi.Strings

	due      time.Duration // when the call that runs has to be over
	fault    error         // why the host ended it
	emitted  []node.Event  // by the call that runs; used again
	emits    int
	bytes    int
	counters map[string]struct{}
	messages lastLine      // what the guest logged
	stderr   firstLine     // what its language's run time says of a crash
	boundary time.Duration // what the boundary took since it was last counted
	calls    int64
	stopping func() bool // takes back what waits for the end of the scope
	reaper   *time.Timer // ends the instance when nobody else does
}

type instanceKey struct{}

// start makes an instance and lets it initialise itself.
func (p *program) start() (*instance, error) {
	began := p.kind.clock()
	i := &instance{program: p, seed: p.seed, due: began + p.limits.Init}
	ctx := context.WithValue(context.Background(), instanceKey{}, i)
	i.ctx = ctx
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize").
		WithStderr(&i.stderr).WithRandSource(randomReader{i}).
		WithWalltime(i.walltime, 1).WithNanotime(i.nanotime, 1)
	if len(p.roots) > 0 {
		config = config.WithFSConfig(p.folders())
	}
	for name, value := range p.config.Grants.Env {
		config = config.WithEnv(name, value)
	}
	limit := uint64(p.config.MemoryMB) << 20
	if p.gone() {
		return nil, ErrClosed
	}
	module, err := p.kind.engineFor().InstantiateModule(experimental.WithMemoryAllocator(ctx, allocator(limit)), p.code, config)
	if err != nil {
		return nil, fmt.Errorf("wasm: module: %s: it does not start: %w", p.config.Module, i.describe(err))
	}
	i.module, i.memory = module, module.Memory()
	i.event = module.ExportedFunction(exportEvent)
	if err := p.enlist(i); err != nil {
		return nil, errors.Join(err, module.Close(ctx))
	}
	version, err := i.call(exportVersion, p.limits.Init)
	if err == nil && version != abi.Version {
		err = fmt.Errorf("wasm: %s: %d: this Parley speaks version %d: build the module with its package guest or parley_node.h", exportVersion, version, abi.Version)
	}
	if err != nil {
		i.close()
		return nil, err
	}
	p.startTook.Store(int64(p.kind.clock() - began))
	return i, nil
}

// engineFor gives the engine, which is there once something was compiled.
func (k *Kind) engineFor() wazero.Runtime {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.engine
}

// declare asks the guest what it is.
func (i *instance) declare() (d node.Declaration, err error) {
	b, err := json.Marshal(abi.Settings{Settings: i.program.config.Settings})
	if err != nil {
		return d, fmt.Errorf("wasm: settings: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.deliver(b); err != nil {
		return d, err
	}
	i.stack = [2]uint64{uint64(i.inbox), uint64(len(b))}
	if err := i.run(exportDeclare, i.module.ExportedFunction(exportDeclare), i.program.limits.Init); err != nil {
		return d, err
	}
	at, size := uint32(i.stack[0]>>32), uint32(i.stack[0])
	if size == 0 {
		return d, i.lose(fmt.Errorf("wasm: %s: the guest has no node for these settings: %s", exportDeclare, i.messages.or("it does not say why")))
	}
	text, ok := i.memory.Read(at, size)
	if !ok || size > abi.MaxDeclaration {
		return d, i.lose(fmt.Errorf("wasm: %s: %d bytes at %d: give at most %d within the memory", exportDeclare, size, at, abi.MaxDeclaration))
	}
	var declared abi.Declaration
	r := json.NewDecoder(bytes.NewReader(text))
	r.DisallowUnknownFields()
	if err := r.Decode(&declared); err != nil {
		return d, i.lose(fmt.Errorf("wasm: %s: %w: give a declaration as docs/wasm-nodes.md has it", exportDeclare, err))
	}
	return declared.Node(), nil
}

// serve begins the session, or the turn.
func (i *instance) serve(host *node.Context) error {
	i.host = host
	i.seed ^= identity(host)
	s := abi.Settings{Session: host.Session, Turn: host.Turn, Node: host.Node, Settings: i.program.config.Settings}
	if host.Determinism != nil {
		s.Seed = host.Determinism.Seed()
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("wasm: settings: %w", err)
	}
	return i.callWith(exportInit, i.program.limits.Init, b)
}

// identity is where chance begins that no turn gives.
func identity(host *node.Context) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, string(host.Session)+"\x00"+string(host.Turn)+"\x00"+string(host.Node)) // it never fails
	return h.Sum64()
}

// onEvent gives the guest one event, and gives on what it emitted.
func (i *instance) onEvent(ev *node.Event) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	began := i.program.kind.clock()
	flags := uint16(0)
	if _, over := i.host.Cancel.Cancelled(); over {
		flags |= abi.FlagCancelled
	}
	var err error
	if i.written, err = abi.Append(i.written[:0], ev, flags); err != nil {
		return i.lose(fmt.Errorf("wasm: %s: %w", exportEvent, err))
	}
	if err := i.deliver(i.written); err != nil {
		return err
	}
	i.stack = [2]uint64{uint64(i.inbox), uint64(len(i.written))}
	i.boundary += i.program.kind.clock() - began
	if err := i.run(exportEvent, i.event, i.program.limits.EventHard); err != nil {
		return err
	}
	return i.answer(exportEvent)
}

// callWith runs a hook that takes bytes; one that the guest has not is no fault.
func (i *instance) callWith(name string, limit time.Duration, b []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	f := i.exported(name)
	if f == nil {
		return i.gone(name)
	}
	if err := i.deliver(b); err != nil {
		return err
	}
	i.stack = [2]uint64{uint64(i.inbox), uint64(len(b))}
	if err := i.run(name, f, limit); err != nil {
		return err
	}
	return i.answer(name)
}

// hook runs a hook that takes at most one number.
func (i *instance) hook(name string, limit time.Duration, argument uint64) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	f := i.exported(name)
	if f == nil {
		return i.gone(name)
	}
	i.stack = [2]uint64{argument}
	if err := i.run(name, f, limit); err != nil {
		return err
	}
	return i.answer(name)
}

// call calls what answers with a number that is no status.
func (i *instance) call(name string, limit time.Duration) (uint32, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f := i.exported(name)
	if f == nil {
		return 0, i.gone(name)
	}
	err := i.run(name, f, limit)
	return uint32(i.stack[0]), err
}

// exported finds a hook, in an instance that is there.
func (i *instance) exported(name string) api.Function {
	if i.closed {
		return nil
	}
	return i.module.ExportedFunction(name)
}

// gone says what is wrong when a hook was not found.
func (i *instance) gone(name string) error {
	if i.closed {
		return i.lost(name)
	}
	return nil
}

func (i *instance) lost(name string) error {
	if i.fault != nil {
		return i.fault
	}
	return fmt.Errorf("wasm: %s: %w", name, ErrClosed)
}

// deliver puts bytes into the guest's inbox, which grows by doubling. The lock is held.
func (i *instance) deliver(b []byte) error {
	if i.closed {
		return i.lost(exportAlloc)
	}
	if len(b) > i.room {
		room := max(firstInbox, i.room)
		for room < len(b) {
			room *= 2
		}
		i.stack = [2]uint64{uint64(room)}
		if err := i.run(exportAlloc, i.module.ExportedFunction(exportAlloc), i.program.limits.Init); err != nil {
			return err
		}
		i.inbox, i.room = uint32(i.stack[0]), room
		if _, ok := i.memory.Read(i.inbox, uint32(room)); !ok || i.inbox == 0 {
			return i.lose(fmt.Errorf("wasm: %s: %d: there are no %d bytes: give the config a larger memory_mb", exportAlloc, i.inbox, room))
		}
	}
	if !i.memory.Write(i.inbox, b) {
		return i.lose(fmt.Errorf("wasm: the inbox at %d is gone", i.inbox))
	}
	return nil
}

// run calls a function with what lies on the stack, until its deadline. The lock is held.
func (i *instance) run(name string, f api.Function, limit time.Duration) error {
	if i.closed {
		return i.lost(name)
	}
	i.emits, i.bytes = 0, 0
	i.stderr.reset()
	i.due = i.program.kind.clock() + limit
	i.calls++
	if err := f.CallWithStack(i.ctx, i.stack[:]); err != nil {
		return i.lose(fmt.Errorf("wasm: %s: %w", name, i.describe(err)))
	}
	return nil
}

// answer looks at a hook's status, and gives on what was emitted. The lock is held.
func (i *instance) answer(name string) error {
	if status := uint32(i.stack[0]); status != 0 {
		return i.lose(fmt.Errorf("wasm: %s: the guest answers %d: %s", name, status, i.messages.or("it does not say why")))
	}
	for n := range i.emitted[:i.emits] {
		i.host.Emit(&i.emitted[n])
	}
	i.account(false)
	return nil
}

// account counts what the sandbox costs, now and then.
func (i *instance) account(all bool) {
	if us := i.boundary.Microseconds(); i.host != nil && (all || i.boundary >= overheadStep) {
		i.host.Telemetry.Count("sandbox_overhead_us", us)
		i.host.Telemetry.Count("sandbox_calls", i.calls)
		i.boundary -= time.Duration(us) * time.Microsecond
		i.calls = 0
	}
}

// lose ends the instance for a fault, and gives the fault. The lock is held.
func (i *instance) lose(err error) error {
	if i.fault == nil {
		i.fault = err
	}
	i.end()
	return err
}

// close ends the instance. It waits for a call that runs.
func (i *instance) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.end()
}

// end frees what the instance holds. The lock is held.
func (i *instance) end() {
	if i.closed {
		return
	}
	i.closed = true
	i.account(true)
	if i.stopping != nil {
		i.stopping()
	}
	if i.reaper != nil {
		i.reaper.Stop()
	}
	_ = i.module.Close(i.ctx) // what the module says at its end, it has said as a fault
	i.program.strike(i)
}

// describe says in a line why a call ended.
func (i *instance) describe(err error) error {
	if i.fault != nil {
		return i.fault
	}
	cause, _, _ := strings.Cut(err.Error(), "\n") // the stack of the module follows
	cause = strings.TrimSuffix(cause, " (recovered by wazero)")
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		cause = fmt.Sprintf("the guest ended itself with exit code %d", int32(exit.ExitCode()))
	}
	for _, said := range []string{i.stderr.String(), i.messages.String()} {
		if said != "" {
			cause += ": " + said
		}
	}
	return errors.New(cause)
}

// The clock of a guest is the session's; before there is one, time stands.
func (i *instance) now() node.Instant {
	if i.host == nil {
		return 0
	}
	return i.host.Timebase.Now()
}

// nanotime never is 0: a guest that is written in Go would take the clock for broken.
func (i *instance) nanotime() int64 { return max(1, int64(i.now())) }

func (i *instance) walltime() (sec int64, nsec int32) {
	n := int64(i.now())
	return n / int64(time.Second), int32(n % int64(time.Second))
}

// random draws from the turn's chance; where there is none, from a sequence that the module
// and the identity of the instance begin (splitmix64).
func (i *instance) random() uint64 {
	if i.host != nil && i.host.Determinism != nil {
		return i.host.Determinism.Uint64()
	}
	i.seed += 0x9e3779b97f4a7c15
	z := i.seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// randomReader is the chance of a guest that asks its system.
type randomReader struct{ i *instance }

func (r randomReader) Read(p []byte) (int, error) {
	var word [8]byte
	for n := 0; n < len(p); n += len(word) {
		binary.LittleEndian.PutUint64(word[:], r.i.random())
		copy(p[n:], word[:])
	}
	return len(p), nil
}

// lastLine keeps the last line that was written, in bounds.
type lastLine struct {
	line []byte
	done bool // the line has ended: the next write starts another
}

func (l *lastLine) Write(p []byte) (int, error) {
	for _, c := range p {
		if l.done {
			l.line, l.done = l.line[:0], false
		}
		switch {
		case c == '\n':
			l.done = true
		case len(l.line) < abi.MaxLine:
			l.line = append(l.line, c)
		}
	}
	return len(p), nil
}

func (l *lastLine) String() string { return tidy(l.line) }

// firstLine keeps the first line that was written, in bounds.
type firstLine struct {
	line []byte
	done bool // it has ended
}

func (l *firstLine) reset() { l.line, l.done = l.line[:0], false }

func (l *firstLine) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case l.done:
			return len(p), nil
		case c == '\n':
			l.done = len(l.line) > 0
		case len(l.line) < abi.MaxLine:
			l.line = append(l.line, c)
		}
	}
	return len(p), nil
}

func (l *firstLine) String() string { return tidy(l.line) }

// tidy makes a guest's bytes a text.
func tidy(b []byte) string { return strings.ToValidUTF8(strings.TrimSpace(string(b)), "?") }

func (l *lastLine) or(nothing string) string {
	if s := l.String(); s != "" {
		return s
	}
	return nothing
}
