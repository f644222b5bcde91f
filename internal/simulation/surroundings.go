// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// perform does what the kernel decided, in order.
func (w *world) perform(e session.Effect) {
	switch e := e.(type) {
	case *session.Emit:
		w.notice(&e.Envelope)
	case *session.Play:
		w.egress.play(w.now, e)
	case *session.Fence:
		w.egress.fence(w.now, e)
	case *session.Hold:
		w.egress.hold(w.now, e)
	case *session.Resume:
		w.egress.resume(w.now, e.Generation)
	case *session.EndOfAudio:
		w.egress.endOfAudio(w.now, e.Turn, e.Generation)
	case *session.Open:
		w.listen(e)
		if !w.blind {
			w.watch.owns(&w.calls[len(w.calls)-1])
		}
	case *session.Finalize:
		w.finalize(e)
	case *session.Generate:
		w.generate(e)
	case *session.Say:
		w.say(e)
	case *session.CallTool:
		w.runTool(e)
	case *session.CancelCall:
		w.cancelled(e)
	case *session.Work:
		w.works(e)
	case *session.Hook:
		w.stopWork(e)
	case *session.AppendTerminal:
		w.append(e)
	case *session.SessionChange:
		w.changed(e)
	case *session.Ended:
		w.phase = over
	case *session.Decide, *session.TurnChange, *session.Refused, *session.Superseded, *session.Discard,
		*session.Degrade, *session.Fallback, *session.Place, *session.Detour, *session.Detach, *session.Converse, *session.Evidence, *session.Nondeterministic,
		*session.Deliver, *session.Release, *session.Combine, *session.Skip, *session.Merged:
	}
}

// changed follows the session into its drain, however it came there.
func (w *world) changed(e *session.SessionChange) {
	if e.To == controlplane.SessionDraining && w.phase < closing {
		w.phase = closing
	}
}

// notice lets the caller react to what happens.
func (w *world) notice(v *eventabi.Envelope) {
	switch {
	case v.EdgeID != "":
		w.told(v)
	case v.Signal == eventabi.SignalTurnOpen:
		w.turns++
		w.denied = 0
		w.live, w.shown = v.TurnID, v.TurnID
		if w.phase == talking && w.random.Below(100) < w.habits.nervous {
			w.plan(w.now, w.random.Between(10, 3500), w.interruption())
		}
	case v.Signal == eventabi.SignalClose:
		w.live = ""
		w.goOn()
	case v.Signal == eventabi.SignalReject, v.Signal == eventabi.SignalDefer:
		w.denied++
		w.goOn()
	case v.Signal == eventabi.SignalPlaybackCompleted, v.Signal == eventabi.SignalPlaybackCancelled, v.Signal == eventabi.SignalStaleEpochReject:
		w.goOn()
	}
}

// goOn lets the caller take the floor when it is free.
func (w *world) goOn() {
	if w.phase == talking && w.planned == 0 && !w.speech.under {
		w.plan(w.now, w.random.Between(100, 900), w.nextAct())
	}
}

// append is the recorder taking a turn's terminal evidence.
func (w *world) append(e *session.AppendTerminal) {
	wait := w.random.Between(0, 3)
	if w.fault(DiskSlow, 3) {
		wait = w.random.Between(100, 4000)
	}
	ok := int64(1)
	if w.fault(DiskFull, 8) {
		ok = 0
	}
	w.owed = append(w.owed, e.Turn)
	w.after(w.now, wait, evAppended, int32(len(w.owed)-1), ok)
}

func (w *world) appended(e *event) {
	in := w.pool.appends.get()
	in.Turn, in.OK = w.owed[e.who], e.arg == 1
	w.add(in)
}

// snapshot refreshes what the control plane holds for this session.
func (w *world) snapshot(e *event) {
	if w.phase != talking {
		return
	}
	w.after(e.at, w.random.Between(1500, 4500), evSnapshot, 0, 0)
	if w.fault(StoreStale, 3) {
		if w.random.Chance(1, 2) {
			return // not refreshed in time
		}
		s := w.snapshots()
		s.Versions[w.random.Below(session.SnapshotKinds)] = 0
		s.AgeMS = w.random.Below(2) * w.random.Between(4000, 70000)
		return
	}
	if w.fault(StoreRollback, 3) {
		s := w.snapshots()
		s.Versions[w.random.Below(session.SnapshotKinds)] = max(1, w.versions-1)
		return
	}
	w.fresh()
}

func (w *world) snapshots() *session.Snapshots {
	s := w.pool.snapshots.get()
	w.versions++
	for i := range s.Versions {
		s.Versions[i] = w.versions
	}
	w.add(s)
	return s
}

// fresh puts everything in order.
func (w *world) fresh() { w.snapshots() }

// renew is the lease authority renewing in time.
func (w *world) renew(e *event) {
	if w.phase != talking {
		return
	}
	w.after(e.at, w.random.Between(3000, 9000), evRenew, 0, 0)
	in := w.pool.leases.get()
	in.Epoch = w.epoch
	w.add(in)
}

// sayLink reports a state of the link.
func (w *world) sayLink(state session.LinkState) {
	w.linkSaid = state
	back := w.linkDown && state == session.LinkResumed
	w.linkDown = state != session.LinkResumed
	if back && w.speech.voiced { // the detector hears that the caller is silent
		w.speech.bits, w.speech.stopped = 1, w.now
		w.after(w.now, w.random.Between(64, 200), evVoiceOff, w.speech.number, 0)
	}
	in := w.pool.links.get()
	in.State = state
	w.add(in)
}

// linkStates are the arguments of evLink.
func linkStates() [3]session.LinkState {
	return [3]session.LinkState{session.LinkLost, session.LinkGone, session.LinkResumed}
}

func (w *world) link(e *event) {
	if w.phase == talking {
		w.sayLink(linkStates()[e.arg])
	}
}

// trouble is a fault of the surroundings; it comes again.
func (w *world) trouble(e *event) {
	if w.calm || w.phase != talking {
		return
	}
	f := Fault(e.arg)
	w.after(e.at, w.troubleIn(f), evTrouble, 0, e.arg)
	if f == LoadQuota || f == LoadHeadroom {
		w.use(f)
		return
	}
	w.covered[f]++
	switch {
	case f == LoadControlFull, f == LoadDataFull, f == LoadTelemetryFull:
		w.overflowing(f)
	case f == WorkerPause:
		w.pausedUntil = e.at.Add(timebase.MS(w.random.Between(100, 3000)))
		w.egress.pause(e.at, w.pausedUntil)
	case f == WorkerCrash:
		w.add(&session.RuntimeFault{Reason: "panic"})
	case f == WorkerLostRenewal:
		w.lease(w.epoch, true)
	case f == WorkerRotation:
		w.epoch++
		w.lease(w.epoch, false)
	case f == WorkerTwoOwners:
		w.secondOwner(e.at)
	case f == TransportHalfOpen:
		w.linkDown = true
		w.after(e.at, w.random.Between(1500, 2500), evLink, 0, w.random.Below(2))
		w.after(e.at, w.random.Between(2600, 9000), evLink, 0, 2)
	case f == TransportReconnect:
		w.sayLink(session.LinkLost)
		w.after(e.at, w.random.Between(100, 2000), evLink, 0, 1)
		w.after(e.at, w.random.Between(100, 9000), evLink, 0, 2)
	case f == DiskFull:
		w.add(&session.EvidenceLost{})
	default:
		w.commotion(f)
	}
}

// commotion is trouble made of inputs alone.
func (w *world) commotion(f Fault) {
	switch {
	case f == StoreRollback:
		s := w.snapshots()
		s.Versions[0] = max(1, w.versions-3)
	case f == StoreStale:
		s := w.snapshots()
		s.AgeMS = 61000
	case f == TimeWander:
		w.wander()
	case f == TimeClockStep:
		w.wallOff += timebase.MS(w.random.Between(20, 900) * (1 - 2*w.random.Below(2)))
	case f == NodeSlow:
		w.nodeSpent()
	case f == NodeHang:
		w.nodeFailed("hook_timeout")
	case f == NodePanic:
		w.nodeFailed("panic")
	case f == NodeGarbage:
		w.garbage()
	case f == LoadFlood:
		for range w.random.Between(20, 120) {
			w.flood()
		}
	case f == LoadAdmissionRace:
		s := w.snapshots()
		s.Admission = [...]string{"reject", "defer"}[w.random.Below(2)]
		s.Reason = "quota"
		if w.random.Chance(1, 2) {
			w.type_(w.now)
		}
	}
}

func (w *world) lease(epoch eventabi.Epoch, revoked bool) {
	in := w.pool.leases.get()
	in.Epoch, in.Revoked = epoch, revoked
	w.add(in)
}

// secondOwner is what another owner of the session leaves behind.
func (w *world) secondOwner(at timebase.Instant) {
	other := w.epoch + 1
	if w.random.Chance(1, 2) {
		other = w.epoch - 1
	}
	switch w.random.Below(4) {
	case 0:
		f := w.pool.frames.get()
		f.Epoch, f.Sample, f.Samples = other, w.position(at), timebase.FrameSamples
		w.add(f)
	case 1:
		d := w.pool.deliveries.get()
		d.Epoch, d.Turn, d.Event = other, w.shown, session.DeliveryCompleted
		w.add(d)
	case 2:
		in := w.pool.stops.get()
		in.Epoch, in.Force = other, true
		w.add(in)
	case 3:
		w.lease(w.epoch-1, false)
	}
}

func (w *world) nodeFailed(reason string) {
	in := w.pool.failures.get()
	in.Node, in.Reason = w.turnNode(), reason
	if reason == "hook_timeout" {
		in.LimitMS = 5000
	}
	if w.random.Chance(1, 2) {
		in.Turn = w.shown
	}
	w.add(in)
}

func (w *world) turnNode() eventabi.NodeID {
	return [...]eventabi.NodeID{"segmenter", "llm", "tts"}[w.random.Below(3)]
}

// nodeSpent is a node that has used 80 % of its budget, all of it, or both at once because
// the report was late.
func (w *world) nodeSpent() {
	in := w.pool.spendings.get()
	in.Node, in.Turn, in.LimitMS = w.turnNode(), w.shown, 800
	in.UsedMS = [...]int64{640, 800, 1200}[w.random.Below(3)]
	if w.random.Chance(1, 8) {
		in.Node, in.Turn = "endpointer", ""
	}
	w.add(in)
}

// garbage is a node or a provider that makes things up.
func (w *world) garbage() {
	w.owners++
	words := w.text(w.owners, 3, session.TextWords, false)
	switch w.random.Below(9) {
	case 7:
		w.add(&session.ToolCalled{Invocation: "nobody", Name: "tool", Arguments: words})
	case 8:
		w.add(&session.ToolResult{Call: "nobody", Output: words})
	case 6:
		w.add(&session.AudioGap{Sample: w.position(w.now), Samples: timebase.Samples(w.random.Between(-1, 0))})
	case 0:
		w.add(&session.Segment{Invocation: "nobody", Text: words})
	case 1:
		w.lastHandle++
		w.add(&session.Speech{Invocation: "nobody", Samples: 320, Handle: w.lastHandle})
	case 2:
		w.add(&session.Transcript{Invocation: "nobody", Revision: 1, Final: true, Text: words})
	case 3:
		w.add(&session.InvocationEnd{Invocation: "nobody", Class: "success"})
	case 4:
		w.add(&session.CancelAck{Invocation: "nobody"})
	case 5:
		w.add(&session.Appended{Turn: "nobody", OK: true})
	}
}

// flood is one of very many inputs.
func (w *world) flood() {
	switch w.random.Below(5) {
	case 0:
		w.type_(w.now)
	case 1:
		on := w.pool.voiceOns.get()
		on.Onset, on.Heard = w.position(w.now), w.position(w.now)
		w.add(on)
		off := w.pool.voiceOffs.get()
		off.Offset, off.Heard = w.position(w.now), w.position(w.now)
		w.add(off)
		end := w.pool.endings.get()
		end.Reason, end.Sample = "vad", w.position(w.now)
		w.add(end)
	case 2:
		w.garbage()
	case 3:
		in := w.pool.cancels.get()
		in.Scope, in.Turn = eventabi.CancelTurn, "nobody"
		w.add(in)
	case 4:
		w.hear(w.now)
	}
}

// afterwards talks to a session that has ended: nothing may come of it.
func (w *world) afterwards() {
	if w.phase != over || w.watch.failed() {
		return
	}
	w.pool.reset()
	w.front, w.body = w.front[:0], w.body[:0]
	w.solo = false
	w.passAt = w.now
	w.garbage()
	w.add(&w.pool.wake)
	w.pass()
}
