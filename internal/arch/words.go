// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

// wordsFile is the table from the specification's words to the files that hold them.
const wordsFile = "docs/modules.md"

// The two states of a row.
const (
	statusBuilt   = "built"
	statusPlanned = "not built yet"
)

func wordChecks() []Check {
	return []Check{{
		"words", "who reads a word in the specification must find its file without asking", checkWords,
	}}
}

// word is one row of the table: | word | module | `path`, `path` | status |.
type word struct {
	name   string
	paths  []string
	status string
	line   int
}

func checkWords(t *Tree) []Finding {
	text := t.text(wordsFile)
	if text == nil {
		return []Finding{{wordsFile, "is missing"}}
	}
	words, found := parseWords(text)
	if len(words) == 0 {
		return append(found, Finding{wordsFile, "has no row"})
	}
	var listed []string
	seen := map[string]int{}
	for _, w := range words {
		where := fmt.Sprintf("%s:%d", wordsFile, w.line)
		if earlier := seen[w.name]; earlier != 0 {
			found = append(found, Finding{where, fmt.Sprintf("word %q stands on line %d already", w.name, earlier)})
		}
		seen[w.name] = w.line
		for _, p := range w.paths {
			listed = append(listed, strings.TrimSuffix(p, "/"))
			exists := t.exists(p)
			switch {
			case w.status == statusBuilt && !exists:
				found = append(found, Finding{where, fmt.Sprintf("%q is said to live in %s, which does not exist", w.name, p)})
			case w.status == statusPlanned && exists:
				found = append(found, Finding{where, fmt.Sprintf("%q is said to be %s, but %s exists", w.name, statusPlanned, p)})
			}
		}
	}
	return append(found, t.unlisted(listed)...)
}

// unlisted finds the kernel's files and the packages that no row names.
func (t *Tree) unlisted(listed []string) (found []Finding) {
	for _, p := range t.Packages {
		if within(p.Dir, kernelDir) {
			for _, f := range p.Files {
				if !f.Test && path.Base(f.Path) != "doc.go" && !slices.Contains(listed, f.Path) {
					found = append(found, Finding{f.Path, "is no word of " + wordsFile + "; add a row, or put the code where its word is"})
				}
			}
			continue
		}
		if strings.Contains(p.Dir, "/internal/") {
			continue // a part of the package above it
		}
		if !slices.ContainsFunc(listed, func(at string) bool { return at == p.Dir || path.Dir(at) == p.Dir }) {
			found = append(found, Finding{p.Dir, "is a package that no row of " + wordsFile + " names"})
		}
	}
	return found
}

// exists says whether a path names a file of the tree, or a folder that holds one.
func (t *Tree) exists(name string) bool {
	name = strings.TrimSuffix(name, "/")
	return slices.ContainsFunc(t.Files, func(f File) bool { return within(f.Path, name) }) || name == "."
}

// parseWords reads every table row of the document whose last cell is a status.
func parseWords(text []byte) (words []word, found []Finding) {
	number := 0
	for raw := range bytes.Lines(text) {
		number++
		line := strings.TrimSpace(string(raw))
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|-") || strings.HasPrefix(line, "| Word ") {
			continue
		}
		where := fmt.Sprintf("%s:%d", wordsFile, number)
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 4 {
			found = append(found, Finding{where, "a row is | word | module | `path`, ... | status |"})
			continue
		}
		w := word{name: strings.TrimSpace(cells[0]), paths: quoted(cells[2]), status: strings.TrimSpace(cells[3]), line: number}
		if w.name == "" || len(w.paths) == 0 || (w.status != statusBuilt && w.status != statusPlanned) {
			found = append(found, Finding{where, fmt.Sprintf("a row needs a word, a path in backquotes, and the status %q or %q", statusBuilt, statusPlanned)})
			continue
		}
		words = append(words, w)
	}
	return words, found
}

// quoted returns what stands between backquotes.
func quoted(cell string) (out []string) {
	for i, part := range strings.Split(cell, "`") {
		if i%2 == 1 {
			out = append(out, part)
		}
	}
	return out
}
