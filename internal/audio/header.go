// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	minRate     = 8000
	maxRate     = 48000
	maxChannels = 8

	// maxFmtBytes bounds the fmt chunk: 40 bytes are the most that any format
	// accepted here needs, the rest is slack for writers that pad.
	maxFmtBytes = 4096
	// maxSkipBytes bounds all chunks before the data chunk together (cover
	// pictures, cue lists): beyond it the input is noise that looks like chunks.
	maxSkipBytes = 64 << 20
	// openEnded is where placeholder sizes begin: writers that cannot seek put
	// 0x7FFFF000, 0x7FFFFFFF, 0x80000000 or 0xFFFFFFFF in the size fields. A
	// size of 0 is the fifth habit, told apart in dataSize.
	openEnded = 0x7FFFF000
)

// codec is how one sample of one channel lies in the file.
type codec uint8

const (
	codecU8 codec = iota
	codecS16
	codecS24
	codecS32
	codecF32
	codecF64
	codecALaw
	codecMuLaw
)

func (c codec) bytes() int {
	switch c {
	case codecU8, codecALaw, codecMuLaw:
		return 1
	case codecS16:
		return 2
	case codecS24:
		return 3
	case codecS32, codecF32:
		return 4
	case codecF64:
		return 8
	}
	return 8
}

func (c codec) String() string {
	switch c {
	case codecU8:
		return "8-bit"
	case codecS16:
		return "16-bit"
	case codecS24:
		return "24-bit"
	case codecS32:
		return "32-bit"
	case codecF32:
		return "32-bit float"
	case codecF64:
		return "64-bit float"
	case codecALaw:
		return "8-bit A-law"
	case codecMuLaw:
		return "8-bit mu-law"
	}
	return "unknown"
}

// header is all of a WAV file's front matter that matters for decoding.
type header struct {
	codec    codec
	channels int
	rate     int
	// dataBytes is the length of the samples, or -1 when the header leaves it
	// open and the data runs to the end of the input.
	dataBytes int64
}

func (h header) frameBytes() int { return h.codec.bytes() * h.channels }

// parser reads the front matter and remembers how far it came.
type parser struct {
	r    io.Reader
	name string
	pos  int64
}

func (p *parser) fail(kind error, field, value, remedy string) error {
	return &Error{File: p.name, Field: field, Value: value, Remedy: remedy, Err: kind}
}

// fill reads len(b) bytes. At the end of the input it fails with
// io.ErrUnexpectedEOF, whatever part was there; the caller words that.
func (p *parser) fill(b []byte) error {
	n, err := io.ReadFull(p.r, b)
	p.pos += int64(n)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ended words an end of the input within the front matter; other errors are
// those of the system.
func (p *parser) ended(err error, missing string) error {
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		return fileError(p.name, err)
	}
	return p.fail(ErrTruncated, "length", fmt.Sprintf("%d bytes", p.pos),
		"it ends before "+missing+"; copy or export the file again")
}

// parseHeader reads up to the first sample. It reads no byte beyond.
func parseHeader(r io.Reader, name string) (header, error) {
	p := &parser{r: r, name: name}
	riffBytes, err := p.riff()
	if err != nil {
		return header{}, err
	}
	var h header
	haveFmt := false
	for skipped := int64(0); ; {
		var b [8]byte
		start := p.pos
		if err := p.fill(b[:]); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) && haveFmt && p.pos == start {
				return header{}, p.fail(ErrEmpty, "data chunk", "missing", "record or export the file again")
			}
			return header{}, p.ended(err, "the data chunk that holds the samples")
		}
		id, size := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		switch {
		case id == "fmt ":
			if h, err = p.format(size); err != nil {
				return header{}, err
			}
			haveFmt = true
		case id == "data" && !haveFmt:
			return header{}, p.fail(ErrMalformed, "fmt chunk", "missing before the data chunk", "export the file again as WAV")
		case id == "data":
			h.dataBytes, err = p.dataSize(size, riffBytes)
			return h, err
		default:
			size += size & 1 // chunks are padded to even length
			if skipped += size; skipped > maxSkipBytes {
				return header{}, p.fail(ErrMalformed, fmt.Sprintf("chunk %q", id), fmt.Sprintf("%d bytes", size),
					fmt.Sprintf("at most %d bytes may stand before the samples; export the file again without extra data", maxSkipBytes))
			}
			n, err := io.CopyN(io.Discard, p.r, size)
			p.pos += n
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return header{}, p.ended(err, fmt.Sprintf("the end of its chunk %q", id))
			}
		}
	}
}

// riff reads the first twelve bytes and returns the size they state.
func (p *parser) riff() (int64, error) {
	var b [12]byte
	err := p.fill(b[:])
	switch {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return 0, fileError(p.name, err)
	case p.pos == 0:
		return 0, p.fail(ErrEmpty, "length", "0 bytes", "record or export the file again")
	}
	remedy := "convert it to WAV first, for example with sox or ffmpeg"
	switch head := string(b[:min(p.pos, 4)]); {
	case head == "RIFX" || head == "RF64" || head == "BW64":
		return 0, p.fail(ErrUnsupported, "container", head, "convert it to a plain RIFF WAV file, for example with sox or ffmpeg")
	case head != "RIFF"[:len(head)]:
		return 0, p.fail(ErrNotWAV, "start", fmt.Sprintf("%q instead of \"RIFF\"", head), remedy)
	case err != nil:
		return 0, p.ended(err, "the end of its header")
	case string(b[8:]) != "WAVE":
		return 0, p.fail(ErrNotWAV, "RIFF kind", fmt.Sprintf("%q instead of \"WAVE\"", b[8:]), remedy)
	}
	return int64(binary.LittleEndian.Uint32(b[4:])), nil
}

// dataSize tells a stated size from a placeholder. A size of 0 is one when the
// RIFF size leaves no room for a chunk after it: then nothing but samples can
// follow. Otherwise it is what it says, a recording without a sample.
func (p *parser) dataSize(size, riffBytes int64) (int64, error) {
	switch {
	case size >= openEnded:
		return -1, nil
	case size > 0:
		return size, nil
	case riffBytes >= openEnded || riffBytes+8 <= p.pos:
		return -1, nil
	}
	return 0, p.fail(ErrEmpty, "data chunk", "0 bytes", "record or export the file again")
}

// format reads the fmt chunk (RIFF WAVE, "WAVEFORMATEX" and
// "WAVEFORMATEXTENSIBLE").
func (p *parser) format(size int64) (header, error) {
	if size < 16 || size > maxFmtBytes {
		return header{}, p.fail(ErrMalformed, "fmt chunk", fmt.Sprintf("%d bytes", size),
			fmt.Sprintf("it must be 16 to %d; export the file again as WAV", maxFmtBytes))
	}
	b := make([]byte, size+size&1)
	if err := p.fill(b); err != nil {
		return header{}, p.ended(err, "the end of its fmt chunk")
	}
	le := binary.LittleEndian
	tag, bits := le.Uint16(b), int(le.Uint16(b[14:]))
	h := header{channels: int(le.Uint16(b[2:])), rate: int(le.Uint32(b[4:]))}
	if h.channels < 1 || h.channels > maxChannels {
		return header{}, p.fail(ErrUnsupported, "channel count", fmt.Sprint(h.channels), "use 1 to 8 channels")
	}
	if h.rate < minRate || h.rate > maxRate {
		return header{}, p.fail(ErrUnsupported, "sample rate", fmt.Sprintf("%d Hz", h.rate),
			fmt.Sprintf("use %d to %d Hz, for example: sox IN -r 16000 OUT.wav", minRate, maxRate))
	}
	if tag == 0xFFFE {
		var err error
		if tag, err = p.extensible(b[:size], bits); err != nil {
			return header{}, err
		}
	}
	var ok bool
	if h.codec, ok = codecOf(tag, bits); !ok {
		return header{}, p.fail(ErrUnsupported, "sample format", fmt.Sprintf("%s of %d bits", tagName(tag), bits),
			"use PCM of 8, 16, 24 or 32 bits, float of 32 or 64 bits, A-law or mu-law")
	}
	if align := int(le.Uint16(b[12:])); align != h.frameBytes() {
		return header{}, p.fail(ErrMalformed, "block align", fmt.Sprintf("%d bytes", align),
			fmt.Sprintf("%d channels of %s samples take %d; export the file again as WAV", h.channels, h.codec, h.frameBytes()))
	}
	return h, nil
}

// extensible returns the format tag that WAVE_FORMAT_EXTENSIBLE carries in the
// first two bytes of its sub-format identifier.
func (p *parser) extensible(b []byte, bits int) (uint16, error) {
	// the tail of KSDATAFORMAT_SUBTYPE_*, shared by all of them
	const tail = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
	if len(b) < 40 {
		return 0, p.fail(ErrMalformed, "fmt chunk", fmt.Sprintf("%d bytes", len(b)),
			"the extensible format takes 40; export the file again as plain PCM WAV")
	}
	if valid := int(binary.LittleEndian.Uint16(b[18:])); valid > bits {
		return 0, p.fail(ErrMalformed, "valid bits per sample", fmt.Sprint(valid),
			fmt.Sprintf("a sample holds %d bits; export the file again as plain PCM WAV", bits))
	}
	if string(b[26:40]) != tail {
		return 0, p.fail(ErrUnsupported, "sub-format", fmt.Sprintf("%x", b[24:40]), "export the file again as plain PCM WAV")
	}
	return binary.LittleEndian.Uint16(b[24:]), nil
}

func codecOf(tag uint16, bits int) (codec, bool) {
	switch {
	case tag == 1 && bits == 8:
		return codecU8, true
	case tag == 1 && bits == 16:
		return codecS16, true
	case tag == 1 && bits == 24:
		return codecS24, true
	case tag == 1 && bits == 32:
		return codecS32, true
	case tag == 3 && bits == 32:
		return codecF32, true
	case tag == 3 && bits == 64:
		return codecF64, true
	case tag == 6 && bits == 8:
		return codecALaw, true
	case tag == 7 && bits == 8:
		return codecMuLaw, true
	}
	return 0, false
}

func tagName(tag uint16) string {
	switch tag {
	case 1:
		return "PCM"
	case 2, 0x11:
		return "ADPCM"
	case 3:
		return "IEEE float"
	case 6:
		return "A-law"
	case 7:
		return "mu-law"
	case 0x55:
		return "MP3"
	}
	return fmt.Sprintf("format 0x%04x", tag)
}
