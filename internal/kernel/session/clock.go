// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// What an anchor is rebased from: the keys of nondeterministic inputs.
const (
	keyWall  = "timebase.wall"
	keyMedia = "timebase.media"
)

// codeOutOfBounds refuses an observation beyond ten times max_skew_ms (flow section 6).
const codeOutOfBounds = "timebase_out_of_bounds"

// clockReading holds the wall clock against its projection.
func (m *Machine) clockReading(in *ClockReading) {
	skew, v := m.clock.Read(m.now, in.WallMS)
	m.observed(keyWall, in, skew, v)
}

// hear takes how far the caller's sound has come. What was heard before is no news.
func (m *Machine) hear(end timebase.Samples, in Input) {
	if end <= m.heard {
		return
	}
	m.heard = end
	skew, v := m.clock.Hear(m.now, end)
	m.observed(keyMedia, in, skew, v)
}

// observed evidences what an observation of a clock came to. A rebase depends on a value
// that no plan could derive; the input that brought it is the evidence, and the entry is
// appended to the turn's DeterminismContext (turn-plan section 2).
func (m *Machine) observed(key string, in Input, skew timebase.Span, v timebase.Verdict) {
	switch v {
	case timebase.Rebased:
		e := &Nondeterministic{
			Key: key, Source: controlplane.SourceSystemTime, SkewUS: int64(skew / timebase.Microsecond),
			Ref: "input/" + strconv.FormatInt(int64(m.identity.sequence), 10),
		}
		if m.arbiter.Live() {
			e.Turn = m.turn.id
		}
		m.fx.add(e)
	case timebase.Refused:
		m.refuse(codeOutOfBounds, in.kind(), "")
	case timebase.Kept:
	}
}

// domainCaller names the caller's audio and what is derived from it in place.
const domainCaller = "caller_audio"

// gap is the missing caller audio that was marked last.
type gap struct {
	end    timebase.Samples
	number int64
}

// audioGap takes caller audio that did not come. What the adapter did not conceal is
// marked, once a stretch however many reports it comes in, so that whoever follows the
// caller's audio starts afresh behind it (flow section 6).
func (m *Machine) audioGap(in *AudioGap) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) {
		return
	}
	m.authority.staleRun = false
	if in.Sample < 0 || in.Samples <= 0 || in.Concealed < 0 || in.Concealed > in.Samples || in.Sample+in.Samples < 0 {
		m.refuse("malformed_gap", in.kind(), "")
		return
	}
	m.counters.Missing += in.Samples
	m.counters.Concealed += in.Concealed
	if in.Concealed < in.Samples {
		if m.gap.number == 0 || in.Sample != m.gap.end { // else the stretch goes on
			m.discontinuity(in)
		}
		m.gap.end = in.Sample + in.Samples
	}
	m.hear(in.Sample+in.Samples, in)
}

// discontinuity marks a gap in the caller's audio (event-abi section 5).
func (m *Machine) discontinuity(in *AudioGap) {
	m.counters.Gaps++
	m.gap.number++
	reason := in.Reason
	if reason == "" {
		reason = "lost"
	}
	e := m.emit(eventabi.SignalDiscontinuity, eventabi.EmitterSync, "", reason)
	e.SyncDomain = domainCaller
	e.DiscontinuityID = "d" + strconv.FormatInt(m.gap.number, 10)
	body := m.fx.body(80)
	body.int("sample_index", int64(in.Sample))
	body.int("samples", int64(in.Samples))
	body.int("concealed", int64(in.Concealed))
	e.Payload = body.done()
}
