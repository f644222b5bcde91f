// SPDX-License-Identifier: Apache-2.0

package waits

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// View is what a keeper looks at after a pass: the kernel.
type View interface {
	EdgeStats(visit func(id eventabi.EdgeID, s *flow.Stats, d flow.Depth))
	EdgeInfo(id eventabi.EdgeID) (session.EdgeInfo, bool)
}

// Keeper keeps the account of one session. One goroutine uses it.
type Keeper struct {
	account Account
	marked  func(m *Mark)  // nil = nobody is told
	tracks  []track        // of account.Edges, by number
	marks   map[string]int // kept, by edge
	booted  bool
	bootAt  timebase.Instant
	edge    int // of the look under way
	at      timebase.Instant
	view    View
	visit   func(id eventabi.EdgeID, s *flow.Stats, d flow.Depth)
	highest gate.Level
	last    decided // what the last decision was told with
}

// decided is the payload of a signal of admission.
type decided struct {
	RetryAfterMS int64 `json:"retry_after_ms"`
	Used         int64 `json:"used"`
	Max          int64 `json:"max"`
}

// NewKeeper begins an account; marked is told each mark as it is made, nil = nobody.
func NewKeeper(marked func(m *Mark)) *Keeper {
	k := &Keeper{marked: marked, marks: map[string]int{}}
	k.account = Account{
		Edges: []Edge{}, Marks: []Mark{},
		Admission: Admission{Later: map[string]int64{}, Refused: map[string]int64{}},
		Load:      Load{Highest: levelNone, Last: levelNone},
		Budgets:   Budgets{Warnings: map[string]int64{}, Exhaustions: map[string]int64{}, Degrades: map[string]int64{}},
	}
	k.visit = k.seen
	return k
}

// Account gives the account as it stands. It is the keeper's until the session is over.
func (k *Keeper) Account() *Account {
	k.Edges()
	for i := range k.tracks {
		k.account.Edges[i].Steps = k.tracks[i].steps()
	}
	return &k.account
}

// Edges gives the edges as they stand, without their steps; lent until the next call.
func (k *Keeper) Edges() []Edge {
	for i := range k.tracks {
		k.account.Edges[i].Counts = countsOf(&k.tracks[i].stats)
	}
	return k.account.Edges
}

// Look notes what lies in the edges after a pass.
func (k *Keeper) Look(at timebase.Instant, v View) {
	k.at, k.view, k.edge = at, v, 0
	v.EdgeStats(k.visit)
	k.view = nil
}

// seen takes one edge of a look; the kernel shows them in the order of their first use.
func (k *Keeper) seen(id eventabi.EdgeID, s *flow.Stats, d flow.Depth) {
	n := k.edge
	k.edge++
	if n == len(k.tracks) {
		k.begin(id)
	}
	e, t := &k.account.Edges[n], &k.tracks[n]
	t.stats = *s
	e.Depth = depthOf(&d)
	t.add(millis(timebase.Span(k.at)), e.Depth.Items, e.Depth.MS)
}

func (k *Keeper) begin(id eventabi.EdgeID) {
	e := Edge{ID: string(id), Counts: Counts{Dropped: map[string]int64{}}, Policy: []Setting{}}
	if info, ok := k.view.EdgeInfo(id); ok {
		e.From, e.To, e.Side = info.From, info.To, info.Side
		e.MaxItems, e.MaxMS, e.MaxBytes = info.Policy.MaxQueueItems, info.Policy.MaxQueueMS, info.Policy.MaxQueueBytes
		e.Credits = info.Flow.ModeByLane.DataLane != controlplane.FlowSignal
		e.Policy = settings(string(id), &info)
	}
	k.account.Edges = append(k.account.Edges, e)
	k.tracks = append(k.tracks, track{})
}

func (k *Keeper) mark(at timebase.Instant, m Mark) {
	m.AtMS = millis(timebase.Span(at))
	if k.marked != nil {
		k.marked(&m)
	}
	if k.joins(&m) {
		return
	}
	if len(k.account.Marks) >= MaxMarks || k.marks[m.Edge] >= MaxMarksEach {
		k.account.Unmarked++
		return
	}
	k.marks[m.Edge]++
	k.account.Marks = append(k.account.Marks, m)
}

// joins adds a merge or a grant to the last mark of its edge, where that is like it and of
// the same second.
func (k *Keeper) joins(m *Mark) bool {
	if m.What != Merge && m.What != Credit {
		return false
	}
	for i := len(k.account.Marks) - 1; i >= 0; i-- {
		last := &k.account.Marks[i]
		if m.AtMS-last.AtMS > joinMS {
			return false
		}
		if last.Edge != m.Edge {
			continue
		}
		if last.What != m.What || last.Lane != m.Lane {
			return false
		}
		last.Times = max(last.Times, 1) + 1
		last.Count += m.Count
		return true
	}
	return false
}

// Took notes what the kernel took or decided; what is no matter of waiting is left.
func (k *Keeper) Took(at timebase.Instant, r session.Record) {
	switch r := r.(type) {
	case *session.Bootstrap:
		if !k.booted {
			k.booted, k.bootAt = true, at
		}
	case *session.Load:
		k.load(at, r)
	case *session.Emit:
		k.signal(at, &r.Envelope)
	case *session.Decide:
		k.decide(at, &r.Outcome)
	case *session.Merged:
		k.mark(at, Mark{What: Merge, Edge: string(r.Edge), Lane: string(r.Lane), Count: r.Count})
	case *session.Degrade:
		k.account.Budgets.Degrades[string(r.Step)]++
		k.mark(at, Mark{What: Degrade, Turn: string(r.Turn), Name: string(r.Step), Reason: r.Reason})
	case *session.Fallback:
		k.account.Budgets.Fallbacks++
		k.mark(at, Mark{What: Fallback, Turn: string(r.Turn), Reason: r.Reason})
	case *session.Admission, *session.AppendTerminal, *session.Appended, *session.AudioGap, *session.AudioIn, *session.Cancel,
		*session.CancelAck, *session.CancelCall, *session.ClockReading, *session.CloseRequest, *session.Combine, *session.Converse,
		*session.Deliver, *session.Delivery, *session.Detach, *session.Discard, *session.EdgePolicy, *session.EndOfAudio,
		*session.EndOfUtterance, *session.Ended, *session.Evidence, *session.EvidenceLost, *session.Fence, *session.Finalize,
		*session.FlowPolicy, *session.Generate, *session.Hold, *session.Hook, *session.InvocationEnd, *session.LeaseChange,
		*session.Link, *session.NodeFailed, *session.NodePolicy, *session.NodeSpent, *session.Nondeterministic, *session.Offer, *session.Open,
		*session.Overflow, *session.Play, *session.Progress, *session.Quota, *session.Ready, *session.Refused, *session.Release,
		*session.Resume, *session.RuntimeFault, *session.Say, *session.Segment, *session.SessionChange, *session.Skip,
		*session.Snapshots, *session.Speech, *session.Stop, *session.Superseded, *session.TextIn, *session.Transcript,
		*session.TurnChange, *session.Unscheduled, *session.Usage, *session.VoiceOff, *session.VoiceOn, *session.Wake,
		*session.CallTool, *session.ToolCalled, *session.ToolResult,
		*session.Muted, *session.TransportControl, *session.Context, *session.Forget, *session.Respond, *session.Wishes,
		*session.GraphNode, *session.GraphEdge, *session.Work, *session.NodeOutput, *session.NodeDone, *session.Place, *session.Detour:
		// no matter of waiting, or told by what it leads to
	}
}

// levelNone is the level of a host that is not overloaded.
const levelNone = "none"

// levelName names a level by the last kind of work that it sheds.
func levelName(l gate.Level) string {
	if l == gate.LevelNone {
		return levelNone
	}
	return gate.Work(l - 1).String()
}

func (k *Keeper) load(at timebase.Instant, r *session.Load) {
	level := min(r.Level, gate.LevelLowPriority)
	k.highest = max(k.highest, level)
	l := &k.account.Load
	l.Changes++
	l.Highest, l.Last = levelName(k.highest), levelName(level)
	k.mark(at, Mark{What: Overload, Name: l.Last, Reason: r.Reason})
}

// signal notes the signals of edges, of budgets and of admission.
func (k *Keeper) signal(at timebase.Instant, e *eventabi.Envelope) {
	m := Mark{Edge: string(e.EdgeID), Lane: string(e.TargetLane), Turn: string(e.TurnID), Reason: e.Reason}
	if kind, ok := edgeMarks(e.Signal); ok {
		m.What = kind
		k.edgeSignal(at, e, m)
		return
	}
	switch is := e.Signal; {
	case is == eventabi.SignalDegrade && e.EdgeID != "":
		m.What = CutOff
		if edge := k.account.Edge(m.Edge); edge != nil {
			edge.Lost = true
		}
		k.mark(at, m)
	case is == eventabi.SignalBudgetWarning:
		m.What = BudgetWarning
		k.budget(at, e, m, k.account.Budgets.Warnings)
	case is == eventabi.SignalBudgetExhausted:
		m.What = BudgetExhausted
		k.budget(at, e, m, k.account.Budgets.Exhaustions)
	case is == eventabi.SignalAdmit, is == eventabi.SignalReject, is == eventabi.SignalDefer, is == eventabi.SignalShed:
		k.last = decided{}
		_ = json.Unmarshal(e.Payload, &k.last) // without a payload there is nothing to add
		if is == eventabi.SignalShed && e.EdgeID != "" {
			m.What = Shed
			k.mark(at, m)
		}
	}
}

// edgeMarks gives the mark of a signal that an edge makes.
func edgeMarks(s eventabi.Signal) (What, bool) {
	for _, pair := range [...]struct {
		signal eventabi.Signal
		what   What
	}{
		{eventabi.SignalWatermark, HighMark},
		{eventabi.SignalDropNotice, Drop},
		{eventabi.SignalFlowXOff, XOff},
		{eventabi.SignalFlowXOn, XOn},
		{eventabi.SignalCreditGrant, Credit},
		{eventabi.SignalDiscontinuity, Discontinuity},
	} {
		if pair.signal == s {
			return pair.what, true
		}
	}
	return "", false
}

func (k *Keeper) edgeSignal(at timebase.Instant, e *eventabi.Envelope, m Mark) {
	var body struct {
		Items  int64  `json:"queue_items"`
		MS     int64  `json:"queue_ms"`
		Action string `json:"action"`
		Count  int64  `json:"count"`
	}
	_ = json.Unmarshal(e.Payload, &body) // without a payload there is nothing to add
	m.Items, m.MS, m.Action, m.Count = body.Items, body.MS, body.Action, body.Count
	switch m.What {
	case HighMark:
		if e.Reason == "low" {
			m.What = LowMark
		}
		m.Reason = ""
	case Credit:
		if e.Amount != nil {
			m.Count = *e.Amount
		}
	case Discontinuity:
		m.Name = e.SyncDomain
	case LowMark, Drop, Merge, XOff, XOn, CutOff, Shed, Degrade, Fallback, BudgetWarning, BudgetExhausted, Overload, Refusal:
	}
	k.mark(at, m)
}

// budget notes a warning or an exhaustion under the name of its budget. What a warning
// goes on with after a colon is no other budget.
func (k *Keeper) budget(at timebase.Instant, e *eventabi.Envelope, m Mark, counts map[string]int64) {
	var body struct {
		Outcome string `json:"outcome"`
		Name    string `json:"name"`
		Used    int64  `json:"used_ms"`
		Limit   int64  `json:"limit_ms"`
		Turn    int64  `json:"turn_budget_ms"`
		Cap     int64  `json:"turn_hard_cap_ms"`
	}
	_ = json.Unmarshal(e.Payload, &body) // without a payload there is nothing to add
	m.MS, m.Limit, m.Action, m.Name = body.Used, max(body.Limit, body.Turn), body.Outcome, body.Name
	if m.Name == "" {
		m.Name = string(e.NodeID)
	}
	if m.Name == "" {
		m.Name = string(e.ProviderInvocationID)
	}
	name, _, _ := strings.Cut(e.Reason, ":")
	if name == "turn_hard_cap" {
		m.Limit = body.Cap
	}
	counts[name]++
	k.mark(at, m)
}

// decide notes a decision of admission; its signal came before it. The session's own is
// the one that falls with its bootstrap.
func (k *Keeper) decide(at timebase.Instant, o *controlplane.DecisionOutcome) {
	a := &k.account.Admission
	about := o.Scope == controlplane.OutcomeSession || o.Scope == controlplane.OutcomeTenant
	if a.Outcome == "" && about && o.TurnID == "" && k.booted && at == k.bootAt {
		a.Outcome, a.Reason = string(o.OutcomeKind), o.Reason
		a.RetryAfterMS, a.Used, a.Max = k.last.RetryAfterMS, k.last.Used, k.last.Max
	} else {
		a.Later[string(o.OutcomeKind)]++
	}
	if o.OutcomeKind == controlplane.OutcomeAdmit {
		return
	}
	a.Refused[o.Reason]++
	if slices.Contains(controlplane.SchedulingPoints(), o.Scope) {
		return // the edge has its own mark
	}
	k.mark(at, Mark{
		What: Refusal, Turn: string(o.TurnID), Name: string(o.OutcomeKind), Reason: o.Reason, Limit: k.last.RetryAfterMS,
	})
}

// At is the instant of a mark.
func (m *Mark) At() time.Duration { return time.Duration(m.AtMS * float64(time.Millisecond)) }
