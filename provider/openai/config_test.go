// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestBaseURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://api.openai.com/v1":        "https://api.openai.com/v1",
		"http://127.0.0.1:11434":           "http://127.0.0.1:11434/v1",
		"http://127.0.0.1:11434/":          "http://127.0.0.1:11434/v1",
		"https://openrouter.ai/api/v1//":   "https://openrouter.ai/api/v1",
		"":                                 "is empty",
		"localhost:8080":                   `scheme "localhost"`,
		"127.0.0.1:8080":                   "cannot be parsed",
		"ftp://host/v1":                    `scheme "ftp"`,
		"http:///v1":                       "names no host",
		"https://me:pass@host/v1":          "holds a user or password",
		"https://host/v1?key=x":            "holds a query",
		"https://host/v1/chat/completions": "ends in /chat/completions",
		"https://me:pass%zz@host/v1":       "cannot be parsed",
	} {
		u, err := Config{BaseURL: in}.base()
		got := fmt.Sprint(err)
		if err == nil {
			got = u.String()
		}
		if (err == nil && got != want) || !strings.Contains(got, want) || strings.Contains(got, "pass%") {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestValidateReportsAllFaults(t *testing.T) {
	err := Config{Model: "a\nb", APIKey: "with space", ID: "Open-AI", MaxTokensField: "tokens"}.Validate()
	for _, part := range []string{"base_url:", "model:", "api_key:", "id:", "max_tokens_field:"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "with space") {
		t.Errorf("the key is in %v", err)
	}
}

func TestKeyNeverPrints(t *testing.T) {
	c := Config{BaseURL: "http://x", APIKey: secret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{c, &c, c.APIKey, []Key{c.APIKey}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, secret) || strings.Contains(got, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s prints %s", verb, got)
			}
		}
	}
	if b, err := json.Marshal(c.APIKey); err != nil || string(b) != `"[redacted]"` {
		t.Errorf("%s %v", b, err)
	}
}

func TestFromEnv(t *testing.T) {
	env := map[string]string{}
	get := func(name string) string { return env[name] }
	if _, ok, err := FromEnv(get); ok || err != nil {
		t.Error("a server out of nothing", err)
	}
	env[EnvAPIKey] = secret
	if _, ok, err := FromEnv(get); ok || err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a key without a server: %v", err)
	}
	env[EnvBaseURL], env[EnvModel] = " http://localhost:1\n", "m"
	c, ok, err := FromEnv(get)
	if !ok || err != nil || c.BaseURL != "http://localhost:1" || c.Model != "m" || c.APIKey != secret {
		t.Errorf("%+v %v %v", c, ok, err)
	}
}
