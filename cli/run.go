// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/internal/settings"
)

// runFlags are the flags of parley run: those of serve, and those of a conversation on
// recordings.
type runFlags struct {
	config    configFlags
	transport string
	demo      demoFlags
}

// loopbackName is the transport without a wire: the caller is recordings.
const loopbackName = "loopback"

// transportsSection holds the switches of the transports in the configuration.
const transportsSection = "transports."

const runLong = `Run runs an agent on this machine.

  parley run            serves clients, as 'parley serve' does, with its flags
  parley run SPEC       the same, with the graph and the settings of a file (docs/graphs.md)
  parley run WAV ...    plays recordings to the agent over the loopback transport, as
                        'parley demo --in WAV' does, and leaves a folder

--transport names the one transport that is served; loopback is that of recordings, and
without a WAV plays those of the demo.

Exit codes are those of serve and demo.`

func newRunCommand(env *environment) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [SPEC | WAV ...]",
		Short: "Run an agent: serve clients, or hold a conversation on recordings",
		Long:  runLong,
		Example: `  parley run
  parley run voice.yaml --listen 127.0.0.1:8000 --transport websocket
  parley run question.wav --out call
  parley run question.wav second.wav --fast --json | jq .turns`,
		GroupID: groupTalk,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"wav", "yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			given := func(name string) bool { return cmd.Flags().Changed(name) }
			return runRun(cmd.Context(), env, &f, args, given)
		},
	}
	f.config.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.transport, "transport", "", "`NAME` of the one transport to use: "+strings.Join(append([]string{loopbackName}, servedNames()...), ", "))
	flags.StringVar(&f.demo.out, "out", "demo-out", "`DIR` to leave the conversation on recordings in")
	flags.BoolVar(&f.demo.overwrite, "overwrite", false, "replace an earlier conversation in that folder")
	flags.BoolVar(&f.demo.fast, "fast", false, "recordings in virtual time")
	flags.BoolVar(&f.demo.json, "json", false, "print the summary of the conversation on recordings as JSON")
	flags.StringVar(&f.demo.metrics, "metrics", "", "`FILE` for metrics events of the conversation on recordings; it is replaced")
	must(cmd.MarkFlagDirname("out"))
	must(cmd.MarkFlagFilename("metrics", "jsonl"))
	must(cmd.RegisterFlagCompletionFunc("transport", cobra.FixedCompletions(append([]string{loopbackName}, servedNames()...), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// servedNames are the transports that the configuration can switch.
func servedNames() (names []string) {
	for _, field := range settings.Fields(serve.Default()) {
		name, ok := strings.CutPrefix(field.Path, transportsSection)
		if ok && field.Type == settings.Switch && !strings.Contains(name, "_") {
			names = append(names, name)
		}
	}
	return names
}

func runRun(ctx context.Context, env *environment, f *runFlags, args []string, given func(string) bool) error {
	wavs := 0
	for _, a := range args {
		if strings.EqualFold(filepath.Ext(a), ".wav") {
			wavs++
		}
	}
	served := servedNames()
	switch {
	case wavs > 0 && wavs < len(args):
		return usageErrorf("%d of the arguments are WAV files and %d are not: give recordings, or one SPEC", wavs, len(args)-wavs)
	case wavs == 0 && len(args) > 1:
		return usageErrorf("%d arguments given, at most 1 wanted: a SPEC", len(args))
	case f.transport != "" && f.transport != loopbackName && !slices.Contains(served, f.transport):
		return usageErrorf("--transport: %q: use %s", f.transport, strings.Join(append([]string{loopbackName}, served...), ", "))
	case wavs > 0 && f.transport != "" && f.transport != loopbackName:
		return usageErrorf("--transport %s: recordings are played over %s: leave it out, or use parley talk --wav with --url", f.transport, loopbackName)
	}
	if wavs > 0 || f.transport == loopbackName {
		return f.recordings(ctx, env, args, wavs, given)
	}
	for _, name := range []string{"out", "overwrite", "fast", "json", "metrics"} {
		if given(name) {
			return usageErrorf("--%s is for recordings: name a WAV, or use --transport %s", name, loopbackName)
		}
	}
	if f.transport != "" {
		for _, name := range served {
			f.config.set = append(f.config.set, fmt.Sprintf("%s%s=%t", transportsSection, name, name == f.transport))
		}
	}
	if len(args) == 1 {
		f.config.set = append(f.config.set, "session.flow="+args[0])
	}
	return runServe(ctx, env, &f.config)
}

// recordings plays the arguments, or without one those of the demo.
func (f *runFlags) recordings(ctx context.Context, env *environment, args []string, wavs int, given func(string) bool) error {
	for _, name := range []string{"config", "listen", "record"} {
		if given(name) {
			return usageErrorf("--%s is for serving: leave it out for recordings", name)
		}
	}
	if wavs > 0 {
		f.demo.in = args
	} else if len(args) == 1 {
		f.demo.spec = args[0]
	}
	f.demo.set, f.demo.llm = f.config.set, f.config.llm
	if f.demo.llm == "" {
		f.demo.llm = "auto"
	}
	return runDemo(ctx, env, f.demo)
}
