// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Development mode is for this machine: what a proxy says to have brought from another one
// is not, whatever address it comes from.
func TestForwarded(t *testing.T) {
	w := serving(t, nil)
	for _, row := range []struct {
		name, value string
		code        int
	}{
		{"X-Forwarded-For", "203.0.113.7", 403},
		{"X-Forwarded-For", "127.0.0.1, 203.0.113.7", 403},
		{"X-Forwarded-For", "unknown", 403},
		{"X-Real-Ip", "2001:db8::7", 403},
		{"Forwarded", "for=203.0.113.7", 403},
		{"X-Forwarded-For", "127.0.0.1, ::1", 200},
	} {
		if code, body := w.ask(t, "GET", "/api/sessions", row.name, row.value); code != row.code {
			t.Errorf("%s: %s: %d %s", row.name, row.value, code, body)
		}
	}
	if code, _ := w.ask(t, "POST", "/api/token", "X-Forwarded-For", "203.0.113.7"); code != 403 {
		t.Errorf("a token for another machine: %d", code)
	}
	if c := w.dial(t, "", "X-Forwarded-For", "203.0.113.7"); c.Refused != 403 {
		t.Errorf("a session for another machine: %d", c.Refused)
	}
	if code, _ := serving(t, tokenMode(t)).ask(t, "GET", "/api/status", "X-Forwarded-For", "203.0.113.7"); code != 200 {
		t.Errorf("token mode behind a proxy: %d", code)
	}
}

// watched is an answer whose connection has deadlines.
type watched struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (w *watched) SetReadDeadline(t time.Time) error  { w.read = t; return nil }
func (w *watched) SetWriteDeadline(t time.Time) error { w.write = t; return nil }

// Who sends a body that never ends is not waited for, at the path of a transport as at any
// other: a webhook reads one.
func TestEveryRequestHasADeadline(t *testing.T) {
	w := serving(t, nil)
	for _, path := range []string{"/test", "/healthz", "/nowhere"} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "http://localhost"+path, strings.NewReader("x"))
		answer := &watched{ResponseRecorder: httptest.NewRecorder()}
		w.handler().ServeHTTP(answer, r)
		if answer.read.IsZero() || answer.write.IsZero() {
			t.Errorf("%s: there is no deadline", path)
		}
	}
}

// A handler that panics ends its connection, and says so where it is seen.
func TestCrashedRequest(t *testing.T) {
	w := serving(t, nil)
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("it ends with %v", err)
		}
		if text := w.log.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "a request has crashed") {
			t.Errorf("nobody is told: %s", text)
		}
	}()
	w.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a test's") })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost/", nil))
}
