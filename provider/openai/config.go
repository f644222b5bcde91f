// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/parley-voice/parley/provider"
)

// ID is the adapter's id unless the configuration gives another.
const ID = "openai"

// The environment variables that FromEnv reads.
const (
	EnvBaseURL = "PARLEY_LLM_BASE_URL"
	EnvModel   = "PARLEY_LLM_MODEL"
	EnvAPIKey  = "PARLEY_LLM_API_KEY"
)

// Key is a secret. It prints as "[redacted]" in every format.
type Key string

const redacted = "[redacted]"

// Format keeps the secret out of every verb of fmt.
func (k Key) Format(f fmt.State, _ rune) {
	if k != "" {
		_, _ = f.Write([]byte(redacted))
	}
}

// MarshalText keeps the secret out of JSON and the like.
func (k Key) MarshalText() ([]byte, error) {
	if k == "" {
		return nil, nil
	}
	return []byte(redacted), nil
}

// Config says which server to use and how.
type Config struct {
	// BaseURL is the root of the API, for example https://api.openai.com/v1. Without a
	// path, /v1 is added.
	BaseURL string
	// Model is the model's name; empty asks the server for its models and takes the
	// first that can chat.
	Model string
	// APIKey is sent as a bearer token; empty sends none.
	APIKey Key
	// ID is the adapter's id in lower_snake_case; empty means "openai".
	ID string
	// MaxTokensField is how the server calls the limit on a reply: max_tokens (when
	// empty) or max_completion_tokens.
	MaxTokensField string
	// OmitUsage leaves stream_options out, for servers that refuse it.
	OmitUsage bool
	// Expected is the model of the server's speed for virtual time; zero means 400 ms to
	// the first token and 20 ms between tokens, in the range of hosted models.
	Expected provider.Latency
	// HTTPClient replaces the adapter's own; its redirect policy is overridden.
	HTTPClient *http.Client
}

// FromEnv reads the configuration by getenv, for example os.Getenv. ok is false when no
// server is named; a model or a key without a server is an error.
func FromEnv(getenv func(string) string) (c Config, ok bool, err error) {
	c = Config{
		BaseURL: strings.TrimSpace(getenv(EnvBaseURL)),
		Model:   strings.TrimSpace(getenv(EnvModel)),
		APIKey:  Key(strings.TrimSpace(getenv(EnvAPIKey))),
	}
	switch {
	case c.BaseURL != "":
		return c, true, nil
	case c.Model != "":
		return Config{}, false, fmt.Errorf("openai: %s is set but %s is not; set it to the server's base URL", EnvModel, EnvBaseURL)
	case c.APIKey != "":
		return Config{}, false, fmt.Errorf("openai: %s is set but %s is not; set it to the server's base URL", EnvAPIKey, EnvBaseURL)
	}
	return Config{}, false, nil
}

// Validate reports all faults of the configuration at once.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("openai: "+format, args...)) }
	if _, err := c.base(); err != nil {
		faults = append(faults, err)
	}
	if strings.ContainsFunc(c.Model, unicode.IsControl) {
		fault("model: %q holds control characters; give the model's name", c.Model)
	}
	if strings.ContainsFunc(string(c.APIKey), func(r rune) bool { return r <= ' ' || r > '~' }) {
		fault("api_key: holds characters that a header cannot carry; give the key without spaces or line ends")
	}
	if strings.ContainsFunc(c.ID, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_') }) {
		fault("id: %q; use lower_snake_case", c.ID)
	}
	switch c.MaxTokensField {
	case "", "max_tokens", "max_completion_tokens":
	default:
		fault("max_tokens_field: %q; use max_tokens or max_completion_tokens", c.MaxTokensField)
	}
	if c.Expected.First < 0 || c.Expected.Next < 0 {
		fault("expected: %v, %v; use positive durations, 0 for the default", c.Expected.First, c.Expected.Next)
	}
	return errors.Join(faults...)
}

// base is the checked and completed base URL, without a slash at its end.
func (c Config) base() (*url.URL, error) {
	u, err := url.Parse(c.BaseURL)
	switch {
	case c.BaseURL == "":
		return nil, errors.New("openai: base_url: is empty; give the root of the API, for example https://api.openai.com/v1")
	case err != nil:
		// The parser's message quotes the URL, which may hold a password.
		return nil, errors.New("openai: base_url: cannot be parsed; give a URL such as https://api.openai.com/v1")
	case u.User != nil:
		return nil, errors.New("openai: base_url: holds a user or password; give the key as api_key")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("openai: base_url: scheme %q; use http or https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("openai: base_url: names no host; give a URL such as https://api.openai.com/v1")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("openai: base_url: holds a query or fragment; give the root of the API alone")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if strings.HasSuffix(u.Path, "/chat/completions") {
		return nil, errors.New("openai: base_url: ends in /chat/completions; give the root before it")
	}
	if u.Path == "" {
		u.Path = "/v1"
	}
	return u, nil
}
