// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"go/ast"
	"path"
	"strings"
)

// checkContained wants what a transport has run by others (on goroutines, by timers) inside
// transport.Contain: a panic there costs a connection, and never the process. Callbacks of
// libraries are not found here; they defer transport.Recover.
func checkContained(t *Tree) (found []Finding) {
	const remedy = "a panic there would end the process: put it into transport.Contain"
	t.goFiles(func(p *Package, f *GoFile) {
		if f.Test || !strings.HasPrefix(p.Dir, "transport/") || strings.HasSuffix(p.Name, "test") { // packages for tests
			return
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				if !contained(n.Call.Fun) {
					found = append(found, Finding{t.at(n), "a goroutine: " + remedy})
				}
			case *ast.CallExpr:
				name := called(n)
				if name == "time.AfterFunc" && !contained(n.Args[1]) {
					found = append(found, Finding{t.at(n), "a timer: " + remedy})
				}
				if path.Ext(name) == ".Go" && len(n.Args) == 1 && !contained(n.Args[0]) {
					found = append(found, Finding{t.at(n), "a goroutine: " + remedy})
				}
			}
			return true
		})
	})
	return found
}

// contained says that an expression is a function that transport.Contain has made.
func contained(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && called(call) == "transport.Contain"
}

// called names what a call calls, as it is written: a.b for a selector of any depth.
func called(call *ast.CallExpr) string {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if of, ok := sel.X.(*ast.Ident); ok {
		return of.Name + "." + sel.Sel.Name
	}
	return "." + sel.Sel.Name
}
