// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/sha256"
	_ "embed" // the guest
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/wasm"
)

// gainGuest is guest/gain.c, built.
//
//go:embed guest/gain.wasm
var gainGuest []byte

// sandboxMost bounds a call of a guest with a frame of 20 ms.
const sandboxMost = 30 * time.Microsecond

// sandboxed measures a frame through a guest and back against the same work done by a node in
// the process. The bound of 30 us is checked beside the ratio.
func sandboxed(o Options) (r Result, err error) {
	r = Result{
		ID: "sandbox", Subject: "a frame through a WebAssembly node", Denominator: "the same gain in a node of the process",
		Unit: "ns/frame", Limit: 20, Target: "<= 20x, and <= 30 us",
	}
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "gain.wasm")
	if err := os.WriteFile(file, gainGuest, 0o600); err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	sum := sha256.Sum256(gainGuest)
	config, err := json.Marshal(wasm.Config{Module: file, SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	kind := wasm.New(wasm.Options{})
	defer func() { err = errors.Join(err, kind.Close()) }()
	guest, err := kind.New(config)
	if err != nil {
		return r, err
	}
	var fault error
	work := func(n node.Node) func() float64 {
		step, err := gainLoop(o.Now, n)
		fault = errors.Join(fault, err)
		return func() float64 { return perOp(o.Each, step) }
	}
	base, subject := work(gainNode()), work(guest)
	if fault != nil {
		return r, fault
	}
	r = pair(o, r, base, subject)
	r.Met = r.Met && r.Value <= float64(sandboxMost)
	return r, nil
}

// gainNode does in the process what the guest does.
func gainNode() node.Node {
	var out [node.FrameSamples]int16
	return &node.Func{
		About: node.Declaration{Type: "gain", Scope: node.ScopeSession},
		Event: func(ctx *node.Context, ev *node.Event) error {
			louder := *ev
			for i, s := range ev.PCM {
				out[i] = int16(max(-32768, min(32767, int(s)*3/2)))
			}
			louder.PCM = out[:len(ev.PCM)]
			ctx.Emit(&louder)
			return nil
		},
	}
}

// still is a session in which nothing happens.
type still struct{}

func (still) Now() node.Instant                          { return 0 }
func (still) WakeAt(node.Instant)                        {}
func (still) Count(string, int64)                        {}
func (still) RemainingMS() int64                         { return -1 }
func (still) Get(node.StateClass, string) ([]byte, bool) { return nil, false }
func (still) Put(node.StateClass, string, []byte) error  { return nil }
func (still) Conversation() []node.Message               { return nil }

func gainLoop(now func() time.Time, n node.Node) (loop, error) {
	var sum int64
	ctx := &node.Context{
		Session: "bench", Node: "gain", Cancel: node.NewCancelToken(context.Background()), Budget: still{}, Timebase: still{}, State: still{}, Telemetry: still{},
		Out: func(ev *node.Event) { sum += int64(ev.PCM[0]) + int64(ev.PCM[node.FrameSamples-1]) },
	}
	if err := errors.Join(n.Init(ctx), n.Start(ctx)); err != nil {
		return nil, err
	}
	ev := node.Event{Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, PCM: make([]int16, node.FrameSamples)}
	for i := range ev.PCM {
		ev.PCM[i] = 1000
	}
	return func(times int) time.Duration {
		sum = 0
		start := now()
		for range times {
			if err := n.OnEvent(ctx, &ev); err != nil {
				panic(err) // the guest is ours
			}
		}
		took := now().Sub(start)
		if sum != int64(times)*3000 {
			panic("bench: the gain is wrong")
		}
		return took
	}, nil
}
