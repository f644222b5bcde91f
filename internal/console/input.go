// SPDX-License-Identifier: Apache-2.0

package console

// entry is what the user types, in the last row of the live area.
type entry struct {
	open       bool
	text, hint string
}

// Input shows what the user is typing, or the hint while that is nothing. It is drawn at once, and on a terminal only.
func (v *View) Input(text, hint string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.entry = entry{open: true, text: clean(text), hint: clean(hint)}
	if v.terminal {
		v.flush(nil)
	}
}

// entryLine is the row of what is typed; its end is what one sees.
func (v *View) entryLine(room int) []run {
	mark, cursor := "› ", "▏"
	if v.ascii {
		mark, cursor = "> ", "_"
	}
	text := clipLeft(v.entry.text, room-cells(mark)-cells(cursor), v.ellipsis())
	line := []run{{mark, cyan}, {text, plain}, {cursor, cyan}}
	if v.entry.text == "" {
		line = append(line, run{v.entry.hint, dim})
	}
	return fitRuns(line, room)
}
