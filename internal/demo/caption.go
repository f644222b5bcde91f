// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// caption follows the words of the agent as they are played: exact where a segment
// begins, spread evenly over its audio within it, as the conversation record has it.
type caption struct {
	turn   eventabi.TurnID // whose reply it is
	reply  graph.Reply
	words  []string // of each segment
	calls  map[eventabi.InvocationID]int
	aloud  eventabi.TurnID // whose audio is played
	heard  timebase.Samples
	behind timebase.Samples // heard, when text was asked last
}

// begin forgets the reply of another turn.
func (c *caption) begin(turn eventabi.TurnID) {
	if c.turn != turn {
		*c = caption{turn: turn, calls: map[eventabi.InvocationID]int{}, aloud: c.aloud, heard: c.heard, behind: c.behind}
	}
}

// add takes the next segment.
func (c *caption) add(turn eventabi.TurnID, text string) {
	c.begin(turn)
	if c.reply.Add(graph.Spoken{Text: int64(len(c.words)), Runes: int64(len([]rune(text)))}) {
		c.words = append(c.words, text)
	}
}

// say notes that a call synthesises the next segment.
func (c *caption) say(turn eventabi.TurnID, call eventabi.InvocationID) {
	if _, again := c.calls[call]; again || turn != c.turn {
		return // another attempt at the segment
	}
	if i, ok := c.reply.Next(); ok {
		c.reply.Begin()
		c.calls[call] = i
	}
}

func (c *caption) speech(call eventabi.InvocationID, n timebase.Samples) {
	if i, ok := c.calls[call]; ok {
		c.reply.At(i).Samples += n
	}
}

func (c *caption) end(call eventabi.InvocationID) {
	if i, ok := c.calls[call]; ok && c.reply.Current() == c.reply.At(i) {
		c.reply.Finish()
	}
}

// played counts a frame. The first ones of a turn come before playing.
func (c *caption) played(samples int) { c.heard += timebase.Samples(samples) }

func (c *caption) playing(turn eventabi.TurnID) { c.aloud = turn }

func (c *caption) silent() { c.aloud, c.heard, c.behind = "", 0, 0 }

// text gives what of the reply has been heard, and whether that is news.
func (c *caption) text() (text string, moved bool) {
	if c.aloud == "" || c.aloud != c.turn || c.heard == c.behind {
		return "", false
	}
	c.behind = c.heard
	all := strings.Join(c.words, "")
	runes, _ := c.reply.Heard(c.heard)
	list := []rune(all)
	cut := min(int(runes), len(list))
	for cut < len(list) && list[cut] != ' ' { // the word that is being said
		cut++
	}
	return string(list[:cut]), true
}
