// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// TokenLifetime is how long a session token is valid (authority-state section 6).
const TokenLifetime = 300000 * time.Millisecond

// MaxTokenBytes is the length beyond which a token is refused unread.
const MaxTokenBytes = 4096

const (
	// algorithm is the only one (authority-state section 1).
	algorithm = "EdDSA"
	// leeway is how far the clocks of issuer and runtime may lie apart.
	leeway = 5 * time.Second
	// maxLifetime bounds what may be configured.
	maxLifetime = 24 * time.Hour
)

// Claims is what a session token says.
type Claims struct {
	Tenant    string                   `json:"tenant_id"`
	Session   eventabi.SessionID       `json:"session_id"`
	Pipeline  eventabi.PipelineVersion `json:"pipeline_version"`
	Epoch     eventabi.Epoch           `json:"authority_epoch"`
	Transport string                   `json:"transport_kind"`
	IssuedAt  int64                    `json:"iat"` // Unix seconds, as is Expires
	Expires   int64                    `json:"exp"`
	ID        string                   `json:"jti"`
	Key       string                   `json:"kid"` // as in the header
}

// ExpiresAt is when the token ends.
func (c *Claims) ExpiresAt() time.Time { return time.Unix(c.Expires, 0) }

// wireClaims are claims as the library wants them; it is told to check none of them, so
// that each fault keeps its name.
type wireClaims struct {
	Claims
	NotBefore *int64 `json:"nbf,omitempty"`
}

func (*wireClaims) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }
func (*wireClaims) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (*wireClaims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (*wireClaims) GetIssuer() (string, error)                   { return "", nil }
func (*wireClaims) GetSubject() (string, error)                  { return "", nil }
func (*wireClaims) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }

// TokenFault is one way in which a token is not valid.
type TokenFault string

// The faults of a token, in the order in which they are looked for.
const (
	FaultMissing    TokenFault = "missing"
	FaultMalformed  TokenFault = "malformed"
	FaultAlgorithm  TokenFault = "algorithm"
	FaultUnknownKey TokenFault = "unknown_key"
	FaultSignature  TokenFault = "signature"
	FaultClaims     TokenFault = "claims" // one is missing or no identifier
	FaultLifetime   TokenFault = "lifetime"
	FaultNotYet     TokenFault = "not_yet"
	FaultExpired    TokenFault = "expired"
	FaultTenant     TokenFault = "tenant"
	FaultSession    TokenFault = "session"
	FaultPipeline   TokenFault = "pipeline"
	FaultTransport  TokenFault = "transport"
	FaultStaleEpoch TokenFault = "stale_epoch"
	FaultEpochAhead TokenFault = "epoch_ahead"
	FaultRevoked    TokenFault = "revoked"
	FaultReplayed   TokenFault = "replayed" // its session has ended
)

// TokenError is that a token was refused. It says nothing of the token.
type TokenError struct {
	Fault  TokenFault
	Detail string // what is wrong and what to do, for the client
}

func (e *TokenError) Error() string { return "fleet: token: " + string(e.Fault) + ": " + e.Detail }

// Reason is the verdict in the words of authority-state section 1.
func (e *TokenError) Reason() controlplane.AuthorityReason {
	switch e.Fault {
	case FaultExpired:
		return controlplane.AuthorityTokenExpired
	case FaultStaleEpoch:
		return controlplane.AuthorityStaleEpoch
	case FaultEpochAhead:
		return controlplane.AuthorityEpochAhead
	case FaultRevoked:
		return controlplane.AuthorityDeauthorized
	case FaultMissing, FaultMalformed, FaultAlgorithm, FaultUnknownKey, FaultSignature, FaultClaims, FaultLifetime,
		FaultNotYet, FaultTenant, FaultSession, FaultPipeline, FaultTransport, FaultReplayed:
	}
	return controlplane.AuthorityTokenInvalid
}

func refused(fault TokenFault, format string, args ...any) error {
	return &TokenError{Fault: fault, Detail: fmt.Sprintf(format, args...)}
}

// Expect is what a token has to say where it is shown. Empty fields are not compared.
type Expect struct {
	Tenant    string
	Session   eventabi.SessionID
	Pipeline  eventabi.PipelineVersion
	Transport string
	Epoch     eventabi.Epoch // that is in force, 0 = not known
}

// Authority issues and checks session tokens. Its methods may be called from any goroutine.
type Authority struct {
	keys     Keys
	lifetime time.Duration
	void     *Revocations
	parser   *jwt.Parser
}

// NewAuthority makes one from keys. No token is valid for longer than lifetime; 0 =
// TokenLifetime.
func NewAuthority(keys Keys, lifetime time.Duration) (*Authority, error) {
	if lifetime == 0 {
		lifetime = TokenLifetime
	}
	err := keys.Validate()
	if lifetime < time.Second || lifetime > maxLifetime {
		err = errors.Join(err, fmt.Errorf("lifetime: %v: use %v to %v", lifetime, time.Second, maxLifetime))
	}
	if err != nil {
		return nil, fmt.Errorf("fleet: authority: %w", err)
	}
	return &Authority{
		keys: keys, lifetime: lifetime, void: NewRevocations(lifetime + 2*leeway),
		parser: jwt.NewParser(jwt.WithValidMethods([]string{algorithm}), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding()),
	}, nil
}

// Lifetime is how long a token is valid.
func (a *Authority) Lifetime() time.Duration { return a.lifetime }

// Revocations are what voids tokens of this authority before their time.
func (a *Authority) Revocations() *Revocations { return a.void }

// Issue signs a token. Times and key of c are filled in, and so is an id that is missing.
func (a *Authority) Issue(c Claims, id string, now time.Time) (string, Claims, error) {
	key := a.keys.signing()
	if key == nil {
		return "", c, errors.New("fleet: issue: no key has its private half: give one that parley token keygen made")
	}
	c.IssuedAt, c.Expires, c.Key = now.Unix(), now.Add(a.lifetime).Unix(), key.ID
	if c.ID == "" {
		c.ID = id
	}
	if err := c.validate(); err != nil {
		return "", c, fmt.Errorf("fleet: issue: %w", err)
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &wireClaims{Claims: c})
	t.Header["kid"] = key.ID
	text, err := t.SignedString(key.private)
	if err != nil {
		return "", c, fmt.Errorf("fleet: issue: %w", err)
	}
	return text, c, nil
}

// validate reports every claim that is missing or no identifier.
func (c *Claims) validate() error {
	var faults []error
	for _, f := range [...]struct{ name, value string }{
		{"tenant_id", c.Tenant},
		{"session_id", string(c.Session)},
		{"pipeline_version", string(c.Pipeline)},
		{"transport_kind", c.Transport},
		{"jti", c.ID},
		{"kid", c.Key},
	} {
		if !validID(f.value) {
			faults = append(faults, fmt.Errorf("%s: %q: use 1 to %d characters of A-Z a-z 0-9 . _ : -", f.name, cut(f.value), eventabi.MaxIDLength))
		}
	}
	if c.Epoch < 1 {
		faults = append(faults, fmt.Errorf("authority_epoch: %d: use 1 or more", c.Epoch))
	}
	return errors.Join(faults...)
}

// cut shortens what is shown of a value.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// Check says what a token claims, or why it is refused: the error is a *TokenError.
func (a *Authority) Check(token string, want Expect, now time.Time) (Claims, error) {
	c, err := a.read(token)
	if err != nil {
		return Claims{}, err
	}
	if err := a.inTime(c, now); err != nil {
		return Claims{}, err
	}
	if err := c.meets(&want); err != nil {
		return Claims{}, err
	}
	switch a.void.verdict(&c.Claims, now) {
	case voidRevoked:
		return Claims{}, refused(FaultRevoked, "it was withdrawn: it cannot be used any more")
	case voidEnded:
		return Claims{}, refused(FaultReplayed, "the session that it was issued for has ended: ask for another token")
	case voidNot:
	}
	return c.Claims, nil
}

// read takes the token apart and checks its signature.
func (a *Authority) read(token string) (*wireClaims, error) {
	switch {
	case token == "":
		return nil, refused(FaultMissing, "none was given: give a session token")
	case len(token) > MaxTokenBytes:
		return nil, refused(FaultMalformed, "it is longer than %d bytes", MaxTokenBytes)
	}
	c := &wireClaims{}
	header, asked := "", false // asked: the algorithm was right, and a key was looked for
	_, err := a.parser.ParseWithClaims(token, c, func(t *jwt.Token) (any, error) {
		asked = true
		if _, critical := t.Header["crit"]; critical {
			return nil, refused(FaultAlgorithm, "its header asks for extensions (crit), and there are none")
		}
		header, _ = t.Header["kid"].(string)
		key := a.keys.find(header)
		if key == nil {
			return nil, refused(FaultUnknownKey, "its key is not one of this installation's: ask for a fresh token")
		}
		return key.Public, nil
	})
	var own *TokenError
	switch {
	case err == nil:
	case errors.As(err, &own):
		return nil, own
	case errors.Is(err, jwt.ErrTokenMalformed):
		return nil, refused(FaultMalformed, "it is no compact JWS with the claims of a session token")
	case !asked:
		return nil, refused(FaultAlgorithm, "its algorithm is not %s", algorithm)
	default:
		return nil, refused(FaultSignature, "its signature does not hold")
	}
	if c.Key != header {
		return nil, refused(FaultClaims, "kid: header and claims name different keys")
	}
	if err := c.validate(); err != nil {
		return nil, refused(FaultClaims, "%v", err)
	}
	return c, nil
}

// inTime looks at the times of a token.
func (a *Authority) inTime(c *wireClaims, now time.Time) error {
	issued, expires := time.Unix(c.IssuedAt, 0), c.ExpiresAt()
	switch {
	case c.IssuedAt <= 0 || c.Expires <= c.IssuedAt || c.Expires-c.IssuedAt > int64(a.lifetime/time.Second):
		return refused(FaultLifetime, "it lasts from %d to %d: this installation takes up to %d s", c.IssuedAt, c.Expires, int64(a.lifetime/time.Second))
	case issued.After(now.Add(leeway)), c.NotBefore != nil && time.Unix(*c.NotBefore, 0).After(now.Add(leeway)):
		return refused(FaultNotYet, "it is valid later only: look at the clocks")
	case !expires.After(now):
		return refused(FaultExpired, "its time is over: ask for a fresh one")
	}
	return nil
}

// meets compares the claims with what is expected.
func (c *Claims) meets(want *Expect) error {
	switch {
	case want.Tenant != "" && want.Tenant != c.Tenant:
		return refused(FaultTenant, "it is another tenant's")
	case want.Session != "" && want.Session != c.Session:
		return refused(FaultSession, "it is for another session")
	case want.Pipeline != "" && want.Pipeline != c.Pipeline:
		return refused(FaultPipeline, "it is for another pipeline version")
	case want.Transport != "" && want.Transport != c.Transport:
		return refused(FaultTransport, "it is for transport %s, and this is %s", c.Transport, want.Transport)
	case want.Epoch != 0 && c.Epoch < want.Epoch:
		return refused(FaultStaleEpoch, "its session lives under a later epoch: ask for a fresh one")
	case want.Epoch != 0 && c.Epoch > want.Epoch:
		return refused(FaultEpochAhead, "its epoch is not known here: refresh the route")
	}
	return nil
}
