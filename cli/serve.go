// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/controlplane/pipeline"
	"github.com/parley-voice/parley/internal/report"
	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/internal/settings"
)

// configFlags are the flags that set the configuration of parley serve.
type configFlags struct {
	file   string
	set    []string
	listen string
	llm    string
	record string
}

// add defines the flags.
func (f *configFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "config", "c", "", "`FILE` with the configuration, YAML")
	flags.StringArrayVar(&f.set, "set", nil, "`PATH=VALUE` of the configuration (repeatable), such as session.max=50")
	flags.StringVar(&f.listen, "listen", "", "`ADDRESS` and port; the same as --set listen=ADDRESS")
	flags.StringVar(&f.llm, "llm", "", "`WHO` answers; the same as --set agent.llm=WHO")
	flags.StringVar(&f.record, "record", "", "`DIR` to record sessions in; the same as --set session.record=DIR")
	must(cmd.MarkFlagFilename("config", "yaml", "yml"))
	must(cmd.MarkFlagDirname("record"))
	must(cmd.RegisterFlagCompletionFunc("llm", cobra.FixedCompletions([]string{"auto", "scripted"}, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("set", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, field := range settings.Fields(serve.Default()) {
			names = append(names, field.Path+"=\t"+field.Doc)
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}))
}

// load reads the configuration from its layers: file, environment, flags.
func (f *configFlags) load(env *environment) (*serve.Config, *settings.Loaded, error) {
	from := settings.Sources{Name: f.file, Prefix: serve.EnvironmentPrefix, Environment: os.Environ()}
	if f.file != "" {
		data, err := readUpTo(env.stdin, f.file, settings.MaxFileBytes)
		if err != nil {
			return nil, nil, usageErrorf("--config %s %w", f.file, readError(err, "a YAML file"))
		}
		from.Data = data
	}
	for _, text := range f.set {
		g, err := settings.Set("--set", text)
		if err != nil {
			return nil, nil, &exitError{code: exitUsage, err: err}
		}
		from.Flags = append(from.Flags, g)
	}
	for _, g := range [...][3]string{{"--listen", "listen", f.listen}, {"--llm", "agent.llm", f.llm}, {"--record", "session.record", f.record}} {
		if g[2] != "" {
			from.Flags = append(from.Flags, settings.Given{Flag: g[0], Path: g[1], Value: g[2]})
		}
	}
	c := serve.Default()
	loaded, err := settings.Load(c, from)
	if err != nil {
		return nil, nil, &exitError{code: exitUsage, err: err}
	}
	return c, loaded, nil
}

const serveLong = `Serve runs a voice server on one port: the transports that clients connect by, a page to
talk to, health (/healthz), readiness (/readyz), metrics (/metrics) and the status of
sessions (/api/sessions). Without a configuration it serves this machine alone, with the
offline engines that 'make engines' sets up and no key.

Configuration: defaults < --config FILE < environment (PARLEY_SERVE__SECTION__FIELD) <
flags; 'parley config print' shows each value and where it came from, docs/serve.md tells
what each means. Secrets are references, env://NAME or file://PATH.

In development mode, the default, everybody on this machine may talk, and the page is given
a token. It listens on loopback only; for others use auth.mode token with a key file
('parley token keygen').

An interrupt (Ctrl-C, SIGTERM) ends it in good order: not ready at once, no new sessions,
and those that run may finish for session.drain_timeout_ms. A second one ends them by force.

Exit code 0: it was asked to end, and every session has ended.
Exit code 1: it failed on its way, or the pipeline spec is refused.
Exit code 2: it could not begin: wrong usage, a configuration that is refused, an address
             that is taken, missing engines, or a model that does not answer.`

func newServeCommand(env *environment) *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve clients: transports, a page to talk to, metrics, on one port",
		Long:  serveLong,
		Example: `  parley serve
  parley serve --llm http://127.0.0.1:11434/v1 --record calls
  parley serve --config voice.yaml --set session.max=50
  PARLEY_SERVE__LISTEN=0.0.0.0:7860 parley serve --config voice.yaml`,
		Args:    cobra.NoArgs,
		GroupID: groupTalk,
		RunE: func(cmd *cobra.Command, _ []string) error {
			shortSlices()
			return runServe(cmd.Context(), env, &f)
		},
	}
	f.add(cmd)
	return cmd
}

func runServe(ctx context.Context, env *environment, f *configFlags) error {
	force, stop := onSecondSignal()
	defer stop()
	c, _, err := f.load(env)
	if err != nil {
		return err
	}
	flow, err := serveFlow(env, c)
	if err != nil {
		return beginError(err)
	}
	list := env.mounts(c)
	s, err := serve.New(c, serve.Program{Mounts: list, Log: serveLog(env.stderr, c), Build: programVersion()})
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	if err := s.Listen(ctx); err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	a, err := startAgent(ctx, env, c, s, flow)
	if err != nil {
		return errors.Join(err, s.Close(canceled(ctx)))
	}
	tellServe(env.stdout, c, s, list, a, a.tools.tell(ctx))
	select {
	case <-ctx.Done():
		fmt.Fprintf(env.stderr, "ending: no new sessions; those that run may finish for %v; once more ends them at once\n", drainTime(c))
	case err = <-s.Done():
		err = fmt.Errorf("the server stopped: %w", err)
	}
	drain, done := context.WithTimeout(context.WithoutCancel(ctx), drainTime(c))
	defer done()
	defer context.AfterFunc(force, done)()
	return errors.Join(err, s.Close(drain), a.Close())
}

func drainTime(c *serve.Config) time.Duration {
	return time.Duration(c.Session.Drain) * time.Millisecond
}

// canceled is a context that is over, for what is to end without waiting.
func canceled(ctx context.Context) context.Context {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	stop()
	return ctx
}

// onSecondSignal gives a context that the second signal ends. The first one is main's.
func onSecondSignal() (context.Context, func()) {
	ctx, over := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-ctx.Done():
				return
			}
		}
		over()
	}()
	return ctx, func() {
		signal.Stop(signals)
		over()
	}
}

// startAgent loads the engines and lets sessions in.
func startAgent(ctx context.Context, env *environment, c *serve.Config, s *serve.Server, flow *parley.Flow) (*agent, error) {
	fmt.Fprintf(env.stderr, "listening on %s; loading the engines ...\n", s.Addr())
	began := time.Now()
	a, err := newAgent(ctx, agentSettings{llm: c.Agent.LLM, now: time.Now})
	if errors.Is(err, context.Canceled) {
		return nil, errors.New("interrupted while the engines were being loaded")
	}
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	if a.tools, err = openTools(c, serveLog(env.stderr, c)); err != nil {
		return nil, errors.Join(&exitError{code: exitUsage, err: err}, a.Close())
	}
	a.close = append(a.close, a.tools.Close)
	a.tools.configure(&a.config)
	fmt.Fprintf(env.stderr, "the engines are ready after %v\n", time.Since(began).Round(10*time.Millisecond))
	a.config.MaxSessions = int(c.Session.Max)
	a.config.Voice, a.config.Language = c.Agent.Voice, c.Agent.Language
	if c.Agent.Instructions != "" {
		a.config.SystemPrompt = c.Agent.Instructions
	}
	if err := a.use(env, flow); err != nil {
		return nil, beginError(errors.Join(err, a.Close()))
	}
	r, err := parley.New(a.config)
	if err == nil {
		if err = s.Start(r); err == nil {
			return a, nil
		}
		return nil, errors.Join(err, r.Close(canceled(ctx)), a.Close())
	}
	return nil, errors.Join(&exitError{code: exitUsage, err: err}, a.Close())
}

// serveFlow reads the flow settings that the configuration names.
func serveFlow(env *environment, c *serve.Config) (*parley.Flow, error) {
	from := parley.FlowSource{Name: c.Session.Flow, Environment: os.Environ()}
	if c.Session.Flow != "" {
		data, err := readUpTo(env.stdin, c.Session.Flow, pipeline.MaxSpecBytes)
		if err != nil {
			return nil, fmt.Errorf("session.flow: %s %w", c.Session.Flow, readError(err, "a YAML or JSON file"))
		}
		from.Spec = data
	}
	return env.readSpecs(from)
}

func serveLog(w io.Writer, c *serve.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil { // of a closed set
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// tellServe says what there is: where to go, who hears, answers and speaks, and what is let
// in.
func tellServe(w io.Writer, c *serve.Config, s *serve.Server, mounts []serve.Mount, a *agent, tools []string) {
	line := func(what, text string) { fmt.Fprintf(w, "  %-10s %s\n", what, oneLine(text)) }
	fmt.Fprintln(w, "\nParley is serving.")
	line("page", s.URL())
	for _, m := range mounts {
		line("connect", strings.TrimSpace(m.Path+"  "+m.About))
	}
	for _, role := range [...][2]string{{"stt", "hears"}, {"llm", "answers"}, {"tts", "speaks"}} {
		for _, e := range a.engines {
			if e.Role == role[0] {
				line(role[1], engineLine(e))
			}
		}
	}
	for _, t := range tools {
		line("tools", t)
	}
	for _, n := range a.notes {
		line("note", n)
	}
	granted := strings.Join(c.Granted(), ", ")
	if granted == "" {
		granted = "nothing"
	}
	line("granted", "clients may choose: "+granted)
	if c.Session.Record != "" {
		line("records", "every session, below "+c.Session.Record)
	}
	if c.Development() {
		line("mode", "DEVELOPMENT: whoever is on this machine may talk, and is given a token; for others use auth.mode token")
	} else {
		line("mode", "a signed session token is needed: parley token issue")
	}
}

func engineLine(e report.Engine) string {
	text := e.Name
	if e.Version != "" {
		text += " " + e.Version
	}
	if e.Note != "" {
		text += ", " + e.Note
	}
	return text
}
