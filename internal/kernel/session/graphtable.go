// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/parley-voice/parley/internal/kernel/graph"
)

// table lays out what the session looks up: which nodes lead to a model or a synthesiser.
func (g *graphSetup) table() {
	g.leads = make([]bool, len(g.nodes))
	for i := range g.nodes {
		id := g.nodes[i].Node.ID
		for k := range g.nodes {
			role := g.nodes[k].Node.Role
			g.leads[i] = g.leads[i] || (role == graph.RoleModel || role == graph.RoleSynthesiser) && g.compiled.Leads(id, g.nodes[k].Node.ID)
		}
	}
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
