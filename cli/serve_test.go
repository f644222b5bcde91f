// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/engines/enginestest"
	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/internal/serve/servetest"
	"github.com/parley-voice/parley/tool/mcptool/mcptooltest"
	"github.com/parley-voice/parley/transport"
)

// asProgram has this test's binary be the program, with the tests' transport beside its own.
const asProgram = "PARLEY_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	mcptooltest.Serve()
	if url := os.Getenv(asCaller); url != "" {
		os.Exit(callAndStay(url))
	}
	part := len(os.Args) > 1 && (os.Args[1] == nodeExec || os.Args[1] == nodeHostile) // their environment has nothing to say it by
	if os.Getenv(asProgram) == "" && !part {
		flag.Parse()
		must(flag.Set("test.parallel", "8")) // those that are, mostly wait
		os.Exit(m.Run())
	}
	ctx, stop := asked()
	defer stop()
	env := &environment{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, mounts: func(c *serve.Config) []serve.Mount {
		return append(mounts(c), serve.Mount{
			Path: "/test", Kind: servetest.Kind, About: "tests",
			New: func(h transport.Host, _ serve.MountOptions) (http.Handler, func(context.Context) error, error) {
				return servetest.New(h), nil, nil
			},
		}, briskMount())
	}}
	os.Exit(runIn(ctx, os.Args[1:], env))
}

// program is parley serve as a process of its own.
type program struct {
	cmd  *exec.Cmd
	url  string
	out  lines
	log  lines
	done chan struct{} // closed when it has ended
}

// lines are what a process writes.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serveProcess starts the program and waits for its page's address.
func serveProcess(t *testing.T, environment []string, args ...string) *program {
	t.Helper()
	return programProcess(t, environment, append([]string{"serve", "--llm", "scripted", "--listen", "127.0.0.1:0"}, args...)...)
}

// programProcess starts the program with the arguments of a server.
func programProcess(t *testing.T, environment []string, args ...string) *program {
	t.Helper()
	enginestest.Set(t)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{done: make(chan struct{})}
	p.cmd = exec.Command(binary, args...)
	p.cmd.Env = append(append(os.Environ(), asProgram+"=1"), environment...)
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	go func() {
		r := bufio.NewReader(io.TeeReader(out, &p.out))
		for page := ""; ; {
			line, err := r.ReadString('\n')
			if _, url, ok := strings.Cut(line, "page "); ok {
				page = strings.TrimSuffix(strings.TrimSpace(url), "/")
			}
			if strings.HasPrefix(strings.TrimSpace(line), "mode ") { // the last one
				found <- page
			}
			if err != nil {
				break
			}
		}
		_ = p.cmd.Wait() // the exit code says more
		close(p.done)
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it has ended, where the test went well
	select {
	case p.url = <-found:
	case <-p.done:
		t.Fatalf("it ends at once\n%s%s", p.out.String(), p.log.String())
	case <-time.After(2 * servetest.Patience):
		t.Fatalf("it does not begin\n%s%s", p.out.String(), p.log.String())
	}
	return p
}

func (p *program) signal(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// ended waits for the process, and wants its exit code.
func (p *program) ended(t *testing.T, code int) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(servetest.Patience):
		t.Fatalf("it does not end\n%s", p.log.String())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d\n%s", got, code, p.log.String())
	}
}

func (p *program) get(t *testing.T, path string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(body)
}

func (p *program) dial(t *testing.T, token string) *servetest.Client {
	t.Helper()
	c, err := servetest.Dial(t.Context(), "ws"+strings.TrimPrefix(p.url, "http")+"/test", http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func waitFor(t *testing.T, c *servetest.Client, prefix string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), servetest.Patience)
	defer stop()
	text, _, err := c.Until(ctx, prefix)
	if err != nil {
		t.Fatalf("%q does not come: %v", prefix, err)
	}
	return text
}

func typed(t *testing.T, c *servetest.Client, text string) {
	t.Helper()
	if err := c.Say(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// A conversation with the program as a user starts it, which is asked to end in the middle:
// it is not ready at once, takes no new call, lets the answer be heard, and ends with 0.
func TestServeDrains(t *testing.T) {
	record := filepath.Join(t.TempDir(), "calls")
	p := serveProcess(t, nil, "--record", record)
	for _, want := range []string{"hears", "answers", "a scripted responder", "speaks", "clients may choose", "DEVELOPMENT", "/test", record} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, p.out.String())
		}
	}
	onlyLoopback(t, p.url)
	c := p.dial(t, "")
	waitFor(t, c, "signal connected")
	typed(t, c, "what time is it")
	waitFor(t, c, "signal playback_started")
	p.signal(t)
	for end := time.Now().Add(servetest.Patience); ; time.Sleep(time.Millisecond) {
		if code, body := p.get(t, "/readyz"); code == 503 && strings.Contains(body, "draining") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is still ready")
		}
	}
	if late := p.dial(t, ""); late.Refused != 503 {
		t.Errorf("a call while it drains: %d %s", late.Refused, late.Answer)
	}
	waitFor(t, c, "signal playback_completed")
	waitFor(t, c, "close shutdown")
	p.ended(t, exitOK)
	if found, err := filepath.Glob(filepath.Join(record, "*", "recording.parley")); err != nil || len(found) != 1 {
		t.Errorf("recordings: %v, %v", found, err)
	} else if r := runParley(t, "", "replay", found[0]); r.code != exitOK {
		t.Errorf("its replay: %s%s", r.out, r.errOut)
	}
}

// onlyLoopback tries the port at every other address of the machine.
func onlyLoopback(t *testing.T, url string) {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.IsLoopback() || ip.IP.IsLinkLocalUnicast() {
			continue
		}
		d := net.Dialer{Timeout: time.Second}
		if c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(ip.IP.String(), port)); err == nil {
			c.Close()
			t.Errorf("it listens on %s", ip.IP)
		}
	}
}

// A second signal ends everything at once, and that is no failure.
func TestServeSecondSignal(t *testing.T) {
	p := serveProcess(t, nil)
	c := p.dial(t, "")
	waitFor(t, c, "signal connected")
	typed(t, c, "tell me a story")
	waitFor(t, c, "signal playback_started")
	p.signal(t)
	for end := time.Now().Add(servetest.Patience); !strings.Contains(p.log.String(), "ending:"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not begin to end")
		}
	}
	p.signal(t)
	p.ended(t, exitOK)
}

// Tokens as an operator sets them up: a key file, a token for one client, the operator's
// secret for the rest. Neither is ever in what the program writes.
func TestServeTokens(t *testing.T) {
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.pem")
	if r := runParley(t, "", "token", "keygen", "--out", keys); r.code != exitOK || !strings.HasPrefix(r.out, "key ") {
		t.Fatalf("keygen: %s%s", r.out, r.errOut)
	}
	config := filepath.Join(dir, "serve.yaml")
	text := "auth:\n  mode: token\n  keys: file://" + keys + "\n  operator_token: env://OPERATOR\nlog: {level: debug}\nsession: {drain_timeout_ms: 1000}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	issue := func(args ...string) string {
		r := runParley(t, "", append([]string{"token", "issue", "--config", config}, args...)...)
		if r.code != exitOK {
			t.Fatalf("issue: %s", r.errOut)
		}
		return strings.TrimSpace(r.out)
	}
	good, foreign := issue("--transport", "servetest", "--tenant", "acme"), issue("--transport", "websocket")
	p := serveProcess(t, []string{"OPERATOR=the-secret-of-the-operator"}, "--config", config)
	if !strings.Contains(p.out.String(), "a signed session token is needed") {
		t.Errorf("it does not say so:\n%s", p.out.String())
	}
	for _, token := range []string{"", foreign, good[:len(good)-6] + "AAAAAA"} {
		if c := p.dial(t, token); c.Refused != 401 {
			t.Errorf("%.12q: %d %s", token, c.Refused, c.Answer)
		}
	}
	c := p.dial(t, good)
	waitFor(t, c, "signal connected")
	code, body := p.get(t, "/api/sessions?tenant=acme", "Authorization", "Bearer the-secret-of-the-operator")
	if code != 200 || !strings.Contains(body, `"tenant_id":"acme"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := p.get(t, "/metrics"); code != 401 {
		t.Errorf("metrics without the secret: %d", code)
	}
	typed(t, c, "!hangup")
	waitFor(t, c, "close ")
	p.signal(t)
	p.ended(t, exitOK)
	all := p.out.String() + p.log.String()
	for _, secret := range []string{"the-secret-of-the-operator", good, foreign} {
		for _, piece := range strings.Split(secret, ".") {
			if strings.Contains(all, piece) {
				t.Errorf("it writes a piece of a secret: %s", piece)
			}
		}
	}
}

// What cannot begin says why, with every fault of the configuration, and listens nowhere.
func TestServeCannotBegin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("listen: 0.0.0.0:7860\nsesion: {max: 3}\nhttp: {body_bytes: 5}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	beyond := filepath.Join(dir, "beyond.yaml")
	if err := os.WriteFile(beyond, []byte("listen: 0.0.0.0:7860\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"--listen", l.Addr().String()}, []string{"in use", "--listen"}},
		{[]string{"--config", bad}, []string{"bad.yaml:2:1: sesion", "did you mean session?", "bad.yaml:3:20: http.body_bytes", "1024 to"}},
		{[]string{"--config", beyond}, []string{"beyond.yaml:1:9: listen:", "beyond loopback", "auth.mode token"}},
		{[]string{"--set", "auth.mode=token"}, []string{"auth.keys", "parley token keygen"}},
		{[]string{"--set", "auth.mode"}, []string{"has no ="}},
		{[]string{"--config", filepath.Join(dir, "none.yaml")}, []string{"--config", "cannot be read"}},
		{[]string{"--set", "session.flow=" + filepath.Join(dir, "none.yaml")}, []string{"session.flow", "cannot be read"}},
		{[]string{"--set", "auth.keys=file:///nowhere/keys.pem"}, []string{"auth.keys", "/nowhere/keys.pem"}},
		{[]string{"now"}, []string{`unknown command "now"`}},
	} {
		r := runParley(t, "", append([]string{"serve"}, c.args...)...)
		if r.code != exitUsage || r.out != "" {
			t.Errorf("parley serve %q: exit code %d, printed %q", c.args, r.code, r.out)
		}
		for _, want := range c.says {
			if !strings.Contains(r.errOut, want) {
				t.Errorf("parley serve %q does not say %q:\n%s", c.args, want, r.errOut)
			}
		}
	}
}

// The configuration as parley config print shows it, from its four layers.
func TestConfigPrint(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("voice.yaml", []byte("listen: 127.0.0.1:9000\nauth:\n  keys: file://keys.pem\ngrants:\n  voices: [slt, rms]\n  tools: false\nsession: {max: 10, record: calls}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PARLEY_SERVE__SESSION__MAX", "20")
	t.Setenv("PARLEY_SERVE__SESSION__RECORD", "elsewhere")
	r := runParley(t, "", "config", "print", "--config", "voice.yaml", "--set", "session.max=30", "--llm", "scripted", "--changed")
	want := `listen = 127.0.0.1:9000      file         voice.yaml:1:9
auth.keys = file://keys.pem  file         voice.yaml:3:9
session.max = 30             flag         --set
session.record = elsewhere   environment  PARLEY_SERVE__SESSION__RECORD
grants.voices = slt,rms      file         voice.yaml:5:11
grants.tools = false         file         voice.yaml:6:10
agent.llm = scripted         flag         --llm
`
	if r.code != exitOK || r.out != want {
		t.Errorf("exit code %d\n got\n%s\nwant\n%s%s", r.code, r.out, want, r.errOut)
	}
	r = runParley(t, "", "config", "print", "--json")
	var out struct {
		Values []struct {
			Path, Value string
			Source      struct{ Layer string }
		}
	}
	if err := json.Unmarshal([]byte(r.out), &out); err != nil || len(out.Values) < 30 || out.Values[0].Path != "listen" || out.Values[0].Source.Layer != "default" {
		t.Errorf("%v\n%s", err, r.out)
	}
	if r := runParley(t, "", "config", "print", "--set", "agent.llmm=x"); r.code != exitUsage || !strings.Contains(r.errOut, "did you mean agent.llm?") {
		t.Errorf("%d %s", r.code, r.errOut)
	}
	if r := runParley(t, "", "__complete", "config", "print", "--set", "auth."); !strings.Contains(r.out, "auth.mode=") {
		t.Errorf("completion: %s", r.out)
	}
}

// The token commands: what was made is not overwritten, and what is wrong is named.
func TestTokenCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	if r := runParley(t, "", "token", "keygen", "--out", "k.pem", "--public", "p.pem"); r.code != exitOK {
		t.Fatal(r.errOut)
	}
	if info, err := os.Stat("k.pem"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info.Mode(), err)
	}
	issued := runParley(t, "", "token", "issue", "--keys", "file://k.pem", "--transport", "websocket", "--session", "s-1")
	if r := runParley(t, issued.out, "token", "check", "--keys", "file://p.pem"); r.code != exitOK || !strings.Contains(r.out, `"session_id": "s-1"`) {
		t.Errorf("check with the public half: %d %s", r.code, r.out)
	}
	t.Setenv("KEYS", "nonsense")
	for _, c := range []struct {
		args  []string
		stdin string
		code  int
		says  string
	}{
		{[]string{"keygen", "--out", "k.pem"}, "", exitFailure, "does not exist"},
		{[]string{"keygen"}, "", exitUsage, "--out is missing"},
		{[]string{"issue", "--transport", "websocket"}, "", exitUsage, "parley token keygen"},
		{[]string{"issue", "--keys", "file://k.pem"}, "", exitUsage, "--transport is missing"},
		{[]string{"issue", "--keys", "k.pem", "--transport", "x"}, "", exitUsage, "file://PATH"},
		{[]string{"issue", "--keys", "file://p.pem", "--transport", "x"}, "", exitUsage, "private half"},
		{[]string{"issue", "--keys", "file://k.pem", "--transport", "x", "--tenant", "a b"}, "", exitUsage, "tenant_id"},
		{[]string{"issue", "--keys", "file://k.pem", "--transport", "x", "--lifetime-ms", "1"}, "", exitUsage, "lifetime"},
		{[]string{"check", "--keys", "env://KEYS"}, "x", exitUsage, "PEM"},
		{[]string{"check", "--keys", "file://k.pem"}, "x", exitFailure, `"fault": "malformed"`},
		{[]string{"check", "--keys", "file://k.pem"}, issued.out[:20] + "x" + issued.out[21:], exitFailure, `"valid": false`},
	} {
		r := runParley(t, c.stdin, append([]string{"token"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.out+r.errOut, c.says) {
			t.Errorf("parley token %q: exit code %d, want %d, %q\n%s%s", c.args, r.code, c.code, c.says, r.out, r.errOut)
		}
	}
}
