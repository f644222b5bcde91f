// SPDX-License-Identifier: Apache-2.0

package turn

import "github.com/parley-voice/parley/internal/kernel/timebase"

// Verdict is what the interruption policy says of a start of speech.
type Verdict uint8

// The verdicts.
const (
	VerdictWait    Verdict = iota // not decided: the hold stays
	VerdictConfirm                // it is an interruption
	VerdictResume                 // it was none: playback goes on
)

// TextKind is what the transcript of a start amounts to so far.
type TextKind uint8

// The kinds of text, as the policy tells them apart.
const (
	NoText TextKind = iota
	BackchannelText
	WordText
)

// Interruption judges one start of speech over assistant output (lifecycle section
// 7.1). The zero value judges nothing. It measures speech by the detector's own
// sample positions, so a slow detector does not make speech look longer.
type Interruption struct {
	open   bool
	voiced bool
	acc    timebase.Span    // speech of bits that are over
	since  timebase.Instant // voiced: when the detector said so
	lead   timebase.Span    // voiced: speech already over by then
	offAt  timebase.Instant // not voiced: when silence began, on the monotonic axis
	text   TextKind
	words  int64
	// ending: the utterance is over and its transcript is awaited. While this
	// end-of-turn decision is open the hold stays.
	ending bool
}

// Open says whether a start is being judged.
func (x *Interruption) Open() bool { return x.open }

// Start begins to judge, or goes on with a bit of speech that belongs to the same
// start. lead is how much speech the detector had heard when it said so.
func (x *Interruption) Start(at timebase.Instant, lead timebase.Span) {
	if !x.open {
		*x = Interruption{open: true}
	}
	x.voiced, x.since, x.lead = true, at, lead
}

// Pause ends a bit of speech that lasted length; silent says how long ago it ended.
func (x *Interruption) Pause(at timebase.Instant, length, silent timebase.Span) {
	if !x.open || !x.voiced {
		return
	}
	x.voiced = false
	x.acc += length
	x.offAt = at.Add(-silent)
}

// Text takes the latest transcript of the utterance.
func (x *Interruption) Text(kind TextKind, words int64) {
	if x.open {
		x.text, x.words = kind, words
	}
}

// Ending marks that the utterance is over and its final transcript awaited (true), or
// that it has arrived or will not come (false).
func (x *Interruption) Ending(awaited bool) {
	if x.open {
		x.ending = awaited
	}
}

// Close stops judging.
func (x *Interruption) Close() { *x = Interruption{} }

// Speech is how much speech the start amounts to at an instant.
func (x *Interruption) Speech(at timebase.Instant) timebase.Span {
	if !x.voiced {
		return x.acc
	}
	return x.acc + x.lead + at.Sub(x.since)
}

// Judge decides at an instant. streaming says that partial transcripts are coming.
//
// Enough speech confirms, unless all its words are backchannels, or the words are too
// few, or no word has come yet although the recogniser streams: then the hold goes on
// for TranscriptWaitMS more of speech, which costs nothing audible.
func (x *Interruption) Judge(p *Policy, streaming bool, at timebase.Instant) Verdict {
	if !x.open {
		return VerdictWait
	}
	speech := x.Speech(at)
	if speech >= timebase.MS(p.MinInterruptionMS) && x.confirms(p, streaming, speech) {
		return VerdictConfirm
	}
	if x.voiced || x.ending && speech >= timebase.MS(p.MinInterruptionMS) {
		return VerdictWait
	}
	if at.Sub(x.offAt) >= timebase.MS(p.FalseInterruptionMS) {
		return VerdictResume
	}
	return VerdictWait
}

func (x *Interruption) confirms(p *Policy, streaming bool, speech timebase.Span) bool {
	text := x.text
	if text == BackchannelText && p.Backchannels == "off" {
		text = WordText
	}
	switch text {
	case WordText:
		return x.words >= p.MinInterruptionWords
	case BackchannelText:
		return false
	case NoText:
	}
	if p.MinInterruptionWords > 0 {
		return false
	}
	if streaming && p.Backchannels != "off" {
		return speech >= timebase.MS(p.MinInterruptionMS+p.TranscriptWaitMS)
	}
	return true
}

// Deadline is when the verdict can change by time alone.
func (x *Interruption) Deadline(p *Policy, streaming bool, at timebase.Instant) timebase.Instant {
	if !x.open {
		return timebase.Never
	}
	if !x.voiced {
		if x.ending && x.acc >= timebase.MS(p.MinInterruptionMS) {
			return timebase.Never // the transcript or its timeout decides
		}
		return x.offAt.Add(timebase.MS(p.FalseInterruptionMS))
	}
	speech := x.Speech(at)
	for _, need := range [2]timebase.Span{
		timebase.MS(p.MinInterruptionMS),
		timebase.MS(p.MinInterruptionMS + p.TranscriptWaitMS),
	} {
		if speech < need && x.confirms(p, streaming, need) {
			return at.Add(need - speech)
		}
	}
	return timebase.Never
}
