// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// act is something that the agent does; the director is told.
type act func(d *Director, at time.Duration)

func starts(d *Director, at time.Duration) { d.AgentStarted(at) }
func stops(d *Director, at time.Duration)  { d.AgentStopped(at) }
func opens(d *Director, _ time.Duration)   { d.TurnOpened() }
func closes(d *Director, at time.Duration) { d.TurnClosed(at) }

// at is n seconds.
func at(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// talk is n frames of sound and half of one.
func talk(n int) []int16 {
	pcm := make([]int16, n*frameSamples+frameSamples/2)
	for i := range pcm {
		pcm[i] = 1000
	}
	return pcm
}

// said is a cue of 200 ms.
func said(name string, when Moment, delay float64) Cue {
	return Cue{Name: name, PCM: talk(9), When: when, Delay: at(delay)}
}

// play runs a director against an agent who does things at instants of its choosing. It
// gives the cues with the instant at which each began, and when the caller hung up.
func play(t *testing.T, cues []Cue, agent map[time.Duration]act) []string {
	t.Helper()
	var log []string
	samples := 0
	d := NewDirector(cues, func(at time.Duration, c Cue) { log = append(log, fmt.Sprintf("%s %v", c.Name, at)) })
	frame := make([]int16, frameSamples)
	for now := frameTime; now < time.Minute; now += frameTime {
		if do := agent[now]; do != nil {
			do(d, now)
		}
		if d.Finished(now) {
			log = append(log, fmt.Sprintf("over %v", now))
			if !d.Finished(0) {
				t.Error("finished is not for good")
			}
			break
		}
		frame[0] = 99 // of the frame before
		d.Frame(now, frame)
		for _, v := range frame {
			if v != 0 {
				samples++
			}
		}
	}
	want := 0
	for _, c := range cues[:min(len(log), len(cues))] {
		want += len(c.PCM)
	}
	if samples != want {
		t.Errorf("%d samples were played of %d: each once, and nothing else", samples, want)
	}
	return log
}

func TestDirector(t *testing.T) {
	for _, c := range []struct {
		name  string
		cues  []Cue
		agent map[time.Duration]act
		want  []string
	}{
		{
			"at a time, and not before the cue before has ended",
			[]Cue{{Name: "a", PCM: talk(49), When: AtTime, Delay: at(1)}, said("b", AtTime, 1.5)},
			nil,
			[]string{"a 1s", "b 2s", "over 14.18s"},
		},
		{
			"when the agent has spoken, counted from its last word",
			[]Cue{said("a", AtTime, 1), said("b", AgentDone, 0.7)},
			map[time.Duration]act{at(2): starts, at(4): stops, at(6): starts, at(7): stops},
			[]string{"a 1s", "b 4.7s", "over 7.7s"},
		},
		{
			"not while the agent speaks, however long that takes",
			[]Cue{said("a", AtTime, 1), said("b", AgentDone, 0.7)},
			map[time.Duration]act{at(2): starts, at(40): stops, at(41): opens, at(42): starts, at(43): stops},
			[]string{"a 1s", "b 40.7s", "over 43.7s"},
		},
		{
			"while the agent speaks, twice in one answer",
			[]Cue{said("a", AtTime, 1), said("cough", AgentSpeaking, 1.5), said("b", AgentSpeaking, 5)},
			map[time.Duration]act{at(2): starts, at(7.02): stops, at(9): starts, at(10): stops},
			[]string{"a 1s", "cough 3.5s", "b 7s", "over 10.7s"},
		},
		{
			"speech of before the last cue is no moment",
			[]Cue{said("a", AtTime, 1), said("b", AgentDone, 0.7), said("c", AgentSpeaking, 1)},
			map[time.Duration]act{at(2): starts, at(3): stops, at(5): starts, at(8): stops},
			[]string{"a 1s", "b 3.7s", "c 6s", "over 8.7s"},
		},
		{
			"patience ends when nothing happens",
			[]Cue{said("a", AtTime, 1), said("b", AgentDone, 0.7), said("c", AgentSpeaking, 1)},
			nil,
			[]string{"a 1s", "b 13.18s", "c 25.36s", "over 37.54s"},
		},
		{
			"an answer that is being made is waited for",
			[]Cue{said("a", AtTime, 1), said("b", AgentDone, 0.7)},
			map[time.Duration]act{at(2): opens, at(30): starts, at(30.5): closes, at(32): stops, at(33): opens, at(34): starts, at(35): stops},
			[]string{"a 1s", "b 32.7s", "over 35.7s"},
		},
		{
			"an answer that does not come is not",
			[]Cue{said("a", AtTime, 1), said("b", AgentSpeaking, 5), said("c", AgentDone, 0.7)},
			map[time.Duration]act{at(2): opens, at(3): closes, at(5): opens, at(6): closes, at(8): opens, at(9): closes},
			[]string{"a 1s", "b 4.5s", "c 7.5s", "over 10.5s"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := play(t, c.cues, c.agent); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestCueDuration(t *testing.T) {
	c := Cue{PCM: talk(49)}
	if got := c.Duration(); got != 990*time.Millisecond {
		t.Errorf("49 frames and a half last %v", got)
	}
}
