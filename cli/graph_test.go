// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/schema"
)

const (
	graphsDoc = "../docs/graphs.md"
	reference = "../docs/reference"
)

// exampleSpecs lists the specs of the examples.
func exampleSpecs(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("../examples/specs/*.yaml")
	if err != nil || len(names) < 6 {
		t.Fatalf("the examples are %v: %v", names, err)
	}
	return names
}

// Every example passes strict mode without a word, and resolves to what resolves again.
func TestExampleSpecs(t *testing.T) {
	names := exampleSpecs(t)
	if r := runParley(t, "", append([]string{"lint", "--strict"}, names...)...); r.code != exitOK || r.out+r.errOut != "" {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	for _, name := range names {
		var doc, again resolveReport
		r := runParley(t, "", "resolve", "--json", name)
		if err := json.Unmarshal([]byte(r.out), &doc); err != nil || !doc.OK || !doc.Graph.Declared || len(doc.Graph.Nodes) < 7 {
			t.Fatalf("%s: exit code %d, %v\n%s", name, r.code, err, r.errOut)
		}
		r = runParley(t, "", "resolve", "--json", specFile(t, "again.json", string(doc.Settings)))
		if err := json.Unmarshal([]byte(r.out), &again); err != nil || !jsonEqual(t, doc.Settings, again.Settings) || len(again.Graph.Edges) != len(doc.Graph.Edges) {
			t.Errorf("%s: read again it is\n%s\nand was\n%s", name, again.Settings, doc.Settings)
		}
	}
}

// The pictures of docs/graphs.md are those of the examples.
func TestPicturesOfExamples(t *testing.T) {
	raw, err := os.ReadFile(graphsDoc)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	var want strings.Builder
	for _, name := range exampleSpecs(t) {
		spec, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		about := regexp.MustCompile(`(?m)^description: (.*)$`).FindSubmatch(spec)
		if about == nil {
			t.Fatalf("%s has no description", name)
		}
		r := runParley(t, "", "graph", name, "--format", "mermaid")
		if r.code != exitOK || r.errOut != "" {
			t.Fatalf("%s: exit code %d\n%s", name, r.code, r.errOut)
		}
		fmt.Fprintf(&want, "[%s](../examples/specs/%s): %s\n\n```mermaid\n%s```\n\n", strings.TrimSuffix(filepath.Base(name), ".yaml"), filepath.Base(name), about[1], r.out)
	}
	begin := regexp.MustCompile(`<!-- pictures: begin[^\n]* -->\n`).FindStringIndex(text)
	end := strings.Index(text, "<!-- pictures: end -->")
	if begin == nil || end < begin[1] {
		t.Fatal("docs/graphs.md has no place for the pictures")
	}
	if *rewrite {
		text = text[:begin[1]] + want.String() + text[end:]
		if err := os.WriteFile(graphsDoc, []byte(text), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	} else if text[begin[1]:end] != want.String() {
		t.Error("the pictures of docs/graphs.md are not those of the examples; run go test ./cli -run Pictures -rewrite")
	}
}

// The picture in the README is what parley graph draws.
func TestPictureOfReadme(t *testing.T) {
	const picture = "../docs/graph.svg"
	r := runParley(t, "", "graph", "../examples/specs/language-router.yaml")
	if r.code != exitOK {
		t.Fatalf("exit code %d\n%s", r.code, r.errOut)
	}
	if *rewrite {
		if err := os.WriteFile(picture, []byte(r.out), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(picture); err != nil || string(got) != r.out {
		t.Errorf("docs/graph.svg is not drawn from its spec (%v); run go test ./cli -run Picture -rewrite", err)
	}
}

// docs/graphs.md tells of every code of a graph, and of no other.
func TestGraphCodes(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/controlplane/pipeline/graphfault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes, told []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, code)
		}
		return true
	})
	raw, err := os.ReadFile(graphsDoc)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(raw), "| Code | What is wrong |\n|---|---|\n")
	for line := range strings.Lines(table) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(first, -1) {
			told = append(told, m[1])
		}
	}
	slices.Sort(codes)
	slices.Sort(told)
	if len(codes) < 20 || !slices.Equal(codes, told) {
		t.Errorf("codes\n%v\ntold\n%v", codes, told)
	}
}

// parley graph draws in every format, and nothing of what is refused.
func TestGraphCommand(t *testing.T) {
	router := "../examples/specs/language-router.yaml"
	for format, want := range map[string][]string{
		"svg":     {"<svg ", "language == de and confidence &gt;= 0.4", "otherwise", "prefers-color-scheme"},
		"mermaid": {"flowchart LR", "language == de and confidence #62;= 0.4", ":::route"},
		"dot":     {"digraph ", `"language" -> "german"`, "language == fr"},
		"text":    {"language  select", "--> german  [language == de and confidence >= 0.4]"},
	} {
		r := runParley(t, "", "graph", router, "--format", format)
		for _, text := range want {
			if r.code != exitOK || !strings.Contains(r.out, text) {
				t.Errorf("%s: exit code %d, no %q in\n%s%s", format, r.code, text, r.out, r.errOut)
			}
		}
	}
	if r := runParley(t, "", "graph", "--format", "text"); r.code != exitOK || !strings.Contains(r.out, "endpointer  vad") {
		t.Errorf("without a spec: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	out := filepath.Join(t.TempDir(), "g.svg")
	if r := runParley(t, "nodes: {caller: {type: caller}}", "graph", "-", "--out", out); r.code != exitFailure || r.out != "" || !strings.Contains(r.errOut, "incomplete_graph") {
		t.Errorf("a refused spec: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused spec was drawn")
	}
	if r := runParley(t, "", "graph", router, "--out", out); r.code != exitOK || r.out+r.errOut != "" {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	for _, args := range [][]string{{"graph", "--format", "png"}, {"graph", "a", "b"}, {"graph", "nowhere.yaml"}, {"graph", router, "--out", filepath.Join(out, "x")}} {
		if r := runParley(t, "", args...); r.code != exitUsage || r.out != "" || r.errOut == "" {
			t.Errorf("parley %q: exit code %d\n%s%s", args, r.code, r.out, r.errOut)
		}
	}
}

// The reference in the tree is what parley docs writes, of the schema that is published.
func TestReferenceIsCurrent(t *testing.T) {
	dir := t.TempDir()
	if *rewrite {
		dir = reference
	}
	if r := runParley(t, "", "docs", "--out", dir); r.code != exitOK || r.errOut != "" || strings.Count(r.out, "\n") != len(pageNames()) {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	for _, name := range pageNames() {
		got, err := os.ReadFile(filepath.Join(dir, name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(reference, name+".md"))
		if err != nil || string(got) != string(want) {
			t.Errorf("docs/reference/%s.md is not what parley docs writes; run parley docs --out docs/reference (%v)", name, err)
		}
		if !strings.Contains(string(got), "Schema version v1.1.") || !strings.Contains(string(got), "### Example") {
			t.Errorf("%s has no version or no example", name)
		}
		if r := runParley(t, "", "docs", name); r.code != exitOK || r.out != string(got) {
			t.Errorf("parley docs %s writes something else: exit code %d", name, r.code)
		}
	}
	for _, args := range [][]string{{"docs"}, {"docs", "spex"}, {"docs", "spec", "--out", dir}, {"docs", "--format", "html", "spec"}} {
		if r := runParley(t, "", args...); r.code != exitUsage || r.out != "" {
			t.Errorf("parley %q: exit code %d\n%s", args, r.code, r.out)
		}
	}
}

// The examples of the reference are valid.
func TestReferenceExamples(t *testing.T) {
	names, err := filepath.Glob("templates/docs/*.json")
	if err != nil || len(names) != 5 {
		t.Fatalf("the examples are %v: %v", names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		kind, ok := schema.ParseKind(strings.TrimSuffix(filepath.Base(name), ".json"))
		if r := schema.Validate(kind, text, schema.Options{}); !ok || !r.Valid() {
			t.Errorf("%s: %v", name, r.Faults)
		}
	}
}
