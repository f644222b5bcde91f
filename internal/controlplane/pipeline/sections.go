// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"maps"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// take lays what was given below a section over its defaults.
func (w *work) take(section string, defaults []controlplane.Field) {
	profile := Source{Layer: Profile, File: profileName}
	for _, f := range defaults {
		path := section + "." + f.Path
		v := setting{text: f.Value, source: profile}
		if described := w.normalizer.fields.At(path); described != nil && described.Type == "integer" {
			v.kind = numberSetting
		}
		w.values[path] = w.givenOr(path, v)
	}
}

// flow completes flow control, and holds it to flow section 3.
func (w *work) flow() {
	defaults := turn.ProfileFlow()
	w.take("flow_control", defaults.Fields())
	for _, lane := range [...]eventabi.Lane{eventabi.DataLane, eventabi.ControlLane, eventabi.TelemetryLane} {
		path := "flow_control.watermarks." + string(lane)
		at := path + ".high"
		high := w.values[at]
		switch most, what, edge := w.most(lane); {
		case high.number() <= most:
		case !high.given(): // the edges were made so small
			fit, source := turn.Marks(most), because(w.values[edge].source, edge)
			w.values[at] = num(fit.High, source)
			if !w.values[path+".low"].given() {
				w.values[path+".low"] = num(fit.Low, source)
			}
		default:
			w.fault(high.source, at, CodeWatermarkBeyond, high.text, "is %s, but %s holds at most %d items; lower it%s",
				high.text, what, most, onlyData(lane, ", or raise max_queue_items of an edge"))
		}
		w.marks(w.values, path, "items")
	}
	mode := w.values["flow_control.mode_by_lane."+string(eventabi.ControlLane)]
	if mode.text != string(controlplane.FlowSignal) {
		w.warn(mode.source, "flow_control.mode_by_lane."+string(eventabi.ControlLane), CodeControlMode, quote(mode.text),
			"is %s, but a control producer is never made to wait, so no credit is asked of it; leave it at signal", mode.text)
	}
	at := "flow_control.shedding_strategy_by_lane." + string(eventabi.DataLane)
	shed := w.values[at]
	for _, a := range [...]controlplane.AdaptiveAction{controlplane.ActionDegrade, controlplane.ActionFallback} {
		if shed.text == string(a) && !w.allowed(a) {
			w.fault(shed.source, at, CodeNotAllowed, quote(shed.text), "is %s, which allowed_adaptive_actions does not contain; add it there, or shed by drop, merge or latest_only", shed.text)
		}
	}
}

// most is how many items of a lane can wait anywhere, what says so, and of edges the
// path.
func (w *work) most(lane eventabi.Lane) (most int64, what, path string) {
	if lane == eventabi.ControlLane {
		return turn.ProfileControlItems, "the control queue", ""
	}
	for _, p := range w.values.sorted() {
		edge, ok := strings.CutSuffix(p, ".max_queue_items")
		if _, carries := w.values[edge+".lane_handling."+string(lane)]; ok && carries && w.values[p].number() > most {
			most, path = w.values[p].number(), p
		}
	}
	return most, "an edge of the lane", path
}

func onlyData(lane eventabi.Lane, text string) string {
	if lane == eventabi.ControlLane {
		return ""
	}
	return text
}

// budgets completes the budgets, and says which of them can never be what ends the wait
// (flow section 8).
func (w *work) budgets() {
	defaults := turn.ProfileBudgets()
	w.take("budgets", append(defaults.Fields(), controlplane.Field{Path: "turn_hard_cap_ms", Value: itoa(turn.ProfileHardCapMS)}))
	const turnBudget, hardCap = "budgets.turn_budget_ms", "budgets.turn_hard_cap_ms"
	w.lower(turnBudget, hardCap)
	whole, limit := w.values[turnBudget], w.values[hardCap]
	if whole.number() > limit.number() {
		at := blame(w.values, turnBudget, hardCap)
		w.fault(w.values[at].source, at, CodeBudgetBeyond, w.values[at].text, "is %s ms: a turn ends after %s ms at the latest (turn_hard_cap_ms), and its budget to the first output is %s ms (turn_budget_ms); %s",
			w.values[at].text, limit.text, whole.text, remedy(at, hardCap, "raise it, or lower the budget", "lower it, or raise the cap"))
	}
	for _, part := range [...]string{"budgets.node_budget_ms_default", "budgets.path_budget_ms_default", "budgets.edge_budget_ms_default"} {
		w.lower(part, turnBudget)
		if v := w.values[part]; v.number() > whole.number() {
			w.warn(v.source, part, CodeShadowed, v.text, "is %s ms, more than turn_budget_ms (%s ms): a part may use no more than its turn has left, so before the first output it ends nothing; lower it",
				v.text, whole.text)
		}
	}
}

// lower fits a default to a given value that it would exceed.
func (w *work) lower(path, most string) {
	v, limit := w.values[path], w.values[most]
	if limit.moved() && !v.given() && v.number() > limit.number() {
		w.values[path] = num(limit.number(), because(limit.source, most))
	}
}

// quotas holds quotas to authority-state section 7: each has a limit and says what
// happens at it. A tenant's give what is otherwise than for everybody.
func (w *work) quotas() {
	for path, v := range w.given {
		if strings.HasPrefix(path, "quotas.") {
			w.values[path] = v
		}
	}
	const defaults = "quotas.defaults"
	everybody := w.given.below(defaults)
	for _, place := range quotaPlaces() {
		w.quota(place, everybody.below(place), nil, defaults+"."+place)
	}
	tenants := w.given.groups("quotas.tenants")
	for _, tenant := range slices.Sorted(maps.Keys(tenants)) {
		for _, place := range quotaPlaces() {
			w.quota(place, tenants[tenant].below(place), everybody.below(place), join("quotas", "tenants", tenant)+"."+place)
		}
	}
}

// quotaPlaces lists where quotas stand below the limits of everybody or of a tenant.
func quotaPlaces() []string {
	var out []string
	for _, l := range controlplane.QuotaLimits(controlplane.QuotaOfTenant) {
		out = append(out, string(l))
	}
	for _, of := range [...]controlplane.QuotaScope{controlplane.QuotaOfSession, controlplane.QuotaOfTurn} {
		for _, l := range controlplane.QuotaLimits(of) {
			out = append(out, string(of)+"."+string(l))
		}
	}
	return out
}

// quotaAt gives whose use the quota at a place bounds, and what it counts.
func quotaAt(place string) (controlplane.QuotaScope, controlplane.QuotaLimit) {
	if scope, limit, nested := strings.Cut(place, "."); nested {
		return controlplane.QuotaScope(scope), controlplane.QuotaLimit(limit)
	}
	return controlplane.QuotaOfTenant, controlplane.QuotaLimit(place)
}

// quota checks one quota: what stands at a place, over what holds for everybody.
func (w *work) quota(place string, own, below settings, path string) {
	if len(own) == 0 {
		return
	}
	q := own.over(below)
	fields := own.sorted()
	first := own[fields[0]].source
	if _, ok := q["max"]; !ok {
		w.missing(first, path+".max", "; a quota without a limit limits nothing")
	}
	action, ok := q["action"]
	if !ok {
		w.missing(first, path+".action", "; say what happens to who comes when %s is reached: reject, defer or degrade", place)
		return
	}
	at := func(field string) (Source, string) { // of the tenant's own value, if there is one
		if v, mine := own[field]; mine {
			return v.source, path + "." + field
		}
		return first, path
	}
	if retry, ok := q["retry_after_ms"]; ok && action.text != string(controlplane.QuotaDefer) {
		source, where := at("retry_after_ms")
		w.fault(source, where, CodeQuota, retry.text, "names a time to come again (retry_after_ms is %s), but the action is %s; give action: defer, or leave the time out", retry.text, action.text)
	}
	if action.text != string(controlplane.QuotaDegrade) {
		return
	}
	source, where := at("action")
	if !w.allowed(controlplane.ActionDegrade) {
		w.fault(source, where, CodeNotAllowed, quote(action.text), "is degrade, which allowed_adaptive_actions does not contain; add it there, or reject or defer")
	}
	if head, ok := q["headroom_per_mille"]; ok && head.number() > 0 {
		source, where = at("headroom_per_mille")
		w.fault(source, where, CodeQuota, head.text, "is %s thousandths, but the action is degrade: before the limit nobody is let in with less; leave it out, or reject or defer", head.text)
	}
}

// nodesOf lists the nodes that a policy can be for.
func (w *work) nodesOf() []string {
	if w.declared != nil {
		var known []string
		for i := range w.declared.nodes {
			known = append(known, string(w.declared.nodes[i].ID))
		}
		return known
	}
	known := voiceNodes()
	for path, v := range w.values {
		if strings.HasPrefix(path, "edges.") && (strings.HasSuffix(path, ".from") || strings.HasSuffix(path, ".to")) && v.source.File != graphName {
			known = append(known, v.text)
		}
	}
	slices.Sort(known)
	return slices.Compact(known)
}
