// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/observability/replay"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/noisegate"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider/providertest"
)

// jumpy hears speech in the least noise.
type jumpy struct{}

func (jumpy) Probability(frame *[vad.FrameSamples]int16) float32 {
	if slices.ContainsFunc(frame[:], func(v int16) bool { return v > 20 || v < -20 }) {
		return 0.9
	}
	return 0.05
}
func (jumpy) Reset() {}

// From the file of the example to the sound: behind the gate a detector that would take the noise
// of the line for speech hears the one thing that is said, and its recording replays.
func TestNoiseGateOfTheExample(t *testing.T) {
	name := "examples/specs/noise-gate.yaml"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	kinds := &node.Registry{}
	if err := kinds.Register(noisegate.Type, noisegate.Kind()); err != nil {
		t.Fatal(err)
	}
	spec, err := parley.ReadFlow(parley.FlowSource{Name: name, Spec: text, Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	for _, gated := range []bool{true, false} {
		c := parley.Config{
			STT: &providertest.FakeSTT{Utterances: []providertest.Utterance{providertest.Say("where is my parcel", 4000)}},
			LLM: &providertest.FakeLLM{Replies: []string{"On its way."}}, TTS: &providertest.FakeTTS{},
			Endpointer: func() (node.Node, error) { return vad.NewEndpointNode(jumpy{}, vad.EndpointerConfig{}) },
			Segmenter:  func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
		}
		if gated {
			if err := c.Use(spec, kinds, parley.Engines{}); err != nil {
				t.Fatal(err)
			}
		}
		v, err := parley.NewVirtual(c, time.UnixMilli(1_790_000_000_000))
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "r")
		caller := &typist{}
		s, err := v.Start(t.Context(), parley.Call{ID: "s1", Transport: caller, TextKey: 1, Record: dir})
		if err != nil {
			t.Fatal(err)
		}
		frames := 0
		v.Every(20*time.Millisecond, func() bool {
			level := int16(60) // -54 dBFS
			if frames >= 100 && frames < 150 {
				level = 5000
			}
			caller.in.Audio(-1, slices.Repeat([]int16{level}, node.FrameSamples))
			if frames++; frames == 500 {
				s.Close("test_over")
			}
			return frames < 500
		})
		if err := v.Run(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		heard := s.Conversation().HeardText("t1")
		if gated != (heard == "On its way.") {
			t.Errorf("gate %t: heard %q", gated, heard)
		}
		report, err := replay.Run(dir, time.Now)
		if err != nil || report.Divergence != nil || report.Decisions == 0 {
			t.Errorf("gate %t: the recording does not replay: %v %+v", gated, err, report.Divergence)
		}
	}
}
