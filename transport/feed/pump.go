// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"slices"
	"time"

	"github.com/parley-voice/parley/transport"
)

// step is one thing to hand out; nothing when none may go out now.
type step struct {
	audio bool          // the frame
	gap   transport.Gap // when Missing > 0
	do    func()
}

// run hands out what may go out, unless somebody else does already: then that one goes
// on with what has come meanwhile.
func (f *Feed) run() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running {
		return
	}
	f.running = true
	defer f.rest() // also when a call has panicked
	for s, ok := f.next(); ok; s, ok = f.next() {
		f.hand(s)
	}
}

// rest says that nobody hands out any more; the lock is held.
func (f *Feed) rest() {
	f.running = false
	if f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// hand passes a step on, without the lock.
func (f *Feed) hand(s step) {
	f.mu.Unlock()
	defer f.mu.Lock()
	if s.audio {
		f.in.Audio(-1, f.frame[:])
	}
	if s.gap.Missing > 0 {
		f.in.Gap(s.gap)
	}
	if s.do != nil {
		s.do()
	}
}

// next takes the next step out of the line, or sets the timer for it.
func (f *Feed) next() (step, bool) {
	for !f.closed && !f.line.empty() {
		n := min(f.line.until(), frame)
		if n < frame && len(f.line.marks) == 0 {
			break // the rest of a frame waits for more
		}
		if n > 0 { // a mark right behind it fills the frame up
			if wait := f.pace.wait(time.Now(), transport.FrameDuration); wait > 0 {
				f.timer.Reset(wait)
				break
			}
			f.pace.spend(transport.FrameDuration)
			return f.take(int(n)), true
		}
		m := f.line.marks[0]
		f.line.marks = slices.Delete(f.line.marks, 0, 1)
		if m.gap > 0 {
			return step{gap: transport.Gap{Sequence: -1, Missing: m.gap, Reason: transport.GapOverflow}}, true
		}
		if m.do != nil {
			return step{do: m.do}, true
		}
	}
	return step{}, false
}

// take reads a frame. Where less than one lies before a mark it ends in silence: that of
// the gap, as far as there is one.
func (f *Feed) take(n int) step {
	s := step{audio: true}
	f.line.read(f.frame[:n])
	f.stats.Out += int64(n)
	if n == frame {
		return s
	}
	clear(f.frame[n:])
	pad := int64(frame - n)
	m := &f.line.marks[0]
	if m.gap == 0 {
		f.stats.Padded += pad
		return s
	}
	filled := min(pad, m.gap)
	f.stats.Padded += pad - filled
	s.gap = transport.Gap{Sequence: -1, Missing: m.gap, Concealed: filled, Reason: transport.GapOverflow}
	f.line.marks = slices.Delete(f.line.marks, 0, 1)
	return s
}
