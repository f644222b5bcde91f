// SPDX-License-Identifier: Apache-2.0

package pagetest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Patience bounds every wait: machines that test are slow, and share their processors.
const Patience = 90 * time.Second

// readLimit is the largest message of the browser's, in bytes: a picture is one.
const readLimit = 64 << 20

// Options are those of a browser.
type Options struct {
	// Microphone is a WAV that is played over and over; empty = the browser's beeps. With
	// Once it is played once, and silence follows.
	Microphone string
	Once       bool
	// Denied has the microphone refused.
	Denied bool
}

// Browser is a Chromium with one page. Its methods end the test when they fail.
type Browser struct {
	t       *testing.T
	conn    *websocket.Conn
	session string

	mu      sync.Mutex
	next    int64
	answers map[int64]chan answer
	faults  []string
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// Find gives the path of a Chromium, or skips the test.
func Find(t *testing.T) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("PARLEY_CLIENTS") == "required" {
		t.Fatalf("no browser: none of %s is on PATH: install Chromium (apt-get install chromium)", strings.Join(names, ", "))
	}
	t.Skipf("no browser: none of %s is on PATH: install Chromium (apt-get install chromium)", strings.Join(names, ", "))
	return ""
}

// Open starts a browser; it ends with the test.
func Open(t *testing.T, o Options) *Browser {
	t.Helper()
	chromium := Find(t)
	profile, err := os.MkdirTemp("", "parley-browser-") //nolint:usetesting // the end of t.TempDir is no wait for the browser's
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-default-apps", "--mute-audio", "--hide-scrollbars",
		"--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream",
		"--user-data-dir=" + profile, "--remote-debugging-port=0", "--window-size=1280,900",
	}
	if o.Denied {
		args = append(args, "--deny-permission-prompts")
	} else {
		args = append(args, "--use-fake-ui-for-media-stream")
	}
	if o.Microphone != "" {
		loop := ""
		if o.Once {
			loop = "%noloop"
		}
		args = append(args, "--use-file-for-fake-audio-capture="+o.Microphone+loop)
	}
	run := exec.Command(chromium, append(args, "about:blank")...)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait()
		for end := time.Now().Add(Patience); ; time.Sleep(100 * time.Millisecond) { // its children let go of their files later
			err := os.RemoveAll(profile)
			if err == nil {
				return
			}
			if time.Now().After(end) {
				t.Errorf("the browser does not let go of its profile: %v", err)
				return
			}
		}
	})
	b := &Browser{t: t, answers: map[int64]chan answer{}}
	b.attach(profile)
	return b
}

// attach finds the browser's port and takes hold of a page.
func (b *Browser) attach(profile string) {
	b.t.Helper()
	var address string
	for end := time.Now().Add(Patience); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(profile, "DevToolsActivePort"))
		if port, path, ok := strings.Cut(strings.TrimSpace(string(text)), "\n"); err == nil && ok {
			address = "ws://127.0.0.1:" + port + path
			break
		}
		if time.Now().After(end) {
			b.t.Fatalf("the browser does not begin: %v", err)
		}
	}
	ctx, stop := context.WithTimeout(b.t.Context(), Patience)
	defer stop()
	conn, answer, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if answer != nil && answer.Body != nil {
		_ = answer.Body.Close()
	}
	conn.SetReadLimit(readLimit)
	b.conn = conn
	go b.read()
	b.t.Cleanup(func() {
		_ = conn.CloseNow()
		for _, f := range b.Faults() {
			b.t.Errorf("the page: %s", f)
		}
	})
	var target struct{ TargetID string }
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.Call(domain+".enable", nil, nil)
	}
}

// read takes what the browser says.
func (b *Browser) read() {
	for {
		_, data, err := b.conn.Read(context.Background())
		if err != nil {
			b.mu.Lock()
			for _, c := range b.answers {
				close(c)
			}
			b.answers = nil
			b.mu.Unlock()
			return
		}
		var m struct {
			ID     int64
			Method string
			Params json.RawMessage
			answer
		}
		if json.Unmarshal(data, &m) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.answers[m.ID]; c != nil {
			delete(b.answers, m.ID)
			c <- m.answer
		}
		if f := faultOf(m.Method, m.Params); f != "" {
			b.faults = append(b.faults, f)
		}
		b.mu.Unlock()
	}
}

// faultOf reads what the page threw or logged as an error; empty = nothing of that.
func faultOf(method string, params json.RawMessage) string {
	switch method {
	case "Runtime.exceptionThrown":
		var m struct {
			ExceptionDetails struct {
				Text, URL  string
				LineNumber int
				Exception  struct{ Description string }
			}
		}
		_ = json.Unmarshal(params, &m)
		d := &m.ExceptionDetails
		return fmt.Sprintf("%s %s (%s:%d)", d.Text, d.Exception.Description, d.URL, d.LineNumber+1)
	case "Log.entryAdded":
		var m struct {
			Entry struct{ Level, Text, URL string }
		}
		_ = json.Unmarshal(params, &m)
		if m.Entry.Level == "error" {
			return m.Entry.Text + " " + m.Entry.URL
		}
	}
	return ""
}

// Faults gives what the page threw or logged as errors, and takes it.
func (b *Browser) Faults() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.faults
	b.faults = nil
	return list
}

// Call calls a method of the DevTools protocol; out takes its result, nil = nobody.
func (b *Browser) Call(method string, params, out any) {
	b.t.Helper()
	if err := b.call(method, params, out); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
}

func (b *Browser) call(method string, params, out any) error {
	c := make(chan answer, 1)
	b.mu.Lock()
	b.next++
	id := b.next
	b.answers[id] = c
	b.mu.Unlock()
	m := map[string]any{"id": id, "method": method, "sessionId": b.session}
	if b.session == "" {
		delete(m, "sessionId")
	}
	if params != nil {
		m["params"] = params
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(context.Background(), Patience)
	defer stop()
	if err := b.conn.Write(ctx, websocket.MessageText, data); err != nil {
		return err
	}
	select {
	case a, ok := <-c:
		switch {
		case !ok:
			return fmt.Errorf("the browser has gone")
		case a.Error != nil:
			return fmt.Errorf("%s", a.Error.Message)
		case out != nil:
			return json.Unmarshal(a.Result, out)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Picture keeps what is seen as a PNG.
func (b *Browser) Picture(path string) {
	b.t.Helper()
	var shot struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
