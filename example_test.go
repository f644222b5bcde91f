// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport/loopback"
)

// loudness is a detector for clean sound: what is loud is speech.
type loudness struct{}

func (loudness) Probability(frame *[vad.FrameSamples]int16) float32 {
	for _, sample := range frame {
		if sample > 1000 {
			return 0.9
		}
	}
	return 0.05
}

func (loudness) Reset() {}

// tone is something loud, in place of a voice.
func tone(d time.Duration) []int16 {
	pcm := make([]int16, int(d.Seconds()*16000))
	for i := range pcm {
		pcm[i] = 5000
	}
	return pcm
}

// A call whose caller is a timeline and whose engines are fakes, in virtual time: the
// caller asks, and cuts the answer short with the next question. What the agent is
// recorded to have said ends where the caller cut in.
func Example() {
	if err := converse(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// user: "tell me a story"
	// assistant, interrupted: "Once upon a time there "
	// user: "what time is it"
	// assistant: "It is noon."
	// frames after a fence: 0
}

func converse(ctx context.Context) error {
	world, err := parley.NewVirtual(parley.Config{
		STT: &providertest.FakeSTT{Utterances: []providertest.Utterance{
			providertest.Say("tell me a story", 4000), providertest.Say("what time is it", 4000),
		}},
		LLM: &providertest.FakeLLM{Replies: []string{
			"Once upon a time there was a lighthouse. Its keeper climbed the steps every evening.", "It is noon.",
		}},
		TTS:        &providertest.FakeTTS{},
		Endpointer: func() (node.Node, error) { return vad.NewEndpointNode(loudness{}, vad.EndpointerConfig{}) },
		Segmenter:  func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
	}, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		return err
	}
	line, err := loopback.New(loopback.Config{
		Manual: true, // virtual time sets the pace
		Length: 10 * time.Second,
		Clips:  []loopback.Clip{{At: time.Second, PCM: tone(time.Second)}, {At: 4 * time.Second, PCM: tone(time.Second)}},
	})
	if err != nil {
		return err
	}
	call, err := world.Start(ctx, parley.Call{ID: "example", Transport: line, TextKey: 1})
	if err != nil {
		return err
	}
	world.Every(20*time.Millisecond, line.Step)
	if err := world.Run(ctx, time.Minute); err != nil {
		return err
	}
	<-call.Done()
	for _, u := range call.Conversation().Utterances() {
		interrupted := ""
		if u.Interrupted {
			interrupted = ", interrupted"
		}
		fmt.Printf("%s%s: %q\n", u.Role, interrupted, u.Text)
	}
	fmt.Println("frames after a fence:", call.Stats().FramesAfterFence)
	return nil
}
