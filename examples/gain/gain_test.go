// SPDX-License-Identifier: Apache-2.0

package gain

import (
	"encoding/json"
	"testing"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
)

func TestGain(t *testing.T) {
	nodetest.Conform(t, Kind(), `{"db":12}`)
	n, err := Kind().New(json.RawMessage(`{"db":20}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []int16
	ctx := &node.Context{Out: func(ev *node.Event) { got = append(got, ev.PCM...) }}
	if err := n.OnEvent(ctx, &node.Event{Type: node.TypeAudioChunk, PCM: []int16{100, -200, 30000}}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0] != 1000 || got[1] != -2000 || got[2] != 32767 {
		t.Errorf("it gives %d", got)
	}
}

func TestGainRefuses(t *testing.T) {
	if _, err := Kind().Describe(json.RawMessage(`{"db":60}`)); err == nil {
		t.Error("it takes 60 dB")
	}
}
