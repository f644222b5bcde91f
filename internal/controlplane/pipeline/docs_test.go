// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

const flowDoc = "../../../docs/flow.md"

// The tables of the document are those of the schema and of the kernel.
func TestFlowDocTables(t *testing.T) {
	raw, err := os.ReadFile(flowDoc)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for name, want := range map[string]string{"fields": fieldTable(normalizer(t).Fields()), "edges": edgeTable(), "tunings": tuningTable()} {
		begin := regexp.MustCompile(`<!-- ` + name + `: begin [^\n]* -->\n`).FindStringIndex(text)
		end := strings.Index(text, "<!-- "+name+": end -->")
		if begin == nil || end < begin[1] {
			t.Fatalf("docs/flow.md has no place for %s", name)
		}
		if got := text[begin[1]:end]; got != want && !*rewrite {
			t.Errorf("the table of %s differs; look, and run with -rewrite if it is right\n got\n%s\nwant\n%s", name, got, want)
		}
		text = text[:begin[1]] + want + text[end:]
	}
	if *rewrite && text != string(raw) {
		if err := os.WriteFile(flowDoc, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// fieldTable tells of every field. Fields that are alike share a row.
func fieldTable(root *Field) string {
	var b strings.Builder
	b.WriteString("| Field | Value | Meaning |\n|---|---|---|\n")
	var walk func(f *Field, path string)
	walk = func(f *Field, path string) {
		switch section, rest := head(path); {
		case section == "nodes", ofSpecAlone(section), section == "edges" && rest != "*.from" && rest != "*.to" && ofRoute(fieldOf(rest)):
			return // docs/graphs.md tells of the graph
		}
		if f.Type != "object" {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", path, f.admits(), f.Doc)
			return
		}
		for _, names := range f.alike() {
			name := names[0]
			if len(names) > 1 {
				name = "{" + strings.Join(names, ", ") + "}"
			}
			walk(f.Child(names[0]), strings.TrimPrefix(path+"."+name, "."))
		}
		switch twin := root.At("quotas.defaults"); {
		case f.Each == nil:
		case reflect.DeepEqual(f.Each.Fields, twin.Fields):
			fmt.Fprintf(&b, "| `%s.*` | as `quotas.defaults` | %s |\n", path, f.Doc)
		default:
			walk(f.Each, path+".*")
		}
	}
	walk(root, "")
	return b.String()
}

// alike groups the members that differ in nothing but their names.
func (f *Field) alike() (groups [][]string) {
	for i, c := range f.Fields {
		if i > 0 {
			last := *f.Fields[i-1]
			if last.Name = c.Name; reflect.DeepEqual(&last, c) {
				groups[len(groups)-1] = append(groups[len(groups)-1], c.Name)
				continue
			}
		}
		groups = append(groups, []string{c.Name})
	}
	return groups
}

// admits says which values a field takes.
func (f *Field) admits() string {
	var enum []string
	for _, v := range f.Enum {
		enum = append(enum, "`"+v+"`")
	}
	list := strings.Join(enum, ", ")
	switch {
	case f.Type == "array":
		return "list of " + list
	case f.Type == "integer":
		return fmt.Sprintf("%d to %d", f.Min, f.Max)
	case len(enum) > 0:
		return list
	}
	return "text"
}

// edgeTable tells of the voice graph.
func edgeTable() string {
	var b strings.Builder
	b.WriteString("| Edge | Runs | Strategy | Items | Queue, ms | Bytes | Latency, ms | Watermarks, items | ms |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, e := range turn.VoiceGraph() {
		p := &e.Policy
		strategy := "`" + string(p.Strategy) + "`"
		if p.MaxBlockTimeMS > 0 {
			strategy += fmt.Sprintf(", %d ms at most", p.MaxBlockTimeMS)
		}
		mark := func(w *controlplane.Watermark) string { return fmt.Sprintf("%d / %d", w.High, w.Low) }
		fmt.Fprintf(&b, "| `%s` | %s to %s | %s | %d | %d | %d | %d | %s | %s |\n", e.ID, e.From, e.To, strategy,
			p.MaxQueueItems, p.MaxQueueMS, p.MaxQueueBytes, p.MaxLatencyContributionMS, mark(p.Watermarks.QueueItems), mark(p.Watermarks.QueueMS))
	}
	return b.String()
}

// tuningTable tells of the tunings.
func tuningTable() string {
	var b strings.Builder
	b.WriteString("| Tuning | Items | Queue, ms | Bytes | Latency, ms |\n|---|---|---|---|---|\n")
	for _, t := range turn.Tunings() {
		s := t.Bounds()
		fmt.Fprintf(&b, "| `%s` | %d | %d | %d | %d |\n", t, s.Items, s.MS, s.Bytes, s.LatencyMS)
	}
	return b.String()
}

// The document tells of every code that this package gives, and of no other.
func TestFlowDocCodes(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Code") {
			code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, code)
		}
		return true
	})
	raw, err := os.ReadFile(flowDoc)
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(raw), "| Code | What is wrong |\n|---|---|\n")
	if !ok || len(codes) < 20 {
		t.Fatalf("the table of codes is missing, or the codes: %v", codes)
	}
	var told []string
	for line := range strings.Lines(table) {
		if code, _, row := strings.Cut(strings.TrimPrefix(line, "| `"), "`"); row && strings.HasPrefix(line, "| `") {
			told = append(told, code)
		}
	}
	slices.Sort(codes)
	slices.Sort(told)
	if !slices.Equal(codes, told) {
		t.Errorf("codes\n%v\ntold\n%v", codes, told)
	}
}
