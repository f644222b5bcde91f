// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/connection"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/transport"
)

// bareFrames is what a frame costs in a loop, with the session's own parts and nothing
// between them: of a caller frame the write into the ring, the read from it and the
// detector; of an agent frame the pacing, the comparison with the fence and the call of
// the sink. No inbox, no wheel, no kernel, no other goroutine, and everything in the cache.
func bareFrames(o Options) (in, out float64) {
	return perOp(o.Each, bareCaller(o.Now)), perOp(o.Each, bareAgent(o.Now))
}

func bareCaller(now func() time.Time) loop {
	var ring connection.Ring
	reader := ring.Listen(0)
	detector, err := vad.NewEndpointNode(quiet{}, vad.EndpointerConfig{})
	if err != nil {
		panic(err) // the default configuration is valid
	}
	ctx := &node.Context{Out: func(*node.Event) {}}
	frame, heard := make([]int16, transport.FrameSamples), make([]int16, transport.FrameSamples)
	return func(n int) time.Duration {
		start := now()
		for range n {
			ring.Write(frame)
			got, at := reader.Read(heard, -1)
			ev := node.Event{
				Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, Sample: int64(at), PCM: heard[:got],
			}
			if err := detector.OnEvent(ctx, &ev); err != nil {
				panic(err) // it has no way to fail
			}
		}
		return now().Sub(start)
	}
}

func bareAgent(now func() time.Time) loop {
	sink := &line{}
	var fences connection.Fences
	egress := connection.NewEgress(connection.Settings{Fences: &fences, Sink: sink, Release: func(int64) {}})
	at := timebase.Instant(timebase.Second)
	piece := make([]int16, timebase.SampleRate/2)
	return func(n int) time.Duration {
		start := now()
		for sent := int64(0); sent < int64(n); {
			if egress.Queued() < transport.FrameSamples {
				egress.Play(at, "turn", 1, 1, piece, false)
			}
			at = at.Add(20 * timebase.Millisecond)
			before := sink.frames.Load()
			egress.Tick(at)
			sent += max(1, sink.frames.Load()-before)
		}
		return now().Sub(start)
	}
}
