// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

const kernelDir = "internal/kernel"

func purityChecks() []Check {
	return []Check{{
		"purity", "equal inputs must give equal decisions: live, replayed, on another processor", checkPurity,
	}}
}

// timeNames is what the kernel may use of package time: shapes and units, no clock,
// no timer, no zone of this machine.
func timeNames() []string {
	return []string{
		"Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour", "ParseDuration",
		"Time", "Month", "Weekday", "UTC", "Date", "Unix", "UnixMilli", "UnixMicro", "Parse", "RFC3339", "RFC3339Nano",
	}
}

func checkPurity(t *Tree) []Finding {
	universe := newUniverse(t)
	var found []Finding
	for _, p := range t.Packages {
		if !within(p.Dir, kernelDir) {
			continue
		}
		info, err := universe.check(p)
		if err != nil {
			found = append(found, Finding{p.Dir, "cannot be type-checked, so its purity is unknown: " + err.Error()})
			continue
		}
		judge := purity{tree: t, info: info, seen: map[Finding]bool{}}
		for _, f := range p.Files {
			if !f.Test {
				judge.file(f)
			}
		}
		found = append(found, judge.found...)
	}
	return found
}

// purity judges the files of one kernel package.
type purity struct {
	tree  *Tree
	info  *types.Info
	found []Finding
	seen  map[Finding]bool // one report a line and fault

	sorted map[ast.Expr]bool // calls that stand directly inside slices.Sorted
}

func (p *purity) report(n ast.Node, what string) {
	f := Finding{p.tree.at(n), what}
	if !p.seen[f] {
		p.seen[f] = true
		p.found = append(p.found, f)
	}
}

func (p *purity) file(f *GoFile) {
	p.sorted = map[ast.Expr]bool{}
	for _, d := range f.Syntax.Decls {
		p.state(d)
	}
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			p.report(n, "a goroutine in the kernel: name the work in an effect, the shell does it")
		case *ast.ChanType, *ast.SendStmt, *ast.SelectStmt:
			p.report(n, "a channel in the kernel: everything comes in through Step")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				p.report(n, "a channel in the kernel: everything comes in through Step")
			}
		case *ast.RangeStmt:
			p.ranges(n)
		case *ast.CallExpr:
			p.call(n)
		case *ast.Ident:
			p.use(n)
		}
		if e, ok := n.(ast.Expr); ok {
			p.float(e)
		}
		return true
	})
}

// state refuses package-level variables, which no session owns and no recording holds.
// An error value and a blank assertion that a type satisfies an interface are constants in all but name.
func (p *purity) state(d ast.Decl) {
	g, ok := d.(*ast.GenDecl)
	if !ok || g.Tok != token.VAR {
		return
	}
	for _, spec := range g.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, name := range v.Names {
			if name.Name == "_" || (i < len(v.Values) && p.calls(v.Values[i], "errors", "New")) {
				continue
			}
			p.report(name, "package-level variable "+name.Name+" in the kernel: put it in a machine's state, or return it from a function")
		}
	}
}

func (p *purity) ranges(n *ast.RangeStmt) {
	tv, ok := p.info.Types[n.X]
	if !ok {
		return
	}
	switch tv.Type.Underlying().(type) {
	case *types.Map:
		p.report(n, "iteration in map order in the kernel: keep a sorted slice, or range over slices.Sorted(maps.Keys(m))")
	case *types.Chan:
		p.report(n, "a channel in the kernel: everything comes in through Step")
	}
}

func (p *purity) call(n *ast.CallExpr) {
	if p.calls(n, "slices", "Sorted") && len(n.Args) == 1 {
		p.sorted[n.Args[0]] = true
	}
	for _, name := range []string{"Keys", "Values", "All", "DeleteFunc"} {
		if p.calls(n, "maps", name) && !p.sorted[n] {
			p.report(n, "maps."+name+" visits in map order in the kernel: only slices.Sorted(maps.Keys(m)) is ordered")
		}
	}
	if id, ok := n.Fun.(*ast.Ident); ok {
		if b, ok := p.info.Uses[id].(*types.Builtin); ok && slices.Contains([]string{"recover", "print", "println"}, b.Name()) {
			p.report(n, b.Name()+" in the kernel: a bug panics, and the session's host recovers at one place")
		}
	}
}

// use judges a name taken from another package.
func (p *purity) use(id *ast.Ident) {
	obj := p.info.Uses[id]
	if obj == nil || obj.Pkg() == nil || obj.Pkg().Path() != "time" {
		return
	}
	atTop := obj.Parent() == obj.Pkg().Scope()
	if (atTop && !slices.Contains(timeNames(), obj.Name())) || (!atTop && obj.Name() == "Local") {
		p.report(id, "time."+obj.Name()+" in the kernel: instants are arguments, and zones belong to a machine")
	}
}

// float refuses floating point, which one processor may fuse and another not.
func (p *purity) float(e ast.Expr) {
	tv, ok := p.info.Types[e]
	if !ok {
		return
	}
	if b, ok := tv.Type.Underlying().(*types.Basic); ok && b.Info()&(types.IsFloat|types.IsComplex) != 0 && b.Info()&types.IsUntyped == 0 {
		p.report(e, b.Name()+" in the kernel: decide with integers or fixed point")
	}
}

// calls says whether e calls the named function of a standard package.
func (p *purity) calls(e ast.Expr, pkg, name string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	fun := call.Fun
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X // an explicit type argument
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	obj := p.info.Uses[sel.Sel]
	return obj != nil && obj.Pkg() != nil && obj.Pkg().Path() == pkg && obj.Name() == name
}

// universe type-checks packages of the tree from its syntax, and the standard
// library from its sources.
type universe struct {
	tree     *Tree
	standard types.Importer
	done     map[string]*types.Package
}

func newUniverse(t *Tree) *universe {
	return &universe{tree: t, standard: importer.ForCompiler(t.fset, "source", nil), done: map[string]*types.Package{}}
}

// Import implements types.Importer.
func (u *universe) Import(path string) (*types.Package, error) {
	dir, ours := u.tree.local(path)
	if !ours {
		return u.standard.Import(path)
	}
	if done := u.done[dir]; done != nil {
		return done, nil
	}
	for _, p := range u.tree.Packages {
		if p.Dir == dir {
			_, err := u.check(p)
			return u.done[dir], err
		}
	}
	return nil, fmt.Errorf("no package in %s", dir)
}

// check type-checks a package without its tests.
func (u *universe) check(p *Package) (*types.Info, error) {
	var files []*ast.File
	for _, f := range p.Files {
		if !f.Test {
			files = append(files, f.Syntax)
		}
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: u}
	checked, err := conf.Check(strings.TrimSuffix(u.tree.Module+"/"+p.Dir, "/."), u.tree.fset, files, info)
	if err != nil {
		return nil, err
	}
	if u.done[p.Dir] == nil {
		u.done[p.Dir] = checked
	}
	return info, nil
}
