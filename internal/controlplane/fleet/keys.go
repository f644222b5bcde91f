// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/parley-voice/parley/api/eventabi"
)

// Bounds of a key file.
const (
	// MaxKeyFileBytes is the size beyond which a key file is refused.
	MaxKeyFileBytes = 1 << 16
	maxKeys         = 32
)

// Key signs tokens, or checks them only.
type Key struct {
	ID      string // `kid`
	Public  ed25519.PublicKey
	private ed25519.PrivateKey // nil = it only checks
}

// Signs says that tokens can be issued with the key.
func (k *Key) Signs() bool { return k.private != nil }

// NewKey makes a key from a source of chance, such as that of package crypto/rand.
func NewKey(chance io.Reader) (Key, error) {
	public, private, err := ed25519.GenerateKey(chance)
	if err != nil {
		return Key{}, fmt.Errorf("fleet: make a key: %w", err)
	}
	return Key{ID: thumbprint(public), Public: public, private: private}, nil
}

// thumbprint is the id of a key that has none of its own (RFC 7638 section 3, RFC 8037).
func thumbprint(public ed25519.PublicKey) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Types of PEM blocks.
const (
	pemPrivate = "PRIVATE KEY"
	pemPublic  = "PUBLIC KEY"
)

// PEM writes the key as PKCS #8, and without the private half as PKIX.
func (k *Key) PEM(private bool) ([]byte, error) {
	block := pem.Block{Type: pemPublic}
	var err error
	switch {
	case private && k.private == nil:
		return nil, fmt.Errorf("fleet: key %s: it has no private half", k.ID)
	case private:
		block.Type = pemPrivate
		block.Bytes, err = x509.MarshalPKCS8PrivateKey(k.private)
	default:
		block.Bytes, err = x509.MarshalPKIXPublicKey(k.Public)
	}
	if err != nil {
		return nil, fmt.Errorf("fleet: key %s: %w", k.ID, err)
	}
	return pem.EncodeToMemory(&block), nil
}

// jwk is a key as RFC 8037 writes it.
type jwk struct {
	Type    string `json:"kty"`
	Curve   string `json:"crv"`
	X       string `json:"x"`
	D       string `json:"d,omitempty"`
	ID      string `json:"kid,omitempty"`
	Use     string `json:"use,omitempty"`
	Purpose string `json:"alg,omitempty"`
}

// JWK writes the public half as a JSON Web Key.
func (k *Key) JWK() ([]byte, error) {
	out, err := json.Marshal(jwk{
		Type: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.Public), ID: k.ID, Use: "sig", Purpose: algorithm,
	})
	if err != nil {
		return nil, fmt.Errorf("fleet: key %s: %w", k.ID, err)
	}
	return out, nil
}

// Keys are those of an installation, the newest first: the first that can sign does, and
// all of them check, so that what an older one signed stays valid while it is rotated out.
type Keys []Key

// ReadKeys reads a key file: PEM blocks (PKCS #8 or PKIX), a JSON Web Key, or a set of
// them. name is for errors, which say nothing of a key but its place in the file.
func ReadKeys(name string, data []byte) (Keys, error) {
	if len(data) > MaxKeyFileBytes {
		return nil, fmt.Errorf("fleet: keys: %s: more than %d bytes: give a file of Ed25519 keys", name, MaxKeyFileBytes)
	}
	read := readPEM
	if b := bytes.TrimSpace(data); len(b) > 0 && b[0] == '{' {
		read = readJWK
	}
	keys, err := read(data)
	if err == nil {
		err = keys.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("fleet: keys: %s: %w", name, err)
	}
	return keys, nil
}

// Validate reports every fault at once.
func (ks Keys) Validate() error {
	var faults []error
	if len(ks) == 0 || len(ks) > maxKeys {
		faults = append(faults, fmt.Errorf("%d keys: give 1 to %d; parley token keygen makes one", len(ks), maxKeys))
	}
	seen := map[string]bool{}
	for i, k := range ks {
		switch {
		case len(k.Public) != ed25519.PublicKeySize:
			faults = append(faults, fmt.Errorf("key %d: it is no Ed25519 key", i+1))
		case !validID(k.ID):
			faults = append(faults, fmt.Errorf("key %d: kid: %q: use 1 to %d characters of A-Z a-z 0-9 . _ : -", i+1, k.ID, eventabi.MaxIDLength))
		case seen[k.ID]:
			faults = append(faults, fmt.Errorf("key %d: kid: %q stands there before: give each key its own", i+1, k.ID))
		}
		seen[k.ID] = true
	}
	return errors.Join(faults...)
}

func readPEM(data []byte) (keys Keys, err error) {
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			if len(bytes.TrimSpace(rest)) > 0 {
				return nil, fmt.Errorf("key %d: it is neither a PEM block nor a JSON Web Key", len(keys)+1)
			}
			return keys, nil
		}
		k, err := keyOf(block)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(keys)+1, err)
		}
		keys = append(keys, k)
	}
}

func keyOf(block *pem.Block) (Key, error) {
	var parsed any
	var err error
	switch block.Type {
	case pemPrivate:
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case pemPublic:
		parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
	default:
		return Key{}, fmt.Errorf("a block of %q: use %q (PKCS #8) or %q", block.Type, pemPrivate, pemPublic)
	}
	if err != nil {
		return Key{}, errors.New("the block cannot be read: use an Ed25519 key") // the cause may hold bytes of it
	}
	switch k := parsed.(type) {
	case ed25519.PrivateKey:
		return privateKey(k, ""), nil
	case ed25519.PublicKey:
		return Key{ID: thumbprint(k), Public: k}, nil
	}
	return Key{}, errors.New("it is of another kind: use an Ed25519 key")
}

func privateKey(private ed25519.PrivateKey, id string) Key {
	public := ed25519.PublicKey(bytes.Clone(private[ed25519.SeedSize:]))
	if id == "" {
		id = thumbprint(public)
	}
	return Key{ID: id, Public: public, private: private}
}

func readJWK(data []byte) (keys Keys, err error) {
	var set struct {
		Keys []jwk `json:"keys"`
		jwk
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, errors.New("it is no JSON Web Key") // the cause may hold bytes of it
	}
	list := set.Keys
	if set.Type != "" {
		list = append(list, set.jwk)
	}
	for i, j := range list {
		k, err := j.key()
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func (j *jwk) key() (Key, error) {
	if j.Type != "OKP" || j.Curve != "Ed25519" {
		return Key{}, fmt.Errorf("kty %q, crv %q: use OKP and Ed25519", j.Type, j.Curve)
	}
	public, err := base64.RawURLEncoding.DecodeString(j.X)
	if err != nil || len(public) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("x: it is not %d bytes in base64url", ed25519.PublicKeySize)
	}
	k := Key{ID: j.ID, Public: public}
	if k.ID == "" {
		k.ID = thumbprint(k.Public)
	}
	if j.D == "" {
		return k, nil
	}
	seed, err := base64.RawURLEncoding.DecodeString(j.D)
	if err != nil || len(seed) != ed25519.SeedSize {
		return Key{}, fmt.Errorf("d: it is not %d bytes in base64url", ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	if !bytes.Equal(private[ed25519.SeedSize:], public) {
		return Key{}, errors.New("x does not belong to d")
	}
	return privateKey(private, k.ID), nil
}

// signing gives the key that signs, nil when none can.
func (ks Keys) signing() *Key {
	for i := range ks {
		if ks[i].Signs() {
			return &ks[i]
		}
	}
	return nil
}

func (ks Keys) find(id string) *Key {
	for i := range ks {
		if ks[i].ID == id {
			return &ks[i]
		}
	}
	return nil
}

// validID says whether a text can be an identifier (authority-state section 5).
func validID(s string) bool {
	if s == "" || len(s) > eventabi.MaxIDLength {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}
