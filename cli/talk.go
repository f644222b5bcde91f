// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/talk"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/websocket"
)

// talkFlags are the flags of parley talk.
type talkFlags struct {
	url, token   string
	wav          []string
	out          string
	mic, speaker string
	llm          string
	spec         string
	set          []string
	record       string
}

// The values of --mic and --speaker that are no command.
const (
	deviceAuto = "auto"
	deviceOff  = "off"
)

// tokenVariable holds the session token where the command line, which others see, does not.
const tokenVariable = "PARLEY_TOKEN"

const talkLong = `Talk holds a conversation in the terminal: type, speak into the microphone, or have WAV
files played, and hear the agent. The agent is one in this process, with the offline engines
that 'make engines' sets up and no key, or with --url that of a server.

Keys:
  Enter    say what was typed; it interrupts, as a voice does
  Ctrl-S   stop the agent
  Ctrl-T   mute the microphone, and switch it on again
  Ctrl-C   hang up; once more does not wait for the end

Sound goes through programs of this machine: parec and pacat, arecord and aplay, sox, or
ffmpeg. On a terminal the first ones that work are used; where there is none, type. --mic
and --speaker take off, or a command line of your own, for raw sound of 16 bit, 16 kHz, mono.
There is no echo cancellation: use headphones, else the agent hears itself.

Without a terminal every event is a plain line, and standard input is a conversation: each
line is said when the one before was answered. At its end, or when every --wav was said and
answered, the call is hung up.

--out writes a WAV of the conversation: left the caller, right what was heard of the agent.

Answers come from a scripted responder, which says so, unless PARLEY_LLM_BASE_URL names an
OpenAI-compatible server or one answers on a usual local port.

Exit code 0: the conversation was held, and hung up.
Exit code 1: it ended on its way, or not in good order, or the flow settings are refused.
Exit code 2: it could not begin: wrong usage, missing engines, a server that does not answer
             or let us in, a sound device that was asked for and does not work.`

func newTalkCommand(env *environment) *cobra.Command {
	var f talkFlags
	cmd := &cobra.Command{
		Use:   "talk",
		Short: "Talk to an agent in the terminal: by keyboard, microphone or WAV",
		Long:  talkLong,
		Example: `  parley talk
  parley talk --wav question.wav --out call.wav
  printf 'what time is it\ntell me a story\n' | parley talk
  parley talk --url ws://127.0.0.1:7860/v1/ws
  PARLEY_TOKEN=$(parley token issue --keys file://keys.pem --transport websocket) parley talk --url wss://voice.example.com
  parley talk --mic 'arecord -q -D plughw:1 -t raw -f S16_LE -r 16000 -c 1' --speaker off`,
		Args:    cobra.NoArgs,
		GroupID: groupTalk,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTalk(cmd.Context(), env, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", "", "`ADDRESS` of a server; without, the agent is in this process")
	flags.StringVar(&f.token, "token", "", "session `TOKEN` for it; "+tokenVariable+" says it where others do not see it")
	flags.StringArrayVar(&f.wav, "wav", nil, "`WAV` file that is said when the agent has answered the one before (repeatable)")
	flags.StringVar(&f.out, "out", "", "`WAV` file of the conversation to write; it is replaced")
	flags.StringVar(&f.mic, "mic", deviceAuto, "microphone: auto, off, or a `COMMAND` that records")
	flags.StringVar(&f.speaker, "speaker", deviceAuto, "loudspeaker: auto, off, or a `COMMAND` that plays")
	flags.StringVar(&f.llm, "llm", "auto", "`WHO` answers: auto, scripted, or the base URL of an OpenAI-compatible server")
	flags.StringVar(&f.spec, "spec", "", "`FILE` with flow settings, YAML or JSON")
	flags.StringArrayVar(&f.set, "set", nil, "`PATH=VALUE` of the flow settings (repeatable)")
	flags.StringVar(&f.record, "record", "", "`FOLDER` to record the session in, which must not exist: parley replay reads it")
	must(cmd.MarkFlagFilename("wav", "wav"))
	must(cmd.MarkFlagFilename("out", "wav"))
	must(cmd.MarkFlagFilename("spec", "yaml", "yml", "json"))
	must(cmd.MarkFlagDirname("record"))
	for name, values := range map[string][]string{"llm": {"auto", "scripted"}, "mic": {deviceAuto, deviceOff}, "speaker": {deviceAuto, deviceOff}} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
	}
	must(cmd.RegisterFlagCompletionFunc("url", cobra.FixedCompletions([]string{"ws://127.0.0.1:7860" + websocketPath}, cobra.ShellCompDirectiveNoFileComp)))
	for _, name := range []string{"llm", "spec", "set", "record"} {
		cmd.MarkFlagsMutuallyExclusive("url", name)
	}
	return cmd
}

func runTalk(ctx context.Context, env *environment, f talkFlags) (err error) {
	cues, notes, err := ownCaller("--wav", f.wav, nil)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	c := talk.Config{Cues: cues, Out: f.out, Notes: notes}
	if c.Client, err = f.client(); err != nil {
		return err
	}
	// Whoever closes our output has seen enough: the conversation ends in good order.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGPIPE)
	defer stop()
	if f.url == "" {
		a, err := f.agent(ctx, env)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		c.Local = &talk.Local{Runtime: a.config, Transport: talkTransport, Record: f.record}
		for _, role := range [...][2]string{{"stt", "hears"}, {"llm", "answers"}, {"tts", "speaks"}} {
			for _, e := range a.engines {
				if e.Role == role[0] {
					c.Notes = append(c.Notes, role[1]+": "+engineLine(e))
				}
			}
		}
		c.Notes = append(c.Notes, a.notes...)
	}
	return f.hold(ctx, env, c)
}

// hold takes the terminal and the sound devices, and talks.
func (f *talkFlags) hold(ctx context.Context, env *environment, c talk.Config) error {
	c.View = console.New(env.stdout, false, nil)
	interactive := false
	if out, ok := env.stdout.(*os.File); ok {
		s := console.Detect(out, os.Getenv)
		c.View = console.Open(s)
		in, ok := env.stdin.(*os.File)
		if interactive = ok && s.Terminal && term.IsTerminal(int(in.Fd())); interactive {
			c.Keys = in
		}
	}
	if c.Keys == nil && len(c.Cues) == 0 {
		c.Lines = env.stdin
	}
	if err := f.devices(&c, interactive); err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	var s talk.Summary
	err := inRawMode(c.Keys, func() (err error) {
		defer func() { _ = c.View.Close() }() // also in a panic
		s, err = talk.Run(ctx, c)
		return errors.Join(err, c.View.Close())
	})
	switch {
	case errors.Is(err, talk.ErrNoStart):
		return &exitError{code: exitUsage, err: err}
	case err == nil || s.Lasted > 0:
		tellTalk(env.stdout, f, s)
	}
	return err
}

// inRawMode has every key come as it is while work runs.
func inRawMode(keys io.Reader, work func() error) error {
	file, ok := keys.(*os.File)
	if !ok {
		return work()
	}
	state, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return fmt.Errorf("read the keyboard: %w", err)
	}
	defer func() { _ = term.Restore(int(file.Fd()), state) }() // of a terminal that is gone
	return work()
}

// agent makes the one of this process.
func (f *talkFlags) agent(ctx context.Context, env *environment) (*agent, error) {
	flow, err := demoFlow(env, demoFlags{spec: f.spec, set: f.set})
	if err != nil {
		return nil, beginError(err)
	}
	fmt.Fprintln(env.stderr, "loading the engines ...")
	a, err := newAgent(ctx, agentSettings{llm: f.llm, now: time.Now})
	if errors.Is(err, context.Canceled) {
		return nil, errors.New("interrupted before the conversation began")
	}
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	if err := a.use(env, flow); err != nil {
		return nil, beginError(errors.Join(err, a.Close()))
	}
	return a, nil
}

// client says how a server is reached.
func (f *talkFlags) client() (c client.Config, err error) {
	token := cmp.Or(f.token, os.Getenv(tokenVariable))
	if f.url == "" {
		if f.token != "" {
			return c, usageErrorf("--token is given without --url: name the server that it is for")
		}
		return c, nil
	}
	u, err := url.Parse(f.url)
	if err != nil || u.Host == "" {
		return c, usageErrorf("--url: %q: give an address such as ws://127.0.0.1:7860%s", f.url, websocketPath)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = websocketPath
	}
	c.URL = u.String()
	if token != "" {
		c.Token = func(context.Context) (string, error) { return token, nil }
	}
	if err := c.Validate(); err != nil {
		return c, &exitError{code: exitUsage, err: fmt.Errorf("--url: %w", err)}
	}
	return c, nil
}

// devices opens what there is to speak into and to hear with. One that was asked for has to
// work; one that was not is a note.
func (f *talkFlags) devices(c *talk.Config, interactive bool) (err error) {
	if wanted, command := wants(f.mic, interactive && len(c.Cues) == 0); wanted {
		if c.Microphone, err = talk.OpenMicrophone(command); err != nil {
			if command != "" {
				return fmt.Errorf("--mic: %w", err)
			}
			c.Notes = append(c.Notes, "no microphone, so type: "+err.Error())
		} else {
			c.Notes = append(c.Notes, "microphone: "+c.Microphone.Name()+"; use headphones, else the agent hears itself")
		}
	}
	if wanted, command := wants(f.speaker, interactive); wanted {
		if c.Speaker, err = talk.OpenSpeaker(command); err != nil {
			if command != "" {
				return errors.Join(fmt.Errorf("--speaker: %w", err), c.Microphone.Close())
			}
			c.Notes = append(c.Notes, "no loudspeaker, so read: "+err.Error())
		} else {
			c.Notes = append(c.Notes, "loudspeaker: "+c.Speaker.Name())
		}
	}
	return nil
}

// wants reads --mic and --speaker.
func wants(value string, automatic bool) (wanted bool, command string) {
	switch value {
	case deviceAuto, "":
		return automatic, ""
	case deviceOff:
		return false, ""
	}
	return true, value
}

// talkTransport is the one that the client in this process speaks.
func talkTransport(h transport.Host) (http.Handler, func(context.Context) error, error) {
	s, err := websocket.New(websocket.Config{}, h)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// tellTalk says what came of it.
func tellTalk(w io.Writer, f *talkFlags, s talk.Summary) {
	fmt.Fprintf(w, "\n%s in %s, the agent was heard for %s: %s\n", plural(s.Turns, "turn", "turns"),
		s.Lasted.Round(100*time.Millisecond), s.Heard.Round(100*time.Millisecond), oneLine(s.Reason))
	if n := s.Counters.Reconnects; n > 0 {
		fmt.Fprintf(w, "the connection was lost %s\n", plural(int(n), "time", "times"))
	}
	if f.out != "" {
		fmt.Fprintf(w, "  %-10s %s\n", "hear it", filepath.Clean(f.out))
	}
	if f.record != "" {
		fmt.Fprintf(w, "  %-10s %s\n", "replay it", invokedAs()+" replay "+f.record)
	}
}
