// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/parley-voice/parley/transport"
)

// mostForm bounds what is read of a webhook.
const mostForm = 64 << 10

// Ring is a telephone that rings, as Twilio's webhook tells of it.
type Ring struct {
	Call, Account string // Twilio's ids
	From, To      string
}

// Issue gives the session token of a call that rings. Its error may wrap a
// *transport.RefusedError: without capacity the caller hears that the line is busy.
type Issue func(ctx context.Context, r Ring) (token string, err error)

// Voice answers Twilio's webhook for a call that comes in, with the TwiML that connects it
// to the Server, which stream is the path of, such as "/twilio/stream". Whoever gets a
// token may begin a session, so requests must be signed: Config.Secret is needed, unless
// unsigned says that only the own machine can reach the endpoint.
func (s *Server) Voice(issue Issue, stream string, unsigned bool) (http.Handler, error) {
	var faults []error
	if issue == nil {
		faults = append(faults, errors.New("telephony: issue: nil: give the function that makes tokens"))
	}
	if !strings.HasPrefix(stream, "/") {
		faults = append(faults, fmt.Errorf("telephony: stream: %q: give the path at which the server answers, such as /twilio/stream", stream))
	}
	if s.config.Secret == nil && !unsigned {
		faults = append(faults, errors.New("telephony: secret: nil: give the auth token that Twilio signs with, or say that requests are not signed: else whoever reaches the endpoint gets a session token"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.voice(w, r, issue, stream) }), nil
}

func (s *Server) voice(w http.ResponseWriter, r *http.Request, issue Issue, stream string) {
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "telephony: method: use GET or POST", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "telephony: form: cannot be read: send it as Twilio does", http.StatusBadRequest)
		return
	}
	if err := s.verify(r, r.PostForm); err != nil {
		s.log.Warn("telephony: a webhook was turned down", "remote", r.RemoteAddr, "error", err)
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	token, err := issue(r.Context(), Ring{
		Call: r.Form.Get("CallSid"), Account: r.Form.Get("AccountSid"), From: r.Form.Get("From"), To: r.Form.Get("To"),
	})
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		s.log.Warn("telephony: a call was turned down", "remote", r.RemoteAddr, "error", err)
		_, _ = fmt.Fprint(w, reject(err))
		return
	}
	_, _ = fmt.Fprint(w, connect(s.streamURL(r, stream), token))
}

// streamURL is the address of the Server as the provider sees it.
func (s *Server) streamURL(r *http.Request, stream string) string {
	at := url.URL{Scheme: "wss", Host: r.Host, Path: stream}
	if p := s.config.Public; p != nil {
		at = url.URL{Scheme: webSocket(p.Scheme), Host: p.Host, Path: strings.TrimSuffix(p.Path, "/") + stream}
	}
	return at.String()
}

const twiml = xml.Header + "<Response>%s</Response>\n"

// connect is the TwiML that hands a call over to a bidirectional stream. The token is a
// parameter and not part of the address, which Twilio writes to its logs and whose query
// it drops.
func connect(address, token string) string {
	return fmt.Sprintf(twiml, `<Connect><Stream url="`+escape(address)+`"><Parameter name="token" value="`+escape(token)+`"/></Stream></Connect>`)
}

// reject is the TwiML that turns a call down.
func reject(err error) string {
	reason := "rejected"
	var refused *transport.RefusedError
	if errors.As(err, &refused) && (refused.Code == transport.RefusedCapacity || refused.Code == transport.RefusedDraining) {
		reason = "busy"
	}
	return fmt.Sprintf(twiml, `<Reject reason="`+reason+`"/>`)
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer takes everything
	return b.String()
}
