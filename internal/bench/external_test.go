// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The case P12 with a few frames: both of them come back, and the row says what was compared.
func TestOutside(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := outside(Options{Runs: 1, Each: time.Millisecond, Now: time.Now, Part: func(ctx context.Context, part string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, binary, args...)
		cmd.Env, cmd.Stderr = append(os.Environ(), asPart+"="+part), os.Stderr
		return cmd
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Value <= 0 || r.Base <= 0 || r.Ratio <= 0 || !strings.Contains(r.Note, "level process") {
		t.Errorf("%+v", r)
	}
}
