// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"errors"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// A frame is 20 ms of 16 kHz, 16 bit, mono (flow section 6).
const (
	frameMS    = 20
	frameBytes = 640
)

// check reports what of a completed edge contradicts itself or the norm.
func (e *edgeWork) check() {
	e.checkEnds()
	e.checkLanes()
	e.checkWaiting()
	e.checkBounds()
	e.checkRing()
	for _, unit := range [...]struct{ mark, bound, unit string }{
		{"watermarks.queue_items", "max_queue_items", "items"}, {"watermarks.queue_ms", "max_queue_ms", "ms"},
	} {
		e.checkMarks(unit.mark, unit.bound, unit.unit)
	}
	e.checkSync()
}

// checkEnds asks the kernel whether it can run an edge that lies where this one does, and
// looks for further edges that nobody feeds or empties.
func (e *edgeWork) checkEnds() {
	in, refused := e.input(), map[string]bool{}
	var faults []*session.SettingError
	if in.Edge != "" {
		faults = settingFaults(in.Validate())
	}
	for _, fault := range faults {
		field := fault.Field[strings.LastIndexByte(fault.Field, '.')+1:]
		if v, ok := e.values[field]; ok {
			refused[field] = true
			e.fault(v.source, field, CodeCannotRun, quote(fault.Value), "is %s; give %s", fault.Value, fault.Want)
		}
	}
	if !e.declared {
		return
	}
	if from := e.values["from"]; isParty(from.text) {
		e.warn(from.source, e.path+".from", CodeIdleEnd, quote(from.text),
			"is %s, which offers nothing to further edges; give %s for what the caller says, %s for what the agent says, or a node of your own",
			from.text, session.FromCallerText, session.FromAgentText)
	}
	if to := e.values["to"]; isParty(to.text) && !refused["to"] {
		e.warn(to.source, e.path+".to", CodeIdleEnd, quote(to.text), "is %s, which takes nothing from further edges; give a node of your own", to.text)
	}
}

// input is the edge as the kernel is told of it, less the layers.
func (e *edgeWork) input() session.EdgePolicy {
	in := session.EdgePolicy{Edge: eventabi.EdgeID(e.id)}
	if e.routed && e.beside == "" {
		in.Edge = e.voice.ID
	}
	if e.beside != "" {
		in.From, in.To = e.beside, e.values["to"].text
	}
	if e.declared {
		in.From, in.To = e.values["from"].text, e.values["to"].text
	}
	in.Policy.Strategy = controlplane.BufferStrategy(e.values["strategy"].text)
	in.Policy.DropVictim = controlplane.DropVictim(e.values["drop_victim"].text)
	return in
}

// settingFaults takes what the kernel found apart.
func settingFaults(err error) (list []*session.SettingError) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			list = append(list, settingFaults(one)...)
		}
		return list
	}
	var fault *session.SettingError
	if errors.As(err, &fault) {
		list = append(list, fault)
	}
	return list
}

// checkRing looks for bounds that let more caller audio wait than is kept of it: what the
// ring has overwritten is gone, and no bound has said so.
func (e *edgeWork) checkRing() {
	if e.declared || !slices.Contains(turn.TunedEdges(), e.voice.ID) {
		return
	}
	const most = turn.CallerRingBytes / frameBytes * frameMS
	var bounds []string
	for _, b := range [...]struct {
		field   string
		ms, per int64 // what one of the field's units is of time
	}{
		{"max_queue_items", frameMS, 1},
		{"max_queue_ms", 1, 1},
		{"max_queue_bytes", frameMS, frameBytes},
		{"max_latency_contribution_ms", 1, 1},
	} {
		if v := e.values[b.field]; v.number()*b.ms/b.per <= most {
			return
		}
		bounds = append(bounds, b.field)
	}
	worst := blame(e.values, bounds...)
	v := e.values[worst]
	e.fault(v.source, worst, CodeBeyondRing, v.text,
		"is %s: of caller audio %d ms are kept, and no bound of the edge breaks before (%s); lower one of them", v.text, most, strings.Join(bounds, ", "))
}

// checkLanes holds lanes to flow section 1: telemetry is dropped or sampled.
func (e *edgeWork) checkLanes() {
	strategy := e.values["strategy"]
	if e.telemetryOnly() && !sheds(strategy.text) {
		e.fault(strategy.source, "strategy", CodeLaneTelemetry, quote(strategy.text), "is %s; telemetry is dropped or sampled and never waits%s", strategy.text, e.telemetryHint())
	}
	if v, ok := e.given[dataLane]; ok && e.telemetryOnly() {
		e.fault(v.source, dataLane, CodeLaneTelemetry, quote(v.text), "is %s, but %s carries telemetry alone; leave it out", v.text, e.id)
	}
	v, ok := e.given["sample_every"]
	samples := slices.ContainsFunc([]string{"strategy", dataLane, telemetryLane}, func(field string) bool {
		return e.values[field].text == string(controlplane.StrategySample)
	})
	if ok && !samples {
		e.fault(v.source, "sample_every", CodeSample, v.text, "is %s, but nothing on the edge is sampled; give strategy: sample, or leave it out", v.text)
	}
}

// sheds says whether a strategy is one that telemetry may have.
func sheds(strategy string) bool {
	return strategy == string(controlplane.StrategyDrop) || strategy == string(controlplane.StrategySample)
}

// checkWaiting holds blocking to flow section 3: it is capped, and within what the item
// may lie in the edge at all.
func (e *edgeWork) checkWaiting() {
	strategy := e.values["strategy"]
	wait, ok := e.values["max_block_time_ms"]
	if !ok {
		if strategy.text == string(controlplane.StrategyBlock) {
			e.missing(strategy.source, e.path+".max_block_time_ms", ", and the strategy is block; give the longest wait of a producer, such as the %d ms of the profile", turn.ProfileBlockMS)
		}
		return
	}
	budget := e.budget()
	if wait.number() <= budget.number() {
		return
	}
	both := settings{"wait": wait, "budget": budget}
	if blame(both, "wait", "budget") == "wait" {
		e.fault(wait.source, "max_block_time_ms", CodeBlockBeyond, wait.text, "is %s ms, but an item may lie in an edge for %s ms (budgets.edge_budget_ms_default); lower it, or raise the budget", wait.text, budget.text)
		return
	}
	e.work.fault(budget.source, "budgets.edge_budget_ms_default", CodeBlockBeyond, budget.text, "is %s ms, but producers of %s wait for up to %s ms (max_block_time_ms); raise it, or lower the wait", budget.text, e.id, wait.text)
}

// checkBounds looks for bounds that can never break, or always do.
func (e *edgeWork) checkBounds() {
	latency, lies := e.values["max_latency_contribution_ms"], e.values["max_queue_ms"]
	if latency.number() > lies.number() {
		at := blame(e.values, "max_latency_contribution_ms", "max_queue_ms")
		e.fault(e.values[at].source, at, CodeUnreachable, e.values[at].text,
			"is %s: nothing lies in the edge for more than %s ms (max_queue_ms), so no item is ever %s ms late (max_latency_contribution_ms); %s",
			e.values[at].text, lies.text, latency.text, remedy(at, "max_queue_ms", "raise it, or give the other bound as well", "lower it, or raise max_queue_ms"))
	}
	if e.declared || !slices.Contains([]eventabi.EdgeID{turn.EdgeTransportVAD, turn.EdgeTransportSTT, turn.EdgeTTSTransport}, e.voice.ID) {
		return
	}
	code, what, frames := CodeBelowFrame, "one frame of audio", int64(1)
	if e.voice.ID == turn.EdgeTTSTransport {
		code, what, frames = CodeBelowChunk, "a chunk of the synthesiser's sound", turn.SpeechChunkMS/frameMS
		e.checkPlayed()
	}
	for _, b := range [...]struct {
		field string
		least int64
	}{{"max_queue_ms", frames * frameMS}, {"max_queue_bytes", frames * frameBytes}} {
		if v := e.values[b.field]; v.number() < b.least {
			e.fault(v.source, b.field, code, v.text, "is %s, but %s is %d; give at least that", v.text, what, b.least)
		}
	}
}

// checkPlayed refuses a latency bound for sound that is shorter than the queue. Such sound
// waits because what lies ahead of it is being heard, and what is with egress is not shed.
func (e *edgeWork) checkPlayed() {
	latency, lies := e.values["max_latency_contribution_ms"], e.values["max_queue_ms"]
	if latency.number() >= lies.number() {
		return
	}
	at := blame(e.values, "max_latency_contribution_ms", "max_queue_ms")
	e.fault(e.values[at].source, at, CodeLatencyPlayed, e.values[at].text,
		"is %s: %s ms of sound may lie there and be heard one after the other (max_queue_ms), so no wait below that can be kept (max_latency_contribution_ms is %s); %s",
		e.values[at].text, lies.text, latency.text, remedy(at, "max_queue_ms", "lower it, or raise max_latency_contribution_ms", "leave it out, or lower max_queue_ms"))
}

// checkMarks holds watermarks to their order, and below the bound that they guard.
func (e *edgeWork) checkMarks(mark, bound, unit string) {
	full := settings{e.path + "." + mark + ".high": e.values[mark+".high"], e.path + "." + mark + ".low": e.values[mark+".low"]}
	e.work.marks(full, e.path+"."+mark, unit)
	e.values[mark+".low"] = full[e.path+"."+mark+".low"]
	high, limit := e.values[mark+".high"], e.values[bound]
	if high.number() <= limit.number() {
		return
	}
	at := blame(e.values, mark+".high", bound)
	e.fault(e.values[at].source, at, CodeWatermarkBeyond, e.values[at].text, "is %s: pressure from %s %s on (%s.high) never comes about where %s are the most (%s); %s",
		e.values[at].text, high.text, unit, mark, limit.text, bound, remedy(at, bound, "raise it, or lower the watermark", "lower it, or raise the bound"))
}

// checkSync holds a sync policy to flow section 5.
func (e *edgeWork) checkSync() {
	const at = "sync_drop_policy."
	some := e.given.below("sync_drop_policy")
	if len(some) == 0 {
		return
	}
	first := some[some.sorted()[0]].source
	policy, has := some["policy"]
	if !has {
		e.missing(first, e.path+"."+at+"policy", "; give atomic_drop, drop_with_discontinuity or no_sync")
	}
	if _, ok := some["scope"]; !ok {
		e.missing(first, e.path+"."+at+"scope", "; give edge_local, or plan_wide for every edge of the domain")
	}
	_, domain := some["sync_domain"]
	switch {
	case domain:
	case policy.text == string(controlplane.SyncDropWithDiscontinuity):
		e.missing(policy.source, e.path+"."+at+"sync_domain", "; a discontinuity tells the consumers of one domain to start afresh, so name it")
	case policy.text == string(controlplane.SyncAtomicDrop) && some["scope"].text == string(controlplane.SyncPlanWide):
		e.warn(some["scope"].source, e.path+"."+at+"scope", CodeSyncReach, quote(string(controlplane.SyncPlanWide)), "is plan_wide, but without a sync_domain no other edge is meant; name the domain, or give edge_local")
	}
}
