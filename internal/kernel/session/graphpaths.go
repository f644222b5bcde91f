// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
)

// A zone is the part of a turn's way in which a node stands:
//
//	recogniser --words--> model --> segmenter --reply--> synthesiser --> speaker
//
// Text nodes, selects and merges stand among the words or in the reply. On the other edges
// there is nothing but the edge: sound and the model's own stream go from one to the next.
type zone uint8

const (
	zoneNone  zone = iota // beside the turn: session-scoped nodes, and what only listens
	zoneWords             // between the recogniser and the models
	zoneModel             // a model, and what cuts its text
	zoneReply             // between the segmenter and the synthesisers
	zoneVoice             // a synthesiser
)

// survey finds where each node stands, and what cannot stand where it does. It gives the
// reason of a refusal, empty when there is none.
func (g *graphSetup) survey() string {
	g.zones = make([]zone, len(g.nodes))
	for i := range g.nodes {
		n := &g.nodes[i]
		if why := g.place(i, n); why != "" {
			return "invalid_graph:nodes." + string(n.Node.ID) + "." + why
		}
	}
	for _, missing := range [...]struct {
		id   eventabi.NodeID
		role graph.Role
	}{{g.ear, graph.RoleRecogniser}, {g.cutter, graph.RoleSegmenter}, {g.model, graph.RoleModel}, {g.voice, graph.RoleSynthesiser}} {
		if missing.id == "" {
			return "invalid_graph:nodes.role:no_" + string(missing.role)
		}
	}
	why := g.spread()
	if why == "" {
		why = g.soundWays()
	}
	for i := range g.nodes {
		g.screens = g.screens || g.zones[i] == zoneWords && g.leads[i] && g.nodes[i].Node.Role == graph.RoleWork
	}
	return why
}

// place notes a node by its role.
func (g *graphSetup) place(i int, n *GraphNode) string {
	one := func(at *eventabi.NodeID, z zone) string {
		if *at != "" {
			return "role:another_" + string(n.Node.Role)
		}
		*at, g.zones[i] = n.Node.ID, z
		return ""
	}
	switch n.Node.Role {
	case graph.RoleRecogniser:
		return one(&g.ear, zoneNone)
	case graph.RoleSegmenter:
		return one(&g.cutter, zoneModel)
	case graph.RoleModel:
		g.zones[i] = zoneModel
		if g.model == "" {
			g.model = n.Node.ID
		}
	case graph.RoleSynthesiser:
		g.zones[i] = zoneVoice
		if g.voice == "" {
			g.voice = n.Node.ID
		}
	case graph.RoleResponder:
		if n.Line.Class == TextNone {
			return "line:empty"
		}
		g.responder = i
	case graph.RoleDeadLetter:
		g.letters = i
	case graph.RoleWork, graph.RoleMerge, graph.RoleSelect, graph.RoleCaller, graph.RoleDetector, graph.RoleSpeaker:
	}
	if n.Provider != "" && n.Node.Role != graph.RoleModel && n.Node.Role != graph.RoleSynthesiser {
		return "provider:no_provider_serves_it"
	}
	if n.Provider == n.Second && n.Provider != "" || n.Provider == "" && n.Second != "" {
		return "second:another_than_the_first"
	}
	return ""
}

// spread carries the zones along the edges, until nothing moves any more. A stand-in stands
// where the node does that it stands in for.
func (g *graphSetup) spread() string {
	for moved := true; moved; {
		moved = false
		for i := range g.edges {
			why, more := g.along(&g.edges[i])
			if why != "" {
				return "invalid_graph:edges." + string(g.edges[i].ID) + "." + why
			}
			moved = moved || more
		}
		for i := range g.nodes {
			if of := g.index(g.nodes[i].Node.FallbackOf); of >= 0 && g.zones[i] == zoneNone && g.zones[of] != zoneNone {
				g.zones[i], moved = g.zones[of], true
			}
		}
	}
	return ""
}

// along says what may lie behind an edge, and in which zone it then stands.
func (g *graphSetup) along(e *graph.Edge) (why string, moved bool) {
	from, to := g.index(e.From), g.index(e.To)
	if from < 0 || to < 0 {
		return "to:unknown_node", false
	}
	f, t := &g.nodes[from].Node, &g.nodes[to].Node
	if beside(f) || beside(t) {
		return "", false
	}
	z := g.zones[from]
	switch f.Role {
	case graph.RoleRecogniser:
		z = zoneWords
	case graph.RoleSegmenter:
		z = zoneReply
	case graph.RoleModel:
		return unless(t.Role == graph.RoleSegmenter, "to:only_the_segmenter"), false
	case graph.RoleSynthesiser:
		return unless(t.Role == graph.RoleSpeaker, "to:only_the_speaker"), false
	case graph.RoleCaller:
		return unless(t.Role == graph.RoleRecogniser || t.Role == graph.RoleDetector, "to:only_what_listens"), false
	case graph.RoleDetector, graph.RoleSpeaker, graph.RoleResponder, graph.RoleDeadLetter:
		return "", false
	case graph.RoleWork, graph.RoleMerge, graph.RoleSelect:
	}
	return g.into(z, to, t)
}

// into says whether what goes along in a zone may come to a node.
func (g *graphSetup) into(z zone, to int, t *graph.Node) (why string, moved bool) {
	switch t.Role {
	case graph.RoleModel:
		return unless(z == zoneWords || z == zoneNone, "to:only_words"), false
	case graph.RoleSynthesiser:
		return unless(z == zoneReply || z == zoneNone, "to:only_the_reply"), false
	case graph.RoleWork, graph.RoleMerge, graph.RoleSelect:
		if z == zoneNone || g.zones[to] == z {
			return "", false
		}
		if g.zones[to] != zoneNone {
			return "to:words_and_reply", false
		}
		g.zones[to] = z
		return "", true
	case graph.RoleDeadLetter:
		return "", false
	case graph.RoleCaller, graph.RoleDetector, graph.RoleRecogniser, graph.RoleSegmenter, graph.RoleSpeaker, graph.RoleResponder:
	}
	return "to:not_behind_text", false
}

func unless(fits bool, why string) string {
	if fits {
		return ""
	}
	return why
}

// beside says that a node works beside the turns: what it takes and gives goes over further
// edges.
func beside(n *graph.Node) bool {
	return n.Scope == graph.ScopeSession && n.Role == graph.RoleWork
}
