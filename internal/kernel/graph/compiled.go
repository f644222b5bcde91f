// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
)

// The bounds of a graph and of one run of it.
const (
	MaxNodes = 64  // a set of nodes is a word
	MaxEdges = 256 // of one graph
	MaxTests = 8   // conditions of one edge
	// MaxRoom is how many items may wait for one node at most, or be held by one merge.
	MaxRoom = 1024
)

// Graph is a definition that can be run, in canonical order. It is not changed any more, and
// may serve several runs.
type Graph struct {
	nodes []Node // by id
	edges []Edge // by id
	order []int  // nodes, each behind all that lead to it
	mark  string

	outs, ins [][]int  // edges of each node, by rank and id
	ends      [][2]int // nodes at the ends of each edge
	// carries are the types that go along each edge; nil = all.
	carries [][]string
	gives   [][]string // types that each node gives; nil = all
	// reach has for each node those that something may come to from there, itself included.
	reach   []nodeSet
	stands  [][]int // what stands in for each node
	of      []int   // the node for which each stands in, -1 = none
	joint   []bool  // several edges lead to it, or it is a merge: what comes is put in order
	dormant nodeSet // stand-ins: nothing comes to them before their node has failed
	sources nodeSet // they give of their own accord
	listens nodeSet // of the session, and no part of a turn's run
	// peers are, of a model and of a synthesiser, all nodes of its role where there are several:
	// they take items in one order. 0 = it has an order of its own.
	peers   []nodeSet
	letters int     // the dead letter node, -1 = none
	rooms   []int32 // how many items may wait for each node; 0 = as many as the run allows
}

// nodeSet is a set of nodes by number.
type nodeSet uint64

func (s nodeSet) has(i int) bool { return s&(1<<uint(i)) != 0 }
func (s *nodeSet) add(i int)     { *s |= 1 << uint(i) }

// Fingerprint tells graphs apart: 64 hexadecimal digits over their canonical text.
func (g *Graph) Fingerprint() string { return g.mark }

// Definition gives the graph in canonical order: nodes and edges by id. The caller does not
// change it.
func (g *Graph) Definition() Definition { return Definition{Nodes: g.nodes, Edges: g.edges} }

// Order lists the nodes so that each stands behind all that lead to it, and by id where
// nothing else decides.
func (g *Graph) Order() []eventabi.NodeID {
	list := make([]eventabi.NodeID, len(g.order))
	for k, i := range g.order {
		list[k] = g.nodes[i].ID
	}
	return list
}

// Leads says that something may come from one node to another: along edges, or from a node to
// what stands in for it.
func (g *Graph) Leads(from, to eventabi.NodeID) bool {
	a, b := g.index(from), g.index(to)
	return a >= 0 && b >= 0 && a != b && g.reach[a].has(b)
}

// Node gives a node by its id, nil when there is none.
func (g *Graph) Node(id eventabi.NodeID) *Node {
	if i := g.index(id); i >= 0 {
		return &g.nodes[i]
	}
	return nil
}

// Carries lists the types that go along an edge, nil for all.
func (g *Graph) Carries(id eventabi.EdgeID) []string {
	if i, ok := findEdge(g.edges, id); ok {
		return g.carries[i]
	}
	return nil
}

// index gives the number of a node, -1 when there is none.
func (g *Graph) index(id eventabi.NodeID) int {
	i, ok := slices.BinarySearchFunc(g.nodes, id, func(n Node, id eventabi.NodeID) int { return strings.Compare(string(n.ID), string(id)) })
	if !ok {
		return -1
	}
	return i
}

func findEdge(edges []Edge, id eventabi.EdgeID) (int, bool) {
	return slices.BinarySearchFunc(edges, id, func(e Edge, id eventabi.EdgeID) int { return strings.Compare(string(e.ID), string(id)) })
}

// from and to are the ends of an edge, by number.
func (g *Graph) from(e int) int { return g.ends[e][0] }
func (g *Graph) to(e int) int   { return g.ends[e][1] }

// passes says that a node gives on what it takes, unchanged and at once.
func (g *Graph) passes(i int) bool {
	return g.nodes[i].Role == RoleMerge || g.nodes[i].Role == RoleSelect
}

// rule is how what comes to a node is joined. Where several edges lead to a node that is no
// merge, the profile's rule holds.
func (g *Graph) rule(i int) MergeRule {
	if n := &g.nodes[i]; n.Role == RoleMerge && n.Merge != "" {
		return n.Merge
	}
	return MergeSequence
}

// takes says that an item of a type goes along an edge.
func (g *Graph) takes(e int, typ string) bool { return member(g.carries[e], typ) }

// member says that a type is one of a list, of which nil has all.
func member(list []string, typ string) bool { return list == nil || slices.Contains(list, typ) }
