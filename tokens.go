// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/controlplane/fleet"
	"github.com/parley-voice/parley/transport"
)

// TokenClaims is what a session token says (authority-state section 6).
type TokenClaims = fleet.Claims

// TokenError is that a token was refused; it says nothing of the token.
type TokenError = fleet.TokenError

// Tokens let in who has a session token: signed, short-lived, and bound to one session of
// one tenant. Methods may be called from any goroutine.
type Tokens struct {
	authority *fleet.Authority
	now       func() time.Time
	pipeline  eventabi.PipelineVersion // that sessions run; empty = whichever a token says
}

// For gives the same tokens for a host whose sessions run one version of a pipeline: a token for
// another is refused.
func (t *Tokens) For(pipeline eventabi.PipelineVersion) *Tokens {
	return &Tokens{authority: t.authority, now: t.now, pipeline: pipeline}
}

// ReadTokens makes Tokens from a key file: PEM or JSON Web Keys, of Ed25519, the newest
// first. No token is valid for longer than lifetime; 0 = 300000 ms.
func ReadTokens(name string, keys []byte, lifetime time.Duration) (*Tokens, error) {
	list, err := fleet.ReadKeys(name, keys)
	if err != nil {
		return nil, fmt.Errorf("parley: %w", err)
	}
	return newTokens(list, lifetime)
}

// NewTokens makes Tokens with a key of their own: what they issue holds for as long as the
// process runs.
func NewTokens(lifetime time.Duration) (*Tokens, error) {
	k, err := fleet.NewKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("parley: %w", err)
	}
	return newTokens(fleet.Keys{k}, lifetime)
}

// TokenKey is a key for a key file.
type TokenKey struct {
	ID     string
	PEM    []byte // with the private half: it issues and checks
	Public []byte // PEM of the public half: it checks
	JWK    []byte // of the public half
}

// NewTokenKey makes one.
func NewTokenKey() (TokenKey, error) {
	k, err := fleet.NewKey(rand.Reader)
	if err != nil {
		return TokenKey{}, fmt.Errorf("parley: %w", err)
	}
	out := TokenKey{ID: k.ID}
	var faults [3]error
	out.PEM, faults[0] = k.PEM(true)
	out.Public, faults[1] = k.PEM(false)
	out.JWK, faults[2] = k.JWK()
	return out, errors.Join(faults[:]...)
}

// LooksLikeToken says whether a text has the form of a signed token, valid or not.
func LooksLikeToken(text string) bool {
	return strings.Count(text, ".") == 2 && strings.HasPrefix(text, "eyJ")
}

func newTokens(keys fleet.Keys, lifetime time.Duration) (*Tokens, error) {
	a, err := fleet.NewAuthority(keys, lifetime)
	if err != nil {
		return nil, fmt.Errorf("parley: %w", err)
	}
	return &Tokens{authority: a, now: time.Now}, nil
}

// Issue signs a token. Times, key and id of c are filled in; a session without a name gets
// a random one.
func (t *Tokens) Issue(c TokenClaims) (string, TokenClaims, error) {
	fill(&c.Tenant, DefaultTenant)
	if c.Session == "" {
		c.Session = eventabi.SessionID("s-" + token())
	}
	if c.Pipeline == "" {
		c.Pipeline = DefaultPipeline
	}
	if c.Epoch == 0 {
		c.Epoch = 1
	}
	text, c, err := t.authority.Issue(c, "t-"+token()+token(), t.now())
	if err != nil {
		return "", c, fmt.Errorf("parley: %w", err)
	}
	return text, c, nil
}

// Check says what a token claims, without asking what it is shown for.
func (t *Tokens) Check(text string) (TokenClaims, error) {
	return t.authority.Check(text, fleet.Expect{}, t.now())
}

// Authenticate lets in who has a token for the offered session and transport.
func (t *Tokens) Authenticate(_ context.Context, o transport.Offer) (Grant, error) {
	c, err := t.authority.Check(o.Token, fleet.Expect{Session: o.Session, Pipeline: t.pipeline, Transport: string(o.Kind)}, t.now())
	if err != nil {
		return Grant{}, refusedToken(err)
	}
	return Grant{
		Session: c.Session, Tenant: c.Tenant, Pipeline: c.Pipeline, Epoch: c.Epoch, TokenID: c.ID,
		IssuedAt: time.Unix(c.IssuedAt, 0), Expires: c.ExpiresAt(),
	}, nil
}

// refusedToken is what a client is told of a token that is refused.
func refusedToken(err error) error {
	var fault *TokenError
	if !errors.As(err, &fault) {
		return err
	}
	code := transport.RefusedToken
	switch fault.Fault {
	case fleet.FaultExpired:
		code = transport.RefusedExpired
	case fleet.FaultRevoked:
		code = transport.RefusedRevoked
	case fleet.FaultStaleEpoch, fleet.FaultEpochAhead:
		code = transport.RefusedEpoch
	case fleet.FaultReplayed:
		return ended("")
	case fleet.FaultMissing, fleet.FaultMalformed, fleet.FaultAlgorithm, fleet.FaultUnknownKey, fleet.FaultSignature, fleet.FaultClaims,
		fleet.FaultLifetime, fleet.FaultNotYet, fleet.FaultTenant, fleet.FaultSession, fleet.FaultPipeline, fleet.FaultTransport:
	}
	return &transport.RefusedError{Code: code, Reason: string(fault.Fault) + ": " + fault.Detail}
}

// Holds says whether a grant that a token gave was withdrawn meanwhile.
func (t *Tokens) Holds(g Grant) error {
	c := fleet.Claims{Tenant: g.Tenant, Session: g.Session, ID: g.TokenID, IssuedAt: g.IssuedAt.Unix()}
	if revoked, _ := t.authority.Revocations().Void(&c, t.now()); revoked {
		return &TokenError{Fault: fleet.FaultRevoked, Detail: "it was withdrawn"}
	}
	return nil
}

// Ended voids what was issued for a session that has ended.
func (t *Tokens) Ended(g Grant) { t.authority.Revocations().Ended(g.Tenant, g.Session, t.now()) }

// RevokeToken voids a token by its id (jti), RevokeSession those of a session, and
// RevokeTenant those of a tenant, as far as they were issued up to now. Sessions that run
// under them end when their grants are looked at next.
func (t *Tokens) RevokeToken(id string) { t.authority.Revocations().Token(id, t.now()) }

// RevokeSession voids the tokens of a session.
func (t *Tokens) RevokeSession(tenant string, id eventabi.SessionID) {
	t.authority.Revocations().Session(tenant, id, t.now())
}

// RevokeTenant voids the tokens of a tenant.
func (t *Tokens) RevokeTenant(tenant string) { t.authority.Revocations().Tenant(tenant, t.now()) }
