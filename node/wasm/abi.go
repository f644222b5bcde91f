// SPDX-License-Identifier: Apache-2.0

package wasm

import (
	"slices"

	"github.com/tetratelabs/wazero/api"
)

// The exports of a guest. docs/wasm-nodes.md says what each does.
const (
	exportPrefix  = "parley_"
	exportVersion = "parley_abi_version"
	exportAlloc   = "parley_alloc"
	exportDeclare = "parley_declare"
	exportInit    = "parley_init"
	exportStart   = "parley_start"
	exportEvent   = "parley_on_event"
	exportCancel  = "parley_on_cancel"
	exportBargeIn = "parley_on_barge_in"
	exportBudget  = "parley_on_budget"
	exportStop    = "parley_stop"

	wasiModule = "wasi_snapshot_preview1"
)

type export struct {
	name            string
	required        bool
	params, results []api.ValueType
}

func numbers(n int) []api.ValueType {
	return slices.Repeat([]api.ValueType{api.ValueTypeI32}, n)
}

// exports is what a guest offers: of a hook that it leaves out nothing is missed.
func exports() []export {
	return []export{
		{exportVersion, true, nil, numbers(1)},
		{exportAlloc, true, numbers(1), numbers(1)},
		{exportDeclare, true, numbers(2), []api.ValueType{api.ValueTypeI64}},
		{exportInit, false, numbers(2), numbers(1)},
		{exportStart, false, nil, numbers(1)},
		{exportEvent, true, numbers(2), numbers(1)},
		{exportCancel, false, numbers(2), numbers(1)},
		{exportBargeIn, false, nil, numbers(1)},
		{exportBudget, false, numbers(1), numbers(1)},
		{exportStop, false, nil, numbers(1)},
	}
}
