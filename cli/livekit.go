// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/livekit"
)

// errNoOpus says that rooms cannot be spoken in.
var errNoOpus = errors.New("livekit: the engines have no encoder of Opus, and rooms hear nothing else: run make engines")

// livekitTransport is in LiveKit's rooms. LiveKit vouches for who is there, so the session
// token is made for the call.
func livekitTransport(c *serve.Config) func(transport.Host, serve.MountOptions) (http.Handler, closer, error) {
	return func(h transport.Host, o serve.MountOptions) (http.Handler, closer, error) {
		config, free, err := livekitConfig(c, o.Getenv)
		if err != nil {
			return nil, nil, err
		}
		config.Log = o.Log
		config.Token = func(context.Context, livekit.Caller) (string, error) { return o.Issue(livekit.Kind) }
		s, err := livekit.New(config, h)
		if err != nil {
			return nil, nil, errors.Join(err, free())
		}
		end := serving(s.Serve)
		return nil, func(ctx context.Context) error { return errors.Join(end(ctx), free()) }, nil
	}
}

// livekitConfig is what the configuration says; free frees the encoders.
func livekitConfig(c *serve.Config, getenv func(string) string) (config livekit.Config, free func() error, err error) {
	key, err := c.LiveKit.Key.Resolve(getenv)
	if err != nil {
		return config, nil, fmt.Errorf("livekit.api_key: %w", err)
	}
	if _, err := c.LiveKit.Secret.Resolve(getenv); err != nil {
		return config, nil, fmt.Errorf("livekit.api_secret: %w", err)
	}
	opus, free, err := opusEncoders(context.Background())
	if err != nil {
		return config, nil, err
	}
	if opus == nil {
		return config, nil, errors.Join(errNoOpus, free())
	}
	l := &c.LiveKit
	return livekit.Config{
		URL: l.URL, Key: key, Secret: func(context.Context) (string, error) { return l.Secret.Resolve(getenv) }, Opus: opus,
		Rooms: l.Rooms, Identity: l.Identity, Name: l.Name, Participant: l.Participant,
	}, free, nil
}

func newLiveKitCommand(env *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "livekit",
		GroupID: groupSetup,
		Short:   "Look whether LiveKit's rooms can be joined",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLiveKitProbeCommand(env))
	return cmd
}

func newLiveKitProbeCommand(env *environment) *cobra.Command {
	var f configFlags
	var dry bool
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Ask the LiveKit server whether it lets the agent into its rooms",
		Long: `Probe signs a token for each of livekit.rooms and asks the server of livekit.url whether it
would let the agent in. Nobody joins a room, and no engine is loaded but the encoder. With
--dry-run nothing goes out: configuration, references and token are checked, and what
'parley serve' would do is told.

Exit code 0: the agent would be let into each room.
Exit code 1: it would not, or the server cannot be reached.
Exit code 2: the configuration is refused.`,
		Example: `  parley livekit probe --config voice.yaml --dry-run
  parley livekit probe --set livekit.url=ws://127.0.0.1:7880 --set livekit.rooms=lobby \
      --set livekit.api_key=env://LIVEKIT_API_KEY --set livekit.api_secret=env://LIVEKIT_API_SECRET`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return probeLiveKit(cmd.Context(), env, &f, dry) },
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "check what can be checked without the network")
	return cmd
}

func probeLiveKit(ctx context.Context, env *environment, f *configFlags, dry bool) error {
	c, _, err := f.load(env)
	if err != nil {
		return err
	}
	if c.LiveKit.URL == "" {
		return usageErrorf("livekit.url is empty: set it, such as --set livekit.url=ws://127.0.0.1:7880")
	}
	config, free, err := livekitConfig(c, os.Getenv)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	defer func() { _ = free() }()
	var failed error
	for _, room := range config.Rooms {
		plan, err := livekit.DryRun(ctx, config, room)
		if err != nil {
			return &exitError{code: exitUsage, err: err}
		}
		fmt.Fprintf(env.stdout, "room %q: %s\n  as %q, talking with %s; a token is valid for %v\n", oneLine(plan.Room), oneLine(plan.URL), plan.Identity, plan.Talks, plan.Lifetime)
		if dry {
			continue
		}
		report, err := livekit.Probe(ctx, config, room)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		fmt.Fprintf(env.stdout, "  the server lets the agent in (%v)\n", report.Took.Round(time.Millisecond))
	}
	return failed
}
