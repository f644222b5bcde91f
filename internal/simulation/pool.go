// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"bytes"
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
)

// refusal is the reason with which the execution pool turns a call away, empty for trouble
// of another kind.
func refusal(f Fault) controlplane.ShedReason {
	if f < PoolSaturated || f > PoolLimited {
		return ""
	}
	return controlplane.ShedReasons()[f-PoolSaturated]
}

// turnedAway has the pool refuse an attempt, if that is its fault: soon, before a provider
// has heard of it.
func (w *world) turnedAway(i int) bool {
	c := &w.calls[i]
	if refusal(c.fault) == "" {
		return false
	}
	kind := [...]eventKind{recognise: evHear, think: evThink, voice: evVoice}[c.kind]
	w.after(w.now, w.random.Between(0, 4), kind, int32(i), c.attempt)
	return true
}

func (w *world) unscheduled(c *call) {
	w.strikes(c, c.fault)
	c.done = true
	in := w.pool.refused.get()
	in.Invocation, in.Attempt, in.Reason = c.id, c.attempt, string(refusal(c.fault))
	w.add(in)
}

// turned is an attempt that the pool has refused and that nobody has been told of.
type turned struct {
	id     eventabi.InvocationID
	reason string
	maybe  bool // it may have been forgotten before, between two attempts of its turn's last call
}

// unscheduled follows an attempt that the pool refused. One that was cancelled meanwhile is
// over.
func (k *watch) unscheduled(in *session.Unscheduled) {
	c := k.call(in.Invocation)
	if c == nil || in.Attempt != 0 && in.Attempt != c.attempt || c.state != running && c.state != cancelled {
		return
	}
	k.pass.turned = append(k.pass.turned, turned{id: in.Invocation, reason: in.Reason, maybe: c.forgiven})
	c.touched = true
	if c.state == cancelled || c.kind == recognise {
		c.state = gone
	} else {
		c.state = waiting
	}
}

// shed checks that a decision to shed at node_dispatch is about an attempt that the pool
// has refused, and tells what it rests on.
func (k *watch) shed(v *eventabi.Envelope) {
	for i, t := range k.pass.turned {
		if t.id == v.ProviderInvocationID && t.reason == v.Reason {
			k.pass.turned = append(k.pass.turned[:i], k.pass.turned[i+1:]...)
			k.ok(ShedsAreTold, v.NodeID != "" && bytes.Contains(v.Payload, []byte(`"point":"node_dispatch","fairness_key":"`)),
				"shed without node, point or key")
			return
		}
	}
	k.ok(ShedsAreTold, false, "shed at node_dispatch of what the pool has not refused")
}

// shedSettled checks that all of it was told in its pass.
func (k *watch) shedSettled() {
	told := !slices.ContainsFunc(k.pass.turned, func(t turned) bool { return !t.maybe })
	k.ok(ShedsAreTold, k.ended || told, "what the pool refused was not told")
}
