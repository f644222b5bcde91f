// SPDX-License-Identifier: Apache-2.0

package mcptool_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/tool/mcptool"
	"github.com/parley-voice/parley/tool/mcptool/mcptooltest"
)

func TestMain(m *testing.M) {
	mcptooltest.Serve()
	goleak.VerifyTestMain(m)
}

// patience is what a test waits for a process; it says nothing of how long one takes.
const patience = time.Minute

func connect(t *testing.T, c mcptool.Config) *mcptool.Server {
	t.Helper()
	c.Name = "desk"
	s, err := mcptool.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

func names(s *mcptool.Server) (list []string) {
	for _, t := range s.Tools() {
		list = append(list, t.Name)
	}
	slices.Sort(list)
	return list
}

func call(t *testing.T, s *mcptool.Server, name, key, arguments string) (string, error) {
	t.Helper()
	for _, x := range s.Tools() {
		if x.Name == name {
			return x.Call(t.Context(), key, arguments)
		}
	}
	t.Fatalf("there is no %s among %q: %v", name, names(s), s.Err())
	return "", nil
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// Both ways to a server come to the same.
func TestServer(t *testing.T) {
	for _, way := range []string{"stdio", "http"} {
		t.Run(way, func(t *testing.T) {
			w := mcptooltest.New(t)
			c := mcptool.Config{Command: w.Command, MaxOutput: 1000}
			if way == "http" {
				c.Command, c.URL = nil, w.StartHTTP(t, "hunter2")
				c.Secret = func() (string, error) { return "hunter2", nil }
			}
			s := connect(t, c)
			if got := strings.Join(names(s), " "); got != "desk_book_table desk_crash desk_environment desk_fail desk_flood desk_grow desk_picture" {
				t.Errorf("tools %s", got)
			}
			var tools []provider.Tool
			for _, x := range s.Tools() {
				tools = append(tools, x.Tool)
				if x.Name == "desk_book_table" && (x.Description != "Books a table." || !strings.Contains(string(x.Parameters), `"what is wanted"`)) {
					t.Errorf("%+v %s", x, x.Parameters)
				}
			}
			if err := provider.ValidateTools(tools); err != nil {
				t.Error(err)
			}
			w.Open(t)
			if got, err := call(t, s, "desk_book_table", "call_1", `{"text":"for two"}`); err != nil || got != "the table is booked" {
				t.Errorf("%q %v", got, err)
			}
			if j := w.Journal(); !slices.Contains(j, "book call_1 for two") || !slices.Contains(j, "booked") {
				t.Errorf("the server has %q", j)
			}
			got, err := call(t, s, "desk_flood", "", `{"bytes":100000}`)
			if err != nil || len(got) > 1000 || !strings.HasPrefix(got, "üü") || !strings.Contains(got, "[cut: the tool gave 100000 bytes, of which these are the first 9") {
				t.Errorf("%d bytes, the last are %q: %v", len(got), got[max(0, len(got)-100):], err)
			}
			if got, err := call(t, s, "desk_fail", "", `{}`); err == nil || got != "" || err.Error() != "there is no such city" {
				t.Errorf("%q %v", got, err)
			}
			if got, err := call(t, s, "desk_picture", "", `{}`); err != nil || got != "see\n[an image, image/png, 3 bytes]" {
				t.Errorf("%q %v", got, err)
			}
			if _, err := call(t, s, "desk_book_table", "", `{"bytes":"many"}`); err == nil {
				t.Error("arguments that the schema refuses were taken")
			}
			if _, err := call(t, s, "desk_grow", "", `{}`); err != nil {
				t.Error(err)
			}
			await(t, "the new tool is offered", func() bool { return slices.Contains(names(s), "desk_grown") })
			if got, err := call(t, s, "desk_grown", "", `{}`); err != nil || got != "grown up" {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}

// A server that dies fails the call that it was in, is started again, and nothing is called twice.
func TestServerDies(t *testing.T) {
	w := mcptooltest.New(t)
	s := connect(t, mcptool.Config{Command: w.Command})
	tools := s.Tools()
	if _, err := call(t, s, "desk_crash", "", `{}`); err == nil || !strings.Contains(err.Error(), "desk did not answer") {
		t.Errorf("the call that it died in gave %v", err)
	}
	await(t, "it is back", func() bool { return s.Err() == nil && len(w.Journal()) == 2 })
	w.Open(t)
	if got, err := call(t, s, "desk_book_table", "k", `{}`); err != nil || got != "the table is booked" {
		t.Errorf("%q %v", got, err)
	}
	for _, x := range tools { // those of the turn that the server died in
		if x.Name == "desk_book_table" {
			if got, err := x.Call(t.Context(), "k2", `{}`); err != nil || got != "the table is booked" {
				t.Errorf("%q %v", got, err)
			}
		}
	}
	if j := w.Journal(); strings.Count(strings.Join(j, "\n"), "book k ") != 1 {
		t.Errorf("the server has %q", j)
	}
}

// A server that cannot be had is no error of New; it says why, with what the process said.
func TestServerAway(t *testing.T) {
	for want, c := range map[string]mcptool.Config{
		"no such file":                     {Command: []string{"./no-such-program"}},
		"server for tests: flag provided":  {Command: []string{os.Args[0], "mcp-server-for-tests", "-nonsense"}},
		"refused":                          {URL: "http://127.0.0.1:1/mcp"},
		"its secret: there is none":        {URL: "http://127.0.0.1:1/mcp", Secret: func() (string, error) { return "", errors.New("there is none") }},
		"401 Unauthorized|: Unauthorized|": {URL: mcptooltest.New(t).StartHTTP(t, "hunter2"), Secret: func() (string, error) { return "wrong", nil }},
	} {
		c.Name = "desk"
		s, err := mcptool.New(c)
		if err != nil {
			t.Fatal(err)
		}
		await(t, want, func() bool {
			return slices.ContainsFunc(strings.Split(want, "|"), func(w string) bool {
				return w != "" && s.Err() != nil && strings.Contains(s.Err().Error(), w)
			})
		})
		if len(s.Tools()) != 0 {
			t.Errorf("%s: it offers %q", want, names(s))
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := s.Ready(ctx); err == nil || !strings.Contains(err.Error(), `server "desk"`) {
			t.Errorf("Ready says %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A call ends in its time, the server is told, and the next one is answered.
func TestCallTimesOut(t *testing.T) {
	w := mcptooltest.New(t)
	s := connect(t, mcptool.Config{Command: w.Command, Timeout: 200 * time.Millisecond})
	if _, err := call(t, s, "desk_book_table", "k", `{}`); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	await(t, "the server knows", func() bool { return slices.Contains(w.Journal(), "book cancelled") })
	if _, err := call(t, s, "desk_fail", "", `{}`); err == nil || err.Error() != "there is no such city" {
		t.Errorf("%v", err)
	}
}

// A process is given what it was granted and nothing else, and only the tools that are allowed
// are offered.
func TestGrants(t *testing.T) {
	w := mcptooltest.New(t)
	s := connect(t, mcptool.Config{
		Command: w.Command, Allow: []string{"environment"}, Environment: []string{"DESK_KEY"},
		Getenv: func(name string) string {
			return map[string]string{"PATH": "/bin", "DESK_KEY": "1", "OTHER_KEY": "2", "HOME": "/"}[name]
		},
	})
	if got := strings.Join(names(s), " "); got != "desk_environment" {
		t.Errorf("offered: %s", got)
	}
	if got, err := call(t, s, "desk_environment", "", `{}`); err != nil || got != "DESK_KEY HOME PATH" {
		t.Errorf("it was given %q %v", got, err)
	}
}

// Closing ends the process; calls of what was offered fail then.
func TestClose(t *testing.T) {
	w := mcptooltest.New(t)
	s := connect(t, mcptool.Config{Command: w.Command})
	tools := s.Tools()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tools[0].Call(t.Context(), "", `{}`); err == nil || !strings.Contains(err.Error(), "away") || len(s.Tools()) != 0 {
		t.Errorf("%v, offered %q", err, names(s))
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Error("a closed server is ready")
	}
}

func TestConfig(t *testing.T) {
	command := []string{"x"}
	secret := func() (string, error) { return "", nil }
	for want, c := range map[string]mcptool.Config{
		"name":       {Name: "My Desk", Command: command},
		"command":    {Name: "a"},
		"url":        {Name: "a", URL: "ftp://x/y"},
		"secret":     {Name: "a", Command: command, Secret: secret},
		"timeout":    {Name: "a", Command: command, Timeout: time.Hour},
		"max_output": {Name: "a", Command: command, MaxOutput: -1},
	} {
		if _, err := mcptool.New(c); err == nil || !strings.Contains(err.Error(), want+":") {
			t.Errorf("%s: %v", want, err)
		}
	}
	all := mcptool.Config{Name: "", Command: command, URL: "x", Timeout: -1}
	if err := all.Validate(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not all at once: %v", err)
	}
}
