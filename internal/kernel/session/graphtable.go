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

// table lays out what the session looks up: the edges of each node in their order, and which
// nodes lead to a model or a synthesiser.
func (g *graphSetup) table() {
	slices.SortStableFunc(g.edges, func(a, b graph.Edge) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.ID, b.ID))
	})
	n := len(g.nodes)
	g.outs, g.leads = make([][]int, n), make([]bool, n)
	for i := range g.nodes {
		id := g.nodes[i].Node.ID
		for k := range g.edges {
			if g.edges[k].From == id {
				g.outs[i] = append(g.outs[i], k)
			}
		}
		for k := range g.nodes {
			role := g.nodes[k].Node.Role
			g.leads[i] = g.leads[i] || (role == graph.RoleModel || role == graph.RoleSynthesiser) && g.compiled.Leads(id, g.nodes[k].Node.ID)
		}
	}
}

// out lists the edges of a node, by number.
func (g *graphSetup) out(id eventabi.NodeID) []int { return g.outs[g.index(id)] }

func (g *graphSetup) isBeside(id eventabi.NodeID) bool { return beside(&g.node(id).Node) }

func (g *graphSetup) edgeOrder(id eventabi.EdgeID) int {
	return slices.IndexFunc(g.edges, func(e graph.Edge) bool { return e.ID == id })
}

// fingerprint tells graphs apart: what they are, what serves them, and what their nodes are
// given outside the kernel. The order of the declaration is no part of that.
func (g *graphSetup) fingerprint() string {
	lines := []string{g.compiled.Fingerprint()}
	for i := range g.nodes {
		n := g.nodes[i]
		n.Node = graph.Node{ID: n.Node.ID}
		n.Line.Handle, n.Line.Digest = 0, 0 // names of one session
		lines = append(lines, Format(&n))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}
