// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/audio"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/controlplane/pipeline"
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
	spec      string
	set       []string
	metrics   string
}

const demoLong = `Demo plays recordings of a caller to the agent, in real time: several turns, one of them
interrupted in the middle of an answer, and one short sound that only holds it. It needs
no key and no network; the speech engines are those that 'make engines' sets up.

It leaves a folder with
  conversation.wav   what was said: left the caller, right the agent
  timeline.html      the same as a picture, in one file
  recording.parley   every input and every decision; 'parley replay' steps over it again
  summary.json       the figures of each turn

Until it is whole its name ends in .partial. An interrupt (Ctrl-C) ends the conversation
in good order: what was said until then is whole, and the summary says so.

Your own caller: each --in is played when the agent has answered the one before, or at
the second that --at names, agent or no agent: that is how to interrupt. WAV of 8 to 48
kHz, 8 to 32 bit or float, is converted.

--spec sets the graph and the flow settings (docs/graphs.md): the file, over it the environment
(PARLEY_SECTION__FIELD) and --set. 'parley resolve' shows what they come to; the turn
budget of who sets none is the demo's own, for engines that share this machine.

On a terminal the edges are shown below the conversation: what lies in each against its
bounds, what came, went, was dropped and merged. What pressure does stays as a line.
--metrics writes the session's metrics events, one JSON document a line; they cross the
edge telemetry, and so are in the recording too.

Answers come from a scripted responder, which says so, unless PARLEY_LLM_BASE_URL names an
OpenAI-compatible server (PARLEY_LLM_MODEL and PARLEY_LLM_API_KEY, if it needs them) or
one answers on a usual local port.

Exit code 0: the conversation was held.
Exit code 1: it was interrupted, or a turn failed, or a quota did not let it in; what there
             is of it is in the folder.
             Or the folder could not be written, or flow settings are refused, and nothing
             is left.
Exit code 2: it could not begin: wrong usage, a file that is no WAV, missing engines,
             a folder that is in use.`

func newDemoCommand(env *environment) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Hold a conversation on recordings of people, and show every millisecond of it",
		Long:  demoLong,
		Example: `  parley demo
  parley demo --fast --out /tmp/demo
  parley demo --in hello.wav --at 1 --in wait.wav --at 6.5
  parley demo --llm http://127.0.0.1:11434/v1
  parley demo --fast --set edges.llm-tts.max_queue_items=4 --metrics metrics.jsonl
  parley demo --fast --json | jq .session.digest`,
		Args:    cobra.NoArgs,
		GroupID: groupTalk,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), env, f)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.in, "in", nil, "your own caller: a `WAV` file (repeatable)")
	flags.Float64SliceVar(&f.at, "at", nil, "`SECONDS` at which the WAV begins (repeatable; one for each --in, or several for one)")
	flags.StringVar(&f.out, "out", "demo-out", "`DIR` to leave everything in")
	flags.BoolVar(&f.overwrite, "overwrite", false, "replace an earlier demo in that folder")
	flags.BoolVar(&f.fast, "fast", false, "virtual time: as fast as it goes, the same decisions every time")
	flags.BoolVar(&f.json, "json", false, "print the summary as JSON, and nothing else, on standard output")
	flags.StringVar(&f.spec, "spec", "", "`FILE` with a pipeline spec, YAML or JSON")
	flags.StringArrayVar(&f.set, "set", nil, "`PATH=VALUE` of the flow settings (repeatable)")
	flags.StringVar(&f.metrics, "metrics", "", "`FILE` for metrics events, as JSON lines; it is replaced")
	flags.StringVar(&f.llm, "llm", "auto", "`WHO` answers: auto, scripted, or the base URL of an OpenAI-compatible server")
	flags.Lookup("at").DefValue = "" // else help shows an empty list as the default
	completeDemo(cmd)
	return cmd
}

// completeDemo says what the shell may complete.
func completeDemo(cmd *cobra.Command) {
	must(cmd.MarkFlagFilename("in", "wav"))
	must(cmd.MarkFlagDirname("out"))
	must(cmd.MarkFlagFilename("metrics", "jsonl"))
	must(cmd.MarkFlagFilename("spec", "yaml", "yml", "json"))
	must(cmd.RegisterFlagCompletionFunc("llm", cobra.FixedCompletions([]string{"auto", "scripted"}, cobra.ShellCompDirectiveNoFileComp)))
}

// must is for what can only fail by a mistake in this program.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func runDemo(ctx context.Context, env *environment, f demoFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	own, notes, err := ownCaller("--in", f.in, f.at)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	flow, err := demoFlow(env, f)
	if err != nil {
		return beginError(err)
	}
	// Whoever closes our output has seen enough: the conversation ends in good order.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGPIPE)
	defer stop()
	clock := demo.NewClock(f.fast)
	a, err := newAgent(ctx, agentSettings{
		llm: f.llm, fast: f.fast, now: clock.Now,
		plan: []string{"repeat", "time", "count", "story", "repeat", "goodbye"},
	})
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before the conversation began: nothing was left")
	}
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	if err := a.use(env, flow); err != nil {
		return beginError(errors.Join(err, a.Close()))
	}
	if own == nil {
		if own, err = builtInCaller(a.scripted); err != nil {
			return errors.Join(err, a.Close())
		}
	}
	metrics, err := createMetrics(f.metrics)
	if err != nil {
		return &exitError{code: exitUsage, err: errors.Join(err, a.Close())}
	}
	view := viewOf(env, f)
	summary, err := demo.Run(ctx, demo.Config{
		Runtime: a.config, Cues: own, Out: f.out, Overwrite: f.overwrite, Fast: f.fast, Clock: clock,
		View: view, Engines: a.engines, Notes: append(notes, a.notes...),
		Metrics: metrics.observer(),
	})
	shown := view.Close()
	closed := errors.Join(a.Close(), metrics.close())
	if start := (*demo.StartError)(nil); errors.As(err, &start) {
		return &exitError{code: exitUsage, err: errors.Join(err, closed)}
	}
	if refused := (*demo.RefusedError)(nil); errors.As(err, &refused) {
		return errors.Join(tellRefused(env, f, summary), err, shown, closed)
	}
	if err == nil || errors.Is(err, demo.ErrInterrupted) {
		err = errors.Join(tellDemo(env, f, summary), judge(summary, f.out, err))
	}
	return errors.Join(err, shown, closed)
}

// demoFlow reads the flow settings of the demo.
func demoFlow(env *environment, f demoFlags) (*parley.Flow, error) {
	from := parley.FlowSource{Name: f.spec, Environment: os.Environ(), Set: f.set, SetName: "--set"}
	if f.spec != "" {
		data, err := readUpTo(env.stdin, f.spec, pipeline.MaxSpecBytes)
		if err != nil {
			return nil, fmt.Errorf("--spec %s %w", f.spec, readError(err, "a YAML or JSON file"))
		}
		from.Spec = data
	}
	return env.readSpecs(from)
}

// judge fails a demo in which something happened that must not, or that was cut short.
func judge(s report.Summary, out string, interrupted error) error {
	if s.Session.InvariantViolations > 0 || s.FramesAfterFence > 0 {
		return fmt.Errorf("%d broken invariants, %d frames after a fence: please keep %s and report it",
			s.Session.InvariantViolations, s.FramesAfterFence, out)
	}
	if interrupted != nil {
		return fmt.Errorf("%w: what was said until then lies in %s", interrupted, out)
	}
	failed, reason := 0, ""
	for i := range s.Turns {
		if t := &s.Turns[i]; t.Terminal == "abort" && t.Reason != string(controlplane.AbortCancelled) {
			failed, reason = failed+1, t.Reason
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed, the last with %s: the notes in %s say why",
			failed, plural(len(s.Turns), "turn", "turns"), reason, filepath.Join(out, "summary.json"))
	}
	return nil
}

// viewOf draws on standard output, or beside the JSON on a terminal at standard error.
func viewOf(env *environment, f demoFlags) *console.View {
	out := env.stdout
	if f.json {
		out = env.stderr
	}
	if file, ok := out.(*os.File); ok {
		if s := console.Detect(file, os.Getenv); s.Terminal || !f.json {
			return console.Open(s)
		}
	}
	if f.json {
		out = io.Discard
	}
	return console.New(out, false, nil)
}

// tellDemo says what is left.
func tellDemo(env *environment, f demoFlags, s report.Summary) error {
	if f.json {
		return writeJSON(env.stdout, s)
	}
	printDemo(env.stdout, f, s)
	return nil
}

// tellRefused says why there is no conversation, and where its recording is.
func tellRefused(env *environment, f demoFlags, s report.Summary) error {
	if f.json {
		return writeJSON(env.stdout, s)
	}
	fmt.Fprintln(env.stdout)
	printSummaryWaits(env.stdout, s)
	fmt.Fprintf(env.stdout, "  %-10s %s\n", "replay it", invokedAs()+" replay "+s.Session.Recording)
	return nil
}

func printDemo(w io.Writer, f demoFlags, s report.Summary) {
	fmt.Fprintf(w, "\n%s in %s, %s, %s, frames after a fence: %d\n", plural(len(s.Turns), "turn", "turns"),
		time.Duration(s.Session.DurationMs*float64(time.Millisecond)).Round(100*time.Millisecond),
		plural(s.HoldsConfirmed, "interruption", "interruptions"), plural(s.HoldsResumed, "false one", "false ones"), s.FramesAfterFence)
	var measured []string
	if l := s.EOUToFirstAudioMs; l != nil {
		measured = append(measured, fmt.Sprintf("end of utterance to first audio p50 %.0f ms, max %.0f ms", l.P50, l.Max))
	}
	if c := s.CancelToFenceUs; c != nil && !f.fast {
		measured = append(measured, fmt.Sprintf("cancel to fence %.0f us", c.Max))
	}
	if f.fast {
		measured = append(measured, "in virtual time")
	}
	if len(measured) > 0 {
		fmt.Fprintln(w, strings.Join(measured, ", "))
	}
	printSummaryWaits(w, s)
	if len(s.Turns) == 0 {
		fmt.Fprintln(w, "no turn was taken: nobody was heard to speak")
	}
	for _, line := range [...][2]string{
		{"see it", filepath.Join(f.out, "timeline.html")},
		{"hear it", filepath.Join(f.out, "conversation.wav")},
		{"replay it", invokedAs() + " replay " + s.Session.Recording},
	} {
		fmt.Fprintf(w, "  %-10s %s\n", line[0], line[1])
	}
}

// invokedAs is what the user typed to run this program, to be typed again.
func invokedAs() string {
	if name := os.Args[0]; filepath.Base(name) != name {
		return name
	}
	return "parley"
}

// check finds faults of the flags that no file has to be opened for.
func (f *demoFlags) check() error {
	if f.out == "" {
		return usageErrorf("--out is empty: name a folder")
	}
	if len(f.at) > 0 && len(f.in) == 0 {
		return usageErrorf("--at: %v is given without --in: name the WAV that begins there", f.at)
	}
	if len(f.at) > 0 && len(f.at) != len(f.in) && len(f.in) != 1 {
		return usageErrorf("--at is given %d times for %d --in: give one for each, or several for one WAV", len(f.at), len(f.in))
	}
	if n := max(len(f.in), len(f.at)); n > mostCues {
		return usageErrorf("--in and --at make %d cues: give at most %d", n, mostCues)
	}
	for _, at := range f.at {
		if math.IsNaN(at) || at < 0 || at > latest {
			return usageErrorf("--at: %v: give seconds from 0 to %d", at, latest)
		}
	}
	return nil
}

// The bounds on what the user's caller says.
const (
	mostCues = 100
	latest   = 3600 // s
)

// ownCaller plays the user's files: at the seconds given, or else one after the other,
// each when the agent has answered the one before. No file, no cue.
func ownCaller(flag string, in []string, at []float64) (cues []demo.Cue, notes []string, err error) {
	clips := make([]audio.Clip, len(in))
	for i, path := range in {
		if path == "" {
			return nil, nil, fmt.Errorf("%s is empty: name a WAV file", flag)
		}
		clip, converted, err := audio.ReadWAVFile(path)
		if err != nil {
			return nil, nil, fmt.Errorf("%s %w", flag, err)
		}
		clips[i] = clip
		for _, n := range converted {
			notes = append(notes, filepath.Base(path)+": "+n.String())
		}
	}
	for i := range max(len(in), len(at)) {
		clip := clips[min(i, len(clips)-1)]
		cue := demo.Cue{Name: filepath.Base(clip.Name), PCM: clip.PCM, When: demo.AgentDone, Delay: pause}
		switch {
		case len(at) > 0:
			cue.When, cue.Delay = demo.AtTime, time.Duration(at[i]*float64(time.Second))
		case i == 0:
			cue.When, cue.Delay = demo.AtTime, beginning
		}
		cues = append(cues, cue)
	}
	if len(at) == 0 {
		return cues, notes, nil
	}
	slices.SortStableFunc(cues, func(a, b demo.Cue) int { return cmp.Compare(a.Delay, b.Delay) })
	for i, cue := range cues[1:] {
		if before := cues[i]; cue.Delay < before.Delay+before.Duration() {
			notes = append(notes, fmt.Sprintf("%s at %v s begins when %s is over: one caller has one voice",
				cue.Name, cue.Delay.Seconds(), before.Name))
		}
	}
	return cues, notes, nil
}

const (
	beginning = 800 * time.Millisecond
	pause     = 700 * time.Millisecond
)

// builtInCaller is the conversation of the demo: six turns, with a short sound in the
// third answer that only holds it, and an interruption of the fourth, which is long. A
// model is asked for short answers, so there the interruption comes earlier.
func builtInCaller(scripted bool) ([]demo.Cue, error) {
	cutIn := 5 * time.Second
	if !scripted {
		cutIn = 2500 * time.Millisecond
	}
	script := []demo.Cue{
		{Name: "young-man", When: demo.AtTime, Delay: beginning},
		{Name: "leisure", When: demo.AgentDone, Delay: pause},
		{Name: "much", When: demo.AgentDone, Delay: pause},
		{Name: "short-sound", When: demo.AgentSpeaking, Delay: 1700 * time.Millisecond},
		{Name: "amiable", When: demo.AgentDone, Delay: pause},
		{Name: "amiable-woman", When: demo.AgentSpeaking, Delay: cutIn},
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
		script[i].PCM, script[i].Words = clip.PCM, v.Transcript
	}
	return script, nil
}
