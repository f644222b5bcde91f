// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/page"
)

// answerTime bounds a request that is no session.
const answerTime = 10 * time.Second

// StatusTransport is the transport_kind of a token that begins no session and shows those
// of its tenant.
const StatusTransport = "status"

// fault is the body of an answer that is an error.
type fault struct {
	Error  string `json:"error"`
	Reason string `json:"reason"`
}

func fail(w http.ResponseWriter, status int, code, reason string) {
	reply(w, status, fault{code, reason})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // who asked has gone
}

// handler is everything that the server answers.
func (s *Server) handler() http.Handler {
	own := http.NewServeMux()
	own.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok", "build": s.program.Build})
	})
	own.HandleFunc("GET /readyz", s.readyz)
	own.Handle("GET /metrics", s.metricsHandler())
	own.HandleFunc("GET /api/status", s.status)
	own.HandleFunc("GET /api/sessions", s.sessions)
	own.HandleFunc("GET /api/sessions/{id}", s.session)
	own.HandleFunc("POST /api/sessions/{id}/close", s.end)
	own.HandleFunc("POST /api/sessions/{id}/revoke", s.revoke)
	own.HandleFunc("POST /api/revocations", s.withdraw)
	own.HandleFunc("POST /api/token", s.token)
	own.HandleFunc("GET /api/recordings", s.recordings)
	for _, method := range []string{"GET", "POST"} {
		own.HandleFunc(method+" /api/recordings/{name}/"+timelineFile, s.timeline)
	}
	own.HandleFunc("GET /api/recordings/{name}/"+soundFile, s.timeline)
	own.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "not_found", "there is nothing of this name, or not by this method")
	})
	own.Handle("/", s.page())
	return s.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mounts := s.mounts.Load(); mounts != nil {
			if _, pattern := mounts.Handler(r); pattern != "" {
				mounts.ServeHTTP(w, r)
				return
			}
		} else if s.mounted(r.URL.Path) {
			w.Header().Set("Retry-After", "1")
			fail(w, http.StatusServiceUnavailable, "starting", "the engines are being loaded: come again")
			return
		}
		own.ServeHTTP(w, r)
	}))
}

// mounted says whether a path will be a transport's.
func (s *Server) mounted(path string) bool {
	for _, m := range s.program.Mounts {
		if m.Path == "" {
			continue
		}
		at := m.Path[strings.LastIndexByte(m.Path, ' ')+1:] // behind a method
		if path == at || strings.HasSuffix(at, "/") && strings.HasPrefix(path, at) {
			return true
		}
	}
	return false
}

// page gives the files of the page.
func (s *Server) page() http.Handler {
	files := s.program.Page
	if files == nil {
		files = page.Files()
	}
	serve := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", page.Policy)
		w.Header().Set("Permissions-Policy", page.Permissions)
		w.Header().Set("Referrer-Policy", "same-origin") // with none at all its forms come from no origin
		w.Header().Set("Cache-Control", "no-cache")
		serve.ServeHTTP(w, r)
	})
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	switch stage(s.state.Load()) {
	case ready:
		if fresh, err := s.disk.of(s.config.Session.Record, time.Now()); err != nil {
			if fresh {
				s.program.Log.Error("serve: not ready", "error", err)
			}
			fail(w, http.StatusServiceUnavailable, "not_recording", "sessions are to be recorded, and the folder of session.record cannot be written to: the log says why")
			return
		}
		reply(w, http.StatusOK, map[string]string{"status": "ready"})
	case starting:
		fail(w, http.StatusServiceUnavailable, "starting", "the engines are being loaded")
	case draining:
		fail(w, http.StatusServiceUnavailable, "draining", "no new sessions are taken")
	}
}

// viewer is who asks for the status of sessions.
type viewer struct {
	operator bool
	tenant   string
	session  eventabi.SessionID // empty = all of the tenant
}

// may says whether the viewer is shown a session.
func (v *viewer) may(st *parley.SessionStatus) bool {
	return v.operator || v.tenant == st.Tenant && (v.session == "" || v.session == st.ID)
}

// who says who asks: the operator, by secret, or in development mode from this machine; else
// whoever has a token. A token of a session shows that session and no other, because a
// caller has it.
func (s *Server) who(r *http.Request) (viewer, error) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if s.secret != "" && subtle.ConstantTimeCompare([]byte(bearer), []byte(s.secret)) == 1 {
		return viewer{operator: true}, nil
	}
	if bearer == "" && s.config.Development() && local(r) {
		return viewer{operator: true}, nil
	}
	c, err := s.tokens.Check(bearer)
	if err != nil {
		return viewer{}, err
	}
	v := viewer{tenant: c.Tenant, session: c.Session}
	if c.Transport == StatusTransport {
		v.session = ""
	}
	return v, nil
}

// local says whether a request comes from this machine.
func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// seen answers who may not ask, or gives the host.
func (s *Server) seen(w http.ResponseWriter, r *http.Request) (viewer, *parley.Host, bool) {
	v, err := s.who(r)
	if err != nil {
		reason := "give a session token, or the operator's, as Authorization: Bearer"
		if fault := (*parley.TokenError)(nil); errors.As(err, &fault) && r.Header.Get("Authorization") != "" {
			reason = string(fault.Fault) + ": " + fault.Detail
		}
		w.Header().Set("WWW-Authenticate", "Bearer")
		fail(w, http.StatusUnauthorized, "token_invalid", reason)
		return v, nil, false
	}
	h := s.host.Load()
	if h == nil {
		fail(w, http.StatusServiceUnavailable, "starting", "the engines are being loaded: come again")
	}
	return v, h, h != nil
}

// sessions lists those that the viewer may see; ?tenant= and ?state= choose among them.
func (s *Server) sessions(w http.ResponseWriter, r *http.Request) {
	v, h, ok := s.seen(w, r)
	if !ok {
		return
	}
	tenant, state := r.URL.Query().Get("tenant"), r.URL.Query().Get("state")
	list := []parley.SessionStatus{}
	for _, st := range h.Sessions() {
		if v.may(&st) && (tenant == "" || tenant == st.Tenant) && (state == "" || state == string(st.State)) {
			list = append(list, st)
		}
	}
	reply(w, http.StatusOK, map[string]any{"sessions": list})
}

// find gives a session that the viewer may see; one that is another's is answered as one
// that does not exist.
func (s *Server) find(w http.ResponseWriter, r *http.Request) (v viewer, h *parley.Host, st parley.SessionStatus, ok bool) {
	if v, h, ok = s.seen(w, r); !ok {
		return v, h, st, false
	}
	st, ok = h.Status(eventabi.SessionID(r.PathValue("id")))
	if !ok || !v.may(&st) {
		fail(w, http.StatusNotFound, "unknown_session", "there is no session of this id, or it is not yours")
		return v, h, st, false
	}
	return v, h, st, true
}

func (s *Server) session(w http.ResponseWriter, r *http.Request) {
	if _, _, st, ok := s.find(w, r); ok {
		reply(w, http.StatusOK, st)
	}
}

// end closes a session: its own client may, and the operator.
func (s *Server) end(w http.ResponseWriter, r *http.Request) {
	v, h, st, ok := s.find(w, r)
	switch {
	case !ok:
	case !v.operator && v.session == "":
		fail(w, http.StatusForbidden, "forbidden", "a status token shows sessions and does not end them")
	case h.End(st.ID, "closed_by_operator") != nil:
		fail(w, http.StatusConflict, "ended", "the session has ended")
	default:
		reply(w, http.StatusAccepted, map[string]string{"session_id": string(st.ID), "status": "draining"})
	}
}

// revoke withdraws a session and its tokens: the operator's to do.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	v, h, st, ok := s.find(w, r)
	if !ok {
		return
	}
	if !v.operator {
		fail(w, http.StatusForbidden, "forbidden", "only the operator revokes sessions")
		return
	}
	s.tokens.RevokeSession(st.Tenant, st.ID)
	if err := h.Revoke(st.ID); err != nil {
		fail(w, http.StatusConflict, "ended", "the session has ended; its tokens are void")
		return
	}
	reply(w, http.StatusAccepted, map[string]string{"session_id": string(st.ID), "status": "deauthorized"})
}

// revocation is what the operator withdraws: one of a token, a session and a tenant.
type revocation struct {
	Token   string             `json:"jti"`
	Session eventabi.SessionID `json:"session_id"` // of tenant_id
	Tenant  string             `json:"tenant_id"`
}

// withdraw voids tokens; the sessions that run under them end when they are looked at next.
func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) {
	v, err := s.who(r)
	if err != nil || !v.operator {
		w.Header().Set("WWW-Authenticate", "Bearer")
		fail(w, http.StatusUnauthorized, "token_invalid", "only the operator withdraws tokens: show auth.operator_token as Authorization: Bearer")
		return
	}
	var ask revocation
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err = d.Decode(&ask)
	switch {
	case err == nil && ask.Token != "" && ask.Session == "" && ask.Tenant == "":
		s.tokens.RevokeToken(ask.Token)
	case err == nil && ask.Token == "" && ask.Session != "" && ask.Tenant != "":
		s.tokens.RevokeSession(ask.Tenant, ask.Session)
	case err == nil && ask.Token == "" && ask.Session == "" && ask.Tenant != "":
		s.tokens.RevokeTenant(ask.Tenant)
	default:
		fail(w, http.StatusBadRequest, "invalid_request", "the body is JSON with jti, or tenant_id, or tenant_id and session_id")
		return
	}
	reply(w, http.StatusAccepted, map[string]string{"status": "deauthorized"})
}

// tokenRequest is what the page may say of the token that it wants.
type tokenRequest struct {
	Transport string             `json:"transport_kind"`
	Session   eventabi.SessionID `json:"session_id"`
}

// tokenAnswer is a token of development mode.
type tokenAnswer struct {
	Token   string             `json:"token"`
	Session eventabi.SessionID `json:"session_id"`
	Tenant  string             `json:"tenant_id"`
	Expires time.Time          `json:"expires"`
	Notice  string             `json:"notice"`
}

const developmentNotice = "development mode: this server gives a token to everybody on this machine"

// token gives the page a token, in development mode.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if !s.config.Development() || !local(r) {
		fail(w, http.StatusNotFound, "not_found", "tokens are issued by your own service: see parley token issue")
		return
	}
	ask := tokenRequest{Transport: "websocket"}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil && !errors.Is(err, io.EOF) {
		fail(w, http.StatusBadRequest, "invalid_request", "the body is JSON with transport_kind and session_id, or empty")
		return
	}
	text, c, err := s.tokens.Issue(parley.TokenClaims{
		Tenant: s.config.Session.Tenant, Session: ask.Session, Pipeline: eventabi.PipelineVersion(s.config.Session.Pipeline), Transport: ask.Transport,
	})
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request", "transport_kind and session_id are 1 to 128 characters of A-Z a-z 0-9 . _ : -")
		return
	}
	reply(w, http.StatusOK, tokenAnswer{Token: text, Session: c.Session, Tenant: c.Tenant, Expires: c.ExpiresAt(), Notice: developmentNotice})
}

// transportStatus is one way in.
type transportStatus struct {
	Path  string `json:"path,omitempty"` // empty = not by this port
	Kind  string `json:"transport_kind"`
	About string `json:"about"`
}

// status says what there is, for the page: nothing of it is secret.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	list := []transportStatus{}
	for _, m := range s.program.Mounts {
		list = append(list, transportStatus{m.Path, string(m.Kind), m.About})
	}
	out := map[string]any{
		"build": s.program.Build, "mode": s.config.Auth.Mode, "state": [...]string{"starting", "ready", "draining"}[s.state.Load()],
		"transports": list, "grants": s.config.Granted(),
	}
	if s.config.Development() {
		out["notice"] = developmentNotice
	}
	reply(w, http.StatusOK, out)
}
