// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

const crashEnv = "PARLEY_TIMELINE_CRASH_CHILD"

// TestMain lets the test binary be the child that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	m.Run()
}

func crashPayload(i int) string { return fmt.Sprintf("record %d", i) }

// crashChild records for ever and says after each sync how far it has come.
func crashChild(dir string) error {
	w, err := Create(dir, Options{SegmentBytes: 8192, FlushEvery: 1})
	if err != nil {
		return err
	}
	for i := 1; ; i++ {
		if err := w.Append(TypeInput, []byte(crashPayload(i))); err != nil {
			return err
		}
		if i%100 == 0 {
			if err := w.Sync(); err != nil {
				return err
			}
			fmt.Fprintln(os.Stdout, i)
		}
	}
}

// A real process, killed while it writes, loses nothing that it had flushed.
func TestKillKeepsWhatWasFlushed(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		dir := filepath.Join(t.TempDir(), "a.parley")
		child := exec.Command(exe)
		child.Env = append(os.Environ(), crashEnv+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		flushed := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if flushed, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(err)
			}
			if flushed == 1000+300*round {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		if flushed < 1000 {
			t.Fatalf("the child flushed %d records", flushed)
		}
		got, a := readDir(t, dir)
		if a.Whole || a.Corrupt != nil || a.SegmentsRead < 2 {
			t.Fatal(a)
		}
		n := 0
		for _, e := range got {
			if e.kind == TypeInput {
				n++
				if e.payload != crashPayload(n) {
					t.Fatalf("record %d is %q", n, e.payload)
				}
			}
		}
		if n < flushed {
			t.Fatalf("%d records were flushed, %d are left: %s", flushed, n, a)
		}
	}
}
