// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
)

// settles waits until a node of this package has done what it was given.
func settles(tb testing.TB, n node.Node) {
	tb.Helper()
	s, ok := n.(interface{ Settled() bool })
	if !ok {
		tb.Fatalf("%T does not tell whether it has settled", n)
	}
	until(tb, "all events are done", s.Settled)
}

// Nodes of the tree keep the contract in a process of their own, unchanged (domain node/external/v1,
// the custom set; the other categories are the tests of instance_test.go, by name).
func TestConformance(t *testing.T) {
	text := func(s string) node.Event {
		return node.Event{Kind: eventabi.KindText, Type: node.TypeTextDelta, Class: eventabi.ClassTextRaw, Invocation: "c1", Text: s}
	}
	var sounds []node.Event
	for i := range 80 { // 1.6 s, loud in the second quarter
		pcm := make([]int16, node.FrameSamples)
		for k := range pcm {
			if i >= 20 && i < 40 {
				pcm[k] = 5000
			}
		}
		sounds = append(sounds, node.Event{Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, Sample: int64(i * node.FrameSamples), PCM: pcm})
	}
	for name, events := range map[string][]node.Event{
		"endpointer": sounds,
		"segmenter": {
			{Kind: eventabi.KindText, Type: node.TypeTextStart, Class: eventabi.ClassTextRaw, Invocation: "c1"},
			text("Once upon a time there "), text("was a lighthouse. And so on "),
			{Kind: eventabi.KindText, Type: node.TypeTextEnd, Class: eventabi.ClassTextRaw, Invocation: "c1"},
		},
		"puppet": {*segment("emit one"), *segment("put two"), *segment("get"), *segment("seed"), *segment("wake"), *segment("conversation")},
	} {
		t.Run(name, func(t *testing.T) {
			k, _ := newKind(t, nil)
			var latest node.Node
			nodetest.Test(t, nodetest.Suite{
				New: func(t *testing.T) node.Node {
					t.Helper()
					n, err := k.New(testConfig(t, name, map[string]any{"limits": map[string]any{"cancel_ms": 30000, "time_ms": 5000, "concurrency": 64}}))
					if err != nil {
						t.Fatal(err)
					}
					latest = n
					return n
				},
				Events: events, Advance: 100 * time.Millisecond,
				Settle: func(*nodetest.Harness) { settles(t, latest) },
			})
			if s := status(t, k); s.Starts != 1 || s.Failures != 0 || s.Unknown != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}
