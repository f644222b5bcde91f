// SPDX-License-Identifier: Apache-2.0

package noisegate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
)

func TestConforms(t *testing.T) { nodetest.Conform(t, Kind(), `{"hold_ms":100}`) }

// frames runs the gate over frames of a level each, and gives the level of the last sample.
func frames(t *testing.T, config string, levels ...int16) (out []int16) {
	t.Helper()
	n, err := Kind().New(json.RawMessage(config))
	if err != nil {
		t.Fatal(err)
	}
	ctx := &node.Context{Out: func(ev *node.Event) {
		if ev.Type != node.TypeAudioChunk || len(ev.PCM) != node.FrameSamples {
			t.Fatalf("it gives %s with %d samples", ev.Type, len(ev.PCM))
		}
		out = append(out, ev.PCM[len(ev.PCM)-1])
	}}
	for i, level := range levels {
		pcm := slices.Repeat([]int16{level}, node.FrameSamples)
		if err := n.OnEvent(ctx, &node.Event{Type: node.TypeAudioChunk, Sample: int64(i * node.FrameSamples), PCM: pcm}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// What is quieter than open_db is turned down by floor_db; speech goes through as it is, and the
// gate stays open for hold_ms behind it.
func TestOpensAndCloses(t *testing.T) {
	const noise, speech = 100, 8000 // -50 dBFS is 104, -45 is 184
	got := frames(t, `{"hold_ms":40}`, noise, noise, speech, speech, noise, noise, noise, noise)
	want := []int16{1, 1, speech, speech, noise, noise, 1, 1}
	if !slices.Equal(got, want) {
		t.Errorf("the levels are %d, want %d", got, want)
	}
	// Between the two thresholds an open gate stays open, and a closed one closed.
	if got := frames(t, `{"hold_ms":0}`, 150, speech, 150, 150); !slices.Equal(got, []int16{1, speech, 150, 150}) {
		t.Errorf("between the thresholds the levels are %d", got)
	}
	if got := frames(t, `{"floor_db":0}`, noise); got[0] != noise {
		t.Errorf("with nothing to turn down noise is at %d", got[0])
	}
}

func TestConfigIsChecked(t *testing.T) {
	_, err := Kind().Describe(json.RawMessage(`{"open_db":-60,"hold_ms":-1,"floor_db":3}`))
	for _, part := range []string{"config.close_db: -50: give at most open_db", "config.hold_ms: -1: give 0 to 10000", "config.floor_db: 3:"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
}

func TestFrameCostsNoAllocation(t *testing.T) {
	n, err := Kind().New(nil)
	if err != nil {
		t.Fatal(err)
	}
	given := 0
	ctx := &node.Context{Out: func(*node.Event) { given++ }}
	ev := node.Event{Type: node.TypeAudioChunk, PCM: slices.Repeat([]int16{60}, node.FrameSamples)}
	if allocs := testing.AllocsPerRun(100, func() { _ = n.OnEvent(ctx, &ev) }); allocs != 0 || given == 0 {
		t.Errorf("%v allocations for a frame, %d given", allocs, given)
	}
}

func BenchmarkFrame(b *testing.B) {
	n, err := Kind().New(nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx := &node.Context{Out: func(*node.Event) {}}
	ev := node.Event{Type: node.TypeAudioChunk, PCM: slices.Repeat([]int16{60}, node.FrameSamples)}
	b.ReportAllocs()
	for b.Loop() {
		_ = n.OnEvent(ctx, &ev)
	}
}
