// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// probeMax is how long Probe may take in all.
const probeMax = 300 * time.Millisecond

// ErrNoServer says that no candidate answered as a server of this kind with a model.
var ErrNoServer = errors.New("openai: no compatible server answers on this machine")

// Candidate is a place where a server may be.
type Candidate struct {
	Name    string
	BaseURL string // on a loopback address
}

// Found is a server that answered.
type Found struct {
	Candidate
	Model  string   // the first of Models that can chat
	Models []string // in the server's order
}

// LocalServers lists the usual places, best first.
func LocalServers() []Candidate {
	return []Candidate{
		{"Ollama", "http://127.0.0.1:11434/v1"},
		{"llama.cpp", "http://127.0.0.1:8080/v1"},
		{"LM Studio", "http://127.0.0.1:1234/v1"},
		{"vLLM", "http://127.0.0.1:8000/v1"},
	}
}

// Probe asks all candidates at once for their models and returns the first of them, in
// the given order, that answers as a server of this kind with a model that can chat. It
// takes at most 300 ms and sends no key. A candidate that is not on a loopback address is
// an error; nobody answering is ErrNoServer.
func Probe(ctx context.Context, candidates []Candidate) (Found, error) {
	return probe(ctx, candidates, probeMax)
}

func probe(ctx context.Context, candidates []Candidate, most time.Duration) (Found, error) {
	clients := make([]*Client, len(candidates))
	for i, c := range candidates {
		var err error
		if clients[i], err = prober(ctx, c); err != nil {
			return Found{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	answers := make([]chan []string, len(candidates))
	var all sync.WaitGroup
	for i, client := range clients {
		answers[i] = make(chan []string, 1)
		all.Go(func() {
			list, err := client.Models(ctx)
			if err != nil {
				list = nil
			}
			answers[i] <- list
			_ = client.Close()
		})
	}
	defer all.Wait()
	defer cancel() // before waiting: what was not needed is given up
	for i, c := range candidates {
		list := <-answers[i]
		if model := chatModel(list); model != "" {
			return Found{c, model, list}, nil
		}
	}
	return Found{}, ErrNoServer
}

// prober is a client that can reach nothing but the candidate.
func prober(ctx context.Context, c Candidate) (*Client, error) {
	config := Config{BaseURL: c.BaseURL, Model: "unused", HTTPClient: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, // and no proxy
	}}
	client, err := New(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("candidate %q: %w", c.Name, err)
	}
	if _, err := netip.ParseAddr(client.base.Hostname()); err != nil || !loopback(client.base.Hostname()) {
		return nil, fmt.Errorf("openai: candidate %q: host %q is no loopback address; give 127.0.0.1 or ::1", c.Name, client.base.Hostname())
	}
	return client, nil
}

// loopback reports whether host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
