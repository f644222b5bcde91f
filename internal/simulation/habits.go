// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// habits are what a session is like: its settings, its caller and its engines.
type habits struct {
	settings  session.Settings
	window    timebase.Span // inputs this close together share a pass
	typing    int64         // of 100 acts, how many are typed
	nervous   int64         // of 100 turns, how many are interrupted
	protect   int64         // of 100 replies, how many have a protected part
	replies   int64         // segments of a reply, at most
	tools     int64         // of 100 rounds of the model, how many call tools
	stamped   bool          // ingress stamps epochs on everything
	keyed     bool          // clients send idempotency keys
	prefences bool          // a client's cancel fences before it is queued
	handheld  bool          // push to talk: the client ends utterances
	fallback  bool          // there is a line for answers that do not come
	seconds   [3]bool       // modalities with a second provider, in the order of the plan
}

// drawFaults picks the kinds of trouble of this session: none for every fourth, else
// each with a chance.
func (w *world) drawFaults(seed uint64, allowed FaultSet) {
	w.faults, w.bad = 0, w.bad[:0]
	some := w.random.Chance(3, 4)
	for f := range LoadControlFull {
		if !w.random.Chance(1, 6) || !some || !allowed.Has(f) {
			continue
		}
		w.faults = w.faults.With(f)
		if f <= ProviderWrongOrder || refusal(f) != "" {
			w.bad = append(w.bad, f)
		}
	}
	w.drawWires(seed, allowed, some)
}

// fault says whether a kind of trouble strikes now, one time in oneIn, and counts it.
func (w *world) fault(f Fault, oneIn int64) bool {
	if w.calm || !w.faults.Has(f) || !w.random.Chance(1, oneIn) {
		return false
	}
	w.covered[f]++
	return true
}

func (w *world) drawHabits() {
	r := &w.random
	h := &w.habits
	*h = habits{
		typing:    r.Between(0, 60),
		nervous:   r.Between(0, 80),
		replies:   r.Between(1, 3),
		stamped:   r.Chance(1, 2),
		keyed:     r.Chance(1, 2),
		prefences: r.Chance(1, 2),
		handheld:  r.Chance(1, 8),
		fallback:  r.Chance(1, 2),
		seconds:   [3]bool{r.Chance(1, 3), r.Chance(1, 3), r.Chance(1, 3)},
	}
	if r.Chance(1, 6) {
		h.protect = r.Between(10, 60)
	}
	if r.Chance(1, 3) {
		h.tools = r.Between(10, 100)
	}
	if r.Chance(1, 4) {
		h.window = timebase.MS(r.Between(1, 20))
	}
	if w.faults.Has(TransportJitter) {
		h.window = timebase.MS(r.Between(20, 250))
		w.covered[TransportJitter]++
	}
	if w.faults.Has(TimeDrift) {
		w.device.ppm = 500 - 1000*r.Below(2)
		w.covered[TimeDrift]++
	}
	h.settings.StreamingSTT = r.Chance(4, 5)
	h.settings.PlainTTS = r.Chance(1, 2)
	h.settings.VoiceOnly = r.Chance(1, 4)
	if r.Chance(1, 2) {
		h.settings.AdaptiveActions = w.drawActions()
	}
	if r.Chance(1, 2) {
		w.drawSettings()
	}
	if w.faults.Has(LoadLevels) && r.Chance(1, 2) { // so that there is something to turn away
		h.settings.Policy.Overlap, h.settings.Policy.MaxQueued = turn.OverlapQueue, r.Between(1, 3)
	}
	w.drawQuotas()
}

// drawActions picks what the plans allow.
func (w *world) drawActions() string {
	list := ""
	for _, a := range controlplane.AdaptiveActions() {
		if w.random.Chance(1, 2) {
			list += "," + string(a)
		}
	}
	if list == "" {
		return turn.NoActions
	}
	return list[1:]
}

// drawSettings departs from the profile.
func (w *world) drawSettings() {
	r := &w.random
	s := &w.habits.settings
	switch r.Below(6) {
	case 0:
		s.Policy.Interruption = turn.Immediate
	case 1:
		s.Policy.Interruption = turn.Off
	}
	switch r.Below(6) {
	case 0:
		s.Policy.Overlap = turn.OverlapQueue
		s.Policy.MaxQueued = r.Between(1, 3)
	case 1:
		s.Policy.Overlap = turn.OverlapReject
	}
	switch r.Below(4) {
	case 0:
		s.Policy.Late = turn.LateRemap
	case 1:
		s.Policy.Late = turn.LateDiagnostics
	}
	if r.Chance(1, 8) {
		s.Policy.Trigger = turn.TriggerSpeechStart
	}
	if r.Chance(1, 6) {
		s.Policy.Backchannels = "off"
	}
	if r.Chance(1, 4) {
		s.Policy.MinInterruptionWords = r.Between(1, 3)
	}
	if r.Chance(1, 4) {
		s.Policy.MinInterruptionMS = r.Between(100, 600)
		s.Policy.FalseInterruptionMS = r.Between(200, 1200)
	}
	s.TurnBudgetMS = r.Between(0, 1) * r.Between(200, 4000)
	s.TurnHardCapMS = r.Between(0, 1) * r.Between(3000, 30000)
	s.InvocationMS = r.Between(0, 1) * r.Between(300, 1500)
	s.ToolTimeoutMS = r.Between(0, 1) * r.Between(300, 6000)
	s.PathBudgetMS = r.Between(0, 1) * r.Between(100, 1500)
	s.Attempts = r.Between(0, 3)
	s.DrainMS = r.Between(0, 1) * r.Between(200, 20000)
	s.DisconnectMS = r.Between(0, 1) * r.Between(500, 8000)
	s.MaxUtteranceMS = r.Between(0, 1) * r.Between(3000, 20000)
	s.DedupeKeys = r.Between(0, 1) * r.Between(16, 256)
	s.AvailabilityMode = r.Chance(1, 4)
	if r.Chance(1, 2) {
		s.StaleOutcome = string(eventabi.SignalReject)
	}
}

// open starts the session.
func (w *world) open() {
	w.pool.reset()
	w.front, w.body = w.front[:0], w.body[:0]
	w.passAt, w.solo = 0, false
	boot := &session.Bootstrap{
		Session: "sim", Tenant: "tenant", Pipeline: "pipeline-1", Profile: "simple/v1", Graph: "voice/1",
		Epoch: w.epoch, WallMS: baseMS, STT: "ear", LLM: "mind", TTS: "mouth",
		Settings: w.habits.settings,
	}
	second := func(id *string, modality int) {
		if w.habits.seconds[modality] {
			*id = "spare"
		}
	}
	second(&boot.STTSecond, 0)
	second(&boot.LLMSecond, 1)
	second(&boot.TTSSecond, 2)
	if w.habits.fallback {
		boot.Fallback = w.text(0, 6, session.TextWords, false)
	}
	if w.random.Chance(1, 64) {
		switch w.random.Below(3) {
		case 0:
			boot.Refusal = "token_expired"
		case 1:
			boot.Profile = "simple/v9"
		case 2:
			boot.TTS = ""
		}
	}
	w.ask()
	w.layWires()
	w.declareGraph()
	w.add(boot)
	if !w.fault(StoreStale, 4) {
		w.fresh()
	}
	w.after(0, w.random.Between(1000, 4500), evSnapshot, 0, 0)
	w.after(0, w.random.Between(3000, 9000), evRenew, 0, 0)
	w.after(0, w.random.Between(3000, 6000), evIdle, 0, 0)
	for _, f := range [...]Fault{
		WorkerPause, WorkerCrash, WorkerTwoOwners, WorkerLostRenewal, WorkerRotation, StoreRollback, StoreStale,
		NodeSlow, NodeHang, NodePanic, NodeGarbage, DiskFull, LoadFlood, LoadAdmissionRace, TransportHalfOpen, TransportReconnect,
		LoadQuota, LoadHeadroom,
		TimeWander, TimeClockStep,
	} {
		if w.faults.Has(f) {
			w.after(0, w.troubleIn(f), evTrouble, 0, int64(f))
		}
	}
	w.startPressure()
	w.startClient()
	w.plan(0, w.random.Between(0, 500), w.nextAct())
	w.pass()
}

// troubleIn is how long until a fault of the surroundings strikes (again): those that
// end sessions come late and rarely.
func (w *world) troubleIn(f Fault) int64 {
	switch {
	case f == WorkerCrash, f == WorkerLostRenewal, f == DiskFull, f == LoadControlFull, f == LoadTelemetryFull:
		return w.random.Between(2000, 120000)
	default:
		return w.random.Between(500, 15000)
	}
}
