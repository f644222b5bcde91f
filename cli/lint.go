// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/controlplane/pipeline"
)

// The modes of reading pipeline specs (turn-plan section 1).
const (
	modeStrict  = "strict"
	modeRelaxed = "relaxed"
)

// lintedFile is what lint --json says about one file.
type lintedFile struct {
	File   string           `json:"file"`
	OK     bool             `json:"ok"`
	Error  string           `json:"error,omitempty"` // the file could not be read
	Faults []pipeline.Fault `json:"faults"`
}

// lintReport is the document of lint --json.
type lintReport struct {
	OK    bool         `json:"ok"`
	Mode  string       `json:"mode"`
	Files []lintedFile `json:"files"`
}

func newLintCommand(env *environment) *cobra.Command {
	var mode string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "lint FILE...",
		GroupID: groupCheck,
		Short:   "Check pipeline specs and show every fault, with its line",
		Long: `Check pipeline specs, in YAML or, when the name ends in .json, in JSON: each FILE by
itself, over the profile and, where it declares no graph, over the voice graph. A FILE of -
is standard input. Of a graph everything is checked that a session would refuse: its types
of nodes and what they are told, its edges, conditions, fallback branches and modules.

Each fault is one line on standard output:

  FILE:LINE:COLUMN: field.path: code: message

The message names field, value and remedy. Codes are stable, messages are for people. A
warning is about settings that work, but not as whoever wrote them may think: strict
refuses them, relaxed tells them on standard error. Of a file without faults nothing is
said. What several layers come to together, 'parley resolve' checks.

Exit code: 0 no faults, 1 some file has faults, 2 wrong usage or a file that cannot be
read (the other files are still checked).`,
		Example: `  parley lint voice.yaml
  parley lint --relaxed --json voice.yaml | jq '.files[].faults'
  generate-spec | parley lint -`,
		RunE: func(_ *cobra.Command, files []string) error {
			if err := checkMode(mode); err != nil {
				return err
			}
			if len(files) == 0 {
				return usageErrorf("no FILE is given; name one or more files, or - for standard input")
			}
			if n := len(slices.DeleteFunc(slices.Clone(files), func(f string) bool { return f != "-" })); n > 1 {
				return usageErrorf("- is given %d times; standard input can be read once", n)
			}
			return lintFiles(env, files, mode, asJSON)
		},
	}
	addModeFlag(cmd, &mode, modeStrict)
	completeSpec(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON document for tools")
	return cmd
}

func addModeFlag(cmd *cobra.Command, mode *string, preset string) {
	cmd.Flags().StringVar(mode, "mode", preset, "`MODE`: strict refuses what there are warnings about, relaxed tells them")
	for _, name := range []string{modeStrict, modeRelaxed} {
		cmd.Flags().BoolFunc(name, "the same as --mode "+name, func(text string) error {
			on, err := strconv.ParseBool(text)
			if err == nil && on {
				*mode = name
			}
			return err
		})
	}
	must(cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]string{modeStrict, modeRelaxed}, cobra.ShellCompDirectiveNoFileComp)))
}

func checkMode(mode string) error {
	if mode != modeStrict && mode != modeRelaxed {
		return usageErrorf("--mode is %q; use %s or %s", mode, modeStrict, modeRelaxed)
	}
	return nil
}

// lintFiles checks each file and ends with the worst of their exit codes.
func lintFiles(env *environment, files []string, mode string, asJSON bool) (err error) {
	n, done, err := env.specReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	report := lintReport{OK: true, Mode: mode}
	code := exitOK
	for _, name := range files {
		file := lintedFile{File: name, Faults: []pipeline.Fault{}}
		document, err := readSpec(env.stdin, n, pipeline.Spec, name)
		if err != nil {
			file.Error, code = err.Error(), exitUsage
		} else {
			_, faults, err := n.Resolve(nil, document)
			if err != nil {
				return err
			}
			file.Faults = append(file.Faults, faults...)
			if file.OK = fit(faults, mode); !file.OK {
				code = max(code, exitFailure)
			}
		}
		report.OK = report.OK && file.OK
		report.Files = append(report.Files, file)
	}
	if asJSON {
		if err := writeJSON(env.stdout, report); err != nil {
			return err
		}
	} else if err := writeLint(env, report); err != nil {
		return err
	}
	if code != exitOK {
		return silentExit(code)
	}
	return nil
}

// fit says whether settings with these faults are taken in a mode.
func fit(faults []pipeline.Fault, mode string) bool {
	return len(faults) == 0 || mode == modeRelaxed && !pipeline.Refused(faults)
}

// readSpec reads one file of a layer.
func readSpec(stdin io.Reader, n *pipeline.Normalizer, layer pipeline.Layer, name string) (*pipeline.Document, error) {
	data, err := readUpTo(stdin, name, pipeline.MaxSpecBytes)
	if err != nil {
		return nil, readError(err, "a YAML or JSON file")
	}
	return n.Read(layer, name, data), nil
}

// writeLint writes one line for each fault that counts to standard output, and the rest
// to standard error.
func writeLint(env *environment, report lintReport) error {
	out := bufio.NewWriter(env.stdout)
	faults, warnings, refused := 0, 0, 0
	for _, file := range report.Files {
		if file.Error != "" {
			fmt.Fprintf(env.stderr, "parley: %s %s\n", oneLine(file.File), oneLine(file.Error))
			continue
		}
		if !file.OK {
			refused++
		}
		for _, f := range file.Faults {
			to := io.Writer(out)
			if f.Warning {
				warnings++
				if report.Mode == modeRelaxed {
					to = env.stderr
				}
			} else {
				faults++
			}
			fmt.Fprintln(to, oneLine(f.String()))
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	if refused > 0 {
		fmt.Fprintf(env.stderr, "%s checked, %d refused: %s\n", plural(len(report.Files), "file", "files"), refused, tally(faults, warnings))
	}
	return nil
}

func tally(faults, warnings int) string {
	var parts []string
	if faults > 0 {
		parts = append(parts, plural(faults, "fault", "faults"))
	}
	if warnings > 0 {
		parts = append(parts, plural(warnings, "warning", "warnings"))
	}
	return strings.Join(parts, ", ")
}
