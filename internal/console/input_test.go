// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"strings"
	"testing"
)

// What is typed is the last row of the live area, its end in sight; nothing of it stays.
func TestInput(t *testing.T) {
	for _, ascii := range []bool{false, true} {
		s := newScreen(t, 40)
		v := Open(Settings{Out: s, Terminal: true, ASCII: ascii, Width: func() int { return s.columns }})
		last := func() string {
			rows := strings.Split(strings.TrimRight(s.String(), "\n"), "\n")
			return strings.TrimRight(rows[len(rows)-1], " ")
		}
		mark, cursor, cut := "› ", "▏", "…"
		if ascii {
			mark, cursor, cut = "> ", "_", "..."
		}
		v.Note(0, "begin")
		v.Input("", "type and press Enter")
		if got := last(); got != mark+cursor+"type and press Enter" {
			t.Errorf("nothing is typed: %q", got)
		}
		v.Input("日本 \x1b[2J", "hint")
		if got := last(); got != mark+"日本 [2J"+cursor {
			t.Errorf("something is typed: %q", got)
		}
		v.Input(strings.Repeat("a long line ", 20)+"end", "hint")
		if got := last(); !strings.HasPrefix(got, mark+cut) || !strings.HasSuffix(got, "line end"+cursor) || cells(got) >= 40 {
			t.Errorf("much is typed: %q", got)
		}
		s.resize(7)
		v.Floor(ms(100), Caller)
		s.resize(40)
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(s.String()), " "); got != "0:00.000 note begin" {
			t.Errorf("it leaves %q", got)
		}
	}
	var out bytes.Buffer
	New(&out, false, nil).Input("typed", "hint")
	if out.Len() > 0 {
		t.Errorf("plain output has %q", &out)
	}
}
