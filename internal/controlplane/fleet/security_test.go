// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func authority(tb testing.TB, keys ...Key) *Authority {
	tb.Helper()
	if len(keys) == 0 {
		keys = Keys{newKey(tb)}
	}
	a, err := NewAuthority(keys, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func newKey(tb testing.TB) Key {
	tb.Helper()
	k, err := NewKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func claims() Claims {
	return Claims{Tenant: "acme", Session: "s-1", Pipeline: "voice-1", Epoch: 3, Transport: "websocket", ID: "t-1"}
}

func expect() Expect {
	return Expect{Tenant: "acme", Session: "s-1", Pipeline: "voice-1", Transport: "websocket", Epoch: 3}
}

func issue(tb testing.TB, a *Authority, c Claims) (string, Claims) {
	tb.Helper()
	token, c, err := a.Issue(c, "generated", noon)
	if err != nil {
		tb.Fatal(err)
	}
	return token, c
}

// part encodes one part of a token.
func part(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// forge signs any header and claims.
func forge(t *testing.T, k *Key, header map[string]any, body any) string {
	t.Helper()
	signed := part(t, header) + "." + part(t, body)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(k.private, []byte(signed)))
}

// A token says what it was issued with, for as long as it lasts: 300000 ms.
func TestTokenHolds(t *testing.T) {
	a := authority(t)
	token, issued := issue(t, a, claims())
	for _, at := range []time.Duration{0, -leeway, TokenLifetime - time.Second} {
		got, err := a.Check(token, expect(), noon.Add(at))
		if err != nil || got != issued || got.ID != "t-1" {
			t.Errorf("at %v: %+v, %v", at, got, err)
		}
	}
	if d := issued.ExpiresAt().Sub(noon); d != 300000*time.Millisecond {
		t.Errorf("it lasts %v", d)
	}
	c := claims()
	c.ID = ""
	if _, got := issue(t, a, c); got.ID != "generated" {
		t.Errorf("its id is %q", got.ID)
	}
	if _, _, err := a.Issue(Claims{Tenant: "a b"}, "x", noon); err == nil || !strings.Contains(err.Error(), "tenant_id: \"a b\"") || !strings.Contains(err.Error(), "authority_epoch: 0") {
		t.Errorf("faulty claims: %v", err)
	}
}

// Every way of being invalid has its own fault, and the reason of authority-state section 1;
// no error holds a piece of the token.
func TestTokenFaults(t *testing.T) {
	key, other := newKey(t), newKey(t)
	a := authority(t, key)
	good, full := issue(t, a, claims())
	header := func(change func(map[string]any)) map[string]any {
		h := map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": key.ID}
		if change != nil {
			change(h)
		}
		return h
	}
	with := func(change func(*Claims)) Claims {
		c := full
		change(&c)
		return c
	}
	parts := strings.Split(good, ".")
	tampered := with(func(c *Claims) { c.Tenant = "umbrella" })
	hs256 := func() string {
		signed := part(t, header(func(h map[string]any) { h["alg"] = "HS256" })) + "." + parts[1]
		mac := hmac.New(sha256.New, key.Public) // the public key as a secret: the classic confusion
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	type row struct {
		token string
		want  func(*Expect)
		at    time.Duration
		fault TokenFault
	}
	rows := map[string]row{
		"none":                    {"", nil, 0, FaultMissing},
		"garbage":                 {"not a token", nil, 0, FaultMalformed},
		"two parts":               {parts[0] + "." + parts[1], nil, 0, FaultMalformed},
		"too long":                {strings.Repeat("a", MaxTokenBytes+1), nil, 0, FaultMalformed},
		"claims of another shape": {forge(t, &key, header(nil), []int{1}), nil, 0, FaultMalformed},
		"padding":                 {good + "=", nil, 0, FaultMalformed},
		"alg none":                {part(t, header(func(h map[string]any) { h["alg"] = "none" })) + "." + parts[1] + ".", nil, 0, FaultAlgorithm},
		"alg none, signed":        {forge(t, &key, header(func(h map[string]any) { h["alg"] = "none" }), full), nil, 0, FaultAlgorithm},
		"alg HS256":               {hs256(), nil, 0, FaultAlgorithm},
		"alg unheard of":          {forge(t, &key, header(func(h map[string]any) { h["alg"] = "EdDSA2" }), full), nil, 0, FaultAlgorithm},
		"alg in small letters":    {forge(t, &key, header(func(h map[string]any) { h["alg"] = "eddsa" }), full), nil, 0, FaultAlgorithm},
		"critical extension":      {forge(t, &key, header(func(h map[string]any) { h["crit"] = []string{"b64"} }), full), nil, 0, FaultAlgorithm},
		"unknown key":             {forge(t, &other, header(func(h map[string]any) { h["kid"] = other.ID }), full), nil, 0, FaultUnknownKey},
		"no key named":            {forge(t, &key, header(func(h map[string]any) { delete(h, "kid") }), full), nil, 0, FaultUnknownKey},
		"key brought along": {forge(t, &other, header(func(h map[string]any) {
			h["kid"] = other.ID
			h["jwk"] = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(other.Public)}
		}), full), nil, 0, FaultUnknownKey},
		"signed by another": {forge(t, &other, header(nil), full), nil, 0, FaultSignature},
		"tampered":          {parts[0] + "." + part(t, tampered) + "." + parts[2], nil, 0, FaultSignature},
		"not signed":        {parts[0] + "." + parts[1] + ".", nil, 0, FaultSignature},
		"kid of another":    {forge(t, &key, header(nil), with(func(c *Claims) { c.Key = other.ID })), nil, 0, FaultClaims},
		"no tenant":         {forge(t, &key, header(nil), with(func(c *Claims) { c.Tenant = "" })), nil, 0, FaultClaims},
		"path for a name":   {forge(t, &key, header(nil), with(func(c *Claims) { c.Session = "../../etc" })), nil, 0, FaultClaims},
		"no jti":            {forge(t, &key, header(nil), with(func(c *Claims) { c.ID = "" })), nil, 0, FaultClaims},
		"epoch 0":           {forge(t, &key, header(nil), with(func(c *Claims) { c.Epoch = 0 })), nil, 0, FaultClaims},
		"too long-lived":    {forge(t, &key, header(nil), with(func(c *Claims) { c.Expires++ })), nil, 0, FaultLifetime},
		"no end":            {forge(t, &key, header(nil), with(func(c *Claims) { c.Expires = 0 })), nil, 0, FaultLifetime},
		"not yet":           {good, nil, -leeway - time.Second, FaultNotYet},
		"not before": {forge(t, &key, header(nil), struct {
			Claims
			NBF int64 `json:"nbf"`
		}{full, noon.Add(time.Minute).Unix()}), nil, 0, FaultNotYet},
		"expired":           {good, nil, TokenLifetime, FaultExpired},
		"another tenant":    {good, func(e *Expect) { e.Tenant = "umbrella" }, 0, FaultTenant},
		"another session":   {good, func(e *Expect) { e.Session = "s-2" }, 0, FaultSession},
		"another pipeline":  {good, func(e *Expect) { e.Pipeline = "voice-2" }, 0, FaultPipeline},
		"another transport": {good, func(e *Expect) { e.Transport = "rtvi" }, 0, FaultTransport},
		"stale epoch":       {good, func(e *Expect) { e.Epoch = 4 }, 0, FaultStaleEpoch},
		"epoch ahead":       {good, func(e *Expect) { e.Epoch = 2 }, 0, FaultEpochAhead},
	}
	for name, r := range rows {
		want := expect()
		if r.want != nil {
			r.want(&want)
		}
		_, err := a.Check(r.token, want, noon.Add(r.at))
		var got *TokenError
		if !errors.As(err, &got) || got.Fault != r.fault || got.Detail == "" {
			t.Errorf("%s: %v, want %s", name, err, r.fault)
			continue
		}
		for _, piece := range strings.Split(r.token, ".") {
			if len(piece) > 8 && strings.Contains(err.Error(), piece) {
				t.Errorf("%s: the error holds a piece of the token: %v", name, err)
			}
		}
	}
	for fault, want := range map[TokenFault]controlplane.AuthorityReason{
		FaultExpired: "token_expired", FaultStaleEpoch: "stale_epoch", FaultEpochAhead: "epoch_ahead", FaultRevoked: "deauthorized",
		FaultSignature: "token_invalid", FaultReplayed: "token_invalid",
	} {
		if got := (&TokenError{Fault: fault}).Reason(); got != want {
			t.Errorf("%s counts as %s", fault, got)
		}
	}
}

// A token is void when it, its session or its tenant was revoked, and when its session has
// ended; one that was issued later is not.
func TestTokenVoid(t *testing.T) {
	for name, row := range map[string]struct {
		void  func(*Revocations)
		fault TokenFault
	}{
		"token":                                 {func(r *Revocations) { r.Token("t-1", noon) }, FaultRevoked},
		"session":                               {func(r *Revocations) { r.Session("acme", "s-1", noon) }, FaultRevoked},
		"tenant":                                {func(r *Revocations) { r.Tenant("acme", noon) }, FaultRevoked},
		"ended":                                 {func(r *Revocations) { r.Ended("acme", "s-1", noon) }, FaultReplayed},
		"another token":                         {func(r *Revocations) { r.Token("t-2", noon) }, ""},
		"another session":                       {func(r *Revocations) { r.Session("acme", "s-2", noon) }, ""},
		"another tenant's session of that name": {func(r *Revocations) { r.Session("umbrella", "s-1", noon) }, ""},
		"another tenant":                        {func(r *Revocations) { r.Tenant("umbrella", noon) }, ""},
	} {
		a := authority(t)
		token, _ := issue(t, a, claims())
		row.void(a.Revocations())
		_, err := a.Check(token, expect(), noon.Add(time.Second))
		var got *TokenError
		if errors.As(err, &got); (got == nil) != (row.fault == "") || got != nil && got.Fault != row.fault {
			t.Errorf("%s: %v, want %q", name, err, row.fault)
		}
		later, _, err := a.Issue(Claims{Tenant: "acme", Session: "s-1", Pipeline: "voice-1", Epoch: 3, Transport: "websocket"}, "t-9", noon.Add(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Check(later, expect(), noon.Add(3*time.Second)); err != nil {
			t.Errorf("%s: a later token: %v", name, err)
		}
	}
}

// What is remembered is bounded; when there is no room it is the client who has to ask for
// a fresh token, never the one who revoked.
func TestRevocationsBounded(t *testing.T) {
	r := NewRevocations(time.Minute)
	r.most = 100
	victim := Claims{Tenant: "acme", Session: "s-1", ID: "first", IssuedAt: noon.Unix()}
	r.Token("first", noon)
	for i := range 1000 {
		r.Token("t-"+string(rune('a'+i%26))+time.Duration(i).String(), noon.Add(time.Duration(i)*time.Millisecond))
		if r.Len() > 100 {
			t.Fatalf("%d are remembered", r.Len())
		}
	}
	if revoked, ended := r.Void(&victim, noon.Add(2*time.Second)); !revoked && !ended {
		t.Error("a revocation was forgotten in the client's favour")
	}
	fresh := Claims{Tenant: "acme", Session: "s-3", ID: "fresh", IssuedAt: noon.Unix() + 2}
	if revoked, ended := r.Void(&fresh, noon.Add(2*time.Second)); revoked || ended {
		t.Error("a token that was issued afterwards is void")
	}
	// When all that was revoked has expired there is room again.
	r.Token("late", noon.Add(time.Hour))
	for i := range 100 {
		r.Token("l-"+time.Duration(i).String(), noon.Add(time.Hour))
	}
	old := Claims{Tenant: "x", Session: "y", ID: "z", IssuedAt: noon.Add(time.Hour).Unix() - 30}
	if revoked, ended := r.Void(&old, noon.Add(time.Hour)); !revoked && !ended && r.Len() < 50 {
		t.Errorf("%d are remembered", r.Len())
	}
}

// A file may hold several keys, for rotation: the first one that can sign does, and what
// an older one signed is valid.
func TestKeyFile(t *testing.T) {
	older, newer := newKey(t), newKey(t)
	write := func(private bool, keys ...Key) (out []byte) {
		for i := range keys {
			b, err := keys[i].PEM(private)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b...)
		}
		return out
	}
	keys, err := ReadKeys("keys.pem", write(true, newer, older))
	if err != nil || len(keys) != 2 || keys[0].ID != newer.ID || !keys[0].Signs() || !bytes.Equal(keys[1].private, older.private) {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	token, _ := issue(t, authority(t, older), claims())
	if _, err := authority(t, keys...).Check(token, expect(), noon); err != nil {
		t.Errorf("a token of the older key: %v", err)
	}
	public, err := ReadKeys("public.pem", write(false, newer))
	if err != nil || public[0].Signs() || public[0].ID != newer.ID {
		t.Fatalf("the public half: %+v, %v", public, err)
	}
	if _, _, err := authority(t, public...).Issue(claims(), "", noon); err == nil || !strings.Contains(err.Error(), "private half") {
		t.Errorf("issuing with it: %v", err)
	}
	j, err := newer.JWK()
	if err != nil {
		t.Fatal(err)
	}
	set, err := ReadKeys("set.json", []byte(`{"keys":[`+string(j)+`]}`))
	if err != nil || set[0].ID != newer.ID || !bytes.Equal(set[0].Public, newer.Public) {
		t.Errorf("as a set: %v", err)
	}
	secret := base64.RawURLEncoding.EncodeToString(newer.private.Seed())
	one := strings.Replace(string(j), `"kty"`, `"d":"`+secret+`","kty"`, 1)
	if own, err := ReadKeys("key.json", []byte(one)); err != nil || !own[0].Signs() {
		t.Errorf("with its private half: %v", err)
	}
	for name, text := range map[string]string{
		"empty": "", "words": "hello", "other block": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"twice": string(write(true, newer, newer)), "rsa": `{"kty":"RSA","n":"AQAB","e":"AQAB"}`, "short": `{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`,
		"foreign half": strings.Replace(one, secret, base64.RawURLEncoding.EncodeToString(older.private.Seed()), 1),
		"large":        strings.Repeat(" ", MaxKeyFileBytes+1),
	} {
		if _, err := ReadKeys("file", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "fleet: keys: file: ") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of a view neither version nor epoch goes back, and a stale one leads nowhere (F-159).
func TestRoutes(t *testing.T) {
	var r Routes
	if _, err := r.Current(noon); !errors.Is(err, ErrViewStale) {
		t.Errorf("without a view: %v", err)
	}
	view := func(version int64, epoch eventabi.Epoch) View {
		return View{Version: version, Active: "here", Candidate: "there", Epoch: epoch, IssuedAtMS: noon.UnixMilli()}
	}
	for i, row := range []struct {
		view    View
		rotated bool
		err     error
	}{
		{view(5, 2), false, nil},
		{view(5, 2), false, nil},
		{view(4, 2), false, ErrViewBehind},
		{view(6, 1), false, ErrViewBehind},
		{View{Version: 5, Active: "elsewhere", Epoch: 2, IssuedAtMS: 1}, false, ErrViewBehind},
		{view(6, 2), false, nil},
		{view(7, 3), true, nil},
	} {
		row.view.MaxStaleness = 10000
		if rotated, err := r.Apply(row.view); rotated != row.rotated || !errors.Is(err, row.err) {
			t.Errorf("view %d: %v, %v", i, rotated, err)
		}
	}
	if v, err := r.Current(noon.Add(ViewStaleness)); err != nil || v.Version != 7 || v.Epoch != 3 {
		t.Errorf("the view in force: %+v, %v", v, err)
	}
	if _, err := r.Current(noon.Add(ViewStaleness + time.Millisecond)); !errors.Is(err, ErrViewStale) {
		t.Errorf("when it is old: %v", err)
	}
	_, err := r.Apply(View{Active: "a", Candidate: "a", MaxStaleness: -1})
	for _, field := range []string{"view_version", "candidate_endpoint", "lease_epoch", "issued_at_ms", "max_staleness_ms"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not in %v", field, err)
		}
	}
}
