// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Kinds of failure, for errors.Is. Every error of this package that is about a
// file is an *Error around one of these or around the error of the system.
var (
	// ErrNotWAV is data that does not start as a WAV file does.
	ErrNotWAV = errors.New("not a WAV file")
	// ErrEmpty is a file with no bytes, or a WAV file with no samples.
	ErrEmpty = errors.New("no sound in it")
	// ErrTruncated is a file that ends before its header says so.
	ErrTruncated = errors.New("file is cut off")
	// ErrMalformed is a header whose fields contradict the format or each other.
	ErrMalformed = errors.New("malformed WAV header")
	// ErrUnsupported is a sound WAV file of a codec, depth, rate or channel
	// count outside what this package converts.
	ErrUnsupported = errors.New("unsupported WAV format")
	// ErrTooLong is more than MaxDuration of sound.
	ErrTooLong = errors.New("recording too long")
)

// Error is a failure about one file, in words a user can act on.
type Error struct {
	// File is the name the caller gave, for messages only.
	File string
	// Field is the part of the file that is wrong ("data chunk", "sample rate").
	Field string
	// Value is what that field holds, with its unit.
	Value string
	// Remedy says what to do.
	Remedy string
	// Err is the kind or the cause; never nil.
	Err error
}

// Error gives "FILE: KIND: FIELD is VALUE: REMEDY".
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %v", e.File, e.Err)
	if e.Field != "" {
		s += fmt.Sprintf(": %s is %s", e.Field, e.Value)
	}
	if e.Remedy != "" {
		s += ": " + e.Remedy
	}
	return s
}

// Unwrap gives the kind or the cause.
func (e *Error) Unwrap() error { return e.Err }

// fileError puts the remedy for the usual causes beside an error of the
// system about a file that is opened, read or written.
func fileError(file string, err error) error {
	remedy := "check the disk and try again"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		remedy = "check the path; the folder must exist"
	case errors.Is(err, fs.ErrPermission):
		remedy = "allow access to it, or choose another path"
	case errors.Is(err, syscall.ENOSPC):
		remedy = "free some space or choose another disk; nothing was left at this path"
	case errors.Is(err, syscall.EISDIR):
		remedy = "it is a folder; name a file"
	}
	// The system's wrappers name the path again, or that of the partial file.
	var pe *fs.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		err = fmt.Errorf("%s: %w", pe.Op, pe.Err)
	case errors.As(err, &le):
		err = fmt.Errorf("%s: %w", le.Op, le.Err)
	}
	return &Error{File: file, Remedy: remedy, Err: err}
}
