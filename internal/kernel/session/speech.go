// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// chunk is a piece of synthesised sound on its way to egress.
type chunk struct {
	handle     int64
	samples    timebase.Samples
	end        timebase.Samples // its place behind what egress has and what waits ahead of it
	generation uint32
	segment    int
	call       eventabi.InvocationID
}

// speech takes a chunk of audio: the fence and the epoch are checked here and again at
// the last write. It goes out by way of its edge.
func (m *Machine) speech(in *Speech) {
	c := m.result(in.Invocation, in.Attempt, callTTS, in)
	if c == nil {
		m.fx.add(&Discard{Handle: in.Handle})
		return
	}
	out := m.turn.output
	cur := out.reply.Current()
	if in.Chunk != c.chunks || in.Samples <= 0 || cur == nil {
		m.refuse("chunk_out_of_order", in.kind(), c.turn)
		m.fx.add(&Discard{Handle: in.Handle})
		return
	}
	c.chunks++
	m.renew(c)
	piece := chunk{
		handle: in.Handle, samples: in.Samples, end: out.accepted + m.parkedSamples() + in.Samples,
		generation: out.generation, segment: c.segment, call: c.id,
	}
	m.edge(edgeVoice)
	if len(m.edges.parked) > 0 {
		m.report() // what waited and was let in goes ahead
	}
	switch m.give(m.edges.number[edgeVoice]-1, flow.Item{
		Handle: in.Handle, Kind: flow.Audio, Lane: flow.Data, Stream: int64(out.generation),
		Group: m.bound(m.edges.number[edgeVoice]-1, segmentGroup(out.generation, c.segment)),
		Scope: out.generation, Bytes: int64(in.Samples) * bytesPerSample, Media: in.Samples.Span(),
		End: piece.end, Of: string(c.turn),
	}) {
	case flow.Taken:
		m.accept(&piece)
	case flow.Waits, flow.Overflow:
		m.edges.parked = append(m.edges.parked, piece)
	case flow.Refused, flow.Breach:
		cur.Lost = true
		m.fx.add(&Discard{Handle: in.Handle})
	}
}

// segmentGroup is the sync group of what belongs to one segment of a reply: one number in
// the session, so that a segment that was lost takes none of a later turn with it.
func segmentGroup(generation uint32, segment int) int64 {
	return int64(generation-1)*graph.MaxSegments + int64(segment) + 1
}

// unheard: a bound of the edge to egress let nothing of a segment through. A turn that went
// on would end well, and its listener would have heard a gap, or nothing: section 8 of flow
// decides, as where something protected has no room. While sound of it waits it is not lost.
func (m *Machine) unheard(i int) {
	reply := &m.turn.output.reply
	if !reply.Muted() && reply.Unheard(i) && !slices.ContainsFunc(m.edges.parked, func(c chunk) bool { return c.segment == i }) {
		m.overflow(turn.EdgeTTSTransport, stageSound)
	}
}

// unheardAny says that a segment is unheard, of which no text tells either.
func (m *Machine) unheardAny() bool {
	reply := &m.turn.output.reply
	for i := 0; !reply.Muted() && i < reply.Len(); i++ {
		if reply.Unheard(i) {
			return true
		}
	}
	return false
}

// accept hands a chunk that the edge has let in to egress.
func (m *Machine) accept(piece *chunk) {
	out := m.turn.output
	spoken := out.reply.At(piece.segment)
	first := spoken.Samples == 0
	spoken.Samples += piece.samples
	out.accepted += piece.samples
	out.chunks++
	out.last = piece.handle
	m.placeOutput(piece.segment)
	m.outputBegan()
	signal := m.emit(eventabi.SignalOutputAccepted, eventabi.EmitterEgress, out.turn, "")
	signal.ProviderInvocationID = piece.call
	m.fx.play(Play{Turn: out.turn, Generation: out.generation, Handle: piece.handle, Samples: piece.samples, Protected: spoken.Protected})
	if first { // the client reads what it begins to hear
		m.tell(FromAgentText, flow.Item{
			Handle: spoken.Text, Kind: flow.Final, Lane: flow.Data, Stream: -int64(out.generation), Group: segmentGroup(out.generation, piece.segment),
			Scope: out.generation, Bytes: mostBytes(spoken.Runes), Of: string(out.turn),
		})
	}
}

// letIn takes a chunk that waited for room at egress. The fence of one turn may make room
// for a chunk of the next, which is fenced right behind it: that one is discarded when it
// is released.
func (m *Machine) letIn(ev *flow.Event) {
	if m.edges.kinds[ev.Edge] != edgeVoice || m.turn.output == nil || m.turn.output.cancelled {
		return
	}
	for i := range m.edges.parked {
		if m.edges.parked[i].handle == ev.Handle {
			piece := m.edges.parked[i]
			m.unpark(ev.Handle)
			m.accept(&piece)
			m.finished()
			return
		}
	}
}

// unpark forgets a chunk that waited, and says whether it did.
func (m *Machine) unpark(handle int64) (piece chunk, waited bool) {
	for i := range m.edges.parked {
		if piece = m.edges.parked[i]; piece.handle == handle {
			m.edges.parked = append(m.edges.parked[:i], m.edges.parked[i+1:]...)
			return piece, true
		}
	}
	return chunk{}, false
}

// givenUp lets a chunk go that waited for room at egress in vain. What waits behind it, or
// has come in since, is that much nearer: else its end would never be played.
func (m *Machine) givenUp(piece *chunk, why flow.Reason) {
	m.fx.add(&Discard{Handle: piece.handle})
	for i := range m.edges.parked {
		if x := &m.edges.parked[i]; x.generation == piece.generation && x.end > piece.end {
			x.end -= piece.samples
		}
	}
	m.edges.board.Edge(m.edges.number[edgeVoice]-1).Closer(piece.generation, piece.end, piece.samples)
	if out := m.turn.output; out != nil && out.generation == piece.generation && !out.cancelled {
		if why != flow.Fenced {
			out.reply.At(piece.segment).Lost = true
			m.unheard(piece.segment)
		}
		m.finished() // it may have been the last that the turn waited for
	}
}

func (m *Machine) parkedSamples() (n timebase.Samples) {
	for i := range m.edges.parked {
		n += m.edges.parked[i].samples
	}
	return n
}

// playedOn keeps the books of the sound that lies with egress.
func (m *Machine) playedOn(out *output) {
	if n := m.edges.number[edgeVoice]; n > 0 {
		m.edges.board.Edge(n-1).Consume(m.now, out.generation, out.played, &m.edges.log)
		m.report() // what this lets the synthesiser do comes behind it
	}
}

// fenceEdges drops what lies on edges of a turn whose output is fenced.
func (m *Machine) fenceEdges(generation uint32) {
	m.edges.board.Purge(m.now, generation, flow.Fenced, &m.edges.log)
}

// drainReply takes what waits for the synthesiser off its edge, because it is delivered as
// text. Sound that waits with the synthesiser is given up.
func (m *Machine) drainReply() {
	if n := m.edges.number[edgeReply]; n > 0 {
		for ok := true; ok; {
			_, ok = m.edges.board.Edge(n-1).Take(m.now, &m.edges.log)
		}
	}
	if n := m.edges.number[edgeVoice]; n > 0 {
		m.edges.board.Edge(n-1).Withdraw(m.now, m.turn.output.generation, flow.Fenced, &m.edges.log)
	}
}

// giveUpRest drops what the turn will not say any more: segments that the synthesiser
// did not get, and sound that waits with it. What egress has is heard out.
func (m *Machine) giveUpRest(generation uint32) {
	if n := m.edges.number[edgeReply]; n > 0 {
		m.edges.board.Edge(n-1).Purge(m.now, generation, flow.Fenced, &m.edges.log)
	}
	if n := m.edges.number[edgeVoice]; n > 0 {
		m.edges.board.Edge(n-1).Withdraw(m.now, generation, flow.Fenced, &m.edges.log)
	}
}
