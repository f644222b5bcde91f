// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// content holds the texts and samples that the kernel knows by handle. Handles are one
// counter per session, from 1. It is used from any goroutine.
type content struct {
	mu      sync.Mutex
	last    int64
	texts   map[int64]string
	audio   map[int64][]int16
	held    timebase.Samples
	refused int64
}

func newContent() *content {
	return &content{texts: map[int64]string{}, audio: map[int64][]int16{}}
}

// addText keeps a text.
func (c *content) addText(text string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.texts[c.last] = text
	return c.last
}

// text gives a text, empty when it is not kept (any more).
func (c *content) text(handle int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.texts[handle]
}

func (c *content) dropText(handle int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.texts, handle)
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

func (c *content) stats() (held timebase.Samples, chunks int, refused int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held, len(c.audio), c.refused
}
