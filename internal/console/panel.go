// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Edge is what the panel shows of one edge.
type Edge struct {
	Name string
	// Items and Wait are what lies there now: how many, and the longer of the sound in them and the age of the oldest.
	// The bounds are in MaxItems and MaxWait.
	Items, MaxItems int64
	Wait, MaxWait   time.Duration
	// In, Out, Dropped and Merged count items since the beginning.
	In, Out, Dropped, Merged int64
	// Lost says that the edge was cut off, Blocked that a producer waits, Off that it was told to stop, High that the
	// depth is above the high watermark.
	Lost, Blocked, Off, High bool
	// Credits are in the producer's hand, where Credited.
	Credited bool
	Credits  int64
}

const (
	// mostEdges bounds the panel; other edges are there all the same, and in the report.
	mostEdges = 7
	// leastAbove is how many rows of the terminal the panel leaves for what stays.
	leastAbove = 10
	// repeatTime is how long marks that are alike are counted and not shown.
	repeatTime = time.Second

	nameCells  = 14
	fillCells  = 6
	itemsCells = 10
	waitCells  = 12
	stateCells = 7
	countCells = 6
)

// Edges brings the panel up to date. It is drawn with the next Tick, and on a terminal only; the slice is copied.
func (v *View) Edges(at time.Duration, edges []Edge) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = at
	v.edges = append(v.edges[:0], edges...)
}

// repeat is a mark that was shown, and how many like it were not.
type repeat struct {
	at   time.Duration
	more int
}

// Mark shows something that pressure did, under a label such as "drop". Of marks with one key one a second stays; the
// next says how many there were in between.
func (v *View) Mark(at time.Duration, label, key, text string, bad bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = at
	if v.repeats == nil {
		v.repeats = map[string]*repeat{}
	}
	last := v.repeats[key]
	if last != nil && at-last.at < repeatTime {
		last.more++
		return
	}
	text = clean(text)
	if last != nil && last.more > 0 {
		text += fmt.Sprintf(" (%d more like it since %s)", last.more, clock(last.at, false))
	}
	v.repeats[key] = &repeat{at: at}
	how := magenta
	if bad {
		how = red
	}
	v.event(clip(clean(label), labelCells-1, v.ellipsis()), how, text, plain)
}

// panel is the rows of the panel, none when there are no edges or no room.
func (v *View) panel(room int) [][]run {
	most := min(mostEdges, v.rows()-leastAbove)
	if len(v.edges) == 0 || most < 2 {
		return nil
	}
	head := []run{{"  " + pad("edge", nameCells+1+fillCells), dim}}
	for _, c := range [...]struct {
		name  string
		width int
	}{{"items", itemsCells}, {"waits", waitCells}, {"", 2 + stateCells}, {"in", countCells}, {"out", countCells}, {"drop", countCells}, {"merge", countCells}} {
		head = append(head, run{right(c.name, c.width), dim})
	}
	lines := [][]run{dropRuns(head, room)}
	for i := range v.edges {
		if len(lines) > most {
			break
		}
		lines = append(lines, dropRuns(v.edgeRow(&v.edges[i]), room))
	}
	return lines
}

func (v *View) rows() int {
	if v.height == nil {
		return 24
	}
	if rows := v.height(); rows > 0 {
		return rows
	}
	return 24
}

func (v *View) edgeRow(e *Edge) []run {
	state, how := e.state()
	on, off := "▮", "▯"
	if v.ascii {
		on, off = "#", "."
	}
	lit := e.fill()
	count := func(n int64, how style) run {
		if n == 0 {
			how = dim
		}
		return run{right(short(n), countCells), how}
	}
	return []run{
		{"  " + pad(clip(clean(e.Name), nameCells, v.ellipsis()), nameCells) + " ", plain},
		{strings.Repeat(on, lit), how},
		{strings.Repeat(off, fillCells-lit), dim},
		{right(short(e.Items)+"/"+short(e.MaxItems), itemsCells), plain},
		{right(wait(e.Wait, e.MaxWait), waitCells), plain},
		{"  " + pad(state, stateCells), how},
		count(e.In, plain),
		count(e.Out, plain),
		count(e.Dropped, red),
		count(e.Merged, magenta),
	}
}

// state is the one thing to know about an edge, the gravest first.
func (e *Edge) state() (string, style) {
	switch {
	case e.Lost:
		return "cut off", red
	case e.Blocked:
		return "blocks", red
	case e.Off:
		return "xoff", magenta
	case e.High:
		return "high", magenta
	case e.Credited:
		return "cr " + short(e.Credits), green
	}
	return "", green
}

// fill is how many cells of the bar are lit: the share of the bound that is nearest. What is there at all lights one.
func (e *Edge) fill() int {
	share := 0.0
	if e.MaxItems > 0 {
		share = float64(e.Items) / float64(e.MaxItems)
	}
	if e.MaxWait > 0 && e.Items > 0 {
		share = max(share, float64(e.Wait)/float64(e.MaxWait))
	}
	lit := int(share*fillCells + 0.5)
	if e.Items > 0 {
		lit = max(lit, 1)
	}
	return min(lit, fillCells)
}

// short is a count in at most five cells.
func short(n int64) string {
	switch {
	case n < 100_000:
		return strconv.FormatInt(n, 10)
	case n < 10_000_000:
		return strconv.FormatInt(n/1000, 10) + "k"
	}
	return strconv.FormatInt(n/1_000_000, 10) + "M"
}

// wait is a stretch of time against its bound, in the unit that both are short in.
func wait(now, most time.Duration) string {
	if max(now, most) < 10*time.Second {
		return fmt.Sprintf("%d/%d ms", now.Milliseconds(), most.Milliseconds())
	}
	bound := fmt.Sprintf("%.0f s", most.Seconds())
	if most < 10*time.Second {
		bound = fmt.Sprintf("%.1f s", most.Seconds())
	}
	if now < 1000*time.Second {
		return fmt.Sprintf("%.1f/%s", now.Seconds(), bound)
	}
	return fmt.Sprintf("%.0f/%s", now.Seconds(), bound)
}

func pad(text string, width int) string { return text + strings.Repeat(" ", max(0, width-cells(text))) }

func right(text string, width int) string {
	return strings.Repeat(" ", max(0, width-cells(text))) + text
}
