// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/audio"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/demo"
	"github.com/parley-voice/parley/internal/report"
	"github.com/parley-voice/parley/internal/voices"
)

// demoFlags are the flags of parley demo.
type demoFlags struct {
	in        []string
	at        []float64
	out       string
	fast      bool
	json      bool
	overwrite bool
	llm       string
}

func newDemoCommand(env *environment) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Hold a conversation on recordings of people, and show every millisecond of it",
		Long: `Demo plays recordings of a caller to the agent, in real time: several turns, one of them
interrupted in the middle of an answer, and one short sound that only holds it. It needs
no key and no network; the speech engines are those that 'make engines' sets up.

It leaves a folder with
  conversation.wav   what was said: left the caller, right the agent
  timeline.html      the same as a picture, in one file
  recording.parley   every input and every decision; 'parley replay' steps over it again
  summary.json       the figures of each turn

Answers come from a scripted responder, which says so, unless PARLEY_LLM_BASE_URL names an
OpenAI-compatible server or one answers on a usual local port.`,
		Example: `  parley demo
  parley demo --fast --out /tmp/demo
  parley demo --in hello.wav --at 1 --in wait.wav --at 6.5`,
		Args:    cobra.NoArgs,
		GroupID: groupTalk,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), env, f)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.in, "in", nil, "your own caller: a WAV file (repeatable)")
	flags.Float64SliceVar(&f.at, "at", nil, "second at which the caller's WAV begins (repeatable; one for each --in, or several for one)")
	flags.StringVar(&f.out, "out", "demo-out", "folder to leave everything in")
	flags.BoolVar(&f.overwrite, "overwrite", false, "replace an earlier demo in that folder")
	flags.BoolVar(&f.fast, "fast", false, "virtual time: as fast as it goes, the same decisions every time")
	flags.BoolVar(&f.json, "json", false, "print the summary as JSON, and nothing else, on standard output")
	flags.StringVar(&f.llm, "llm", "auto", "who answers: auto, scripted, or the base URL of an OpenAI-compatible server")
	must(cmd.MarkFlagFilename("in", "wav"))
	must(cmd.MarkFlagDirname("out"))
	must(cmd.RegisterFlagCompletionFunc("llm", cobra.FixedCompletions([]string{"auto", "scripted"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// must is for what can only fail by a mistake in this program.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func runDemo(ctx context.Context, env *environment, f demoFlags) error {
	cues, notes, err := callerOf(f)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	clock := demo.NewClock(f.fast)
	a, err := newAgent(ctx, agentSettings{llm: f.llm, plan: []string{"repeat", "time", "count", "story", "repeat", "goodbye"}, now: clock.Now})
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	view := viewOf(env, f)
	summary, err := demo.Run(ctx, demo.Config{
		Runtime: a.config, Cues: cues, Out: f.out, Overwrite: f.overwrite, Fast: f.fast, Clock: clock,
		View: view, Engines: a.engines, Notes: append(notes, a.notes...),
	})
	closed := view.Close()
	if cerr := a.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	if closed != nil {
		return closed
	}
	return tellDemo(env, f, summary)
}

// viewOf draws on standard output, or beside the JSON on standard error.
func viewOf(env *environment, f demoFlags) *console.View {
	out := env.stdout
	if f.json {
		out = io.Discard
	}
	if file, ok := out.(*os.File); ok {
		return console.Open(console.Detect(file, os.Getenv))
	}
	return console.New(out, false, nil)
}

// tellDemo says what is left, and fails when something happened that must not.
func tellDemo(env *environment, f demoFlags, s report.Summary) error {
	if f.json {
		if err := writeJSON(env.stdout, s); err != nil {
			return err
		}
	} else {
		printDemo(env.stdout, f, s)
	}
	if s.Session.InvariantViolations > 0 || s.FramesAfterFence > 0 {
		return fmt.Errorf("%d broken invariants, %d frames after a fence: please keep %s and report it",
			s.Session.InvariantViolations, s.FramesAfterFence, f.out)
	}
	return nil
}

func printDemo(w io.Writer, f demoFlags, s report.Summary) {
	fmt.Fprintf(w, "\n%s in %s", plural(len(s.Turns), "turn", "turns"),
		time.Duration(s.Session.DurationMs*float64(time.Millisecond)).Round(100*time.Millisecond))
	if l := s.EOUToFirstAudioMs; l != nil {
		fmt.Fprintf(w, ", end of utterance to first audio p50 %.0f ms, max %.0f ms", l.P50, l.Max)
	}
	if c := s.CancelToFenceUs; c != nil {
		fmt.Fprintf(w, ", cancel to fence %.0f us", c.Max)
	}
	fmt.Fprintf(w, ", frames after a fence: %d\n", s.FramesAfterFence)
	for _, line := range [...][2]string{
		{"see it", filepath.Join(f.out, "timeline.html")},
		{"hear it", filepath.Join(f.out, "conversation.wav")},
		{"replay it", "parley replay " + s.Session.Recording},
	} {
		fmt.Fprintf(w, "  %-10s %s\n", line[0], line[1])
	}
}

// callerOf gives what the caller says.
func callerOf(f demoFlags) ([]demo.Cue, []string, error) {
	if len(f.in) == 0 {
		if len(f.at) > 0 {
			return nil, nil, usageErrorf("--at: %v is given without --in: name the WAV that begins there", f.at)
		}
		cues, err := builtInCaller()
		return cues, nil, err
	}
	if len(f.at) > 0 && len(f.at) != len(f.in) && len(f.in) != 1 {
		return nil, nil, usageErrorf("--at is given %d times for %d --in: give one for each, or several for one WAV", len(f.at), len(f.in))
	}
	for _, at := range f.at {
		if math.IsNaN(at) || at < 0 || at > 3600 {
			return nil, nil, usageErrorf("--at: %v: give seconds from 0 to 3600", at)
		}
	}
	return ownCaller(f)
}

// ownCaller plays the user's files: at the seconds given, or else one after the other,
// each when the agent has answered the one before.
func ownCaller(f demoFlags) (cues []demo.Cue, notes []string, err error) {
	clips := make([]audio.Clip, len(f.in))
	for i, path := range f.in {
		clip, converted, err := audio.ReadWAVFile(path)
		if err != nil {
			return nil, nil, err
		}
		clips[i] = clip
		for _, n := range converted {
			notes = append(notes, filepath.Base(path)+": "+n.String())
		}
	}
	for i := range max(len(f.in), len(f.at)) {
		clip := clips[min(i, len(clips)-1)]
		cue := demo.Cue{Name: filepath.Base(clip.Name), PCM: clip.PCM, When: demo.AgentDone, Delay: pause}
		switch {
		case len(f.at) > 0:
			cue.When, cue.Delay = demo.AtTime, time.Duration(f.at[i]*float64(time.Second))
		case i == 0:
			cue.When, cue.Delay = demo.AtTime, beginning
		}
		cues = append(cues, cue)
	}
	return cues, notes, nil
}

const (
	beginning = 800 * time.Millisecond
	pause     = 700 * time.Millisecond
)

// builtInCaller is the conversation of the demo: five turns, a short sound that only
// holds the third answer, and an interruption of the fourth, which is long.
func builtInCaller() ([]demo.Cue, error) {
	script := []demo.Cue{
		{Name: "young-man", When: demo.AtTime, Delay: beginning},
		{Name: "leisure", When: demo.AgentDone, Delay: pause},
		{Name: "much", When: demo.AgentDone, Delay: pause},
		{Name: "short-sound", When: demo.AgentSpeaking, Delay: 1700 * time.Millisecond},
		{Name: "amiable", When: demo.AgentDone, Delay: pause},
		{Name: "amiable-woman", When: demo.AgentSpeaking, Delay: 5 * time.Second},
		{Name: "respectable", When: demo.AgentDone, Delay: pause},
	}
	for i := range script {
		v, err := voices.Lookup(script[i].Name)
		if err != nil {
			return nil, err
		}
		clip, err := v.Clip()
		if err != nil {
			return nil, err
		}
		script[i].PCM = clip.PCM
	}
	return script, nil
}
