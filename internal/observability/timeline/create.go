// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Create begins a recording in the folder dir, which it makes, and writes
// opts.Meta as the first record. It refuses a folder that is not empty
// (ErrExists) unless opts.Overwrite is set and the folder holds nothing but
// an earlier recording. If the disk refuses, what was begun is removed again.
// The caller has to call Close or Abort.
func Create(dir string, opts Options) (*Writer, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	meta, err := opts.Meta.encode()
	if err != nil {
		return nil, err
	}
	if opts.RecordingID == ([16]byte{}) {
		if _, err := rand.Read(opts.RecordingID[:]); err != nil {
			return nil, fmt.Errorf("timeline: draw a recording id: %w", err)
		}
	}
	made, err := prepare(dir, opts.Overwrite)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		opts:  opts,
		table: castagnoli(),
		log:   segmentLog{files: opts.files, dir: dir, limit: opts.SegmentBytes, recording: opts.RecordingID},
		wake:  make(chan struct{}, 1),
		kick:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
		seq:   1,
	}
	if err := w.open(meta); err != nil {
		w.discard(made)
		if errors.Is(err, fs.ErrExist) {
			return nil, existsError(dir, "another recording was begun in it")
		}
		return nil, err
	}
	if !opts.Synchronous {
		go w.run()
	}
	return w, nil
}

// open writes the first header and the meta record, so that a full disk shows
// before the session begins.
func (w *Writer) open(meta []byte) error {
	if err := w.log.begin(); err != nil {
		return err
	}
	if err := w.log.put(appendFrame(nil, w.table, TypeMeta, 1, meta)); err != nil {
		return err
	}
	w.mirror(nil)
	return nil
}

// discard removes what a failed Create has made, and only that.
func (w *Writer) discard(made bool) {
	if w.log.file != nil {
		path := w.log.path()
		_ = w.log.close(false) // the file goes
		_ = os.Remove(path)    // an empty rest does not look whole
	}
	if made {
		_ = os.Remove(w.log.dir) // fails, rightly, when it is not empty
	}
}

// prepare makes the folder, or empties it of an earlier recording.
func prepare(dir string, overwrite bool) (made bool, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return false, diskError("make folder", dir, err)
		}
		return true, nil
	}
	if err != nil {
		return false, diskError("read folder", dir, err)
	}
	if len(entries) == 0 {
		return false, nil
	}
	segments := 0
	other := ""
	for _, e := range entries {
		if _, ok := segmentID(e.Name()); ok && e.Type().IsRegular() {
			segments++
		} else {
			other = e.Name()
		}
	}
	switch {
	case other != "" && overwrite:
		return false, existsError(dir, "it also holds "+other+", which is no part of a recording and is not removed")
	case other != "" && segments == 0:
		return false, existsError(dir, "it holds "+other)
	case !overwrite:
		return false, existsError(dir, fmt.Sprintf("it holds a recording of %d segments", segments))
	}
	// The last segment goes first: what a crash leaves in between then reads
	// as a recording that was cut off.
	slices.Reverse(entries)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if err := os.Remove(path); err != nil {
			return false, diskError("remove", path, err)
		}
	}
	return false, nil
}

func existsError(dir, why string) error {
	return fmt.Errorf("%w: %s: %s: choose another folder, or remove this one", ErrExists, dir, why)
}
