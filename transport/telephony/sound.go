// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"fmt"
	"time"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

// mostSound bounds how much sound one message may hold.
const mostSound = 30 * time.Second

// codec is the one that does the work; byte order is ours.
func (f Format) codec() codec.Format {
	if f.Encoding == Linear16BE {
		return codec.Format{Codec: string(Linear16), Rate: f.Rate}
	}
	return codec.Format{Codec: string(f.Encoding), Rate: f.Rate}
}

// swap turns big-endian into little-endian samples and back.
func (f Format) swap(sound []byte) {
	if f.Encoding != Linear16BE {
		return
	}
	for i := 0; i+1 < len(sound); i += 2 {
		sound[i], sound[i+1] = sound[i+1], sound[i]
	}
}

// listener makes the runtime's samples of a gateway's sound. What decode gives is lent
// until the next call.
type listener struct {
	format  Format
	decoder codec.Decoder
	out     []int16
}

func newListener(f Format) (*listener, error) {
	d, err := f.codec().NewDecoder()
	if err != nil {
		return nil, err
	}
	return &listener{format: f, decoder: d}, nil
}

// check says whether sound can be decoded.
func (l *listener) check(sound []byte) error {
	if len(sound)%l.format.size(1) != 0 {
		return fmt.Errorf("media.payload: %d bytes: send whole samples of %s", len(sound), l.format)
	}
	if most := l.format.size(int(mostSound * time.Duration(l.format.Rate) / time.Second)); len(sound) > most {
		return fmt.Errorf("media.payload: %d bytes: send %d at most, which are %v", len(sound), most, mostSound)
	}
	return nil
}

// samples is how many samples of the runtime a number of bytes has.
func (l *listener) samples(bytes int) int64 {
	return int64(bytes/l.format.size(1)) * transport.SampleRate / int64(l.format.Rate)
}

// decode takes sound that check has let through; it is used up.
func (l *listener) decode(sound []byte) []int16 {
	l.format.swap(sound)
	l.out, _ = l.decoder.Decode(l.out[:0], sound)
	return l.out
}

// reset forgets the sound so far: what follows does not join on to it.
func (l *listener) reset() { l.decoder.Reset() }

// speaker makes a gateway's sound of the runtime's samples.
type speaker struct {
	format  Format
	encoder codec.Encoder
}

func newSpeaker(f Format) (*speaker, error) {
	e, err := f.codec().NewEncoder()
	if err != nil {
		return nil, err
	}
	return &speaker{format: f, encoder: e}, nil
}

// encode appends the sound of samples.
func (s *speaker) encode(dst []byte, pcm []int16) []byte {
	from := len(dst)
	dst, _ = s.encoder.Encode(dst, pcm) // which has no fault but in Opus
	s.format.swap(dst[from:])
	return dst
}

// silence appends a number of bytes of silence.
func (s *speaker) silence(dst []byte, bytes int) []byte {
	fill := byte(0)
	switch s.format.Encoding {
	case Mulaw:
		fill = 0xFF
	case Alaw:
		fill = 0xD5
	case Linear16, Linear16BE:
	}
	for range bytes {
		dst = append(dst, fill)
	}
	return dst
}

// reset forgets the sound so far.
func (s *speaker) reset() { s.encoder.Reset() }
