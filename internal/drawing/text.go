// SPDX-License-Identifier: Apache-2.0

package drawing

import (
	"fmt"
	"strconv"
	"strings"
)

// Mermaid writes a graph as a flowchart of Mermaid.
func Mermaid(g *Graph) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	name := map[string]string{}
	group := ""
	for i, n := range g.Nodes {
		name[n.ID] = "n" + strconv.Itoa(i)
	}
	for _, at := range grouped(g.Nodes) {
		n := &g.Nodes[at]
		if n.Group != group {
			if group != "" {
				b.WriteString("  end\n")
			}
			if group = n.Group; group != "" {
				fmt.Fprintf(&b, "  subgraph g%d[\"%s\"]\n", at, mermaidText(group))
			}
		}
		open, end := `["`, `"]`
		if n.Class == "route" {
			open, end = `{{"`, `"}}`
		}
		fmt.Fprintf(&b, "  %s%s%s<br/><small>%s</small>%s:::%s\n", name[n.ID], open, mermaidText(n.ID), mermaidText(n.Kind), end, n.Class)
	}
	if group != "" {
		b.WriteString("  end\n")
	}
	for _, e := range g.Edges {
		arrow := "-->"
		if e.Style == Fallback {
			arrow = "-.->"
		}
		if e.Label != "" {
			arrow += `|"` + mermaidText(e.Label) + `"|`
		}
		fmt.Fprintf(&b, "  %s %s %s\n", name[e.From], arrow, name[e.To])
	}
	for _, class := range classes() {
		c := colourOf(class)
		fmt.Fprintf(&b, "  classDef %s fill:%s,stroke:%s,color:#1b1f24\n", class, c.fill, c.line)
	}
	return b.String()
}

// mermaidText writes text so that Mermaid shows it: its own characters as entities.
func mermaidText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '<' || r == '>' || r == '#' || r == '&' || r == '|' || r == ';' || r == '`':
			fmt.Fprintf(&b, "#%d;", r)
		case r < ' ':
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// grouped gives the order of the nodes with those of a group side by side.
func grouped(nodes []Node) (order []int) {
	seen := map[string]bool{}
	for i := range nodes {
		if g := nodes[i].Group; g == "" {
			order = append(order, i)
		} else if !seen[g] {
			seen[g] = true
			for k := i; k < len(nodes); k++ {
				if nodes[k].Group == g {
					order = append(order, k)
				}
			}
		}
	}
	return order
}

// DOT writes a graph in the language of Graphviz.
func DOT(g *Graph) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n", dotText(g.Title))
	for _, n := range g.Nodes {
		c := colourOf(n.Class)
		fmt.Fprintf(&b, "  %s [label=%s, fillcolor=%q, color=%q];\n", dotText(n.ID), dotText(n.ID+"\n"+n.Kind), c.fill, c.line)
	}
	for _, e := range g.Edges {
		var with []string
		if e.Label != "" {
			with = append(with, "label="+dotText(e.Label))
		}
		switch e.Style {
		case Conditional:
			with = append(with, `color="#96690f"`)
		case Fallback:
			with = append(with, `style=dashed, color="#a13c3c"`)
		case Plain:
		}
		fmt.Fprintf(&b, "  %s -> %s [%s];\n", dotText(e.From), dotText(e.To), strings.Join(with, ", "))
	}
	b.WriteString("}\n")
	return b.String()
}

func dotText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// Text writes a graph for a terminal: each node with where it leads.
func Text(g *Graph) string {
	var b strings.Builder
	if g.Title != "" {
		fmt.Fprintf(&b, "%s\n\n", plain(g.Title))
	}
	width := 0
	for _, n := range g.Nodes {
		width = max(width, len([]rune(n.ID)))
	}
	for _, n := range g.Nodes {
		kind := n.Kind
		if n.Group != "" {
			kind += ", of " + n.Group
		}
		fmt.Fprintf(&b, "%-*s  %s\n", width, plain(n.ID), plain(kind))
		for _, e := range g.Edges {
			if e.From != n.ID {
				continue
			}
			arrow := "-->"
			if e.Style == Fallback {
				arrow = "..>"
			}
			line := fmt.Sprintf("  %s %s", arrow, plain(e.To))
			if e.Label != "" {
				line += "  [" + plain(e.Label) + "]"
			}
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// plain leaves out what could drive a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
