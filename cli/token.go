// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/settings"
)

func newTokenCommand(env *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		GroupID: groupSetup,
		Short:   "Make keys, issue session tokens, check them",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeygenCommand(env), newIssueCommand(env), newCheckCommand(env))
	return cmd
}

func newKeygenCommand(env *environment) *cobra.Command {
	var out, public string
	cmd := &cobra.Command{
		Use:   "keygen --out FILE",
		Short: "Make a key that signs session tokens",
		Long: `Keygen writes an Ed25519 key as PEM, readable by its owner alone, and tells its id. Set
auth.keys to file://FILE. To rotate, put the new key in front of the old one in one file,
and take the old one away when its last token has expired. --public writes the half that
only checks tokens, for hosts that issue none. No file is overwritten.`,
		Example: `  parley token keygen --out keys.pem
  parley token keygen --out keys.pem --public check.pem`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if out == "" {
				return usageErrorf("--out is missing: name a file for the key")
			}
			key, err := parley.NewTokenKey()
			if err != nil {
				return err
			}
			if err := writeNew(out, key.PEM, 0o600); err != nil {
				return err
			}
			if public != "" {
				if err := writeNew(public, key.Public, 0o644); err != nil {
					return errors.Join(err, os.Remove(out))
				}
			}
			return tell(env.stdout, func(w io.Writer) { fmt.Fprintf(w, "key %s\n", key.ID) })
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`FILE` for the key; it must not exist")
	cmd.Flags().StringVar(&public, "public", "", "`FILE` for the public half; it must not exist")
	must(cmd.MarkFlagFilename("out", "pem"))
	must(cmd.MarkFlagFilename("public", "pem"))
	return cmd
}

// writeNew writes a file that does not exist.
func writeNew(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("%w: name a file that does not exist", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(name))
	}
	return nil
}

// keyFlags say which keys are meant.
type keyFlags struct {
	configFlags
	keys string
}

func (f *keyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.keys, "keys", "", "`REFERENCE` to the key file, file://PATH or env://NAME; else auth.keys of the configuration")
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "`FILE` with the configuration of parley serve, YAML")
	must(cmd.MarkFlagFilename("config", "yaml", "yml"))
}

// tokens reads the keys. lifetime 0 is the configuration's.
func (f *keyFlags) tokens(env *environment, lifetime time.Duration) (*parley.Tokens, error) {
	c, _, err := f.load(env)
	if err != nil {
		return nil, err
	}
	ref := settings.Reference(f.keys)
	switch {
	case ref == "":
		ref = c.Auth.Keys
	case !ref.Valid():
		return nil, usageErrorf("--keys: use a reference, file://PATH or env://NAME")
	}
	if ref == "" {
		return nil, usageErrorf("there is no key: give --keys file://PATH, or set auth.keys; parley token keygen makes one")
	}
	text, err := ref.Resolve(os.Getenv)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	if lifetime == 0 {
		lifetime = time.Duration(c.Auth.Lifetime) * time.Millisecond
	}
	x, err := parley.ReadTokens(string(ref), []byte(text), lifetime)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	return x, nil
}

// issued is the document of token issue --json.
type issued struct {
	Token  string             `json:"token"`
	Claims parley.TokenClaims `json:"claims"`
}

func newIssueCommand(env *environment) *cobra.Command {
	var f keyFlags
	var claims parley.TokenClaims
	var session, version string
	var epoch, lifetime int64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "issue --transport KIND",
		Short: "Issue a session token",
		Long: `Issue prints a session token: who has it may begin one session by one transport, and come
back to it, until it expires. What is printed is a secret. Tokens are usually issued by your
own service, with the same key; this is for trying things, and for scripts.

--transport status makes a token that begins no session: it shows those of its tenant.`,
		Example: `  parley token issue --keys file://keys.pem --tenant acme --transport websocket
  parley token issue --config voice.yaml --transport status --tenant acme`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if claims.Transport == "" {
				return usageErrorf("--transport is missing: name the transport that the token is for, such as websocket")
			}
			x, err := f.tokens(env, time.Duration(lifetime)*time.Millisecond)
			if err != nil {
				return err
			}
			claims.Session, claims.Pipeline, claims.Epoch = eventabi.SessionID(session), eventabi.PipelineVersion(version), eventabi.Epoch(epoch)
			text, c, err := x.Issue(claims)
			if err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			if asJSON {
				return writeJSON(env.stdout, issued{text, c})
			}
			return tell(env.stdout, func(w io.Writer) { fmt.Fprintln(w, text) })
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&claims.Tenant, "tenant", parley.DefaultTenant, "`TENANT` that the session is of")
	flags.StringVar(&session, "session", "", "`ID` of the session (default a random one)")
	flags.StringVar(&claims.Transport, "transport", "", "`KIND` of the transport, such as websocket")
	flags.StringVar(&version, "pipeline", parley.DefaultPipeline, "`VERSION` of the pipeline")
	flags.Int64Var(&epoch, "epoch", 1, "`NUMBER` of the session's lease")
	flags.Int64Var(&lifetime, "lifetime-ms", 0, "`MILLISECONDS` that it is valid (default auth.token_lifetime_ms)")
	flags.BoolVar(&asJSON, "json", false, "write one JSON document for tools, with the claims")
	return cmd
}

// checked is the document of token check.
type checked struct {
	Valid  bool                `json:"valid"`
	Fault  string              `json:"fault,omitempty"`
	Reason string              `json:"reason,omitempty"`
	Claims *parley.TokenClaims `json:"claims,omitempty"`
}

func newCheckCommand(env *environment) *cobra.Command {
	var f keyFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the session token on standard input",
		Long: `Check reads a token from standard input, where no list of processes shows it, and says
what it claims, or why it is not valid, as one JSON document.

Exit code: 0 it is valid, 1 it is not, 2 wrong usage or keys that cannot be read.`,
		Example: `  parley token issue --keys file://keys.pem --transport websocket | parley token check --keys file://keys.pem`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			x, err := f.tokens(env, 0)
			if err != nil {
				return err
			}
			text, err := io.ReadAll(io.LimitReader(env.stdin, 1<<16))
			if err != nil {
				return fmt.Errorf("read the token: %w", err)
			}
			c, err := x.Check(strings.TrimSpace(string(text)))
			out := checked{Valid: err == nil, Claims: &c}
			if fault := (*parley.TokenError)(nil); errors.As(err, &fault) {
				out.Fault, out.Reason, out.Claims = string(fault.Fault), fault.Detail, nil
			}
			if err := writeJSON(env.stdout, out); err != nil || out.Valid {
				return err
			}
			return silentExit(exitFailure)
		},
	}
	f.add(cmd)
	return cmd
}
