// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// genWatch is the sound of one turn: what was handed over and what reached the sink.
type genWatch struct {
	generation uint32
	turn       eventabi.TurnID
	handed     timebase.Samples
	reached    timebase.Samples
	handle     int64 // of the last chunk handed over
	sunk       int64 // of the last chunk that reached the sink
	ended      bool
	fenced     bool
	fencedNow  bool // in this step
	old        bool // its epoch is not in force any more
	held       bool
	all        bool // held with its protected part
	over       bool // played to the end
	cut        bool // the synthesis of a segment was cancelled or failed
	spoken     int  // its first entry in watch.spoken
}

// speechWatch is a chunk on its way to egress.
type speechWatch struct {
	call    eventabi.InvocationID
	handle  int64
	samples timebase.Samples
	at      timebase.Instant
}

// spokenWatch is a segment that was handed to the synthesiser.
type spokenWatch struct {
	generation uint32
	call       eventabi.InvocationID
	runes      int64
	samples    timebase.Samples
}

func (k *watch) gen(generation uint32) int {
	for i := len(k.gens) - 1; i >= 0; i-- {
		if k.gens[i].generation == generation {
			return i
		}
	}
	return -1
}

func (k *watch) genOf(turn eventabi.TurnID) int {
	for i := len(k.gens) - 1; i >= 0; i-- {
		if k.gens[i].turn == turn {
			return i
		}
	}
	return -1
}

// generation finds a generation or notes a new one.
func (k *watch) generation(turn eventabi.TurnID, generation uint32) *genWatch {
	i := k.gen(generation)
	if i < 0 {
		k.ok(GenerationsRise, generation > k.topGen, "a generation below one before it")
		k.topGen = generation
		i = k.newGen(turn, generation)
	}
	g := &k.gens[i]
	if turn != "" {
		k.ok(GenerationsRise, g.turn == "" || g.turn == turn, "two turns share a generation")
		g.turn = turn
	}
	return g
}

func (k *watch) newGen(turn eventabi.TurnID, generation uint32) int {
	k.gens = append(k.gens, genWatch{generation: generation, turn: turn, spoken: len(k.spoken)})
	return len(k.gens) - 1
}

func (k *watch) fence(e *session.Fence) {
	if e.Session {
		for i := range k.gens {
			k.gens[i].fencedNow = k.gens[i].fencedNow || !k.gens[i].fenced
			k.gens[i].fenced, k.gens[i].held = true, false
		}
		return
	}
	i := k.gen(e.Generation)
	if i < 0 { // it stands before everything else of its step, also of turns before its own
		i = k.newGen(e.Turn, e.Generation)
	}
	g := &k.gens[i]
	k.ok(FenceOnce, !g.fenced, "a generation was fenced twice")
	g.fenced, g.held, g.fencedNow = true, false, true
}

// took notes that a chunk was played or discarded, in the order of arrival, and gives its call.
// Behind one that waits for room at egress others can be discarded.
func (k *watch) took(handle int64, samples timebase.Samples) (call eventabi.InvocationID) {
	list := k.pass.speeches
	i := slices.IndexFunc(list, func(s speechWatch) bool { return s.handle == handle })
	good := i == 0 && (samples == 0 || list[0].samples == samples) || i > 0 && samples == 0
	if k.ok(NoChunkLeaked, good, "a chunk that did not arrive, or is not the next, or not whole") {
		call = list[i].call
		k.pass.speeches = append(list[:i], list[i+1:]...)
	}
	return call
}

// chunksSettled checks that chunks which were neither played nor discarded wait for room
// at egress, and for how long.
func (k *watch) chunksSettled(w *world) {
	list := k.pass.speeches
	if len(list) == 0 {
		return
	}
	if k.ended || k.faulted {
		k.pass.speeches = list[:0]
		return
	}
	d, _ := w.kernel.Depth(turn.EdgeTTSTransport)
	k.ok(NoChunkLeaked, d.Waiting == int64(len(list)), "a chunk was neither played nor discarded")
	k.by(WaitsCapped, list[0].at.Add(timebase.MS(k.edge(turn.EdgeTTSTransport).policy.MaxBlockTimeMS)), "a chunk")
}

func (k *watch) play(e *session.Play) {
	g := k.generation(e.Turn, e.Generation)
	k.ok(FencedNeverPlayed, !g.fenced, "a chunk was handed over behind the fence")
	k.ok(OldEpochNeverPlayed, !g.old, "a chunk of an old epoch was handed over")
	k.ok(NothingAfterEnd, !g.ended, "a chunk after end_of_audio")
	k.ok(PlayedInOrderOnce, e.Handle > g.handle && e.Samples > 0, "a chunk out of order, twice, or empty")
	call := k.took(e.Handle, e.Samples)
	g.handle = e.Handle
	g.handed += e.Samples
	for i := len(k.spoken) - 1; i >= 0; i-- { // a later segment may have begun meanwhile
		if s := &k.spoken[i]; s.call == call && s.generation == e.Generation {
			s.samples += e.Samples
			break
		}
	}
}

// says notes a segment on its way to sound.
func (k *watch) says(e *session.Say) {
	k.voiced(e)
	if i := k.turn(e.Turn); i >= 0 {
		k.ok(WrittenUnspoken, !k.turns[i].text, "an answer that is to be written is spoken")
	}
	k.start(e.Invocation, voice, e.Turn, e.Attempt, e.Candidate)
	k.nested(e.TimeoutMS)
	k.generation(e.Turn, e.Generation)
	if n := len(k.spoken); n > 0 && k.spoken[n-1].call == e.Invocation {
		return // another attempt
	}
	k.saying()
	k.spoken = append(k.spoken, spokenWatch{generation: e.Generation, call: e.Invocation, runes: k.texts[e.Text].ref.Runes})
}

func (k *watch) endOfAudio(e *session.EndOfAudio) {
	g := k.generation(e.Turn, e.Generation)
	k.ok(NothingAfterEnd, !g.ended, "end_of_audio twice")
	g.ended = true
}

func (k *watch) hold(e *session.Hold) {
	g := k.generation(e.Turn, e.Generation)
	k.ok(HoldsPaired, (!g.held || g.all != e.All) && (!g.fenced || g.fencedNow), "hold of what is held or fenced")
	if g.fenced {
		return // its fence was moved ahead of it
	}
	if !k.holding() {
		k.talk.heldFrom = k.now
	}
	g.held, g.all = true, e.All
}

func (k *watch) resume(generation uint32) {
	g := k.generation("", generation)
	k.ok(HoldsPaired, g.held && !g.fenced, "resume of what is not held, or fenced")
	g.held = false
}

// sunk is the sink: samples went out.
func (k *watch) sunk(generation uint32, c *chunk, samples timebase.Samples) {
	i := k.gen(generation)
	if !k.ok(PlayedInOrderOnce, i >= 0, "samples of a generation that nobody handed over") {
		return
	}
	g := &k.gens[i]
	if g.fenced {
		k.afterFence++
	}
	k.ok(FencedNeverPlayed, !g.fenced, "samples reached the sink behind the fence")
	k.ok(OldEpochNeverPlayed, !g.old, "samples of an old epoch reached the sink")
	k.ok(PlayedInOrderOnce, c.handle >= g.sunk, "samples reached the sink out of order")
	g.sunk = c.handle
	g.reached += samples
	k.ok(PlayedInOrderOnce, g.reached <= g.handed, "more samples reached the sink than were handed over")
	if g.held {
		k.ok(HoldKeepsPlace, c.protected && !g.all, "samples reached the sink during a hold")
	}
}

// playback checks the delivery signals of a turn.
func (k *watch) playback(v *eventabi.Envelope) {
	i, g := k.turn(v.TurnID), k.genOf(v.TurnID)
	if i < 0 {
		k.ok(AcceptedWhileActive, false, "playback of a turn that never opened")
		return
	}
	t := &k.turns[i]
	fenced := g >= 0 && k.gens[g].fenced
	switch {
	case v.Signal == eventabi.SignalOutputAccepted:
		k.ok(AcceptedWhileActive, i == k.live && k.pass.terminal == "", "output_accepted of a turn that is not live")
		k.ok(FencedNeverPlayed, !fenced || k.gens[g].fencedNow, "output_accepted behind the fence")
		t.accepted++
		t.flows = true
		k.pass.accepted = v.TurnID
	case v.Signal == eventabi.SignalPlaybackStarted:
		k.ok(StartedOnce, !t.started && t.accepted > 0 && (!fenced || k.gens[g].fencedNow), "playback_started twice, of nothing, or behind the fence")
		t.started = true
	case v.Signal == eventabi.SignalPlaybackCompleted:
		k.ok(PlaybackEndsOnce, !t.playbackOver, "playback ended twice")
		k.ok(CompletedIsWhole, g >= 0 && t.started && k.gens[g].reached == k.gens[g].handed && k.gens[g].ended,
			"playback_completed, but not everything reached the sink")
		t.playbackOver = true
		if g >= 0 {
			k.gens[g].over, k.gens[g].held = true, false
		}
	case v.Signal == eventabi.SignalPlaybackCancelled:
		k.ok(PlaybackEndsOnce, !t.playbackOver && t.accepted > 0, "playback ended twice, or of nothing")
		k.ok(CancelIsFenced, fenced, "playback_cancelled without a fence")
		t.playbackOver = true
	}
}

// holdBounds checks that egress is never held longer than speech, a transcript that is
// awaited, a lost link or protected output explain (lifecycle section 7.1).
func (k *watch) holdBounds(w *world) {
	held := k.holding()
	excused := held && k.excused(w)
	if held && (excused || k.talk.excused) {
		k.talk.heldFrom = k.now
	}
	k.talk.excused = excused
	if held && !excused {
		k.by(HoldBounded, k.talk.heldFrom.Add(k.rules.minInterruption+k.rules.falseInterruption+k.rules.transcriptWait), "a hold")
	}
}

// holding says that something is held that is or will be sound.
func (k *watch) holding() bool {
	for i := max(0, len(k.gens)-maxOutputs); i < len(k.gens); i++ {
		if g := &k.gens[i]; g.held && (g.handed > 0 || k.liveGen(i) && !k.turns[k.live].appendAsked) {
			return true
		}
	}
	return false
}

// excused says why a hold may go on.
func (k *watch) excused(w *world) bool {
	if k.talk.voiced || k.link != controlplane.ConnectionConnected {
		return true
	}
	working := false
	for i := range k.open {
		c := &k.open[i]
		if c.kind == recognise && c.finalized && c.state == running {
			return true // its transcript decides
		}
		working = working || c.kind != recognise && c.state != cancelled
	}
	if !w.egress.guarding() {
		return k.talk.owed && working // protected text is still on its way to sound
	}
	return !w.egress.standing()
}
