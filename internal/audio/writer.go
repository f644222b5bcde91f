// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	wavHeaderBytes = 44
	// maxDataBytes keeps the RIFF size, 36 more, within its 32 bits.
	maxDataBytes = 1<<32 - 1 - 36
	stereoBytes  = 4
)

// WAVWriter writes a stereo 16-bit WAV file as it comes. Until Close the sound
// lies in a hidden file beside the target (".NAME.*.partial"); Close completes
// it and renames it onto the target in one step, replacing what stood there.
// Whatever fails or is never closed leaves the target as it was. Not safe for
// use by several goroutines.
type WAVWriter struct {
	path string
	rate int
	file *os.File
	buf  *bufio.Writer
	n    int64 // data bytes
	err  error // the first failure; sticks
	done bool
}

// CreateWAV begins a stereo file of the given rate in Hz at path. The folder
// must exist. Errors are *Error and name path and remedy.
func CreateWAV(path string, rate int) (*WAVWriter, error) {
	if rate < minRate || rate > maxRate {
		return nil, &Error{
			File: path, Err: ErrUnsupported, Field: "sample rate", Value: fmt.Sprintf("%d Hz", rate),
			Remedy: fmt.Sprintf("use %d to %d Hz", minRate, maxRate),
		}
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &Error{
			File: path, Err: os.ErrExist, Field: "target", Value: "not a regular file",
			Remedy: "choose another path",
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.partial")
	if err != nil {
		return nil, fileError(path, err)
	}
	w := &WAVWriter{path: path, rate: rate, file: f, buf: bufio.NewWriterSize(f, 64<<10)}
	// A file of CreateTemp is for its owner alone; a recording is as open as
	// any other output. The sizes are filled in by Close: a header of zero
	// bytes cannot be taken for a whole file.
	err = f.Chmod(0o644)
	if err == nil {
		_, err = w.buf.Write(make([]byte, wavHeaderBytes))
	}
	if err != nil {
		return nil, w.fail(err)
	}
	return w, nil
}

// Write appends left and right, which must be of one length. After a failure
// the partial file is gone and every call returns that failure.
func (w *WAVWriter) Write(left, right []int16) error {
	switch {
	case w.err != nil:
		return w.err
	case w.done:
		return &Error{File: w.path, Err: os.ErrClosed, Remedy: "write before Close or Abort"}
	case len(left) != len(right):
		return w.fail(&Error{
			File: w.path, Err: ErrMalformed, Field: "right channel", Value: fmt.Sprintf("%d samples", len(right)),
			Remedy: fmt.Sprintf("give as many as on the left, %d", len(left)),
		})
	case w.n+int64(len(left))*stereoBytes > maxDataBytes:
		return w.fail(&Error{
			File: w.path, Err: ErrTooLong, Field: "data chunk", Value: fmt.Sprintf("%d bytes", w.n),
			Remedy: "a WAV file holds at most 4 GiB; start another file",
		})
	}
	var b [stereoBytes]byte
	for i := range left {
		binary.LittleEndian.PutUint16(b[:2], uint16(left[i]))
		binary.LittleEndian.PutUint16(b[2:], uint16(right[i]))
		if _, err := w.buf.Write(b[:]); err != nil {
			return w.fail(err)
		}
	}
	w.n += int64(len(left)) * stereoBytes
	return nil
}

// Close completes the file and puts it in place. A second Close, and one after
// Abort, does nothing; one after a failure returns that failure.
func (w *WAVWriter) Close() error {
	if w.done || w.err != nil {
		return w.err
	}
	if err := w.finish(); err != nil {
		return w.fail(err)
	}
	w.done = true
	return nil
}

func (w *WAVWriter) finish() error {
	if err := w.buf.Flush(); err != nil {
		return err
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := w.file.Write(stereoHeader(w.rate, uint32(w.n))); err != nil {
		return err
	}
	// Without this a crash of the machine after the rename could leave the
	// name on a file whose bytes never reached the disk.
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	return os.Rename(w.file.Name(), w.path)
}

// Abort removes the partial file and leaves the target as it was. After Close
// or a failure it does nothing.
func (w *WAVWriter) Abort() error {
	if w.done || w.err != nil {
		return nil //nolint:nilerr // the failure was returned when it happened, and the file is gone
	}
	w.done = true
	return w.discard()
}

// fail keeps the first failure, with file and remedy, and discards the rest.
func (w *WAVWriter) fail(err error) error {
	if e := (*Error)(nil); !errors.As(err, &e) {
		err = fileError(w.path, err)
	}
	w.err = errors.Join(err, w.discard())
	return w.err
}

func (w *WAVWriter) discard() error {
	if err := w.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return errors.Join(err, os.Remove(w.file.Name()))
	}
	return os.Remove(w.file.Name())
}

// stereoHeader is the 44-byte header of a 16-bit stereo file.
func stereoHeader(rate int, dataBytes uint32) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, wavHeaderBytes)
	b = le.AppendUint32(append(b, "RIFF"...), dataBytes+36)
	b = le.AppendUint32(append(b, "WAVEfmt "...), 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, 2)
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate)*stereoBytes)
	b = le.AppendUint16(b, stereoBytes)
	b = le.AppendUint16(b, 16)
	return le.AppendUint32(append(b, "data"...), dataBytes)
}
