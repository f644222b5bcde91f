// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

// The types of audio formats.
const (
	typePCM  = "audio/pcm"
	typePCMU = "audio/pcmu"
	typePCMA = "audio/pcma"
)

// format is how sound lies in the base64 of an event: 16 bit little endian at a rate, or
// one of the G.711 laws at 8000 Hz.
type format struct {
	kind string
	rate int // in Hz
}

//nolint:gochecknoglobals // a constant that Go has no word for
var pcm24 = format{typePCM, 24000}

const g711Rate = 8000

// codecs are the names of the formats in transport.Capabilities.
func codecs() []string { return []string{"pcm_s16le", "g711_ulaw", "g711_alaw"} }

func (f format) describe() object {
	if f.kind == typePCM {
		return object{"type": f.kind, "rate": f.rate}
	}
	return object{"type": f.kind}
}

// readFormat reads a format; OpenAI has pcm at 24000 Hz only, and here any rate will do
// that can be resampled.
func readFormat(v *format) reader {
	return func(path string, raw json.RawMessage) *fault {
		next := format{v.kind, 0}
		f := walk(path, raw, map[string]reader{
			"type": oneOf(&next.kind, typePCM, typePCMU, typePCMA),
			"rate": into(&next.rate, "a number"),
		})
		if f != nil {
			return f
		}
		if next.kind != typePCM {
			if next.rate != 0 && next.rate != g711Rate {
				return invalid(path+".rate", fmt.Sprint(next.rate), fmt.Sprint(g711Rate))
			}
			next.rate = g711Rate
		} else if next.rate == 0 {
			next.rate = pcm24.rate
		}
		if _, err := codec.NewResampler(next.rate, transport.SampleRate); err != nil {
			return &fault{Code: codeValue, Param: path + ".rate", Message: "Invalid value: " + err.Error()}
		}
		*v = next
		return nil
	}
}

// hearing turns the sound of a client's events into the session's.
type hearing struct {
	format    format
	resampler *codec.Resampler
	bytes     []byte
	pcm, out  []int16
}

func newHearing(f format) (*hearing, error) {
	r, err := codec.NewResampler(f.rate, transport.SampleRate)
	if err != nil {
		return nil, fmt.Errorf("realtime: input format: %w", err)
	}
	return &hearing{format: f, resampler: r}, nil
}

// decode gives the sound of an append as the session hears it, lent until the next call,
// and how long it is as the client counts.
func (h *hearing) decode(audio string) (pcm []int16, length time.Duration, f *fault) {
	n := base64.StdEncoding.DecodedLen(len(audio))
	if cap(h.bytes) < n {
		h.bytes = make([]byte, n)
	}
	n, err := base64.StdEncoding.Decode(h.bytes[:n], []byte(audio))
	if err != nil {
		return nil, 0, &fault{Code: codeValue, Param: "audio", Message: "Invalid 'audio': expected base64."}
	}
	b := h.bytes[:n]
	h.pcm = h.pcm[:0]
	switch h.format.kind {
	case typePCMU:
		h.pcm = codec.MuLaw.Decode(h.pcm, b)
	case typePCMA:
		h.pcm = codec.ALaw.Decode(h.pcm, b)
	default:
		if h.pcm, err = codec.DecodePCM(h.pcm, b); err != nil {
			return nil, 0, &fault{Code: codeValue, Param: "audio", Message: "Invalid 'audio': expected samples of two bytes."}
		}
	}
	length = time.Duration(len(h.pcm)) * time.Second / time.Duration(h.format.rate)
	h.out = h.resampler.Resample(h.out[:0], h.pcm)
	return h.out, length, nil
}

// speaking turns the session's frames into the sound of events.
type speaking struct {
	format     format
	resampler  *codec.Resampler
	generation uint32 // whose sound the resampler still holds the end of
	bytes      []byte
	pcm        []int16
}

func newSpeaking(f format) (*speaking, error) {
	r, err := codec.NewResampler(transport.SampleRate, f.rate)
	if err != nil {
		return nil, fmt.Errorf("realtime: output format: %w", err)
	}
	return &speaking{format: f, resampler: r}, nil
}

// encode appends the base64 of a frame. Nothing of one output is heard in the next: it may
// have been fenced.
func (s *speaking) encode(dst []byte, generation uint32, pcm []int16) []byte {
	if s.generation != generation {
		s.resampler.Reset()
		s.generation = generation
	}
	s.pcm = s.resampler.Resample(s.pcm[:0], pcm)
	s.bytes = s.bytes[:0]
	switch s.format.kind {
	case typePCMU:
		s.bytes = codec.MuLaw.Encode(s.bytes, s.pcm)
	case typePCMA:
		s.bytes = codec.ALaw.Encode(s.bytes, s.pcm)
	default:
		s.bytes = codec.EncodePCM(s.bytes, s.pcm)
	}
	return base64.StdEncoding.AppendEncode(dst, s.bytes)
}
