// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, entry := range entries {
		out = append(out, entry.Name())
	}
	return out
}

func put(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func TestAtomicFileReplacesAsAWhole(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "summary.json")
	for _, text := range []string{"first", "second"} {
		if err := AtomicFile(path, put(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Fatalf("file holds %q, %v", got, err)
		}
	}
	if got := names(t, folder); len(got) != 1 {
		t.Errorf("folder holds %v", got)
	}
}

// Nothing half-written is left behind as if it were whole, and what stood there stays.
func TestAtomicFileLeavesNothingHalfWritten(t *testing.T) {
	full := fmt.Errorf("write: %w", syscall.ENOSPC)
	for _, old := range []string{"", "old"} {
		folder := t.TempDir()
		path := filepath.Join(folder, "timeline.html")
		if old != "" {
			if err := AtomicFile(path, put(old)); err != nil {
				t.Fatal(err)
			}
		}
		err := AtomicFile(path, func(w io.Writer) error {
			if err := put(strings.Repeat("half", 50_000))(w); err != nil {
				return err
			}
			return full
		})
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "disk is full") || !strings.Contains(err.Error(), path) {
			t.Errorf("error is %v", err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = AtomicFile(path, func(io.Writer) error { panic("writer") })
		}()
		if got := strings.Join(names(t, folder), " "); (old == "") != (got == "") {
			t.Errorf("folder holds %q", got)
		}
		if old != "" {
			if got, err := os.ReadFile(path); err != nil || string(got) != old {
				t.Errorf("the old file holds %q, %v", got, err)
			}
		}
	}
}

func TestAtomicFileNamesTheRemedy(t *testing.T) {
	folder := t.TempDir()
	if err := AtomicFile(filepath.Join(folder, "gone", "a"), put("x")); err == nil || !strings.Contains(err.Error(), "create it") {
		t.Errorf("missing folder: %v", err)
	}
	if err := AtomicFile(folder, put("x")); err == nil || !strings.Contains(err.Error(), folder) {
		t.Errorf("a folder in the file's place: %v", err)
	}
	// A leftover of a killed run is not in the way.
	path := filepath.Join(folder, "b")
	leftover := filepath.Join(folder, fmt.Sprintf(".b.%d-0.partial", os.Getpid()))
	if err := os.WriteFile(leftover, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := AtomicFile(path, put("x")); err != nil {
		t.Error(err)
	}
}
