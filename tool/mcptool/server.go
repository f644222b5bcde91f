// SPDX-License-Identifier: Apache-2.0

package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parley-voice/parley/provider"
)

// Tool is a tool of a server, under the name that the model knows it by.
type Tool struct {
	provider.Tool
	// Call calls it, once, with arguments that are a JSON object. key makes a call recognisable
	// at the server. The error says for the model why there is no output.
	Call func(ctx context.Context, key, arguments string) (string, error)
}

// Server is one MCP server. Its methods may be called from any goroutine.
type Server struct {
	config Config
	stop   context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	session *mcp.ClientSession
	tools   []Tool
	why     error         // it is away
	changed chan struct{} // closed when one of the above has changed
}

// New begins to connect to a server. It does not wait for it.
func New(c Config) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.withDefaults()
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{config: c, stop: stop, ended: make(chan struct{}), why: errors.New("it is being connected to"), changed: make(chan struct{})}
	go s.keep(ctx)
	return s, nil
}

// Name is what begins the names of its tools.
func (s *Server) Name() string { return s.config.Name }

// Tools gives what the server offers at the moment; nothing while it is away. It does not wait.
func (s *Server) Tools() []Tool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tools)
}

// Err says why the server is away; nil when it is there.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// Ready waits until the server is there and has said what it offers.
func (s *Server) Ready(ctx context.Context) error {
	for {
		s.mu.Lock()
		why, changed := s.why, s.changed
		s.mu.Unlock()
		if why == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("mcptool: server %q: %w", s.config.Name, why)
		case <-s.ended:
			return fmt.Errorf("mcptool: server %q: is closed", s.config.Name)
		}
	}
}

// Close ends the connection, and a command's process with it.
func (s *Server) Close() error {
	s.stop()
	<-s.ended
	return nil
}

// keep holds a connection to the server until ctx is over.
func (s *Server) keep(ctx context.Context) {
	defer close(s.ended)
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := s.live(ctx)
		s.set(nil, nil, fmt.Errorf("it is away: %w", err))
		if time.Since(began) > longestPause { // it was there for a while: begin anew
			pause = firstPause
		}
		if ctx.Err() != nil {
			return
		}
		s.config.Log.Warn("the MCP server is away", "server", s.config.Name, "error", err, "again_in", pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, longestPause)
	}
}

// live is one connection, from its beginning to its end.
func (s *Server) live(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	line, err := s.dial()
	if err != nil {
		return err
	}
	relist := make(chan struct{}, 1)
	client := mcp.NewClient(&mcp.Implementation{Name: "parley", Version: s.config.Version}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{},
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) {
			select {
			case relist <- struct{}{}:
			default:
			}
		},
	})
	connecting, done := context.WithTimeout(ctx, connectTimeout)
	defer done()
	session, err := client.Connect(connecting, line.transport, nil)
	if err != nil {
		line.free()
		return line.explain(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- session.Wait() }()
	err = s.serve(ctx, session, relist, gone)
	s.set(nil, nil, errors.New("it is away"))
	_ = session.Close()
	line.free()
	return line.explain(err)
}

// serve lists what the server offers, again whenever it says so, until it is gone.
func (s *Server) serve(ctx context.Context, session *mcp.ClientSession, relist <-chan struct{}, gone <-chan error) error {
	for {
		listing, done := context.WithTimeout(ctx, connectTimeout)
		tools, err := s.list(listing, session)
		done()
		if err != nil {
			return fmt.Errorf("tools/list: %w", err)
		}
		s.set(session, tools, nil)
		s.config.Log.Info("the MCP server is there", "server", s.config.Name, "tools", len(tools))
		select {
		case <-relist:
		case err := <-gone:
			return errors.Join(errors.New("the connection has ended"), err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *Server) set(session *mcp.ClientSession, tools []Tool, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session, s.tools, s.why = session, tools, why
	close(s.changed)
	s.changed = make(chan struct{})
}

// list asks for what the server offers, and takes what of it the model may call.
func (s *Server) list(ctx context.Context, session *mcp.ClientSession) ([]Tool, error) {
	var list []Tool
	seen := 0
	for t, err := range session.Tools(ctx, nil) {
		if err != nil {
			return nil, err
		}
		if seen++; seen > 8*maxTools {
			s.config.Log.Warn("the MCP server lists without end", "server", s.config.Name)
			break
		}
		if len(s.config.Allow) > 0 && !slices.Contains(s.config.Allow, t.Name) {
			continue
		}
		if len(list) == maxTools {
			s.config.Log.Warn("the MCP server has more tools than a model may have", "server", s.config.Name, "most", maxTools)
			break
		}
		tool, err := s.tool(t, list)
		if err != nil {
			s.config.Log.Warn("a tool of the MCP server cannot be offered", "server", s.config.Name, "tool", clip(t.Name, maxNameLength*4), "error", err)
			continue
		}
		list = append(list, tool)
	}
	return list, nil
}

// tool makes of what a server offers what a model may call.
func (s *Server) tool(t *mcp.Tool, list []Tool) (Tool, error) {
	schema, err := json.Marshal(t.InputSchema)
	if err != nil {
		return Tool{}, fmt.Errorf("schema: %w", err)
	}
	if len(schema) > maxSchema {
		return Tool{}, fmt.Errorf("schema: it has %d bytes, more than %d", len(schema), maxSchema)
	}
	if string(schema) == "null" {
		schema = nil
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(list, func(o Tool) bool { return o.Name == name })
	}
	x := Tool{Tool: provider.Tool{Name: modelName(s.config.Name, t.Name, taken), Description: clip(t.Description, maxDescription), Parameters: schema}}
	if err := x.Validate(); err != nil {
		return Tool{}, err
	}
	name := t.Name
	x.Call = func(ctx context.Context, key, arguments string) (string, error) {
		return s.call(ctx, name, key, arguments)
	}
	return x, nil
}
