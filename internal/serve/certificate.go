// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/parley-voice/parley/internal/settings"
)

// certificate is what the server shows of itself. The file is looked at again as connections
// come, and read anew when it has changed: who renews certificates need not restart it.
type certificate struct {
	file   string
	key    settings.Reference
	getenv func(string) string
	log    *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	shown   *tls.Certificate
	written time.Time // the file, when it was read
	looked  time.Time
}

// lookEvery is how often the file is looked at, at most.
const lookEvery = time.Second

// readCertificate reads the certificate of a configuration; nil when it has none.
func readCertificate(c *Config, p *Program) (*certificate, error) {
	if c.TLS.Certificate == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	out := &certificate{file: c.TLS.Certificate, key: c.TLS.Key, getenv: p.Getenv, log: p.Log, now: time.Now}
	if err := out.read(); err != nil {
		return nil, err
	}
	return out, nil
}

// read takes the pair of files; what was shown stays when they are no pair.
func (c *certificate) read() error {
	info, err := os.Stat(c.file)
	if err != nil {
		return fmt.Errorf("serve: tls.certificate: %w", err)
	}
	chain, err := os.ReadFile(c.file)
	if err != nil {
		return fmt.Errorf("serve: tls.certificate: %w", err)
	}
	key, err := c.key.Resolve(c.getenv)
	if err != nil {
		return fmt.Errorf("serve: tls.key: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, []byte(key))
	if err != nil {
		return fmt.Errorf("serve: tls.certificate: %s with tls.key %s: %w: give the certificate, with those that it was signed by behind it, and its own key, both in PEM", c.file, c.key, err)
	}
	c.shown, c.written, c.looked = &pair, info.ModTime(), c.now()
	return nil
}

// config is that of a listener. HTTP/2 is left out: WebSockets come by HTTP/1.1.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: c.get}
}

// get gives the certificate for a connection.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= lookEvery {
		c.looked = now
		info, err := os.Stat(c.file)
		if err == nil && info.ModTime().Equal(c.written) {
			return c.shown, nil
		}
		if err == nil {
			err = c.read()
		}
		if err != nil {
			c.log.Warn("the certificate cannot be read anew; the one before is shown", "error", err)
		}
	}
	return c.shown, nil
}
