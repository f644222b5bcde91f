// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// what happens to a start of speech, at an instant in milliseconds.
type happening struct {
	at     int64
	what   string // on, off, partial, backchannel, empty, end, final
	lead   int64  // on: speech over by then; off: length of the bit
	silent int64  // off: how long ago it ended
	words  int64
}

func apply(x *Interruption, h happening) {
	switch h.what {
	case "on":
		x.Start(ms(h.at), timebase.MS(h.lead))
	case "off":
		x.Pause(ms(h.at), timebase.MS(h.lead), timebase.MS(h.silent))
	case "partial":
		x.Text(WordText, h.words)
	case "backchannel":
		x.Text(BackchannelText, 1)
	case "empty":
		x.Text(NoText, 0)
	case "end":
		x.Ending(true)
	case "final":
		x.Ending(false)
	}
}

// Lifecycle section 7.1, as a table: what a start of speech comes to and when. never
// means that time alone decides nothing.
func TestInterruption(t *testing.T) {
	const never = -1
	simple := func() Policy { return Policy{}.WithDefaults() }
	with := func(change func(p *Policy)) Policy {
		p := simple()
		change(&p)
		return p
	}
	for name, row := range map[string]struct {
		policy    Policy
		streaming bool
		script    []happening
		verdict   Verdict
		at        int64
	}{
		"speech of 300 ms confirms where no partials come": {
			simple(), false, []happening{{at: 0, what: "on"}}, VerdictConfirm, 300,
		},
		"speech that was over when it was noticed counts": {
			simple(), false, []happening{{at: 0, what: "on", lead: 120}}, VerdictConfirm, 180,
		},
		"a word and 300 ms confirm": {
			simple(), true, []happening{{at: 0, what: "on"}, {at: 100, what: "partial", words: 1}}, VerdictConfirm, 300,
		},
		"a word after 300 ms confirms at once": {
			simple(), true, []happening{{at: 0, what: "on"}, {at: 450, what: "partial", words: 1}}, VerdictConfirm, 450,
		},
		"without a word a streaming recogniser is waited for": {
			simple(), true, []happening{{at: 0, what: "on"}}, VerdictConfirm, 600,
		},
		"a backchannel never confirms": {
			simple(), true, []happening{{at: 0, what: "on"}, {at: 200, what: "backchannel"}}, VerdictWait, never,
		},
		"a backchannel resumes after 700 ms of silence": {
			simple(), true,
			[]happening{{at: 0, what: "on"}, {at: 200, what: "backchannel"}, {at: 1000, what: "off", lead: 900, silent: 100}},
			VerdictResume, 1600,
		},
		"a backchannel that goes on with words confirms": {
			simple(), true,
			[]happening{{at: 0, what: "on"}, {at: 200, what: "backchannel"}, {at: 900, what: "partial", words: 3}},
			VerdictConfirm, 900,
		},
		"backchannels off": {
			with(func(p *Policy) { p.Backchannels = "off" }), true, []happening{{at: 0, what: "on"}}, VerdictConfirm, 300,
		},
		"backchannels off, with one": {
			with(func(p *Policy) { p.Backchannels = "off" }), true, []happening{{at: 0, what: "on"}, {at: 100, what: "backchannel"}}, VerdictConfirm, 300,
		},
		"two words are wanted and one is there": {
			with(func(p *Policy) { p.MinInterruptionWords = 2 }), true,
			[]happening{{at: 0, what: "on"}, {at: 400, what: "partial", words: 1}},
			VerdictWait, never,
		},
		"two words are wanted and come": {
			with(func(p *Policy) { p.MinInterruptionWords = 2 }), true,
			[]happening{{at: 0, what: "on"}, {at: 400, what: "partial", words: 1}, {at: 800, what: "partial", words: 2}},
			VerdictConfirm, 800,
		},
		"words are wanted and speech alone is not enough": {
			with(func(p *Policy) { p.MinInterruptionWords = 1 }), false, []happening{{at: 0, what: "on"}}, VerdictWait, never,
		},
		"a cough: silence since 150": {
			simple(), true, []happening{{at: 0, what: "on", lead: 50}, {at: 250, what: "off", lead: 200, silent: 100}}, VerdictResume, 850,
		},
		"bits of speech add up": {
			simple(), false, []happening{
				{at: 0, what: "on"}, {at: 200, what: "off", lead: 200}, {at: 500, what: "on", lead: 40},
			}, VerdictConfirm, 560,
		},
		"a bit of speech puts the resume off": {
			simple(), true, []happening{
				{at: 0, what: "on"}, {at: 100, what: "off", lead: 100}, {at: 700, what: "on"}, {at: 750, what: "off", lead: 50},
			}, VerdictResume, 1450,
		},
		"an open end-of-turn decision keeps the hold": {
			simple(), true, []happening{{at: 0, what: "on"}, {at: 400, what: "off", lead: 400}, {at: 900, what: "end"}}, VerdictWait, never,
		},
		"an end-of-turn decision counts from just enough speech on": {
			simple(), true, []happening{{at: 0, what: "on"}, {at: 300, what: "off", lead: 300}, {at: 800, what: "end"}}, VerdictWait, never,
		},
		"its words confirm, after any silence": {
			simple(), true, []happening{
				{at: 0, what: "on"},
				{at: 400, what: "off", lead: 400},
				{at: 900, what: "end"},
				{at: 1800, what: "partial", words: 2},
				{at: 1800, what: "final"},
			}, VerdictConfirm, 1800,
		},
		"without words it resumes at once": {
			simple(), true, []happening{
				{at: 0, what: "on"}, {at: 400, what: "off", lead: 400}, {at: 900, what: "end"}, {at: 1800, what: "final"},
			}, VerdictResume, 1800,
		},
		"too little speech does not wait for its transcript": {
			simple(), true, []happening{{at: 0, what: "on"}, {at: 200, what: "off", lead: 200}, {at: 700, what: "end"}}, VerdictResume, 900,
		},
		"words of too little speech do not confirm": {
			simple(), true, []happening{{at: 0, what: "on"}, {at: 100, what: "partial", words: 2}, {at: 200, what: "off", lead: 200}}, VerdictResume, 900,
		},
	} {
		t.Run(name, func(t *testing.T) {
			verdict, at := run(t, &row.policy, row.streaming, row.script)
			if verdict != row.verdict || at != row.at {
				t.Errorf("verdict %d at %d, want %d at %d", verdict, at, row.verdict, row.at)
			}
		})
	}
}

// run plays a script, waking at each deadline that the judge reports, until there is a
// verdict or nothing more can happen (-1).
func run(t *testing.T, p *Policy, streaming bool, script []happening) (Verdict, int64) {
	t.Helper()
	var x Interruption
	now := int64(0)
	for range 100 {
		for len(script) > 0 && script[0].at <= now {
			apply(&x, script[0])
			script = script[1:]
		}
		if v := x.Judge(p, streaming, ms(now)); v != VerdictWait {
			return v, now
		}
		next := x.Deadline(p, streaming, ms(now))
		if next <= ms(now) {
			t.Fatalf("at %d the judge waits for %d", now, next.MS())
		}
		if len(script) > 0 {
			next = timebase.Earliest(next, ms(script[0].at))
		}
		if next == timebase.Never {
			return VerdictWait, -1
		}
		now = next.MS()
	}
	t.Fatal("the judge never comes to rest")
	return VerdictWait, -1
}

// A hold never lasts beyond min_interruption_ms + false_interruption_ms, unless speech
// goes on or an end-of-turn decision is open (lifecycle section 7.1): for every pattern
// of bits of speech, the verdict comes by then.
func TestHoldIsBounded(t *testing.T) {
	p := Policy{}.WithDefaults()
	r := timebase.NewRandom(1)
	for range 20_000 {
		var script []happening
		at, spoken := int64(0), int64(0)
		for range r.Between(1, 5) {
			length := r.Between(1, 400)
			script = append(script, happening{at: at, what: "on"}, happening{at: at + length, what: "off", lead: length})
			at += length
			spoken = at
			at += r.Between(1, 900)
			if r.Chance(1, 3) {
				script = append(script, happening{at: at, what: "backchannel"})
			}
		}
		verdict, end := run(t, &p, true, script)
		if verdict == VerdictWait || end > spoken+p.FalseInterruptionMS {
			t.Fatalf("%+v: verdict %d at %d, speech was over at %d", script, verdict, end, spoken)
		}
	}
}

// Peers: bolna test_interruption_gate.py (should_interrupt and is_false are never both
// true). A judge says one thing, and a closed one says nothing.
func TestInterruptionClosed(t *testing.T) {
	var x Interruption
	p := Policy{}.WithDefaults()
	x.Pause(ms(5), 1, 1)
	x.Text(WordText, 9)
	x.Ending(true)
	if x.Open() || x.Judge(&p, true, ms(9999)) != VerdictWait || x.Deadline(&p, true, 0) != timebase.Never {
		t.Error("a judge without a start judges")
	}
	x.Start(ms(10), 0)
	x.Text(WordText, 2)
	if x.Judge(&p, true, ms(310)) != VerdictConfirm {
		t.Fatal("enough speech with words does not confirm")
	}
	x.Close()
	if x.Open() || x.Speech(ms(900)) != 0 || x.Judge(&p, true, ms(900)) != VerdictWait {
		t.Error("a closed judge remembers")
	}
}

// Turn-plan section 6 and lifecycle sections 7 and 7.1: the values of simple/v1.
func TestPolicyDefaults(t *testing.T) {
	want := Policy{
		Trigger: "end_of_utterance", Overlap: "preempt", MaxQueued: 1, Late: "drop", Interruption: "hold_then_decide",
		MinInterruptionMS: 300, MinInterruptionWords: 0, Backchannels: "on", FalseInterruptionMS: 700,
		TranscriptWaitMS: 300, CommitPoint: "playback_started",
	}
	if got := (Policy{}).WithDefaults(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	set := Policy{
		Trigger: "speech_start", Overlap: "queue", MaxQueued: 3, Late: "remap", Interruption: "off", MinInterruptionMS: 1,
		MinInterruptionWords: 2, Backchannels: "off", FalseInterruptionMS: 4, TranscriptWaitMS: 5, CommitPoint: "playback_completed",
	}
	if got := set.WithDefaults(); got != set {
		t.Errorf("a value that was set is replaced: %+v", got)
	}
}
