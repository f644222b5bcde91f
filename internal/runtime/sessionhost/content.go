// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// content holds the texts and samples that the kernel knows by handle. Handles are one
// counter per session, from 1. It is used from any goroutine.
//
// Not every text becomes part of the conversation: an utterance that opened no turn, a
// reply that nobody heard, a typed text that was refused. Their owner is unknown here,
// so the texts are bounded as a whole, and the oldest goes first.
type content struct {
	mu      sync.Mutex
	last    int64
	texts   map[int64]string
	kept    map[int64]string // not bounded and not dropped: those of the settings
	oldest  int64            // no text has a smaller handle
	written int              // weight of the texts that are kept
	audio   map[int64][]int16
	held    timebase.Samples
	refused int64
}

// maxTexts bounds the texts of a session, in bytes with textOverhead for each: hours of
// conversation, and far more than the conversation record and a prompt refer to.
const (
	maxTexts     = 4 << 20
	textOverhead = 64
)

func newContent() *content {
	return &content{texts: map[int64]string{}, kept: map[int64]string{}, audio: map[int64][]int16{}, oldest: 1}
}

// addText keeps a text, and lets go of the oldest ones when there are too many.
func (c *content) addText(text string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.texts[c.last] = text
	for c.written += weight(text); c.written > maxTexts && c.oldest < c.last; c.oldest++ {
		c.forget(c.oldest)
	}
	return c.last
}

func weight(text string) int { return len(text) + textOverhead }

// forget drops a text, if it is kept. The lock is held.
func (c *content) forget(handle int64) {
	if text, ok := c.texts[handle]; ok {
		c.written -= weight(text)
		delete(c.texts, handle)
	}
}

// text gives a text, empty when it is not kept (any more).
func (c *content) text(handle int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if text, ok := c.texts[handle]; ok {
		return text
	}
	return c.kept[handle]
}

// keepText keeps a text for as long as the session lasts, whoever drops it.
func (c *content) keepText(text string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.kept[c.last] = text
	return c.last
}

// unkeepText lets go of a text that was to be kept.
func (c *content) unkeepText(handle int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.kept, handle)
}

// number gives a handle to something that is kept elsewhere.
func (c *content) number() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	return c.last
}

// forgetAny drops what a handle stands for, a text or samples.
func (c *content) forgetAny(handle int64) {
	c.dropText(handle)
	c.dropAudio(handle)
}

// join puts one piece of sound behind another.
func (c *content) join(handle, with int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audio[handle] = append(c.audio[handle], c.audio[with]...)
	delete(c.audio, with)
}

func (c *content) dropText(handle int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(handle)
}

// addAudio keeps samples; false when the session holds too many already.
func (c *content) addAudio(pcm []int16) (handle int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held+timebase.Samples(len(pcm)) > maxAudioHeld {
		c.refused++
		return 0, false
	}
	c.last++
	c.audio[c.last] = pcm
	c.held += timebase.Samples(len(pcm))
	return c.last, true
}

func (c *content) samples(handle int64) []int16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.audio[handle]
}

func (c *content) dropAudio(handle int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held -= timebase.Samples(len(c.audio[handle]))
	delete(c.audio, handle)
}

// clear lets go of all samples; texts stay readable after the session.
func (c *content) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.audio)
	c.held = 0
}

func (c *content) stats() (held timebase.Samples, refused int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held, c.refused
}
