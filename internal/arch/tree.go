// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Tree is a repository as the checks see it.
type Tree struct {
	Module   string     // the module path of the go.mod at its root
	Packages []*Package // every Go package of that module, sorted by Dir
	Files    []File     // every text file, sorted by Path; files of nested modules included

	fset *token.FileSet
}

// File is one text file.
type File struct {
	Path string // slash-separated, from the root of the tree
	Text []byte
}

// Package is one folder of Go files.
type Package struct {
	Dir   string // from the root of the tree; "." for the root package
	Name  string
	Files []*GoFile // sorted by path
}

// GoFile is one parsed Go file.
type GoFile struct {
	File
	Syntax *ast.File
	Test   bool // ends in _test.go
}

// Finding is one place that breaks a rule.
type Finding struct {
	Where string // path, or path:line
	What  string // what is wrong and what to do about it
}

func (f Finding) String() string { return f.Where + ": " + f.What }

// Check is one rule of the architecture.
type Check struct {
	Name string
	Why  string // printed with each finding: a rule without a reason is not followed for long
	Run  func(*Tree) []Finding
}

// Checks lists every rule.
func Checks() []Check {
	return slices.Concat(ringChecks(), purityChecks(), sealedChecks(), nameChecks(), tidyChecks(), placeChecks(), wordChecks())
}

// maxTextBytes bounds what is read of one file; larger ones are recordings and weights.
const maxTextBytes = 1 << 20

// skippedDirs are what tools leave behind and git ignores.
func skippedDirs() []string {
	return []string{".git", ".cache", "bin", "dist", "page-out", "demo-out", "node_modules"}
}

// Load reads the repository whose root is fsys. A Go file that does not parse is an error.
func Load(fsys fs.FS) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet()}
	var nested []string // folders with a go.mod of their own: not our packages
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skippedDirs(), name) || d.Name() == ".git" || d.Name() == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) || (err == nil && info.Size() > maxTextBytes) {
			return nil // gone meanwhile, or too large for text
		}
		if err != nil {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return nil
		}
		t.Files = append(t.Files, File{Path: name, Text: text})
		if d.Name() == "go.mod" && name != "go.mod" {
			nested = append(nested, path.Dir(name)+"/")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("arch: load: %w", err)
	}
	if t.Module = modulePath(t.text("go.mod")); t.Module == "" {
		return nil, errors.New("arch: load: the root has no go.mod with a module line")
	}
	return t, t.parse(nested)
}

// parse fills Packages from Files.
func (t *Tree) parse(nested []string) error {
	byDir := map[string]*Package{}
	for _, file := range t.Files {
		if path.Ext(file.Path) != ".go" || strings.Contains("/"+file.Path, "/testdata/") ||
			slices.ContainsFunc(nested, func(dir string) bool { return strings.HasPrefix(file.Path, dir) }) {
			continue
		}
		syntax, err := parser.ParseFile(t.fset, file.Path, file.Text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("arch: load: %w", err)
		}
		dir := path.Dir(file.Path)
		if byDir[dir] == nil {
			byDir[dir] = &Package{Dir: dir}
			t.Packages = append(t.Packages, byDir[dir])
		}
		p := byDir[dir]
		p.Files = append(p.Files, &GoFile{File: file, Syntax: syntax, Test: strings.HasSuffix(file.Path, "_test.go")})
		if name := syntax.Name.Name; p.Name == "" || !strings.HasSuffix(name, "_test") {
			p.Name = name
		}
	}
	slices.SortFunc(t.Packages, func(a, b *Package) int { return strings.Compare(a.Dir, b.Dir) })
	return nil
}

// text returns the file at path, or nil.
func (t *Tree) text(path string) []byte {
	for _, f := range t.Files {
		if f.Path == path {
			return f.Text
		}
	}
	return nil
}

// at gives the place of a node as path:line.
func (t *Tree) at(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// local turns an import path of this module into its folder.
func (t *Tree) local(importPath string) (dir string, ok bool) {
	if importPath == t.Module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.Module+"/")
}

// within says whether dir is root or below it.
func within(dir, root string) bool {
	return dir == root || strings.HasPrefix(dir, root+"/")
}

// modulePath finds the module line of a go.mod.
func modulePath(gomod []byte) string {
	for line := range bytes.Lines(gomod) {
		if rest, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("module ")); ok {
			return string(bytes.TrimSpace(rest))
		}
	}
	return ""
}
