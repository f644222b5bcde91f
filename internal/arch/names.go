// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"path"
	"slices"
	"strings"
)

func nameChecks() []Check {
	return []Check{
		{"names", "a package whose name needs an alias is misnamed", checkNames},
		{"comments", "the package comment is the manual: one place, not three and not none", checkComments},
	}
}

// standardNames are packages of the standard library that a reader would take ours for.
func standardNames() []string {
	return []string{
		"bufio", "bytes", "context", "crypto", "embed", "encoding", "errors", "flag", "fmt", "hash", "html", "image", "io", "iter",
		"json", "log", "maps", "math", "metrics", "net", "os", "path", "plugin", "rand", "reflect", "regexp", "runtime", "scanner",
		"slices", "sort", "strings", "sync", "syntax", "template", "testing", "time", "token", "trace", "types", "unicode", "unsafe", "url", "user",
	}
}

func checkNames(t *Tree) (found []Finding) {
	first := map[string]string{}
	for _, p := range t.Packages {
		if p.Name == "main" {
			continue
		}
		if other, taken := first[p.Name]; taken {
			found = append(found, Finding{p.Dir, "package name " + p.Name + " is taken by " + other})
		} else {
			first[p.Name] = p.Dir
		}
		if slices.Contains(standardNames(), p.Name) {
			found = append(found, Finding{p.Dir, "package name " + p.Name + " belongs to the standard library"})
		}
		if p.Dir != "." && path.Base(p.Dir) != p.Name {
			found = append(found, Finding{p.Dir, "the folder and the package name " + p.Name + " differ"})
		}
	}
	return found
}

func checkComments(t *Tree) (found []Finding) {
	for _, p := range t.Packages {
		var where []string
		sources := 0
		for _, f := range p.Files {
			if f.Test {
				continue
			}
			sources++
			if strings.TrimSpace(f.Syntax.Doc.Text()) != "" {
				where = append(where, f.Path)
			}
		}
		home := path.Join(p.Dir, "doc.go")
		if p.Name == "main" {
			home = path.Join(p.Dir, "main.go")
		}
		switch {
		case sources == 0 || (sources == 1 && len(where) == 1): // only tests, or no other place for it
		case len(where) == 0:
			found = append(found, Finding{p.Dir, "no package comment; write it in " + home})
		case len(where) > 1:
			found = append(found, Finding{p.Dir, "several package comments, in " + strings.Join(where, ", ") + "; keep the one in " + home})
		case where[0] != home:
			found = append(found, Finding{where[0], "the package comment belongs in " + home})
		}
	}
	return found
}
