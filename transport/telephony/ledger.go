// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// mostMarks bounds the marks that are out: at ten a second a gateway would have to hold
// more than a minute of sound. The oldest is forgotten.
const mostMarks = 1024

// place is a position of a turn.
type place struct {
	turn       eventabi.TurnID
	generation uint32
	position   int64 // samples of the turn at transport.SampleRate
}

// of says whether a place is of the same output as another.
func (p place) of(q place) bool { return p.turn == q.turn && p.generation == q.generation }

// within says whether a fence names the output of a place. Generations are counted over a
// session: one is enough, and a fence without one is for all of a turn.
func (p place) within(f transport.Fence) bool {
	if f.Session || f.Generation != 0 {
		return f.Session || f.Generation == p.generation
	}
	return f.Turn != "" && f.Turn == p.turn
}

// mark is one that is out.
type mark struct {
	place
	flushed bool // its turn was fenced meanwhile: that it comes back means nothing
}

// ledger knows the marks that are out, and so what a mark that comes back is evidence of.
type ledger struct {
	out   []mark
	first int64 // number of out[0]
	heard place // what was acknowledged last
	// The counters.
	flushed, unknown, forgotten int64
}

const markPrefix = "parley-"

// add notes a mark behind a place and gives its name.
func (l *ledger) add(p place) string {
	if len(l.out) == mostMarks {
		l.out = l.out[:copy(l.out, l.out[1:])]
		l.first++
		l.forgotten++
	}
	l.out = append(l.out, mark{place: p})
	return markPrefix + strconv.FormatInt(l.first+int64(len(l.out))-1, 10)
}

// back takes the name of a mark that came back, and says what was heard, if anything is
// known by it. Marks come back in order: those before it are done with.
func (l *ledger) back(name string) (place, bool) {
	text, ours := strings.CutPrefix(name, markPrefix)
	n, err := strconv.ParseInt(text, 10, 64)
	if !ours || err != nil || n < l.first || n >= l.first+int64(len(l.out)) {
		l.unknown++
		return place{}, false
	}
	m := l.out[n-l.first]
	l.out = l.out[:copy(l.out, l.out[n-l.first+1:])]
	l.first = n + 1
	if m.flushed {
		l.flushed++
		return place{}, false
	}
	l.heard = m.place
	return m.place, true
}

// fence notes that the marks of a scope are no evidence any more.
func (l *ledger) fence(f transport.Fence) {
	for i := range l.out {
		if m := &l.out[i]; m.within(f) {
			m.flushed = true
		}
	}
}

// pending gives the last place of a scope whose mark is out. When there is none, nothing
// that was marked is in the gateway any more.
func (l *ledger) pending(f transport.Fence) (place, bool) {
	for i := len(l.out) - 1; i >= 0; i-- {
		if m := l.out[i]; !m.flushed && m.within(f) {
			return m.place, true
		}
	}
	return place{}, false
}

// heardOf is how far the output of a place was acknowledged.
func (l *ledger) heardOf(p place) int64 {
	if l.heard.of(p) {
		return l.heard.position
	}
	return 0
}
