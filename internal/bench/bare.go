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
// the sink. No inbox, no wheel, no kernel, no other goroutine. The frames are those of so
// many sessions in turn: of one everything is in the cache, of thousands nothing.
func bareFrames(o Options, sessions int) (in, out float64) {
	return perOp(o.Each, bareCaller(o.Now, sessions)), perOp(o.Each, bareAgent(o.Now, sessions))
}

// ear is what a caller frame passes.
type ear struct {
	ring     connection.Ring
	reader   *connection.Reader
	detector *vad.EndpointNode
}

func bareCaller(now func() time.Time, sessions int) loop {
	ears := make([]ear, sessions)
	for i := range ears {
		detector, err := vad.NewEndpointNode(quiet{}, vad.EndpointerConfig{})
		if err != nil {
			panic(err) // the default configuration is valid
		}
		ears[i].reader, ears[i].detector = ears[i].ring.Listen(0), detector
	}
	ctx := &node.Context{Out: func(*node.Event) {}}
	frame, heard := make([]int16, transport.FrameSamples), make([]int16, transport.FrameSamples)
	next := 0
	return func(n int) time.Duration {
		start := now()
		for range n {
			e := &ears[next]
			if next++; next == sessions {
				next = 0
			}
			e.ring.Write(frame)
			got, at := e.reader.Read(heard, -1)
			ev := node.Event{
				Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, Sample: int64(at), PCM: heard[:got],
			}
			if err := e.detector.OnEvent(ctx, &ev); err != nil {
				panic(err) // it has no way to fail
			}
		}
		return now().Sub(start)
	}
}

// mouth is what an agent frame passes.
type mouth struct {
	sink   line
	fences connection.Fences
	egress *connection.Egress
}

func bareAgent(now func() time.Time, sessions int) loop {
	mouths := make([]mouth, sessions)
	for i := range mouths {
		m := &mouths[i]
		m.egress = connection.NewEgress(connection.Settings{Fences: &m.fences, Sink: &m.sink, Release: func(int64) {}})
	}
	at := timebase.Instant(timebase.Second)
	piece := make([]int16, timebase.SampleRate/2)
	next := 0
	return func(n int) time.Duration {
		start := now()
		for sent := int64(0); sent < int64(n); {
			m := &mouths[next]
			if m.egress.Queued() < transport.FrameSamples {
				m.egress.Play(at, "turn", 1, 1, piece, false)
			}
			before := m.sink.frames.Load()
			m.egress.Tick(at)
			sent += max(1, m.sink.frames.Load()-before)
			if next++; next == sessions {
				next, at = 0, at.Add(20*timebase.Millisecond)
			}
		}
		return now().Sub(start)
	}
}
