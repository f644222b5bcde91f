// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/settings"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the tables of docs/serve.md")

// The tables of the manual are those of the configuration and of the metrics.
func TestDocTables(t *testing.T) {
	const doc = "../../docs/serve.md"
	raw, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for name, want := range map[string]string{"settings": settingsTable(t), "metrics": metricsTable()} {
		begin := regexp.MustCompile(`<!-- ` + name + `: begin [^\n]* -->\n`).FindStringIndex(text)
		end := strings.Index(text, "<!-- "+name+": end -->")
		if begin == nil || end < begin[1] {
			t.Fatalf("docs/serve.md has no place for %s", name)
		}
		if got := text[begin[1]:end]; got != want && !*rewrite {
			t.Errorf("the table of %s differs; look, and run with -rewrite if it is right\n got\n%s\nwant\n%s", name, got, want)
		}
		text = text[:begin[1]] + want + text[end:]
	}
	if *rewrite && text != string(raw) {
		if err := os.WriteFile(doc, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func settingsTable(t *testing.T) string {
	t.Helper()
	loaded, err := settings.Load(Default(), settings.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	values := loaded.Values()
	var b strings.Builder
	b.WriteString("| Setting | Takes | Default | Meaning |\n|---|---|---|---|\n")
	for i, f := range settings.Fields(Default()) {
		def := ""
		if values[i].Text != "" {
			def = "`" + values[i].Text + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Path, f.Admits(), def, f.Doc)
		for _, c := range f.Columns {
			fmt.Fprintf(&b, "| `%s[].%s` | %s |  | %s |\n", f.Path, c.Path, c.Admits(), c.Doc)
		}
		if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("%s has no sentence that says what it is", f.Path)
		}
	}
	return b.String()
}

func metricsTable() string {
	var b strings.Builder
	b.WriteString("| Metric | Labels | Meaning |\n|---|---|---|\n")
	rows := map[string][]string{
		"parley_first_audio_seconds From the end of an utterance to the first sound of its answer; a histogram.": {"transport"},
		"parley_cancel_latency_seconds From the acceptance of a cancel to its fence; a histogram.":               nil,
		"parley_turns_total Turns by how they ended: commit, or the reason of the abort.":                        {"outcome"},
		"parley_requests_refused_total Requests turned away for their host or origin.":                           {"reason"},
	}
	maps.Copy(rows, metricNames())
	for _, text := range slices.Sorted(maps.Keys(rows)) {
		name, meaning, _ := strings.Cut(text, " ")
		labels := ""
		if len(rows[text]) > 0 {
			labels = "`" + strings.Join(rows[text], "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, labels, meaning)
	}
	return b.String()
}
