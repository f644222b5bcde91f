// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/child"
	"github.com/parley-voice/parley/node/external/hostile"
)

// runTestNode is placed here until the tests of the child need more.
func runTestNode(name string) error { return fmt.Errorf("no test node %q", name) }

func runHost() error { return child.Main(nil, child.Options{}) }

func polite(tb testing.TB) json.RawMessage {
	tb.Helper()
	return hostile.Config(hostile.Polite, self(tb), "node-hostile")
}

// Events cross, with all that they have, in both directions, audio by its own frames.
func TestEventsCross(t *testing.T) {
	k, log := newKind(t, nil)
	n, h := open(t, k, polite(t), "")
	for i := range int64(100) {
		if err := n.OnEvent(h.context, audio(i*node.FrameSamples)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.OnEvent(h.context, segment("one")); err != nil {
		t.Fatal(err)
	}
	list := h.list()
	if len(list) != 101 || list[100].Text != "one" {
		t.Fatalf("%d events came back: an answer that is not waited for comes later", len(list))
	}
	for i, ev := range list[:100] {
		want := audio(int64(i) * node.FrameSamples)
		if ev.Sample != want.Sample || !slices.Equal(ev.PCM, want.PCM) || ev.Kind != eventabi.KindAudio || ev.Type != node.TypeAudioChunk || ev.Class != eventabi.ClassAudioRaw {
			t.Fatalf("frame %d came back as %+v", i, ev)
		}
	}
	if err := n.Stop(h.context); err != nil {
		t.Error(err)
	}
	if err := n.Stop(h.context); err != nil {
		t.Error(err)
	}
	if s := status(t, k); s.State != "running" || s.Instances != 0 || s.Events != 101 || s.Late != 0 || s.Unknown != 0 || s.OverheadP50 == 0 {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(log.String(), "a node's process has started") {
		t.Error(log)
	}
	t.Log(log, h.counted(), status(t, k))
}
