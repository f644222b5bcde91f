// SPDX-License-Identifier: Apache-2.0

package livekittest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

// The credentials that a Server takes.
const (
	Key    = "devkey"
	Secret = "a secret of the test, and of nothing else" //nolint:gosec // it opens nothing
)

// Config is what a Server is made of. The zero value is a server that works.
type Config struct {
	// Opus encodes what people say; nil = nobody speaks.
	Opus codec.OpusFactory
	// PingInterval and PingTimeout are told to agents, in seconds; 0 = no pings.
	PingInterval, PingTimeout int32
}

// Server is the server. Its methods may be called from any goroutine.
type Server struct {
	tb     testing.TB
	config Config
	api    *webrtc.API
	http   *httptest.Server
	done   sync.WaitGroup

	mu      sync.Mutex
	rooms   map[string]*Room
	count   int
	refuse  int  // the status that who comes is answered; 0 = come in
	mute    bool // who comes in is told nothing
	resumes bool // who comes back is known
	tokens  []Token
	pong    bool
	closed  bool
}

// Token is what an agent brought along.
type Token struct {
	Identity, Name, Kind string
	Room                 string
	Expires              time.Time
	Query                string // of the URL
}

// New starts a server, which ends with the test.
func New(tb testing.TB, c Config) *Server {
	tb.Helper()
	m := new(webrtc.MediaEngine)
	if err := m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opus(), PayloadType: 111}, webrtc.RTPCodecTypeAudio); err != nil {
		tb.Fatal(err)
	}
	var e webrtc.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	e.SetInterfaceFilter(func(name string) bool { return strings.HasPrefix(name, "lo") })
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	e.LoggerFactory = quiet
	s := &Server{
		tb: tb, config: c, api: webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(e)), rooms: map[string]*Room{},
		resumes: true, pong: true,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/rtc", s.rtc)
	mux.HandleFunc("/rtc/validate", s.validate)
	s.http = httptest.NewServer(mux)
	tb.Cleanup(s.close)
	return s
}

func opus() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}
}

func (s *Server) close() {
	s.mu.Lock()
	s.closed = true
	rooms := s.rooms
	s.mu.Unlock()
	for _, r := range rooms {
		r.close()
	}
	s.http.CloseClientConnections()
	s.http.Close()
	s.done.Wait()
}

// URL is where the server is.
func (s *Server) URL() string { return "ws" + strings.TrimPrefix(s.http.URL, "http") }

// Refuse answers who comes from now on with a status of HTTP; 0 lets them in again.
func (s *Server) Refuse(status int) { s.set(func() { s.refuse = status }) }

// Silent has who comes in from now on be told nothing.
func (s *Server) Silent(on bool) { s.set(func() { s.mute = on }) }

// Forget has who comes back from now on be unknown: it has to join anew.
func (s *Server) Forget(on bool) { s.set(func() { s.resumes = !on }) }

// Deaf has pings not be answered.
func (s *Server) Deaf(on bool) { s.set(func() { s.pong = !on }) }

func (s *Server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Tokens are those that agents have brought, in order.
func (s *Server) Tokens() []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Token(nil), s.tokens...)
}

// Room gives a room, which is made when there is none.
func (s *Server) Room(name string) *Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil {
		r = &Room{server: s, name: name, people: map[string]*Person{}}
		s.rooms[name] = r
	}
	return r
}

// id makes an id of LiveKit's kind.
func (s *Server) id(prefix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	return fmt.Sprintf("%s_%04d", prefix, s.count)
}

type claims struct {
	jwt.RegisteredClaims
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Video struct {
		Room           string `json:"room"`
		RoomJoin       bool   `json:"roomJoin"`
		CanPublish     bool   `json:"canPublish"`
		CanSubscribe   bool   `json:"canSubscribe"`
		CanPublishData bool   `json:"canPublishData"`
	} `json:"video"`
}

// authenticate looks at an agent's token as LiveKit does.
func (s *Server) authenticate(r *http.Request) (claims, error) {
	var c claims
	text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	_, err := jwt.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return []byte(Secret), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(Key), jwt.WithExpirationRequired())
	v := c.Video
	if err == nil && (v.Room == "" || !v.RoomJoin || !v.CanPublish || !v.CanSubscribe || !v.CanPublishData || c.Subject == "") {
		err = fmt.Errorf("the grants %+v of %q do not let an agent in", v, c.Subject)
	}
	return c, err
}

func (s *Server) validate(w http.ResponseWriter, r *http.Request) {
	if _, err := s.authenticate(r); err != nil {
		http.Error(w, "permission denied", http.StatusUnauthorized)
		return
	}
	s.mu.Lock()
	refuse := s.refuse
	s.mu.Unlock()
	if refuse != 0 {
		http.Error(w, "for the test", refuse)
		return
	}
	_, _ = w.Write([]byte("success"))
}

func (s *Server) rtc(w http.ResponseWriter, r *http.Request) {
	c, err := s.authenticate(r)
	if err != nil {
		http.Error(w, "permission denied", http.StatusUnauthorized)
		return
	}
	s.mu.Lock()
	s.tokens = append(s.tokens, Token{c.Subject, c.Name, c.Kind, c.Video.Room, c.ExpiresAt.Time, r.URL.RawQuery})
	refuse, mute, resumes, closed := s.refuse, s.mute, s.resumes, s.closed
	if !closed {
		s.done.Add(1)
		defer s.done.Done()
	}
	s.mu.Unlock()
	if refuse != 0 || closed {
		http.Error(w, "for the test", max(refuse, http.StatusServiceUnavailable))
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(4 << 20)
	if mute {
		_, _, _ = ws.Read(r.Context())
		return
	}
	room := s.Room(c.Video.Room)
	var a *Agent
	if r.URL.Query().Get("reconnect") == "1" {
		if a = room.agent(r.URL.Query().Get("sid")); a == nil || !resumes {
			write(r.Context(), ws, &roomproto.Response{Leave: &roomproto.Leave{Action: roomproto.Restart, Reason: roomproto.StateMismatch}})
			return
		}
		a.resume(r.Context(), ws)
		return
	}
	if a, err = room.enter(c.Subject); err != nil {
		s.tb.Errorf("livekittest: an agent cannot come in: %v", err)
		return
	}
	a.serve(r.Context(), ws)
}

func write(ctx context.Context, ws *websocket.Conn, m *roomproto.Response) {
	within, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	_ = ws.Write(within, websocket.MessageBinary, roomproto.Marshal(nil, m)) // who does not read has gone
}
