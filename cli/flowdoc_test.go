// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the output of the commands in docs/flow.md")

// docs/flow.md shows files and commands: a yaml block that begins with # NAME is that file,
// and what stands below a command in a console block is what the command says, all of it.
func TestFlowDocCommands(t *testing.T) {
	const doc = "../docs/flow.md"
	raw, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	was, now := string(raw), string(raw)
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	blocks := regexp.MustCompile("(?s)```(yaml|console)\n(.*?)```").FindAllStringSubmatch(was, -1)
	commands, plain := 0, 0
	for _, block := range blocks {
		text := block[2]
		if block[1] == "yaml" {
			name, named := strings.CutPrefix(text[:strings.IndexByte(text, '\n')], "# ")
			if !named {
				plain++
				if r := runParley(t, text, "lint", "-"); r.code != exitOK {
					t.Errorf("an example is refused:\n%s%s%s", text, r.out, r.errOut)
				}
				continue
			}
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var shown strings.Builder
		for line := range strings.Lines(text) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				commands++
				shown.WriteString(line)
				shown.WriteString(shell(t, strings.TrimSpace(command)))
			}
		}
		if shown.String() != text {
			if !*rewrite {
				t.Errorf("docs/flow.md differs; look, and run with -rewrite if it is right\n got\n%s\nwant\n%s", shown.String(), text)
			}
			now = strings.Replace(now, "```console\n"+text, "```console\n"+shown.String(), 1)
		}
	}
	if commands < 3 || plain == 0 {
		t.Errorf("docs/flow.md shows %d commands and %d examples", commands, plain)
	}
	t.Chdir(home)
	if *rewrite && now != was {
		if err := os.WriteFile(doc, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shell runs a command line of the document, with the variables in front of it.
func shell(t *testing.T, line string) string {
	t.Helper()
	words := strings.Fields(line)
	for len(words) > 0 && strings.Contains(words[0], "=") {
		name, value, _ := strings.Cut(words[0], "=")
		t.Setenv(name, value) // and back at the end of the test
		defer func() {
			if err := os.Unsetenv(name); err != nil {
				t.Error(err)
			}
		}()
		words = words[1:]
	}
	if len(words) == 0 || words[0] != "parley" {
		t.Fatalf("%q is no command of parley", line)
	}
	r := runParley(t, "", words[1:]...)
	return r.out + r.errOut
}
