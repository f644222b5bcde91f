// SPDX-License-Identifier: Apache-2.0

package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/wasm/internal/abi"
	"github.com/parley-voice/parley/node/wasm/internal/meter"
)

// hostFunction is one function that the host offers: its arguments lie on the stack, and so
// does its result.
type hostFunction struct {
	name            string
	params, results []api.ValueType
	call            func(i *instance, stack []uint64)
}

// The faults by which the host ends a call.
var (
	errDeadline = errors.New("the call has passed its time: do less in a call, or give the config a larger time_ms")
	errDepth    = errors.New("calls nest too deep: the guest has run out of stack")
	errNoMemory = errors.New("a pointer leads out of the guest's memory")
	errOutside  = errors.New("there is no session: the guest asks for it before parley_init")
)

func imports() []hostFunction {
	long := []api.ValueType{api.ValueTypeI64}
	return []hostFunction{
		{"emit", numbers(2), nil, (*instance).emit},
		{"now", nil, long, func(i *instance, s []uint64) { s[0] = uint64(i.now()) }},
		{"rand", nil, long, func(i *instance, s []uint64) { s[0] = i.random() }},
		{"count", append(numbers(2), api.ValueTypeI64), nil, (*instance).count},
		{"wake", long, nil, func(i *instance, s []uint64) { i.session().Timebase.WakeAt(node.Instant(s[0])) }},
		{"state_get", numbers(5), numbers(1), (*instance).stateGet},
		{"state_put", numbers(5), numbers(1), (*instance).statePut},
		{"conversation", numbers(2), numbers(1), (*instance).conversation},
		{"budget", nil, long, func(i *instance, s []uint64) { s[0] = uint64(i.session().Budget.RemainingMS()) }},
		{"cancelled", nil, numbers(1), (*instance).cancelled},
		{"log", numbers(2), nil, (*instance).log},
	}
}

// addImports gives the engine the host's functions.
func addImports(ctx context.Context, engine wazero.Runtime) error {
	b := engine.NewHostModuleBuilder(abi.Module)
	for _, f := range imports() {
		b.NewFunctionBuilder().WithGoModuleFunction(hosted(f.call), f.params, f.results).Export(f.name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return err
	}
	tick := hosted(func(i *instance, s []uint64) {
		if s[0] == meter.ReasonDepth {
			i.abandon(errDepth)
		}
	})
	_, err := engine.NewHostModuleBuilder(meter.ImportModule).
		NewFunctionBuilder().WithGoModuleFunction(tick, numbers(1), nil).Export(meter.ImportName).
		Instantiate(ctx)
	return err
}

// hosted finds the instance whose code calls, and looks at its deadline first.
func hosted(call func(i *instance, stack []uint64)) api.GoModuleFunc {
	return func(ctx context.Context, _ api.Module, stack []uint64) {
		i, _ := ctx.Value(instanceKey{}).(*instance)
		if i.program.kind.clock() > i.due {
			i.abandon(errDeadline)
		}
		call(i, stack)
	}
}

// abandon ends the guest's call. The engine takes the panic for a trap of the guest, and
// returns it from the call.
func (i *instance) abandon(err error) {
	if i.fault == nil {
		i.fault = err
	}
	panic(err)
}

// session is what the guest may ask for from parley_init on.
func (i *instance) session() *node.Context {
	if i.host == nil {
		i.abandon(errOutside)
	}
	return i.host
}

// bytes shows a part of the guest's memory.
func (i *instance) view(at, size uint64) []byte {
	if i.memory == nil { // the guest initialises itself
		i.abandon(errOutside)
	}
	b, ok := i.memory.Read(uint32(at), uint32(size))
	if !ok {
		i.abandon(errNoMemory)
	}
	return b
}

// emit takes an event, which leaves when the call returns.
func (i *instance) emit(s []uint64) {
	i.session()
	began := i.program.kind.clock()
	b := i.view(s[0], s[1])
	if i.emits++; i.emits > MaxEmits {
		i.abandon(fmt.Errorf("emit: more than %d events in a call: emit less, or on a timer", MaxEmits))
	}
	if i.bytes += len(b); i.bytes > MaxEmitted {
		i.abandon(fmt.Errorf("emit: more than %d bytes in a call: emit less, or on a timer", MaxEmitted))
	}
	if i.emits > len(i.emitted) {
		i.emitted = append(i.emitted, node.Event{})
	}
	ev := &i.emitted[i.emits-1]
	if _, err := abi.Read(b, ev, &i.names); err != nil {
		i.abandon(fmt.Errorf("emit: %w", err))
	}
	known := false
	for _, t := range i.program.about.Outputs {
		known = known || t == ev.Type
	}
	if !known {
		i.abandon(fmt.Errorf("emit: type: %q: declare it among the outputs %q", ev.Type, i.program.about.Outputs))
	}
	i.boundary += i.program.kind.clock() - began
}

func (i *instance) count(s []uint64) {
	host := i.session()
	b := i.view(s[0], s[1])
	if !counter(b) {
		i.abandon(fmt.Errorf("count: name: %.40q: use lower_snake_case of at most %d bytes", b, abi.MaxKey))
	}
	name := i.names.Intern(b)
	if _, ok := i.counters[name]; !ok {
		if len(i.counters) >= MaxCounters {
			i.abandon(fmt.Errorf("count: name: %q: more than %d counters", name, MaxCounters))
		}
		if i.counters == nil {
			i.counters = map[string]struct{}{}
		}
		i.counters[name] = struct{}{}
	}
	host.Telemetry.Count(name, int64(s[2]))
}

func counter(b []byte) bool {
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= abi.MaxKey
}

// none is what state_get says of a key without a value.
const none = uint64(^uint32(0))

func (i *instance) key(s []uint64) (node.StateClass, string) {
	if uint32(s[2]) > abi.MaxKey {
		i.abandon(fmt.Errorf("state: a key of %d bytes: at most %d", uint32(s[2]), abi.MaxKey))
	}
	return abi.StateOf(uint32(s[0])), string(i.view(s[1], s[2]))
}

// stateGet gives the size of a value, and the value where there is room for it.
func (i *instance) stateGet(s []uint64) {
	class, key := i.key(s)
	value, ok := i.session().State.Get(class, key)
	if !ok {
		s[0] = none
		return
	}
	s[0] = i.give(value, s[3], s[4])
}

// give copies a value into the guest's buffer, where it fits.
func (i *instance) give(value []byte, at, room uint64) uint64 {
	if into := i.view(at, room); len(value) <= len(into) {
		copy(into, value)
	}
	return uint64(len(value))
}

func (i *instance) statePut(s []uint64) {
	class, key := i.key(s)
	if uint32(s[4]) > abi.MaxValue {
		i.abandon(fmt.Errorf("state: a value of %d bytes: at most %d", uint32(s[4]), abi.MaxValue))
	}
	err := i.session().State.Put(class, key, i.view(s[3], s[4]))
	s[0] = 0
	if err != nil {
		_, _ = i.messages.Write([]byte(err.Error() + "\n")) // it keeps what it can
		s[0] = 1
	}
}

// conversation gives the record as JSON, as state_get gives a value.
func (i *instance) conversation(s []uint64) {
	b, err := json.Marshal(abi.Conversation(i.session().State.Conversation()))
	if err != nil {
		i.abandon(fmt.Errorf("conversation: %w", err))
	}
	s[0] = i.give(b, s[0], s[1])
}

func (i *instance) cancelled(s []uint64) {
	s[0] = 0
	if _, over := i.session().Cancel.Cancelled(); over {
		s[0] = 1
	}
}

// log keeps the guest's last line: it stands in the fault, should the instance fail.
func (i *instance) log(s []uint64) {
	b := i.view(s[0], s[1])
	_, _ = i.messages.Write(b[:min(len(b), abi.MaxLine)]) // it keeps what it can
	_, _ = i.messages.Write([]byte{'\n'})
}
