// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// EnvVar names the environment variable that says where the engines are. When it is
// set nowhere else is looked: who names a place means that one.
const EnvVar = "PARLEY_ENGINES"

// What a set holds, relative to it.
const (
	recogniserFile  = "pocketsphinx.wasm"
	synthesiserFile = "flite_slt.wasm"
	vadFile         = "silero_vad_v6.onnx"
	modelDir        = "en-us"
	opusFile        = "opus.wasm"
)

// Set is the engines found in one folder.
type Set struct {
	Dir      string // the folder, e.g. /home/ada/.cache/parley/engines/v1
	Manifest Manifest
}

// Recogniser is the path of PocketSphinx as WebAssembly.
func (s *Set) Recogniser() string { return filepath.Join(s.Dir, recogniserFile) }

// Synthesiser is the path of flite, with the voice slt, as WebAssembly.
func (s *Set) Synthesiser() string { return filepath.Join(s.Dir, synthesiserFile) }

// VAD is the path of Silero VAD's weights, an ONNX file.
func (s *Set) VAD() string { return filepath.Join(s.Dir, vadFile) }

// Model is the folder with the recogniser's acoustic model, language model and dictionary.
func (s *Set) Model() string { return filepath.Join(s.Dir, modelDir) }

// Opus is the path of libopus's encoder as WebAssembly, empty when the set was made before
// there was one: run make engines.
func (s *Set) Opus() string {
	if !slices.ContainsFunc(s.Manifest.Files, func(f File) bool { return f.Path == opusFile }) {
		return ""
	}
	return filepath.Join(s.Dir, opusFile)
}

// Compiled is the folder, beside the set, for what the engines are compiled to on this
// machine. It need not exist, and who can write to it can run code as this user.
func (s *Set) Compiled() string { return filepath.Join(filepath.Dir(s.Dir), "compiled") }

// Options says what Find goes by.
type Options struct {
	Getenv     func(string) string // of the process; nil = os.Getenv
	Executable string              // path of the running program; empty = os.Executable
}

// Places lists the folders in which Find looks, in order: what PARLEY_ENGINES names, or
// else the user's cache and the folder "engines" beside the program.
func Places(opts Options) []string {
	getenv := opts.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	version := "v" + strconv.Itoa(Format)
	if dir := getenv(EnvVar); dir != "" {
		return []string{filepath.Join(dir, version)}
	}
	var places []string
	if dir := cacheDir(getenv); dir != "" {
		places = append(places, filepath.Join(dir, "parley", "engines", version))
	}
	executable := opts.Executable
	if executable == "" {
		// Without it there is one place less to look, which the error will show.
		executable, _ = os.Executable()
	}
	if executable != "" {
		places = append(places, filepath.Join(filepath.Dir(executable), "engines", version))
	}
	return places
}

// cacheDir is where scripts/engines/build.sh puts things too: on every system the XDG
// one, and the system's own only where there is no home.
func cacheDir(getenv func(string) string) string {
	if dir := getenv("XDG_CACHE_HOME"); dir != "" {
		return dir
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache")
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return dir
}

// Find returns the first set among Places, with its manifest read and the size of every
// file checked. It fails with a *MissingError when there is none, and with a
// *CorruptError or *FormatError when the first one is not usable: a damaged set is not
// passed over in silence.
func Find(opts Options) (*Set, error) {
	places := Places(opts)
	for _, dir := range places {
		path := filepath.Join(dir, ManifestName)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		m, err := readManifest(path)
		if err != nil {
			return nil, err
		}
		set := &Set{Dir: dir, Manifest: m}
		if err := set.checkSizes(); err != nil {
			return nil, err
		}
		return set, nil
	}
	return nil, &MissingError{Looked: places}
}
