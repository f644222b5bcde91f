// SPDX-License-Identifier: Apache-2.0

//go:build wasip1

package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unsafe"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/wasm/internal/abi"
)

// served is the one node of the module: an instance is a module of its own.
var served = &server{token: node.NewCancelToken(context.Background())}

type server struct {
	make     func(config json.RawMessage) (node.Node, error)
	node     node.Node
	ctx      node.Context
	token    *node.CancelToken
	inbox    []byte
	outbox   []byte
	declared []byte
	buffer   []byte // what the host gives an answer in
	names    abi.Strings
	event    node.Event
	seed     int64
}

// Serve offers nodes of one kind. It is called once, as the program's first act.
func Serve(make func(config json.RawMessage) (node.Node, error)) struct{} {
	served.make = make
	return struct{}{}
}

//go:wasmimport parley emit
func hostEmit(at unsafe.Pointer, size uint32)

//go:wasmimport parley now
func hostNow() int64

//go:wasmimport parley rand
func hostRand() uint64

//go:wasmimport parley count
func hostCount(at unsafe.Pointer, size uint32, n int64)

//go:wasmimport parley wake
func hostWake(at int64)

//go:wasmimport parley state_get
func hostStateGet(class uint32, key unsafe.Pointer, keySize uint32, value unsafe.Pointer, room uint32) uint32

//go:wasmimport parley state_put
func hostStatePut(class uint32, key unsafe.Pointer, keySize uint32, value unsafe.Pointer, size uint32) uint32

//go:wasmimport parley conversation
func hostConversation(at unsafe.Pointer, room uint32) uint32

//go:wasmimport parley budget
func hostBudget() int64

//go:wasmimport parley log
func hostLog(at unsafe.Pointer, size uint32)

//go:wasmexport parley_abi_version
func abiVersion() uint32 { return abi.Version }

//go:wasmexport parley_alloc
func alloc(size uint32) unsafe.Pointer {
	served.inbox = make([]byte, size)
	return unsafe.Pointer(&served.inbox[0])
}

//go:wasmexport parley_declare
func declare(_ unsafe.Pointer, size uint32) uint64 {
	n, _, err := served.new(size)
	if err == nil {
		served.declared, err = json.Marshal(abi.Declare(n.Declaration()))
	}
	if err != nil {
		say(err)
		return 0
	}
	return uint64(uintptr(unsafe.Pointer(&served.declared[0])))<<32 | uint64(len(served.declared))
}

// new makes a node from the settings in the inbox.
func (s *server) new(size uint32) (node.Node, abi.Settings, error) {
	var set abi.Settings
	if err := json.Unmarshal(s.inbox[:size], &set); err != nil {
		return nil, set, err
	}
	if s.make == nil {
		return nil, set, errors.New("guest: no node is served: call guest.Serve before main")
	}
	n, err := s.make(set.Settings)
	if err == nil {
		err = node.Check(n)
	}
	return n, set, err
}

//go:wasmexport parley_init
func initialise(_ unsafe.Pointer, size uint32) uint32 {
	n, set, err := served.new(size)
	if err != nil {
		return status(err)
	}
	served.node, served.seed = n, set.Seed
	served.ctx = node.Context{
		Session: set.Session, Turn: set.Turn, Node: set.Node, Cancel: served.token,
		Budget: hosted{}, Timebase: hosted{}, State: hosted{}, Telemetry: hosted{}, Out: served.emit,
	}
	if set.Turn != "" {
		served.ctx.Determinism = hosted{}
	}
	return status(n.Init(&served.ctx))
}

//go:wasmexport parley_start
func start() uint32 { return status(served.node.Start(&served.ctx)) }

//go:wasmexport parley_on_event
func onEvent(_ unsafe.Pointer, size uint32) uint32 {
	flags, err := abi.Read(served.inbox[:size], &served.event, &served.names)
	if err != nil {
		return status(err)
	}
	if flags&abi.FlagCancelled != 0 {
		served.token.Trip(node.Cancel{})
	}
	return status(served.node.OnEvent(&served.ctx, &served.event))
}

//go:wasmexport parley_on_cancel
func onCancel(_ unsafe.Pointer, size uint32) uint32 {
	c, err := abi.ReadCancel(served.inbox[:size])
	if err != nil {
		return status(err)
	}
	served.token.Trip(c)
	return status(served.node.OnCancel(&served.ctx, c))
}

//go:wasmexport parley_on_barge_in
func onBargeIn() uint32 {
	if b, ok := served.node.(node.BargeInHandler); ok {
		return status(b.OnBargeIn(&served.ctx))
	}
	return 0
}

//go:wasmexport parley_on_budget
func onBudget(outcome uint32) uint32 {
	if b, ok := served.node.(node.BudgetHandler); ok {
		return status(b.OnBudgetExhausted(&served.ctx, abi.OutcomeOf(outcome)))
	}
	return 0
}

//go:wasmexport parley_stop
func stop() uint32 {
	err := served.node.Stop(&served.ctx)
	served.token.Release()
	return status(err)
}

// status tells the host of a fault.
func status(err error) uint32 {
	if err == nil {
		return 0
	}
	say(err)
	return 1
}

func say(err error) {
	at, size := pointer(err.Error())
	hostLog(at, size)
}

// pointer gives a text as the host takes it.
func pointer(s string) (at unsafe.Pointer, size uint32) {
	return unsafe.Pointer(unsafe.StringData(s)), uint32(len(s))
}

func (s *server) emit(ev *node.Event) {
	b, err := abi.Append(s.outbox[:0], ev, 0)
	if err != nil {
		panic(err) // the host could not take it either
	}
	s.outbox = b
	hostEmit(unsafe.Pointer(&b[0]), uint32(len(b)))
}

// hosted is what a node finds in its context: each is a function of the host.
type hosted struct{}

func (hosted) RemainingMS() int64 { return hostBudget() }

func (hosted) Now() node.Instant      { return node.Instant(hostNow()) }
func (hosted) WakeAt(at node.Instant) { hostWake(int64(at)) }

func (hosted) Seed() int64    { return served.seed }
func (hosted) Uint64() uint64 { return hostRand() }

func (hosted) Count(name string, n int64) {
	at, size := pointer(name)
	hostCount(at, size, n)
}

// none is what the host says of a key without a value.
const none = ^uint32(0)

func (hosted) Get(class node.StateClass, key string) ([]byte, bool) {
	at, size := pointer(key)
	n := served.fetch(func(into unsafe.Pointer, room uint32) uint32 {
		return hostStateGet(abi.StateCode(class), at, size, into, room)
	})
	if n == none {
		return nil, false
	}
	return append([]byte{}, served.buffer[:n]...), true
}

// fetch asks with the buffer there is, and once more when the answer is longer.
func (s *server) fetch(ask func(into unsafe.Pointer, room uint32) uint32) uint32 {
	if len(s.buffer) == 0 {
		s.buffer = make([]byte, 4<<10)
	}
	n := ask(unsafe.Pointer(&s.buffer[0]), uint32(len(s.buffer)))
	if n != none && int(n) > len(s.buffer) {
		s.buffer = make([]byte, n)
		n = ask(unsafe.Pointer(&s.buffer[0]), n)
	}
	return n
}

func (hosted) Put(class node.StateClass, key string, value []byte) error {
	at, size := pointer(key)
	if hostStatePut(abi.StateCode(class), at, size, unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value))) != 0 {
		return fmt.Errorf("guest: state %q of class %q: the host refuses %d bytes", key, class, len(value))
	}
	return nil
}

func (hosted) Conversation() []node.Message {
	n := served.fetch(hostConversation)
	var list []abi.Message
	if err := json.Unmarshal(served.buffer[:n], &list); err != nil {
		panic(err) // the host wrote it
	}
	out := make([]node.Message, len(list))
	for i, m := range list {
		out[i] = node.Message(m)
	}
	return out
}
