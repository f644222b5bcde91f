// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema"
)

// fileReport is what validate --json says about one file.
type fileReport struct {
	File   string         `json:"file"`
	Kind   schema.Kind    `json:"kind"`
	Valid  bool           `json:"valid"`
	Error  string         `json:"error,omitempty"` // the file could not be read
	Faults []schema.Fault `json:"faults"`
	Notes  []schema.Fault `json:"notes"`
}

// validateReport is the document of validate --json.
type validateReport struct {
	Valid bool         `json:"valid"`
	Files []fileReport `json:"files"`
}

func kindNames() []string {
	names := []string{"event"}
	for _, k := range schema.Kinds() {
		names = append(names, string(k))
	}
	return names
}

func unknownActions() []string {
	return []string{string(eventabi.UnknownDrop), string(eventabi.UnknownPassThrough), string(eventabi.UnknownReject)}
}

func newValidateCommand(env *environment) *cobra.Command {
	var kindName, action string
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:     "validate --kind KIND FILE...",
		GroupID: groupCheck,
		Short:   "Check contract artifacts and show every fault",
		Long: `Check contract artifacts, one JSON document a file, and show every fault.
A FILE of - is standard input. Of a FILE whose name ends in .jsonl each line is a document.

Kinds: event_record (or event), control_signal, turn_transition,
resolved_turn_plan, decision_outcome, artifact_bundle.

Each fault is one line on standard output:

  FILE: /json/pointer: code: message

The pointer (RFC 6901) leads to the value, or to where a missing field belongs;
(document) is the document as a whole. Codes are stable, messages are for people.
Notes, which make nothing invalid, and a summary go to standard error.

Exit code: 0 all valid, 1 some artifact has faults, 2 wrong usage or a file that
cannot be read (the other files are still checked).`,
		Example: `  parley validate --kind control_signal cancel.json
  parley validate --kind resolved_turn_plan --json plan.json | jq '.files[].faults'
  some-tool | parley validate --kind event -`,
		RunE: func(_ *cobra.Command, files []string) error {
			kind, err := parseKind(kindName)
			if err != nil {
				return err
			}
			if !slices.Contains(unknownActions(), action) {
				return usageErrorf("--unknown-event-action is %q; use one of %s", action, strings.Join(unknownActions(), ", "))
			}
			if len(files) == 0 {
				return usageErrorf("no FILE is given; name one or more files, or - for standard input")
			}
			if n := len(slices.DeleteFunc(slices.Clone(files), func(f string) bool { return f != "-" })); n > 1 {
				return usageErrorf("- is given %d times; standard input can be read once", n)
			}
			v := schema.NewValidator(schema.Options{UnknownAction: eventabi.UnknownAction(action)})
			return validateFiles(env, v, kind, files, asJSON, quiet)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&kindName, "kind", "k", "", "kind of the artifacts: "+strings.Join(kindNames(), ", "))
	flags.StringVar(&action, "unknown-event-action", string(eventabi.UnknownDrop),
		"unknown additions of newer minor versions: drop, pass_through (noted) or reject (faults)")
	flags.BoolVar(&asJSON, "json", false, "write one JSON document for tools")
	flags.BoolVarP(&quiet, "quiet", "q", false, "no notes and no summary on standard error")
	complete := func(name string, values []string) {
		// The only error is a flag that does not exist.
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	complete("kind", kindNames())
	complete("unknown-event-action", unknownActions())
	return cmd
}

func parseKind(name string) (schema.Kind, error) {
	kinds := strings.Join(kindNames(), ", ")
	if name == "" {
		return "", usageErrorf("--kind is missing; say what the artifacts are, one of %s", kinds)
	}
	kind, ok := schema.ParseKind(name)
	if kind == schema.PipelineSpec {
		return "", usageErrorf("--kind is %q, which authors write and 'parley lint' checks; of contract artifacts there are %s", name, kinds)
	}
	if !ok {
		return "", usageErrorf("--kind is %q; use one of %s", name, kinds)
	}
	return kind, nil
}

// validateFiles checks each file and ends with the worst of their exit codes.
func validateFiles(env *environment, v *schema.Validator, kind schema.Kind, files []string, asJSON, quiet bool) error {
	report := validateReport{Valid: true}
	code := exitOK
	for _, file := range validateAll(env.stdin, v, kind, files) {
		switch {
		case file.Error != "":
			code = exitUsage
		case !file.Valid:
			code = max(code, exitFailure)
		}
		report.Valid = report.Valid && file.Valid
		report.Files = append(report.Files, file)
	}
	if asJSON {
		if err := writeJSON(env.stdout, report); err != nil {
			return err
		}
	} else if err := writeFaults(env, report, quiet); err != nil {
		return err
	}
	if code != exitOK {
		return silentExit(code)
	}
	return nil
}

func validateAll(stdin io.Reader, v *schema.Validator, kind schema.Kind, files []string) (out []fileReport) {
	for _, name := range files {
		if strings.HasSuffix(name, ".jsonl") {
			out = append(out, validateLines(v, kind, name)...)
			continue
		}
		data, err := readUpTo(stdin, name, schema.MaxArtifactBytes)
		if err != nil {
			out = append(out, unreadable(kind, name, err))
			continue
		}
		out = append(out, validateDocument(v, kind, name, data))
	}
	return out
}

// validateLines checks each line of a file, blank ones left out, under the file's name and
// the line's number. A file without a document is one that cannot be read.
func validateLines(v *schema.Validator, kind schema.Kind, name string) (out []fileReport) {
	file, err := os.Open(name)
	if err != nil {
		return []fileReport{unreadable(kind, name, err)}
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, schema.MaxArtifactBytes+1)
	number := 0
	for lines.Scan() {
		number++
		if len(bytes.TrimSpace(lines.Bytes())) > 0 {
			out = append(out, validateDocument(v, kind, fmt.Sprintf("%s:%d", name, number), lines.Bytes()))
		}
	}
	err = lines.Err()
	if err == nil && len(out) == 0 {
		err = errors.New("it holds no document")
	}
	if err != nil {
		out = append(out, unreadable(kind, fmt.Sprintf("%s:%d", name, number+1), err))
	}
	return out
}

func unreadable(kind schema.Kind, name string, err error) fileReport {
	return fileReport{
		File: name, Kind: kind, Error: readError(err, "a JSON file").Error(), Faults: []schema.Fault{}, Notes: []schema.Fault{},
	}
}

func validateDocument(v *schema.Validator, kind schema.Kind, name string, data []byte) fileReport {
	out := fileReport{File: name, Kind: kind, Faults: []schema.Fault{}, Notes: []schema.Fault{}}
	r := v.Validate(kind, data)
	out.Valid = r.Valid()
	out.Faults = append(out.Faults, r.Faults...)
	out.Notes = append(out.Notes, r.Notes...)
	return out
}

// readUpTo reads a file, or standard input for -, and of it at most one byte more than it
// may have, which is enough for who reads it on to say that it is too large.
func readUpTo(stdin io.Reader, name string, most int64) ([]byte, error) {
	source := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		source = f
	}
	return io.ReadAll(io.LimitReader(source, most+1))
}

// readError says what is wrong with a file, without the path that the line shows already,
// and what is wanted in its place.
func readError(err error, want string) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	remedy := "give the path of " + want + ", or - for standard input"
	if errors.Is(err, fs.ErrPermission) {
		remedy = "make it readable"
	}
	return fmt.Errorf("cannot be read: %w; %s", err, remedy)
}

// writeFaults writes one line a fault to standard output, the rest to standard error.
func writeFaults(env *environment, report validateReport, quiet bool) error {
	out := bufio.NewWriter(env.stdout)
	valid, unread, faults := 0, 0, 0
	for _, file := range report.Files {
		name := oneLine(file.File)
		if file.Error != "" {
			unread++
			fmt.Fprintf(env.stderr, "parley: %s %s\n", name, oneLine(file.Error))
			continue
		}
		if file.Valid {
			valid++
		}
		for _, f := range file.Faults {
			faults++
			fmt.Fprintf(out, "%s: %s\n", name, faultLine(f))
		}
		if quiet {
			continue
		}
		for _, f := range file.Notes {
			fmt.Fprintf(env.stderr, "%s: note: %s\n", name, faultLine(f))
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	if !quiet {
		fmt.Fprintln(env.stderr, summary(len(report.Files), valid, unread, faults))
	}
	return nil
}

func faultLine(f schema.Fault) string {
	pointer := f.Pointer
	if pointer == "" {
		pointer = "(document)"
	}
	return oneLine(pointer + ": " + f.Code + ": " + f.Message)
}

func summary(files, valid, unread, faults int) string {
	text := plural(files, "artifact", "artifacts") + " checked: "
	if valid == files {
		return text + "valid"
	}
	text += fmt.Sprintf("%d valid, %s", valid, plural(faults, "fault", "faults"))
	if unread > 0 {
		text += fmt.Sprintf(", %d not read", unread)
	}
	return text
}
