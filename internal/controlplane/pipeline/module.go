// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"maps"
	"slices"
	"strings"
)

// Bounds of a declared graph.
const (
	// MaxGraphNodes is how many nodes a graph may have, modules expanded.
	MaxGraphNodes = 64
	// MaxModuleDepth is how deep modules may lie within modules.
	MaxModuleDepth = 4
)

// expander replaces nodes that stand for a module by what the module holds. What was given
// of nodes and edges comes out under the names that they have in the whole graph: a colon
// stands behind the name of each node that held them.
type expander struct {
	*work
	out       settings            // nodes.*, edges.*
	placed    map[string]bool     // nodes.ID, edges.ID: what of out there is
	origin    map[string]string   // of a node: the module that holds it, name@version
	modules   map[string]settings // by the name that the document has them under
	prelude   []string
	preludes  int
	preludeAt Source // of the first
	// contradict are the modules that say another version than they stand as.
	contradict []string
	count      int
}

// scope is a place where nodes and edges are declared: the document, or a module.
type scope struct {
	prefix string // of the names of what it holds
	path   string // field path, "" = the document
	given  settings
	nodes  map[string]settings // by the name within the scope
	ports  map[string]ports    // of the nodes that stand for a module
	via    []string            // modules that are being expanded, outermost first
	origin string
}

// ports are the ways in and out of a module, by name: the nodes that they lead to.
type ports struct{ in, out map[string]string }

// expand expands what was given, and puts the graph in its place.
func (w *work) expand() *expander {
	x := &expander{work: w, out: settings{}, placed: map[string]bool{}, origin: map[string]string{}, modules: w.given.groups("modules")}
	top := &scope{given: w.given, nodes: w.given.groups("nodes"), ports: map[string]ports{}}
	x.scope(top)
	x.overrides(top)
	for path := range w.given {
		if section, _ := head(path); section == "nodes" || section == "edges" || section == "modules" || section == "prelude" {
			delete(w.given, path)
		}
	}
	maps.Copy(w.given, x.out)
	return x
}

// isOverride says of a node or an edge of the document that it changes what a module
// declares: its name is one of the expanded graph, and it declares nothing by itself.
func isOverride(s *scope, id string, given settings, declares ...string) bool {
	if s.prefix != "" || !strings.Contains(id, ":") {
		return false
	}
	return !slices.ContainsFunc(declares, func(field string) bool { _, ok := given[field]; return ok })
}

func (x *expander) scope(s *scope) {
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		n := s.nodes[id]
		switch {
		case isOverride(s, id, n, "type"):
		case n["type"].text == moduleType:
			x.module(s, id, n)
		default:
			x.node(s, id, n)
		}
	}
	edges := s.given.groups("edges")
	for _, id := range slices.Sorted(maps.Keys(edges)) {
		if !isOverride(s, id, edges[id], "from", "to") {
			x.edge(s, id, edges[id])
		}
	}
	x.takePrelude(s)
}

// put takes what was given of a node or an edge of a scope.
func (x *expander) put(s *scope, section, id string, given settings) string {
	path := join(section, s.prefix+id)
	if x.placed[path] {
		first := x.firstOf(s, section, id, given)
		x.fault(first, path, CodeTwice, "", "is declared twice: a module has a %s of that name; give this one another", section[:len(section)-1])
		return path
	}
	x.placed[path] = true
	if len(given) == 0 {
		x.out[path] = s.given[join(section, id)]
	}
	for field, v := range given {
		x.out[path+"."+field] = v
	}
	return path
}

// firstOf is the place where a node or an edge of a scope begins.
func (x *expander) firstOf(s *scope, section, id string, given settings) Source {
	if v, ok := s.given[join(section, id)]; ok {
		return v.source
	}
	return firstSource(given)
}

// firstSource is the place of the first of several values.
func firstSource(given settings) (first Source) {
	for _, field := range given.sorted() {
		at := given[field].source
		if first.File == "" || at.Line < first.Line || at.Line == first.Line && at.Column < first.Column {
			first = at
		}
	}
	return first
}

func (x *expander) node(s *scope, id string, given settings) {
	x.count++
	path := x.put(s, "nodes", id, given)
	x.origin[s.prefix+id] = s.origin
	if v, ok := given["use"]; ok {
		x.fault(v.source, path+".use", CodeNodeField, quote(v.text), "is %s, but only a node of the type module stands for one; give type: module, or leave it out", quote(v.text))
	}
	v, ok := given["fallback_of"]
	if !ok {
		return
	}
	if _, known := s.nodes[v.text]; !known && !x.placed[join("nodes", v.text)] {
		x.fault(v.source, path+".fallback_of", CodeNoNode, quote(v.text), "is %s, which is no node here%s", quote(v.text), didYouMean(v.text, s.names()))
		delete(x.out, path+".fallback_of")
		return
	}
	v.text = s.prefix + v.text
	x.out[path+".fallback_of"] = v
}

// names lists the nodes of a scope.
func (s *scope) names() []string { return slices.Sorted(maps.Keys(s.nodes)) }

func didYouMean(name string, among []string) string {
	if near := nearest(name, among); near != "" {
		return "; did you mean " + near + "?"
	}
	if len(among) == 0 {
		return ""
	}
	const most = 12
	if len(among) > most {
		return "; there are " + strings.Join(among[:most], ", ") + " and others"
	}
	return "; use one of " + strings.Join(among, ", ")
}

// edge takes an edge, with its ends as they are called in the whole graph.
func (x *expander) edge(s *scope, id string, given settings) {
	path := x.put(s, "edges", id, given)
	if s.prefix == "" && outsideGraph(id) {
		return // its ends are no nodes
	}
	for _, end := range [...]string{"from", "to"} {
		v, ok := given[end]
		if !ok {
			continue
		}
		name, found := x.end(s, path+"."+end, v, end == "from")
		if !found {
			x.unfit = append(x.unfit, path+"."+end)
			delete(x.out, path+"."+end)
			continue
		}
		v.text = name
		x.out[path+"."+end] = v
	}
}

// end finds the node at an end of an edge: one of the scope, or what a port leads to.
func (x *expander) end(s *scope, path string, v setting, from bool) (string, bool) {
	name, port, hasPort := strings.Cut(v.text, ":")
	p, module := s.ports[name]
	if _, plain := s.nodes[v.text]; plain && !module {
		return s.prefix + v.text, true
	}
	if !module {
		if n, known := s.nodes[name]; known && n["type"].text == moduleType {
			return "", false // which has a fault of its own
		}
		x.fault(v.source, path, CodeNoNode, quote(v.text), "is %s, which is no node here%s", quote(v.text), didYouMean(v.text, s.names()))
		return "", false
	}
	side, what := p.in, "inputs"
	if from {
		side, what = p.out, "outputs"
	}
	all := slices.Sorted(maps.Keys(side))
	switch {
	case hasPort && side[port] != "":
		return side[port], true
	case hasPort:
		x.fault(v.source, path, CodePort, quote(v.text), "is %s, but %s is none of the %s of that module%s", quote(v.text), quote(port), what, didYouMean(port, all))
	case len(all) == 1:
		return side[all[0]], true
	case len(all) == 0:
		x.fault(v.source, path, CodePort, quote(v.text), "is %s, a module without %s; declare them in the module", quote(v.text), what)
	default:
		x.fault(v.source, path, CodePort, quote(v.text), "is %s, a module with the %s %s; say which one: %s:%s", quote(v.text), what, strings.Join(all, ", "), name, all[0])
	}
	return "", false
}

// module expands a node that stands for one.
func (x *expander) module(s *scope, id string, given settings) {
	path := join("nodes", s.prefix+id)
	for _, field := range given.sorted() {
		if name, _ := head(field); name != "type" && name != "use" && name != "comment" && name != "labels" {
			x.fault(given[field].source, path+"."+field, CodeNodeField, "", "is none of a module's: its nodes have their own; give it to %s:NODE", id)
		}
	}
	use, ok := given["use"]
	if !ok {
		x.missing(given["type"].source, path+".use", "; name the module and its version, such as use: name@1.0.0")
		return
	}
	name, m, found := x.lookup(path, use)
	switch {
	case !found:
		return
	case slices.Contains(s.via, name):
		x.fault(use.source, path+".use", CodeModuleCycle, quote(use.text), "is %s, which holds itself: %s; break the circle", quote(use.text), strings.Join(append(s.via, name), " > "))
		return
	case len(s.via) == MaxModuleDepth:
		x.fault(use.source, path+".use", CodeModuleDepth, quote(use.text), "is %s: modules lie in modules more than %d deep (%s); make it flatter", quote(use.text), MaxModuleDepth, strings.Join(s.via, " > "))
		return
	case x.count > MaxGraphNodes: // which is told once, for the whole graph
		return
	}
	inner := &scope{
		prefix: s.prefix + id + ":", path: join("modules", name), given: m, nodes: m.groups("nodes"),
		ports: map[string]ports{}, via: append(slices.Clone(s.via), name), origin: use.text,
	}
	x.scope(inner)
	s.ports[id] = ports{in: x.side(inner, "inputs", false), out: x.side(inner, "outputs", true)}
}

// lookup finds the module that a node uses, in the version that it names.
func (x *expander) lookup(path string, use setting) (string, settings, bool) {
	name, version, _ := strings.Cut(use.text, "@")
	var known []string
	for _, key := range slices.Sorted(maps.Keys(x.modules)) {
		plain, of, exact := strings.Cut(key, "@")
		own, has := x.modules[key]["version"]
		switch {
		case !exact && has:
			of = own.text
		case exact && has && own.text != of && !slices.Contains(x.contradict, key):
			x.contradict = append(x.contradict, key)
			x.fault(own.source, join("modules", key)+".version", CodeModuleVersion, quote(own.text), "is %s, but the module stands here as %s; make them one", quote(own.text), key)
		}
		known = append(known, strings.TrimSuffix(plain+"@"+of, "@"))
		if plain == name && of == version {
			return key, x.modules[key], true
		}
	}
	var versions []string
	for _, k := range known {
		if plain, of, _ := strings.Cut(k, "@"); plain == name {
			versions = append(versions, of)
		}
	}
	switch {
	case len(versions) > 0 && versions[0] == "":
		x.fault(use.source, path+".use", CodeModuleVersion, quote(use.text), "is %s, but the module says no version; give it version: %q", quote(use.text), version)
	case len(versions) > 0:
		x.fault(use.source, path+".use", CodeModuleVersion, quote(use.text), "is %s, but of %s there is %s; name that version, or provide the other", quote(use.text), name, strings.Join(versions, ", "))
	default:
		x.fault(use.source, path+".use", CodeModule, quote(use.text), "is %s, which is no module here%s", quote(use.text), didYouMean(use.text, known))
	}
	return "", nil, false
}

// side gives the ports of one side of a module, by the nodes of the whole graph.
func (x *expander) side(s *scope, field string, from bool) map[string]string {
	out := map[string]string{}
	declared := s.given.below(field)
	for _, port := range declared.sorted() {
		v := declared[port]
		if v.kind == emptySetting {
			continue
		}
		if name, ok := x.end(s, s.path+"."+field+"."+port, v, from); ok {
			plain, _ := head(port)
			out[plain] = name
		}
	}
	return out
}

// takePrelude takes the prelude of a scope. There is one at most.
func (x *expander) takePrelude(s *scope) {
	v, ok := s.given["prelude"]
	if !ok {
		return
	}
	path := strings.TrimPrefix(s.path+".prelude", ".")
	if x.preludes++; x.preludes > 1 {
		x.fault(v.source, path, CodeTwoPreludes, "", "is a second one in this graph; a graph has one prelude: leave out that of the document, or that of the module")
		return
	}
	x.preludeAt = v.source
	for _, name := range v.list {
		switch _, known := s.nodes[name]; {
		case s.nodes[name]["type"].text == moduleType:
			for id := range x.origin {
				if strings.HasPrefix(id, s.prefix+name+":") {
					x.prelude = append(x.prelude, id)
				}
			}
		case known:
			x.prelude = append(x.prelude, s.prefix+name)
		default:
			x.fault(v.source, path, CodeNoNode, quote(name), "names %s, which is no node here%s", quote(name), didYouMean(name, s.names()))
		}
	}
	slices.Sort(x.prelude)
}

// overrides lays over nodes and edges of modules what was given of them by their names in
// the whole graph.
func (x *expander) overrides(s *scope) {
	for _, section := range [...]struct {
		name     string
		declares []string
	}{{"nodes", []string{"type"}}, {"edges", []string{"from", "to"}}} {
		groups := s.given.groups(section.name)
		for _, id := range slices.Sorted(maps.Keys(groups)) {
			given := groups[id]
			path := join(section.name, id)
			if !isOverride(s, id, given, section.declares...) || len(given) == 0 {
				continue
			}
			if !x.placed[path] {
				x.fault(firstSource(given), path, CodeNoNode, "", "is nothing that a module of the graph holds%s", didYouMean(id, x.out.children(section.name)))
				continue
			}
			for field, v := range given {
				if below, ok := x.out[path+"."+field]; !ok || below.source.Layer.rank() <= v.source.Layer.rank() {
					x.out[path+"."+field] = v
				}
			}
		}
	}
}
