// SPDX-License-Identifier: Apache-2.0

package typescript_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	typescript "github.com/parley-voice/parley/clients/typescript"
	"github.com/parley-voice/parley/internal/thirdparty"
	"github.com/parley-voice/parley/transport/transporttest"
)

// browser finds a Chromium.
func browser() (string, error) {
	var err error
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		var path string
		if path, err = exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", err
}

// profile is a folder for a browser, whose children let go of their files a moment after it.
func profile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		for range 50 {
			if os.RemoveAll(dir) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	return dir
}

// TestBrowserAudio plays and listens in a real browser, whose microphone beeps.
func TestBrowserAudio(t *testing.T) {
	chromium, err := browser()
	if err != nil {
		thirdparty.Needed(t, "no browser: %v", err)
		t.Skipf("no browser: %v: install Chromium (TestClientInNode needs none)", err)
	}
	s := newScript(t)
	results := make(chan string, 1)
	mux := http.NewServeMux()
	mux.Handle("/client/", http.StripPrefix("/client/", http.FileServerFS(typescript.Files())))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "test/browser.html") })
	mux.Handle("/v1/ws", s.server)
	mux.HandleFunc("POST /result", func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		select {
		case results <- string(text):
		default:
		}
	})
	web := httptest.NewServer(mux)
	defer web.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+profile(t),
		"--no-first-run", "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
		"--use-fake-device-for-media-stream", "--remote-debugging-port=0", web.URL+"/?token="+transporttest.Token)
	run.WaitDelay = 10 * time.Second
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = run.Wait()
	}()
	var text string
	select {
	case text = <-results:
	case <-ctx.Done():
		t.Fatalf("the page has not answered; sessions:\n%v", s.host.Sessions())
	}
	t.Log(text)
	var got struct {
		Error         string
		Agreed        struct{ In, Out string }
		Format, Heard string
		Stopped       int
		Muted, Lost   int
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Error != "" {
		t.Fatal(got.Error)
	}
	if got.Agreed.In != got.Format || got.Agreed.Out != got.Format || got.Stopped <= 0 || got.Stopped >= 64000 || got.Muted != 0 || got.Lost != 0 {
		t.Errorf("%+v", got)
	}
	// The fake microphone beeps; a second of it came at least.
	var samples, loudest int
	if _, err := fmt.Sscanf(got.Heard, "heard %d sum %d", &samples, new(int)); err != nil || samples < 16000 {
		t.Errorf("%q: %v", got.Heard, err)
	}
	for _, v := range s.host.Sessions()[0].Heard() {
		loudest = max(loudest, int(v))
	}
	if loudest < 1000 {
		t.Errorf("the loudest sample of the microphone is %d", loudest)
	}
}
