// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// stampName is the file that remembers which files were hashed already. It lies in the
// set, so a new set starts without it, and it is not part of the manifest.
const stampName = ".verified.json"

// seen identifies the bytes that were hashed: a file that was written to since differs
// in size or in time of modification.
type seen struct {
	Size    int64  `json:"size"`
	ModTime int64  `json:"mod_time_ns"`
	SHA256  string `json:"sha256"`
}

func (s *Set) checkSizes() error {
	for _, file := range s.Manifest.Files {
		if _, err := s.stat(file); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) path(file File) string { return filepath.Join(s.Dir, filepath.FromSlash(file.Path)) }

func (s *Set) stat(file File) (fs.FileInfo, error) {
	info, err := os.Stat(s.path(file))
	switch {
	case err != nil:
		return nil, &CorruptError{File: s.path(file), Fault: "cannot be read", Cause: err}
	case !info.Mode().IsRegular():
		return nil, &CorruptError{File: s.path(file), Fault: "is not a regular file"}
	case info.Size() != file.Size:
		return nil, &CorruptError{
			File: s.path(file), Fault: "has another size",
			Want: strconv.FormatInt(file.Size, 10) + " bytes", Got: strconv.FormatInt(info.Size(), 10) + " bytes",
		}
	}
	return info, nil
}

// Verify compares the SHA-256 of every file with the manifest. A file that passed
// before and has kept its size and time of modification is not read again.
func (s *Set) Verify() error {
	before := s.readStamp()
	now := make(map[string]seen, len(s.Manifest.Files))
	fresh := false
	for _, file := range s.Manifest.Files {
		info, err := s.stat(file)
		if err != nil {
			return err
		}
		mark := seen{Size: info.Size(), ModTime: info.ModTime().UnixNano(), SHA256: file.SHA256}
		if before[file.Path] != mark {
			if err := s.hash(file); err != nil {
				return err
			}
			fresh = true
		}
		now[file.Path] = mark
	}
	if fresh {
		s.writeStamp(now)
	}
	return nil
}

// VerifyAll is Verify without memory: it reads every file. It finds a disk that
// changed bits without changing times.
func (s *Set) VerifyAll() error {
	for _, file := range s.Manifest.Files {
		if _, err := s.stat(file); err != nil {
			return err
		}
		if err := s.hash(file); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) hash(file File) error {
	f, err := os.Open(s.path(file))
	if err != nil {
		return &CorruptError{File: s.path(file), Fault: "cannot be read", Cause: err}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return &CorruptError{File: s.path(file), Fault: "cannot be read", Cause: err}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != file.SHA256 {
		return &CorruptError{File: s.path(file), Fault: "has another SHA-256", Want: file.SHA256, Got: got}
	}
	return nil
}

// readStamp returns what is remembered; a stamp that cannot be read is no stamp.
func (s *Set) readStamp() map[string]seen {
	info, err := os.Stat(filepath.Join(s.Dir, stampName))
	if err != nil || info.Size() > maxManifestBytes {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(s.Dir, stampName))
	if err != nil {
		return nil
	}
	var stamp map[string]seen
	if json.Unmarshal(data, &stamp) != nil {
		return nil
	}
	return stamp
}

// writeStamp is best effort: a set in a read-only place is hashed every time.
func (s *Set) writeStamp(stamp map[string]seen) {
	data, err := json.Marshal(stamp)
	if err != nil {
		return
	}
	temporary, err := os.CreateTemp(s.Dir, stampName+".*")
	if err != nil {
		return
	}
	_, err = temporary.Write(data)
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), filepath.Join(s.Dir, stampName))
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
}
