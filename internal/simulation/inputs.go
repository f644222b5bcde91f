// SPDX-License-Identifier: Apache-2.0

package simulation

import "github.com/parley-voice/parley/internal/kernel/session"

// pool hands out zeroed values and takes them all back at once. The kernel keeps
// nothing of an input, so one pass's inputs are the next one's memory.
type pool[T any] struct {
	items []*T
	used  int
}

func (p *pool[T]) get() *T {
	if p.used == len(p.items) {
		p.items = append(p.items, new(T))
	}
	v := p.items[p.used]
	p.used++
	var zero T
	*v = zero
	return v
}

// inputs holds the inputs of one pass.
type inputs struct {
	wake       session.Wake
	reading    session.ClockReading
	frames     pool[session.AudioIn]
	gaps       pool[session.AudioGap]
	voiceOns   pool[session.VoiceOn]
	voiceOffs  pool[session.VoiceOff]
	endings    pool[session.EndOfUtterance]
	typed      pool[session.TextIn]
	heard      pool[session.Transcript]
	alive      pool[session.Progress]
	segments   pool[session.Segment]
	speeches   pool[session.Speech]
	ends       pool[session.InvocationEnd]
	deliveries pool[session.Delivery]
	cancels    pool[session.Cancel]
	stops      pool[session.Stop]
	appends    pool[session.Appended]
	acks       pool[session.CancelAck]
	links      pool[session.Link]
	leases     pool[session.LeaseChange]
	snapshots  pool[session.Snapshots]
	failures   pool[session.NodeFailed]
	refused    pool[session.Unscheduled]
	usages     pool[session.Usage]
	loads      pool[session.Load]
	spendings  pool[session.NodeSpent]
	offers     pool[session.Offer]
	readies    pool[session.Ready]
	overflows  pool[session.Overflow]
	mutes      pool[session.Muted]
	controls   pool[session.TransportControl]
	contexts   pool[session.Context]
	forgets    pool[session.Forget]
	responds   pool[session.Respond]
	wishes     pool[session.Wishes]

	toolCalls   pool[session.ToolCalled]
	toolResults pool[session.ToolResult]
}

func (p *inputs) reset() {
	p.frames.used, p.voiceOns.used, p.voiceOffs.used, p.endings.used = 0, 0, 0, 0
	p.typed.used, p.heard.used, p.alive.used, p.segments.used = 0, 0, 0, 0
	p.speeches.used, p.ends.used, p.deliveries.used, p.cancels.used = 0, 0, 0, 0
	p.stops.used, p.appends.used, p.acks.used, p.links.used = 0, 0, 0, 0
	p.leases.used, p.snapshots.used, p.failures.used, p.gaps.used, p.spendings.used = 0, 0, 0, 0, 0
	p.usages.used, p.loads.used, p.offers.used, p.readies.used, p.overflows.used, p.refused.used = 0, 0, 0, 0, 0, 0
	p.mutes.used, p.controls.used, p.contexts.used, p.forgets.used, p.responds.used, p.wishes.used = 0, 0, 0, 0, 0, 0
	p.toolCalls.used, p.toolResults.used = 0, 0
}
