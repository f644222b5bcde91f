// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/load"
	"github.com/parley-voice/parley/node/external/hostile"
	"github.com/parley-voice/parley/node/external/protocol"
)

// asParley runs this test as the program, which starts itself again for its nodes.
func asParley(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the exit code tells
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// polite writes a package whose program is this test, as node-hostile polite.
func polite(t *testing.T, change func(*protocol.Declaration)) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := []byte("#!/bin/sh\nexec " + binary + " node-hostile polite\n")
	d := protocol.Declare(hostile.Declaration())
	if change != nil {
		change(d)
	}
	manifest, err := json.Marshal(map[string]any{
		"manifest": 1, "protocol": []int{1}, "command": []string{"run"}, "declaration": d,
		"files": []any{map[string]any{"path": "run", "sha256": fmt.Sprintf("%x", sha256.Sum256(script))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "parley-node.json")
	for name, b := range map[string][]byte{filepath.Join(dir, "run"): script, path: manifest} {
		if err := os.WriteFile(name, b, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestNodesCheck(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	grants := []string{"--read", "/bin", "--read", "/usr/bin", "--read", binary}
	sound := polite(t, nil)
	if out, errs, code := asParley(t, append([]string{"nodes", "check", sound}, grants...)...); code != exitOK || !strings.Contains(out, "hostile 1.0.0: hostile, session scope") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	liar := polite(t, func(d *protocol.Declaration) { d.Outputs = d.Outputs[:1] })
	if out, errs, code := asParley(t, append([]string{"nodes", "check", liar}, grants...)...); code != exitFailure || !strings.Contains(errs, "hello.declaration.outputs") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if _, errs, code := asParley(t, "nodes", "check", "no-such-package.json"); code != exitFailure || !strings.Contains(errs, "name a manifest that can be read") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestNodesHostile(t *testing.T) {
	out, errs, code := asParley(t, "nodes", "hostile", "--only", "oversized", "--sessions", "4", "--each", "200ms", "--json")
	var rows []load.HostileRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != exitOK || len(rows) != 1 {
		t.Fatalf("%d %v\n%s%s", code, err, out, errs)
	}
	if r := rows[0]; r.Act != "oversized" || !strings.HasPrefix(r.Became, protocol.CodeViolation) || r.Left != 0 || r.Lost != 0 {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"--only", "nothing"}, {"--most", "much"}, {"--sessions", "0"}} {
		if _, errs, code := asParley(t, append([]string{"nodes", "hostile"}, args...)...); code != exitUsage || !strings.Contains(errs, args[0]) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
}
