// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
)

// line is a transport that takes what it is given and counts it.
type line struct {
	in     transport.Ingress
	frames atomic.Int64
}

func (l *line) connect(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	l.in = in
	return l, nil
}

func (l *line) WriteFrame(*transport.Frame) error {
	l.frames.Add(1)
	return nil
}

func (*line) Fence(transport.Fence) {}
func (*line) Close(string) error    { return nil }

// quiet is a detector that hears speech where samples are loud and costs nothing: what
// is measured is Parley, not the network that detects speech.
type quiet struct{}

func (quiet) Probability(frame *[vad.FrameSamples]int16) float32 {
	if frame[0] > 1000 {
		return 0.9
	}
	return 0
}

func (quiet) Reset() {}

// reply is long enough that a cancel finds it playing.
const reply = "Once upon a time there was a lighthouse on a rock in the sea. " +
	"The keeper climbed its ninety steps every evening, in every weather, and lit the lamp."

// engines answer at once. A process has one of each, whatever the number of sessions.
func engines() invocation.Providers {
	return invocation.Providers{
		STT: &providertest.FakeSTT{Utterances: []providertest.Utterance{providertest.Say("tell me a story", 4000)}},
		LLM: &providertest.FakeLLM{Replies: []string{reply}},
		TTS: &providertest.FakeTTS{Silent: true},
	}
}

// settings opens a session.
func settings(id int, l *line, p invocation.Providers) sessionhost.Settings {
	return sessionhost.Settings{
		Bootstrap: session.Bootstrap{
			Session: eventabi.SessionID(fmt.Sprintf("bench-%d", id)), Tenant: "bench", Pipeline: "voice-1",
			Profile: controlplane.ProfileSimple, Graph: "voice/1", Epoch: 1,
		},
		Kind:       "bench",
		Connect:    l.connect,
		Providers:  p,
		Endpointer: func() (node.Node, error) { return vad.NewEndpointNode(quiet{}, vad.EndpointerConfig{}) },
		Segmenter:  func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
		Language:   "en",
		TextKey:    1,
	}
}
