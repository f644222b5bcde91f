// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"sync"

	"github.com/parley-voice/parley/internal/audio"
)

// seam is how far a frame may lie from the end of the one before and still continue
// it: real clocks jitter, and a sample inserted or lost would click.
const seam = 480

// Mixdown collects the two voices of a call on one clock.
type Mixdown struct {
	mu     sync.Mutex
	voices [2][]int16
}

// Add places a frame of one voice (0 the caller, 1 the agent) at a sample position.
func (m *Mixdown) Add(voice int, sample int64, pcm []int16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	track := m.voices[voice]
	end := int64(len(track))
	if sample >= end+seam { // a pause; anything less continues what is there
		track = append(track, make([]int16, sample-end)...)
	}
	m.voices[voice] = append(track, pcm...)
}

// Tracks gives both voices, the shorter one filled up with silence.
func (m *Mixdown) Tracks() (caller, agent []int16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := max(len(m.voices[0]), len(m.voices[1]))
	for i, track := range m.voices {
		m.voices[i] = append(track, make([]int16, n-len(track))...)
	}
	return m.voices[0], m.voices[1]
}

// WriteWAV writes the call as a stereo WAV, left the caller, right the agent. The file
// is whole or absent.
func (m *Mixdown) WriteWAV(path string) error {
	caller, agent := m.Tracks()
	w, err := audio.CreateWAV(path, audio.Rate)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := w.Write(caller, agent); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}
