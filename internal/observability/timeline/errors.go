// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Errors of this package; test for them with errors.Is.
var (
	// ErrNotRecording: the path holds no recording at all.
	ErrNotRecording = errors.New("timeline: not a recording")
	// ErrNewer: the recording has a newer major format than this build reads.
	ErrNewer = errors.New("timeline: recording is newer than this build")
	// ErrTruncated: the recording stops before its End record; what was read is good.
	ErrTruncated = errors.New("timeline: recording is not whole")
	// ErrCorrupt: bytes were changed, lost or mixed up; what was read is good.
	ErrCorrupt = errors.New("timeline: recording is damaged")
	// ErrExists: Create found something in the folder.
	ErrExists = errors.New("timeline: folder is not empty")
	// ErrBaselineUnavailable: a baseline record cannot be kept. The session has
	// to end with abort(recording_evidence_unavailable) (evidence-replay section 4).
	ErrBaselineUnavailable = errors.New("timeline: baseline record cannot be kept")
	// ErrClosed: the writer was closed or aborted.
	ErrClosed = errors.New("timeline: writer is closed")
	// ErrTooLarge: the payload is longer than MaxPayload.
	ErrTooLarge = errors.New("timeline: payload is too large")
	// ErrUnknownType: the record type may not be appended by a caller.
	ErrUnknownType = errors.New("timeline: record type cannot be appended")
	// ErrPayload: a payload does not have the form that its type prescribes.
	ErrPayload = errors.New("timeline: bad payload")
	// ErrOptions: Options are contradictory or out of range.
	ErrOptions = errors.New("timeline: bad options")
	// ErrStalled: the disk did not answer within Options.CloseTimeout.
	ErrStalled = errors.New("timeline: disk does not answer")
)

// diskError wraps a failed file operation and names the file and the remedy.
func diskError(op, path string, err error) error {
	return fmt.Errorf("timeline: %s %s: %w (%s)", op, path, err, remedy(err))
}

// remedy says what the user can do about a disk error.
func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free space on that disk or record into another folder"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "make the folder writable or record into another one"
	case errors.Is(err, fs.ErrNotExist):
		return "the folder was removed while recording; leave it in place until the session ends"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "raise the limit of open files (ulimit -n)"
	default:
		return "check the disk or record into another folder"
	}
}
