// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"strconv"

	"github.com/parley-voice/parley/internal/kernel/session"
)

// trace keeps the last passes of a session in readable form. A pass begins with its
// instant and its inputs, as in the kernel's scenario scripts; decisions are indented.
type trace struct {
	lines []string
}

// traceLines is how much of a session a failure shows.
const traceLines = 60

func (t *trace) add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > 2*traceLines {
		t.lines = append(t.lines[:0], t.lines[len(t.lines)-traceLines:]...)
	}
}

func (t *trace) inputs(w *world) {
	at := "@" + strconv.FormatInt(w.passAt.MS(), 10) + " "
	for _, in := range w.in {
		t.add(at + session.Format(in))
		at = ""
	}
}

func (t *trace) effects(w *world) {
	for _, e := range w.fx.List {
		t.add("  " + session.Format(e))
	}
}

// tail gives the last lines.
func (t *trace) tail() []string {
	return t.lines[max(0, len(t.lines)-traceLines):]
}
