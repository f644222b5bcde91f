// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/internal/kernel/graph"
)

// everything is the good file that declares a graph.
func everything(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/good/graph.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// F-080: each layer changes what a node is told and how long it may take, one value at a
// time, and the nodes of modules are reached by their names in the whole graph.
func TestLayersTellNodes(t *testing.T) {
	n := normalizer(t)
	spec := n.Read(Spec, "spec.yaml", everything(t))
	e, faults := resolve(t, n, spec,
		n.Environment([]string{"PARLEY_NODES__GERMAN__CONFIG__INSTRUCTIONS=Kurz.", "PARLEY_NODES__CLEAN__LIMITS__EVENT_MS=41", "PARLEY_VERSION=7"}, spec),
		n.Read(Tenant, "tenant.yaml", []byte("nodes:\n  clean: {config: {nested: {a: 2}, words: [x]}}\n  say:deeper:tts: {config: {voice: bert}}\n")),
		set(t, n, "nodes.german.config.max_tokens=9", "nodes.clean.config.nested.empty.deep=yes"))
	if e == nil {
		t.Fatalf("refused: %v", faults)
	}
	for path, want := range map[string]string{
		"nodes.german.config.instructions":     `"Kurz." <- environment PARLEY_NODES__GERMAN__CONFIG__INSTRUCTIONS`,
		"nodes.german.config.max_tokens":       "9 <- session --set nodes.german.config.max_tokens=9",
		"nodes.german.config.candidates":       `["a","b"] <- pipeline_spec spec.yaml:12`,
		"nodes.clean.limits.event_ms":          "41 <- environment PARLEY_NODES__CLEAN__LIMITS__EVENT_MS",
		"nodes.clean.limits.init_ms":           "900 <- pipeline_spec spec.yaml:15",
		"nodes.say:deeper:tts.config.voice":    `"bert" <- tenant tenant.yaml:3`,
		"nodes.say:deeper:tts.config.rate":     "1.5 <- pipeline_spec spec.yaml:46",
		"nodes.clean.config.nested.a.b":        "absent", // an object below, a value above it
		"nodes.clean.config.nested.a":          "2 <- tenant tenant.yaml:2",
		"nodes.clean.config.nested.empty.deep": `"yes" <- session --set nodes.clean.config.nested.empty.deep=yes`,
	} {
		if got := value(t, e, path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for _, node := range e.Nodes() {
		if node.ID != "clean" {
			continue
		}
		var config bytes.Buffer
		if err := json.Compact(&config, node.Config); err != nil {
			t.Fatal(err)
		}
		if want := `{"nested":{"a":2,"empty":{"deep":"yes"}},"words":["x"]}`; config.String() != want || node.BudgetMS != 41 || node.Limits.InitMS != 900 {
			t.Errorf("the node is told %s within %+v, want %s", config.String(), node.Limits, want)
		}
	}
	checkEffective(t, n, e)
}

// What a graph is, and what a spec is called, only the spec says.
func TestLayersDeclareNothing(t *testing.T) {
	n := normalizer(t)
	spec := n.Read(Spec, "spec.yaml", everything(t))
	for path, text := range map[string]string{
		"nodes.extra.type":        "nodes: {extra: {type: filter}}",
		"nodes.stt.type":          "nodes: {stt: {type: vad}}",
		"nodes.plain.comment":     "nodes: {plain: {comment: x}}",
		"edges.words.to":          "edges: {words: {to: other}}",
		"edges.to-german.when":    "edges: {to-german: {when: language == fr}}",
		"pipeline":                "pipeline: other",
		"version":                 `version: "3"`,
		"labels.a":                "labels: {a: c}",
		"prelude":                 "prelude: [ears]",
		"modules.say.version":     `modules: {say: {version: "2"}}`,
		"edges.new.from":          "edges: {new: {from: stt, to: other}}",
		"nodes.clean.fallback_of": "nodes: {clean: {fallback_of: plain}}",
	} {
		e, faults := resolve(t, n, spec, n.Read(Tenant, "tenant.yaml", []byte(text)))
		if e != nil || !hasFault(faults, path, CodeNotALayer) {
			t.Errorf("%s of a tenant is taken, or not told of: %v", path, faults)
		}
	}
}

func hasFault(faults []Fault, path, code string) bool {
	for _, f := range faults {
		if f.Path == path && f.Code == code {
			return true
		}
	}
	return false
}

// F-082: names, labels and comments change nothing that is run.
func TestMetadataMeansNothing(t *testing.T) {
	n := normalizer(t)
	text := everything(t)
	e, _ := resolve(t, n, n.Read(Spec, "spec.yaml", text))
	for old, replacement := range map[string]string{
		"pipeline: everything":    "pipeline: another",
		`version: "2"`:            `version: "9"`,
		"description: for tests":  "description: whatever",
		"labels: {a: b}":          "labels: {c: d, e: f}",
		"comment: without effect": "# nothing",
		"comment: everybody else": "labels: {tone: warm}",
		`, labels: {x: "y"}`:      "",
	} {
		changed := bytes.Replace(text, []byte(old), []byte(replacement), 1)
		if bytes.Equal(changed, text) {
			t.Fatalf("the file has no %q", old)
		}
		other, faults := resolve(t, n, n.Read(Spec, "spec.yaml", changed))
		if other == nil {
			t.Fatalf("refused: %v", faults)
		}
		if !reflect.DeepEqual(e.Graph(), other.Graph()) || !reflect.DeepEqual(e.Flow, other.Flow) || !reflect.DeepEqual(e.Nodes(), other.Nodes()) {
			t.Errorf("%q in place of %q changes what is run", replacement, old)
		}
	}
}

// F-019: a newer version of a module changes nothing until the reference moves.
func TestModulesMoveByReference(t *testing.T) {
	n := normalizer(t)
	rate := func(text []byte) string {
		e, faults := resolve(t, n, n.Read(Spec, "spec.yaml", text))
		if e == nil {
			t.Fatalf("refused: %v", faults)
		}
		return value(t, e, "nodes.say:deeper:tts.config.rate")
	}
	text := everything(t)
	if got := rate(text); !strings.HasPrefix(got, "1.5 ") {
		t.Fatalf("the rate is %s", got)
	}
	newer := append(bytes.Clone(text), "  voice@3: {nodes: {tts: {type: tts, config: {rate: 2}}}, inputs: {text: tts}, outputs: {pcm: tts}}\n"...)
	if got := rate(newer); !strings.HasPrefix(got, "1.5 ") {
		t.Errorf("a version that nobody uses makes the rate %s", got)
	}
	moved := bytes.Replace(newer, []byte("voice@2}}"), []byte("voice@3}}"), 1)
	if got := rate(moved); !strings.HasPrefix(got, "2 ") {
		t.Errorf("with the reference moved the rate is %s", got)
	}
}

// The graph in force is what the file says, with modules expanded and conditions read.
func TestGraphInForce(t *testing.T) {
	n := normalizer(t)
	e, _ := resolve(t, n, n.Read(Spec, "spec.yaml", everything(t)))
	if name, version := e.About(); name != "everything" || version != "2" || !e.Declared() {
		t.Errorf("it is %s %s", name, version)
	}
	d := e.Graph()
	byID := map[string]graph.Node{}
	for _, n := range d.Nodes {
		byID[string(n.ID)] = n
	}
	prelude := []string{}
	for id, n := range byID {
		if n.Prelude {
			prelude = append(prelude, id)
		}
	}
	if len(byID) != 14 || len(prelude) != 2 || byID["say:deeper:tts"].Role != graph.RoleSynthesiser || byID["clean"].Version != "v1" ||
		byID["plain"].FallbackOf != "clean" || len(byID["plain"].FallbackOn) != 3 || byID["by-language"].Scope != graph.ScopeSession {
		t.Errorf("the nodes are %+v", byID)
	}
	for _, edge := range d.Edges {
		switch edge.ID {
		case "to-german":
			want := []graph.Test{{Attribute: "language", Op: "==", Value: "de"}, {Attribute: "confidence", Op: ">=", Value: "0.50"}, {Attribute: "note", Op: "!=", Value: "a == b"}}
			if !reflect.DeepEqual(edge.When, want) || edge.Rank != 1 {
				t.Errorf("the condition is %+v", edge)
			}
		case "speech":
			if edge.From != "say:deeper:tts" || edge.To != "speaker" {
				t.Errorf("the edge of the module runs %+v", edge)
			}
		}
	}
	for _, n := range e.Nodes() {
		if (n.Module != "") != (n.ID == "say:deeper:tts") || n.Beside() != (n.ID == "mood") {
			t.Errorf("%s is of the module %q", n.ID, n.Module)
		}
	}
	plain, _ := resolve(t, n)
	if g := plain.Graph(); plain.Declared() || len(g.Nodes) != 7 || len(g.Edges) != 6 {
		t.Errorf("without a declaration it is %+v", g)
	}
	if _, faults := graph.Compile(plain.Graph()); graph.Fatal(faults) {
		t.Errorf("the voice graph does not compile: %v", faults)
	}
}

// A condition is read as it was written, whatever its value is.
func TestConditionsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := graph.Test{
			Attribute: rapid.StringMatching(`[A-Za-z0-9_.-]{1,20}`).Draw(t, "attribute"),
			Op:        rapid.SampledFrom(operators()).Draw(t, "op"),
			Value:     rapid.String().Draw(t, "value"),
		}
		if quote(want.Value) == `""` && want.Value != "" || strings.ContainsRune(want.Value, '\uFFFD') {
			return // no text that a document can hold
		}
		got, err := parseTest(formatTest(want))
		if err != nil || got != want {
			t.Fatalf("%+v is written %q and read %+v: %v", want, formatTest(want), got, err)
		}
	})
}

// A graph of more nodes or edges than there may be is refused by their number, once: looking
// at each against all others would take as long as a hostile file likes.
func TestTooMuchIsToldOnce(t *testing.T) {
	n := normalizer(t)
	var nodes, edges strings.Builder
	nodes.WriteString("nodes:\n")
	for i := range 20000 {
		fmt.Fprintf(&nodes, "  n%d: {type: llm}\n", i)
	}
	edges.WriteString("nodes:\n  stt: {type: stt}\n  llm: {type: llm}\nedges:\n")
	for i := range 20000 {
		fmt.Fprintf(&edges, "  e%d: {from: stt, to: llm}\n", i)
	}
	for code, text := range map[string]string{CodeTooManyNodes: nodes.String(), CodeTooManyEdges: edges.String()} {
		_, faults := resolve(t, n, n.Read(Spec, "many.yaml", []byte(text)))
		if len(faults) != 1 || faults[0].Code != code {
			t.Errorf("%d faults, the first %v; want %s alone", len(faults), faults[0], code)
		}
	}
}
