// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/controlplane/pipeline"
)

// resolveFlags are the flags of parley resolve.
type resolveFlags struct {
	tenant  []string
	set     []string
	mode    string
	changed bool
	json    bool
}

// resolveReport is the document of resolve --json.
type resolveReport struct {
	OK bool `json:"ok"`
	// Settings is what is in force, as a pipeline spec; absent when it was refused.
	Settings json.RawMessage `json:"settings,omitempty"`
	// Graph is the graph in force, modules expanded; absent when it was refused.
	Graph  *resolvedGraph   `json:"graph,omitempty"`
	Values []pipeline.Value `json:"values"`
	Faults []pipeline.Fault `json:"faults"`
}

// resolvedGraph is the graph in force, as resolve --json has it.
type resolvedGraph struct {
	Declared bool           `json:"declared"` // otherwise it is the voice graph
	Nodes    []resolvedNode `json:"nodes"`
	Edges    []resolvedEdge `json:"edges"`
}

type resolvedNode struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Version    string          `json:"version,omitempty"`
	Role       string          `json:"role"`
	Scope      string          `json:"scope"`
	Module     string          `json:"module,omitempty"`
	Prelude    bool            `json:"prelude,omitempty"`
	FallbackOf string          `json:"fallback_of,omitempty"`
	Inputs     []string        `json:"inputs"`
	Outputs    []string        `json:"outputs"`
	Config     json.RawMessage `json:"config,omitempty"`
}

type resolvedEdge struct {
	ID     string   `json:"id"`
	From   string   `json:"from"`
	To     string   `json:"to"`
	Events []string `json:"events,omitempty"`
	When   []string `json:"when,omitempty"`
	Rank   int64    `json:"rank,omitempty"`
	Room   int64    `json:"max_queue_items,omitempty"` // of what waits in a turn
}

func graphOf(e *pipeline.Effective) *resolvedGraph {
	g := &resolvedGraph{Declared: e.Declared()}
	for _, n := range e.Nodes() {
		g.Nodes = append(g.Nodes, resolvedNode{
			ID: string(n.ID), Type: n.Type, Version: n.Version, Role: string(n.Role), Scope: string(n.Scope), Module: n.Module, Prelude: n.Prelude,
			FallbackOf: string(n.FallbackOf), Inputs: append([]string{}, n.Inputs...), Outputs: append([]string{}, n.Outputs...), Config: n.Config,
		})
	}
	for _, edge := range e.Graph().Edges {
		out := resolvedEdge{ID: string(edge.ID), From: string(edge.From), To: string(edge.To), Events: edge.Events, Rank: edge.Rank, Room: edge.Room}
		for _, t := range edge.When {
			out.When = append(out.When, t.Attribute+" "+string(t.Op)+" "+t.Value)
		}
		g.Edges = append(g.Edges, out)
	}
	return g
}

func newResolveCommand(env *environment) *cobra.Command {
	var f resolveFlags
	cmd := &cobra.Command{
		Use:     "resolve [FILE]",
		GroupID: groupCheck,
		Short:   "Show what is in force of a pipeline spec, and where each value came from",
		Long: `Lay the layers of a pipeline spec over each other and show every value in force, with its
layer and the line, variable or flag that gave it. A graph is shown with its modules
expanded:

  execution_profile/simple/v1   what the profile says
  pipeline_spec                 FILE, and what the voice graph makes of the profile
  environment                   PARLEY_SECTION__FIELD, such as PARLEY_BUDGETS__TURN_BUDGET_MS
  tenant                        --tenant FILE
  session                       --set path=value

Of each value the highest layer that gives it stands. (by PATH) says that a default gave
way to that value, or was chosen by it. FILE is YAML, or JSON when its name ends in .json;
without FILE the spec changes nothing, and - is standard input.

Faults go to standard error, one a line; where there are any, nothing is in force. With
--json they are in the document.

Exit code: 0 it is in force, 1 it is refused, 2 wrong usage or a file that cannot be read.`,
		Example: `  parley resolve
  parley resolve voice.yaml --changed
  parley resolve voice.yaml --set budgets.turn_budget_ms=1500 --set edges.stt-llm.strategy=merge
  parley resolve voice.yaml --tenant acme.yaml --json | jq .settings`,
		Args: atMostOne("name one FILE, or none"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkMode(f.mode); err != nil {
				return err
			}
			return runResolve(env, f, args)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.tenant, "tenant", nil, "`FILE` with what a tenant has otherwise (repeatable; of one value the later file's stands)")
	flags.StringArrayVar(&f.set, "set", nil, "`PATH=VALUE` of this session (repeatable); a value is read as YAML")
	flags.BoolVar(&f.changed, "changed", false, "only what is not as the profile and the voice graph have it")
	flags.BoolVar(&f.json, "json", false, "write one JSON document for tools")
	addModeFlag(cmd, &f.mode, modeRelaxed)
	completeSpec(cmd)
	must(cmd.MarkFlagFilename("tenant", "yaml", "yml", "json"))
	return cmd
}

func runResolve(env *environment, f resolveFlags, args []string) (err error) {
	n, done, err := env.specReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	documents, err := readLayers(env, n, f, args)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	e, faults, err := n.Resolve(nil, documents...)
	if err != nil {
		return err
	}
	report := resolveReport{OK: fit(faults, f.mode), Values: []pipeline.Value{}, Faults: append([]pipeline.Fault{}, faults...)}
	if report.OK {
		report.Settings = e.Document()
		report.Values, report.Graph = e.Values(), graphOf(e)
		if f.changed {
			report.Values = e.Changed()
		}
	}
	if f.json {
		err = writeJSON(env.stdout, report)
	} else {
		for _, fault := range faults {
			fmt.Fprintln(env.stderr, oneLine(fault.String()))
		}
		err = printValues(env.stdout, report.Values)
	}
	if err == nil && !report.OK {
		err = silentExit(exitFailure)
	}
	return err
}

// readLayers reads what each layer gives.
func readLayers(env *environment, n *pipeline.Normalizer, f resolveFlags, args []string) ([]*pipeline.Document, error) {
	var documents []*pipeline.Document
	read := func(layer pipeline.Layer, name string) error {
		d, err := readSpec(env.stdin, n, layer, name)
		if err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
		documents = append(documents, d)
		return nil
	}
	piped := 0
	for i, name := range append(args[:len(args):len(args)], f.tenant...) {
		layer := pipeline.Tenant
		if i < len(args) {
			layer = pipeline.Spec
		}
		if name == "-" {
			if piped++; piped > 1 {
				return nil, errors.New("- is given more than once; standard input can be read once")
			}
		}
		if err := read(layer, name); err != nil {
			return nil, err
		}
	}
	session, err := n.Set(pipeline.Session, "--set", f.set...)
	if err != nil {
		return nil, err
	}
	return append(documents, n.Environment(os.Environ(), documents...), session), nil
}

// printValues writes a line for each value: its path, the value, and where it came from.
func printValues(w io.Writer, values []pipeline.Value) error {
	width, layers := 0, 0
	for _, v := range values {
		width = max(width, len(v.Path)+len(" = ")+len(v.Text))
		layers = max(layers, len(v.Source.Layer))
	}
	width = min(width, 80)
	out := bufio.NewWriter(w)
	for _, v := range values {
		fmt.Fprintf(out, "%-*s  %-*s  %s\n", width, oneLine(v.Path+" = "+v.Text), layers, v.Source.Layer, oneLine(v.Source.String()))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}
