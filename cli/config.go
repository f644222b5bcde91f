// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/settings"
)

func newConfigCommand(env *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: groupSetup,
		Short:   "Show the configuration of parley serve",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigPrintCommand(env))
	return cmd
}

func newConfigPrintCommand(env *environment) *cobra.Command {
	var f configFlags
	var asJSON, changed bool
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Show each value in force, and where it came from",
		Long: `Print shows each value that parley serve would run with, its layer, and the file and line,
variable or flag that gave it:

  default       as the program has it
  file          --config FILE
  environment   PARLEY_SERVE__SECTION__FIELD, such as PARLEY_SERVE__AUTH__MODE
  flag          --listen, --llm, --record, --set PATH=VALUE

Of each value the highest layer that gives it stands. Secrets are references and are not
looked up. Where the configuration is refused, every fault is told, one a line.

Exit code: 0 it is in force, 2 it is refused or cannot be read.`,
		Example: `  parley config print
  parley config print --config voice.yaml --changed
  parley config print --json | jq '.values[] | select(.source.layer != "default")'`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, loaded, err := f.load(env)
			if err != nil {
				return err
			}
			values := loaded.Values()
			if changed {
				values = withoutDefaults(values)
			}
			if asJSON {
				return writeJSON(env.stdout, map[string]any{"values": values})
			}
			return printSettings(env.stdout, values)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON document for tools")
	cmd.Flags().BoolVar(&changed, "changed", false, "only what is not a default")
	return cmd
}

func withoutDefaults(values []settings.Value) []settings.Value {
	list := []settings.Value{}
	for _, v := range values {
		if v.Source.Layer != settings.Default {
			list = append(list, v)
		}
	}
	return list
}

// printSettings writes a line for each value: its path, the value, and where it came from.
func printSettings(w io.Writer, values []settings.Value) error {
	width := 0
	for _, v := range values {
		width = max(width, len(v.Path)+len(" = ")+len(v.Text))
	}
	width = min(width, 80)
	out := bufio.NewWriter(w)
	for _, v := range values {
		text := fmt.Sprintf("%-*s  %-*s  %s", width, oneLine(v.Path+" = "+v.Text), len(settings.Environment), v.Source.Layer, oneLine(v.Source.String()))
		fmt.Fprintln(out, strings.TrimRight(text, " "))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}
