// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"go/ast"
	"go/token"
)

func sealedChecks() []Check {
	return []Check{{
		"sealed", "without its mark gochecksumtype cannot see that a switch forgot a case", checkSealed,
	}}
}

// sealedMark is what gochecksumtype looks for in a sealed interface's comment.
const sealedMark = "//sumtype:decl"

// checkSealed wants the mark on every exported interface of the vocabulary and the
// kernel that only its own package can implement.
func checkSealed(t *Tree) (found []Finding) {
	for _, p := range t.Packages {
		if !within(p.Dir, kernelDir) && !within(p.Dir, "api") {
			continue
		}
		for _, f := range p.Files {
			for _, d := range f.Syntax.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE && !f.Test {
					found = append(found, t.unmarked(g)...)
				}
			}
		}
	}
	return found
}

func (t *Tree) unmarked(g *ast.GenDecl) (found []Finding) {
	for _, spec := range g.Specs {
		s, ok := spec.(*ast.TypeSpec)
		if !ok || !s.Name.IsExported() || !sealed(s) || marked(s.Doc) || marked(g.Doc) {
			continue
		}
		found = append(found, Finding{t.at(s), "sealed interface " + s.Name.Name + " lacks " + sealedMark + " as a line of its comment"})
	}
	return found
}

// sealed says whether s is an interface with an unexported method.
func sealed(s *ast.TypeSpec) bool {
	i, ok := s.Type.(*ast.InterfaceType)
	if !ok {
		return false
	}
	for _, m := range i.Methods.List {
		for _, name := range m.Names {
			if !name.IsExported() {
				return true
			}
		}
	}
	return false
}

func marked(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if c.Text == sealedMark {
			return true
		}
	}
	return false
}
