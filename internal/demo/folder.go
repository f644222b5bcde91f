// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parley-voice/parley/internal/report"
)

// Errors about the folder of a demo; test for them with errors.Is.
var (
	// ErrOccupied: the folder holds something already.
	ErrOccupied = errors.New("the folder is not empty")
	// ErrBusy: another demo is being written there.
	ErrBusy = errors.New("another demo is being written there")
)

// The files of a demo's folder. The summary comes last: a folder with a summary is whole.
const (
	recordingName = "recording.parley"
	audioName     = "conversation.wav"
	timelineName  = "timeline.html"
	summaryName   = "summary.json"
)

func fileNames() []string { return []string{recordingName, audioName, timelineName, summaryName} }

// folder is where a demo is written: a partial folder whose name says so, claimed for
// this process. When everything is whole the partial folder takes the name that was
// asked for, or, where that folder exists, its files move up into it.
type folder struct {
	out, partial string
	inside       bool     // out existed: partial lies in it
	made         []string // parents of out that were made, outermost first
	claim        io.Closer
	keep         bool // what is in partial is whole, or has left it
}

// prepare checks the target and makes the partial folder.
func prepare(out string, overwrite bool) (*folder, error) {
	if out == "" {
		return nil, errors.New("demo: --out is empty: name a folder")
	}
	f := &folder{out: filepath.Clean(out)}
	info, err := os.Stat(f.out)
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.partial = f.out + ".partial"
	case err != nil:
		return nil, unusable(f.out, err)
	case !info.IsDir():
		return nil, fmt.Errorf("demo: --out %s: it is a file: name a folder", f.out)
	default:
		f.partial, f.inside = filepath.Join(f.out, "demo.partial"), true
		if err := vacant(f.out, filepath.Base(f.partial), overwrite); err != nil {
			return nil, err
		}
	}
	if err := f.begin(); err != nil {
		f.removeParents()
		return nil, err
	}
	return f, nil
}

func unusable(out string, err error) error {
	return fmt.Errorf("demo: --out %s: %w: name a folder that can be written", out, err)
}

// vacant says whether a demo may be written into a folder that exists.
func vacant(out, partial string, overwrite bool) error {
	entries, err := os.ReadDir(out)
	if err != nil {
		return unusable(out, err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return e.Name() == partial })
	if len(entries) == 0 {
		return nil
	}
	if stranger := foreign(entries); stranger != "" {
		return fmt.Errorf("demo: --out %s: %w: it holds %s, which no demo wrote: choose another --out", out, ErrOccupied, stranger)
	}
	if !overwrite {
		return fmt.Errorf("demo: --out %s: %w: choose another --out, or pass --overwrite to replace the earlier demo", out, ErrOccupied)
	}
	return nil
}

// foreign names an entry that no demo wrote.
func foreign(entries []os.DirEntry) string {
	for _, e := range entries {
		ours := func(name string) bool {
			return e.Name() == name || strings.HasPrefix(e.Name(), "."+name+".") // hidden: until it is whole
		}
		if !slices.ContainsFunc(fileNames(), ours) {
			return e.Name()
		}
	}
	return ""
}

// begin makes the partial folder, claims it, and takes away what a run that was killed
// has left in it.
func (f *folder) begin() error {
	if err := f.makeParents(); err != nil {
		return unusable(f.out, err)
	}
	claim, err := claimFolder(f.partial)
	if errors.Is(err, ErrBusy) {
		return fmt.Errorf("demo: --out %s: %w (%s): wait for it, or choose another --out", f.out, err, f.partial)
	}
	if err != nil {
		return unusable(f.out, err)
	}
	entries, err := os.ReadDir(f.partial)
	if err == nil {
		if stranger := foreign(entries); stranger != "" {
			return errors.Join(claim.Close(),
				fmt.Errorf("demo: --out %s: %s is in the way, and holds %s, which no demo wrote: choose another --out", f.out, f.partial, stranger))
		}
		err = clearOut(f.partial, entries)
	}
	if err != nil {
		return errors.Join(unusable(f.out, err), claim.Close())
	}
	f.claim = claim
	return nil
}

func clearOut(dir string, entries []os.DirEntry) error {
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// makeParents makes the folders above the partial one, and remembers those that were
// missing.
func (f *folder) makeParents() error {
	parent := filepath.Dir(f.partial)
	for dir := parent; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		f.made = append([]string{dir}, f.made...)
	}
	return os.MkdirAll(parent, 0o755)
}

// removeParents takes the folders away that makeParents made, if nothing is in them.
func (f *folder) removeParents() {
	for _, dir := range slices.Backward(f.made) {
		_ = os.Remove(dir) // else somebody uses it by now
	}
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
	return f.writeSummary(s)
}

func (f *folder) writeSummary(s report.Summary) error {
	if err := report.AtomicFile(f.path(summaryName), func(w io.Writer) error { return report.WriteSummary(w, s) }); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// finish gives what is whole the name that was asked for. When that fails it stays in
// the partial folder, which the error names.
func (f *folder) finish() error {
	f.keep = true
	if !f.inside {
		if err := os.Rename(f.partial, f.out); err != nil {
			return fmt.Errorf("demo: --out %s: %w: the demo is whole and lies in %s", f.out, err, f.partial)
		}
		return nil
	}
	if err := f.moveUp(); err != nil {
		return fmt.Errorf("demo: --out %s: %w: the new demo is whole and lies there and in %s", f.out, err, f.partial)
	}
	return nil
}

// moveUp replaces an earlier demo by the files of this one. The summary goes first and
// comes last, so that at no moment a summary stands beside files of another demo.
func (f *folder) moveUp() error {
	for _, name := range slices.Backward(fileNames()) {
		if err := os.RemoveAll(filepath.Join(f.out, name)); err != nil {
			return err
		}
	}
	for _, name := range fileNames() {
		err := os.Rename(f.path(name), filepath.Join(f.out, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a session that was refused leaves no sound
			return err
		}
	}
	return os.Remove(f.partial)
}

// close ends the claim, and removes what did not become whole.
func (f *folder) close() error {
	var err error
	if !f.keep {
		err = os.RemoveAll(f.partial)
		f.removeParents()
	}
	return errors.Join(err, f.claim.Close())
}
