// SPDX-License-Identifier: Apache-2.0

package engines_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/engines"
	"github.com/parley-voice/parley/internal/engines/enginestest"
)

// lay makes a small set whose files hold their own names, in root/v1.
func lay(t *testing.T, root string) engines.Manifest {
	t.Helper()
	m := engines.Manifest{Format: engines.Format, Toolchain: "a compiler"}
	for _, name := range []string{
		"pocketsphinx.wasm", "flite_slt.wasm", "silero_vad_v6.onnx",
		"en-us/en-us/mdef", "en-us/en-us.lm.bin", "en-us/cmudict-en-us.dict",
	} {
		write(t, filepath.Join(root, "v1", name), name)
		digest := sha256.Sum256([]byte(name))
		m.Files = append(m.Files, engines.File{Path: name, Size: int64(len(name)), SHA256: hex.EncodeToString(digest[:])})
	}
	writeManifest(t, root, m)
	return m
}

func writeManifest(t *testing.T, root string, m any) {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "v1", "manifest.json"), string(data))
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func named(root string) engines.Options {
	return engines.Options{Getenv: func(name string) string {
		if name == engines.EnvVar {
			return root
		}
		return ""
	}}
}

func TestPlacesInOrder(t *testing.T) {
	env := map[string]string{"XDG_CACHE_HOME": "/cache", "HOME": "/home/ada"}
	opts := engines.Options{Getenv: func(name string) string { return env[name] }, Executable: "/opt/parley/bin/parley"}
	check := func(want ...string) {
		t.Helper()
		got := engines.Places(opts)
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("with %v:\ngot  %q\nwant %q", env, got, want)
		}
	}
	check("/cache/parley/engines/v1", "/opt/parley/bin/engines/v1")
	delete(env, "XDG_CACHE_HOME")
	check("/home/ada/.cache/parley/engines/v1", "/opt/parley/bin/engines/v1")
	env[engines.EnvVar] = "/elsewhere" // nothing is looked at besides
	check("/elsewhere/v1")
}

func TestFindFallsThroughToBesideTheProgram(t *testing.T) {
	beside := t.TempDir()
	lay(t, filepath.Join(beside, "engines"))
	set, err := engines.Find(engines.Options{
		Getenv: func(name string) string {
			if name == "XDG_CACHE_HOME" {
				return t.TempDir()
			}
			return ""
		},
		Executable: filepath.Join(beside, "parley"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(beside, "engines", "v1", "pocketsphinx.wasm"); set.Recogniser() != want {
		t.Errorf("recogniser is %s, want %s", set.Recogniser(), want)
	}
	for _, path := range []string{set.Synthesiser(), set.VAD(), filepath.Join(set.Model(), "en-us.lm.bin")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// A set of before there was an encoder of Opus is whole, and says that it has none.
func TestOpusMayBeMissing(t *testing.T) {
	root := t.TempDir()
	m := lay(t, root)
	set, err := engines.Find(named(root))
	if err != nil || set.Opus() != "" {
		t.Fatalf("opus is %q, said %v", set.Opus(), err)
	}
	path := filepath.Join(root, "v1", "opus.wasm")
	write(t, path, "opus")
	digest := sha256.Sum256([]byte("opus"))
	m.Files = append(m.Files, engines.File{Path: "opus.wasm", Size: 4, SHA256: hex.EncodeToString(digest[:])})
	writeManifest(t, root, m)
	if set, err = engines.Find(named(root)); err != nil || set.Opus() != path {
		t.Errorf("opus is %q, said %v", set.Opus(), err)
	}
}

func TestMissingSaysWhereAndWhatToDo(t *testing.T) {
	root := t.TempDir()
	_, err := engines.Find(named(root))
	if !errors.Is(err, engines.ErrMissing) {
		t.Fatalf("got %v, want ErrMissing", err)
	}
	for _, want := range []string{filepath.Join(root, "v1"), "make engines", "PARLEY_ENGINES_ARCHIVE"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestDamageIsNamed(t *testing.T) {
	tests := []struct {
		name   string
		damage func(t *testing.T, root string, m engines.Manifest)
		kind   error
		says   string
	}{
		{"truncated", func(t *testing.T, root string, _ engines.Manifest) {
			write(t, filepath.Join(root, "v1/flite_slt.wasm"), "flite")
		}, engines.ErrCorrupt, "flite_slt.wasm has another size (want 14 bytes, got 5 bytes)"},
		{"gone", func(t *testing.T, root string, _ engines.Manifest) {
			if err := os.Remove(filepath.Join(root, "v1/en-us/en-us.lm.bin")); err != nil {
				t.Fatal(err)
			}
		}, engines.ErrCorrupt, "en-us.lm.bin cannot be read"},
		{"a folder in place of a file", func(t *testing.T, root string, _ engines.Manifest) {
			path := filepath.Join(root, "v1/silero_vad_v6.onnx")
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
				t.Fatal(err)
			}
		}, engines.ErrCorrupt, "is not a regular file"},
		{"manifest cut off", func(t *testing.T, root string, _ engines.Manifest) {
			write(t, filepath.Join(root, "v1/manifest.json"), `{"format": 1, "files": [`)
		}, engines.ErrCorrupt, "manifest.json is not a manifest"},
		{"manifest without the recogniser", func(t *testing.T, root string, m engines.Manifest) {
			m.Files = m.Files[1:]
			writeManifest(t, root, m)
		}, engines.ErrCorrupt, "pocketsphinx.wasm is not listed"},
		{"path out of the folder", func(t *testing.T, root string, m engines.Manifest) {
			m.Files[1].Path = "../../etc/passwd"
			writeManifest(t, root, m)
		}, engines.ErrCorrupt, "files[1].path"},
		{"listed twice", func(t *testing.T, root string, m engines.Manifest) {
			m.Files[1] = m.Files[0]
			writeManifest(t, root, m)
		}, engines.ErrCorrupt, "listed twice"},
		{"no digest", func(t *testing.T, root string, m engines.Manifest) {
			m.Files[2].SHA256 = "abc"
			writeManifest(t, root, m)
		}, engines.ErrCorrupt, "files[2].sha256"},
		{"newer", func(t *testing.T, root string, _ engines.Manifest) {
			writeManifest(t, root, map[string]any{"format": 7, "files": "another shape"})
		}, engines.ErrFormat, "format 7 and this Parley reads 1: use a newer Parley"},
		{"older", func(t *testing.T, root string, m engines.Manifest) {
			m.Format = 0
			writeManifest(t, root, m)
		}, engines.ErrFormat, "format 0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			test.damage(t, root, lay(t, root))
			_, err := engines.Find(named(root))
			if !errors.Is(err, test.kind) {
				t.Fatalf("got %v, want %v", err, test.kind)
			}
			for _, want := range []string{test.says, "make engines", root} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestFlippedBitIsFoundBySHA256(t *testing.T) {
	root := t.TempDir()
	m := lay(t, root)
	set, err := engines.Find(named(root))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "v1", m.Files[0].Path)
	content := []byte(m.Files[0].Path)
	content[3] ^= 1
	write(t, path, string(content))

	err = set.Verify()
	var corrupt *engines.CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("got %v, want a CorruptError", err)
	}
	got := sha256.Sum256(content)
	if corrupt.File != path || corrupt.Want != m.Files[0].SHA256 || corrupt.Got != hex.EncodeToString(got[:]) {
		t.Errorf("got %+v", corrupt)
	}
}

func TestVerifyReadsAFileOnceAndAgainWhenItChanged(t *testing.T) {
	root := t.TempDir()
	m := lay(t, root)
	set, err := engines.Find(named(root))
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Verify(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "v1", m.Files[0].Path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	content := []byte(m.Files[0].Path)
	content[0] ^= 1
	write(t, path, string(content))

	// Same size and time: taken as read, as documented; VerifyAll looks all the same.
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := set.Verify(); err != nil {
		t.Errorf("a file that looks untouched was read again: %v", err)
	}
	if err := set.VerifyAll(); !errors.Is(err, engines.ErrCorrupt) {
		t.Errorf("VerifyAll: got %v, want ErrCorrupt", err)
	}

	if err := os.Chtimes(path, info.ModTime(), info.ModTime().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := set.Verify(); !errors.Is(err, engines.ErrCorrupt) {
		t.Errorf("after a later change: got %v, want ErrCorrupt", err)
	}
}

func TestADamagedStampIsNoStamp(t *testing.T) {
	root := t.TempDir()
	lay(t, root)
	set, err := engines.Find(named(root))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "v1", ".verified.json"), "{not json")
	if err := set.Verify(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(root, "v1", ".verified.json")); err != nil || !json.Valid(data) {
		t.Errorf("the stamp was not renewed: %q, %v", data, err)
	}
}

// The set that the build script makes is one that this package reads: the script and
// the package know the same format, names and manifest.
func TestTheInstalledSetIsWhole(t *testing.T) {
	set := enginestest.Set(t)
	if err := set.VerifyAll(); err != nil {
		t.Fatal(err)
	}
	sources := 4
	if set.Opus() != "" { // it came later, and what was set up before is still good
		sources++
	}
	if len(set.Manifest.Sources) != sources || set.Manifest.Toolchain == "" || len(set.Manifest.Recipe) != 64 {
		t.Errorf("the manifest does not say what it was made from: %+v", set.Manifest)
	}
	for _, source := range set.Manifest.Sources {
		if source.Licence == "" || source.From == "" || len(source.SHA256) != 64 {
			t.Errorf("source %+v is not accounted for", source)
		}
	}
}
