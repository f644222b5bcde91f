// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// Bounds of a spec's graph.
const (
	// MaxTests is how many conditions one edge may have.
	MaxTests = 8
	// MaxEventTypes is how many types of events an edge may name.
	MaxEventTypes = 16
	// MaxRank bounds the rank of an edge.
	MaxRank = 1000
)

// aboutSpec are the fields that say what a spec is. They change nothing that it does
// (turn-plan section 1, metadata).
func aboutSpec() []shape.Field {
	return []shape.Field{
		may("pipeline", nodeName("the name of the pipeline")),
		may("version", versionText("the version of the spec; a published one never changes")),
		may("description", shape.Text("what the pipeline is for")),
		may("labels", labels()),
		may("comment", comment()),
	}
}

func labels() *shape.Shape {
	return tableOf("free labels, without effect", shape.Text("the value of a label"))
}

func comment() *shape.Shape { return shape.Text("a note to readers, without effect") }

func versionText(doc string) *shape.Shape {
	return &shape.Shape{Type: shape.String, Pattern: shape.ID, Doc: doc + "; a text, so quote what looks like a number"}
}

// graphFields are the fields that declare a graph: its nodes, its prelude and the modules
// that it is made of. Its edges are those that have settings as well.
func graphFields() []shape.Field {
	modules := tableOf("subgraphs that nodes of the type module stand for, by name, or by name@version where there are several of one name", module())
	return []shape.Field{
		may("nodes", nodes("the nodes of the graph, by node id; without any, it is the voice graph")),
		may("prelude", prelude()),
		may("modules", modules),
	}
}

func nodes(doc string) *shape.Shape {
	s := tableOf(doc, authoredNode())
	s.Names = shape.GraphName
	return s
}

func prelude() *shape.Shape {
	return &shape.Shape{
		Type: shape.Array, Unique: true, Items: nodeName("a node"),
		Doc: "the nodes that work ahead of turns and raise proposals, each of the session; a module stands for its nodes",
	}
}

func authoredNode() *shape.Shape {
	return closed("one node of the graph",
		may("type", &shape.Shape{Type: shape.String, Pattern: shape.TypeName, Doc: "what the node is: one of the built-in types, module, or a type that the program registers"}),
		may("version", versionText("the version that the node's package has to have")),
		may("use", &shape.Shape{Type: shape.String, Pattern: shape.ModuleRef, Doc: "the module that a node of the type module stands for, and its version"}),
		may("scope", shape.OneOf("how long an instance lives; what the type says where it is absent", "session", "turn")),
		may("merge", shape.OneOf("how a merge node joins what comes in", "sequence_order", "all", "first")),
		may("fallback_of", nodeName("the node that this one stands in for")),
		may("fallback_on", &shape.Shape{
			Type: shape.Array, Unique: true, MinItems: 1, Doc: "what has to happen to that node; all of them where it is absent",
			Items: shape.OneOf("a trigger", "timeout", "error", "budget"),
		}),
		may("unanswered", shape.OneOf("in the caller's or the agent's sound: what becomes of a frame that the node does not give back in time, or at all; pass, as it came, where it is absent", "pass", "silence")),
		may("limits", closed("how long the hooks of the node may take",
			may("event_ms", ms("its budget for one event")),
			may("init_ms", ms("getting ready")),
			may("start_ms", ms("starting")),
			may("cancel_ms", ms("taking note of a barge-in and a cancel")),
			may("stop_ms", ms("stopping")),
		)),
		may("config", &shape.Shape{Type: shape.Object, Open: true, Doc: "what the type of the node is told; the type says which fields it has"}),
		may("labels", labels()),
		may("comment", comment()),
	)
}

// routeFields say what goes along an edge.
func routeFields() []shape.Field {
	value := shape.Text("what it is compared with")
	value.AllowEmpty = true
	value.Or = []*shape.Shape{{Type: shape.Number, Doc: "a number"}, {Type: shape.Boolean, Doc: "true or false"}}
	test := closed("a condition over one attribute of an event",
		need("attribute", shape.Text("language, confidence, sentiment, kind, or a name that a node gives")),
		need("op", shape.OneOf("how it is compared", "==", "!=", "<", "<=", ">", ">=")),
		need("value", value),
	)
	test.Or = []*shape.Shape{shape.Text("the condition as a text, such as language == de")}
	when := &shape.Shape{
		Type: shape.Array, Items: test, MaxItems: MaxTests,
		Doc: "conditions over the attributes of an event, all of which have to hold: texts such as language == de, or attribute, op and value",
		Or:  []*shape.Shape{shape.Text("one condition as a text, such as confidence >= 0.8")},
	}
	return []shape.Field{
		may("events", &shape.Shape{
			Type: shape.Array, Unique: true, MinItems: 1, MaxItems: MaxEventTypes, Items: shape.Text("a type of events"),
			Doc: "the types of events that go along the edge; all that both ends know where it is absent",
		}),
		may("when", when),
		may("rank", upTo("the order in which a select node tries its edges, from the smallest", 0, MaxRank)),
		may("labels", labels()),
		may("comment", comment()),
	}
}

// module describes a subgraph with a name and a version.
func module() *shape.Shape {
	edges := tableOf("the edges of the module, by edge id", authoredEdge())
	edges.Names = shape.PathName
	ports := func(doc string) *shape.Shape {
		s := tableOf(doc, nodeName("the node of the module that it leads to"))
		s.Names = shape.PathName
		return s
	}
	inside := nodes("the nodes of the module, by node id")
	inside.Names = shape.PathName
	return closed("a subgraph",
		may("version", versionText("the version that a use has to name")),
		may("description", shape.Text("what the module is for")),
		may("labels", labels()),
		may("comment", comment()),
		may("nodes", inside),
		may("edges", edges),
		may("prelude", prelude()),
		may("inputs", ports("where edges into the module end, by the name that they use")),
		may("outputs", ports("where edges out of the module begin, by the name that they use")),
	)
}
