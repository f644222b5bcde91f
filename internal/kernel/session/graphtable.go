// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
)

// table lays out what the executor looks up: the edges of each node in their order, and which
// nodes lead to which.
func (g *graphSetup) table() {
	slices.SortStableFunc(g.edges, func(a, b graph.Edge) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.ID, b.ID))
	})
	n := len(g.nodes)
	g.outs, g.reach, g.leads = make([][]int, n), make([][]bool, n), make([]bool, n)
	for i := range g.nodes {
		for k := range g.edges {
			if g.edges[k].From == g.nodes[i].Node.ID {
				g.outs[i] = append(g.outs[i], k)
			}
		}
		g.reach[i] = make([]bool, n)
		g.explore(i, i)
		for k := range g.nodes {
			role := g.nodes[k].Node.Role
			g.leads[i] = g.leads[i] || g.reach[i][k] && (role == graph.RoleModel || role == graph.RoleSynthesiser)
		}
	}
}

// explore marks what lies behind a node, and behind what stands in for that.
func (g *graphSetup) explore(from, at int) {
	visit := func(to int) {
		if to >= 0 && !g.reach[from][to] {
			g.reach[from][to] = true
			g.explore(from, to)
		}
	}
	for k := range g.edges {
		if g.edges[k].From == g.nodes[at].Node.ID {
			visit(g.index(g.edges[k].To))
		}
	}
	for k := range g.nodes {
		if g.nodes[k].Node.FallbackOf == g.nodes[at].Node.ID {
			visit(k)
		}
	}
}

// out lists the edges of a node, by number.
func (g *graphSetup) out(id eventabi.NodeID) []int { return g.outs[g.index(id)] }

// reaches says that something can come from one node to another.
func (g *graphSetup) reaches(from, to eventabi.NodeID) bool {
	return g.reach[g.index(from)][g.index(to)]
}

func (g *graphSetup) isBeside(id eventabi.NodeID) bool { return beside(&g.node(id).Node) }

func (g *graphSetup) edgeOrder(id eventabi.EdgeID) int {
	return slices.IndexFunc(g.edges, func(e graph.Edge) bool { return e.ID == id })
}

// fingerprint tells graphs apart: what they are, and what serves them. The order in which it
// was declared is no part of that.
func (g *graphSetup) fingerprint() string {
	lines := make([]string, 0, len(g.nodes)+len(g.edges))
	for i := range g.nodes {
		n := g.nodes[i]
		n.Line.Handle, n.Line.Digest = 0, 0 // names of one session
		lines = append(lines, Format(&n))
	}
	for i := range g.edges {
		lines = append(lines, Format(&GraphEdge{Edge: g.edges[i]}))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}
