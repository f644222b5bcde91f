// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/settings"
)

// pairOf writes a certificate for loopback and its key.
func pairOf(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: private}, "chain.pem": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A certificate is read anew when its file has changed, and the one before is shown while the new
// one is no pair with its key.
func TestCertificateIsReadAnew(t *testing.T) {
	dir := t.TempDir()
	pairOf(t, dir, "first")
	config := Default()
	config.TLS.Certificate, config.TLS.Key = filepath.Join(dir, "chain.pem"), settings.Reference("file://"+filepath.Join(dir, "key.pem"))
	var log bytes.Buffer
	c, err := readCertificate(config, &Program{Log: slog.New(slog.NewTextHandler(&log, nil)), Getenv: os.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	shown := func() string {
		t.Helper()
		now = now.Add(lookEvery)
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	later := now
	changed := func() {
		later = later.Add(time.Minute)
		if err := os.Chtimes(c.file, later, later); err != nil {
			t.Fatal(err)
		}
	}
	if got := shown(); got != "first" {
		t.Errorf("it shows %s", got)
	}
	pairOf(t, dir, "second")
	changed()
	if got := shown(); got != "second" {
		t.Errorf("after a change it shows %s", got)
	}
	if err := os.WriteFile(c.file, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed()
	if got := shown(); got != "second" || !strings.Contains(log.String(), "cannot be read anew") {
		t.Errorf("with half a file it shows %s, and says %s", got, log.String())
	}
	if err := os.Remove(c.file); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != "second" {
		t.Errorf("without a file it shows %s", got)
	}
}

// What cannot be shown is told before anything listens.
func TestCertificateThatIsNone(t *testing.T) {
	dir := t.TempDir()
	pairOf(t, dir, "first")
	chain, key := filepath.Join(dir, "chain.pem"), "file://"+filepath.Join(dir, "key.pem")
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ certificate, key, want string }{
		{filepath.Join(dir, "none.pem"), key, "tls.certificate"},
		{chain, "file://" + filepath.Join(dir, "none.pem"), "tls.key"},
		{chain, "env://NO_SUCH_VARIABLE_HERE", "tls.key"},
		{filepath.Join(dir, "text"), key, "both in PEM"},
		{chain, "file://" + chain, "both in PEM"},
	} {
		config := Default()
		config.TLS.Certificate, config.TLS.Key = c.certificate, settings.Reference(c.key)
		if _, err := New(config, Program{Getenv: os.Getenv}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s: %v; want %s", c.certificate, c.key, err, c.want)
		}
	}
	half := Default()
	half.TLS.Certificate = chain
	if problems := half.Problems(); len(problems) != 1 || problems[0].Path != "tls.key" {
		t.Errorf("without a key: %v", problems)
	}
}
