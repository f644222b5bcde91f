// SPDX-License-Identifier: Apache-2.0

package mcptooltest

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parley-voice/parley/tool/mcptool"
)

const word = "mcp-server-for-tests"

// Serve is the server, when this process is one; then it does not return.
func Serve() {
	if len(os.Args) < 2 || os.Args[1] != word {
		return
	}
	if err := serve(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "server for tests:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Server is how a test reaches and steers a server.
type Server struct {
	dir string
	// Command starts it over standard input and output.
	Command []string
}

// New prepares a server. What it does it writes down in a folder of the test's.
func New(tb testing.TB) *Server {
	tb.Helper()
	dir := tb.TempDir()
	return &Server{dir: dir, Command: []string{os.Args[0], word, "-dir", dir}}
}

// StartHTTP starts it as a process over HTTP and gives its URL. It wants a bearer token, if that
// is not empty.
func (s *Server) StartHTTP(tb testing.TB, secret string) string {
	tb.Helper()
	args := slices.Concat(s.Command[1:], []string{"-http", "-secret", secret})
	cmd := exec.CommandContext(tb.Context(), s.Command[0], args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("the server for tests said no address: %v", err)
	}
	return strings.TrimSpace(line)
}

// Open lets calls go on that wait for it.
func (s *Server) Open(tb testing.TB) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "open"), nil, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// Journal is what the server has done, a line each.
func (s *Server) Journal() []string {
	raw, err := os.ReadFile(filepath.Join(s.dir, "journal"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}

type world struct {
	dir    string
	server *mcp.Server
}

func serve(args []string) error {
	var w world
	flags := flag.NewFlagSet(word, flag.ContinueOnError)
	flags.StringVar(&w.dir, "dir", "", "folder of the journal")
	overHTTP := flags.Bool("http", false, "serve HTTP")
	secret := flags.String("secret", "", "bearer token that is wanted")
	if err := flags.Parse(args); err != nil {
		return err
	}
	w.note("begun")
	w.server = mcp.NewServer(&mcp.Implementation{Name: "for-tests", Version: "v1"}, nil)
	w.tools()
	if !*overHTTP {
		return w.server.Run(context.Background(), &mcp.StdioTransport{})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return w.server }, nil)
	if _, err := fmt.Fprintf(os.Stdout, "http://%s/mcp\n", l.Addr()); err != nil {
		return err
	}
	return http.Serve(l, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if *secret != "" && r.Header.Get("Authorization") != "Bearer "+*secret {
			http.Error(rw, "who are you?", http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(rw, r)
	}))
}

func (w *world) note(format string, args ...any) {
	f, err := os.OpenFile(filepath.Join(w.dir, "journal"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	fmt.Fprintf(f, format+"\n", args...)
	_ = f.Close()
}

// opened waits until the test lets calls go on.
func (w *world) opened(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(filepath.Join(w.dir, "open")); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

type order struct {
	Text  string `json:"text,omitempty" jsonschema:"what is wanted"`
	Bytes int    `json:"bytes,omitempty" jsonschema:"how much of it"`
}

func say(text string) (*mcp.CallToolResult, any, error) {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
}

func (w *world) tools() {
	add := func(name, about string, f func(ctx context.Context, r *mcp.CallToolRequest, o order) (*mcp.CallToolResult, any, error)) {
		mcp.AddTool(w.server, &mcp.Tool{Name: name, Description: about}, f)
	}
	add("book.table", "Books a table.", func(ctx context.Context, r *mcp.CallToolRequest, o order) (*mcp.CallToolResult, any, error) {
		w.note("book %v %s", r.Params.Meta[mcptool.KeyMeta], o.Text)
		if err := w.opened(ctx); err != nil {
			w.note("book cancelled")
			return nil, nil, err
		}
		w.note("booked")
		return say("the table is booked")
	})
	add("flood", "Says a lot.", func(_ context.Context, _ *mcp.CallToolRequest, o order) (*mcp.CallToolResult, any, error) {
		return say(strings.Repeat("ü", o.Bytes/2))
	})
	add("fail", "Fails.", func(context.Context, *mcp.CallToolRequest, order) (*mcp.CallToolResult, any, error) {
		return nil, nil, errors.New("there is no such city")
	})
	add("picture", "Shows.", func(context.Context, *mcp.CallToolRequest, order) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "see"}, &mcp.ImageContent{MIMEType: "image/png", Data: []byte("123")}}}, nil, nil
	})
	add("crash", "Ends the server.", func(context.Context, *mcp.CallToolRequest, order) (*mcp.CallToolResult, any, error) {
		fmt.Fprintln(os.Stderr, "I am crashing")
		os.Exit(3)
		return nil, nil, nil
	})
	add("environment", "Says what it was given.", func(context.Context, *mcp.CallToolRequest, order) (*mcp.CallToolResult, any, error) {
		var names []string
		for _, v := range os.Environ() {
			name, _, _ := strings.Cut(v, "=")
			names = append(names, name)
		}
		slices.Sort(names)
		return say(strings.Join(names, " "))
	})
	add("grow", "Adds a tool.", func(context.Context, *mcp.CallToolRequest, order) (*mcp.CallToolResult, any, error) {
		add("grown", "It was not there before.", func(context.Context, *mcp.CallToolRequest, order) (*mcp.CallToolResult, any, error) {
			return say("grown up")
		})
		return say("there is one more")
	})
}
