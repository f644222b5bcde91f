// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
)

// Host is what an adapter that listens, rather than calls, begins sessions with. Its
// methods may be called from any goroutine.
type Host interface {
	// Begin authenticates the offer, asks whether the session may begin, and has open bind
	// it to the wire. The error of an offer that was turned down wraps a *RefusedError;
	// nothing was bound then, or it was closed again. ctx bounds Begin and not the session.
	Begin(ctx context.Context, o Offer, open OpenFunc) (Session, error)
	// Readmit authenticates a client that comes back to a session after its link was lost.
	Readmit(ctx context.Context, id eventabi.SessionID, token string) error
}

// Renewer is implemented by hosts that let a session outlive the token that it began with.
type Renewer interface {
	// Renew puts a fresh token in the place of the one that a session runs under.
	Renew(ctx context.Context, id eventabi.SessionID, token string) error
}

// OpenFunc binds a session to the wire, as Adapter.Open does.
type OpenFunc func(ctx context.Context, b Bootstrap, in Ingress) (Link, error)

// Offer is a client that asks for a session.
type Offer struct {
	Kind  Kind
	Token string // session token; never logged
	// Session is the id that the client wishes; empty = the token's, or a random one.
	Session eventabi.SessionID
	Remote  string // address of the client, for logs and limits
	Wishes  Wishes
	// Capabilities of the link that open will make.
	Capabilities Capabilities
}

// Session is a session that a Host began.
type Session interface {
	ID() eventabi.SessionID
	// Done is closed when the session is over and its link was closed.
	Done() <-chan struct{}
}

// RefusalCode says why an offer was turned down.
type RefusalCode string

// The codes of a refusal.
const (
	RefusedToken    RefusalCode = "token_invalid"     // missing, tampered, of another tenant or session
	RefusedExpired  RefusalCode = "token_expired"     // a fresh one is needed
	RefusedRevoked  RefusalCode = "deauthorized"      // the token or its session was withdrawn
	RefusedEpoch    RefusalCode = "stale_epoch"       // the session lives elsewhere by now
	RefusedCodec    RefusalCode = "unsupported_codec" // Supported lists what there is
	RefusedInvalid  RefusalCode = "invalid_request"   // Reason names the field
	RefusedCapacity RefusalCode = "capacity"          // a limit; RetryAfter says when to come again
	RefusedDraining RefusalCode = "draining"          // this host takes no new sessions
	RefusedUnknown  RefusalCode = "unknown_session"   // there is nothing to come back to
	RefusedEnded    RefusalCode = "session_ended"     // the session was here, and is over
	RefusedInternal RefusalCode = "internal_error"
)

// RefusedError is the answer to an offer that was turned down. Its text may be shown to
// the client.
type RefusedError struct {
	Code       RefusalCode
	Reason     string
	RetryAfter time.Duration // 0 = not said
	Supported  []string      // codecs
}

func (e *RefusedError) Error() string {
	s := string(e.Code)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if len(e.Supported) > 0 {
		s += ": use one of " + strings.Join(e.Supported, ", ")
	}
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(": come again in %v", e.RetryAfter)
	}
	return s
}

// HTTPStatus is the status to answer a request with that asked for the session.
func (e *RefusedError) HTTPStatus() int {
	switch e.Code {
	case RefusedToken, RefusedExpired:
		return http.StatusUnauthorized
	case RefusedRevoked, RefusedEpoch:
		return http.StatusForbidden
	case RefusedCodec, RefusedInvalid:
		return http.StatusBadRequest
	case RefusedCapacity:
		return http.StatusTooManyRequests
	case RefusedDraining:
		return http.StatusServiceUnavailable
	case RefusedUnknown:
		return http.StatusNotFound
	case RefusedEnded:
		return http.StatusGone
	case RefusedInternal:
	}
	return http.StatusInternalServerError
}

// CloseCode is the code to close a WebSocket with whose offer was turned down: of the
// private range, 4000 and the number of the HTTP status.
func (e *RefusedError) CloseCode() int { return 4000 + e.HTTPStatus() }
