// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
)

// heardBy is a graph with nodes in the sound: "id" of the session, "id=scope", "id<of" what
// stands in for another; edges "from>to" beside those of a conversation, "from>to?x" with a
// condition.
func heardBy(nodes, edges string) (list []Input) {
	node := func(id, fallbackOf string, role graph.Role, scope graph.Scope, types ...string) {
		n := graph.Node{ID: eventabi.NodeID(id), Type: "t", Role: role, Scope: scope, Inputs: types, Outputs: types, FallbackOf: eventabi.NodeID(fallbackOf)}
		if fallbackOf != "" {
			n.FallbackOn = []graph.Trigger{graph.OnError}
		}
		list = append(list, &GraphNode{Node: n})
	}
	node("caller", "", graph.RoleCaller, graph.ScopeSession)
	node("vad", "", graph.RoleDetector, graph.ScopeSession)
	node("ear", "", graph.RoleRecogniser, graph.ScopeSession)
	node("mind", "", graph.RoleModel, graph.ScopeTurn)
	node("cutter", "", graph.RoleSegmenter, graph.ScopeTurn)
	node("mouth", "", graph.RoleSynthesiser, graph.ScopeTurn)
	node("speaker", "", graph.RoleSpeaker, graph.ScopeSession)
	for _, f := range strings.Fields(nodes) {
		id, of, _ := strings.Cut(f, "<")
		id, scope, other := strings.Cut(id, "=")
		if !other {
			scope = string(graph.ScopeSession)
		}
		node(id, of, graph.RoleWork, graph.Scope(scope), "audio_chunk")
	}
	if !strings.Contains(edges, ">speaker") {
		edges += " mouth>speaker"
	}
	for _, f := range strings.Fields(edges + " ear>mind mind>cutter cutter>mouth") {
		from, to, _ := strings.Cut(f, ">")
		to, attribute, asked := strings.Cut(to, "?")
		e := graph.Edge{ID: eventabi.EdgeID(from + "-" + to), From: eventabi.NodeID(from), To: eventabi.NodeID(to)}
		if asked {
			e.When = []graph.Test{{Attribute: attribute, Op: graph.OpEqual, Value: "x"}}
		}
		list = append(list, &GraphEdge{Edge: e})
	}
	return list
}

// What may stand in the sound, and what is refused there.
func TestSoundWays(t *testing.T) {
	for _, c := range []struct{ name, nodes, edges, want string }{
		{"none", "", "caller>vad caller>ear", ""},
		{"one for both", "gate", "caller>gate gate>vad gate>ear", ""},
		{"a chain", "gate clean", "caller>gate gate>clean clean>vad clean>ear", ""},
		{"a way each", "gate clean", "caller>gate caller>clean gate>vad clean>ear", ""},
		{"for one of them", "clean", "caller>vad caller>clean clean>ear", ""},
		{"a fork", "gate clean", "caller>gate gate>vad gate>clean clean>ear", ""},
		{"a branch", "gate plain<gate", "caller>gate gate>vad gate>ear plain>vad plain>ear", ""},
		{"of a turn", "gate=turn", "caller>gate gate>vad caller>ear", "edges.caller-gate.to:only_what_listens"},
		{"two sides", "gate clean", "caller>gate caller>clean gate>ear clean>ear caller>vad", "nodes.ear.from:sound_from_two_sides"},
		{"beside it as well", "gate", "caller>gate gate>vad caller>vad caller>ear", "nodes.vad.from:sound_from_two_sides"},
		{"nowhere", "gate", "caller>gate caller>vad caller>ear", "nodes.gate.to:leads_nowhere"},
		{"to the speaker", "gate", "caller>gate gate>speaker gate>ear caller>vad mouth>speaker", "edges.gate-speaker.to:only_what_listens"},
		{"of both", "gate", "caller>gate gate>vad caller>ear mouth>gate", "edges.caller-gate.to:sound_of_both_sides"},
		{"a condition", "gate", "caller>gate gate>ear?language", "edges.gate-ear.when:sound_has_no_attributes"},
		{"a branch elsewhere", "gate plain<gate", "caller>gate gate>vad gate>ear plain>vad", "nodes.plain.fallback_of:leads_elsewhere"},
		{"the agent's", "warm", "caller>vad caller>ear mouth>warm warm>speaker", ""},
		{"a chain of the agent's", "warm soft", "caller>vad caller>ear mouth>warm warm>soft soft>speaker", ""},
		{"one for each", "gate warm", "caller>gate gate>vad gate>ear mouth>warm warm>speaker", ""},
		{"a branch of the agent's", "warm plain<warm", "caller>vad caller>ear mouth>warm warm>speaker plain>speaker", ""},
		{"a fork of the agent's", "warm", "caller>vad caller>ear mouth>warm warm>speaker mouth>speaker", "nodes.mouth.to:speaks_twice"},
		{"spoken twice", "warm soft", "caller>vad caller>ear mouth>warm warm>soft warm>speaker soft>speaker", "nodes.warm.to:speaks_twice"},
		{"heard by the agent itself", "warm", "caller>vad caller>ear mouth>warm warm>vad warm>speaker", "edges.warm-vad.from:only_sound_goes_there"},
		{"the agent's in a turn", "warm=turn", "caller>vad caller>ear mouth>warm warm>speaker", "edges.mouth-warm.to:only_the_speaker"},
		{"a condition on the agent's", "warm", "caller>vad caller>ear mouth>warm warm>speaker?language", "edges.warm-speaker.when:sound_has_no_attributes"},
	} {
		want := c.want
		if want != "" {
			want = "invalid_graph:" + want
		}
		if got := CheckGraph(heardBy(c.nodes, c.edges)); got != want {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
	slow := heardBy("gate", "caller>gate gate>vad gate>ear")
	for _, in := range slow {
		if n, ok := in.(*GraphNode); ok && n.Node.ID == "gate" {
			n.Node.BudgetMS = MaxSoundBudgetMS + 1
		}
	}
	if got := CheckGraph(slow); got != "invalid_graph:nodes.gate.budget_ms" {
		t.Errorf("a slow one: %q", got)
	}
}
