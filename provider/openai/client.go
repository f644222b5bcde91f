// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/parley-voice/parley/provider"
)

// Client is a language model behind a server. It implements provider.LLM and is safe for
// concurrent use.
type Client struct {
	config Config
	base   *url.URL
	http   *http.Client
}

var _ provider.LLM = (*Client)(nil)

// New builds a client. Without a model it asks the server for one, within ctx; the error
// is then a *provider.Failure.
func New(ctx context.Context, config Config) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	base, err := config.base()
	if err != nil {
		return nil, err
	}
	if config.ID == "" {
		config.ID = ID
	}
	if config.Expected == (provider.Latency{}) {
		config.Expected = provider.Latency{First: 400 * time.Millisecond, Next: 20 * time.Millisecond}
	}
	c := &Client{config: config, base: base, http: client(config.HTTPClient)}
	if c.config.Model == "" {
		list, err := c.Models(ctx)
		if err != nil {
			return nil, fmt.Errorf("openai: no model is set, and asking for one failed: %w", err)
		}
		if c.config.Model = chatModel(list); c.config.Model == "" {
			return nil, fmt.Errorf("openai: no model is set, and %s offers none that can chat; install one or set %s", base.Host, EnvModel)
		}
	}
	return c, nil
}

// client is a copy of the given client, or one of our own, that follows no redirect.
func client(given *http.Client) *http.Client {
	var c http.Client
	if given != nil {
		c = *given
	} else {
		c.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second,
			DisableCompression:  true, // a compressed stream is a delayed stream
		}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// Close drops idle connections. Calls under way go on.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Descriptor names the model that answers.
func (c *Client) Descriptor() provider.Descriptor {
	return provider.Descriptor{
		ID:              c.config.ID,
		Modality:        provider.ModalityLLM,
		Model:           c.config.Model,
		ContractVersion: provider.ContractVersion,
		Capabilities: provider.Capabilities{
			Streaming: true,
			Cancel:    true,
			Tools:     true,
			Offline:   loopback(c.base.Hostname()),
		},
		Expected: c.config.Expected,
	}
}

// Generate streams one reply. Each piece of text that the server sends is one text_delta;
// calls of tools are put together, and handed on at the end.
func (c *Client) Generate(ctx context.Context, call provider.Call, prompt provider.Prompt, sink provider.Sink) provider.Outcome {
	out := provider.NewEmitter(sink)
	out.Start()
	if err := errors.Join(call.Validate(provider.ModalityLLM), prompt.Validate()); err != nil {
		return out.Fail(provider.InvalidRequest(err))
	}
	body, err := c.body(prompt)
	if err != nil {
		return out.Fail(provider.InvalidRequest(err))
	}
	resp, err := c.send(ctx, http.MethodPost, "/chat/completions", body, "text/event-stream")
	if err != nil {
		return out.Fail(transportOutcome(ctx, err, false))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		o := statusOutcome(resp)
		if ctx.Err() != nil {
			o = transportOutcome(ctx, ctx.Err(), true)
		}
		return out.Fail(o)
	}
	r := reply{out: out, tools: len(prompt.Tools) > 0 && !prompt.NoCalls}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "application/json" {
		return r.single(ctx, resp.Body)
	}
	o := r.stream(ctx, resp.Body)
	if o.Class == provider.OutcomeSuccess {
		drain(resp.Body)
	}
	return o
}

// Models lists the names of the server's models in its order. The error is a
// *provider.Failure.
func (c *Client) Models(ctx context.Context) ([]string, error) {
	resp, err := c.send(ctx, http.MethodGet, "/models", nil, "application/json")
	if err != nil {
		return nil, &provider.Failure{Outcome: transportOutcome(ctx, err, false)}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, &provider.Failure{Outcome: statusOutcome(resp)}
	}
	list, err := readModels(resp.Body)
	if err != nil {
		if ctx.Err() != nil {
			return nil, &provider.Failure{Outcome: transportOutcome(ctx, err, true)}
		}
		return nil, &provider.Failure{Outcome: failed("malformed_response", false, err.Error())}
	}
	return list, nil
}

// send makes one request below the base URL.
func (c *Client) send(ctx context.Context, method, path string, body []byte, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "parley")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.config.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+string(c.config.APIKey))
	}
	return c.http.Do(req)
}

const modelsMax = 4 << 20 // bytes of a list of models

// readModels reads a list of models and is strict about its shape, since it is how a
// server of this kind is told from any other.
func readModels(r io.Reader) ([]string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, modelsMax))
	if err != nil {
		return nil, fmt.Errorf("the list of models broke off: %w", err)
	}
	var list modelList
	if json.Unmarshal(raw, &list) != nil || list.Object != "list" || list.Data == nil {
		return nil, errors.New(`the answer is not a list of models ({"object":"list","data":[{"id":...}]})`)
	}
	names := make([]string, 0, len(list.Data))
	for i, m := range list.Data {
		if m.ID == "" {
			return nil, fmt.Errorf("data[%d].id: is empty", i)
		}
		names = append(names, m.ID)
	}
	return names, nil
}

// chatModel takes the first model that does not look as if it were for something else.
// The protocol does not say what a model is for, so its name must.
func chatModel(names []string) string {
	for _, name := range names {
		other := false
		for _, mark := range [...]string{"embed", "rerank", "whisper", "tts", "bge-", "clip", "moderation", "dall-e"} {
			other = other || strings.Contains(strings.ToLower(name), mark)
		}
		if !other {
			return name
		}
	}
	return ""
}
