// SPDX-License-Identifier: Apache-2.0

package drawing

import (
	"slices"
)

// The measures of a picture, in pixels.
const (
	nodeHeight = 48
	nodePad    = 18
	rowGap     = 34
	columnGap  = 64
	margin     = 28
	titleSpace = 36
	idWidth    = 8.2 // of a character of an id
	smallWidth = 6.4 // of a character of what is small
	sweeps     = 12
)

// spot is a place in the layout: a node, or where a long edge crosses a column.
type spot struct {
	node         int // -1 = of an edge
	rank         int
	x, y         float64 // of the centre
	width        float64
	above, below []int // neighbours by spot, a column before and one behind
}

// layout is where everything stands.
type layout struct {
	spots         []spot
	columns       [][]int // spots by rank, from top to bottom
	routes        [][]int // by edge: the spots that it goes through, its ends among them
	width, height float64
}

// arrange lays out a graph from left to right.
func arrange(g *Graph) *layout {
	l := &layout{}
	index := map[string]int{}
	for i, n := range g.Nodes {
		index[n.ID] = i
		wide := max(float64(len([]rune(n.ID)))*idWidth, float64(len([]rune(n.Kind)))*smallWidth)
		l.spots = append(l.spots, spot{node: i, width: max(84, wide+2*nodePad)})
	}
	l.rank(g, index)
	for _, e := range g.Edges {
		l.routes = append(l.routes, l.route(index[e.From], index[e.To]))
	}
	for i := range l.spots {
		r := l.spots[i].rank
		for len(l.columns) <= r {
			l.columns = append(l.columns, nil)
		}
		l.columns[r] = append(l.columns[r], i)
	}
	l.order()
	l.across(g)
	l.down()
	return l
}

// rank gives each node the column behind all that leads to it. In a circle, which a graph that
// is fit has not, the way back does not count.
func (l *layout) rank(g *Graph, index map[string]int) {
	for range g.Nodes {
		moved := false
		for _, e := range g.Edges {
			from, to := index[e.From], index[e.To]
			if l.spots[to].rank < l.spots[from].rank+1 && l.spots[from].rank+1 < len(g.Nodes) {
				l.spots[to].rank, moved = l.spots[from].rank+1, true
			}
		}
		if !moved {
			return
		}
	}
}

// route leads an edge through the columns between its ends.
func (l *layout) route(from, to int) []int {
	way := []int{from}
	last := from
	for r := l.spots[from].rank + 1; r < l.spots[to].rank; r++ {
		l.spots = append(l.spots, spot{node: -1, rank: r})
		l.join(last, len(l.spots)-1)
		last = len(l.spots) - 1
		way = append(way, last)
	}
	l.join(last, to)
	return append(way, to)
}

func (l *layout) join(a, b int) {
	l.spots[a].below = append(l.spots[a].below, b)
	l.spots[b].above = append(l.spots[b].above, a)
}

// order puts the spots of each column near what they are joined to, so that few edges cross.
func (l *layout) order() {
	at := make([]float64, len(l.spots))
	note := func(column []int) {
		for i, s := range column {
			at[s] = float64(i)
		}
	}
	for _, c := range l.columns {
		note(c)
	}
	mean := func(of []int, otherwise float64) float64 {
		if len(of) == 0 {
			return otherwise
		}
		sum := 0.0
		for _, s := range of {
			sum += at[s]
		}
		return sum / float64(len(of))
	}
	for sweep := range sweeps {
		for k := range l.columns {
			c := l.columns[k]
			if sweep%2 == 1 {
				c = l.columns[len(l.columns)-1-k]
			}
			want := map[int]float64{}
			for _, s := range c {
				if sweep%2 == 0 {
					want[s] = mean(l.spots[s].above, at[s])
				} else {
					want[s] = mean(l.spots[s].below, at[s])
				}
			}
			slices.SortStableFunc(c, func(a, b int) int {
				switch {
				case want[a] < want[b]:
					return -1
				case want[a] > want[b]:
					return 1
				}
				return 0
			})
			note(c)
		}
	}
}

// across places the columns, with room for what stands on the edges between them.
func (l *layout) across(g *Graph) {
	room := make([]float64, len(l.columns))
	for i, e := range g.Edges {
		r := l.spots[l.routes[i][0]].rank
		room[r] = max(room[r], float64(len([]rune(e.Label)))*smallWidth)
	}
	x := float64(margin)
	for r, c := range l.columns {
		wide := 0.0
		for _, s := range c {
			wide = max(wide, l.spots[s].width)
		}
		for _, s := range c {
			l.spots[s].x = x + wide/2
		}
		x += wide + columnGap + room[r]
		l.width = x - columnGap - room[r] + margin
	}
}

// down places the spots of each column: near what they are joined to, and apart.
func (l *layout) down() {
	step := float64(nodeHeight + rowGap)
	for _, c := range l.columns {
		for i, s := range c {
			l.spots[s].y = (float64(i) - float64(len(c)-1)/2) * step
		}
	}
	for sweep := range sweeps {
		for k := range l.columns {
			c := l.columns[k]
			if sweep%2 == 1 {
				c = l.columns[len(l.columns)-1-k]
			}
			for _, s := range c {
				l.pull(s, sweep%2 == 0)
			}
			for i := 1; i < len(c); i++ {
				l.spots[c[i]].y = max(l.spots[c[i]].y, l.spots[c[i-1]].y+step)
			}
			for i := len(c) - 2; i >= 0; i-- {
				l.spots[c[i]].y = min(l.spots[c[i]].y, l.spots[c[i+1]].y-step)
			}
		}
	}
	if len(l.spots) == 0 {
		l.width, l.height = 2*margin, 2*margin+titleSpace
		return
	}
	top, bottom := l.spots[0].y, l.spots[0].y
	for i := range l.spots {
		top, bottom = min(top, l.spots[i].y), max(bottom, l.spots[i].y)
	}
	for i := range l.spots {
		l.spots[i].y += margin + titleSpace + nodeHeight/2 - top
	}
	l.height = bottom - top + 2*margin + titleSpace + nodeHeight
}

// pull moves a spot to the middle of what it is joined to.
func (l *layout) pull(s int, forward bool) {
	of := l.spots[s].below
	if forward {
		of = l.spots[s].above
	}
	if len(of) == 0 {
		return
	}
	sum := 0.0
	for _, o := range of {
		sum += l.spots[o].y
	}
	l.spots[s].y = sum / float64(len(of))
}
