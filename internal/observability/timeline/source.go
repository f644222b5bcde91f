// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// segmentSource is a segment that can be opened for reading; tests and the
// fuzzer put bytes in memory behind it.
type segmentSource struct {
	name string
	// id is what the file's name says, 0 when it says nothing.
	id   uint32
	size int64
	open func() (readHandle, error)
}

type readHandle interface {
	io.ReaderAt
	io.Closer
}

// recordingSource is what Open found at a path.
type recordingSource struct {
	path string
	// single: the path names one segment. more: others follow it beside it.
	single, more bool
	segments     []segmentSource
}

// findSegments lists the segments at a path, in order of their names.
func findSegments(path string) (recordingSource, error) {
	src := recordingSource{path: path}
	info, err := os.Stat(path)
	if err != nil {
		return src, fmt.Errorf("timeline: open recording: %w: check the path", err)
	}
	if !info.IsDir() {
		return findSingle(src, info)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return src, fmt.Errorf("timeline: open recording: %w (%s)", err, remedy(err))
	}
	for _, e := range entries {
		id, ok := segmentID(e.Name())
		if !ok {
			continue
		}
		full := filepath.Join(path, e.Name())
		info, err := os.Stat(full)
		if err != nil {
			return src, fmt.Errorf("timeline: open recording: %w", err)
		}
		if !info.Mode().IsRegular() {
			return src, fmt.Errorf("%w: %s is %s, expected a file", ErrNotRecording, full, info.Mode().Type())
		}
		src.segments = append(src.segments, fileSegment(full, id, info.Size()))
	}
	if len(src.segments) == 0 {
		return src, fmt.Errorf("%w: %s holds no segment (%s, ...): give the folder that the session recorded into",
			ErrNotRecording, path, segmentName(1))
	}
	return src, nil
}

// findSingle accepts one file when it begins like a segment.
func findSingle(src recordingSource, info fs.FileInfo) (recordingSource, error) {
	if !info.Mode().IsRegular() {
		return src, fmt.Errorf("%w: %s is %s, expected a folder or a file", ErrNotRecording, src.path, info.Mode().Type())
	}
	if info.Size() == 0 {
		return src, fmt.Errorf("%w: %s is empty: nothing was recorded, or it was lost", ErrNotRecording, src.path)
	}
	id, _ := segmentID(filepath.Base(src.path))
	seg := fileSegment(src.path, id, info.Size())
	head := make([]byte, min(len(magic), int(info.Size())))
	if err := readStart(seg, head); err != nil {
		return src, fmt.Errorf("timeline: open recording: %w (%s)", err, remedy(err))
	}
	if string(head) != magic[:len(head)] {
		return src, fmt.Errorf("%w: %s begins with %q, expected %q: give a recording's folder or one of its segments",
			ErrNotRecording, src.path, head, magic)
	}
	src.single = true
	src.segments = []segmentSource{seg}
	if id > 0 && id < maxSegment {
		_, err := os.Stat(filepath.Join(filepath.Dir(src.path), segmentName(id+1)))
		src.more = err == nil
	}
	return src, nil
}

func fileSegment(path string, id uint32, size int64) segmentSource {
	return segmentSource{
		name: filepath.Base(path), id: id, size: size,
		open: func() (readHandle, error) { return os.Open(path) },
	}
}

// readStart fills b from the segment's start.
func readStart(s segmentSource, b []byte) error {
	h, err := s.open()
	if err != nil {
		return err
	}
	_, err = h.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, h.Close())
}
