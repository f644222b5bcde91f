// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"io"
	"os"
	"runtime"
)

// segmentFile is what the writer needs of an open segment. Writes go to
// explicit offsets, so that a retry after a half-done write is idempotent.
type segmentFile interface {
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// fileSystem is the seam through which tests let a disk fail.
type fileSystem interface {
	// create makes a new file and fails when the name exists.
	create(path string) (segmentFile, error)
	// syncDir makes the names in a folder durable.
	syncDir(path string) error
}

// disk is the real file system.
type disk struct{}

func (disk) create(path string) (segmentFile, error) {
	// Recordings hold what people said: nobody but the owner reads them.
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

func (disk) syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be opened for syncing there
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
