// SPDX-License-Identifier: Apache-2.0

package console

import (
	"math"
	"strconv"
	"strings"
)

// A line that stays: its time, a label of labelCells, and text that wraps under itself.
const (
	labelCells = 10
	clockCells = 9
	meterCells = 10
	floorDB    = -48 // the level at which a meter is empty
)

// run is a stretch of text in one style.
type run struct {
	text string
	how  style
}

// event writes a line that stays.
func (v *View) event(label string, labelStyle style, text string, how style) {
	v.flush(v.block(label, labelStyle, run{text, how}))
}

// block lays out a line that stays. Without a terminal it is one line however long, for tools that read lines.
func (v *View) block(label string, labelStyle style, runs ...run) []string {
	stamp := clock(v.at, false)
	head := strings.Repeat(" ", max(0, clockCells-len(stamp))) + v.paint(dim, stamp) + "  " +
		v.paint(labelStyle, label) + strings.Repeat(" ", max(1, labelCells-cells(label)))
	if !v.terminal {
		var texts []string
		for _, r := range runs {
			texts = append(texts, r.text)
		}
		return []string{strings.TrimRight(head+strings.Join(texts, " "), " ")}
	}
	indent := clockCells + 2 + labelCells
	room := v.columns() - 1 - indent
	if room < 16 { // too narrow for columns: the text goes below its label
		indent, room = 2, v.columns()-3
	}
	lines := v.flow(runs, room)
	out := []string{strings.TrimRight(head, " ")}
	if indent > 2 {
		out = []string{head + lines[0]}
		lines = lines[1:]
	}
	for _, line := range lines {
		out = append(out, strings.Repeat(" ", indent)+line)
	}
	return out
}

// flow breaks runs into lines of at most width cells, between words where it can, each painted for itself.
func (v *View) flow(runs []run, width int) []string {
	var lines []string
	var line []run
	used := 0
	for _, word := range words(runs, max(width, 2)) {
		size := cells(word.text)
		if used > 0 && used+1+size > width {
			lines = append(lines, v.paintRuns(line))
			line, used = nil, 0
		}
		last := len(line) - 1
		switch {
		case last >= 0 && line[last].how == word.how:
			line[last].text += " " + word.text
			used++
		case last >= 0:
			line = append(line, run{" ", plain}, word)
			used++
		default:
			line = append(line, word)
		}
		used += size
	}
	return append(lines, v.paintRuns(line))
}

func (v *View) paintRuns(runs []run) string {
	var out strings.Builder
	for _, r := range runs {
		out.WriteString(v.paint(r.how, r.text))
	}
	return out.String()
}

// flush writes lines that stay, and below them the live area, in one write.
func (v *View) flush(lines []string) {
	if v.closed {
		return
	}
	if !v.terminal {
		for _, line := range lines {
			v.write(line + "\n")
		}
		return
	}
	var out strings.Builder
	if !v.hidCursor {
		v.hidCursor = true
		out.WriteString("\x1b[?25l")
	}
	out.WriteString(v.erase())
	for _, line := range lines {
		out.WriteString(line + "\r\n")
	}
	v.drawn = v.drawn[:0]
	for i, line := range v.live() {
		if i > 0 {
			out.WriteString("\r\n")
		}
		width := 0
		for _, r := range line {
			width += cells(r.text)
		}
		out.WriteString(v.paintRuns(line))
		v.drawn = append(v.drawn, width)
	}
	v.drawnAt = v.at
	v.write(out.String())
}

// erase clears the live area with the cursor on its last line. If the terminal has become narrower since, lines that
// were one row may be several by now.
func (v *View) erase() string {
	if len(v.drawn) == 0 {
		return ""
	}
	rows, columns := 0, v.columns()
	for _, width := range v.drawn {
		rows += max(1, (width+columns-1)/columns)
	}
	v.drawn = v.drawn[:0]
	return "\r" + strings.Repeat("\x1b[A", rows-1) + "\x1b[J"
}

func (v *View) columns() int {
	if v.width == nil {
		return 80
	}
	if columns := v.width(); columns > 0 {
		return columns
	}
	return 80
}

// live is the live area: who holds the floor and how loud it is, the words in the making, and the panel of edges.
func (v *View) live() [][]run {
	room := v.columns() - 1
	stamp := clock(v.at, true)
	status := []run{{strings.Repeat(" ", max(0, clockCells-2-len(stamp))) + stamp + "  ", bold}}
	for _, side := range []struct {
		name  string
		level *meter
		who   Holder
		how   style
	}{{"caller ", &v.caller, Caller, cyan}, {"agent ", &v.agent, Agent, yellow}} {
		how := dim
		if v.holder == side.who || v.holder == Both {
			how = side.how
		}
		full, empty := side.level.bar(v.ascii)
		status = append(status, run{side.name, how}, run{full, side.how}, run{empty, dim}, run{"  ", plain})
	}
	status = append(status, v.holderRun())
	if v.turn > 0 {
		status = append(status, run{"  turn " + strconv.Itoa(v.turn) + " " + v.state, dim})
	}
	lines := [][]run{dropRuns(status, room), v.wordsLine(room)}
	lines = append(lines, v.panel(room)...)
	if v.entry.open {
		lines = append(lines, v.entryLine(room))
	}
	return lines
}

// wordsLine is the words in the making.
func (v *View) wordsLine(room int) []run {
	if v.words == "" {
		return []run{{"", plain}}
	}
	label, how := "caller", cyan
	if v.speaker == Agent {
		label, how = "agent", yellow
	}
	indent := clockCells + 2 + labelCells
	if room-indent < 16 {
		indent = 2
		label = ""
	}
	head := strings.Repeat(" ", max(0, indent-labelCells)) + label
	head += strings.Repeat(" ", max(0, indent-cells(head)))
	return fitRuns([]run{{head, how}, {clipLeft(v.words, room-indent, v.ellipsis()), dim}}, room)
}

func (v *View) ellipsis() string {
	if v.ascii {
		return "..."
	}
	return "…"
}

func (v *View) holderRun() run {
	switch v.holder {
	case Nobody:
		return run{"silence", dim}
	case Caller:
		return run{"caller speaks", cyan}
	case Agent:
		return run{"agent speaks", yellow}
	case Both:
		return run{"both speak", red}
	case Held:
		return run{"agent holds", magenta}
	}
	return run{}
}

// dropRuns leaves out what does not fit whole, from the first that does not; the clock is cut off if even it is too wide.
func dropRuns(runs []run, room int) []run {
	used := 0
	for i, r := range runs {
		if used += cells(r.text); used > room {
			if i == 0 {
				return fitRuns(runs[:1], room)
			}
			return runs[:i]
		}
	}
	return runs
}

// fitRuns cuts a line off where the terminal ends.
func fitRuns(runs []run, room int) []run {
	var out []run
	for _, r := range runs {
		r.text = clip(r.text, room, "")
		room -= cells(r.text)
		out = append(out, r)
	}
	return out
}

// meter is a level that rises at once and falls by a sixth each time it is heard, as needles do.
type meter struct{ level float64 }

func (m *meter) hear(level float64) {
	if math.IsNaN(level) {
		level = 0
	}
	m.level = max(min(level, 1), m.level*5/6)
}

// bar is the meter as meterCells cells, the lit ones and the rest.
func (m *meter) bar(ascii bool) (full, empty string) {
	lit := 0
	if m.level > 0 {
		db := 20 * math.Log10(m.level)
		lit = int(math.Round((1 - db/floorDB) * meterCells))
		lit = min(max(lit, 0), meterCells)
	}
	on, off := "▮", "▯"
	if ascii {
		on, off = "#", "."
	}
	return strings.Repeat(on, lit), strings.Repeat(off, meterCells-lit)
}
