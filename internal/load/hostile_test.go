// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/node/external"
	"github.com/parley-voice/parley/node/external/hostile"
	"github.com/parley-voice/parley/node/external/protocol"
	"github.com/parley-voice/parley/node/external/sandbox"
)

// TestMain is the program of the hostile nodes as well.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "node-exec":
		err = sandbox.Exec(os.Args[2:])
	case len(os.Args) == 3 && os.Args[1] == "node-hostile":
		err = hostile.Run(os.Args[2])
	default:
		m.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// Through the real host: each hostile node's instance fails, nothing of it is left, and the calls
// beside it are served.
func TestHostileNeighbours(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var acts []hostile.Act
	want := map[string]string{
		"loop": protocol.CodeTimeout, "garbage": protocol.CodeViolation, "exit": protocol.CodeExited, "forks": "", "flood": protocol.CodeLimit,
	}
	for _, a := range hostile.Acts() {
		if _, asked := want[a.Name]; asked {
			acts = append(acts, a)
		}
	}
	rows, err := RunHostile(t.Context(), HostileOptions{
		Kind:   func() *external.Kind { return external.New(external.Options{Launcher: []string{program, "node-exec"}}) },
		Config: func(act string) json.RawMessage { return hostile.Config(act, program, "node-hostile") },
		Acts:   acts, Sessions: 20, Each: 500 * time.Millisecond, WarmUp: 6 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	frames := int64(0)
	for _, r := range rows {
		frames += r.Frames
		if r.Failed == 0 || !strings.Contains(r.Became, want[r.Act]) || r.Left != 0 || r.Lost != 0 || r.Level == "" {
			t.Errorf("%+v", r)
		}
		delete(want, r.Act)
	}
	if len(want) != 0 || frames == 0 {
		t.Errorf("%d frames went to the others; nothing is told of %v", frames, want)
	}
}
