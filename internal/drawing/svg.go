// SPDX-License-Identifier: Apache-2.0

package drawing

import (
	"fmt"
	"html"
	"strings"
)

// SVG draws a graph. The picture follows the reader's light or dark scheme.
func SVG(g *Graph) string {
	l := arrange(g)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="%s">`+"\n",
		l.width, l.height, l.width, l.height, escape(g.Title))
	b.WriteString(style())
	fmt.Fprintf(&b, "<rect class=\"paper\" width=\"%.0f\" height=\"%.0f\"/>\n", l.width, l.height)
	if g.Title != "" {
		fmt.Fprintf(&b, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", margin, margin+8, escape(g.Title))
	}
	for i := range g.Edges {
		l.edge(&b, &g.Edges[i], l.routes[i])
	}
	for i := range g.Nodes {
		l.node(&b, &g.Nodes[i], &l.spots[i])
	}
	for i := range g.Edges {
		l.label(&b, &g.Edges[i], l.routes[i])
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func escape(s string) string { return html.EscapeString(plain(s)) }

func style() string {
	var b strings.Builder
	b.WriteString("<style>\n.paper{fill:#fff}.title{font:600 16px sans-serif;fill:#1b1f24}.id{font:600 13px sans-serif;fill:#1b1f24;text-anchor:middle}\n" +
		".kind{font:11px sans-serif;fill:#4b5560;text-anchor:middle}.label{font:11px sans-serif;fill:#4b5560;text-anchor:middle}.patch{fill:#fff;opacity:.88}\n" +
		".edge{fill:none;stroke:#7a8591;stroke-width:1.5}.head{fill:#7a8591}\n" +
		".conditional{stroke:#96690f}.conditional-head{fill:#96690f}.fallback{stroke:#a13c3c;stroke-dasharray:6 4}.fallback-head{fill:#a13c3c}\n" +
		".box{stroke-width:1.5}\n")
	for _, class := range classes() {
		c := colourOf(class)
		fmt.Fprintf(&b, ".%s{fill:%s;stroke:%s}", class, c.fill, c.line)
	}
	b.WriteString("\n@media (prefers-color-scheme:dark){.paper,.patch{fill:#14171a}.title,.id{fill:#e6e9ec}.kind,.label{fill:#aab4bf}.edge{stroke:#8b96a2}.head{fill:#8b96a2}\n" +
		".conditional{stroke:#e6bd6a}.conditional-head{fill:#e6bd6a}.fallback{stroke:#ea9a9a}.fallback-head{fill:#ea9a9a}\n")
	for _, class := range classes() {
		c := colourOf(class)
		fmt.Fprintf(&b, ".%s{fill:%s;stroke:%s}", class, c.darkFill, c.darkLine)
	}
	b.WriteString("}\n</style>\n")
	return b.String()
}

func (l *layout) node(b *strings.Builder, n *Node, s *spot) {
	fmt.Fprintf(b, "<g><title>%s</title>", escape(strings.TrimSpace(n.ID+": "+n.Kind+" "+n.Group)))
	if n.Class == "route" { // a lozenge with its corners cut
		const cut = 14
		x, y, w, h := s.x-s.width/2, s.y-nodeHeight/2, s.width, float64(nodeHeight)
		fmt.Fprintf(b, `<path class="box %s" d="M%.1f %.1f L%.1f %.1f L%.1f %.1f L%.1f %.1f L%.1f %.1f L%.1f %.1f Z"/>`, n.Class,
			x+cut, y, x+w-cut, y, x+w, y+h/2, x+w-cut, y+h, x+cut, y+h, x, y+h/2)
	} else {
		fmt.Fprintf(b, `<rect class="box %s" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="8"/>`, n.Class, s.x-s.width/2, s.y-nodeHeight/2, s.width, nodeHeight)
	}
	fmt.Fprintf(b, `<text class="id" x="%.1f" y="%.1f">%s</text><text class="kind" x="%.1f" y="%.1f">%s</text></g>`+"\n",
		s.x, s.y-2, escape(n.ID), s.x, s.y+14, escape(n.Kind))
}

func (e *Edge) class() string {
	switch e.Style {
	case Conditional:
		return "conditional"
	case Fallback:
		return "fallback"
	case Plain:
	}
	return ""
}

// edge draws an edge as a line that leaves and arrives level.
func (l *layout) edge(b *strings.Builder, e *Edge, way []int) {
	const arrow = 9
	first := &l.spots[way[0]]
	x, y := first.x+first.width/2, first.y
	fmt.Fprintf(b, `<path class="edge %s" d="M%.1f %.1f`, e.class(), x, y)
	for i, s := range way[1:] {
		to := &l.spots[s]
		tx := to.x - to.width/2
		if i == len(way)-2 {
			tx -= arrow
		}
		bend := max(24, (tx-x)/2)
		fmt.Fprintf(b, " C%.1f %.1f %.1f %.1f %.1f %.1f", x+bend, y, tx-bend, to.y, tx, to.y)
		x, y = to.x+to.width/2, to.y
		if i < len(way)-2 && x > tx {
			fmt.Fprintf(b, " L%.1f %.1f", x, y)
		}
	}
	last := &l.spots[way[len(way)-1]]
	tip := last.x - last.width/2
	head := strings.TrimPrefix(e.class()+"-head", "-")
	fmt.Fprintf(b, `"/><path class="%s" d="M%.1f %.1f L%.1f %.1f L%.1f %.1f Z"/>`+"\n", head, tip, last.y, tip-arrow, last.y-4.5, tip-arrow, last.y+4.5)
}

// label writes what stands on an edge, in the middle of its first stretch.
func (l *layout) label(b *strings.Builder, e *Edge, way []int) {
	if e.Label == "" {
		return
	}
	from, to := &l.spots[way[0]], &l.spots[way[1]]
	x, y := (from.x+from.width/2+to.x-to.width/2)/2, (from.y+to.y)/2
	wide := float64(len([]rune(e.Label)))*smallWidth + 8
	fmt.Fprintf(b, `<rect class="patch" x="%.1f" y="%.1f" width="%.1f" height="16" rx="3"/><text class="label" x="%.1f" y="%.1f">%s</text>`+"\n",
		x-wide/2, y-8, wide, x, y+4, escape(e.Label))
}
