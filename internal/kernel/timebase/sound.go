// SPDX-License-Identifier: Apache-2.0

package timebase

// soundClock follows the clock of the caller's sound device, by the instants at which its
// samples come in. That clock is a crystal of its own, up to 500 ppm from ours and 1.8 s
// an hour, and what is seen of it is delayed by a network, differently for every frame.
//
// The delay has a floor and no ceiling. So an observation is not a frame but a window of
// them, of which the least delayed one counts: Moon, Skelly, Towsley, "Estimation and
// removal of clock skew from network delay measurements", INFOCOM 1999; NTP's clock
// filter is the same thought (RFC 5905 section 10). Phase and rate follow it with a loop
// of second order: Adriaensen, "Using a DLL to filter time", Linux Audio Conference 2005,
// whose two gains are b = sqrt(2)wT and c = wT*wT, that is c = b*b/2. With b an eighth for
// a window of a second, a step of 500 ppm in the rate shows as 3 ms in the phase at most,
// and is gone in half a minute.
type soundClock struct {
	known bool    // an observation has calibrated it
	at    Instant // the device had made media samples then, delayed by the floor
	media Samples
	rate  int64 // how much longer a sample lasts than it should, in ppb; negative = a fast device

	opened  Instant // the window under way; the anchor was moved last then
	least   Span    // the least lateness in it
	seen    bool    // it holds an observation
	seenAt  Instant // that of the least lateness
	settled bool    // a whole window has been heard since the calibration
	strange bool    // the last window was refused ...
	moved   Span    // ... for this

	errorUS, worstUS int64
}

const (
	// window is how long the least delayed frame is looked for: 50 frames, of which one
	// is hardly delayed, while 500 ppm come to half a millisecond.
	window = Second
	// settling is the window for which b is 1. One in which little came lasts longer than
	// a second, and has a say by its length; a longer one than this has no more.
	settling = 8 * window
	// maxRate is twice what a sound device may be off, in ppb.
	maxRate = 1_000_000
	billion = 1_000_000_000
	// noise is how far an observation may be off beside drift: what is left of the delays,
	// and the loop's own transient.
	noise = 5 * Millisecond
	// farAway is how far a position may lie from the anchor: a hundred days of sound.
	// What is farther was made up.
	farAway = Samples(SampleRate * 86400 * 100)
)

func (s *soundClock) calibrate(at Instant, media Samples) {
	*s = soundClock{at: at, media: media, opened: at, errorUS: s.errorUS, worstUS: s.worstUS}
}

// instant is when the device had made the samples before a position.
func (s *soundClock) instant(position Samples) Instant {
	n := (position - s.media).Span()
	return s.at.Add(n + n/billion*Span(s.rate) + n%billion*Span(s.rate)/billion)
}

// position is the inverse of instant.
func (s *soundClock) position(at Instant) Samples {
	d, per := int64(at.Sub(s.at)), billion+s.rate
	return s.media + SamplesIn(Span(d/per*billion+d%per*billion/per))
}

// follow takes an observation that needs no evidence.
func (s *soundClock) follow(at Instant, position Samples) bool {
	late, ok := s.lateness(at, position)
	if !ok || late < -MaxSkew || s.ends(at) && (s.strange || judge(s.leastOf(at, late)) != Kept) {
		return false
	}
	s.take(at, position, late)
	return true
}

// hear takes any observation.
func (s *soundClock) hear(at Instant, position Samples) (Span, Verdict) {
	late, ok := s.lateness(at, position)
	switch {
	case !s.known && position >= 0 && at >= s.opened:
		s.calibrate(at, position)
		s.known = true
		return 0, Kept
	case !ok:
		return 0, Refused
	case late < -MaxSkew && judge(late) == Rebased: // nothing is heard before it was made: no need to wait
		s.early(at, late)
		return late, Rebased
	case !s.ends(at) || judge(s.leastOf(at, late)) == Kept:
		s.take(at, position, late)
		return 0, Kept
	}
	return s.step(at, position, s.leastOf(at, late))
}

// lateness is how long after its projection an observation comes.
func (s *soundClock) lateness(at Instant, position Samples) (Span, bool) {
	if far := position - s.media; !s.known || position < 0 || far > farAway || far < -farAway {
		return 0, false
	}
	return at.Sub(s.instant(position)), true
}

// ends says that the window is over with an observation at this instant.
func (s *soundClock) ends(at Instant) bool { return at.Sub(s.opened) >= window }

// leastOf is the least lateness of the window with one more observation. One that is older
// than a window is worth less by what the device may have drifted since: after a silence of
// half a minute it would else keep the clock where it was before.
func (s *soundClock) leastOf(at Instant, late Span) Span {
	if !s.seen {
		return late
	}
	return min(s.least+drifted(max(0, at.Sub(s.seenAt)-window)), late)
}

// take counts an observation that is within the bounds.
func (s *soundClock) take(at Instant, position Samples, late Span) {
	if late < -noise-drifted(at.Sub(s.opened)) && late >= -MaxSkew {
		s.early(at, late)
		late = 0
	}
	least := s.leastOf(at, late)
	if !s.seen || least == late {
		s.seenAt = at
	}
	s.least, s.seen = least, true
	if s.ends(at) {
		s.strange = false
		s.close(at, position)
	}
}

// early moves the floor down to a frame that came before it.
func (s *soundClock) early(at Instant, late Span) {
	s.note(late)
	s.at = s.at.Add(late)
	s.least, s.seen, s.seenAt = 0, true, at
}

// drifted is how far a device can drift in a time at most.
func drifted(d Span) Span { return d / (billion / maxRate) }

// close ends a window: the anchor moves up to the present, and phase and rate follow what
// the window saw. What is later than drift and noise come to is delay: it is followed no
// faster than a device can drift, and says nothing of the rate. What is earlier was a
// floor that was none, see early.
func (s *soundClock) close(at Instant, position Samples) {
	e, took := s.least, at.Sub(s.opened)
	s.note(e)
	s.at, s.media = s.instant(position), position
	if e > noise+drifted(took) {
		s.at = s.at.Add(min(e, drifted(took)))
	} else {
		b := min(took, settling) / Millisecond
		e = e * b / (settling / Millisecond)
		s.at = s.at.Add(e)
		s.rate += int64(e*b/(settling/Millisecond)/2) * billion / int64(took)
		s.rate = min(max(s.rate, -maxRate), maxRate)
	}
	s.open(at)
}

// step judges a window whose least delayed frame is beyond the bound. Beyond ten times
// it is refused; but when the next window says the same, the stream itself has moved for
// good, because its source stood still or left something out, and is calibrated anew.
func (s *soundClock) step(at Instant, position Samples, skew Span) (Span, Verdict) {
	agree := s.strange && judge(skew-s.moved) == Kept
	s.open(at)
	if judge(skew) == Refused && !agree {
		s.strange, s.moved = true, skew
		return skew, Refused
	}
	s.note(skew)
	s.strange = false
	s.at, s.media = s.instant(position).Add(skew), position
	return skew, Rebased
}

func (s *soundClock) open(at Instant) {
	s.opened, s.seen, s.settled = at, false, true
}

// note keeps the mapping error: how far the least delayed observation was from where it
// was expected. While the floor is still being looked for it is none.
func (s *soundClock) note(e Span) {
	if !s.settled {
		return
	}
	s.errorUS = int64(max(e, -e) / Microsecond)
	s.worstUS = max(s.worstUS, s.errorUS)
}
