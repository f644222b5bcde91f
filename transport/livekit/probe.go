// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Plan is what an agent would do in a room.
type Plan struct {
	URL      string        // that signalling goes to
	Room     string        //
	Identity string        // of the agent
	Name     string        //
	Talks    string        // whom it talks to: an identity, or "the first who comes"
	Grants   Grants        // that its token has
	Lifetime time.Duration // of the token
}

// DryRun checks everything that can be without the network: the configuration, the secret and the
// token that it signs. It gives what Join would do.
func DryRun(ctx context.Context, c Config, room string) (Plan, error) {
	if err := c.Validate(); err != nil {
		return Plan{}, err
	}
	c = c.withDefaults()
	u, err := address(c.URL)
	if err != nil {
		return Plan{}, err
	}
	if room == "" || len(room) > longestID {
		return Plan{}, fmt.Errorf("livekit: room: %q: use a name of 1 to %d bytes", room, longestID)
	}
	if _, err := c.accessToken(ctx, room, time.Now()); err != nil {
		return Plan{}, err
	}
	talks := c.Participant
	if talks == "" {
		talks = "the first who comes"
	}
	return Plan{
		URL: entrance(u, ""), Room: room, Identity: c.Identity, Name: c.Name, Talks: talks, Grants: grantsFor(room), Lifetime: c.Lifetime,
	}, nil
}

// Report is what a probe found.
type Report struct {
	Plan Plan
	Took time.Duration // of the request, with what connecting took
}

// Probe asks the server whether it would let the agent into a room; nobody joins one. The
// error wraps ErrCredentials when it would not.
func Probe(ctx context.Context, c Config, room string) (Report, error) {
	plan, err := DryRun(ctx, c, room)
	if err != nil {
		return Report{}, err
	}
	c = c.withDefaults()
	u, err := address(c.URL)
	if err != nil {
		return Report{}, err
	}
	token, err := c.accessToken(ctx, room, time.Now())
	if err != nil {
		return Report{}, err
	}
	ctx, stop := context.WithTimeout(ctx, c.Connect)
	defer stop()
	ask := *u
	ask.Scheme = strings.Replace(ask.Scheme, "ws", "http", 1)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, ask.JoinPath("rtc", "validate").String(), http.NoBody)
	if err != nil {
		return Report{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	began := time.Now()
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the token is for this server alone
	}}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return Report{}, fmt.Errorf("livekit: url: %s cannot be reached: %w", u, err)
	}
	defer func() { _ = res.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(res.Body, mostReason))
	if res.StatusCode != http.StatusOK {
		return Report{}, refusal(u, res.StatusCode, printable(string(said)))
	}
	return Report{Plan: plan, Took: time.Since(began)}, nil
}
