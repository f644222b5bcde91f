// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"bytes"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// The degrade steps that the watch speaks of (turn-plan section 7).
const (
	simplify = turn.SimplifyTTS
	textOnly = turn.TextOnly
)

// budgetWatch is one budget and what was told of it.
type budgetWatch struct {
	turn      eventabi.TurnID
	reason    string
	node      eventabi.NodeID
	call      eventabi.InvocationID
	edge      eventabi.EdgeID
	attempt   string // of the call
	warnings  int
	exhausted bool
}

// allows says whether the plan lists an adaptive action.
func (r *rules) allows(action string) bool {
	for list, rest := r.allowed, ""; list != ""; list = rest {
		var name string
		if name, rest, _ = strings.Cut(list, ","); name == action {
			return true
		}
	}
	return false
}

// survives says that a turn may live on without a node: the plan allows what does without
// it, and there is such a thing.
func (r *rules) survives(id eventabi.NodeID) bool {
	if id == "tts" {
		return r.shows && r.allows("degrade")
	}
	return r.line && r.allows("fallback")
}

// turnStep is the degrade step in force in a turn.
func (k *watch) turnStep(id eventabi.TurnID) turn.Step {
	if i := k.turn(id); i >= 0 {
		return k.turns[i].step
	}
	return turn.FullFidelity
}

// dropped says that a call's turn does without it for good.
func (k *watch) dropped(c *callWatch) bool {
	i := k.turn(c.turn)
	return i >= 0 && (c.kind == think && k.turns[i].stoodIn || c.kind == voice && k.turns[i].step == textOnly)
}

// drop ends the calls that a turn does without: one whose attempt has timed out in this
// step gets no other.
func (k *watch) drop(id eventabi.TurnID) {
	for i := range k.open {
		if c := &k.open[i]; c.turn == id && c.overdue && k.dropped(c) {
			c.state, c.overdue, c.at = cancelled, false, k.now
			c.forgiven = c.tries < k.rules.attempts // it may have been waiting for its next attempt
		}
	}
}

// degrade checks a step of the ladder.
func (k *watch) degrade(e *session.Degrade) {
	k.ok(AdaptsAsAllowed, k.rules.allows("degrade") && (e.Step != textOnly || k.rules.shows), "a step that the plan or the client does not allow")
	i := k.turn(e.Turn)
	if !k.ok(FidelityOnlyFalls, i >= 0 && i == k.live, "a step of a turn that is not live") {
		return
	}
	k.ok(FidelityOnlyFalls, rankOfStep(e.Step) > rankOfStep(k.turns[i].step), "a step that does not lower the fidelity")
	k.turns[i].step = e.Step
	k.pass.load.told = max(k.pass.load.told, saysDegrade)
	if e.Step == textOnly {
		k.pass.load.told = saysText
	}
	k.adapted[tookSwitch+rankOfStep(e.Step)-1]++
	if e.Step != textOnly {
		return
	}
	if g := k.genOf(e.Turn); g >= 0 && k.unfinished(e.Turn) {
		k.gens[g].cut = true
	}
	k.drop(e.Turn)
}

// unfinished says that the segment that was handed to the synthesiser last is not over.
func (k *watch) unfinished(id eventabi.TurnID) bool {
	for i := range k.open {
		if c := &k.open[i]; c.kind == voice && c.turn == id && c.state != gone {
			return true
		}
	}
	return false
}

// rankOfStep is the ladder of turn-plan section 7.
func rankOfStep(s turn.Step) int {
	switch s {
	case turn.FullFidelity:
		return 0
	case turn.ReduceSampleRate:
		return 1
	case turn.ShortenContext:
		return 2
	case turn.SimplifyTTS:
		return 3
	case turn.TextOnly:
		return 4
	}
	return -1
}

// fallback checks that the line comes once, in place of an answer.
func (k *watch) fallback(e *session.Fallback) {
	k.ok(AdaptsAsAllowed, k.rules.line && k.rules.allows("fallback"), "a line that is not there or that the plan does not allow")
	i := k.turn(e.Turn)
	if k.ok(AdaptsAsAllowed, i >= 0 && i == k.live && !k.turns[i].stoodIn && k.turns[i].accepted == 0, "a line behind an answer, or twice") {
		k.turns[i].stoodIn = true
		k.adapted[tookFallback]++
		k.drop(e.Turn)
	}
}

// budget checks the order of what is told of one budget (flow section 8).
func (k *watch) budget(v *eventabi.Envelope) {
	k.workBudget(v)
	b := k.account(v)
	if v.Signal == eventabi.SignalBudgetWarning {
		b.warnings++
		return
	}
	k.ok(WarnedBeforeExhausted, b.warnings > 0 || v.Reason == "edge_overflow", "exhausted without a warning")
	k.ok(WarnedBeforeExhausted, !b.exhausted || v.Reason == "turn_hard_cap", "exhausted twice")
	b.exhausted = true
	if i := k.turn(v.TurnID); i >= 0 && v.Reason == "turn_budget" && !bytes.Contains(v.Payload, []byte(`"outcome":"terminate"`)) {
		k.turns[i].answered = true
	}
}

// account finds or begins what is known of a budget. The envelope and the hard cap are one:
// the turn's.
func (k *watch) account(v *eventabi.Envelope) *budgetWatch {
	b := budgetWatch{turn: v.TurnID, reason: v.Reason, node: v.NodeID, call: v.ProviderInvocationID, edge: v.EdgeID}
	if strings.HasPrefix(b.reason, "turn_") {
		b.reason = "turn"
	}
	if b.call != "" {
		b.attempt = attemptOf(v.Payload)
	}
	if b.node != "" { // an account for each item of a graph's node
		b.attempt = itemOf(v.Payload)
	}
	for i := len(k.paid) - 1; i >= 0; i-- {
		p := &k.paid[i]
		if p.turn == b.turn && p.reason == b.reason && p.node == b.node && p.call == b.call && p.edge == b.edge && p.attempt == b.attempt {
			if b.turn == "" && v.Signal == eventabi.SignalBudgetWarning { // outside turns an account ends with the next turn
				p.exhausted = false
			}
			return p
		}
	}
	k.paid = append(k.paid, b)
	return &k.paid[len(k.paid)-1]
}

// attemptOf reads the attempt from a signal's payload.
func attemptOf(payload []byte) string {
	_, rest, _ := bytes.Cut(payload, []byte(`"attempt":`))
	number, _, _ := bytes.Cut(rest, []byte(","))
	return string(number)
}

// nested checks the time that a call of the live turn is given: it ends with the envelope,
// or with the hard cap once output flows or the envelope is over. A turn that opened at the
// start of speech has both from the end of its utterance.
func (k *watch) nested(timeoutMS int64) {
	if k.live < 0 {
		return
	}
	t := &k.turns[k.live]
	from := t.opened
	if k.rules.early {
		from = max(from, k.talk.over)
	}
	left := k.rules.hardCap - k.now.Sub(from)
	if !t.flows && !t.answered && !t.waits {
		left = min(left, k.rules.envelope-k.now.Sub(max(from, t.again)))
	}
	left = max(timebase.Millisecond, left)
	k.ok(NestedInParent, timeoutMS >= 1 && timebase.MS(timeoutMS) <= min(k.rules.invocation, left), "a call that is given more time than its turn has")
}
