// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
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

// guard wraps a handler with what every request has to satisfy.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
