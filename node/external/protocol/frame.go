// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Version is the version of the protocol that this package speaks.
const Version = 1

// The kinds of frames.
const (
	KindJSON  byte = 'J'
	KindAudio byte = 'A'
	KindDone  byte = 'D'
	// KindGrease is none: the host sends one such frame, so that a child learns to skip.
	KindGrease byte = '~'
)

// Sizes, in bytes.
const (
	MaxFrame   = 1 << 20 // of what follows the length
	lengthSize = 4
	audioSize  = 29 // of an audio frame's head
	doneSize   = 16
)

// MaxSamples is the most samples of one audio frame.
const MaxSamples = (MaxFrame - 1 - audioSize) / 2

// The environment of a child: where its host is.
const (
	EnvFD     = "PARLEY_NODE_FD"     // number of an inherited descriptor, the usual way
	EnvSocket = "PARLEY_NODE_SOCKET" // path of a socket to connect to
)

// Violation is a breach of the protocol.
type Violation struct {
	Field  string
	Value  any
	Remedy string
}

func (v *Violation) Error() string {
	return fmt.Sprintf("protocol_violation: %s: %v: %s", v.Field, v.Value, v.Remedy)
}

// Audio is the body of an audio frame. PCM is lent until the next frame is read.
type Audio struct {
	Instance  uint32
	Sequence  uint64
	At        int64
	Sample    int64
	Final     bool
	Protected bool
	PCM       []int16
}

const (
	flagFinal     = 1
	flagProtected = 2
)

// Done says that an event is done, without an error.
type Done struct {
	Instance uint32
	Sequence uint64
	TookUS   uint32
}

// AppendAudio appends an audio frame. PCM must not have more than MaxSamples.
func AppendAudio(b []byte, a *Audio) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(1+audioSize+2*len(a.PCM)))
	b = append(b, KindAudio)
	b = binary.BigEndian.AppendUint32(b, a.Instance)
	b = binary.BigEndian.AppendUint64(b, a.Sequence)
	b = binary.BigEndian.AppendUint64(b, uint64(a.At))
	b = binary.BigEndian.AppendUint64(b, uint64(a.Sample))
	flags := byte(0)
	if a.Final {
		flags |= flagFinal
	}
	if a.Protected {
		flags |= flagProtected
	}
	return AppendPCM(append(b, flags), a.PCM)
}

// AppendPCM appends samples as s16le.
func AppendPCM(b []byte, pcm []int16) []byte {
	for _, s := range pcm {
		b = append(b, byte(s), byte(s>>8))
	}
	return b
}

// ReadPCM puts s16le into samples, whose length is kept where it is enough.
func ReadPCM(pcm []int16, b []byte) []int16 {
	n := len(b) / 2
	if cap(pcm) < n {
		pcm = make([]int16, n)
	}
	pcm = pcm[:n]
	for i := range pcm {
		pcm[i] = int16(b[2*i]) | int16(b[2*i+1])<<8
	}
	return pcm
}

// AppendDone appends a done frame.
func AppendDone(b []byte, d Done) []byte {
	b = binary.BigEndian.AppendUint32(b, 1+doneSize)
	b = append(b, KindDone)
	b = binary.BigEndian.AppendUint32(b, d.Instance)
	b = binary.BigEndian.AppendUint64(b, d.Sequence)
	return binary.BigEndian.AppendUint32(b, d.TookUS)
}

// AppendFrame appends a frame of a kind.
func AppendFrame(b []byte, kind byte, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(1+len(body)))
	return append(append(b, kind), body...)
}

// ParseAudio reads the body of an audio frame into a, and reuses its samples.
func ParseAudio(body []byte, a *Audio) error {
	if len(body) < audioSize || (len(body)-audioSize)%2 != 0 {
		return &Violation{"frame A", fmt.Sprintf("%d bytes", len(body)), fmt.Sprintf("send %d bytes of head and whole samples", audioSize)}
	}
	a.Instance = binary.BigEndian.Uint32(body)
	a.Sequence = binary.BigEndian.Uint64(body[4:])
	a.At = int64(binary.BigEndian.Uint64(body[12:]))
	a.Sample = int64(binary.BigEndian.Uint64(body[20:]))
	a.Final, a.Protected = body[28]&flagFinal != 0, body[28]&flagProtected != 0
	a.PCM = ReadPCM(a.PCM, body[audioSize:])
	return nil
}

// ParseDone reads the body of a done frame.
func ParseDone(body []byte) (d Done, err error) {
	if len(body) < doneSize {
		return d, &Violation{"frame D", fmt.Sprintf("%d bytes", len(body)), fmt.Sprintf("send %d bytes", doneSize)}
	}
	return Done{binary.BigEndian.Uint32(body), binary.BigEndian.Uint64(body[4:]), binary.BigEndian.Uint32(body[12:])}, nil
}

// Reader reads frames. It is one goroutine's.
type Reader struct {
	// Begun, if it is set, is told before and after the rest of a frame is waited for of which
	// a part is there: a frame that never ends is a way to hang.
	Begun func(partial bool)
	// Read, if it is set, is told of the bytes that came.
	Read func(n int)

	from       io.Reader
	buffer     []byte
	start, end int
}

const readBuffer = 32 << 10

// NewReader reads from a stream.
func NewReader(from io.Reader) *Reader { return &Reader{from: from, buffer: make([]byte, readBuffer)} }

// Next gives the next frame. The body is lent until the next call. An error that is a *Violation
// means that the rest of the stream has no meaning; io.EOF that it ended between two frames.
func (r *Reader) Next() (kind byte, body []byte, err error) {
	if err := r.want(lengthSize); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(r.buffer[r.start:])
	if length < 1 || length > MaxFrame {
		return 0, nil, &Violation{"frame length", length, fmt.Sprintf("send 1 to %d bytes", MaxFrame)}
	}
	if err := r.want(lengthSize + int(length)); err != nil {
		return 0, nil, err
	}
	frame := r.buffer[r.start+lengthSize : r.start+lengthSize+int(length)]
	r.start += lengthSize + int(length)
	return frame[0], frame[1:], nil
}

// want has the next n bytes in the buffer.
func (r *Reader) want(n int) error {
	told := false
	for r.end-r.start < n {
		r.room(n)
		if r.Begun != nil && !told && r.end > r.start {
			told = true
			r.Begun(true)
		}
		got, err := r.from.Read(r.buffer[r.end:])
		r.end += got
		if r.Read != nil && got > 0 {
			r.Read(got)
		}
		if err != nil && r.end-r.start < n {
			if err == io.EOF && r.end > r.start {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	if told {
		r.Begun(false)
	}
	return nil
}

// room makes room for a frame of n bytes, of which some may be there.
func (r *Reader) room(n int) {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if r.start+n <= len(r.buffer) && r.end < len(r.buffer) {
		return
	}
	into := r.buffer
	if n > len(into) {
		into = make([]byte, max(n, min(2*len(into), lengthSize+MaxFrame)))
	}
	r.end = copy(into, r.buffer[r.start:r.end])
	r.start, r.buffer = 0, into
}
