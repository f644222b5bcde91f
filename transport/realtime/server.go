// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/socket"
)

// Kind is the transport's name.
const Kind transport.Kind = "realtime"

// The subprotocols of browsers, which cannot set a header.
const (
	protocol      = "realtime"
	protocolToken = "openai-insecure-api-key."
	shortLived    = "ek_"
	protocolBeta  = "openai-beta.realtime-v1"
)

// Stats are what a Server counted.
type Stats struct {
	Connections int64
	Sessions    int64 // that began
	Refused     int64 // clients that got none
	Responses   int64
	Faults      int64 // events that were answered by an error
	Flooded     int64 // what came too fast to be kept in order, and was left out
	Unheard     int64 // frames that came behind a fence, or that a client wanted to read
	Unencoded   int64 // events that could not be written as JSON
}

// Server serves the Realtime protocol: an http.Handler for the path /v1/realtime.
type Server struct {
	config Config
	host   transport.Host

	mu    sync.Mutex
	stats Stats
}

// New makes a server whose sessions host begins.
func New(c Config, host transport.Host) (*Server, error) {
	faults := []error{c.Validate()}
	if host == nil {
		faults = append(faults, errors.New("realtime: host: nil: give the one that begins sessions"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Server{config: c.withDefaults(), host: host}, nil
}

// Stats gives what was counted.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *Server) count(f func(*Stats)) {
	s.mu.Lock()
	f(&s.stats)
	s.mu.Unlock()
}

// Capabilities says what the links of the server do.
func Capabilities() transport.Capabilities {
	return transport.Capabilities{
		CodecsIn: codecs(), CodecsOut: codecs(), Text: true, Controls: true, BuffersOutput: true, Ack: transport.AckClient,
	}
}

// ServeHTTP serves one client until its session is over.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	offered := socket.Protocols(r)
	wire, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:   []string{protocol},
		OriginPatterns: s.config.Origins,
	})
	if err != nil {
		return // it was answered
	}
	s.count(func(s *Stats) { s.Connections++ })
	model := r.URL.Query().Get("model")
	if model == "" || len(model) > maxEventID {
		model = s.config.Model
	}
	beta := strings.Contains(r.Header.Get("OpenAI-Beta"), "realtime=v1")
	for _, p := range offered {
		beta = beta || p == protocolBeta
	}
	offer := transport.Offer{Kind: Kind, Token: token(r, offered), Remote: r.RemoteAddr, Capabilities: Capabilities()}
	c, err := newConn(s, wire, offer, model, beta)
	if err != nil {
		_ = wire.Close(websocket.StatusInternalError, "")
		return
	}
	if err := s.check(r, offer); err != nil {
		c.turnAway(err)
		c.HangUp()
		c.stop()
		return
	}
	c.serve(r.Context())
}

// check turns a client away before it has said anything, where that can be known.
func (s *Server) check(r *http.Request, o transport.Offer) error {
	q := r.URL.Query()
	if q.Get("call_id") != "" || q.Get("intent") != "" {
		return &transport.RefusedError{
			Code: transport.RefusedInvalid, Reason: "call_id and intent: there are conversations only, named by model",
		}
	}
	if s.config.Check == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.config.Begin)
	defer cancel()
	return s.config.Check(ctx, o)
}

// token is the client's, of its header or its subprotocols. Clients in browsers want the mark of
// OpenAI's short-lived keys in front of it.
func token(r *http.Request, offered []string) string {
	t := socket.Bearer(r)
	for _, p := range offered {
		if of, ok := strings.CutPrefix(p, protocolToken); ok && t == "" {
			t = of
		}
	}
	return strings.TrimPrefix(t, shortLived)
}
