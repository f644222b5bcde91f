// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
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
	w := &world{url: "ws" + strings.TrimPrefix(serveProcess(t), "http")}
	saw := w.talk(t, dir, recordings(t), "node", "agents.mjs")
	history, _ := saw["history"].([]any)
	if len(history) < 4 || !strings.Contains(history[1].(string), "scripted responder") {
		t.Errorf("the history is %q", history)
	}
}

// npm's openai, which speaks TLS only, unchanged against parley serve with a certificate.
func TestParleyServeTLS(t *testing.T) {
	dir := withNode(t)
	if _, err := engines.Find(engines.Options{}); err != nil {
		thirdparty.Unable(t, "the engines are not set up (make engines): %v", err)
	}
	certificate, key := certificateOf(t)
	w := &world{cert: certificate, https: serveProcess(t, "--set", "tls.certificate="+certificate, "--set", "tls.key=file://"+key)}
	if !strings.HasPrefix(w.https, "https://") {
		t.Fatalf("it serves %s", w.https)
	}
	w.url, w.https = "wss"+strings.TrimPrefix(w.https, "https"), strings.TrimSuffix(w.https, "/realtime")
	if saw := w.talk(t, dir, recordings(t), "node", "openai.mjs"); saw["words"] == "" || saw["text"] == "" {
		t.Errorf("the client saw %v", saw)
	}
}

// certificateOf writes the certificate that package httptest has for loopback, and its key.
func certificateOf(t *testing.T) (certificate, key string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	private, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: s.Certificate().Raw}, key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// serveProcess starts parley serve, gives the address of the protocol, and ends the process
// in good order.
func serveProcess(t *testing.T, args ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "parley")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/parley").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	serve := exec.Command(binary, append([]string{"serve", "--listen", "127.0.0.1:0", "--llm", "scripted"}, args...)...) //nolint:noctx // it is to end by a signal
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
		if _, page, ok := strings.Cut(lines.Text(), "page "); ok {
			go func() {
				for lines.Scan() { // what it says further
				}
			}()
			return strings.TrimSuffix(strings.TrimSpace(page), "/") + "/v1/realtime"
		}
	}
	t.Fatal("parley serve does not say where it is")
	return ""
}
