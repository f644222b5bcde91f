// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parley-voice/parley/transport"
)

// The names of codecs, as in transport.Capabilities.
const (
	NamePCM  = "pcm_s16le" // 16 bit, little-endian, mono
	NamePCMU = "pcmu"      // G.711 mu-law
	NamePCMA = "pcma"      // G.711 A-law
	NameOpus = "opus"
)

// Decoder turns what a wire carries into the sound of a session.
type Decoder interface {
	// Decode appends the samples of a block of the wire, at 16000 Hz, to dst. What is wrong
	// with the block is the error, and then nothing is appended; the next block is decoded
	// as if this one had not come.
	Decode(dst []int16, data []byte) ([]int16, error)
	// Reset begins a new stream.
	Reset()
}

// Encoder turns the sound of a session into what a wire carries.
type Encoder interface {
	// Encode appends a block of samples at 16000 Hz, as the wire has it, to dst. Opus takes
	// frames of 20 ms and makes one packet of each; the others take any length.
	Encode(dst []byte, pcm []int16) ([]byte, error)
	// Reset begins a new stream: what it keeps of the old one is dropped.
	Reset()
	// Close frees what it holds.
	Close()
}

// Format is a codec with its parameters.
type Format struct {
	Codec string // one of the names
	Rate  int    // of PCM, in Hz; 0 = 16000. Others have their own.
	// Opus makes encoders; only NewEncoder of Opus needs it.
	Opus OpusFactory
}

// Validate reports all faults at once.
func (f Format) Validate() error {
	var faults []error
	switch f.Codec {
	case NamePCM:
		if f.Rate != 0 && !slices.Contains(Rates(), f.Rate) {
			faults = append(faults, fmt.Errorf("codec: rate: %d Hz: use one of %v", f.Rate, Rates()))
		}
	case NamePCMU, NamePCMA:
		if f.Rate != 0 && f.Rate != G711Rate {
			faults = append(faults, fmt.Errorf("codec: rate: %d Hz: use %d, the only one of G.711", f.Rate, G711Rate))
		}
	case NameOpus:
		if f.Rate != 0 && f.Rate != 48000 {
			faults = append(faults, fmt.Errorf("codec: rate: %d Hz: use 48000, which Opus always has on the wire", f.Rate))
		}
	default:
		faults = append(faults, fmt.Errorf("codec: codec: %q: use one of %v", f.Codec, []string{NamePCM, NamePCMU, NamePCMA, NameOpus}))
	}
	return errors.Join(faults...)
}

// wireRate is the sample rate on the wire; of Opus that of a session, which it can do.
func (f Format) wireRate() int {
	switch {
	case f.Codec == NamePCMU || f.Codec == NamePCMA:
		return G711Rate
	case f.Codec == NameOpus || f.Rate == 0:
		return transport.SampleRate
	}
	return f.Rate
}

// law is that of G.711.
func (f Format) law() Law {
	if f.Codec == NamePCMA {
		return ALaw
	}
	return MuLaw
}

// NewDecoder makes a decoder.
func (f Format) NewDecoder() (Decoder, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if f.Codec == NameOpus {
		return NewOpusDecoder()
	}
	r, err := NewResampler(f.wireRate(), transport.SampleRate)
	if err != nil {
		return nil, err
	}
	return &decoder{format: f, resampler: r}, nil
}

// NewEncoder makes an encoder. Opus without a factory is refused with a
// *transport.RefusedError that lists the other codecs.
func (f Format) NewEncoder() (Encoder, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if f.Codec == NameOpus {
		if f.Opus == nil {
			_, err := Negotiate([]string{NameOpus}, []string{NamePCM, NamePCMU, NamePCMA})
			return nil, err
		}
		return f.Opus.NewEncoder()
	}
	r, err := NewResampler(transport.SampleRate, f.wireRate())
	if err != nil {
		return nil, err
	}
	return &encoder{format: f, resampler: r}, nil
}

// decoder is that of PCM and G.711.
type decoder struct {
	format    Format
	resampler *Resampler
	wire      []int16 // a block at the wire's rate
}

func (d *decoder) Decode(dst []int16, data []byte) ([]int16, error) {
	for len(data) > 0 {
		n := min(len(data), 2*blockSamples)
		if d.format.Codec == NamePCM {
			// The whole first: half a sample at its end refuses all of it.
			if len(data)%2 != 0 {
				_, err := DecodePCM(nil, data)
				return dst, err
			}
			d.wire, _ = DecodePCM(d.wire[:0], data[:n])
		} else {
			d.wire = d.format.law().Decode(d.wire[:0], data[:n])
		}
		dst = d.resampler.Resample(dst, d.wire)
		data = data[n:]
	}
	return dst, nil
}

func (d *decoder) Reset() { d.resampler.Reset() }

// encoder is that of PCM and G.711.
type encoder struct {
	format    Format
	resampler *Resampler
	wire      []int16 // a block at the wire's rate
}

func (e *encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	for len(pcm) > 0 {
		n := min(len(pcm), blockSamples)
		e.wire = e.resampler.Resample(e.wire[:0], pcm[:n])
		if e.format.Codec == NamePCM {
			dst = EncodePCM(dst, e.wire)
		} else {
			dst = e.format.law().Encode(dst, e.wire)
		}
		pcm = pcm[n:]
	}
	return dst, nil
}

func (e *encoder) Reset() { e.resampler.Reset() }

func (e *encoder) Close() {}
