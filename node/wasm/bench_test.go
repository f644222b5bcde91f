// SPDX-License-Identifier: Apache-2.0

package wasm_test

import (
	"encoding/json"
	"testing"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
	"github.com/parley-voice/parley/node/wasm"
)

func guests(b *testing.B) map[string]json.RawMessage {
	b.Helper()
	return map[string]json.RawMessage{"c": config(b, gate), "go": config(b, probe(b))}
}

// BenchmarkFrame is a frame in and a frame out.
func BenchmarkFrame(b *testing.B) {
	k := newKind(b)
	for name, c := range guests(b) {
		b.Run(name, func(b *testing.B) {
			n := newNode(b, k, c)
			h := started(b, n)
			defer h.Stop()
			h.Context().Out = func(*node.Event) {}
			ev := frame(0, 5000)
			b.ReportAllocs()
			for b.Loop() {
				if err := n.OnEvent(h.Context(), &ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStart is an instance from Init to Stop, with and without one that waits.
func BenchmarkStart(b *testing.B) {
	for _, spare := range []string{"spare", "none"} {
		k := wasm.New(wasm.Options{Compiled: compiled(), NoSpare: spare == "none"})
		b.Cleanup(func() { k.Close() })
		for name, c := range guests(b) {
			b.Run(name+"/"+spare, func(b *testing.B) {
				h := nodetest.New(b, newNode(b, k, c))
				for b.Loop() {
					n := newNode(b, k, c)
					if err := n.Init(h.Context()); err != nil {
						b.Fatal(err)
					}
					if err := n.Stop(h.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
