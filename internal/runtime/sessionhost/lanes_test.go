// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// ledger notes the passes of several sessions in the order in which they were made.
type ledger struct{ passes []entry }

type entry struct {
	session string
	inputs  []string // their kinds, but for what the shell adds
	frames  int
}

// of is the recorder of one session. then is called after each of its passes.
func (l *ledger) of(name string, then func()) Recorder { return &bookkeeper{l, name, then} }

type bookkeeper struct {
	ledger *ledger
	name   string
	then   func()
}

func (b *bookkeeper) Pass(_ timebase.Instant, in []session.Input, _ []session.Effect) error {
	e := entry{session: b.name}
	for _, i := range in {
		kind, _, _ := strings.Cut(session.Format(i), " ")
		switch kind {
		case "snapshots", "clock_reading", "usage", "wake", "delivery":
			continue
		case "audio_in":
			e.frames++
		}
		e.inputs = append(e.inputs, kind)
	}
	b.ledger.passes = append(b.ledger.passes, e)
	if b.then != nil {
		b.then()
	}
	return nil
}

func (*bookkeeper) Terminal(timebase.Instant, *session.AppendTerminal) error { return nil }
func (*bookkeeper) Close(string, [32]byte) error                             { return nil }

// booked opens n sessions with one ledger.
func booked(t *testing.T, s *still, n int, then func(i int)) (l *ledger, list []*Session) {
	t.Helper()
	l = &ledger{}
	for i := range n {
		r := newRig(fmt.Sprint("s", i))
		r.settings.Observer = nil
		r.settings.Recorder = l.of(fmt.Sprint("s", i), func() {
			if then != nil {
				then(i)
			}
		})
		list = append(list, s.open(t, r))
	}
	l.passes = nil
	return l, list
}

func (l *ledger) order() (names []string) {
	for _, e := range l.passes {
		names = append(names, e.session)
	}
	return names
}

func frame(x *Session) { x.Ingress().Audio(-1, make([]int16, transport.FrameSamples)) }

// quietly lets what the frames have set to work come to an end.
func (s *still) quietly(tb testing.TB) {
	tb.Helper()
	s.until(tb, "rest", func() bool { return s.pool.Running() == 0 })
}

// Flow section 4: control before data, whoever came first; and control that comes while the
// shard has a long way to go is served within a few sessions, not at the end.
func TestControlIsServedFirst(t *testing.T) {
	s := newStill()
	var list []*Session
	posted := false
	var l *ledger
	l, list = booked(t, s, 60, func(i int) {
		if i == 2 && l != nil && len(l.passes) > 0 && !posted {
			posted = true
			list[59].Ingress().Stop(transport.Request{})
		}
	})
	for _, x := range list {
		frame(x)
	}
	list[58].Ingress().Stop(transport.Request{})
	l.passes = nil
	s.round()
	order := l.order()
	if len(order) < 60 || order[0] != "s58" {
		t.Fatalf("%d passes, the first is of %s: want the session that control waits for", len(order), order[0])
	}
	if at := slices.Index(order, "s59"); at > slices.Index(order, "s2")+clockEvery {
		t.Errorf("control that came with the pass of s2 was served at %d: %v", at, order)
	}
	// What was before the control in its own session is in the same pass, in its order.
	if e := l.passes[0]; !slices.Equal(e.inputs, []string{"audio_in", "stop"}) {
		t.Errorf("the pass of s58 holds %v: want what happened, in the order in which it happened", e.inputs)
	}
	s.quietly(t)
	s.close(t, list...)
}

// A flood is served in turns of bounded length, between those of the others, and in order.
func TestFloodTakesTurns(t *testing.T) {
	s := newStill()
	l, list := booked(t, s, 3, nil)
	for range maxFramesWaiting {
		frame(list[0])
	}
	frame(list[1])
	frame(list[2])
	s.round()
	var frames, turns int
	for _, e := range l.passes {
		if e.session == "s0" && e.frames > 0 {
			frames += e.frames
			turns++
			if e.frames > maxTaken {
				t.Errorf("a turn of %d frames, the bound is %d", e.frames, maxTaken)
			}
		}
	}
	if want := (maxFramesWaiting + maxTaken - 1) / maxTaken; frames != maxFramesWaiting || turns != want {
		t.Errorf("%d frames in %d turns, want %d in %d", frames, turns, maxFramesWaiting, want)
	}
	if order := l.order(); slices.Index(order, "s1") != 1 || slices.Index(order, "s2") != 2 {
		t.Errorf("the others had to wait for the flood: %v", order)
	}
	s.quietly(t)
	s.close(t, list...)
}

// Control behind a flood of its own session takes along what came before it: it does not
// wait, and the record does not say that it came first.
func TestControlTakesAlongWhatCameBefore(t *testing.T) {
	s := newStill()
	l, list := booked(t, s, 1, nil)
	for range 2 * maxTaken {
		frame(list[0])
	}
	list[0].Ingress().Stop(transport.Request{})
	frame(list[0])
	s.round()
	first := l.passes[0]
	if at := slices.Index(first.inputs, "stop"); at != 2*maxTaken || first.frames != 2*maxTaken {
		t.Errorf("the first pass has %d frames, the control at %d; want %d in front of it and none behind", first.frames, at, 2*maxTaken)
	}
	s.quietly(t)
	s.close(t, list...)
}

// A deadline is judged by everything that came before it: an answer that waits behind a
// flood came in time.
func TestDeadlineTakesAlongWhatCameBefore(t *testing.T) {
	s := newStill()
	l, list := booked(t, s, 1, nil)
	x := list[0]
	for range 2*maxTaken + 5 {
		frame(x)
	}
	s.mu.Lock()
	s.queues[queueWoken].push(x)
	s.mu.Unlock()
	s.round()
	if n := l.passes[0].frames; n != 2*maxTaken+5 {
		t.Errorf("%d frames in the pass of the deadline, %d had come", n, 2*maxTaken+5)
	}
	s.quietly(t)
	s.close(t, list...)
}

// An owner that is behind does not go round and round: the kernels of sessions whose deadline
// has passed hear of it though each slot brings something that is due, and once.
func TestDeadlinesAreHeardWhenTheOwnerIsBehind(t *testing.T) {
	s := newStill()
	l, list := booked(t, s, 5*clockEvery, nil)
	due := timebase.Instant(0)
	for _, x := range list {
		frame(x)
	}
	s.round()
	for _, x := range list {
		due = max(due, x.born.Add(timebase.Span(x.machine.Deadline())))
	}
	if due == timebase.Never {
		t.Fatal("the sessions have no deadline")
	}
	l.passes = nil
	s.instant.Store(int64(due))
	s.looks.Store(10_000)
	s.hurries.Store(int64(wheelSlot)) // a slot goes by for every few sessions
	s.round()
	s.hurries.Store(0)
	if s.looks.Load() <= 0 {
		t.Errorf("the round did not end: the same deadlines were due over and over")
	}
	for _, x := range list {
		if x.woken || x.machine.Deadline() <= due-x.born {
			t.Errorf("the kernel of %s has not heard of its deadline", x.ID())
		}
	}
	if len(l.passes) > 3*len(list) { // a second deadline may come meanwhile
		t.Errorf("%d passes for the deadlines of %d sessions", len(l.passes), len(list))
	}
	s.close(t, list...)
}

// Telemetry is served from what is left, and what does not fit is counted and told.
func TestTelemetryComesLast(t *testing.T) {
	s := newStill()
	l, list := booked(t, s, 5, nil)
	metric := func(i int64) *session.Offer {
		return &session.Offer{Edge: "telemetry", Handle: i, Kind: session.ItemMetric, Stream: i, Bytes: 1}
	}
	const over = 7
	for i := range int64(kindMetric.bound() + over) {
		list[0].post(metric(i))
	}
	list[1].post(metric(1))
	for _, x := range list[1:] {
		frame(x)
	}
	list[4].Ingress().Stop(transport.Request{})
	s.round()
	order := l.order()
	if !slices.Equal(order[:4], []string{"s4", "s1", "s2", "s3"}) {
		t.Errorf("served in the order %v: want control, data, and then telemetry", order)
	}
	offers, told := 0, 0
	for _, e := range l.passes {
		for _, kind := range e.inputs {
			switch kind {
			case "offer":
				offers++
			case "overflow":
				told++
			}
		}
	}
	st := list[0].stats()
	if offers != kindMetric.bound()+1 || told != 1 || st.MetricsLost != over {
		t.Errorf("%d metrics were taken, %d lost, told %d times; want %d, %d and once", offers, st.MetricsLost, told, kindMetric.bound()+1, over)
	}
	if st.DataLost != 0 || st.ControlLost != 0 || st.State != controlplane.SessionActive {
		t.Errorf("telemetry has cost more than telemetry: %+v", st)
	}
	s.quietly(t)
	s.close(t, list...)
}

// A full control lane is an invariant that broke: the session ends, with its turn aborted,
// and nobody else does (flow section 4).
func TestFullControlLaneEndsTheSession(t *testing.T) {
	s := newStill()
	r := newRig("s1")
	bad, good := s.open(t, r), s.open(t, newRig("s2"))
	bad.Ingress().Text("tell me a story", "")
	s.until(t, "a turn", func() bool { return bad.machine.TurnLive() })
	cancel := func(x *Session, i int) {
		x.Cancel(Cancel{Scope: eventabi.CancelInvocation, Invocation: eventabi.InvocationID(fmt.Sprint("i", i))})
	}
	for i := range kindControl.bound() {
		cancel(bad, i)
		cancel(good, i)
	}
	for range 1000 { // said already: no more items
		cancel(bad, 3)
		cancel(good, 3)
	}
	if st := good.stats(); st.ControlLost != 0 || st.Coalesced != 1000 {
		t.Errorf("%d lost, %d coalesced of a thousand repetitions", st.ControlLost, st.Coalesced)
	}
	cancel(bad, kindControl.bound())
	s.round()
	if st := good.stats(); st.State != controlplane.SessionActive || st.Kernel.Refused != int64(kindControl.bound()) {
		t.Errorf("the other session is %s, and its kernel refused %d cancels", st.State, st.Kernel.Refused)
	}
	s.close(t, good)
	<-bad.done
	if st := bad.Stats(); st.ControlLost != 1 || st.Reason != "runtime_internal_error:control_queue_full" {
		t.Errorf("%d lost, ended for %q", st.ControlLost, st.Reason)
	}
	inOrder(t, r.log, "overflow lane=ControlLane count=1", "emit abort turn=t1 reason=runtime_internal_error", "emit close turn=t1", "ended")
}

// What a caller types beyond the bound is lost: counted, told to the kernel, and its words
// are not kept.
func TestTextFloodIsBounded(t *testing.T) {
	s := newStill()
	r := newRig("s1")
	x := s.open(t, r)
	kept := len(x.content.texts)
	const over = 100
	for range kindText.bound() + over {
		x.Ingress().Text("tell me a story", "")
	}
	if n := len(x.content.texts) - kept; n != kindText.bound() {
		t.Errorf("%d texts are kept, %d wait", n, kindText.bound())
	}
	s.round()
	if n, st := r.log.count("text_in"), x.stats(); n != kindText.bound() || st.DataLost != over {
		t.Errorf("%d texts were taken, %d lost; want %d and %d", n, st.DataLost, kindText.bound(), over)
	}
	if n := r.log.count("overflow lane=DataLane", fmt.Sprint("count=", over)); n != 1 {
		t.Errorf("the kernel was told %d times\n%s", n, r.log)
	}
	s.close(t, x)
}

// What a call says may not have holes: one that says more than the session can take fails,
// and lets go of its sound.
func TestResultFloodFailsItsCall(t *testing.T) {
	s := newStill()
	r := newRig("s1")
	free := make(chan struct{})
	r.settings.Providers.TTS = deafTTS{r.tts, free}
	x := s.open(t, r)
	x.Ingress().Text("tell me a story", "")
	s.until(t, "a call", func() bool {
		return r.log.count("say invocation=t1-tts-2")+r.log.count("invocation_end invocation=t1-llm-1") == 2
	})
	held, _ := x.content.stats()
	for i := range int64(kindResult.bound()) + 1 {
		handle, _ := x.content.addAudio(make([]int16, 8))
		x.post(&session.Speech{Invocation: "t1-tts-2", Attempt: 1, Chunk: i, Handle: handle, Samples: 8})
	}
	if now, _ := x.content.stats(); now-held != timebase.Samples(8*kindResult.bound()) {
		t.Errorf("%d samples are held, %d wait", now-held, 8*kindResult.bound())
	}
	s.until(t, "the end of the call", func() bool {
		return r.log.count("invocation_end invocation=t1-tts-2", "class=overload", "reason=edge_overflow") == 1
	})
	if n := r.log.count("overflow lane=DataLane count=1"); n != 1 {
		t.Errorf("the kernel was told %d times of the loss", n)
	}
	close(free)
	s.close(t, x)
}

// The client's end of utterance is about the sound that had come by then, although it
// overtakes the descriptors of that sound (the kind of fault that loses words which were
// said): the recogniser hears all of it.
func TestEndOfUtteranceDoesNotCutOffWhatWasSaid(t *testing.T) {
	s := newStill()
	r := newRig("s1")
	x := s.open(t, r)
	x.post(&session.VoiceOn{Onset: 0, Heard: 320})
	for range 50 {
		frame(x)
	}
	x.Ingress().EndOfUtterance("")
	s.round()
	if n := r.log.count("finalize", fmt.Sprint("through=", 50*transport.FrameSamples)); n != 1 {
		t.Errorf("the utterance was not ended where it ends\n%s", r.log)
	}
	s.quietly(t)
	s.close(t, x)
}
