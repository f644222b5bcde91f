// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
)

// header starts every planted Go file, so that only the planted fault is one.
const header = licenceLine + "\n\n"

// sound is a small tree that breaks no rule.
func sound() map[string]string {
	return map[string]string{
		"go.mod":                          "module example.org/voice\n\ngo 1.26\n",
		"doc.go":                          header + "// Package voice is the facade.\npackage voice\n",
		"api/eventabi/doc.go":             header + "// Package eventabi is the envelope.\npackage eventabi\n",
		"node/doc.go":                     header + "// Package node is a contract.\npackage node\n",
		"node/vad/doc.go":                 header + "// Package vad is a node.\npackage vad\n\nimport _ \"example.org/voice/node\"\n",
		"provider/doc.go":                 header + "// Package provider is a contract.\npackage provider\n",
		"provider/acme/doc.go":            header + "// Package acme is a vendor.\npackage acme\n",
		"provider/other/doc.go":           header + "// Package other is a vendor.\npackage other\n",
		"internal/kernel/turn/doc.go":     header + "// Package turn says who may speak.\npackage turn\n",
		"internal/kernel/turn/budget.go":  header + "package turn\n\nimport \"time\"\n\n// Limit is a budget.\nconst Limit = 75 * time.Millisecond\n",
		"internal/kernel/flow/doc.go":     header + "// Package flow says what waits.\npackage flow\n",
		"internal/runtime/host/doc.go":    header + "// Package host is shell.\npackage host\n\nimport _ \"example.org/voice/internal/kernel/turn\"\n",
		"internal/runtime/host/h_test.go": header + "package host\n\nimport \"testing\"\n\nfunc TestH(t *testing.T) { t.Log() }\n",
		"cmd/voice/main.go":               header + "// Command voice runs it.\npackage main\n\nfunc main() {}\n",
		"docs/modules.md": "# Words\n\n| Word | Module | Where | Status |\n|---|---|---|---|\n" +
			"| facade | | `.` | built |\n| eventabi | RK-02 | `api/eventabi` | built |\n| node | | `node` | built |\n| provider | | `provider` | built |\n" +
			"| budget | RK-07 | `internal/kernel/turn/budget.go` | built |\n| host | | `internal/runtime/host` | built |\n" +
			"| vad | | `node/vad` | built |\n| vendors | | `provider/acme`, `provider/other` | built |\n" +
			"| command | | `cmd/voice` | built |\n| statestore | RK-09 | `internal/runtime/statestore` | not built yet |\n",
	}
}

// fault is a change to the sound tree and what its check must then say.
type fault struct {
	name  string
	check string
	file  string
	text  string // appended to the file, or the whole of a new one
	want  string // part of the finding
}

const budgetFile = "internal/kernel/turn/budget.go"

// kernelFault plants declarations in the kernel, with the imports they need.
func kernelFault(name, code, want string, imports ...string) fault {
	text := header + "package turn\n\n"
	for _, path := range imports {
		text += "import \"" + path + "\"\n"
	}
	return fault{"purity/" + name, "purity", "internal/kernel/turn/fault.go", text + "\n" + code + "\n", want}
}

func faults() []fault {
	pkg := func(name string) string {
		return header + "// Package " + name + " is planted.\npackage " + name + "\n"
	}
	imports := func(name, path string) string { return pkg(name) + "\nimport _ \"example.org/voice/" + path + "\"\n" }
	return []fault{
		{"ring/contract sees the inside", "rings", "node/x.go", header + "package node\n\nimport _ \"example.org/voice/internal/kernel/turn\"\n", "node must not import internal/kernel/turn"},
		{"ring/contract sees its adapter", "rings", "node/x.go", header + "package node\n\nimport _ \"example.org/voice/node/vad\"\n", "node must not import node/vad"},
		{"ring/adapter sees the inside", "rings", "provider/deep/doc.go", imports("deep", "internal/runtime/host"), "provider/deep must not import internal/runtime/host"},
		{"ring/adapter sees an adapter", "rings", "provider/deep/doc.go", imports("deep", "provider/acme"), "provider/deep must not import provider/acme"},
		{"ring/kernel siblings", "rings", "internal/kernel/turn/x.go", header + "package turn\n\nimport _ \"example.org/voice/internal/kernel/flow\"\n", "internal/kernel/turn must not import internal/kernel/flow"},
		{"ring/kernel gate sees the arbiter", "rings", "internal/kernel/gate/doc.go", imports("gate", "internal/kernel/turn"), "internal/kernel/gate must not import internal/kernel/turn"},
		{"ring/kernel sees the shell", "rings", "internal/kernel/flow/x.go", header + "package flow\n\nimport _ \"example.org/voice/internal/runtime/host\"\n", "internal/kernel/flow must not import internal/runtime/host"},
		{"ring/shell sees an adapter", "rings", "internal/runtime/host/x.go", header + "package host\n\nimport _ \"example.org/voice/provider/acme\"\n", "internal/runtime/host must not import provider/acme"},
		{"ring/control plane needs the shell", "rings", "internal/controlplane/pipeline/doc.go", imports("pipeline", "internal/runtime/host"), "must not import internal/runtime/host"},
		{"ring/recording needs the shell", "rings", "internal/observability/replay/doc.go", imports("replay", "internal/runtime/host"), "must not import internal/runtime/host"},
		{"ring/facade lists adapters", "rings", "x.go", header + "package voice\n\nimport _ \"example.org/voice/provider/acme\"\n", ". must not import provider/acme"},
		{"ring/unknown folder", "rings", "pkg/util/doc.go", pkg("util"), "no ring says"},

		{"standard/kernel", "standard", "internal/kernel/turn/x.go", header + "package turn\n\nimport _ \"sync\"\n", "must not import sync"},
		{"standard/kernel third party", "standard", "internal/kernel/turn/x.go", header + "package turn\n\nimport _ \"example.com/lib\"\n", "must not import example.com/lib"},
		{"standard/api third party", "standard", "api/eventabi/x.go", header + "package eventabi\n\nimport _ \"google.golang.org/protobuf/encoding/protowire\"\n", "must not import google.golang.org/protobuf/encoding/protowire"},
		{"standard/api", "standard", "api/eventabi/x.go", header + "package eventabi\n\nimport _ \"os\"\n", "must not import os"},

		kernelFault("goroutine", "func f() { go f() }", "a goroutine"),
		kernelFault("channel", "type c chan int", "a channel"),
		kernelFault("select", "func f() { select {} }", "a channel"),
		kernelFault("map order", "func f(m map[int]int) { for range m { } }", "iteration in map order"),
		kernelFault("map order of a named type", "type set map[int]bool\nfunc f(s set) { for k := range s { _ = k } }", "iteration in map order"),
		kernelFault("map order by maps.Keys", "func f(m map[int]int) { for range maps.Keys(m) { } }", "maps.Keys visits in map order", "maps"),
		kernelFault("map order by collecting", "func f(m map[int]int) []int { return slices.Collect(maps.Values(m)) }", "maps.Values visits in map order", "maps", "slices"),
		kernelFault("clock", "func f() { _ = time.Now() }", "time.Now", "time"),
		kernelFault("clock as a value", "func f() func(time.Time) time.Duration { return time.Since }", "time.Since", "time"),
		kernelFault("zone", "func f(t time.Time) time.Time { return t.Local() }", "time.Local", "time"),
		kernelFault("float", "func f(n int) bool { return float64(n) > 1 }", "float64"),
		kernelFault("float by inference", "func f() { x := 0.5; _ = x }", "float64"),
		kernelFault("float from math", "func f(a, b int) bool { return math.Abs(1) > 0 }", "float64", "math"),
		kernelFault("state", "var count int", "package-level variable count"),
		kernelFault("recover", "func f() { defer func() { _ = recover() }() }", "recover"),
		kernelFault("does not compile", "func f() int { return \"\" }", "cannot be type-checked"),

		{"sealed", "sealed", budgetFile, "\n// In is sealed.\ntype In interface{ in() }\n", "sealed interface In lacks"},

		{"names/twice", "names", "transport/acme/doc.go", pkg("acme"), "package name acme is taken by provider/acme"},
		{"names/standard library", "names", "transport/sync/doc.go", pkg("sync"), "belongs to the standard library"},
		{"names/folder differs", "names", "transport/loop/doc.go", pkg("loopback"), "the folder and the package name loopback differ"},
		{"comments/none", "comments", "transport/loop/doc.go", header + "package loop\n", "no package comment"},
		{"comments/two", "comments", "node/x.go", header + "// Package node again.\npackage node\n", "several package comments"},

		{"licence/missing", "licence", "node/x.go", "package node\n", "must start with"},
		{"length/file", "length", "node/x.go", header + "package node\n" + strings.Repeat("\n", maxFileLines), "lines, at most"},
		{"length/script", "length", "scripts/x.sh", strings.Repeat("true\n", maxShellLines+1), "lines, at most"},
		{"length/function", "length", "node/x.go", header + "package node\n\nfunc f() {\n" + strings.Repeat("\tf()\n", maxFuncLines) + "}\n", "function f has"},
		{"init", "init", "node/x.go", header + "package node\n\nfunc init() {}\n", "func init"},
		{"contained/goroutine", "contained", "transport/loop/x.go", header + "package loop\n\nfunc f() { go f() }\n", "a goroutine"},
		{"contained/timer", "contained", "transport/loop/x.go", header + "package loop\n\nimport \"time\"\n\nfunc f() { time.AfterFunc(1, f) }\n", "a timer"},
		{"contained/group", "contained", "transport/loop/x.go", header + "package loop\n\nimport \"sync\"\n\nfunc f(g *sync.WaitGroup) { g.Go(func() {}) }\n", "a goroutine"},
		{"finished/note", "finished", budgetFile, "\n// TO" + "DO: later\n", "in a comment"},
		{"finished/skip", "finished", "node/x_test.go", header + "package node\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { t.Skip() }\n", "a skipped test"},

		{"places/workplace", "places", "scripts/x.sh", "cd /work" + "/main\n", "scripts/x.sh:1"},
		{"places/home", "places", "docs/x.md", "see /root" + "/notes\n", "names"},
		{"places/neighbour", "places", "docs/x.md", "see ../" + "shared/design\n", "names"},
		{"places/mirror", "places", "Makefile", "a:\n\tGOPROXY=https://proxy.golang" + ".org\n", "Makefile:2"},

		{"words/file gone", "words", "docs/modules.md", "| lanes | RK-03 | `internal/kernel/flow/lanes.go` | built |\n", "does not exist"},
		{"words/built after all", "words", "docs/modules.md", "| detector | | `node/vad` | not built yet |\n", "but node/vad exists"},
		{"words/twice", "words", "docs/modules.md", "| budget | | `internal/kernel/turn` | built |\n", "stands on line"},
		{"words/no status", "words", "docs/modules.md", "| lanes | RK-03 | `internal/kernel/flow` | soon |\n", "a row needs"},
		{"words/cells", "words", "docs/modules.md", "| lanes | `internal/kernel/flow` |\n", "a row is"},
		{"words/kernel file without a word", "words", "internal/kernel/flow/lanes.go", header + "package flow\n", "is no word of"},
		{"words/package without a word", "words", "transport/loop/doc.go", pkg("loop"), "is a package that no row"},
	}
}

func planted(files map[string]string) fs.FS {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return tree
}

func runCheck(t *testing.T, name string, files map[string]string) []Finding {
	t.Helper()
	tree, err := Load(planted(files))
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range Checks() {
		if check.Name == name {
			return check.Run(tree)
		}
	}
	t.Fatalf("there is no check %q", name)
	return nil
}

// TestSoundTree shows that the checks are silent where there is nothing to say.
func TestSoundTree(t *testing.T) {
	for _, check := range Checks() {
		for _, f := range runCheck(t, check.Name, sound()) {
			t.Errorf("%s: %s", check.Name, f)
		}
	}
}

// TestPlantedFaults shows that each check can fail, and says where.
func TestPlantedFaults(t *testing.T) {
	tried := map[string]bool{}
	for _, f := range faults() {
		tried[f.check] = true
		t.Run(f.name, func(t *testing.T) {
			files := maps.Clone(sound())
			files[f.file] += f.text
			found := runCheck(t, f.check, files)
			if len(found) != 1 || !strings.Contains(found[0].String(), f.want) {
				t.Errorf("check %s reported %q, want one finding with %q", f.check, found, f.want)
			}
		})
	}
	for _, check := range Checks() {
		if !tried[check.Name] {
			t.Errorf("no planted fault shows that check %q can fail", check.Name)
		}
		if check.Why == "" {
			t.Errorf("check %q gives no reason", check.Name)
		}
	}
}

// TestSortedKeysAreOrdered shows the one way in which the kernel may visit a map.
func TestSortedKeysAreOrdered(t *testing.T) {
	files := sound()
	files["internal/kernel/turn/x.go"] = header + "package turn\n\nimport (\n\t\"maps\"\n\t\"slices\"\n)\n\n" +
		"func f(m map[int]int) (n int) {\n\tfor _, k := range slices.Sorted(maps.Keys(m)) {\n\t\tn += m[k]\n\t}\n\treturn n\n}\n"
	for _, f := range runCheck(t, "purity", files) {
		t.Error(f)
	}
}

// TestCommentElsewhereIsReported shows that a package of several files keeps its comment in doc.go.
func TestCommentElsewhereIsReported(t *testing.T) {
	files := sound()
	files["node/vad/detect.go"] = files["node/vad/doc.go"]
	files["node/vad/doc.go"] = header + "package vad\n"
	found := runCheck(t, "comments", files)
	if len(found) != 1 || !strings.Contains(found[0].String(), "belongs in node/vad/doc.go") {
		t.Errorf("reported %q", found)
	}
}

// TestCoveredSkipIsAccepted shows the one way in which a test may skip.
func TestCoveredSkipIsAccepted(t *testing.T) {
	files := sound()
	files["node/x_test.go"] = header + "package node\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { t.Skipf(\"no mount: %v (TestY needs none)\", 1) }\n"
	for _, f := range runCheck(t, "finished", files) {
		t.Error(f)
	}
}

// TestNestedModulesAreNotOurs shows that another module's packages keep their own rules.
func TestNestedModulesAreNotOurs(t *testing.T) {
	files := sound()
	files["scripts/tools/go.mod"] = "module example.org/tools\n"
	files["scripts/tools/main.go"] = "package main\n"
	tree, err := Load(planted(files))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tree.Packages {
		if p.Dir == "scripts/tools" {
			t.Errorf("package %s of a nested module was loaded", p.Dir)
		}
	}
}

// TestLoadNeedsAModule shows that an empty tree is an error and not a pass.
func TestLoadNeedsAModule(t *testing.T) {
	if _, err := Load(planted(map[string]string{"doc.go": header + "package voice\n"})); err == nil {
		t.Error("a tree without go.mod was loaded")
	}
	if _, err := Load(planted(map[string]string{"go.mod": "module m\n", "doc.go": "not go"})); err == nil {
		t.Error("a file that does not parse was loaded")
	}
}
