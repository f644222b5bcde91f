// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external"
	"github.com/parley-voice/parley/node/external/hostile"
	"github.com/parley-voice/parley/node/external/protocol"
	"github.com/parley-voice/parley/node/external/sandbox"
)

// act gives a node audio until it acts, and waits until the host is asked for an event, which is
// how an instance says that it has failed.
func act(t *testing.T, n node.Node, h *host) error {
	t.Helper()
	return actUnless(t, n, h, func() bool { return false })
}

// provoke gives a node so many events that it acts.
func provoke(n node.Node, h *host) error {
	for i := range int64(hostile.After) {
		if err := n.OnEvent(h.context, audio(i*node.FrameSamples)); err != nil {
			return err
		}
	}
	return nil
}

// errHarmless is what has become of a node that is let be.
var errHarmless = errors.New("it does no harm")

// actUnless is act for a node that may turn out to be harmless.
func actUnless(t *testing.T, n node.Node, h *host, harmless func() bool) error {
	t.Helper()
	if err := provoke(n, h); err != nil {
		return err
	}
	failed := func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.wakes) > 0
	}
	until(t, "something has become of it", func() bool { return failed() || harmless() })
	if !failed() {
		return errHarmless
	}
	return n.OnEvent(h.context, &node.Event{Kind: eventabi.KindControl, Type: node.TypeTimer, Class: eventabi.ClassMetadata})
}

// gone says whether a process is no more.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// outcome is what has to become of an act: a code, a part of its detail, and whether the process goes.
type outcome struct {
	code, detail string
	dies         bool
	or           string // another code that says the same
}

func outcomes(level sandbox.Level) map[string]outcome {
	limited := map[string]outcome{
		"loop":      {protocol.CodeTimeout, "limits.time_ms", true, ""},
		"sleep":     {protocol.CodeTimeout, "limits.time_ms", true, ""},
		"memory":    {protocol.CodeLimit, "", true, protocol.CodeExited}, // the system may refuse it more before it is measured
		"forks":     {protocol.CodeNode, "operation not permitted", false, ""},
		"threads":   {protocol.CodeLimit, "limits.cpu_units", true, ""},
		"flood":     {protocol.CodeLimit, "limits.output_bytes_per_s", true, ""},
		"chatter":   {protocol.CodeTimeout, "limits.time_ms", true, ""},
		"garbage":   {protocol.CodeViolation, "frame length", true, ""},
		"oversized": {protocol.CodeViolation, "frame length", true, ""},
		"slowloris": {protocol.CodeViolation, "not complete", true, ""},
		"forged":    {protocol.CodeViolation, "done.seq", true, ""},
		"silent":    {protocol.CodeTimeout, "", true, ""},
		"exit":      {protocol.CodeExited, "exit status 2", true, ""},
		"network":   {protocol.CodeNode, "refused", false, ""},
		"files":     {protocol.CodeNode, "refused", false, ""},
		"signals":   {protocol.CodeNode, "refused", false, ""},
	}
	switch level {
	case sandbox.LevelProcess:
		limited["forks"] = outcome{protocol.CodeLimit, "limits.", true, ""} // tasks, or the memory of all of them together
		for _, name := range []string{"network", "files", "signals"} {
			limited[name] = outcome{protocol.CodeNode, "it was let", false, ""}
		}
	case sandbox.LevelLimited:
		limited["files"] = outcome{protocol.CodeNode, "it was let", false, ""}
	case sandbox.LevelSandbox:
	}
	return limited
}

// Each hostile node fails, its process is gone where it has to go, a node beside it serves on, and
// the next instance of it gets a new process.
func TestHostileNodes(t *testing.T) {
	best, why := sandbox.Available()
	if runtime.GOOS == "linux" && best != sandbox.LevelSandbox {
		t.Logf("this system has no more than %s: %s", best, why)
	}
	for _, level := range []sandbox.Level{sandbox.LevelProcess, sandbox.LevelLimited, sandbox.LevelSandbox} {
		if level.Rank() > best.Rank() {
			continue
		}
		want := outcomes(level)
		for _, name := range hostile.Names() {
			t.Run(string(level)+"/"+name, func(t *testing.T) {
				t.Parallel()
				w, known := want[name]
				if !known {
					t.Fatal("nobody says what has to become of it")
				}
				becomes(t, level, "", name, w)
			})
		}
	}
	t.Run("without_groups", func(t *testing.T) { // descendants are looked for
		t.Parallel()
		becomes(t, sandbox.LevelProcess, external.NoGroups, "forks", outcomes(sandbox.LevelProcess)["forks"])
	})
}

func becomes(t *testing.T, level sandbox.Level, groups, name string, w outcome) {
	t.Helper()
	k, log := newKind(t, func(o *external.Options) { o.Most, o.Groups = level, groups })
	other, beside := open(t, k, polite(t), "")
	config := hostile.Config(name, self(t), "node-hostile")
	if w.code == protocol.CodeLimit { // on a busy machine its time would be over before it has used up the rest
		config = bytes.Replace(config, []byte(`"time_ms":400`), []byte(`"time_ms":5000`), 1)
	}
	switch { // and many neighbours leave four threads less than they would use
	case name == "threads":
		config = bytes.Replace(config, []byte(`"cpu_units":300`), []byte(`"cpu_units":100`), 1)
	case w.code == protocol.CodeLimit: // who stands behind for its time is slow in using up the rest
		config = bytes.Replace(config, []byte(`"cpu_units":300`), []byte(`"cpu_units":8000`), 1)
	}
	n, h := open(t, k, config, "")
	var pid int
	for _, s := range k.Status() {
		if s.Level != level {
			t.Errorf("level %s", s.Level)
		}
		if s.NodeType == "hostile" && s.Instances == 1 {
			pid = max(pid, s.PID)
		}
	}
	began := time.Now()
	err := actUnless(t, n, h, func() bool { // on a busy machine nothing is left for it, and so it breaks no limit
		return name == "threads" && time.Since(began) > 10*time.Second && standsBehind(pid)
	})
	if errors.Is(err, errHarmless) {
		if err := other.OnEvent(beside.context, segment("still here")); err != nil {
			t.Errorf("the node beside: %v", err)
		}
		return
	}
	e := (*external.Error)(nil)
	if !errors.As(err, &e) || e.Code != w.code && e.Code != w.or || !strings.Contains(e.Detail, w.detail) {
		t.Errorf("got %v, want %s: ... %s\n%s", err, w.code, w.detail, log)
	}
	if w.dies {
		until(t, "the process is gone", func() bool { return gone(pid) })
	}
	if err := other.OnEvent(beside.context, segment("still here")); err != nil {
		t.Errorf("the node beside: %v", err)
	}
	if list := beside.list(); len(list) != 1 || list[0].Text != "still here" {
		t.Errorf("the node beside has emitted %v", list)
	}
	again, h2 := open(t, k, config, "")
	if err := again.OnEvent(h2.context, segment("anew")); err != nil {
		t.Errorf("the next instance: %v", err)
	}
	until(t, "the place is free again", func() bool {
		sum := 0
		for _, s := range k.Status() {
			sum += s.Instances
		}
		return sum == 2
	})
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range k.Status() {
		if s.PID != 0 && !gone(s.PID) {
			t.Errorf("%d outlives its kind", s.PID)
		}
	}
}

// What was granted may be used.
func TestGrants(t *testing.T) {
	if best, why := sandbox.Available(); best != sandbox.LevelSandbox {
		t.Logf("without a sandbox there is nothing to grant: %s", why)
		return
	}
	k, _ := newKind(t, nil)
	for name, isolation := range map[string]map[string]any{
		"files": {"read": []string{"/etc/passwd"}, "write": []string{os.TempDir()}}, "network": {"network": true},
	} {
		config := map[string]any{}
		if err := json.Unmarshal(hostile.Config(name, self(t), "node-hostile"), &config); err != nil {
			t.Fatal(err)
		}
		config["isolation"] = isolation
		raw, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		n, h := open(t, k, raw, "")
		if err := act(t, n, h); err == nil || !strings.Contains(err.Error(), "it was let") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What requires more than can be had is refused before anything starts.
func TestRequire(t *testing.T) {
	k, _ := newKind(t, func(o *external.Options) { o.Launcher = nil })
	config := map[string]any{}
	if err := json.Unmarshal(polite(t), &config); err != nil {
		t.Fatal(err)
	}
	for require, ok := range map[string]bool{"none": true, "process": true, "limited": false, "sandbox": false} {
		config["isolation"] = map[string]any{"require": require}
		raw, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Describe(raw); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "config.isolation.require: \""+require+"\"") {
			t.Errorf("%s: %v", require, err)
		}
	}
	if err := k.Verify(t.Context(), polite(t)); err != nil {
		t.Error(err)
	}
	if s := status(t, k); s.Level != sandbox.LevelProcess {
		t.Errorf("level %s", s.Level)
	}
}
