// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

const (
	dataLane      = "lane_handling." + string(eventabi.DataLane)
	telemetryLane = "lane_handling." + string(eventabi.TelemetryLane)
)

// edges completes the edges of the voice graph and those that documents declare.
func (w *work) edges() {
	list := w.given.children("edges")
	for _, e := range turn.VoiceGraph() {
		if w.declared == nil || outsideGraph(string(e.ID)) {
			list = append(list, string(e.ID))
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if n := len(list); n > controlplane.MaxEdges {
		first := w.given.below("edges")
		w.fault(first[first.sorted()[0]].source, "edges", CodeTooManyEdges, strconv.Itoa(n),
			"are %d with those of the voice graph; a graph has at most %d", n, controlplane.MaxEdges)
		return
	}
	for _, id := range list {
		e := &edgeWork{work: w, id: id, path: join("edges", id)}
		e.given = w.given.below(e.path)
		e.values = settings{}
		if e.begin() {
			e.complete()
			e.check()
		}
		for field, v := range e.values {
			w.values[e.path+"."+field] = v
		}
	}
}

// edgeWork completes one edge. Paths are those below the edge.
type edgeWork struct {
	*work
	id, path string
	given    settings
	values   settings
	voice    turn.VoiceEdge
	declared bool   // it is a further edge of the voice graph
	routed   bool   // it is one of a declared graph; voice is where its defaults come from
	beside   string // who offers to it where it is one beside the turn
}

func (e *edgeWork) fault(at Source, field, code, value, format string, args ...any) {
	e.work.fault(at, e.path+"."+field, code, value, format, args...)
}

// first is the place of the edge's first given value, for what is missing.
func (e *edgeWork) first() Source {
	var out Source
	if empty, ok := e.work.given[e.path]; ok {
		out = empty.source
	}
	for _, field := range e.given.sorted() {
		if s := e.given[field].source; out.File == "" || s.Line < out.Line {
			out = s
		}
	}
	return out
}

// begin finds the edge and its ends. A further edge is declared by naming both.
func (e *edgeWork) begin() bool {
	voice, known := voiceEdge(e.id)
	if e.work.declared != nil && !outsideGraph(e.id) {
		return e.route()
	}
	from, hasFrom := e.given["from"]
	to, hasTo := e.given["to"]
	if known {
		e.voice = voice
		graph := Source{Layer: Spec, File: graphName}
		e.values["from"], e.values["to"] = str(voice.From, graph), str(voice.To, graph)
		for _, field := range [...]string{"from", "to"} {
			if v, ok := e.given[field]; ok && v.text != e.values[field].text {
				e.fault(v.source, field, CodeEdgeEnds, quote(v.text), "is %s, but %s of the voice graph runs from %s to %s; leave it out, or give the edge a name of its own",
					v.text, e.id, voice.From, voice.To)
			}
		}
		return true
	}
	e.declared = true
	switch {
	case e.refused(e.path+".from") || e.refused(e.path+".to"):
	case !hasFrom && !hasTo:
		var all []string
		for _, v := range turn.VoiceGraph() {
			all = append(all, string(v.ID))
		}
		hint := ""
		if near := nearest(e.id, all); near != "" {
			hint = "did you mean " + near + "? Otherwise "
		}
		e.work.fault(e.first(), e.path, CodeUnknownEdge, "", "is no edge of the voice graph (%s); %sgive from and to, which declare a further edge",
			strings.Join(all, ", "), hint)
	case !hasFrom:
		e.fault(to.source, "from", CodeEdgeEnds, "", "is missing; an edge runs from a node to a node")
	case !hasTo:
		e.fault(from.source, "to", CodeEdgeEnds, "", "is missing; an edge runs from a node to a node")
	case from.text == to.text:
		e.fault(to.source, "to", CodeEdgeEnds, quote(to.text), "is %s, and from as well; an edge runs between two nodes", to.text)
	default:
		e.values["from"], e.values["to"] = from, to
		return true
	}
	return false
}

// route finds the ends of an edge of a declared graph.
func (e *edgeWork) route() bool {
	e.routed = true
	for _, end := range [...]string{"from", "to"} {
		v, ok := e.given[end]
		switch {
		case ok:
			e.values[end] = v
		case !e.refused(e.path + "." + end):
			e.fault(e.first(), end, CodeEdgeEnds, "", "is missing; an edge runs from a node to a node")
		}
	}
	from, to := e.values["from"], e.values["to"]
	if from.text == "" || to.text == "" {
		return false
	}
	if from.text == to.text {
		e.fault(to.source, "to", CodeEdgeEnds, quote(to.text), "is %s, and from as well; an edge runs between two nodes", to.text)
		return false
	}
	q := e.work.declared.queueAt(e.id)
	if q.id == "" {
		e.withoutQueue()
		return false
	}
	e.voice, e.beside = q.basis(), q.from
	return true
}

// withoutQueue refuses bounds of what does not wait, and says what was said of the route.
func (e *edgeWork) withoutQueue() {
	known := e.work.declared.edge(e.id) != nil
	for _, field := range e.given.sorted() {
		v := e.given[field]
		switch {
		case v.kind == emptySetting:
		case ofRoute(field):
			e.values[field] = v
		case known && field == roomField && e.work.declared.waitsInTurn(e.id):
			e.values[field] = v
			e.work.declared.edge(e.id).Room = v.number()
			if v.number() > session.MaxGraphItems {
				e.fault(v.source, field, CodeNoQueue, v.text, "is %s, but at most %d texts wait for a node in a turn; say fewer, or leave it out", v.text, session.MaxGraphItems)
			}
		case known && e.work.declared.waitsInTurn(e.id):
			e.fault(v.source, field, CodeNoQueue, v.text, "bounds a queue, but this edge has none of its own: what %s gives waits in the turn for %s, whose budgets say for how long; say how much may wait with %s, or leave this out",
				e.given["from"].text, e.given["to"].text, roomField)
		case known:
			e.fault(v.source, field, CodeNoQueue, v.text, "bounds a queue, but this edge has none of its own: what %s gives goes to %s at once; bound the edges to vad, stt and speaker nodes, and those out of stt and segmenter nodes",
				e.given["from"].text, e.given["to"].text)
		}
	}
}

// telemetryOnly says whether the edge carries telemetry and no data: one that declares
// how telemetry is treated, and of data nothing.
func (e *edgeWork) telemetryOnly() bool {
	if !e.declared {
		return e.voice.Policy.LaneHandling.DataLane == ""
	}
	_, data := e.given[dataLane]
	_, telemetry := e.given[telemetryLane]
	return telemetry && !data
}

// complete fills in what nobody gave, and lays over it what somebody did.
func (e *edgeWork) complete() {
	strategy, lane := e.strategy()
	base, profile := e.base(controlplane.BufferStrategy(strategy.text))
	defaults := profile.Fields()
	for _, f := range base.Fields() {
		source := Source{Layer: Profile, File: profileName}
		if !slices.Contains(defaults, f) {
			source = Source{Layer: Spec, File: graphName}
		}
		e.values[f.Path] = e.setting(f, source)
	}
	e.tune()
	for field, v := range e.given {
		if v.kind != emptySetting {
			e.values[field] = v
		}
	}
	e.values["strategy"] = strategy
	e.values[e.principal()] = lane
	e.lapse(strategy)
	e.giveWay()
	if p, ok := e.values["sync_drop_policy.policy"]; ok && p.text != string(controlplane.SyncNone) {
		if _, ok := e.values["sync_drop_policy.group_by"]; !ok { // flow section 5
			e.values["sync_drop_policy.group_by"] = str(controlplane.GroupBySyncID, because(p.source, e.path+".sync_drop_policy.policy"))
		}
	}
}

func (e *edgeWork) setting(f controlplane.Field, source Source) setting {
	v := setting{text: f.Value, source: source}
	if described := e.normalizer.fields.At("edges.x." + f.Path); described != nil && described.Type == "integer" {
		v.kind = numberSetting
	}
	return v
}

// base is the policy under what was given, and what of it is the profile's.
func (e *edgeWork) base(s controlplane.BufferStrategy) (base, profile controlplane.EdgeBufferPolicy) {
	plain := turn.ProfileEdge(s)
	if e.declared {
		if e.telemetryOnly() {
			t := turn.ProfileTelemetryEdge()
			t.Strategy, t.DropVictim, t.SampleEvery = s, plain.DropVictim, plain.SampleEvery
			return t, t
		}
		plain.MaxBlockTimeMS = 0 // who has a producer wait says for how long
		return plain, plain
	}
	base, profile = e.voice.Policy, e.voice.Profile
	if s != base.Strategy { // what belonged to the other strategy goes with it
		base.Strategy, base.DropVictim, base.SampleEvery, base.MaxBlockTimeMS = s, plain.DropVictim, plain.SampleEvery, 0
		profile.DropVictim, profile.SampleEvery = plain.DropVictim, plain.SampleEvery
	}
	return base, profile
}

// principal is the lane that the strategy is about.
func (e *edgeWork) principal() string {
	if e.telemetryOnly() {
		return telemetryLane
	}
	return dataLane
}

// strategy finds the strategy and the treatment of the lane that it is about. The two
// say the same, so either gives the other; of both, the higher layer's counts.
func (e *edgeWork) strategy() (strategy, lane setting) {
	s, hasStrategy := e.given["strategy"]
	l, hasLane := e.given[e.principal()]
	asStrategy := l
	if e.telemetryOnly() && l.text == string(controlplane.TreatBestEffortDrop) {
		asStrategy.text = string(controlplane.StrategyDrop)
	}
	switch {
	case hasStrategy && hasLane && s.text == asStrategy.text:
		return s, l
	case hasStrategy && hasLane && s.source.Layer == l.source.Layer:
		if e.telemetryOnly() && !sheds(s.text) {
			break // which is another fault
		}
		e.fault(l.source, e.principal(), CodeLaneStrategy, quote(l.text), "is %s, but the strategy is %s%s; give one of the two", l.text, s.text, e.telemetryHint())
	case hasLane && (!hasStrategy || l.source.Layer.rank() > s.source.Layer.rank()):
		asStrategy.source = because(l.source, e.path+"."+e.principal())
		return asStrategy, l
	case hasStrategy:
	case e.declared:
		e.missing(e.first(), e.path+".strategy", "; what a further edge carries only you know: merge for audio, latest_only for interim text, block for what must not be lost, drop or sample for the rest")
		s = str(controlplane.StrategyDrop, e.first())
	default:
		s = str(e.voice.Policy.Strategy, Source{Layer: Profile, File: profileName})
		if e.voice.Policy.Strategy != e.voice.Profile.Strategy {
			s.source = Source{Layer: Spec, File: graphName}
		}
		return s, str(s.text, s.source)
	}
	return s, str(s.text, because(s.source, e.path+".strategy"))
}

func (e *edgeWork) telemetryHint() string {
	if !e.telemetryOnly() {
		return ""
	}
	return " (the edge carries telemetry alone; if it carries data as well, say how: " + dataLane + ")"
}

// tune gives the bounds of the tuning to edges that carry caller audio, and to further
// edges, which have no bounds of the voice graph's.
func (e *edgeWork) tune() {
	t, ok := e.work.values["tuning"]
	if !ok || e.telemetryOnly() || !e.declared && !slices.Contains(turn.TunedEdges(), e.voice.ID) {
		return
	}
	var p controlplane.EdgeBufferPolicy
	turn.Tuning(t.text).Bounds().Apply(&p)
	for _, f := range p.Fields() {
		e.values[f.Path] = e.setting(f, because(t.source, "tuning"))
	}
}

// lapse takes away what belongs to a strategy that is no longer in force: a victim that
// a lower layer named has gone with that layer's drop.
func (e *edgeWork) lapse(strategy setting) {
	v, ok := e.given["drop_victim"]
	if !ok || strategy.text == string(controlplane.StrategyDrop) {
		return
	}
	delete(e.values, "drop_victim")
	if strategy.source.Layer.rank() <= v.source.Layer.rank() {
		e.fault(v.source, "drop_victim", CodeVictim, quote(v.text), "is %s, but the strategy is %s; give strategy: drop, or leave the victim out", v.text, strategy.text)
	}
}

// giveWay fits defaults to what was given: nobody who lowers one bound wants to be told
// of the others.
func (e *edgeWork) giveWay() {
	e.atMost("max_latency_contribution_ms", "max_queue_ms")
	for _, unit := range [...]struct{ mark, bound string }{{"watermarks.queue_items", "max_queue_items"}, {"watermarks.queue_ms", "max_queue_ms"}} {
		bound, high := e.values[unit.bound], e.values[unit.mark+".high"]
		if bound.moved() && !high.given() && high.number() > bound.number() {
			fit := turn.Marks(bound.number())
			source := because(bound.source, e.path+"."+unit.bound)
			e.values[unit.mark+".high"] = num(fit.High, source)
			if !e.values[unit.mark+".low"].given() {
				e.values[unit.mark+".low"] = num(fit.Low, source)
			}
		}
	}
	budget := e.budget()
	if v, ok := e.values["max_block_time_ms"]; ok && !v.given() && v.number() > budget.number() {
		e.values["max_block_time_ms"] = num(budget.number(), because(budget.source, "budgets.edge_budget_ms_default"))
	}
}

// atMost lowers a default to a given value that it cannot exceed.
func (e *edgeWork) atMost(field, bound string) {
	v, b := e.values[field], e.values[bound]
	if b.moved() && !v.given() && v.number() > b.number() {
		e.values[field] = num(b.number(), because(b.source, e.path+"."+bound))
	}
}

// budget is how long an item may lie in an edge.
func (e *edgeWork) budget() setting { return e.work.values["budgets.edge_budget_ms_default"] }

func nearest(name string, among []string) string { return schema.Nearest(name, among) }
