// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/report"
)

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree lists what is below a folder, with the content of files.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			list = append(list, name+"/")
			return nil
		}
		content, err := os.ReadFile(path)
		list = append(list, name+" "+string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func lies(t *testing.T, root string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := tree(t, root); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("there is %q, want %q", got, want)
	}
}

// begin prepares a folder and lays the four parts of a demo into it.
func begin(t *testing.T, out string, overwrite bool, content string) *folder {
	t.Helper()
	f, err := prepare(out, overwrite)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{audioName, timelineName, summaryName, recordingName + "/000001.wal"} {
		put(t, f.path(name), content)
	}
	return f
}

func end(t *testing.T, f *folder) {
	t.Helper()
	if err := errors.Join(f.finish(), f.close()); err != nil {
		t.Fatal(err)
	}
}

func whole(prefix, content string) []string {
	return []string{
		prefix + "conversation.wav " + content, prefix + "recording.parley/",
		prefix + "recording.parley/000001.wal " + content, prefix + "summary.json " + content, prefix + "timeline.html " + content,
	}
}

// Nothing has the folder's name until everything is whole.
func TestFolderAppearsWhole(t *testing.T) {
	root := t.TempDir()
	f := begin(t, filepath.Join(root, "a", "b", "out"), false, "new")
	if _, err := os.Stat(f.out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there before it is whole: %v", err)
	}
	end(t, f)
	lies(t, root, append([]string{"a/", "a/b/", "a/b/out/"}, whole("a/b/out/", "new")...)...)
}

// What did not become whole is removed, with the folders that were made for it and with
// nothing else.
func TestFolderLeavesNothing(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "a", "mine"), "x")
	if err := begin(t, filepath.Join(root, "a", "b", "c", "out"), false, "new").close(); err != nil {
		t.Fatal(err)
	}
	lies(t, root, "a/", "a/mine x")

	out := filepath.Join(root, "earlier")
	end(t, begin(t, out, false, "old"))
	if err := begin(t, out, true, "new").close(); err != nil {
		t.Fatal(err)
	}
	lies(t, out, whole("", "old")...)
}

func TestFolderThatExists(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	end(t, begin(t, out, false, "first"))
	lies(t, out, whole("", "first")...)

	_, err := prepare(out, false)
	if !errors.Is(err, ErrOccupied) || !strings.Contains(err.Error(), "--overwrite") {
		t.Errorf("a second demo: %v", err)
	}
	end(t, begin(t, out, true, "second"))
	lies(t, out, whole("", "second")...)

	put(t, filepath.Join(out, "thesis.txt"), "x")
	for _, overwrite := range []bool{false, true} {
		_, err := prepare(out, overwrite)
		if !errors.Is(err, ErrOccupied) || !strings.Contains(err.Error(), "thesis.txt") || strings.Contains(err.Error(), "--overwrite") {
			t.Errorf("a foreign file, overwrite %v: %v", overwrite, err)
		}
	}
	lies(t, out, append(whole("", "second"), "thesis.txt x")...)
}

// The working directory itself can be the folder.
func TestFolderHere(t *testing.T) {
	t.Chdir(t.TempDir())
	end(t, begin(t, ".", false, "here"))
	lies(t, ".", whole("", "here")...)
}

// What a killed run left is taken over; what is not a demo's is not touched.
func TestFolderAfterAKilledRun(t *testing.T) {
	root := t.TempDir()
	out := filepath.Join(root, "out")
	put(t, filepath.Join(out+".partial", recordingName, "000001.wal"), "half")
	put(t, filepath.Join(out+".partial", "."+audioName+".123.partial"), "half")
	end(t, begin(t, out, false, "new"))
	lies(t, root, append([]string{"out/"}, whole("out/", "new")...)...)

	put(t, filepath.Join(root, "next.partial", "mine"), "x")
	if _, err := prepare(filepath.Join(root, "next"), true); err == nil || !strings.Contains(err.Error(), "mine") {
		t.Errorf("somebody's folder is in the way: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(root, "next.partial", "mine")); err != nil || string(got) != "x" {
		t.Errorf("it was touched: %q, %v", got, err)
	}
}

// Two demos do not write into one folder.
func TestFolderIsClaimed(t *testing.T) {
	root := t.TempDir()
	for _, out := range []string{filepath.Join(root, "out"), root} {
		f := begin(t, out, true, "first")
		if _, err := prepare(out, true); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "--out "+out) {
			t.Errorf("%s: a second demo at the same time: %v", out, err)
		}
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		lies(t, root)
	}
	f := begin(t, filepath.Join(root, "out"), false, "again")
	end(t, f)
	lies(t, root, append([]string{"out/"}, whole("out/", "again")...)...)
}

// A name that somebody took meanwhile is not taken from them, and nothing is lost.
func TestFolderNameTakenMeanwhile(t *testing.T) {
	root := t.TempDir()
	f := begin(t, filepath.Join(root, "out"), false, "new")
	put(t, filepath.Join(root, "out", "theirs"), "x")
	err := f.finish()
	if err == nil || !strings.Contains(err.Error(), f.partial) {
		t.Errorf("the error does not say where the demo lies: %v", err)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	lies(t, root, append(append([]string{"out/", "out/theirs x"}, "out.partial/"), whole("out.partial/", "new")...)...)
}

func TestFolderThatCannotBe(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "file"), "x")
	closed := filepath.Join(root, "closed")
	if err := os.Mkdir(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // may write everywhere but where nobody may
		closed = "/proc/self"
	}
	for out, says := range map[string]string{
		"":                            "--out is empty",
		filepath.Join(root, "file"):   "it is a file",
		filepath.Join(root, "file/x"): "not a directory",
		filepath.Join(closed, "out"):  "name a folder that can be written",
	} {
		if _, err := prepare(out, true); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("--out %q: %v", out, err)
		}
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 2 {
		t.Errorf("something was left: %v, %v", entries, err)
	}
}

// The reports are written whole or not at all.
func TestFolderWrites(t *testing.T) {
	f, err := prepare(filepath.Join(t.TempDir(), "out"), false)
	if err != nil {
		t.Fatal(err)
	}
	mix := &Mixdown{}
	mix.Add(0, 0, ramp(0, 320))
	var d report.Data // no length: no timeline
	if err := f.write(d, report.SummaryOf(d), mix); err == nil || !strings.Contains(err.Error(), "duration_ms") {
		t.Errorf("a misleading timeline: %v", err)
	}
	if got := tree(t, f.partial); len(got) != 1 || !strings.HasPrefix(got[0], audioName) {
		t.Errorf("there is %q", got)
	}
	d.Session.DurationMs = 20
	if err := f.write(d, report.SummaryOf(d), mix); err != nil {
		t.Error(err)
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
}
