// SPDX-License-Identifier: Apache-2.0

package external

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
	"github.com/parley-voice/parley/node/external/sandbox"
)

// plan is a config that was found sound: what runs, as what, and within what.
type plan struct {
	config      *Config
	manifest    *Manifest // nil without a package
	name        string    // of the package, or of the command
	version     string
	declaration *protocol.Declaration
	command     string // absolute
	args        []string
	dir         string
	env         []string
	limits      limits
	level       sandbox.Level
	key         string // of what instances may share a process by
}

// makePlan checks everything that can be known without a process. Nothing starts.
func (k *Kind) makePlan(raw json.RawMessage) (*plan, error) {
	c, l, err := readConfig(raw)
	if err != nil {
		return nil, err
	}
	p := &plan{config: c, limits: l, declaration: c.Declaration, args: c.Args, dir: c.Dir, name: filepath.Base(c.Command)}
	f := &faults{place: "config."}
	command, base := c.Command, ""
	if c.Package != "" {
		path, err := filepath.Abs(c.Package)
		if err != nil {
			return nil, fmt.Errorf("external node: config.package: %q: %w", c.Package, err)
		}
		m, err := readManifest(path, c.Pin)
		if err != nil {
			return nil, err
		}
		if err := m.verify(path); err != nil {
			return nil, err
		}
		c.Package = path
		p.manifest, p.name, p.declaration = m, m.Name, m.Declaration
		command, p.args, base = m.Command[0], append(append([]string(nil), m.Command[1:]...), c.Args...), filepath.Dir(path)
	}
	p.version = p.declaration.Version
	p.command = find(command, base, f)
	if p.dir == "" {
		p.dir = base
	}
	if p.dir == "" {
		p.dir = filepath.Dir(p.command)
	}
	if st, err := os.Stat(p.dir); err != nil || !st.IsDir() {
		f.add("dir", p.dir, "name a folder that exists")
	}
	p.env = environment(c.Env)
	k.level(p, f)
	p.ask(f)
	if err := f.err(); err != nil {
		return nil, err
	}
	if err := node.Check(&about{declaration: p.declaration.Node()}); err != nil {
		return nil, fmt.Errorf("external node %s: declaration: %w", p.name, err)
	}
	own := *c
	own.Config = nil
	key, err := json.Marshal(&own)
	if err != nil {
		return nil, fmt.Errorf("external node: config: %w", err)
	}
	p.key = string(key)
	return p, nil
}

// about is a declaration that is held to the contract; the hooks are there, the child has them.
type about struct {
	node.NoOp
	declaration node.Declaration
}

func (a *about) Declaration() node.Declaration          { return a.declaration }
func (*about) OnEvent(*node.Context, *node.Event) error { return nil }

// find resolves a command: a file of the package, a path, or a program on PATH.
func find(command, base string, f *faults) string {
	path := command
	if base != "" && !filepath.IsAbs(path) {
		if inside := filepath.Join(base, filepath.FromSlash(command)); isFile(inside) {
			path = inside
		}
	}
	if command == "" {
		return ""
	}
	found, err := exec.LookPath(path)
	if err == nil {
		found, err = filepath.Abs(found)
	}
	if err != nil {
		f.add("command", command, fmt.Sprintf("name a program that can be started: %v", err))
		return ""
	}
	return found
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// environment is all that a child inherits: where programs are, how text and time are written, and
// what the config lists.
func environment(listed []string) (env []string) {
	take := func(name string) {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for _, name := range []string{"PATH", "LANG", "LC_ALL", "TZ"} {
		take(name)
	}
	for _, e := range listed {
		if strings.Contains(e, "=") {
			env = append(env, e)
		} else {
			take(e)
		}
	}
	return env
}

// level chooses the highest that can be had, and refuses one below what is required.
func (k *Kind) level(p *plan, f *faults) {
	level, why := sandbox.Available()
	if len(k.options.Launcher) == 0 {
		level, why = sandbox.LevelProcess, "this program has no launcher for nodes"
	}
	if most := k.options.Most; most != "" && most.Rank() < level.Rank() {
		level, why = most, "this program allows no more"
	}
	p.level = level
	want := p.config.Isolation.Require
	if wanted := sandbox.Level(want); wanted.Rank() > level.Rank() {
		f.add("isolation.require", want, fmt.Sprintf("%s is what can be had here, as %s: run where there is more, or require less", level, why))
	}
}

// ask holds what the node says that it needs to what it is given.
func (p *plan) ask(f *faults) {
	r := p.declaration.Resources
	if r.CPUUnits > p.limits.cpu {
		f.add("limits.cpu_units", p.limits.cpu, fmt.Sprintf("%s: the node declares that it needs %d", protocol.CodeLimit, r.CPUUnits))
	}
	if r.MemoryMB > p.limits.memory {
		f.add("limits.memory_mb", p.limits.memory, fmt.Sprintf("%s: the node declares that it needs %d", protocol.CodeLimit, r.MemoryMB))
	}
	if r.Network && !p.config.Isolation.Network {
		f.add("isolation.network", false, "the node declares that it needs the network: grant it, or use another node")
	}
}
