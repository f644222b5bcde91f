// SPDX-License-Identifier: Apache-2.0

package session

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

var rewrite = flag.Bool("rewrite", false, "write what the kernel says into the scenario scripts")

// TestScenarios runs the scripts under testdata: the specification as prose. A script
// is a sequence of blocks:
//
//	# comments say what the norm asks
//	@1200 voice_on onset=16000 heard=17024
//	audio_in sample=...            (a further line of a block: the same pass)
//	----
//	what the kernel decided, a line each
//
// The number is the instant in milliseconds. A block that ends with ~~~~ instead of
// ---- only sets the scene: its answers stand in another script. `fresh` stands for a snapshots input in
// which everything is there and new, `boot` for a bootstrap with usual values, `edge` for
// the policy of an edge with the profile's bounds, `flow` for the profile's flow
// control, `node` for a turn-scoped node of a graph and `way` for an edge of one; fields given
// after them win. Run with -rewrite to write down what the kernel says, and
// review the difference as prose.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario scripts found: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			runScenario(t, file)
		})
	}
}

func runScenario(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := scenario{machine: New()}
	got := s.run(t, string(raw))
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(raw) {
		t.Errorf("%s: the kernel decides otherwise than written (run with -rewrite and review the change)\n%s", file, firstDifference(string(raw), got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n  written: %s\n  decided: %s", i+1, a, b)
		}
	}
	return ""
}

type scenario struct {
	machine *Machine
	out     strings.Builder
	look    func(m *Machine, list []Effect) // may be nil
}

// run gives the script back with the kernel's answers in place.
func (s *scenario) run(t *testing.T, script string) string {
	t.Helper()
	var block []string
	answers := false
	for n, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		switch {
		case answers && line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "@"):
			continue // the old answer
		case line == "----", line == "~~~~":
			s.out.WriteString(line + "\n")
			s.pass(t, n, block, line == "----")
			block, answers = nil, true
			continue
		case line != "" && !strings.HasPrefix(line, "#"):
			block = append(block, line)
		}
		answers = answers && line == ""
		s.out.WriteString(line + "\n")
	}
	return s.out.String()
}

func (s *scenario) pass(t *testing.T, line int, block []string, loud bool) {
	t.Helper()
	if len(block) == 0 || !strings.HasPrefix(block[0], "@") {
		t.Fatalf("line %d: a block begins with @milliseconds", line+1)
	}
	at, first, _ := strings.Cut(block[0][1:], " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		t.Fatalf("line %d: %v", line+1, err)
	}
	block[0] = first
	var in []Input
	for _, text := range block {
		i, err := ParseInput(expand(text))
		if err != nil {
			t.Fatalf("line %d: %v", line+1, err)
		}
		in = append(in, i)
	}
	var fx Effects
	s.machine.Step(timebase.Instant(timebase.MS(ms)), in, &fx)
	if s.look != nil {
		s.look(s.machine, fx.List)
	}
	if !loud {
		return
	}
	for _, e := range fx.List {
		s.out.WriteString("  " + readable(e) + "\n")
	}
	if len(fx.List) == 0 {
		s.out.WriteString("  (nothing)\n")
	}
	if d := s.machine.Deadline(); d != timebase.Never {
		fmt.Fprintf(&s.out, "  ... until %d\n", d.MS())
	}
}

// expand fills the usual values behind the short forms.
func expand(line string) string {
	kind, rest, _ := strings.Cut(line, " ")
	usual := ""
	switch kind {
	case "boot":
		kind = "bootstrap"
		usual = "session=s1 tenant=demo pipeline=p1 profile=simple/v1 graph=voice/1 epoch=1 wall_ms=1790000000000 stt=ear llm=mind tts=mouth streaming_stt=true"
	case "fresh":
		kind = "snapshots"
		usual = "routing_view_snapshot=1 admission_policy_snapshot=1 abi_compatibility_snapshot=1 version_resolution_snapshot=1 policy_resolution_snapshot=1 provider_health_snapshot=1"
	case "edge":
		kind = "edge_policy"
		usual = "strategy=drop max_queue_items=64 max_queue_ms=200 max_queue_bytes=262144 max_latency_contribution_ms=200 queue_items_high=48 queue_items_low=16 telemetry_lane=sample control_lane=non_blocking_priority defaulting_source=explicit_edge_config"
	case "flow":
		kind = "flow_policy"
		usual = "control_mode=signal control_high=192 control_low=64 control_shed=none data_mode=signal data_high=48 data_low=16 data_shed=merge telemetry_mode=signal telemetry_high=384 telemetry_low=128 telemetry_shed=sample"
	case "node":
		kind = "graph_node"
		usual = "type=text scope=turn"
		if strings.Contains(rest, "role=work") {
			usual += " input.0=transcript input.1=segment output.0=transcript output.1=segment"
		}
	case "way":
		kind = "graph_edge"
		ends, _ := splitPairs(rest)
		usual = "id=" + ends["from"] + "-" + ends["to"]
	default:
		return line
	}
	given, _ := splitPairs(rest)
	if kind == "edge_policy" { // the data lane is treated as the edge is
		strategy := given["strategy"]
		if strategy == "" {
			strategy = "drop"
		}
		usual += " data_lane=" + strategy
	}
	var fields []string
	for _, f := range strings.Fields(usual) {
		key, _, _ := strings.Cut(f, "=")
		if _, ok := given[key]; !ok {
			fields = append(fields, f)
		}
	}
	return strings.TrimSpace(kind + " " + strings.Join(fields, " ") + " " + rest)
}

// readable prints an effect without what repeats on every line.
func readable(e Effect) string {
	if emit, ok := e.(*Emit); ok {
		short := *emit
		v := &short.Envelope
		line := "emit " + string(v.Signal)
		v.RuntimeSequence, v.RuntimeTimestampMS, v.WallClockTimestampMS, v.AuthorityEpoch = 0, 0, 0, nil
		if v.Signal == eventabi.SignalTurnOpen {
			v.Payload = nil // the plan has a test of its own
		}
		v.Signal = ""
		if rest := strings.TrimPrefix(Format(&short), "emit"); rest != "" {
			line += rest
		}
		return line
	}
	if ev, ok := e.(*Evidence); ok {
		short := *ev
		short.PlanID, short.PlanHash = "", ""
		return Format(&short)
	}
	return Format(e)
}
