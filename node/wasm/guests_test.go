// SPDX-License-Identifier: Apache-2.0

package wasm_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
	"github.com/parley-voice/parley/node/wasm"
)

const (
	gate    = "../../examples/wasm/gate/gate.wasm"
	hostile = "testdata/hostile.wasm"
)

// built is where the guests that are written in Go lie; they are built once.
var built string

func TestMain(m *testing.M) {
	code := func() int {
		var err error
		if built, err = os.MkdirTemp("", "parley-wasm-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(built)
		return m.Run()
	}()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var builds sync.Map

// goGuest builds a guest from the folder of its program.
func goGuest(t testing.TB, folder string) string {
	t.Helper()
	out := filepath.Join(built, filepath.Base(folder)+".wasm")
	build, _ := builds.LoadOrStore(folder, sync.OnceValue(func() error {
		cmd := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-o", out, ".")
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", folder, err, text)
		}
		return nil
	}))
	if err := build.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return out
}

func probe(t testing.TB) string { t.Helper(); return goGuest(t, "testdata/probe") }

func sum(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// config pins a module as it is; more are further fields.
func config(t testing.TB, file string, more ...string) json.RawMessage {
	t.Helper()
	fields := append([]string{fmt.Sprintf(`"module":%q,"sha256":%q`, file, sum(t, file))}, more...)
	return json.RawMessage("{" + strings.Join(fields, ",") + "}")
}

var (
	sharedOnce sync.Once
	shared     string
)

// newKind makes a kind that shares compiled code with the others of this run.
func newKind(t testing.TB) *wasm.Kind {
	t.Helper()
	sharedOnce.Do(func() { shared = filepath.Join(built, "compiled") })
	k := wasm.New(wasm.Options{Compiled: shared})
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func newNode(t testing.TB, k *wasm.Kind, c json.RawMessage) node.Node {
	t.Helper()
	n, err := k.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// text is an event that the probe and the hostile guest take.
func text(s string) node.Event {
	return node.Event{Kind: "text", Type: node.TypeTextDelta, Class: "text_raw", Text: s}
}

// tell gives a started node an event, and the fault that it answers with.
func tell(h *nodetest.Harness, n node.Node, s string) error {
	ev := text(s)
	return n.OnEvent(h.Context(), &ev)
}

func started(t testing.TB, n node.Node) *nodetest.Harness {
	t.Helper()
	h := nodetest.New(t, n)
	h.Start()
	return h
}

// The guests in C are kept built, so that the tests need no C compiler: they must be what their
// sources say.
func TestGuestsInCAreBuiltFromTheirSources(t *testing.T) {
	list, err := os.ReadFile("testdata/guests.sha256")
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(list), []byte("\n"))
	if len(lines) != 7 {
		t.Fatalf("%d checksums", len(lines))
	}
	for _, line := range lines {
		want, file, _ := strings.Cut(string(line), "  ")
		if is := sum(t, filepath.Join("../..", file)); is != want {
			t.Errorf("%s has changed: run node/wasm/testdata/build.sh", file)
		}
	}
	for _, file := range []string{gate, hostile} {
		if info, err := os.Stat(file); err != nil || info.Size() > 20<<10 {
			t.Errorf("%s: %v: at most 20 KB may be kept built", file, err)
		}
	}
}
