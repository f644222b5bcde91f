// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"maps"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// Where defaults come from, for people.
const (
	profileName = controlplane.ProfileSimple
	graphName   = "voice graph"
)

// Constraint is the most that a number may be, whatever the layers say: what policy,
// admission or security demand (turn-plan section 5).
type Constraint struct {
	Path string
	Max  int64
	By   string // who demands it, for messages
}

// Resolve lays the documents over each other, in the order of their layers and within a
// layer in the order given, completes what is in force, and reports the faults of each
// document and those between values. The settings are nil when anything is refused.
//
// An error is a contradiction between this package and the kernel, which is a bug.
func (n *Normalizer) Resolve(constraints []Constraint, documents ...*Document) (*Effective, []Fault, error) {
	documents = slices.Clone(documents)
	slices.SortStableFunc(documents, func(a, b *Document) int { return a.Layer.rank() - b.Layer.rank() })
	w := &work{normalizer: n, given: settings{}, values: settings{}}
	for _, d := range documents {
		w.faults = append(w.faults, d.Faults...)
		w.unfit = append(w.unfit, d.unfit...)
		w.given = w.fit(d).over(w.given)
	}
	w.sections()
	w.budgets()
	w.graph()
	w.shareQueues()
	w.edges()
	w.flow()
	w.nodes()
	w.quotas()
	w.constrain(constraints)
	w.sort(documents)
	if Refused(w.faults) {
		return nil, w.faults, nil
	}
	e, err := w.effective()
	return e, w.faults, err
}

// work is one run of Resolve.
type work struct {
	normalizer *Normalizer
	given      settings // what the documents give together
	values     settings // what is in force
	unfit      []string // paths of what was given and refused
	faults     []Fault
	declared   *declared // nil = the documents declare no graph
}

func (w *work) fault(source Source, path, code, value, format string, args ...any) {
	w.faults = append(w.faults, fault(source, path, code, value, format, args...))
}

// missing reports a value that is wanted and was not given. One that was given and
// refused is reported already.
func (w *work) missing(source Source, path, format string, args ...any) {
	if !w.refused(path) {
		w.fault(source, path, CodeRequired, "", "is missing"+format, args...)
	}
}

func (w *work) refused(path string) bool {
	return slices.ContainsFunc(w.unfit, func(u string) bool { return u == path || strings.HasPrefix(path, u+".") })
}

func (w *work) warn(source Source, path, code, value, format string, args ...any) {
	f := fault(source, path, code, value, format, args...)
	f.Warning = true
	w.faults = append(w.faults, f)
}

// fit is what a document may set: above the spec nothing of what the spec is, and a session
// sets nothing that bounds it.
func (w *work) fit(d *Document) settings {
	if d.Layer == Spec {
		return d.given
	}
	out := settings{}
	for _, path := range d.given.sorted() {
		v := d.given[path]
		if section, _ := head(path); ofSpecAlone(section) {
			w.fault(v.source, path, CodeNotALayer, "", "comes from the layer %s, but what a spec is and what its graph is made of only the spec says", d.Layer)
			continue
		}
		if d.Layer != Session {
			out[path] = v
			continue
		}
		if !strings.HasPrefix(path, "quotas.") {
			out[path] = v
			continue
		}
		w.fault(v.source, path, CodeNotALayer, v.json(),
			"is %s, but a quota is a limit of the session, so the session cannot set it; set it in the spec or for the tenant", v.json())
	}
	return out
}

// sections takes what stands by itself.
func (w *work) sections() {
	profile := Source{Layer: Profile, File: profileName}
	w.values["profile"] = w.givenOr("profile", str(controlplane.ProfileSimple, profile))
	for path, v := range w.given {
		if section, _ := head(path); section != "prelude" && section != "modules" && ofSpecAlone(section) && v.kind != emptySetting {
			w.values[path] = v
		}
	}
	if t, ok := w.given["tuning"]; ok {
		w.values["tuning"] = t
	}
	all := setting{kind: listSetting, source: profile}
	for _, a := range controlplane.AdaptiveActions() {
		all.list = append(all.list, string(a))
	}
	w.values["allowed_adaptive_actions"] = w.givenOr("allowed_adaptive_actions", all)
}

func (w *work) givenOr(path string, def setting) setting {
	if v, ok := w.given[path]; ok {
		return v
	}
	return def
}

// allowed says whether plans may take an adaptive action.
func (w *work) allowed(a controlplane.AdaptiveAction) bool {
	return slices.Contains(w.values["allowed_adaptive_actions"].list, string(a))
}

// nodes takes the policies of nodes, which have no default.
func (w *work) nodes() {
	known := w.nodesOf()
	const section = "node_execution_policies"
	groups := w.given.groups(section)
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		path, mine := join(section, id), groups[id]
		for p, v := range mine {
			w.values[path+"."+p] = v
		}
		if len(mine) > 0 && !slices.Contains(known, id) {
			hint := ""
			if near := nearest(id, known); near != "" {
				hint = "; did you mean " + near + "?"
			}
			first := mine[mine.sorted()[0]]
			w.warn(first.source, path, CodeUnknownNode, "", "is no node of the voice graph and no end of a further edge, so nothing follows the policy%s", hint)
		}
	}
}

// constrain holds what is in force to the constraints: they are no layer, so they change
// nothing; what exceeds one is refused (turn-plan section 5).
func (w *work) constrain(constraints []Constraint) {
	for _, c := range constraints {
		v, ok := w.values[c.Path]
		if !ok || v.kind != numberSetting || v.number() <= c.Max {
			continue
		}
		w.fault(v.source, c.Path, CodeConstraint, v.text, "is %s (%s), but %s allows at most %d; no layer may exceed it",
			v.text, v.source.Layer, c.By, c.Max)
	}
}

// sort puts the faults in the order in which their places are read, document by
// document; those of defaults stand last.
func (w *work) sort(documents []*Document) {
	order := map[string]int{}
	for _, f := range w.faults { // faults of a document name its file
		if _, seen := order[f.File]; !seen {
			order[f.File] = len(order)
		}
	}
	for i, d := range documents {
		for _, p := range d.given.sorted() {
			order[d.given[p].source.File] = i - len(documents)
		}
	}
	slices.SortStableFunc(w.faults, func(a, b Fault) int {
		if d := order[a.File] - order[b.File]; d != 0 {
			return d
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// sorted lists the paths in order.
func (s settings) sorted() []string {
	out := make([]string, 0, len(s))
	for p := range s {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// blame finds the value to complain about: one that somebody gave before one that nobody
// did, of these the one of the highest layer, the first of several.
func blame(s settings, paths ...string) string {
	best, most := paths[0], -1
	for _, p := range paths {
		v, ok := s[p]
		if !ok {
			continue
		}
		weight := v.source.Layer.rank()
		if v.given() {
			weight += Session.rank() + 1
		}
		if weight > most {
			best, most = p, weight
		}
	}
	return best
}

// marks completes a pair of watermarks below path and reports what contradicts. A low
// that nobody gave stays below high.
func (w *work) marks(s settings, path, unit string) {
	high, low := s[path+".high"], s[path+".low"]
	if low.number() >= high.number() && !low.given() {
		low = num(high.number()/3, because(high.source, path+".high"))
		s[path+".low"] = low
	}
	if low.number() < high.number() {
		return
	}
	at := blame(s, path+".low", path+".high")
	w.fault(s[at].source, at, CodeWatermarkOrder, s[at].text, "is %s: low (%s) must lie below high (%s) %s, or pressure never ends; %s",
		s[at].text, low.text, high.text, unit, remedy(at, path+".low", "lower it or raise high", "raise it or lower low"))
}

// given says whether somebody gave the value: it is no default, and none that gave way.
func (s setting) given() bool {
	return s.source.Layer != Profile && s.source.File != graphName && s.source.Because == ""
}

// moved says whether the value is not what profile and voice graph say: somebody gave it,
// or it gave way to what somebody gave.
func (s setting) moved() bool { return s.given() || s.source.Because != "" }

// because is the source of a value that follows from another one.
func because(of Source, path string) Source {
	of.Because = path
	return of
}

func remedy(at, low, ifLow, otherwise string) string {
	if at == low {
		return ifLow
	}
	return otherwise
}

// voiceEdge finds an edge of the voice graph.
func voiceEdge(id string) (turn.VoiceEdge, bool) {
	for _, e := range turn.VoiceGraph() {
		if string(e.ID) == id {
			return e, true
		}
	}
	return turn.VoiceEdge{}, false
}

// isParty says whether a name is that of a node or a party of the voice graph.
func isParty(name string) bool {
	return slices.ContainsFunc(turn.VoiceGraph(), func(e turn.VoiceEdge) bool {
		return string(e.From) == name || string(e.To) == name
	})
}
