// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/serve/servetest"
)

// listed asks for the recordings.
func (w *world) listed(t *testing.T, header ...string) (names []string, list []recording) {
	t.Helper()
	code, body := w.ask(t, http.MethodGet, "/api/recordings", header...)
	var out struct{ Recordings []recording }
	if err := json.Unmarshal([]byte(body), &out); code != http.StatusOK || err != nil {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	for _, one := range out.Recordings {
		names = append(names, one.Name)
	}
	return names, out.Recordings
}

// A session is recorded, listed while it runs, and drawn when it has ended; what else lies
// in the folder, or is asked for by crooked names, is not shown.
func TestRecordings(t *testing.T) {
	folder := t.TempDir()
	w := serving(t, func(c *Config) { c.Session.Record = folder })
	for _, stranger := range []string{"empty", filepath.Join("demo", recordingFile)} {
		if err := os.MkdirAll(filepath.Join(folder, stranger), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"secret.txt": "secret", "demo/" + timelineFile: "<p>a demo's</p>", "demo/" + soundFile: "RIFF"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := w.dial(t, "")
	say(t, c, "where is the lighthouse")
	until(t, c, "signal playback_completed")
	names, list := w.listed(t)
	if len(list) != 2 || !(list[0].Open != list[1].Open) {
		t.Fatalf("%+v", list)
	}
	name := names[0]
	if list[1].Open {
		name = names[1]
	}
	at := "/api/recordings/" + name + "/" + timelineFile
	if code, body := w.ask(t, http.MethodGet, at); code != http.StatusConflict {
		t.Errorf("while it runs: %d %.200s", code, body)
	}
	c.Close()
	for end := time.Now().Add(servetest.Patience); ; time.Sleep(10 * time.Millisecond) {
		code, body := w.ask(t, http.MethodGet, at)
		if code == http.StatusOK {
			for _, want := range []string{"</html>", "neither words nor sound", `"signal":"turn_open"`} {
				if !strings.Contains(body, want) {
					t.Errorf("the timeline has no %q", want)
				}
			}
			break
		}
		if code != http.StatusConflict || time.Now().After(end) {
			t.Fatalf("%d %.300s", code, body)
		}
	}
	if code, body := w.ask(t, http.MethodGet, "/api/recordings/demo/"+timelineFile); code != http.StatusOK || body != "<p>a demo's</p>" {
		t.Errorf("a demo's own: %d %s", code, body)
	}
	if code, body := w.ask(t, http.MethodGet, "/api/recordings/demo/"+soundFile); code != http.StatusOK || body != "RIFF" {
		t.Errorf("a demo's sound: %d %s", code, body)
	}
	for _, crooked := range []string{
		"..%2f" + filepath.Base(folder) + "/" + timelineFile, "%2e%2e/" + timelineFile, "empty/" + timelineFile, "secret.txt/" + timelineFile,
		"demo/secret.txt", "demo%2f.." + "/" + timelineFile, name + "/" + soundFile, "demo/" + recordingFile,
	} {
		if code, body := w.ask(t, http.MethodGet, "/api/recordings/"+crooked); code != http.StatusNotFound {
			t.Errorf("%s: %d %.100s", crooked, code, body)
		}
	}
}

// A token of a tenant's shows the recordings of its sessions, also in a form's field, where a
// browser that goes to an address can put it; the operator's shows all of them.
func TestRecordingsAreBound(t *testing.T) {
	folder := t.TempDir()
	mode := tokenMode(t)
	w := serving(t, func(c *Config) {
		mode(c)
		c.Session.Record = folder
	})
	issue := func(tenant, kind string) string {
		text, _, err := w.tokens.Issue(parley.TokenClaims{Tenant: tenant, Transport: kind})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, tenant := range []string{"acme", "umbrella"} {
		c := w.dial(t, "", "Authorization", "Bearer "+issue(tenant, string(servetest.Kind)))
		until(t, c, "signal connected")
		c.Close()
	}
	mine := issue("acme", StatusTransport)
	operator := []string{"Authorization", "Bearer a-secret-of-the-operator"}
	all, _ := w.listed(t, operator...)
	own, _ := w.listed(t, "Authorization", "Bearer "+mine)
	if len(all) != 2 || len(own) != 1 {
		t.Fatalf("%v of %v", own, all)
	}
	foreign := all[0]
	if foreign == own[0] {
		foreign = all[1]
	}
	if code, _ := w.ask(t, http.MethodGet, "/api/recordings"); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
	post := func(name, token string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/api/recordings/"+name+"/"+timelineFile,
			strings.NewReader(url.Values{"token": {token}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		return a.StatusCode
	}
	for end := time.Now().Add(servetest.Patience); ; time.Sleep(10 * time.Millisecond) {
		code := post(own[0], mine)
		if code == http.StatusOK {
			break
		}
		if code != http.StatusConflict || time.Now().After(end) {
			t.Fatalf("its own: %d", code)
		}
	}
	if code := post(foreign, mine); code != http.StatusNotFound {
		t.Errorf("another's: %d", code)
	}
	if code := post(own[0], "nonsense"); code != http.StatusUnauthorized {
		t.Errorf("without a good token: %d", code)
	}
}

// A server that is to record and cannot is not ready, and is again when it can.
func TestReadinessWithoutADisk(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "calls")
	w := listening(t, func(c *Config) { c.Session.Record = folder })
	if err := w.Start(runtime(t)); err != nil {
		t.Fatal(err)
	}
	ready := func(want int, says string) {
		t.Helper()
		w.disk.asked = time.Time{}
		for range 2 { // asked, and from memory
			if code, body := w.ask(t, "GET", "/readyz"); code != want || !strings.Contains(body, says) || strings.Contains(body, folder) {
				t.Errorf("%d %s, want %d", code, body, want)
			}
		}
	}
	ready(200, "ready")
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // no folder can be made there now
		t.Fatal(err)
	}
	ready(503, "not_recording")
	if log := w.log.String(); strings.Count(log, "serve: not ready") != 1 || !strings.Contains(log, "session.record") {
		t.Errorf("the log says\n%s", log)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	ready(200, "ready")
}
