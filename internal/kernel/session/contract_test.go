// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema"
)

// checker holds what the kernel emits against the published contract.
type checker struct {
	t         *testing.T
	validator *schema.Validator
	where     string
	events    map[eventabi.EventID]bool
	last      eventabi.Sequence
	plans     int
	signals   map[eventabi.Signal]int
}

func newChecker(t *testing.T) *checker {
	t.Helper()
	return &checker{
		t: t, validator: schema.NewValidator(schema.Options{UnknownAction: eventabi.UnknownReject}),
		signals: map[eventabi.Signal]int{},
	}
}

func (c *checker) session(where string) {
	c.where, c.events, c.last = where, map[eventabi.EventID]bool{}, 0
}

func (c *checker) valid(kind schema.Kind, v any) {
	c.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		c.t.Fatalf("%s: %v", c.where, err)
	}
	for _, f := range c.validator.Validate(kind, raw).Faults {
		c.t.Errorf("%s: %s: %s: %s\n%s", c.where, kind, f.Pointer, f.Message, raw)
	}
}

// decisions checks what one step decided.
func (c *checker) decisions(list []Effect) {
	c.t.Helper()
	for _, e := range list {
		if emit, ok := e.(*Emit); ok {
			c.emit(&emit.Envelope)
		}
		if change, ok := e.(*TurnChange); ok {
			c.valid(schema.TurnTransition, change.Transition)
		}
		if decision, ok := e.(*Decide); ok {
			c.outcome(&decision.Outcome)
		}
	}
}

func (c *checker) outcome(o *controlplane.DecisionOutcome) {
	c.t.Helper()
	c.valid(schema.DecisionOutcome, o)
	if !c.events[o.EventID] {
		c.t.Errorf("%s: the outcome of an event that was not emitted: %+v", c.where, o)
	}
	if row, ok := controlplane.LookupOutcome(o.OutcomeKind, o.EmittedBy, o.Phase, o.Scope); !ok || row.ReadOnly {
		c.t.Errorf("%s: an outcome that Parley does not write: %+v", c.where, o)
	}
}

func (c *checker) emit(v *eventabi.Envelope) {
	c.t.Helper()
	c.valid(schema.ControlSignal, v)
	c.signals[v.Signal]++
	if c.events[v.EventID] || v.RuntimeSequence <= c.last {
		c.t.Errorf("%s: %s %s: ids are unique and sequences rise", c.where, v.Signal, v.EventID)
	}
	c.events[v.EventID], c.last = true, v.RuntimeSequence
	if v.CausalParentID != "" && !c.events[v.CausalParentID] && v.Signal != eventabi.SignalCancelAck {
		c.t.Errorf("%s: %s names a cause that never was", c.where, v.Signal)
	}
	if len(v.Payload) > 0 && !json.Valid(v.Payload) {
		c.t.Errorf("%s: %s has the payload %s", c.where, v.Signal, v.Payload)
	}
}

func (c *checker) plan(m *Machine) {
	c.t.Helper()
	if m.turn.id == "" || m.turn.plan.TurnID != m.turn.id {
		return
	}
	c.plans++
	c.valid(schema.ResolvedTurnPlan, m.turn.plan)
	if hash := controlplane.PlanHash(&m.turn.plan); hash != m.turn.plan.PlanHash {
		c.t.Errorf("%s: the plan of %s hashes to %s and says %s: it was changed after it was sealed", c.where, m.turn.id, hash, m.turn.plan.PlanHash)
	}
}

// Every signal, outcome, transition and plan of every script is valid for the readers of
// the contract (event-abi sections 1, 5 and 7, turn-plan section 2).
func TestScriptsEmitValidArtifacts(t *testing.T) {
	c := newChecker(t)
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c.session(filepath.Base(file))
		s := scenario{machine: New(), look: func(m *Machine, list []Effect) {
			c.decisions(list)
			c.plan(m)
		}}
		s.run(t, string(raw))
	}
	if c.plans == 0 {
		t.Error("no plan was checked")
	}
	for _, signal := range emitted() {
		if c.signals[signal] == 0 {
			t.Errorf("no script shows %s", signal)
		}
	}
	if len(c.signals) != len(emitted()) {
		t.Errorf("the scripts show %d signals, %d are listed: %v", len(c.signals), len(emitted()), c.signals)
	}
}

// emitted lists every signal that the kernel emits.
func emitted() []eventabi.Signal {
	return []eventabi.Signal{
		eventabi.SignalTurnOpen, eventabi.SignalCommit, eventabi.SignalAbort, eventabi.SignalClose,
		eventabi.SignalBargeIn, eventabi.SignalStop, eventabi.SignalCancel, eventabi.SignalCancelAck,
		eventabi.SignalBudgetWarning, eventabi.SignalBudgetExhausted, eventabi.SignalProviderError,
		eventabi.SignalProviderSwitch, eventabi.SignalDegrade, eventabi.SignalFallback,
		eventabi.SignalAdmit, eventabi.SignalReject, eventabi.SignalDefer,
		eventabi.SignalStaleEpochReject, eventabi.SignalDeauthorizedDrain,
		eventabi.SignalConnected, eventabi.SignalReconnecting, eventabi.SignalDisconnected, eventabi.SignalEnded,
		eventabi.SignalEndOfUtterance, eventabi.SignalOutputAccepted, eventabi.SignalPlaybackStarted,
		eventabi.SignalPlaybackCompleted, eventabi.SignalPlaybackCancelled,
		eventabi.SignalWatermark, eventabi.SignalFlowXOff, eventabi.SignalFlowXOn, eventabi.SignalCreditGrant,
		eventabi.SignalDropNotice, eventabi.SignalDiscontinuity, eventabi.SignalRouteDecision, eventabi.SignalShed,
		eventabi.SignalSilence, eventabi.SignalStall, eventabi.SignalTransportControl,
	}
}

// A checker that finds nothing anywhere would be no checker.
func TestCheckerFindsFaults(t *testing.T) {
	good := func() *eventabi.Envelope {
		d := newDrunk(1, true)
		for _, e := range d.seen {
			if emit, ok := e.(*Emit); ok {
				return &emit.Envelope
			}
		}
		t.Fatal("nothing was emitted")
		return nil
	}
	for name, harm := range map[string]func(v *eventabi.Envelope){
		"emitter": func(v *eventabi.Envelope) { v.EmittedBy = eventabi.EmitterArbiter },
		"reason":  func(v *eventabi.Envelope) { v.Signal = eventabi.SignalReject },
		"turn":    func(v *eventabi.Envelope) { v.EventScope = eventabi.ScopeTurn },
		"epoch":   func(v *eventabi.Envelope) { v.AuthorityEpoch = nil },
		"session": func(v *eventabi.Envelope) { v.SessionID = "a b" },
	} {
		v := good()
		harm(v)
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(schema.ControlSignal, raw, schema.Options{}).Valid() {
			t.Errorf("an envelope with a wrong %s is valid: %s", name, raw)
		}
	}
}

// The same for conversations without sense.
func TestRandomConversationsEmitValidArtifacts(t *testing.T) {
	c := newChecker(t)
	for seed := range uint64(25) {
		c.session(fmt.Sprint("seed ", seed))
		d := newDrunk(seed, true)
		for range 60 {
			d.stagger(1)
			c.decisions(d.seen)
			d.seen = nil
			if d.machine.arbiter.Live() {
				c.plan(d.machine)
			}
		}
	}
}
