// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
)

// pack writes a package whose program is this test, and gives its manifest's path and checksum.
func pack(t *testing.T, program string, change func(map[string]any)) (path, sum string) {
	t.Helper()
	dir := t.TempDir()
	script := []byte("#!/bin/sh\nexec " + self(t) + ` "$@"` + "\n")
	if err := os.WriteFile(filepath.Join(dir, "run"), script, 0o700); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(script)
	about, err := testNodes()["puppet"].Describe(nil)
	if err != nil {
		t.Fatal(err)
	}
	var declaration map[string]any
	b, err := json.Marshal(protocol.Declare(about))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &declaration); err != nil {
		t.Fatal(err)
	}
	m := map[string]any{
		"manifest": 1, "name": "puppets", "version": "1.2.3", "protocol": []int{1}, "command": []string{"run", "node-test", program}, "declaration": declaration,
		"files": []any{map[string]any{"path": "run", "sha256": hex.EncodeToString(digest[:])}},
	}
	if change != nil {
		change(m)
	}
	text, err := yaml.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "parley-node.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	digest = sha256.Sum256(text)
	return path, hex.EncodeToString(digest[:])
}

func config(t *testing.T, c map[string]any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A package runs by its manifest, pinned; the script's interpreter and the test are granted.
func TestPackage(t *testing.T) {
	k, _ := newKind(t, nil)
	path, sum := pack(t, "puppet", nil)
	c := config(t, map[string]any{
		"package": path, "pin": map[string]any{"version": "1.2.3", "sha256": sum}, "limits": map[string]any{"time_ms": 5000},
		"isolation": map[string]any{"read": []string{"/bin", "/usr/bin", filepath.Dir(self(t))}},
	})
	d, err := k.Describe(c)
	if err != nil || d.Type != "puppet" || d.Scope != node.ScopeTurn {
		t.Fatal(d, err)
	}
	if s := k.Status(); len(s) != 0 {
		t.Errorf("describing started something: %+v", s)
	}
	n, h := open(t, k, c, "turn-1")
	if got := does(t, n, h, "emit hello"); got != "emit hello" {
		t.Error(got)
	}
	if s := status(t, k); s.Name != "puppets" || s.Version != "1.2.3" {
		t.Errorf("%+v", s)
	}
}

// Everything that is wrong with a package is found before anything starts, with field, place and
// remedy.
func TestBadPackages(t *testing.T) {
	k, _ := newKind(t, nil)
	for name, c := range map[string]struct {
		change func(map[string]any)
		pin    map[string]any
		after  func(dir string) error
		want   []string
	}{
		"tampered":       {after: func(dir string) error { return os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\n"), 0o700) }, want: []string{"files[0].sha256", "run was changed", "restore it"}},
		"missing":        {after: func(dir string) error { return os.Remove(filepath.Join(dir, "run")) }, want: []string{"files[0].path", "restore the file"}},
		"pinned version": {pin: map[string]any{"version": "9"}, want: []string{`pin.version: "9"`, `"1.2.3"`, "install the pinned one"}},
		"pinned sum":     {pin: map[string]any{"sha256": strings.Repeat("0", 64)}, want: []string{"pin.sha256", "restore the package that was pinned"}},
		"protocol":       {change: func(m map[string]any) { m["protocol"] = []int{7} }, want: []string{"protocol: [7]", "this host speaks 1"}},
		"escape":         {change: func(m map[string]any) { m["files"] = []any{map[string]any{"path": "../x", "sha256": "00"}} }, want: []string{"files[0].path", "below the manifest's folder", "64 hexadecimal"}},
		"nothing":        {change: func(m map[string]any) { clear(m) }, want: []string{"name:", "version:", "protocol:", "command:", "declaration:", "files:"}},
		"declaration":    {change: func(m map[string]any) { m["declaration"].(map[string]any)["execution_scope"] = "never" }, want: []string{"execution_scope", "use session or turn"}},
		"asks too much": {change: func(m map[string]any) {
			m["declaration"].(map[string]any)["resources"] = map[string]any{"memory_mb": 4096, "network": true}
		}, want: []string{"limits.memory_mb: 512", "resource_limit_exceeded", "isolation.network"}},
		"unknown fields": {change: func(m map[string]any) {
			m["verzion"], m["declaration"].(map[string]any)["colour"] = "2", "red"
			m["files"].([]any)[0].(map[string]any)["sha265"] = "00"
		}, want: []string{`verzion: "2": line`, "protocol, sdk, version, or leave it out", `declaration.colour: "red"`, `files[0].sha265: "00": line`, "bytes, path, sha256"}},
		"later format": {change: func(m map[string]any) { m["manifest"], m["colour"] = 2, "red" }, want: []string{"manifest: 2: use 1"}},
		"no program":   {change: func(m map[string]any) { m["command"] = []string{"no-such-program"} }, want: []string{"config.command", "name a program"}},
	} {
		path, _ := pack(t, "puppet", c.change)
		if c.after != nil {
			if err := c.after(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}
		full := map[string]any{"package": path}
		if c.pin != nil {
			full["pin"] = c.pin
		}
		_, err := k.Describe(config(t, full))
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, without %q", name, err, want)
			}
		}
	}
	if len(k.Status()) != 0 {
		t.Error("something was started")
	}
}

// A package that was changed between its check and its start does not start.
func TestTamperedBeforeStart(t *testing.T) {
	k, _ := newKind(t, nil)
	path, _ := pack(t, "puppet", nil)
	c := config(t, map[string]any{"package": path})
	if _, err := k.Describe(c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "run"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	failed(t, k.Verify(t.Context(), c), protocol.CodeDeclarationFalse, "run was changed")
}

// The faults of a config are told together.
func TestBadConfigs(t *testing.T) {
	k, _ := newKind(t, nil)
	for text, wants := range map[string][]string{
		`{"colour":"red"}`:                       {`unknown field "colour"`},
		`{}`:                                     {"config.package"},
		`{"command":"x"}`:                        {"config.declaration"},
		`{"command":"x","package":"y","pin":{}}`: {"one of both"},
		`{"package":"/no/such","limits":{"time_ms":0,"memory_mb":1,"queue":-1},"env":["", "PARLEY_NODE_FD=3","NOT_SET_ANYWHERE"],"isolation":{"require":"much","read":["relative"]},"config":[]}`: {
			"config.limits.time_ms: 0: use 1 to 5000", "config.limits.memory_mb", "config.limits.queue", "config.env[0]", "config.env[1]", "config.env[2]",
			"config.isolation.require", "config.isolation.read[0]", "config.config",
		},
	} {
		_, err := k.Describe(json.RawMessage(text))
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, without %q", text, err, want)
			}
		}
		if _, nerr := k.New(json.RawMessage(text)); nerr == nil {
			t.Errorf("%s: a node was made", text)
		}
	}
}
