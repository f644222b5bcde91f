// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/internal/runtime/admission"
	"github.com/parley-voice/parley/internal/runtime/connection"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/transport"
)

// driver is what makes time pass for sessions: a shard, or virtual time. It is the only
// difference between the two.
type driver interface {
	// now is the driver's clock, in nanoseconds.
	now() timebase.Instant
	// post hands an item to the session's owner and says what became of it. first says that
	// the owner will come for it within a slot, and have listeners hear of caller audio.
	post(s *Session, it item) post
	// rearm has the owner turn to the session again at an instant of the driver's clock;
	// it replaces the instant given before. The owner calls it.
	rearm(s *Session, at timebase.Instant)
	// forget says that the session is over. The owner calls it.
	forget(s *Session)
	executor(s *Session) executor
	// wallMS is the wall clock, in Unix milliseconds.
	wallMS() int64
	// slot is how fine the driver's time is, 0 = as fine as can be: what is due is due at the
	// begin of one, counted from instant 0 of its clock.
	slot() timebase.Span
	// timing is what the driver measures of itself; nil where time is virtual.
	timing() *timing
}

// executor is a driver's view of time and work for one session. leave gives its place in
// the pool back.
type executor interface {
	nodehost.Executor
	leave()
}

// Session is one conversation. Its exported methods may be called from any goroutine.
type Session struct {
	settings Settings
	place    *admission.Place    // nil = nothing is counted
	decision *admission.Decision // that let it in, until the kernel has it; nil = nobody was asked
	driver   driver
	exec     executor
	born     timebase.Instant // on the driver's clock
	ctx      context.Context
	stop     context.CancelFunc
	link     transport.Link
	witness  *connection.Witness
	fences   connection.Fences
	content  *content
	taps     taps
	tools    toolbox
	meter    meter
	playouts playouts
	wall     int64 // the wall clock at instant 0, Unix milliseconds
	talk     *Conversation
	done     chan struct{}
	gone     func() // told before done is closed; nil = nobody
	epoch    atomic.Int64

	// What a caller frame touches on its way in lies together.
	graph   *graph
	open    atomic.Bool // ingress is taken
	virtual bool        // time is
	acks    bool        // the client tells how far it has played
	shown   bool        // somebody looks at frames, or keeps them
	ring    connection.Ring
	box     mailbox
	counts  counts

	standing standing
	fenceMu  sync.Mutex
	fenceAge map[uint32]timebase.Span  // generations fenced ahead of the kernel, and how long it took
	keys     []eventabi.IdempotencyKey // of cancels, newest over oldest
	keyCount int
	spoken   atomic.Pointer[string] // the language that the client chose; nil = the settings'

	// What follows belongs to the owner.
	// First what every frame touches.
	busy     bool // somebody attends to it; of the shard, as the next three
	missed   bool // it was to be attended to meanwhile
	woken    bool // it stands in the queue of those whose kernel has to hear of something
	over     bool
	deciding bool // the pass holds more than caller frames
	plain    bool // it holds caller frames and nothing that the shell adds
	exile    int  // turns that it has off the owner yet
	last     timebase.Instant
	wanted   timebase.Instant // when the shard is to turn to the session again, on its clock
	readNext timebase.Instant // when the wall clock is read again
	machine  *session.Machine
	egress   *connection.Egress
	pending  []session.Input // collected for the next pass
	frames   []session.AudioIn
	feedback []session.Input
	again    []session.Input
	controls []timebase.Instant // when the control of the next pass was posted
	took     []timebase.Span    // of the fences of the pass under way
	stepping []session.Input    // what the kernel is working on
	timer    wheelNode          // of a shard

	fx        session.Effects
	digest    session.Digest
	playing   []connection.Report // scratch, as the next
	progress  []session.Delivery
	snapshots session.Snapshots
	usage     *session.Usage // as the kernel has it; nil = nothing is bounded
	refreshed timebase.Instant
	fresh     bool // snapshots were taken once
	reading   session.ClockReading
	touched   bool // of virtual time
	sentence  int  // turns that it had off the owner when it last was banished
	clock     func() timebase.Instant
	lost      bool // the recorder failed
	faulted   bool
	reason    string
	notice    Notice
	alarm     *event                          // of virtual time
	interim   map[eventabi.InvocationID]int64 // latest text of each utterance
	turns     map[eventabi.InvocationID]eventabi.TurnID
	begins    map[eventabi.InvocationID]int64 // where the first segment of a call stands in its turn's reply, if not first
	told      instructions
	written   eventabi.TurnID // the turn whose answer is text and nothing else
	overhead  overhead
	final     Stats // when over
}

// counts are the session's counters that other goroutines write.
type counts struct {
	frames, dropped, early         atomic.Int64
	nodeFailures, restarts, faults atomic.Int64
	cancels, prefenced, closing    atomic.Int64
	missing, concealed             atomic.Int64 // samples
	stalls, toolPanics             atomic.Int64
	lost                           [lanes]atomic.Int64
}

// Stats is what a session counted.
type Stats struct {
	State             controlplane.SessionState
	Reason            string // of its end
	Digest            [32]byte
	Decisions         int64
	Kernel            session.Counters
	Egress            connection.Counters
	FramesIn          int64
	FramesDropped     int64 // descriptors that found their bound reached
	FramesEarly       int64 // before the session began or after it ended
	SamplesLost       int64 // caller audio that a listener was too slow for
	Coalesced         int64 // inputs that went for others that say the same, their bound being reached
	ControlLost       int64 // inputs that their bound kept out: it ends the session
	DataLost          int64 // the same of data, with the descriptors of frames
	MetricsLost       int64 // the same of telemetry
	Stalls            int64 // turns that took so long that the others were gone on with elsewhere
	FramesOut         int64 // at the sink
	FramesAfterFence  int64 // at the sink, of a turn that was fenced: zero, always
	PlayoutsDropped   int64 // reports of the client that found no room, or that its link does not make
	LateChunks        int64 // of providers, held back
	AudioRefused      int64 // chunks refused because the session held too much audio
	AudioHeld         int64 // samples not played and not released
	NodeFailures      int64
	NodeRestarts      int64
	ToolPanics        int64 // of the program's tools
	ToolsRefused      int64 // that a client offered and that cannot be called
	Faults            int64
	Overhead          Overhead
	Degraded          bool
	Fidelity          turn.Step // the degrade step in force
	EvidenceLost      bool
	RecordingFailed   bool // the recorder could not be closed well
	Cancels, Prefence int64
}

// newSession builds a session that is not open yet.
func newSession(s Settings, d driver) *Session {
	c := newContent()
	x := &Session{
		settings: s,
		driver:   d,
		born:     d.now(),
		wanted:   timebase.Never,
		content:  c,
		talk:     newConversation(c, s.SystemPrompt),
		done:     make(chan struct{}),
		machine:  session.New(),
		fenceAge: map[uint32]timebase.Span{},
		interim:  map[eventabi.InvocationID]int64{},
		turns:    map[eventabi.InvocationID]eventabi.TurnID{},
		begins:   map[eventabi.InvocationID]int64{},
	}
	x.ctx, x.stop = context.WithCancel(context.Background())
	x.epoch.Store(int64(s.Bootstrap.Epoch))
	x.exec = d.executor(x)
	x.clock, x.virtual = x.exec.Now, x.exec.Virtual()
	_, keeps := s.Recorder.(ContentRecorder)
	x.shown = keeps || s.Frames != nil
	x.acks = s.Ack == transport.AckClient || s.Ack == transport.AckGateway
	x.timer.session = x
	x.taps.s, x.meter.s = x, x
	x.tools.open(s.Tools)
	x.tools.more = s.MoreTools
	x.graph = newGraph(x)
	return x
}

// connect binds the transport and queues the bootstrap. Nothing of the caller is taken
// before.
func (s *Session) connect(ctx context.Context) error {
	link, err := s.settings.Connect(ctx, s.settings.transportBootstrap(), (*ingress)(s))
	if err != nil {
		s.stop()
		s.exec.leave()
		return err
	}
	s.link = link
	s.meter.sink, _ = link.(transport.MetricSink)
	s.witness = connection.NewWitness(link)
	s.egress = connection.NewEgress(connection.Settings{
		Fences:    &s.fences,
		Sink:      &lastHop{session: s},
		Late:      s.lateness(),
		Slot:      s.driver.slot(),
		Phase:     -s.born,
		Release:   s.content.dropAudio,
		MaxQueued: maxAudioHeld,
		Acks:      s.acknowledged(),
	})
	s.enter()
	s.postReady()
	s.open.Store(true)
	return nil
}

// ID gives the session's id.
func (s *Session) ID() eventabi.SessionID { return s.settings.Bootstrap.Session }

// Done is closed when the session is over and its resources are released.
func (s *Session) Done() <-chan struct{} { return s.done }

// Now is the session's clock.
func (s *Session) Now() timebase.Instant { return s.driver.now() - s.born }

// Conversation is the session's record of what was said and heard.
func (s *Session) Conversation() *Conversation { return s.talk }

// Text gives a text by its handle, for those who read decisions; empty when it is not
// kept any more.
func (s *Session) Text(handle int64) string { return s.content.text(handle) }

// Stats asks the owner for the counters. After Done it answers at once.
func (s *Session) Stats() Stats {
	select {
	case <-s.done:
		return s.final
	default:
	}
	if s.exec.Virtual() {
		return s.stats()
	}
	answer := make(chan Stats, 1)
	s.driver.post(s, item{ask: func() { answer <- s.stats() }})
	select {
	case st := <-answer:
		return st
	case <-s.done:
		return s.final
	}
}

func (s *Session) stats() Stats {
	held, refused := s.content.stats()
	return Stats{
		State:            s.machine.State(),
		Reason:           s.reason,
		Digest:           s.digest.Sum(),
		Decisions:        s.digest.Count(),
		Kernel:           s.machine.Counters(),
		Egress:           s.egress.Counters(),
		FramesIn:         s.counts.frames.Load(),
		FramesDropped:    s.counts.dropped.Load(),
		FramesEarly:      s.counts.early.Load(),
		Coalesced:        s.box.coalesced(),
		ControlLost:      s.counts.lost[flow.Control].Load(),
		DataLost:         s.counts.lost[flow.Data].Load(),
		MetricsLost:      s.counts.lost[flow.Telemetry].Load(),
		Stalls:           s.counts.stalls.Load(),
		SamplesLost:      int64(s.ring.Lost() + s.graph.sound.lost()),
		FramesOut:        s.witness.Frames(),
		FramesAfterFence: s.witness.AfterFence(""),
		PlayoutsDropped:  s.playouts.dropped.Load(),
		LateChunks:       s.graph.calls.Late(),
		AudioRefused:     refused,
		AudioHeld:        int64(held),
		NodeFailures:     s.counts.nodeFailures.Load(),
		NodeRestarts:     s.counts.restarts.Load(),
		ToolPanics:       s.counts.toolPanics.Load(),
		ToolsRefused:     s.tools.refused.Load(),
		Faults:           s.counts.faults.Load(),
		Overhead:         s.overhead.Overhead,
		Degraded:         s.machine.Degraded(),
		Fidelity:         s.machine.Fidelity(),
		EvidenceLost:     s.lost,
		RecordingFailed:  s.counts.closing.Load() > 0,
		Cancels:          s.counts.cancels.Load(),
		Prefence:         s.counts.prefenced.Load(),
	}
}

// FramesAfterFence counts, at the sink, the frames of a turn that came after its fence.
func (s *Session) FramesAfterFence(turn eventabi.TurnID) int64 { return s.witness.AfterFence(turn) }

// post queues an input, and lets go of what it refers to when its bound is reached: false.
func (s *Session) post(in session.Input) bool {
	it := item{input: in, kind: kindOf(in)}
	if it.kind == kindControl {
		it.posted = s.driver.now()
	}
	if s.driver.post(s, it) != lost {
		return true
	}
	s.spill(in)
	return false
}

// spill lets go of an input that nobody will take. What a call says may not have holes, so
// the call fails; the end of a call and the last word of a recogniser are missed by the
// kernel's own time limits.
func (s *Session) spill(in session.Input) {
	switch in := in.(type) { //nolint:gochecksumtype // the others refer to nothing
	case *session.Speech:
		s.content.dropAudio(in.Handle)
		s.overrun(in.Invocation)
	case *session.Segment:
		s.content.dropText(in.Text.Handle)
		s.overrun(in.Invocation)
	case *session.NodeOutput:
		s.content.dropText(in.Text.Handle)
		s.graph.flooded(in)
	case *session.ToolCalled:
		s.content.dropText(in.Arguments.Handle)
		s.overrun(in.Invocation)
	case *session.ToolResult:
		s.content.dropText(in.Output.Handle)
	case *session.Transcript:
		s.content.dropText(in.Text.Handle)
	case *session.TextIn:
		s.content.dropText(in.Text.Handle)
	case *session.Context:
		s.content.dropText(in.Text.Handle)
	case *session.Wishes:
		s.content.unkeepText(in.Instructions.Handle)
	case *session.Offer:
		s.content.forgetAny(in.Handle)
	}
}

// overrun fails a call that says more than the session can take.
func (s *Session) overrun(id eventabi.InvocationID) {
	if call := s.graph.calls.Call(id); call != nil {
		call.Fail(provider.Outcome{Class: provider.OutcomeOverload, Reason: "edge_overflow"})
	}
}

// lastHop is the sink of the egress: the witness and the link behind it first, then whoever
// looks on.
type lastHop struct{ session *Session }

func (t *lastHop) WriteFrame(f *transport.Frame) error {
	s := t.session
	err := s.witness.WriteFrame(f)
	if s.shown {
		s.show(AgentAudio, timebase.Instant(f.At), int64(timebase.SamplesIn(timebase.Span(f.At))), f.PCM)
	}
	return err
}

func (t *lastHop) Fence(f transport.Fence) { t.session.witness.Fence(f) }
