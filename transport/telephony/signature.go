// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // it is what Twilio signs with; as an HMAC it holds
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

var errSignature = errors.New("telephony: x-twilio-signature: is not that of this request: sign with the account's auth token and the address that the provider was given")

// errSecret is what a stranger is told; where the secret is kept is not theirs to know.
var errSecret = errors.New("telephony: signatures cannot be checked now: come again later")

// verify checks Twilio's signature of a request, if there is a secret: the HMAC-SHA1 of
// the address and, of a form, of its fields in order of their names. form is nil when
// there is none.
func (s *Server) verify(r *http.Request, form url.Values) error {
	if s.config.Secret == nil {
		return nil
	}
	secret, err := s.config.Secret(r.Context())
	if err != nil || secret == "" {
		s.log.Error("telephony: secret: cannot be had: look at where it is kept", "error", err)
		return errSecret
	}
	given := []byte(r.Header.Get("X-Twilio-Signature"))
	fits := false
	for _, address := range s.addresses(r) {
		fits = hmac.Equal(given, sign(secret, address, form)) || fits
	}
	if !fits {
		return errSignature
	}
	return nil
}

// sign makes the signature of a request.
func sign(secret, address string, form url.Values) []byte {
	h := hmac.New(sha1.New, []byte(secret))
	h.Write([]byte(address))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		for _, value := range form[name] {
			h.Write([]byte(name + value))
		}
	}
	return base64.StdEncoding.AppendEncode(nil, h.Sum(nil))
}

// addresses are what the provider may have signed: it sees the address in front of the
// proxies. A WebSocket's is signed with its own scheme.
func (s *Server) addresses(r *http.Request) []string {
	at := *r.URL
	at.Host, at.User = r.Host, nil
	schemes := []string{"https", "http"}
	if p := s.config.Public; p != nil {
		at.Host, schemes = p.Host, []string{p.Scheme}
		at.Path, at.RawPath = strings.TrimSuffix(p.Path, "/")+at.Path, ""
	}
	var list []string
	for _, scheme := range schemes {
		at.Scheme = scheme
		list = append(list, at.String())
		at.Scheme = webSocket(scheme)
		list = append(list, at.String())
	}
	return list
}

// webSocket is the scheme of a WebSocket beside that of HTTP.
func webSocket(scheme string) string { return strings.Replace(scheme, "http", "ws", 1) }
