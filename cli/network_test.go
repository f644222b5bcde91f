// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/serve/servetest"
)

// inNetwork says that this process has a network of its own, which it may break.
const inNetwork = "PARLEY_TEST_IN_NETWORK"

// ownNetwork runs the test again in a network of its own, which has a loopback interface and
// nothing else; there it says true. Who may not make one skips the test.
func ownNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inNetwork) != "" {
		return true
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*servetest.Patience)
	defer stop()
	if out, err := exec.CommandContext(ctx, "unshare", "-r", "-n", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("no network of one's own may be made here (unshare -r -n ip link set lo up); TestServeSurvivesItsClients breaks connections without: %v: %s", err, out)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(ctx, "unshare", "-r", "-n", "sh", "-c", `ip link set lo up && exec "$0" "$@"`, binary, "-test.v", "-test.run", "^"+t.Name()+"$")
	c.Env = append(os.Environ(), inNetwork+"=1")
	out, err := c.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("in a network of its own: %v\n%s", err, text)
	}
	if strings.Contains(text, "--- SKIP") {
		t.Skipf("no TUN device may be opened here; TestEquivalence loses and reorders packets without: %s", text)
	}
	t.Log(text)
	return false
}

func network(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil { //nolint:gosec // of this file
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

// The network is gone for three seconds in mid-sentence, and every packet with it: the
// connection holds, and the answer is heard to its end.
func TestServeThroughAnOutage(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	p := serveProcess(t, nil)
	l := listen(t, p)
	l.asks("count to ten", 1)
	network(t, "ip link set lo down")
	time.Sleep(3 * time.Second)
	network(t, "ip link set lo up")
	l.await("the end of the answer", 1, emitted(eventabi.SignalPlaybackCompleted))
	l.ask(2)
	p.sound(t)
}

// sound holds a program that went through something to what must always be.
func (p *program) sound(t *testing.T) {
	t.Helper()
	if n := p.metric(t, "parley_frames_after_fence_total"); n != 0 {
		t.Errorf("%v frames after a fence", n)
	}
	if open := p.open(t); len(open) != 1 {
		t.Errorf("open are %v", open)
	}
	p.signal(t)
	p.ended(t, exitOK)
}
