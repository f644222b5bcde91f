// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/load"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/websocket"
)

// asPart has this test's binary be a part of the case sockets.
const asPart = "PARLEY_TEST_AS_PART"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(asPart) {
	case "":
		m.Run()
	case PartServer:
		err = ServePart(4, func(h transport.Host) (http.Handler, error) { return websocket.New(websocket.Config{}, h) }, os.Stdin, os.Stdout)
	case PartCallers:
		err = CallPart(4, os.Args[len(os.Args)-1], os.Stdin, os.Stdout)
	case PartNode:
		err = NodePart()
	case PartEcho:
		err = EchoPart()
	}
	if err != nil {
		panic(err)
	}
}

// The case sockets with few callers: two processes, each measured by itself, and rows that
// say so, however busy the machine is.
func TestSockets(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := newCrowds(Options{Runs: 1, Sessions: 4, WarmUp: 3 * time.Second, Now: time.Now, Part: func(ctx context.Context, part string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, binary, args...)
		cmd.Env, cmd.Stderr = append(os.Environ(), asPart+"="+part), os.Stderr
		return cmd
	}}.withDefaults())
	c.floor = &floor{}
	c.runs[4] = &crowdRun{sessions: 4, windows: []load.Window{{PerSession: 10}}}
	rows, err := c.sockets()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if r := rows[2]; r.Value <= 0 || r.Base != 10e3 || !strings.Contains(r.Note, "a process of their own") {
		t.Errorf("processor time: %+v", r)
	}
	if r := rows[0]; strings.Contains(r.Note, " 0 frames/s in") || strings.Contains(r.Note, "cut off") {
		t.Errorf("at the socket: %+v", r)
	}
	if _, err := newCrowds(Options{}.withDefaults()).sockets(); err == nil {
		t.Error("no program, and no error")
	}
}

// A part that ends is told as such, and not waited for.
func TestPartEnds(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := startPart(exec.CommandContext(t.Context(), binary, "-test.run", "^$", "-test.v=false")) // it has nothing to do
	if err != nil {
		t.Fatal(err)
	}
	var f figures
	for err == nil { // it may say that it has passed
		if err = p.told(&f); err != nil && !strings.Contains(err.Error(), "has ended") {
			err = nil
		}
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
}
