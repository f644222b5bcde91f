// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema"
	"github.com/parley-voice/parley/internal/controlplane/pipeline"
)

func newDocsCommand(env *environment) *cobra.Command {
	var out, format string
	cmd := &cobra.Command{
		Use:     "docs [PAGE]",
		GroupID: groupSetup,
		Short:   "Write the reference of specs, policies, events and nodes",
		Long: `Write the reference documents, from the schemas and the types of nodes of this program:

  spec     what a pipeline spec can say
  policy   what a turn plan and a decision say
  events   event records, control signals and turn transitions
  nodes    the types of nodes that a spec can name, and what each is told

With PAGE it goes to standard output; with --out all pages go to a folder, which is made if
it is not there, and files of their names are replaced. Each page carries the version of
the schema that it came from.

Exit code: 0 written, 2 wrong usage or a folder that cannot be written.`,
		Example: `  parley docs nodes
  parley docs --out docs/reference`,
		Args:              atMostOne("name one PAGE, or give --out"),
		ValidArgsFunction: cobra.FixedCompletions(pageNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case format != "md":
				return usageErrorf("--format is %q; use md", format)
			case len(args) == 0 && out == "":
				return usageErrorf("give a PAGE (%s) or --out DIR for all of them", strings.Join(pageNames(), ", "))
			case len(args) == 1 && out != "":
				return usageErrorf("a PAGE goes to standard output; leave --out out, or the PAGE for all of them")
			case len(args) == 1 && !slices.Contains(pageNames(), args[0]):
				return usageErrorf("PAGE is %q; use one of %s", args[0], strings.Join(pageNames(), ", "))
			}
			return writeDocs(env, args, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`DIR` for all pages")
	cmd.Flags().StringVar(&format, "format", "md", "`FORMAT`: md")
	must(cmd.MarkFlagDirname("out"))
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"md"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func pageNames() []string { return []string{"spec", "policy", "events", "nodes"} }

func writeDocs(env *environment, args []string, out string) error {
	pages, err := env.referencePages()
	if err != nil {
		return err
	}
	if len(args) == 1 {
		if _, err := io.WriteString(env.stdout, pages[args[0]]); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		return nil
	}
	refuse := func(err error) error {
		return &exitError{code: exitUsage, err: fmt.Errorf("--out %s: %w: give another DIR", out, err)}
	}
	if err := os.MkdirAll(out, 0o755); err != nil { //nolint:gosec // a folder of documents
		return refuse(err)
	}
	for _, name := range pageNames() {
		path := filepath.Join(out, name+".md")
		if err := os.WriteFile(path, []byte(pages[name]), 0o644); err != nil { //nolint:gosec // a document
			return refuse(err)
		}
		fmt.Fprintln(env.stdout, path)
	}
	return nil
}

// referencePages writes every page.
func (env *environment) referencePages() (pages map[string]string, err error) {
	n, done, err := env.specReader()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	pages = map[string]string{"nodes": nodesPage(n)}
	for name, about := range map[string]struct {
		title, intro string
		kinds        []schema.Kind
	}{
		"spec": {"Pipeline specs", "What a pipeline spec can say. [graphs.md](../graphs.md) tells how a graph is declared, and\n" +
			"[flow.md](../flow.md) what its edges, budgets and quotas do.", []schema.Kind{schema.PipelineSpec}},
		"policy": {
			"Policies", "What a turn may do is frozen in its plan before it opens; who is let in is a decision.",
			[]schema.Kind{schema.ResolvedTurnPlan, schema.DecisionOutcome},
		},
		"events": {"Events", "Everything that goes from one part to another travels in one envelope. A record carries content, a\n" +
			"control signal says what was decided, and a turn transition how a turn moved.", []schema.Kind{schema.EventRecord, schema.ControlSignal, schema.TurnTransition}},
	} {
		text, err := schemaPage(about.title, about.intro, about.kinds)
		if err != nil {
			return nil, err
		}
		if name == "events" {
			text += signalTable()
		}
		pages[name] = text
	}
	return pages, nil
}

// pageHead begins a page.
func pageHead(title, intro string) string {
	return "<!-- Written by 'parley docs'. Do not edit: change the schema or the node, and write it again. -->\n\n# " + title +
		"\n\n" + intro + "\n\nSchema version " + eventabi.SchemaVersion + ".\n"
}

// schemaPage tells of artifacts by their schemas, each with an example.
func schemaPage(title, intro string, kinds []schema.Kind) (string, error) {
	var b strings.Builder
	b.WriteString(pageHead(title, intro))
	for _, kind := range kinds {
		raw, err := schema.Published(kind)
		if err != nil {
			return "", err
		}
		s, err := readSchema(raw)
		if err != nil {
			return "", fmt.Errorf("read the schema of %s: %w", kind, err)
		}
		fmt.Fprintf(&b, "\n## %s\n\n`%s`, `parley schema %s`\n\n", s.Title, s.ID, kind)
		s.table(&b)
		example, err := exampleOf(kind)
		if err != nil {
			return "", err
		}
		b.WriteString("\n### Example\n\n" + example)
	}
	return b.String(), nil
}

// exampleOf gives an example of a kind as a block of code.
func exampleOf(kind schema.Kind) (string, error) {
	if kind == schema.PipelineSpec {
		list, err := templateOf("ivr")
		if err != nil {
			return "", err
		}
		_, text, _ := strings.Cut(string(list[0].text), "pipeline:")
		return "```yaml\npipeline:" + text + "```\n", nil
	}
	text, err := templateFiles.ReadFile(templateDir + "/docs/" + string(kind) + ".json")
	if err != nil {
		return "", fmt.Errorf("read the example of %s: %w", kind, err)
	}
	return "```json\n" + strings.TrimRight(string(text), "\n") + "\n```\n", nil
}

// signalTable tells of the registry of control signals.
func signalTable() string {
	var b strings.Builder
	b.WriteString("\n## Control signals\n\n| Signal | Since | Emitted by | Scope | Needs | Reasons |\n|---|---|---|---|---|---|\n")
	for _, s := range eventabi.Signals() {
		var by []string
		for _, e := range s.Emitters {
			by = append(by, string(e))
		}
		needs := slices.Clone(s.Requires)
		if len(s.RequiresOneOf) > 0 {
			needs = append(needs, "one of "+strings.Join(s.RequiresOneOf, ", "))
		}
		scope := string(s.Scope)
		if scope == "" {
			scope = "any"
		}
		fmt.Fprintf(&b, "| `%s` | v1.%d | %s | %s | %s | %s |\n", s.Signal, s.Since, strings.Join(by, ", "), scope, cell(strings.Join(needs, "; ")), cell(strings.Join(s.Reasons, ", ")))
	}
	return b.String()
}

// nodesPage tells of the types of nodes.
func nodesPage(n *pipeline.Normalizer) string {
	var b strings.Builder
	b.WriteString(pageHead("Nodes", "The types of nodes that a spec can name. Those of the runtime come first, then those that this program\nregisters; "+
		"[nodes.md](../nodes.md) tells how to write another."))
	b.WriteString("\n## The runtime's own\n\n| Type | What it is | Lives for | Takes | Gives |\n|---|---|---|---|---|\n")
	for _, t := range pipeline.NodeTypes() {
		scope, takes, gives := string(t.Scope), codes(t.Inputs), codes(t.Outputs)
		if scope == "" {
			scope, takes, gives = "what feeds it", "everything", "what it takes"
		}
		if t.Name == "dead_letter" {
			takes = "everything"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", t.Name, t.Doc, scope, takes, gives)
	}
	b.WriteString("| `module` | stands for a subgraph | | as its inputs | as its outputs |\n\n### What they are told\n\n| Field | Value | Meaning |\n|---|---|---|\n")
	for _, t := range pipeline.NodeTypes() {
		for _, f := range t.Config {
			fmt.Fprintf(&b, "| `%s`: `config.%s` | %s | %s |\n", t.Name, f.Name, f.Admits(), cell(f.Doc))
		}
	}
	b.WriteString("\n## Registered by this program\n\n| Type | Package | Lives for | Takes | Gives |\n|---|---|---|---|---|\n")
	for _, name := range n.KindTypes() {
		d, err := n.DescribeKind(name)
		if err != nil {
			fmt.Fprintf(&b, "| `%s` | its config says what it is | | | |\n", name)
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s %s | %s | %s | %s |\n", name, d.Package, d.Version, d.Scope, codes(d.Inputs), codes(d.Outputs))
	}
	b.WriteString("\n### Example\n\n```yaml\nnodes:\n  clean:\n    type: compliance\n    config:\n      scope: turn\n      rules:\n        - {name: cards, find: card, action: mask}\n    limits: {event_ms: 200}\n```\n")
	return b.String()
}

func codes(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "`" + strings.Join(list, "`, `") + "`"
}

// cell makes text fit into a cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}
