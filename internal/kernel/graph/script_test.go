// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
)

var rewrite = flag.Bool("rewrite", false, "write what runs decide into the scripts")

// TestScripts runs the scripts under testdata: what a run decides, in prose. A line is a
// command, and what is indented below it is what came of it:
//
//	base                              caller, ear, mind, cutter, mouth and speaker; caller-ear, mind-cutter and mouth-speaker
//	node ID ROLE [merge= of= on= type=]   type: what a work node takes and gives
//	edge FROM TO [id= rank= room= events= when=attribute,op,value]
//	begin                             compile, and start a run
//	emit NODE TYPE [cause= attribute=value]
//	done NODE SEQ, end NODE, fail NODE TRIGGER, cancel NODE, pause ROLE, resume ROLE
//	ask NODE                          what it has, and whether something may still come to its role
//	count                             what became of everything
//
// Run with -rewrite to write down what comes of them, and review the difference as prose.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts found: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := (&script{}).play(t, string(raw))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got != string(raw) {
				t.Errorf("%s: decided otherwise than written; run with -rewrite and review:\n%s", file, got)
			}
		})
	}
}

// room is what may wait for one node in these tests.
const room = 64

type script struct {
	def Definition
	g   *Graph
	run Run
	log Log
	out strings.Builder
}

func (s *script) play(t *testing.T, text string) string {
	t.Helper()
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		s.out.WriteString(line + "\n")
		if line != "" && !strings.HasPrefix(line, "#") {
			s.command(t, strings.Fields(line))
		}
	}
	return s.out.String()
}

func (s *script) say(format string, args ...any) { fmt.Fprintf(&s.out, "  "+format+"\n", args...) }

func (s *script) command(t *testing.T, f []string) {
	t.Helper()
	switch f[0] {
	case "base":
		s.def = base()
		return
	case "node":
		s.def.Nodes = append(s.def.Nodes, parseNode(f[1:]))
		return
	case "edge":
		s.def.Edges = append(s.def.Edges, parseEdge(f[1:]))
		return
	case "begin":
		g, faults := Compile(s.def)
		for _, fault := range faults {
			s.say("%s %s %s", fault.Severity, fault.Code, fault.Error())
		}
		if g != nil {
			s.g = g
			s.run.Begin(g, room)
		}
		return
	}
	s.log.Reset()
	s.drive(t, f)
	for i := range s.log.List {
		s.say("%s", readable(&s.log.List[i]))
	}
	if why := s.run.Check(); why != "" {
		t.Errorf("after %q: %s", f, why)
	}
}

func (s *script) drive(t *testing.T, f []string) {
	t.Helper()
	number := func(i int) int64 {
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", f, err)
		}
		return n
	}
	node := func() eventabi.NodeID { return eventabi.NodeID(f[1]) }
	verdict := Taken
	switch f[0] {
	case "emit":
		it, cause := Item{Type: f[2]}, int64(0)
		for _, pair := range f[3:] {
			key, value, _ := strings.Cut(pair, "=")
			if key == "cause" {
				cause, _ = strconv.ParseInt(value, 10, 64)
			} else {
				it.Attributes = append(it.Attributes, Attribute{key, value})
			}
		}
		_, verdict = s.run.Emit(node(), cause, it, &s.log)
	case "done":
		verdict = s.run.Done(node(), number(2), &s.log)
	case "end":
		verdict = s.run.End(node(), &s.log)
	case "fail":
		verdict = s.run.Fail(node(), Trigger(f[2]), "broke", &s.log)
	case "cancel":
		verdict = s.run.Cancel(node(), &s.log)
	case "pause":
		s.run.Pause(Role(f[1]))
	case "resume":
		s.run.Resume(Role(f[1]), &s.log)
	case "ask":
		hands, waiting := s.run.At(node())
		s.say("hands=%d waiting=%d more=%v", hands, waiting, s.run.Towards(s.g.Node(node()).Role))
	case "count":
		s.say("%+v under way %d", s.run.count, len(s.run.flights))
	default:
		t.Fatalf("there is no command %q", f[0])
	}
	if verdict != Taken {
		s.say("refused: %s", verdict)
	}
}

// base is a conversation without its two ways of text: from ear to mind, and from cutter to
// mouth.
func base() (d Definition) {
	for _, n := range []struct {
		id   eventabi.NodeID
		role Role
	}{{"caller", RoleCaller}, {"ear", RoleRecogniser}, {"mind", RoleModel}, {"cutter", RoleSegmenter}, {"mouth", RoleSynthesiser}, {"speaker", RoleSpeaker}} {
		d.Nodes = append(d.Nodes, Node{ID: n.id, Role: n.role, Scope: ScopeTurn})
	}
	for _, e := range [][]string{{"caller", "ear"}, {"mind", "cutter"}, {"mouth", "speaker"}} {
		d.Edges = append(d.Edges, parseEdge(e))
	}
	return d
}

func parseNode(f []string) Node {
	n := Node{ID: eventabi.NodeID(f[0]), Role: Role(f[1]), Scope: ScopeTurn}
	for _, pair := range f[2:] {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "merge":
			n.Merge = MergeRule(value)
		case "of":
			n.FallbackOf = eventabi.NodeID(value)
		case "on":
			for _, trigger := range strings.Split(value, ",") {
				n.FallbackOn = append(n.FallbackOn, Trigger(trigger))
			}
		case "type":
			n.Inputs, n.Outputs = []string{value}, []string{value}
		}
	}
	return n
}

func parseEdge(f []string) Edge {
	e := Edge{ID: eventabi.EdgeID(f[0] + "-" + f[1]), From: eventabi.NodeID(f[0]), To: eventabi.NodeID(f[1])}
	for _, pair := range f[2:] {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "id":
			e.ID = eventabi.EdgeID(value)
		case "rank":
			e.Rank, _ = strconv.ParseInt(value, 10, 64)
		case "room":
			e.Room, _ = strconv.ParseInt(value, 10, 64)
		case "events":
			e.Events = strings.Split(value, ",")
		case "when":
			part := strings.Split(value, ",")
			e.When = append(e.When, Test{part[0], Op(part[1]), part[2]})
		}
	}
	return e
}

func readable(ev *Event) string {
	line := ev.What.String() + " " + string(ev.Node)
	if ev.To != "" {
		line += " to=" + string(ev.To)
	}
	if ev.Item.Seq != 0 {
		line += fmt.Sprintf(" item=%d/%d", ev.Item.Origin, ev.Item.Seq)
	}
	if ev.Edge != "" {
		line += " edge=" + string(ev.Edge)
	}
	switch ev.What {
	case Routed:
		line += fmt.Sprintf(" holds=%v condition=%d", ev.Holds, ev.Condition)
		if ev.Attribute != "" {
			line += fmt.Sprintf(" %s=%q", ev.Attribute, ev.Value)
		}
	case Merged:
		line += fmt.Sprintf(" from=%d", ev.From)
	default:
		for _, word := range []string{ev.Why.String(), string(ev.Trigger), ev.Reason} {
			if word != "" {
				line += " " + word
			}
		}
	}
	return line
}

// What stands in a script is said once for each operator here.
func TestConditions(t *testing.T) {
	it := Item{Type: "transcript", Attributes: []Attribute{{"language", "de"}, {"confidence", "0.90"}, {"empty", ""}}}
	for _, c := range []struct {
		test Test
		want bool
	}{
		{Test{"language", OpEqual, "de"}, true},
		{Test{"language", OpEqual, "en"}, false},
		{Test{"none", OpEqual, ""}, false},
		{Test{"empty", OpEqual, ""}, true},
		{Test{"confidence", OpEqual, "0.9"}, true},
		{Test{"kind", OpEqual, "transcript"}, true},
		{Test{"language", OpNotEqual, "de"}, false},
		{Test{"language", OpNotEqual, "en"}, true},
		{Test{"none", OpNotEqual, "x"}, true},
		{Test{"confidence", OpNotEqual, "0.900000"}, false},
		{Test{"confidence", OpLess, "0.9"}, false},
		{Test{"confidence", OpLess, "0.900001"}, true},
		{Test{"none", OpLess, "1"}, false},
		{Test{"confidence", OpAtMost, "0.9"}, true},
		{Test{"confidence", OpAtMost, "0.899999"}, false},
		{Test{"none", OpAtMost, "1"}, false},
		{Test{"confidence", OpMore, "0.9"}, false},
		{Test{"confidence", OpMore, "-1"}, true},
		{Test{"none", OpMore, "0"}, false},
		{Test{"confidence", OpAtLeast, "0.9"}, true},
		{Test{"confidence", OpAtLeast, "10"}, false},
		{Test{"language", OpAtLeast, "0"}, false},
		{Test{"confidence", "~", "0.9"}, false},
	} {
		if got := c.test.Holds(&it); got != c.want {
			t.Errorf("%+v holds: %v, want %v", c.test, got, c.want)
		}
	}
	for text, want := range map[string]int64{"0": 0, "1.5": 1500000, "-0.000001": -1, "123456789012": 123456789012000000} {
		if got, ok := Micro(text); !ok || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-", ".5", "1.", "1e3", "1.0000001", "1234567890123", "+1", "1.2.3", "a"} {
		if got, ok := Micro(text); ok {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}

func TestNames(t *testing.T) {
	var names []string
	for w := range whatCount + 1 {
		names = append(names, w.String())
	}
	for w := range whyCount + 1 {
		names = append(names, "why "+w.String())
	}
	for v := range verdictCount + 1 {
		names = append(names, "verdict "+v.String())
	}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != len(names) {
		t.Errorf("two have one name: %q", names)
	}
}
