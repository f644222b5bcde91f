// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// place starts a server and gives it as a candidate.
func place(t *testing.T, name string, h http.HandlerFunc) Candidate {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return Candidate{name, s.URL + "/v1"}
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models" {
			_, _ = io.WriteString(w, body)
			return
		}
		http.NotFound(w, r)
	}
}

func TestProbeTakesTheFirstThatAnswersAsOne(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	var key string
	got, err := probe(t.Context(), []Candidate{
		{"nobody", "http://" + closed.Addr().String()},
		place(t, "a web server", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }),
		place(t, "another API", answer(`{"object":"list","items":[]}`)),
		place(t, "an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }),
		place(t, "a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}),
		place(t, "no models", answer(`{"object":"list","data":[]}`)),
		place(t, "embeddings alone", answer(`{"object":"list","data":[{"id":"bge-m3"}]}`)),
		place(t, "this one", func(w http.ResponseWriter, r *http.Request) {
			key = r.Header.Get("Authorization")
			answer(`{"models":[],"object":"list","data":[{"id":"nomic-embed-text"},{"id":"qwen3:0.6b"}]}`)(w, r)
		}),
		place(t, "a later one", answer(`{"object":"list","data":[{"id":"other"}]}`)),
	}, time.Minute)
	if err != nil || got.Name != "this one" || got.Model != "qwen3:0.6b" || len(got.Models) != 2 || key != "" {
		t.Errorf("%+v %v, key %q", got, err, key)
	}
}

// A server that hangs costs the deadline, not more, and hides nobody.
func TestProbeIsNotHeldUp(t *testing.T) {
	hang := place(t, "hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	good := place(t, "good", answer(`{"object":"list","data":[{"id":"m"}]}`))
	if got, err := probe(t.Context(), []Candidate{hang, good}, time.Second); err != nil || got.Name != "good" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := Probe(t.Context(), []Candidate{hang}); !errors.Is(err, ErrNoServer) {
		t.Errorf("%v", err)
	}
	if _, err := Probe(t.Context(), nil); !errors.Is(err, ErrNoServer) {
		t.Errorf("no candidates: %v", err)
	}
}

func TestProbeStaysOnThisMachine(t *testing.T) {
	for _, url := range []string{"http://192.0.2.1:8080", "https://example.com", "http://localhost:8080", "nonsense"} {
		_, err := Probe(t.Context(), []Candidate{{"far", url}})
		if err == nil || errors.Is(err, ErrNoServer) || !strings.Contains(err.Error(), `"far"`) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestLocalServersAreOnThisMachine(t *testing.T) {
	if len(LocalServers()) != 4 {
		t.Error(LocalServers())
	}
	for _, c := range LocalServers() {
		if _, err := prober(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
}
