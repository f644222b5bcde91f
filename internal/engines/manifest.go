// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Format is the version of the folder and its manifest that this package reads.
const Format = 1

// ManifestName is the file that makes a folder a set of engines.
const ManifestName = "manifest.json"

// Limits on a manifest, far above what one holds (about 4 KB, 20 files).
const (
	maxManifestBytes = 1 << 20
	maxFiles         = 1000
)

// Manifest says what a set holds and what it was made from.
type Manifest struct {
	Format    int      `json:"format"`
	Recipe    string   `json:"recipe"`    // SHA-256 over the build scripts
	Toolchain string   `json:"toolchain"` // the compiler's own words
	Sources   []Source `json:"sources"`
	Files     []File   `json:"files"`
}

// Source is one input of the build.
type Source struct {
	File    string `json:"file"`
	SHA256  string `json:"sha256"`
	From    string `json:"from"`
	Licence string `json:"licence"`
	Gives   string `json:"gives"`
}

// File is one file of the set.
type File struct {
	Path   string `json:"path"` // relative to the set, with slashes
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// readManifest reads and checks a set's manifest.
func readManifest(path string) (Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return Manifest{}, &CorruptError{File: path, Fault: "cannot be read", Cause: err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifestBytes+1))
	if err != nil {
		return Manifest{}, &CorruptError{File: path, Fault: "cannot be read", Cause: err}
	}
	if len(data) > maxManifestBytes {
		return Manifest{}, &CorruptError{File: path, Fault: fmt.Sprintf("is longer than %d bytes", maxManifestBytes)}
	}
	// The format first: a newer manifest need not fit the structure below.
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return Manifest{}, &CorruptError{File: path, Fault: "is not a manifest", Cause: err}
	}
	if version.Format != Format {
		return Manifest{}, &FormatError{File: path, Want: Format, Got: version.Format}
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return Manifest{}, &CorruptError{File: path, Fault: "is not a manifest", Cause: err}
	}
	if err := m.check(); err != nil {
		return Manifest{}, &CorruptError{File: path, Fault: "is not usable", Cause: err}
	}
	return m, nil
}

// check refuses paths that lead out of the set, and a set without what Parley needs.
func (m *Manifest) check() error {
	if len(m.Files) > maxFiles {
		return fmt.Errorf("files: %d entries, at most %d are read", len(m.Files), maxFiles)
	}
	listed := make(map[string]bool, len(m.Files))
	for i, file := range m.Files {
		digest, err := hex.DecodeString(file.SHA256)
		switch {
		case !filepath.IsLocal(filepath.FromSlash(file.Path)):
			return fmt.Errorf("files[%d].path: %q leads out of the folder", i, file.Path)
		case listed[file.Path]:
			return fmt.Errorf("files[%d].path: %q is listed twice", i, file.Path)
		case file.Size < 0:
			return fmt.Errorf("files[%d].size: %d is negative", i, file.Size)
		case err != nil || len(digest) != 32:
			return fmt.Errorf("files[%d].sha256: %q is not a SHA-256", i, file.SHA256)
		}
		listed[file.Path] = true
	}
	for _, name := range required() {
		if !listed[name] {
			return fmt.Errorf("files: %s is not listed", name)
		}
	}
	return nil
}

func required() []string {
	return []string{recogniserFile, synthesiserFile, vadFile, modelDir + "/en-us/mdef", modelDir + "/en-us.lm.bin", modelDir + "/cmudict-en-us.dict"}
}
