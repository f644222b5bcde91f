// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external"
	"github.com/parley-voice/parley/node/external/protocol"
)

// A process that has ended is started again, and its instances say how it ended.
func TestRestart(t *testing.T) {
	k, _ := newKind(t, nil)
	for i := range 3 {
		n, h := puppetOn(t, k, nil)
		failed(t, n.OnEvent(h.context, segment("exit")), protocol.CodeExited, "exit status 2")
		if s := status(t, k); s.Starts != int64(i+1) {
			t.Errorf("%+v", s)
		}
	}
	until(t, "the failures are counted", func() bool { return status(t, k).Failures == 3 })
	if s := status(t, k); !strings.Contains(s.LastFailure, "exit status 2") {
		t.Errorf("%+v", s)
	}
}

// Failures in a row open the circuit: nothing is started for a while, then once.
func TestCircuit(t *testing.T) {
	k, _ := newKind(t, func(o *external.Options) { o.CircuitAfter, o.CircuitFor = 2, 300*time.Millisecond })
	for range 2 {
		n, h := puppetOn(t, k, nil)
		failed(t, n.OnEvent(h.context, segment("exit")), protocol.CodeExited, "")
	}
	until(t, "the circuit is open", func() bool { return status(t, k).State == "circuit_open" })
	n, err := k.New(testConfig(t, "puppet", nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Init(newHost(t, "turn-1").context); err == nil {
		t.Log("the circuit closed before it was asked") // 300 ms of this machine
	} else {
		failed(t, err, protocol.CodeCircuit, "2 failures")
	}
	until(t, "it is tried again", func() bool { return n.Init(newHost(t, "turn-1").context) == nil })
}

// A program that cannot be started, or is no node, is told with what it said.
func TestNoNode(t *testing.T) {
	k, _ := newKind(t, func(o *external.Options) { o.Launcher = nil })
	c := map[string]any{}
	if err := json.Unmarshal(polite(t), &c); err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]string{"node-test": `no node "nobody"`, "node-hostile": `"nobody" is no act`} {
		c["args"] = []string{command, "nobody"}
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		failed(t, k.Verify(t.Context(), raw), protocol.CodeExited, want)
	}
}

// A child that is not what its config says is refused when it is verified, and from then on at New.
func TestFalseDeclaration(t *testing.T) {
	k, _ := newKind(t, nil)
	c := map[string]any{}
	if err := json.Unmarshal(testConfig(t, "puppet", nil), &c); err != nil {
		t.Fatal(err)
	}
	c["args"] = []string{"node-test", "liar"}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Describe(raw); err != nil {
		t.Fatal(err)
	}
	failed(t, k.Verify(t.Context(), raw), protocol.CodeDeclarationFalse, "hello.declaration.cancel_mode: soft: config.declaration.cancel_mode says hard: make the two equal")
	if _, err := k.New(raw); err == nil {
		t.Error("an instance of it was made")
	} else {
		failed(t, err, protocol.CodeDeclarationFalse, "cancel_mode")
	}
	if s := status(t, k); s.State != "refused" || s.PID != 0 {
		t.Errorf("%+v", s)
	}
}

// Close ends every process, also one that hangs, and nothing is started after it.
func TestClose(t *testing.T) {
	k, _ := newKind(t, nil)
	n, h := puppetOn(t, k, nil)
	hung, h2 := puppetOn(t, k, map[string]any{"limits": map[string]any{"concurrency": 2, "time_ms": 5000}})
	go func() { _ = hung.OnEvent(h2.context, segment("spin")) }()
	var pids []int
	for _, s := range k.Status() {
		pids = append(pids, s.PID)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if !gone(pid) {
			t.Errorf("%d outlives its kind", pid)
		}
	}
	if err := n.OnEvent(h.context, segment("emit x")); err == nil {
		t.Error("a node without a process took an event")
	}
	if _, err := k.New(testConfig(t, "puppet", nil)); err == nil {
		t.Error("a closed kind made a node")
	}
	for _, s := range k.Status() {
		if s.State != "closed" || s.Failures != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// A process without instances ends after a while, which is no failure, and comes back.
func TestIdle(t *testing.T) {
	k, _ := newKind(t, func(o *external.Options) { o.Idle = 50 * time.Millisecond })
	n, h := puppetOn(t, k, nil)
	if err := n.Stop(h.context); err != nil {
		t.Fatal(err)
	}
	until(t, "it has ended", func() bool { return status(t, k).State == "idle" })
	if _, h = puppetOn(t, k, nil); h == nil {
		t.Error("it did not come back")
	}
	if s := status(t, k); s.Failures != 0 || s.Starts != 2 {
		t.Errorf("%+v", s)
	}
}

// runHost is a host that is killed: it says which process it has started, and waits.
func runHost() error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	k := external.New(external.Options{Launcher: []string{path, "node-exec"}})
	b, err := json.Marshal(map[string]any{
		"command": path, "args": []string{"node-test", "puppet"}, "declaration": protocol.Declare((&puppet{}).Declaration()),
	})
	if err != nil {
		return err
	}
	n, err := k.New(b)
	if err != nil {
		return err
	}
	ctx := &node.Context{Cancel: node.NewCancelToken(context.Background()), Budget: still{}, Timebase: still{}, State: still{}, Telemetry: still{}}
	if err := n.Init(ctx); err != nil {
		return err
	}
	go func() { _ = n.OnEvent(ctx, segment("sleep")) }()
	for k.Status()[0].Events == 0 {
		time.Sleep(time.Millisecond)
	}
	fmt.Fprintln(os.Stdout, k.Status()[0].PID)
	time.Sleep(time.Minute)
	return nil
}

// Whoever kills the host has no process left over, even where the node hangs.
func TestHostDies(t *testing.T) {
	host := exec.Command(self(t), "node-host", "x")
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || gone(pid) {
		t.Fatal(line, err)
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	until(t, "its child is gone", func() bool { return gone(pid) })
}

// still is a session in which nothing happens.
type still struct{}

func (still) Now() node.Instant                          { return 0 }
func (still) WakeAt(node.Instant)                        {}
func (still) Count(string, int64)                        {}
func (still) RemainingMS() int64                         { return -1 }
func (still) Get(node.StateClass, string) ([]byte, bool) { return nil, false }
func (still) Put(node.StateClass, string, []byte) error  { return nil }
func (still) Conversation() []node.Message               { return nil }
