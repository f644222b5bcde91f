// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// door says which requests are meant for this server.
type door struct {
	origins []string // beyond the server's own, scheme and host
	hosts   []string // by which it may be called
	strict  bool     // hosts are looked at
}

func newDoor(c *Config) door {
	d := door{}
	host, _, _ := net.SplitHostPort(c.Listen)
	d.strict = loopbackHost(host) || len(c.Hosts) > 0 || c.PublicURL != ""
	d.hosts = append(d.hosts, c.Hosts...)
	if host != "" {
		d.hosts = append(d.hosts, host)
	}
	for _, o := range append(slices.Clone(c.Origins), c.PublicURL) {
		if o = origin(o); o != "" {
			d.origins = append(d.origins, o)
		}
	}
	if u, err := url.Parse(c.PublicURL); err == nil && u.Hostname() != "" {
		d.hosts = append(d.hosts, u.Hostname())
	}
	return d
}

// patterns are the hosts of the origins, for libraries that check them again.
func (d *door) patterns() (list []string) {
	for _, o := range d.origins {
		_, host, _ := strings.Cut(o, "://")
		list = append(list, host)
	}
	return list
}

// meant says whether a request calls the server by a name that is its own. Loopback's names
// always are: no other page can have them.
func (d *door) meant(r *http.Request) bool {
	if !d.strict {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	return loopbackHost(host) || slices.ContainsFunc(d.hosts, func(h string) bool { return strings.EqualFold(strings.Trim(h, "[]"), host) })
}

// welcome says whether the page that sent a request may: the server's own, one of a listed
// origin, or none, which is a program. foreign is its origin when it is another than the
// server's.
func (d *door) welcome(r *http.Request) (foreign string, ok bool) {
	o := r.Header.Get("Origin")
	if o == "" {
		site := r.Header.Get("Sec-Fetch-Site")
		return "", site == "" || site == "same-origin" || site == "none" || safe(r)
	}
	asked := origin(o)
	if asked == "" { // "null" is a page of nowhere
		return "", false
	}
	if _, host, _ := strings.Cut(asked, "://"); strings.EqualFold(host, r.Host) {
		return "", true
	}
	return asked, slices.Contains(d.origins, asked)
}

// safe says that a request changes nothing and begins nothing; what it gives a foreign page
// cannot read.
func safe(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Upgrade") == ""
}

// brought says whether a proxy tells that it brings a request from another machine: then
// the address that it comes from says nothing.
func brought(r *http.Request) bool {
	if len(r.Header.Values("Forwarded")) > 0 {
		return true
	}
	for _, name := range [...]string{"X-Forwarded-For", "X-Real-Ip"} {
		for _, value := range r.Header.Values(name) {
			for from := range strings.SplitSeq(value, ",") {
				if !loopbackHost(strings.Trim(strings.TrimSpace(from), "[]")) {
					return true
				}
			}
		}
	}
	return false
}

// crashed answers a request that made its handler panic, and tells of it: the connection
// ends, and the server goes on.
func (s *Server) crashed(r *http.Request) {
	v := recover()
	if v == nil || v == http.ErrAbortHandler { //nolint:errorlint // the value itself, as package http has it
		return
	}
	s.program.Log.Error("serve: a request has crashed", "path", r.URL.Path, "remote", r.RemoteAddr, "panic", v, "stack", string(debug.Stack()))
	panic(http.ErrAbortHandler)
}

// guard wraps a handler with what every request has to satisfy.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.crashed(r)
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Now().Add(answerTime)) // a WebSocket takes them off
		_ = c.SetWriteDeadline(time.Now().Add(answerTime))
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !s.door.meant(r) {
			s.metrics.turnedAway("host")
			fail(w, http.StatusMisdirectedRequest, "host", "this server is not called by that name: set public_url or hosts")
			return
		}
		if s.config.Development() && brought(r) {
			s.metrics.turnedAway("forwarded")
			fail(w, http.StatusForbidden, "forwarded", "development mode answers this machine alone, and a proxy has brought this from another one: use auth.mode token")
			return
		}
		foreign, ok := s.door.welcome(r)
		if !ok {
			s.metrics.turnedAway("origin")
			fail(w, http.StatusForbidden, "origin", "pages of this origin may not connect: list it in origins")
			return
		}
		if foreign != "" {
			h.Set("Access-Control-Allow-Origin", foreign)
			h.Set("Cross-Origin-Resource-Policy", "cross-origin")
			h.Add("Vary", "Origin")
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", "GET, POST")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		r.Body = http.MaxBytesReader(w, r.Body, s.config.HTTP.BodyBytes)
		next.ServeHTTP(w, r)
	})
}
