// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// Rate is the sample rate of a Clip, in Hz: the rate of the voice path.
	Rate = 16000
	// MaxDuration is the longest recording that DecodeWAV takes.
	MaxDuration = 30 * time.Minute

	// blockFrames is how many frames are read and converted at a time.
	blockFrames = 4096
)

// Clip is a recording in the format of the voice path.
type Clip struct {
	// Name is what the caller called it.
	Name string
	// PCM is mono, signed 16-bit, at Rate.
	PCM []int16
}

// Duration is the length of the clip, exact to the sample (62.5 us).
func (c Clip) Duration() time.Duration {
	return time.Duration(len(c.PCM)) * time.Second / Rate
}

// NoteKind says what a Note is about; a closed set.
type NoteKind string

const (
	// NoteConverted: the rate, channels or depth were changed.
	NoteConverted NoteKind = "converted"
	// NoteOpenEnded: the header leaves the length open, as pipes do; the
	// samples run to the end of the input.
	NoteOpenEnded NoteKind = "open_ended"
	// NotePartialFrame: the last bytes did not make a whole frame and were dropped.
	NotePartialFrame NoteKind = "partial_frame"
	// NoteClipped: samples beyond full scale were clipped.
	NoteClipped NoteKind = "clipped"
	// NoteSilent: every sample is zero.
	NoteSilent NoteKind = "silent"
)

// Note tells the user about something done to, or odd in, a recording.
type Note struct {
	Kind NoteKind
	// Text is one sentence without a full stop and without the file's name.
	Text string
}

// String gives the text.
func (n Note) String() string { return n.Text }

// ReadWAVFile is DecodeWAV on the file at path.
func ReadWAVFile(path string) (Clip, []Note, error) {
	f, err := os.Open(path)
	if err != nil {
		return Clip{}, nil, fileError(path, err)
	}
	defer f.Close() //nolint:errcheck // only read from
	return DecodeWAV(f, path)
}

// DecodeWAV reads one WAV file from r and converts it to the voice path's
// format; name stands in messages and in the clip. Notes tell of every
// conversion. The error is an *Error around one of this package's kinds, or
// around r's own error; then the clip is empty and nothing is half-converted.
//
// A data chunk shorter than its header says is refused: what is missing may be
// the part that matters. A header that leaves the length open (sizes of 0,
// 0x7FFFF000 and above, as pipes write) is accepted, with a note.
func DecodeWAV(r io.Reader, name string) (Clip, []Note, error) {
	h, err := parseHeader(r, name)
	if err != nil {
		return Clip{}, nil, err
	}
	limit := int64(MaxDuration/time.Second) * int64(h.rate) // frames
	if h.dataBytes > limit*int64(h.frameBytes()) {
		return Clip{}, nil, tooLong(name, h)
	}
	d := &decoder{header: h, name: name, limit: limit}
	if h.rate != Rate {
		d.rs = newResampler(h.rate, Rate)
	}
	if err := d.read(r); err != nil {
		return Clip{}, nil, err
	}
	return Clip{Name: name, PCM: d.out}, d.notes(), nil
}

func tooLong(name string, h header) error {
	value := "open-ended and longer than that"
	if h.dataBytes >= 0 {
		d := time.Duration(h.dataBytes/int64(h.frameBytes())/int64(h.rate)) * time.Second
		value = d.String()
	}
	return &Error{
		File: name, Err: ErrTooLong, Field: "duration", Value: value,
		Remedy: fmt.Sprintf("use at most %d minutes; cut the recording", int(MaxDuration/time.Minute)),
	}
}

// decoder turns the bytes after the header into a clip, block by block.
type decoder struct {
	header
	name  string
	limit int64 // frames
	rs    *resampler

	out     []int16
	scratch []int32
	bytes   int64 // of the data chunk, read so far
	frames  int64 // decoded so far
	partial int   // bytes of the last, incomplete frame
	clipped int64
	sounds  bool // some sample is not zero
}

func (d *decoder) read(r io.Reader) error {
	size := d.frameBytes()
	block := make([]byte, blockFrames*size)
	mono := make([]int32, 0, blockFrames)
	for {
		want := int64(len(block))
		if d.dataBytes >= 0 {
			want = min(want, d.dataBytes-d.bytes)
		}
		n, err := io.ReadFull(r, block[:want])
		d.bytes += int64(n)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fileError(d.name, err)
		}
		d.partial = n % size
		if mono, err = d.mix(mono[:0], block[:n-d.partial]); err != nil {
			return err
		}
		if d.frames += int64(len(mono)); d.frames > d.limit {
			return tooLong(d.name, d.header)
		}
		d.convert(mono)
		if n < len(block) {
			return d.end()
		}
	}
}

// mix decodes whole frames and averages their channels.
func (d *decoder) mix(mono []int32, b []byte) ([]int32, error) {
	step := d.codec.bytes()
	for len(b) > 0 {
		var sum int64
		for range d.channels {
			v, ok := d.codec.sample(b)
			if !ok {
				at := float64(d.frames+int64(len(mono))) / float64(d.rate)
				return nil, &Error{
					File: d.name, Err: ErrMalformed, Field: fmt.Sprintf("sample at %.3f s", at),
					Value: "not a finite number", Remedy: "the recording is damaged; export it again",
				}
			}
			sum += int64(v)
			b = b[step:]
		}
		mono = append(mono, downmix(sum, d.channels))
	}
	return mono, nil
}

func (d *decoder) convert(mono []int32) {
	if d.rs == nil {
		d.emit(mono)
		return
	}
	d.scratch = d.rs.push(d.scratch[:0], mono)
	d.emit(d.scratch)
}

// emit rounds to 16 bits and clips.
func (d *decoder) emit(x []int32) {
	for _, v := range x {
		v = (v + 128) >> 8
		// Rounding alone lifts the topmost 24-bit values to 32768: no clipping to tell of.
		if v > 32768 || v < -32768 {
			d.clipped++
		}
		d.sounds = d.sounds || v != 0
		d.out = append(d.out, int16(max(-32768, min(v, 32767))))
	}
}

// end judges the length once all bytes are read.
func (d *decoder) end() error {
	if d.dataBytes >= 0 && d.bytes < d.dataBytes {
		missing := d.dataBytes - d.bytes
		secs := float64(missing) / float64(d.frameBytes()) / float64(d.rate)
		return &Error{
			File: d.name, Err: ErrTruncated, Field: "data chunk",
			Value:  fmt.Sprintf("%d bytes instead of %d", d.bytes, d.dataBytes),
			Remedy: fmt.Sprintf("%d bytes (%.3f s) are missing; copy or export the file again", missing, secs),
		}
	}
	if d.frames == 0 {
		return &Error{
			File: d.name, Err: ErrEmpty, Field: "data chunk",
			Value: fmt.Sprintf("%d bytes, less than one frame", d.bytes), Remedy: "record or export the file again",
		}
	}
	if d.rs != nil {
		d.emit(d.rs.flush(d.scratch[:0]))
	}
	return nil
}

func (d *decoder) notes() []Note {
	var notes []Note
	add := func(k NoteKind, format string, a ...any) {
		notes = append(notes, Note{Kind: k, Text: fmt.Sprintf(format, a...)})
	}
	if d.dataBytes < 0 {
		add(NoteOpenEnded, "the header leaves the length open, as a pipe's does: took all %.3f s up to the end",
			float64(d.frames)/float64(d.rate))
	}
	if d.partial > 0 {
		add(NotePartialFrame, "dropped the last %d bytes: a frame has %d", d.partial, d.frameBytes())
	}
	if d.rate != Rate || d.channels != 1 || d.codec != codecS16 {
		add(NoteConverted, "converted %d Hz %s %s to %d Hz mono 16-bit", d.rate, channelName(d.channels), d.codec, Rate)
	}
	if d.clipped > 0 {
		add(NoteClipped, "clipped %d of %d samples that exceed full scale", d.clipped, len(d.out))
	}
	if !d.sounds {
		add(NoteSilent, "the recording is silent: every sample is zero")
	}
	return notes
}

func channelName(n int) string {
	switch n {
	case 1:
		return "mono"
	case 2:
		return "stereo"
	}
	return fmt.Sprintf("%d-channel", n)
}
