// SPDX-License-Identifier: Apache-2.0

package node

// SoundFunc changes a frame of sound in place: mono, signed 16 bit, at SampleRate, mostly
// FrameSamples of it. An error ends the node.
type SoundFunc func(ctx *Context, pcm []int16) error

// Sound makes a node of a function that changes sound, for the way from the caller to those who
// listen, or from those who speak to the speaker. The declaration is completed: without Inputs and
// Outputs it takes and gives chunks of audio, and lives as long as the session, for sound has no
// turn before somebody has heard one in it. A chunk goes on as it came, with the changed samples;
// anything else goes on unchanged. Once it has seen the longest chunk, the node allocates nothing.
func Sound(about Declaration, change SoundFunc) Node {
	if len(about.Inputs) == 0 {
		about.Inputs = []Type{TypeAudioChunk}
	}
	if len(about.Outputs) == 0 {
		about.Outputs = about.Inputs
	}
	if about.Scope == "" {
		about.Scope = ScopeSession
	}
	return &soundNode{about: about.WithDefaults(), change: change}
}

type soundNode struct {
	NoOp
	about  Declaration
	change SoundFunc
	out    Event   // what is emitted is lent, so there is one
	pcm    []int16 // its samples
}

func (s *soundNode) Declaration() Declaration { return s.about }

func (s *soundNode) OnEvent(ctx *Context, ev *Event) error {
	if ctx.Over() {
		return nil
	}
	s.out = *ev
	if ev.Type == TypeAudioChunk {
		s.pcm = append(s.pcm[:0], ev.PCM...)
		if err := s.change(ctx, s.pcm); err != nil {
			return err
		}
		s.out.PCM = s.pcm
	}
	ctx.Emit(&s.out)
	return nil
}
