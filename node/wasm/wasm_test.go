// SPDX-License-Identifier: Apache-2.0

package wasm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
	"github.com/parley-voice/parley/node/wasm"
)

func frame(sample int64, level int16) node.Event {
	pcm := make([]int16, node.FrameSamples)
	for i := range pcm {
		pcm[i] = level
	}
	return node.Event{Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, Sample: sample, PCM: pcm}
}

// Domain node/custom/v1 of nodes-providers-transports section 9, for a guest in Go that knows
// nothing of the sandbox and one in C.
func TestConformance(t *testing.T) {
	k := newKind(t)
	t.Run("go", func(t *testing.T) {
		c := config(t, probe(t))
		nodetest.Test(t, nodetest.Suite{
			New:     func(t *testing.T) node.Node { t.Helper(); return newNode(t, k, c) },
			Events:  []node.Event{text("one"), text("wake"), frame(0, 1000), text("put")},
			Advance: 100 * time.Millisecond,
		})
	})
	t.Run("c", func(t *testing.T) {
		c := config(t, gate)
		nodetest.Test(t, nodetest.Suite{
			New:    func(t *testing.T) node.Node { t.Helper(); return newNode(t, k, c) },
			Events: []node.Event{frame(0, 5000), frame(320, 10), frame(640, 10)},
		})
	})
}

func TestExamples(t *testing.T) {
	k := newKind(t)
	t.Run("masker", func(t *testing.T) {
		c := config(t, goGuest(t, "../../examples/wasm/masker"), `"settings":{"words":["darn","heck"]}`)
		h := started(t, newNode(t, k, c))
		defer h.Stop()
		h.Event(node.Event{
			Kind: eventabi.KindText, Type: node.TypeSegment, Class: eventabi.ClassTextRaw, Invocation: "call-1", Index: 3, Text: "what the heck", Final: true,
			Attributes: []node.Attribute{{Name: node.AttributeLanguage, Value: "en"}},
		})
		list := h.Emitted()
		if len(list) != 1 || list[0].Text != "what the ****" || list[0].Invocation != "call-1" || list[0].Index != 3 || !list[0].Final || list[0].Attribute("language") != "en" {
			t.Errorf("%+v", list)
		}
	})
	t.Run("gate", func(t *testing.T) {
		h := started(t, newNode(t, k, config(t, gate)))
		defer h.Stop()
		for i := range 30 {
			level := int16(100)
			if i == 5 {
				level = -3000
			}
			h.Event(frame(int64(i*node.FrameSamples), level))
		}
		list := h.Emitted()
		if len(list) != 30 {
			t.Fatalf("%d frames", len(list))
		}
		for i, ev := range list {
			want := int16(100)
			switch {
			case i == 5:
				want = -3000
			case i >= 15: // ten quiet frames behind the loud one
				want = 0
			}
			if ev.Sample != int64(i*node.FrameSamples) || len(ev.PCM) != node.FrameSamples || ev.PCM[0] != want || ev.PCM[319] != want {
				t.Errorf("frame %d: sample %d, %d, want %d", i, ev.Sample, ev.PCM[0], want)
			}
		}
	})
}

// A node finds in the sandbox all that its context has outside.
func TestContextReachesTheGuest(t *testing.T) {
	k := newKind(t)
	n := newNode(t, k, config(t, probe(t)))
	h := nodetest.New(t, n)
	h.Converse(node.Message{Role: "user", Text: "hi"}, node.Message{Role: "tool_result", Text: "{}", Call: "c", Name: "n", Failed: true})
	h.Start()
	h.Advance(time.Second)
	for _, step := range [][2]string{
		{"who", "session-1 turn-1 node-1 seed 1"},
		{"time", "1s 1000000000"},
		{"budget", "-1"},
		{"put", "9000 true false"},
		{"talk", "[{Role:user Text:hi Interrupted:false Call: Name: Failed:false} {Role:tool_result Text:{} Interrupted:false Call:c Name:n Failed:true}]"},
		{"goroutine", "from a goroutine"},
		{"env", `"" 0`},
	} {
		before := len(h.Emitted())
		h.Event(text(step[0]))
		if list := h.Emitted()[before:]; len(list) != 1 || list[0].Text != step[1] {
			t.Errorf("%s: %+v", step[0], list)
		}
	}
	h.Event(text("wake"))
	h.Advance(time.Second)
	h.Exhaust(node.BudgetDegrade)
	list := h.Emitted()
	if got := list[len(list)-2:]; got[0].Text != "timer at 1.05s" || got[1].Text != "budget degrade" {
		t.Errorf("%+v", got)
	}
	h.Cancel(node.Cancel{Scope: eventabi.CancelTurn, Reason: "barge_in"})
	h.Event(text("late"))
	if n := len(h.Emitted()); n != len(list) {
		t.Error("the cancel did not reach the node's token")
	}
	h.Stop()
	if h.Count("probe_events") == 0 || h.Count("cancel_barge_in") != 1 || h.Count("sandbox_calls") == 0 {
		t.Error("counts of the guest or of the sandbox are missing")
	}
}

// Chance is the turn's: the same in each run of it.
func TestChanceRepeats(t *testing.T) {
	k := newKind(t)
	c := config(t, probe(t))
	var got [2]string
	for i := range got {
		h := started(t, newNode(t, k, c))
		h.Event(text("chance"))
		got[i] = h.Emitted()[0].Text
		h.Stop()
	}
	if got[0] != got[1] || got[0] == "0" {
		t.Errorf("two runs of one turn drew %q", got)
	}
}

// F-124: what is not granted is not there.
func TestGrants(t *testing.T) {
	k := newKind(t)
	dir, outside := t.TempDir(), t.TempDir()
	for file, content := range map[string]string{filepath.Join(dir, "list"): "granted", filepath.Join(outside, "list"): "secret"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outside, "list"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WORD", "of the host")
	read := fmt.Sprintf(`"grants":{"read":[%q],"env":{"WORD":"granted"}}`, dir)
	for name, c := range map[string]struct {
		grants, file, ask, want string
	}{
		"granted":        {read, filepath.Join(dir, "list"), "file", `"granted" false`},
		"nothing":        {`"grants":{}`, filepath.Join(dir, "list"), "file", `"" true`},
		"another folder": {read, filepath.Join(outside, "list"), "file", `"" true`},
		"up and out":     {read, dir + "/../" + filepath.Base(outside) + "/list", "file", `"" true`},
		"a link out":     {read, filepath.Join(dir, "link"), "file", `"" true`},
		"writing":        {read, filepath.Join(dir, "list"), "write", "true"},
		"a new file":     {read, filepath.Join(dir, "new"), "write", "true"},
		"a variable":     {read, "", "env", `"granted" 1`},
		"no variable":    {`"grants":{}`, "", "env", `"" 0`},
	} {
		t.Run(name, func(t *testing.T) {
			h := started(t, newNode(t, k, config(t, probe(t), c.grants, fmt.Sprintf(`"settings":{"file":%q}`, c.file))))
			defer h.Stop()
			h.Event(text(c.ask))
			if list := h.Emitted(); len(list) != 1 || list[0].Text != c.want {
				t.Errorf("%+v", list)
			}
		})
	}
	if b, err := os.ReadFile(filepath.Join(dir, "list")); err != nil || string(b) != "granted" {
		t.Errorf("a guest wrote: %q %v", b, err)
	}
}

// F-121: a pinned run reproduces, whatever is published beside it or in its place.
func TestPins(t *testing.T) {
	k := newKind(t)
	v1, err := os.ReadFile(hostile)
	if err != nil {
		t.Fatal(err)
	}
	v2 := []byte(strings.Replace(string(v1), `\"version\":\"1.0.0\"`, `\"version\":\"2.0.0\"`, 1))
	v2 = []byte(strings.Replace(string(v2), `"version":"1.0.0"`, `"version":"2.0.0"`, 1))
	file := filepath.Join(t.TempDir(), "node.wasm")
	write := func(b []byte) {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	version := func(k *wasm.Kind, c json.RawMessage) string {
		d, err := k.Describe(c)
		if err != nil {
			return err.Error()
		}
		return d.Version
	}
	write(v1)
	pinned := config(t, file)
	if v := version(k, pinned); v != "1.0.0" {
		t.Fatal(v)
	}
	write(v2)
	moved := config(t, file)
	if v := version(k, moved); v != "2.0.0" {
		t.Error(v)
	}
	if v := version(k, pinned); v != "1.0.0" {
		t.Errorf("publishing another version moved a pinned run: %s", v)
	}
	if v := version(newKind(t), pinned); !strings.Contains(v, "sha256") || !strings.Contains(v, sum(t, file)) {
		t.Errorf("code that is not the pinned one: %s", v)
	}
}

func TestDescribeRefuses(t *testing.T) {
	k := newKind(t)
	module, err := os.ReadFile(hostile)
	if err != nil {
		t.Fatal(err)
	}
	patched := func(old, with string) json.RawMessage {
		b := []byte(strings.ReplaceAll(string(module), old, with))
		if string(b) == string(module) || len(b) != len(module) {
			t.Fatalf("%q was not patched", old)
		}
		file := filepath.Join(t.TempDir(), "node.wasm")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return config(t, file)
	}
	declare := func(d string) json.RawMessage { return config(t, hostile, `"settings":{"declare":`+d+`}`) }
	sound := `"node_type":"x","package":"p","version":"1","inputs":["text_delta"],"outputs":[],"streaming":"both","execution_scope":"turn","cancel_class":"cooperative"`
	if d, err := k.Describe(declare("{" + sound + `,"inline":true}`)); err != nil || d.Inline {
		t.Errorf("a sound declaration: %+v, %v", d, err)
	}
	two := strings.NewReplacer("parley_abi_version", "parlez_abi_version", "parlez_abi_version", "parley_abi_version")
	other := filepath.Join(t.TempDir(), "two.wasm")
	if err := os.WriteFile(other, []byte(two.Replace(string(module))), 0o600); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(t.TempDir(), "garbage.wasm")
	if err := os.WriteFile(garbage, []byte("\x00asm\x01\x00\x00\x00\x0a\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config json.RawMessage
		words  []string
	}{
		"no module":          {json.RawMessage(`{}`), []string{"module:"}},
		"no file":            {json.RawMessage(`{"module":"none.wasm","sha256":"` + strings.Repeat("0", 64) + `"}`), []string{"module:", "none.wasm"}},
		"unknown field":      {json.RawMessage(`{"modul":"x"}`), []string{"modul", "memory_mb"}},
		"not pinned":         {json.RawMessage(fmt.Sprintf(`{"module":%q}`, hostile)), []string{"sha256:", sum(t, hostile)}},
		"no module's bytes":  {config(t, garbage), []string{"module:", "cut off"}},
		"export missing":     {patched("parley_on_event", "parlex_on_event"), []string{"parley_on_event", "missing"}},
		"export unknown":     {patched("parlez_abi_version", "parley_abu_version"), []string{"parley_abu_version", "unknown"}},
		"export of no type":  {patched("parlez_abi_version", "parley_on_budgetxx"), []string{"parley_on_budgetxx", "unknown"}},
		"import unknown":     {patched("state_put", "state_pux"), []string{"parley.state_pux"}},
		"import from others": {patched("wasi_snapshot_preview1", "wasi_snapshot_preview2"), []string{"wasi_snapshot_preview2.", "import from"}},
		"version":            {config(t, other), []string{"parley_abi_version", "2", "1"}},
		"declares nowhere":   {declare(`1`), []string{"parley_declare", "memory"}},
		"declares nothing":   {declare(`2`), []string{"parley_declare", "no node"}},
		"declares for ever":  {declare(`3`), []string{"parley_declare", "time"}},
		"declares no JSON":   {declare(`[]`), []string{"parley_declare"}},
		"unknown claim":      {declare(`{"colour":"red"}`), []string{"colour"}},
		"false declaration":  {declare(`{"node_type":"X Y"}`), []string{"node_type:", "package:", "inputs:"}},
		"network":            {declare("{" + sound + `,"network":true}`), []string{"network:"}},
		"gpu":                {declare("{" + sound + `,"gpu":true}`), []string{"gpu:"}},
		"memory":             {declare("{" + sound + `,"memory_mb":1000}`), []string{"memory_mb:", "64"}},
		"audio":              {declare("{" + sound + `,"buffers_audio":true}`), []string{"buffers_audio:", "parley_on_barge_in"}},
		"long running":       {declare("{" + sound + `,"long_running":true}`), []string{"long_running:", "parley_on_budget"}},
		"memory of the code": {config(t, hostile, `"memory_mb":1`), []string{"memory_mb:", "begins with"}},
		"package":            {config(t, hostile, `"package":{"name":"other"}`), []string{"package.name:", "example.com/hostile"}},
		"package's version":  {config(t, hostile, `"package":{"name":"example.com/hostile","version":"9"}`), []string{"package.version:", "1.0.0"}},
		"the guest's reason": {config(t, probe(t), `"settings":{"refuse":"words: 7: give texts"}`), []string{"words: 7: give texts"}},
	} {
		if c.words == nil {
			continue
		}
		_, err := k.Describe(c.config)
		if err == nil {
			t.Errorf("%s: it was described", name)
			continue
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is missing in: %v", name, w, err)
			}
		}
		if _, again := k.New(c.config); again == nil {
			t.Errorf("%s: a node was made", name)
		}
	}
}

func TestConfigFaultsComeTogether(t *testing.T) {
	k := newKind(t)
	_, err := k.Describe(json.RawMessage(`{"sha256":"x","package":{},"memory_mb":-1,"time_ms":90000,"settings":3,"grants":{"read":["relative"],"env":{"A=B":""}}}`))
	if err == nil {
		t.Fatal("it was described")
	}
	for _, field := range []string{"module:", "sha256:", "package.name:", "memory_mb:", "time_ms:", "settings:", "grants.read:", "grants.env:"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is missing in: %v", field, err)
		}
	}
}

func TestProgramsAreBounded(t *testing.T) {
	k := newKind(t)
	c := func(n int) json.RawMessage { return config(t, gate, fmt.Sprintf(`"time_ms":%d`, n)) }
	var serving []*nodetest.Harness
	for n := range wasm.MaxPrograms {
		serving = append(serving, started(t, newNode(t, k, c(n+1))))
	}
	if _, err := k.New(c(1000)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("one more: %v", err)
	}
	serving[7].Stop()
	if _, err := k.New(c(1000)); err != nil {
		t.Errorf("when one has gone: %v", err)
	}
	for i, h := range serving {
		if i != 7 {
			h.Event(frame(0, 1))
			h.Stop()
		}
	}
}

func TestNodesOfAClosedKindFail(t *testing.T) {
	k := newKind(t)
	n, early := newNode(t, k, config(t, gate)), newNode(t, k, config(t, gate))
	h := started(t, n)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	ev := frame(0, 1)
	if err := n.OnEvent(h.Context(), &ev); !errors.Is(err, wasm.ErrClosed) {
		t.Errorf("an event: %v", err)
	}
	if err := early.Init(h.Context()); !errors.Is(err, wasm.ErrClosed) {
		t.Errorf("init: %v", err)
	}
	if _, err := k.Describe(config(t, gate)); !errors.Is(err, wasm.ErrClosed) {
		t.Errorf("describe: %v", err)
	}
	h.Stop()
}

func TestAFrameCostsTheHostNoAllocation(t *testing.T) {
	k := newKind(t)
	for name, c := range map[string]json.RawMessage{"go": config(t, probe(t)), "c": config(t, gate)} {
		n := newNode(t, k, c)
		h := started(t, n)
		frames := 0
		h.Context().Out = func(ev *node.Event) { frames += len(ev.PCM) / node.FrameSamples }
		ev := frame(0, 5000)
		call := func() {
			if err := n.OnEvent(h.Context(), &ev); err != nil {
				t.Fatal(err)
			}
		}
		call()
		if a := testing.AllocsPerRun(500, call); a > 0 {
			t.Errorf("%s: %v allocations a frame", name, a)
		}
		if frames < 500 {
			t.Errorf("%s: %d frames came back", name, frames)
		}
		h.Stop()
	}
}

func TestTypesAreTheGuests(t *testing.T) {
	k := newKind(t)
	d, err := k.Describe(config(t, gate))
	if err != nil || d.Type != "noise_gate" || d.Package != "example.com/gate" || !slices.Equal(d.Inputs, []node.Type{node.TypeAudioChunk}) || d.Scope != node.ScopeSession {
		t.Errorf("%+v, %v", d, err)
	}
}
