// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/engines"
	"github.com/parley-voice/parley/internal/report"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/embedded"
)

// agent is the voice agent of this command: the embedded engines and a model.
type agent struct {
	config  parley.Config
	engines []report.Engine
	notes   []string
	// scripted: no model answers.
	scripted bool
	tools    *toolServers // of a server
	close    []func() error
}

// Close frees the engines.
func (a *agent) Close() error {
	var faults []error
	for _, f := range a.close {
		faults = append(faults, f())
	}
	return errors.Join(faults...)
}

// agentSettings says which model answers.
type agentSettings struct {
	llm  string // "auto", "scripted", or a base URL
	fast bool   // time is virtual
	plan []string
	now  func() time.Time
}

// The limits for engines that share this machine's processor with everything else on
// it: the profile's 1 s to a first result is for a vendor's.
const (
	engineTimeout = 4 * time.Second
	engineBudget  = 6 * time.Second
)

// shareProcessor lets the system share the cores between the engines and the runtime.
// The engines' compiled code does not yield to Go's scheduler; with a thread for each
// core only, one that computes keeps the shard from pacing audio on that core.
func shareProcessor() { runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), runtime.NumCPU()+2)) }

// newAgent finds and loads the engines, and chooses the model.
func newAgent(ctx context.Context, s agentSettings) (*agent, error) {
	set, err := engines.Find(engines.Options{})
	if err != nil {
		return nil, err
	}
	if err := set.Verify(); err != nil {
		return nil, err
	}
	shareProcessor()
	a := &agent{}
	a.config.ProviderTimeout, a.config.TurnBudget = engineTimeout, engineBudget
	if err := a.speech(ctx, set); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	if err := a.model(ctx, s); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	a.config.Build = "parley " + programVersion()
	a.config.Segmenter = func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) }
	a.config.SystemPrompt = systemPrompt
	return a, nil
}

// systemPrompt tells a model how to speak. The scripted responder does not read it.
const systemPrompt = "You are a voice assistant on a telephone. Answer in one to three short spoken sentences, " +
	"without lists, markup or emoji. The caller's words come from a speech recogniser and may be misheard. " +
	"Where the caller interrupted you, your earlier message ends at what they heard."

// speech loads the detector, the recogniser and the synthesiser.
func (a *agent) speech(ctx context.Context, set *engines.Set) error {
	weights, err := os.ReadFile(set.VAD())
	if err != nil {
		return fmt.Errorf("read the voice detector: %w: run make engines", err)
	}
	net, err := vad.NewSilero(weights)
	if err != nil {
		return fmt.Errorf("%s: %w: run make engines", set.VAD(), err)
	}
	a.config.Endpointer = func() (node.Node, error) {
		return vad.NewEndpointNode(net.NewDetector(), vad.EndpointerConfig{})
	}
	compiled := set.Compiled()
	stt, err := embedded.NewPocketSphinx(ctx, embedded.PocketSphinxConfig{Engine: set.Recogniser(), Model: set.Model(), Compiled: compiled})
	if err != nil {
		return err
	}
	a.config.STT = stt
	a.close = append(a.close, stt.Close)
	tts, err := embedded.NewFlite(ctx, embedded.FliteConfig{Engine: set.Synthesiser(), Compiled: compiled})
	if err != nil {
		return err
	}
	a.config.TTS = tts
	a.close = append(a.close, tts.Close)
	if err := errors.Join(stt.Warm(ctx), tts.Warm(ctx)); err != nil {
		return err
	}
	a.engines = append(a.engines,
		report.Engine{Role: "vad", Name: "Silero VAD", Version: "v6", Note: "in Go, on the CPU"},
		engineOf("stt", stt.Descriptor(), "offline demo recogniser: expect misheard words"),
		engineOf("tts", tts.Descriptor(), "offline"))
	return nil
}

func engineOf(role string, d provider.Descriptor, note string) report.Engine {
	return report.Engine{Role: role, Name: d.ID, Version: d.Model, Scripted: d.Capabilities.Scripted, Note: note}
}

// programVersion is this program's version.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildVersion(version, info)
}
