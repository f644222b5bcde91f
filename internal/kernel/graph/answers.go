// SPDX-License-Identifier: Apache-2.0

package graph

import "math/bits"

// checkAnswers refuses graphs in which two models may answer the same words: something is
// given to both, and neither a select nor a merge that lets the first through decides.
func (c *compiler) checkAnswers() {
	g := &c.g
	models := g.roleSet(RoleModel)
	if bits.OnesCount64(uint64(models)) < 2 {
		return
	}
	var firsts []int
	without := map[int][]nodeSet{} // what leads where if a merge let nothing through
	for i := range g.nodes {
		if g.nodes[i].Role == RoleMerge && g.nodes[i].Merge == MergeFirst {
			firsts = append(firsts, i)
			without[i] = make([]nodeSet, len(g.nodes))
			g.closure(without[i], i)
		}
	}
	var told [MaxNodes]nodeSet
	for d := range g.nodes {
		if g.nodes[d].Role == RoleSelect {
			continue
		}
		for k, e1 := range g.outs[d] {
			for _, e2 := range g.outs[d][:k] {
				a, b := g.to(e1), g.to(e2)
				if g.reach[a]&models == 0 || g.reach[b]&models == 0 || exclusive(&g.edges[e1], &g.edges[e2]) {
					continue
				}
				c.answers(d, a, b, models, firsts, without, &told)
			}
		}
	}
}

// answers tells of models behind a and b, which both take from d.
func (c *compiler) answers(d, a, b int, models nodeSet, firsts []int, without map[int][]nodeSet, told *[MaxNodes]nodeSet) {
	g := &c.g
	voices := g.roleSet(RoleSpeaker) | g.roleSet(RoleSynthesiser)
	for m1 := range g.nodes {
		if !(g.reach[a] & models).has(m1) {
			continue
		}
		for m2 := range g.nodes {
			low, high := min(m1, m2), max(m1, m2)
			if m1 == m2 || !(g.reach[b] & models).has(m2) || told[low].has(high) || c.first(m1) == c.first(m2) {
				continue
			}
			decided := false
			for _, f := range firsts {
				r := without[f]
				ahead := !r[a].has(m1) && !r[b].has(m2) && f != m1
				after := (r[m1]|r[m2])&voices == 0
				decided = decided || ahead || after
			}
			if decided {
				continue
			}
			told[low].add(high)
			c.add(CodeTwoAnswers, nodePath(&g.nodes[high], ""), string(g.nodes[high].ID),
				"%s answers what comes from %s as well; put a select in front of them, or a merge with the rule %s in front of or behind them",
				g.nodes[low].ID, g.nodes[d].ID, MergeFirst)
		}
	}
}

// exclusive says that the conditions of two edges never hold of the same item.
func exclusive(a, b *Edge) bool {
	if len(a.Events) > 0 && len(b.Events) > 0 && !overlap(a.Events, b.Events) {
		return true
	}
	for i := range a.When {
		for k := range b.When {
			if contradict(&a.When[i], &b.When[k]) || contradict(&b.When[k], &a.When[i]) {
				return true
			}
		}
	}
	return false
}

func overlap(a, b []string) bool {
	for _, s := range a {
		if member(b, s) {
			return true
		}
	}
	return false
}

// contradict says that two conditions never hold together.
func contradict(a, b *Test) bool {
	if a.Attribute != b.Attribute {
		return false
	}
	x, left := Micro(a.Value)
	y, right := Micro(b.Value)
	numbers := left && right
	same := a.Value == b.Value || numbers && x == y
	switch {
	case a.Op == OpEqual && b.Op == OpEqual:
		return !same
	case a.Op == OpEqual && b.Op == OpNotEqual:
		return same
	case !numbers:
		return false
	case a.Op == OpEqual && b.Op == OpLess, a.Op == OpAtLeast && b.Op == OpLess:
		return x >= y
	case a.Op == OpMore && b.Op == OpLess:
		return x+1 >= y // numbers are whole millionths
	case a.Op == OpEqual && b.Op == OpAtMost, a.Op == OpAtLeast && b.Op == OpAtMost:
		return x > y
	case a.Op == OpMore && b.Op == OpAtMost:
		return x >= y
	case a.Op == OpEqual && b.Op == OpMore:
		return x <= y
	case a.Op == OpEqual && b.Op == OpAtLeast:
		return x < y
	}
	return false
}
