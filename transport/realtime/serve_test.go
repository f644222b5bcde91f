// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/parley-voice/parley/internal/engines"
	"github.com/parley-voice/parley/internal/thirdparty"
)

// The whole of it: parley serve as a process, with the engines that hear and speak, and a
// client of OpenAI's that talks to it, interrupts it and hears on.
func TestParleyServe(t *testing.T) {
	dir := withNode(t)
	if _, err := engines.Find(engines.Options{}); err != nil {
		thirdparty.Unable(t, "the engines are not set up (make engines): %v", err)
	}
	url := serveProcess(t)
	w := &world{url: url}
	saw := w.talk(t, dir, recordings(t), "node", "agents.mjs")
	history, _ := saw["history"].([]any)
	if len(history) < 4 || !strings.Contains(history[1].(string), "scripted responder") {
		t.Errorf("the history is %q", history)
	}
}

// serveProcess starts parley serve, gives the address of the protocol, and ends the process
// in good order.
func serveProcess(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "parley")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/parley").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	serve := exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--llm", "scripted") //nolint:noctx // it is to end by a signal
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	serve.Stderr = os.Stderr
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Signal(syscall.SIGTERM)
		if err := serve.Wait(); err != nil {
			t.Errorf("parley serve: %v", err)
		}
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, page, ok := strings.Cut(lines.Text(), "http://"); ok {
			go func() {
				for lines.Scan() { // what it says further
				}
			}()
			return "ws://" + strings.TrimSuffix(strings.TrimSpace(page), "/") + "/v1/realtime"
		}
	}
	t.Fatal("parley serve does not say where it is")
	return ""
}
