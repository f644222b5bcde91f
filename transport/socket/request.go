// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"net/http"
	"strings"

	"github.com/parley-voice/parley/transport"
)

// Protocols are the subprotocols that a client offers.
func Protocols(r *http.Request) (list []string) {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			list = append(list, strings.TrimSpace(p))
		}
	}
	return list
}

// Bearer is the token of a request's header, empty when it has none.
func Bearer(r *http.Request) string {
	if scheme, t, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(t)
	}
	return ""
}

// Refusal is why a client gets no session, in words that it may be shown.
func Refusal(err error) *transport.RefusedError {
	var r *transport.RefusedError
	if !errors.As(err, &r) {
		r = &transport.RefusedError{Code: transport.RefusedInternal, Reason: "the session could not begin"}
	}
	return r
}
