// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"os"
	"strings"
	"testing"
)

// Whoever writes a client reads one page: it names every event, both ways.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/realtime.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("emit.go")
	if err != nil {
		t.Fatal(err)
	}
	events := clientEvents()
	for line := range strings.Lines(string(source)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "= ")
		if ok && strings.HasPrefix(name, "ev") && strings.HasPrefix(value, `"`) {
			events = append(events, strings.Trim(strings.TrimSpace(value), `"`))
		}
	}
	if len(events) < 35 {
		t.Errorf("only %d events were found: %v", len(events), events)
	}
	for _, name := range append(events, echoed()...) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/realtime.md does not tell of %s", name)
		}
	}
}
