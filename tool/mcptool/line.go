// SPDX-License-Identifier: Apache-2.0

package mcptool

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// line is a way to a server, for one connection.
type line struct {
	transport mcp.Transport
	// free gives back what outlives the session; explain adds what the way knows of its end.
	free    func()
	explain func(error) error
}

func (s *Server) dial() (*line, error) {
	if s.config.URL != "" {
		return s.dialHTTP()
	}
	return s.start()
}

// start is a process. Its output is a pipe of ours, so that what it said last is read also when
// it has ended; what it started and left behind does not hold the pipe for long.
func (s *Server) start() (*line, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	words := s.config.Command
	last := &tail{}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = s.environment()
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = in, last, terminate
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return nil, err
	}
	exited, freed, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		_ = cmd.Wait()
		close(exited)
		pause := time.NewTimer(terminate)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-freed:
		}
		_ = out.Close()
	}()
	return &line{
		transport: &mcp.IOTransport{Reader: out, Writer: stdin, MaxLineLength: maxMessage},
		free: func() {
			_ = stdin.Close()
			grace := time.AfterFunc(terminate, func() { _ = cmd.Process.Kill() })
			<-exited
			grace.Stop()
			close(freed)
			<-over
		},
		explain: func(err error) error {
			if said := last.text(); said != "" {
				return fmt.Errorf("%w; it said last: %s", err, said)
			}
			return err
		},
	}, nil
}

// environment is what a process is given of this one's.
func (s *Server) environment() []string {
	list := []string{}
	for _, name := range append([]string{"PATH", "HOME", "TMPDIR", "LANG"}, s.config.Environment...) {
		if v := s.config.Getenv(name); v != "" {
			list = append(list, name+"="+v)
		}
	}
	return list
}

// tail keeps the end of what a process says on its standard error.
type tail struct {
	mu   sync.Mutex
	last []byte
}

const maxTail = 512

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p[max(0, len(p)-maxTail):]...)
	t.last = append(t.last[:0], t.last[max(0, len(t.last)-maxTail):]...)
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(t.last), "")), " ")
}

func (s *Server) dialHTTP() (*line, error) {
	u, err := url.Parse(s.config.URL)
	if err != nil {
		return nil, err
	}
	w := &wire{base: http.DefaultTransport, host: u.Host}
	if own, ok := http.DefaultTransport.(*http.Transport); ok {
		w.base = own.Clone()
	}
	if s.config.Secret != nil {
		secret, err := s.config.Secret()
		if err != nil {
			return nil, fmt.Errorf("its secret: %w", err)
		}
		w.secret = secret
	}
	client := &http.Client{Transport: w}
	return &line{
		transport: &mcp.StreamableClientTransport{Endpoint: s.config.URL, HTTPClient: client, MaxRetries: 1, MaxEventSize: maxMessage},
		free:      client.CloseIdleConnections,
		explain:   func(err error) error { return err },
	}, nil
}

// wire adds the secret, for the one host that it is for, and bounds what comes back.
type wire struct {
	base   http.RoundTripper
	host   string
	secret string
}

// CloseIdleConnections closes those of the wire.
func (w *wire) CloseIdleConnections() {
	if c, ok := w.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip makes one request.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.secret != "" && r.URL.Host == w.host {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+w.secret)
	}
	resp, err := w.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" { // its events are bounded one by one
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxMessage}
	}
	return resp, nil
}

var errTooLong = errors.New("the message is longer than what is taken")

type boundedBody struct {
	io.ReadCloser
	left int
}

// Read reads within the bound.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
