// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/socket"
)

// Kind is the transport's name.
const Kind transport.Kind = "rtvi"

// Stats are what a Server counted.
type Stats struct {
	Connections int64
	Sessions    int64 // that began
	Refused     int64 // clients that got none
	Connects    int64 // requests to the connect endpoint that were answered
	Faults      int64 // messages that could not be done
	Ignored     int64 // messages that a bot may leave alone, such as those about a page
	Flooded     int64 // what came too fast to be kept in order, and was left out
	Unheard     int64 // frames that came behind a fence, or that a client has no ear for
	Unencoded   int64 // messages that could not be written as JSON
}

// Server serves RTVI. It is an http.Handler for a folder: a WebSocket wherever it is asked
// for, and what Pipecat's clients call the start or connect endpoint by POST.
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
		faults = append(faults, errors.New("rtvi: host: nil: give the one that begins sessions"))
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

// Capabilities says what the links of the server do. RTVI has no word for what was heard:
// the runtime estimates it.
func Capabilities() transport.Capabilities {
	return transport.Capabilities{
		CodecsIn: []string{codec.NamePCM}, CodecsOut: []string{codec.NamePCM},
		Text: true, Controls: true, BuffersOutput: true, Ack: transport.AckEstimate,
	}
}

// ServeHTTP answers a request to connect, or serves one client until its session is over.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.connect(w, r)
		return
	}
	flags, err := readFlags(r.URL.Query())
	if err != nil {
		s.count(func(s *Stats) { s.Refused++ })
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	wire, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		OriginPatterns: s.config.Origins, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return // it was answered
	}
	s.count(func(s *Stats) { s.Connections++ })
	offer := transport.Offer{
		Kind: Kind, Token: token(r), Remote: r.RemoteAddr, Wishes: flags.wishes, Capabilities: Capabilities(),
	}
	c, err := newConn(s, wire, offer, flags)
	if err != nil {
		_ = wire.Close(websocket.StatusInternalError, "")
		return
	}
	c.serve(r.Context())
}

// token is the client's: of a header, or as Pipecat's clients put it into the address.
func token(r *http.Request) string {
	if t := socket.Bearer(r); t != "" {
		return t
	}
	return strings.TrimSpace(r.URL.Query().Get("token"))
}
