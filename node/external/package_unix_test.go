// SPDX-License-Identifier: Apache-2.0

//go:build unix

package external_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe in the place of a manifest, or of a file of it, is refused: opening it would wait
// for ever for somebody who writes.
func TestPipesAreNoPackages(t *testing.T) {
	for _, name := range []string{"parley-node.yaml", "run"} {
		k, _ := newKind(t, nil)
		path, _ := pack(t, "puppet", nil)
		pipe := filepath.Join(filepath.Dir(path), name)
		if err := os.Remove(pipe); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		said := make(chan error, 1)
		go func() {
			_, err := k.Describe(config(t, map[string]any{"package": path}))
			said <- err
		}()
		select {
		case err := <-said:
			if err == nil || !strings.Contains(err.Error(), "no regular file") {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: it waits for the pipe", name)
		}
	}
}
