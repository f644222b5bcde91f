// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/openai"
	"github.com/parley-voice/parley/provider/scripted"
)

// The limits for a model that runs on somebody's machine: the profile's 1 s to the
// first token is for a vendor's. modelReply bounds a whole reply where time is virtual.
const (
	modelTimeout = 15 * time.Second
	modelBudget  = 20 * time.Second
	modelReply   = 30 * time.Second
)

// model chooses who answers: what the flag says, else the environment, else a server on
// a usual local port, else the scripted responder.
func (a *agent) model(ctx context.Context, s agentSettings) error {
	config, chosen, err := chooseServer(ctx, s.llm)
	if err != nil {
		return err
	}
	if !chosen {
		responder, err := scripted.New(scripted.Config{Now: s.now, Plan: s.plan})
		if err != nil {
			return err
		}
		a.config.LLM, a.scripted = responder, true
		a.engines = append(a.engines, engineOf("llm", responder.Descriptor(), "a scripted responder, not a language model"))
		a.notes = append(a.notes, "the answers are scripted; set "+openai.EnvBaseURL+" or start an OpenAI-compatible server for a model")
		return nil
	}
	asking, stop := context.WithTimeout(ctx, modelTimeout)
	defer stop()
	client, err := openai.New(asking, config)
	if err != nil {
		return fmt.Errorf("%s: %w: check the server, or use --llm scripted", config.BaseURL, err)
	}
	a.config.LLM = client
	if s.fast {
		a.config.LLM = &bounded{LLM: client, until: ctx}
	}
	a.close = append(a.close, client.Close)
	a.config.ProviderTimeout, a.config.TurnBudget = modelTimeout, modelBudget
	a.engines = append(a.engines, engineOf("llm", client.Descriptor(), "over OpenAI's API"))
	a.notes = append(a.notes, fmt.Sprintf("the answers come from %s at %s", client.Descriptor().Model, config.BaseURL))
	return nil
}

// bounded is a model in virtual time. Nothing else happens while it is waited for, no
// timer of the kernel's either, so the wait itself has to end: in time, and on an
// interrupt.
type bounded struct {
	provider.LLM
	until context.Context
}

// Generate passes the call on.
func (b *bounded) Generate(ctx context.Context, call provider.Call, prompt provider.Prompt, sink provider.Sink) provider.Outcome {
	ctx, stop := context.WithTimeout(ctx, modelReply)
	defer stop()
	defer context.AfterFunc(b.until, stop)()
	return b.LLM.Generate(ctx, call, prompt, sink)
}

// chooseServer gives the server that is to answer; false for the scripted responder.
func chooseServer(ctx context.Context, choice string) (openai.Config, bool, error) {
	switch choice {
	case "scripted":
		return openai.Config{}, false, nil
	case "", "auto":
	default:
		config, _, err := openai.FromEnv(func(name string) string {
			if name == openai.EnvBaseURL {
				return choice
			}
			return os.Getenv(name)
		})
		if err = errors.Join(err, config.Validate()); err != nil {
			return config, false, fmt.Errorf("--llm: %w: give auto, scripted, or a base URL such as http://127.0.0.1:11434/v1", err)
		}
		return config, true, nil
	}
	config, ok, err := openai.FromEnv(os.Getenv)
	if err == nil && ok {
		err = config.Validate()
	}
	if err != nil {
		return config, false, fmt.Errorf("from the environment: %w", err)
	}
	if ok {
		return config, true, nil
	}
	found, err := openai.Probe(ctx, openai.LocalServers())
	if errors.Is(err, openai.ErrNoServer) {
		return openai.Config{}, false, nil
	}
	if err != nil {
		return openai.Config{}, false, err
	}
	return openai.Config{BaseURL: found.BaseURL, Model: found.Model}, true, nil
}
