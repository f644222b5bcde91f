// SPDX-License-Identifier: Apache-2.0

package vad

import (
	"errors"
	"fmt"
)

// EndpointerConfig says when speech counts as begun and as over. Times are in
// milliseconds and are rounded up to whole frames of 32 ms; a zero field means the
// default.
type EndpointerConfig struct {
	OnPermille    int // probability from which a frame is speech, in thousandths
	OffPermille   int // probability below which a frame is silence; between the two nothing changes
	MinSpeechMS   int // speech in a row that makes a start
	MinSilenceMS  int // silence in a row that makes a stop
	EndpointingMS int // silence after a stop that ends the utterance
}

// The defaults. The two thresholds are what Silero's authors recommend.
const (
	DefaultOnPermille    = 500
	DefaultOffPermille   = 350
	DefaultMinSpeechMS   = 64
	DefaultMinSilenceMS  = 64
	DefaultEndpointingMS = 500
)

// WithDefaults fills the zero fields.
func (c EndpointerConfig) WithDefaults() EndpointerConfig {
	fill := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	fill(&c.OnPermille, DefaultOnPermille)
	fill(&c.OffPermille, DefaultOffPermille)
	fill(&c.MinSpeechMS, DefaultMinSpeechMS)
	fill(&c.MinSilenceMS, DefaultMinSilenceMS)
	fill(&c.EndpointingMS, DefaultEndpointingMS)
	return c
}

// Validate reports all faults at once; zero fields are defaults and no fault.
func (c EndpointerConfig) Validate() error {
	c = c.WithDefaults()
	var faults []error
	want := func(ok bool, field string, value int, remedy string) {
		if !ok {
			faults = append(faults, fmt.Errorf("endpointer: %s: %d: %s", field, value, remedy))
		}
	}
	want(c.OnPermille > 0 && c.OnPermille <= 1000, "on_permille", c.OnPermille, "use 1 to 1000")
	want(c.OffPermille > 0 && c.OffPermille <= c.OnPermille, "off_permille", c.OffPermille, "use 1 up to on_permille")
	want(c.MinSpeechMS > 0, "min_speech_ms", c.MinSpeechMS, "use a positive time")
	want(c.MinSilenceMS > 0, "min_silence_ms", c.MinSilenceMS, "use a positive time")
	want(c.EndpointingMS >= c.MinSilenceMS, "endpointing_ms", c.EndpointingMS, "use min_silence_ms or more")
	return errors.Join(faults...)
}

// Voice is what an Endpointer has to say after a frame.
type Voice uint8

// The events of an Endpointer.
const (
	VoiceNothing Voice = iota
	VoiceOn            // speech began at At
	VoiceOff           // speech stopped at At; the utterance may go on
	VoiceEnd           // the utterance ended at At
)

// Endpointer turns probabilities of speech into starts, stops and ends of utterances:
//
//	silent --speech for MinSpeech--> speaking --silence for MinSilence--> pausing
//	  ^                                  ^                                 |    |
//	  |                                  +------speech for MinSpeech-------+    |
//	  +-----------------silence for Endpointing since the stop-----------------+
//
// Frames between the thresholds go on with whatever was. The probability is made an
// integer at once; everything after that is integers, positions in samples at 16 kHz.
// An utterance does not end while a start is being made up.
type Endpointer struct {
	on, off                int
	speech, silence, final int64 // samples
	state                  endpointerState
	heard                  int64 // end of the last frame
	runFrom                int64 // start of the run that may change the state
	running                bool
	stopped                int64 // pausing: where speech stopped
}

type endpointerState uint8

const (
	stateSilent endpointerState = iota
	stateSpeaking
	statePausing
)

// NewEndpointer gives a machine in silence. The config must be valid.
func NewEndpointer(c EndpointerConfig) *Endpointer {
	c = c.WithDefaults()
	frames := func(ms int) int64 {
		samples := int64(ms) * 16
		return (samples + FrameSamples - 1) / FrameSamples * FrameSamples
	}
	return &Endpointer{
		on:      c.OnPermille,
		off:     c.OffPermille,
		speech:  frames(c.MinSpeechMS),
		silence: frames(c.MinSilenceMS),
		final:   frames(c.EndpointingMS),
	}
}

// Skip says that the next frame begins at a position: the audio before it was lost or
// is not of this stream. A run that the gap cuts starts anew.
func (e *Endpointer) Skip(to int64) { e.heard, e.running = to, false }

// Heard is the end of the last frame.
func (e *Endpointer) Heard() int64 { return e.heard }

// Speaking says that an utterance is under way.
func (e *Endpointer) Speaking() bool { return e.state != stateSilent }

// Push takes the probability of the next frame. There is at most one event a frame; at
// is its position.
func (e *Endpointer) Push(probability float32) (event Voice, at int64) {
	permille := int(probability * 1000)
	from := e.heard
	e.heard += FrameSamples
	turning := permille >= e.on // the run that leads out of the state
	if e.state == stateSpeaking {
		turning = permille < e.off
	}
	between := permille < e.on && permille >= e.off
	switch {
	case turning && !e.running:
		e.running, e.runFrom = true, from
	case !turning && !between:
		e.running = false
	}
	switch e.state {
	case stateSilent, statePausing:
		if e.running && e.heard-e.runFrom >= e.speech {
			e.state, e.running = stateSpeaking, false
			return VoiceOn, e.runFrom
		}
		if e.state == statePausing && !e.running && e.heard-e.stopped >= e.final {
			e.state = stateSilent
			return VoiceEnd, e.stopped
		}
	case stateSpeaking:
		if e.running && e.heard-e.runFrom >= e.silence {
			e.state, e.running, e.stopped = statePausing, false, e.runFrom
			return VoiceOff, e.runFrom
		}
	}
	return VoiceNothing, 0
}
