// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	licenceLine   = "// SPDX-License-Identifier: Apache-2.0"
	maxFileLines  = 700 // past this there is more than one reason to change
	maxFuncLines  = 70  // a screen
	maxShellLines = 400
)

func tidyChecks() []Check {
	return []Check{
		{"licence", "a file that travels alone says under what terms", checkLicence},
		{"length", "what does not fit a screen is not read before it is changed", checkLength},
		{"contained", "a panic on a goroutine of a transport would end the process, and with it every call", checkContained},
		{"init", "registration at start-up cannot be seen from the call site, nor undone by a test", checkInit},
		{"finished", "a promise in a comment, or a skipped test, is a defect without a number", checkFinished},
	}
}

func (t *Tree) goFiles(visit func(*Package, *GoFile)) {
	for _, p := range t.Packages {
		for _, f := range p.Files {
			visit(p, f)
		}
	}
}

func checkLicence(t *Tree) (found []Finding) {
	t.goFiles(func(_ *Package, f *GoFile) {
		if !bytes.HasPrefix(f.Text, []byte(licenceLine+"\n\n")) {
			found = append(found, Finding{f.Path, "must start with " + licenceLine + " and an empty line"})
		}
	})
	return found
}

func checkLength(t *Tree) (found []Finding) {
	for _, f := range t.Files {
		limit := 0
		switch path.Ext(f.Path) {
		case ".go":
			limit = maxFileLines
		case ".sh":
			limit = maxShellLines
		}
		if lines := bytes.Count(f.Text, []byte("\n")); limit > 0 && lines > limit {
			found = append(found, Finding{f.Path, fmt.Sprintf("%d lines, at most %d: split it by concern", lines, limit)})
		}
	}
	t.goFiles(func(_ *Package, f *GoFile) {
		if f.Test {
			return // a table may be long
		}
		for _, d := range f.Syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			lines := t.fset.Position(fn.End()).Line - t.fset.Position(fn.Pos()).Line + 1
			if lines > maxFuncLines {
				found = append(found, Finding{t.at(fn), fmt.Sprintf("function %s has %d lines, at most %d", fn.Name.Name, lines, maxFuncLines)})
			}
		}
	})
	return found
}

func checkInit(t *Tree) (found []Finding) {
	t.goFiles(func(_ *Package, f *GoFile) {
		for _, d := range f.Syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, Finding{t.at(fn), "func init: build the value in a function, and list it in cmd"})
			}
		}
	})
	return found
}

// checkFinished looks for notes to oneself in comments and for tests that skip. A skip
// is accepted when its message names the test that covers the same ground without what
// is missing; a fuzz target may skip inputs that mean nothing to it.
func checkFinished(t *Tree) (found []Finding) {
	note := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	t.goFiles(func(_ *Package, f *GoFile) {
		for _, group := range f.Syntax.Comments {
			for _, c := range group.List {
				if word := note.FindString(c.Text); word != "" {
					found = append(found, Finding{t.at(c), word + " in a comment: do it, or file it as an issue and say what holds now"})
				}
			}
		}
		if !f.Test || strings.HasSuffix(f.Path, "fuzz_test.go") {
			return
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && skips(call) && !namesTest(call) {
				found = append(found, Finding{t.at(n), "a skipped test: set up what it needs, or fail and name the remedy, or name the Test that covers it without"})
			}
			return true
		})
	})
	return found
}

// skips says whether call is t.Skip or one of its sisters.
func skips(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || (sel.Sel.Name != "Skip" && sel.Sel.Name != "Skipf" && sel.Sel.Name != "SkipNow") {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && (x.Name == "t" || x.Name == "b" || x.Name == "tb")
}

// namesTest says whether a literal argument of call names a test.
func namesTest(call *ast.CallExpr) bool {
	name := regexp.MustCompile(`\bTest[A-Z]\w*`)
	return slices.ContainsFunc(call.Args, func(arg ast.Expr) bool {
		literal, ok := arg.(*ast.BasicLit)
		return ok && name.MatchString(literal.Value)
	})
}
