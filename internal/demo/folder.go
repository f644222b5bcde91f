// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/parley-voice/parley/internal/report"
)

// ErrOccupied is wrapped when the folder of a demo holds something already.
var ErrOccupied = errors.New("the folder is not empty")

// folder is where a demo is written: a partial folder beside the one that was asked
// for, which takes its name when everything is whole.
type folder struct {
	out, partial string
	replace      bool
	done         bool
}

// prepare checks the target and makes the partial folder.
func prepare(out string, overwrite bool) (*folder, error) {
	if out == "" {
		return nil, errors.New("demo: --out is empty: name a folder")
	}
	out = filepath.Clean(out)
	f := &folder{out: out, partial: out + ".partial"}
	entries, err := os.ReadDir(out)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("demo: --out %s: %w: name a folder that can be written", out, err)
	case len(entries) == 0:
		f.replace = true
	case !overwrite:
		return nil, fmt.Errorf("demo: --out %s: %w: choose another --out, or pass --overwrite to replace an earlier demo", out, ErrOccupied)
	default:
		if stranger := foreign(entries); stranger != "" {
			return nil, fmt.Errorf("demo: --out %s: it holds %s, which no demo wrote; --overwrite replaces demos only: choose another --out", out, stranger)
		}
		f.replace = true
	}
	// What an aborted run left is nobody's: its name says that it is not whole.
	if err := os.RemoveAll(f.partial); err != nil {
		return nil, fmt.Errorf("demo: remove what an earlier run left: %w", err)
	}
	if err := os.MkdirAll(f.partial, 0o755); err != nil {
		return nil, fmt.Errorf("demo: --out %s: %w: name a folder that can be written", out, err)
	}
	return f, nil
}

// foreign names an entry that no demo wrote.
func foreign(entries []os.DirEntry) string {
	for _, e := range entries {
		if !slices.Contains([]string{recordingName, audioName, timelineName, summaryName}, e.Name()) {
			return e.Name()
		}
	}
	return ""
}

func (f *folder) path(name string) string { return filepath.Join(f.partial, name) }

// write puts the reports beside the recording.
func (f *folder) write(d report.Data, s report.Summary, mix *Mixdown) error {
	if err := mix.WriteWAV(f.path(audioName)); err != nil {
		return err
	}
	if err := report.AtomicFile(f.path(timelineName), func(w io.Writer) error { return report.WriteTimeline(w, d) }); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := report.AtomicFile(f.path(summaryName), func(w io.Writer) error { return report.WriteSummary(w, s) }); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// finish gives the folder its name.
func (f *folder) finish() error {
	if f.replace {
		if err := os.RemoveAll(f.out); err != nil {
			return fmt.Errorf("demo: replace %s: %w: the new demo lies in %s", f.out, err, f.partial)
		}
	}
	if err := os.Rename(f.partial, f.out); err != nil {
		return fmt.Errorf("demo: %w: the demo lies in %s", err, f.partial)
	}
	f.done = true
	return nil
}

// discard removes a folder that did not become whole.
func (f *folder) discard() {
	if !f.done {
		_ = os.RemoveAll(f.partial) // its name says what it is, should it stay
	}
}
