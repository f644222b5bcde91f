// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/controlplane/pipeline"
	"github.com/parley-voice/parley/internal/drawing"
	"github.com/parley-voice/parley/internal/kernel/graph"
)

// formats are the ways to write a graph, the usual one first.
func formats() []string { return []string{"svg", "mermaid", "dot", "text"} }

func newGraphCommand(env *environment) *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:     "graph [SPEC]",
		GroupID: groupCheck,
		Short:   "Draw the graph of a pipeline spec",
		Long: `Draw the graph that a SPEC declares, with its modules expanded; without SPEC, or where it
declares none, the voice graph. SPEC is YAML, or JSON when its name ends in .json; - is
standard input.

  svg      a picture, which follows a light or dark scheme
  mermaid  a flowchart for Markdown
  dot      for Graphviz
  text     for a terminal

Edges with conditions carry them; an edge to a branch that stands in for a node is dashed.
What is refused is not drawn: every fault goes to standard error.

Exit code: 0 it is drawn, 1 the SPEC is refused, 2 wrong usage or a file that cannot be
read or written.`,
		Example: `  parley graph > voice.svg
  parley graph router.yaml --format mermaid
  parley graph router.yaml --out router.svg`,
		Args: atMostOne("name one SPEC, or none for the voice graph"),
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(formats(), format) {
				return usageErrorf("--format is %q; use one of %s", format, strings.Join(formats(), ", "))
			}
			return drawSpec(env, args, format, out)
		},
	}
	cmd.Flags().StringVar(&format, "format", formats()[0], "`FORMAT`: "+strings.Join(formats(), ", "))
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write instead of standard output; it is replaced")
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats(), cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.MarkFlagFilename("out"))
	completeSpec(cmd)
	return cmd
}

// completeSpec completes the names of specs.
func completeSpec(cmd *cobra.Command) {
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
	}
}

func drawSpec(env *environment, args []string, format, out string) (err error) {
	n, done, err := env.specReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	var documents []*pipeline.Document
	for _, name := range args {
		d, err := readSpec(env.stdin, n, pipeline.Spec, name)
		if err != nil {
			return &exitError{code: exitUsage, err: fmt.Errorf("%s %w", name, err)}
		}
		documents = append(documents, d)
	}
	e, faults, err := n.Resolve(nil, documents...)
	if err != nil {
		return err
	}
	for _, f := range faults {
		fmt.Fprintln(env.stderr, oneLine(f.String()))
	}
	if e == nil {
		return silentExit(exitFailure)
	}
	text := drawn(e, format)
	if out == "" {
		if _, err := io.WriteString(env.stdout, text); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		return nil
	}
	if err := os.WriteFile(out, []byte(text), 0o644); err != nil { //nolint:gosec // a picture is for everybody
		return &exitError{code: exitUsage, err: fmt.Errorf("--out %s cannot be written: %w", filepath.Base(out), err)}
	}
	return nil
}

// drawn writes the graph in force in one of the formats.
func drawn(e *pipeline.Effective, format string) string {
	p := pictureOf(e)
	switch format {
	case "mermaid":
		return drawing.Mermaid(p)
	case "dot":
		return drawing.DOT(p)
	case "text":
		return drawing.Text(p)
	}
	return drawing.SVG(p)
}

// pictureOf is the graph in force as it is drawn: along the way of a conversation.
func pictureOf(e *pipeline.Effective) *drawing.Graph {
	name, version := e.About()
	p := &drawing.Graph{Title: strings.TrimSpace(name + " " + version)}
	if p.Title == "" {
		p.Title = "voice graph"
	}
	definition, chooses := e.Graph(), map[string]bool{}
	for _, n := range inOrder(e.Nodes(), definition.Edges) {
		chooses[string(n.ID)] = n.Role == graph.RoleSelect
		p.Nodes = append(p.Nodes, drawing.Node{ID: string(n.ID), Kind: kindOf(&n), Class: classOf(&n), Group: groupOf(&n)})
	}
	slices.SortStableFunc(definition.Edges, func(a, b graph.Edge) int { return cmp.Compare(a.Rank, b.Rank) })
	for _, edge := range definition.Edges {
		d := drawing.Edge{From: string(edge.From), To: string(edge.To)}
		for _, t := range edge.When {
			d.Label += " and " + t.Attribute + " " + string(t.Op) + " " + t.Value
			d.Style = drawing.Conditional
		}
		d.Label = strings.TrimPrefix(d.Label, " and ")
		switch {
		case d.Label != "":
		case len(edge.Events) > 0:
			d.Label = strings.Join(edge.Events, ", ")
		case chooses[string(edge.From)]:
			d.Label = "otherwise"
		}
		p.Edges = append(p.Edges, d)
	}
	for _, n := range e.Nodes() {
		if n.FallbackOf != "" {
			var on []string
			for _, t := range n.FallbackOn {
				on = append(on, string(t))
			}
			p.Edges = append(p.Edges, drawing.Edge{From: string(n.FallbackOf), To: string(n.ID), Label: strings.Join(on, ", "), Style: drawing.Fallback})
		}
	}
	return p
}

// inOrder sorts nodes so that each stands behind what leads to it.
func inOrder(nodes []pipeline.GraphNode, edges []graph.Edge) (out []pipeline.GraphNode) {
	rest := slices.Clone(nodes)
	for len(rest) > 0 {
		next := slices.IndexFunc(rest, func(n pipeline.GraphNode) bool {
			return !slices.ContainsFunc(rest, func(o pipeline.GraphNode) bool {
				return o.ID == n.FallbackOf || slices.ContainsFunc(edges, func(e graph.Edge) bool { return e.To == n.ID && e.From == o.ID })
			})
		})
		next = max(next, 0)
		out = append(out, rest[next])
		rest = slices.Delete(rest, next, next+1)
	}
	return out
}

func kindOf(n *pipeline.GraphNode) string {
	kind := n.Type
	if n.Version != "" {
		kind += " " + n.Version
	}
	return kind
}

func groupOf(n *pipeline.GraphNode) string {
	if n.Module == "" {
		return ""
	}
	return string(n.ID)[:strings.LastIndexByte(string(n.ID), ':')] + " (" + n.Module + ")"
}

func classOf(n *pipeline.GraphNode) string {
	switch n.Role {
	case graph.RoleCaller, graph.RoleSpeaker:
		return "input"
	case graph.RoleDetector, graph.RoleRecogniser, graph.RoleSynthesiser:
		return "speech"
	case graph.RoleModel:
		return "model"
	case graph.RoleSegmenter:
		return "text"
	case graph.RoleMerge, graph.RoleSelect:
		return "route"
	case graph.RoleWork:
		return "work"
	case graph.RoleDeadLetter, graph.RoleResponder:
	}
	return "side"
}
