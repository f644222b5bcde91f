// SPDX-License-Identifier: Apache-2.0

package typescript_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	typescript "github.com/parley-voice/parley/clients/typescript"
	"github.com/parley-voice/parley/internal/thirdparty"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
	"github.com/parley-voice/parley/transport/websocket"
)

// TestFilesAreThere shows that what a page needs is in the binary.
func TestFilesAreThere(t *testing.T) {
	for _, name := range []string{"index.js", "browser.js", "binary.js", "client.js", "pcm.js", "playback.js", "protocol.js", "table.js"} {
		text, err := fs.ReadFile(typescript.Files(), name)
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestClientInNode runs the client's own tests against a real server on a host that does
// what is typed.
func TestClientInNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		thirdparty.Needed(t, "no node: %v", err)
		t.Skipf("no node: %v: install Node 20 or later (TestFilesAreThere needs none)", err)
	}
	files, err := filepath.Glob("test/*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	s := newScript(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, node, append([]string{"--no-warnings", "--experimental-websocket", "--test"}, files...)...)
	run.Env = append(os.Environ(), "PARLEY_TEST_URL="+s.url, "PARLEY_TEST_TOKEN="+transporttest.Token)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("skipped 0")) {
		t.Errorf("tests were skipped:\n%s", out)
	}
}

// TestDistIsFresh builds the sources and compares.
func TestDistIsFresh(t *testing.T) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		thirdparty.Needed(t, "no npm: %v", err)
		t.Skipf("no npm: %v: install Node 20 or later (TestFilesAreThere needs none)", err)
	}
	if _, err := os.Stat("node_modules/typescript"); err != nil {
		if out, err := command(t, npm, "ci").CombinedOutput(); err != nil {
			thirdparty.Needed(t, "the compiler cannot be had: %v", err)
			t.Skipf("the compiler cannot be had: %v (TestFilesAreThere needs none)\n%s", err, out)
		}
	}
	fresh := t.TempDir()
	if out, err := command(t, npm, "exec", "--offline", "--", "tsc", "--outDir", fresh).CombinedOutput(); err != nil {
		t.Fatalf("tsc: %v\n%s", err, out)
	}
	names := map[string]bool{}
	for _, dir := range []string{fresh, "dist"} {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			names[f.Name()] = true
		}
	}
	for name := range names {
		built, _ := os.ReadFile(filepath.Join(fresh, name))
		kept, _ := os.ReadFile(filepath.Join("dist", name))
		if !bytes.Equal(built, kept) {
			t.Errorf("dist/%s is not what src makes: run npm run build in clients/typescript", name)
		}
	}
}

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, name, args...)
}

// script is a server whose sessions do what is typed to them.
type script struct {
	host   *transporttest.Host
	server *websocket.Server
	url    string

	mu    sync.Mutex
	conns []net.Conn
	stop  bool
}

func newScript(t *testing.T) *script {
	t.Helper()
	s := &script{host: transporttest.NewHost(t, transporttest.Config{})}
	var err error
	if s.server, err = websocket.New(websocket.Config{}, s.host); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(s.server)
	web.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conns = append(s.conns, c)
		return ctx
	}
	web.Start()
	s.url = "ws" + strings.TrimPrefix(web.URL, "http")
	var all sync.WaitGroup
	all.Go(func() { s.watch(&all) })
	t.Cleanup(func() {
		s.mu.Lock()
		s.stop = true
		s.mu.Unlock()
		all.Wait()
		s.host.Close()
		web.Close()
	})
	return s
}

func (s *script) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop
}

// watch finds sessions that begin.
func (s *script) watch(all *sync.WaitGroup) {
	for known := 0; !s.over(); time.Sleep(2 * time.Millisecond) {
		for _, one := range s.host.Sessions()[known:] {
			known++
			p := &part{script: s, session: one, link: one.Link().(transport.TextSink)}
			all.Go(p.run)
		}
	}
}

// part is what one session plays.
type part struct {
	script     *script
	session    *transporttest.Session
	link       transport.TextSink
	generation uint32
	texts      int
}

func (p *part) run() {
	for done := 0; !p.script.over(); time.Sleep(2 * time.Millisecond) {
		calls := p.session.Calls()
		for _, call := range calls[done:] {
			p.answer(call.What)
		}
		done = len(calls)
	}
}

func (p *part) tell(format string, args ...any) {
	p.link.WriteText(transport.Text{From: transport.TextAgent, Of: "t0", Text: fmt.Sprintf(format, args...), Final: true})
}

// answer does what came, or says that it came.
func (p *part) answer(what any) {
	switch what := what.(type) {
	case transporttest.Text:
		p.texts++
		p.do(what.Text)
	case transporttest.EndOfUtterance:
		sum := 0
		for _, v := range p.session.Heard() {
			sum += int(v)
		}
		p.tell("heard %d sum %d", len(p.session.Heard()), sum)
	case transport.Playout:
		if what.Final {
			p.tell("final %d %d", what.Generation, what.Position)
		} else {
			p.tell("played %d %d", what.Generation, what.Position)
		}
	case transporttest.Muted:
		p.tell("muted %v", what.On)
	case transport.ToolResult:
		p.tell("result %s %s", what.ID, what.Output)
	case transporttest.Cancel:
		p.tell("cancel %s %v", what.Turn, what.Force)
	case transport.Wishes:
		p.tell("wishes %s %d", what.TurnEnd, len(what.Tools))
	}
}

func (p *part) do(text string) {
	turn := eventabi.TurnID(fmt.Sprint("t", p.generation))
	verb, rest, _ := strings.Cut(text, " ")
	switch verb {
	case "signal":
		p.session.Emit(eventabi.Signal(rest), "", "no_input")
	case "tool":
		p.session.Link().(transport.ToolSink).WriteToolCall(transport.ToolCall{ID: "call-1", Turn: "t1", Name: "price", Arguments: "{}"})
	case "say":
		p.generation++
		var n int
		_, _ = fmt.Sscan(rest, &n)
		pcm := make([]int16, n)
		for i := range pcm {
			pcm[i] = int16(i + 1)
		}
		p.session.Burst(eventabi.TurnID(fmt.Sprint("t", p.generation)), p.generation, pcm)
	case "fence":
		p.session.Fence(turn, p.generation)
	case "route":
		var view int64
		var endpoint string
		_, _ = fmt.Sscan(rest, &view, &endpoint)
		if err := p.session.Link().(transport.Router).Route(view, endpoint); err != nil {
			p.tell("%v", err)
		}
	case "echo":
		p.tell("%s", rest)
	case "count":
		p.tell("texts %d", p.texts)
	case "close":
		p.session.Close(rest)
	case "cut":
		p.script.mu.Lock()
		for _, c := range p.script.conns {
			c.Close()
		}
		p.script.conns = nil
		p.script.mu.Unlock()
		if rest != "" {
			p.session.Close("gone")
		}
	}
}
