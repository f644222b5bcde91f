// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/parley-voice/parley/internal/report"
)

// chatServer is an OpenAI-compatible server on this machine. answer writes what follows
// the response's headers.
type chatServer struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []chatRequest
	answer func(w http.ResponseWriter, ask chatRequest)
}

type chatRequest struct {
	Model    string `json:"model"`
	Stream   bool   `json:"stream"`
	Messages []struct{ Role, Content string }
}

func newChatServer(t *testing.T, answer func(http.ResponseWriter, chatRequest)) *chatServer {
	t.Helper()
	s := &chatServer{answer: answer}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"object":"list","data":[{"id":"tiny-chat","object":"model"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var ask chatRequest
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.asked = append(s.asked, ask)
		s.mu.Unlock()
		s.answer(w, ask)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// streamed answers with a text, word by word.
func streamed(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, word := range strings.SplitAfter(text, " ") {
		delta, err := json.Marshal(word)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%s}}]}\n\n", delta)
	}
	fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
}

// A model over OpenAI's API answers, and is told what the caller heard of its answers.
func TestDemoWithModel(t *testing.T) {
	const reply = "You are right, and I could go on about that for a good long while. Shall I tell you more of it?"
	server := newChatServer(t, func(w http.ResponseWriter, _ chatRequest) { streamed(w, reply) })
	out := filepath.Join(t.TempDir(), "out")
	in := voiceFile(t, "amiable-woman")
	s, _ := runDemoCommand(t, exitOK, "--llm", server.URL, "--out", out, "--in", in, "--at", "1,6.5")
	if len(s.Turns) != 2 || s.Turns[0].Reply != reply || s.Turns[1].HeardText != reply {
		t.Errorf("turns are %+v", s.Turns)
	}
	if notes := strings.Join(s.Notes, "\n"); !strings.Contains(notes, "the answers come from tiny-chat at "+server.URL) {
		t.Errorf("the notes do not say who answered:\n%s", notes)
	}
	var llm report.Engine
	for _, e := range s.Engines {
		if e.Role == "llm" {
			llm = e
		}
	}
	if llm.Scripted || llm.Version != "tiny-chat" {
		t.Errorf("the summary says that %+v answered", llm)
	}
	if len(server.asked) != 2 {
		t.Fatalf("the model was asked %d times", len(server.asked))
	}
	ask := server.asked[1]
	roles := ""
	for _, m := range ask.Messages {
		roles += m.Role + " "
	}
	if roles != "system user assistant user " || !ask.Stream || ask.Model != "tiny-chat" {
		t.Fatalf("the second request is %+v", ask)
	}
	if heard := s.Turns[0].HeardText; heard == reply || heard == "" || ask.Messages[2].Content != heard {
		t.Errorf("the caller heard %q, the model was told %q", heard, ask.Messages[2].Content)
	}
}

// A server that fails ends the turn, not the demo: it leaves its folder and says why.
func TestDemoWithFailingModel(t *testing.T) {
	in := voiceFile(t, "much")
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter, chatRequest)
		says   string
	}{
		{"error", func(w http.ResponseWriter, _ chatRequest) {
			http.Error(w, "out of order", http.StatusInternalServerError)
		}, "server_error"},
		{"no stream", func(w http.ResponseWriter, _ chatRequest) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "\x00\xff\n\n<<<>>>")
		}, "provider error"},
		{"cut off", func(w http.ResponseWriter, _ chatRequest) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"I \"}}]}\n\n")
		}, "stream_truncated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := newChatServer(t, c.answer)
			out := filepath.Join(t.TempDir(), "out")
			s, r := runDemoCommand(t, exitFailure, "--llm", server.URL+"/v1", "--out", out, "--in", in)
			if len(s.Turns) != 1 || s.Turns[0].Terminal != "abort" || s.Turns[0].Reason != "provider_failure" || s.Turns[0].HeardText != "" {
				t.Errorf("turns are %+v", s.Turns)
			}
			if notes := strings.Join(s.Notes, "\n"); !strings.Contains(notes, c.says) {
				t.Errorf("the notes do not say %q:\n%s", c.says, notes)
			}
			if !strings.Contains(r.errOut, "1 of 1 turn failed") || s.Session.State != "ENDED" {
				t.Errorf("session is %+v, error %q", s.Session, r.errOut)
			}
			checkReplay(t, s.Session.Recording, s.Session.Digest)
		})
	}
}

// A server that is not there is found out before the conversation begins.
func TestDemoWithoutTheModel(t *testing.T) {
	server := newChatServer(t, nil)
	url := server.URL
	server.Close()
	out := filepath.Join(t.TempDir(), "out")
	r := runParley(t, "", "demo", "--fast", "--llm", url, "--out", out)
	if r.code != exitUsage || !strings.Contains(r.errOut, url) || !strings.Contains(r.errOut, "--llm scripted") {
		t.Errorf("exit code %d, %s", r.code, r.errOut)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a folder was made: %v", err)
	}
}
