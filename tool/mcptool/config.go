// SPDX-License-Identifier: Apache-2.0

package mcptool

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// Config is a server, and what of it the model may use.
type Config struct {
	// Name begins the names of its tools: 1 to 24 lower-case letters, digits and underscores.
	Name string
	// Command starts a server that is spoken to over its standard input and output; URL is that
	// of one that is spoken to over streamable HTTP. One of them.
	Command []string
	URL     string
	// Environment names variables of this process that the command is given as well.
	Environment []string
	// Secret gives the bearer token for URL, each time that a connection is made; nil = none.
	Secret func() (string, error)
	// Allow are the tools that the model may call, by their names at the server; none = all.
	Allow []string
	// Timeout is for one call, 0 = 10 s. MaxOutput is the most bytes of what a call gives, 0 = 16 KiB.
	Timeout   time.Duration
	MaxOutput int
	// Version of this program, which a server is told.
	Version string
	// Log is told when the server comes and goes; nil = nobody is.
	Log *slog.Logger
	// Getenv is the environment that a command's is taken from; nil = this process's.
	Getenv func(string) string
}

// The bounds.
const (
	DefaultTimeout   = 10 * time.Second
	DefaultMaxOutput = 16 << 10
	maxNameLength    = 24
	maxTools         = 128
	maxDescription   = 4 << 10
	maxSchema        = 64 << 10
	maxMessage       = 4 << 20 // bytes of one message on the wire
	maxWords         = 64      // of a command
	maxTimeout       = 10 * time.Minute
	maxMaxOutput     = 256 << 10
	connectTimeout   = 30 * time.Second
	terminate        = time.Second // what a process has to end by itself
	firstPause       = 100 * time.Millisecond
	longestPause     = 30 * time.Second
)

// Validate reports all faults at once.
func (c *Config) Validate() error {
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("mcptool: server %q: %s: %v: %s", c.Name, field, value, remedy))
	}
	if c.Name == "" || len(c.Name) > maxNameLength || strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		fault("name", fmt.Sprintf("%q", c.Name), fmt.Sprintf("use 1 to %d lower-case letters, digits and underscores", maxNameLength))
	}
	switch {
	case (len(c.Command) == 0) == (c.URL == ""):
		fault("command", fmt.Sprintf("%q", c.Command), "give either a command or an url")
	case len(c.Command) > maxWords || len(c.Command) > 0 && c.Command[0] == "":
		fault("command", fmt.Sprintf("%d words", len(c.Command)), fmt.Sprintf("give a program and at most %d arguments", maxWords-1))
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil) {
		fault("url", "it", "write scheme, host and path, such as https://tools.example/mcp, without a user")
	}
	if c.URL == "" && c.Secret != nil {
		fault("secret", "it", "a command takes none: name an environment variable, or give an url")
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		fault("timeout", c.Timeout, fmt.Sprintf("use 0 for %v, or at most %v", DefaultTimeout, maxTimeout))
	}
	if c.MaxOutput < 0 || c.MaxOutput > maxMaxOutput {
		fault("max_output", c.MaxOutput, fmt.Sprintf("use 0 for %d bytes, or at most %d", DefaultMaxOutput, maxMaxOutput))
	}
	return errors.Join(faults...)
}

func (c *Config) withDefaults() {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxOutput == 0 {
		c.MaxOutput = DefaultMaxOutput
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}
