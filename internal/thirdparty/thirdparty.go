// SPDX-License-Identifier: Apache-2.0

package thirdparty

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Required is the variable that makes it a failure that a client cannot be run: set it to
// "required".
const Required = "PARLEY_CLIENTS"

// Program is a folder with programs that use a client.
type Program struct {
	Folder string // of the source tree, seen from the test
	Lock   string // the file in it that names the versions
	Tool   string // what they are run with
	// Install gives the commands that install what Lock names into dir, where they are run.
	Install func(dir string) [][]string
}

// Node are programs that are run with node.
func Node(folder string) Program {
	return Program{folder, "package-lock.json", "node", func(string) [][]string {
		return [][]string{{"npm", "ci", "--no-audit", "--no-fund"}}
	}}
}

// Python are programs that are run with the python of a virtual environment, venv.
func Python(folder string) Program {
	return Program{folder, "requirements.txt", "python3", func(dir string) [][]string {
		pip := filepath.Join(dir, "venv", "bin", "pip")
		return [][]string{{"python3", "-m", "venv", "venv"}, {pip, "install", "-q", "--no-deps", "-r", "requirements.txt"}}
	}}
}

// Unable skips a test that cannot run its client.
func Unable(tb testing.TB, format string, args ...any) {
	tb.Helper()
	Needed(tb, format, args...)
	tb.Logf(format, args...)
	tb.Skip("TestConformance covers the protocol without (" + Required + "=required makes it a failure)")
}

// Needed fails a test that cannot run its client where clients are required; elsewhere the test
// skips, and names what covers it.
func Needed(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv(Required) == "required" {
		tb.Fatalf(format, args...)
	}
}

// Browser finds a Chromium.
func Browser(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Unable(tb, "no Chromium is on this machine")
	return ""
}

// Install gives a folder with the programs and what their lock file names.
func Install(tb testing.TB, p Program) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("conversations take as long as they are to be heard; TestConformance covers the protocol without")
	}
	if _, err := exec.LookPath(p.Tool); err != nil {
		Unable(tb, "%s is not on this machine", p.Tool)
	}
	content, err := os.ReadFile(filepath.Join(p.Folder, p.Lock))
	if err != nil {
		tb.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		Unable(tb, "there is no cache to install to: %v", err)
	}
	sum := sha256.Sum256(content)
	dir := filepath.Join(cache, "parley", "clients", filepath.Base(p.Folder)+"-"+p.Tool+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		tb.Fatal(err)
	}
	release := lockFolder(tb, dir)
	defer release()
	if err := os.CopyFS(filepath.Join(dir, "new"), os.DirFS(p.Folder)); err != nil {
		tb.Fatal(err)
	}
	refresh(tb, filepath.Join(dir, "new"), dir)
	done := filepath.Join(dir, ".installed")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	for _, command := range p.Install(dir) {
		ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Minute)
		c := exec.CommandContext(ctx, command[0], command[1:]...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		cancel()
		if err != nil {
			Unable(tb, "%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// refresh puts the programs of today into a folder that may have those of yesterday.
func refresh(tb testing.TB, from, to string) {
	tb.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "node_modules" || e.Name() == "venv" {
			continue
		}
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.RemoveAll(from); err != nil {
		tb.Fatal(err)
	}
}

// lockFolder keeps two tests from installing into one folder. One that was left behind is
// taken over after a while.
func lockFolder(tb testing.TB, dir string) func() {
	tb.Helper()
	lock := dir + ".lock"
	for end := time.Now().Add(10 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := os.Mkdir(lock, 0o750)
		if err == nil {
			return func() { _ = os.Remove(lock) }
		}
		if !errors.Is(err, os.ErrExist) {
			tb.Fatal(err)
		}
		if info, err := os.Stat(lock); time.Now().After(end) || err == nil && time.Since(info.ModTime()) > 10*time.Minute {
			_ = os.Remove(lock)
		}
	}
}

// Run runs a program of a client where it lies, and gives what it writes.
func Run(tb testing.TB, dir string, within time.Duration, command ...string) (output string, err error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), within)
	defer cancel()
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Dir = dir
	c.Env = append(os.Environ(), "NO_COLOR=1", "COLUMNS=200")
	c.WaitDelay = 10 * time.Second
	out, err := c.CombinedOutput()
	return string(out), err
}

// Evaluate has Pipecat's harness, installed in dir, hold a bot to a scenario that lies in
// another folder. Its own log is part of the output.
func Evaluate(tb testing.TB, dir, scenario, url string) string {
	tb.Helper()
	at := filepath.Dir(scenario)
	out, err := Run(tb, at, 4*time.Minute, filepath.Join(dir, "venv", "bin", "pipecat"), "eval", "run", filepath.Base(scenario),
		"--verbose", "--logs-dir", filepath.Join(tb.TempDir(), "logs"), "--debug", "--bot-url", url)
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return out
}
