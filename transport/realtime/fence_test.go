// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"encoding/base64"
	"testing"

	"github.com/parley-voice/parley/transport"
)

// The filter's memory of an answer that was fenced is no part of the next one.
func TestNothingOfTheAnswerBefore(t *testing.T) {
	c, sent := loose(t)
	loud := make([]int16, transport.FrameSamples)
	for i := range loud {
		loud[i] = int16(20000 * (1 - 2*(i/8%2)))
	}
	for _, f := range []transport.Frame{
		{Turn: "t1", Generation: 1, Voiced: transport.FrameSamples, PCM: loud},
		{Turn: "t2", Generation: 2, Voiced: transport.FrameSamples, PCM: make([]int16, transport.FrameSamples)},
	} {
		if err := c.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
		c.Fence(transport.Fence{Turn: "t1", Generation: 1})
	}
	var last string
	for _, e := range sent() {
		if e["type"] == evAudioDelta {
			last = e["delta"].(string)
		}
	}
	sound, err := base64.StdEncoding.DecodeString(last)
	if err != nil || len(sound) == 0 {
		t.Fatalf("no sound came: %v", err)
	}
	for i, b := range sound {
		if b != 0 {
			t.Fatalf("byte %d of silence is %d", i, b)
		}
	}
}

// A fence of a generation whose turn is not known holds its sound back, and makes up no turn.
func TestFenceWithoutATurn(t *testing.T) {
	c, sent := loose(t)
	c.Fence(transport.Fence{Generation: 1})
	if len(c.turns) != 0 {
		t.Errorf("%d turns", len(c.turns))
	}
	if err := c.WriteFrame(&transport.Frame{Turn: "t1", Generation: 1, Voiced: 320, PCM: make([]int16, transport.FrameSamples)}); err != nil {
		t.Fatal(err)
	}
	for _, e := range sent() {
		if e["type"] == evAudioDelta {
			t.Error("its sound came")
		}
	}
}
