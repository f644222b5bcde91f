// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/internal/runtime/connection"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// The nodes of the voice graph, as cancels and failures name them.
const (
	nodeEndpointer eventabi.NodeID = "endpointer"
	nodeSTT        eventabi.NodeID = "stt"
	nodeLLM        eventabi.NodeID = "llm"
	nodeSegmenter  eventabi.NodeID = "segmenter"
	nodeTTS        eventabi.NodeID = "tts"
)

// graph is the voice graph of one session:
//
//	caller audio -> endpointer -> starts, stops and ends of utterances
//	             -> stt (one an utterance) -> transcripts
//	conversation -> llm -> segmenter -> segments      (a set of each, a turn)
//	segment      -> tts -> chunks of audio
//
// What comes out of it are inputs of the kernel; what goes in are its decisions. The
// general executor is another package's work; this is the one graph of simple/v1.
type graph struct {
	s      *Session
	calls  *invocation.Controller
	store  nodehost.Store
	ear    atomic.Pointer[nodehost.Instance]
	reader *connection.Reader // the endpointer's
	sound  *soundPath         // what stands in the caller's sound; nil = nothing does
	spoken *voicePath         // what stands in the agent's
	// hearing is done with the first caller audio.
	hearing sync.Once
	// listening are the utterances that are being recognised; the slice is replaced,
	// never changed, so that a caller frame finds it without a lock.
	listening atomic.Pointer[[]*listener]

	// The owner's: the seed of the turn that opened last, and the turn whose fidelity was
	// lowered last, with how far.
	seed     int64
	low      eventabi.TurnID
	fidelity turn.Fidelity

	letters *workNode // the dead letter node of the session, when it was made; the owner's

	turnEnds atomic.Int64 // when the live turn's time is over, as the kernel said last

	mu      sync.Mutex
	turn    *turnNodes
	ends    map[eventabi.InvocationID]*invocation.End
	details map[eventabi.NodeID]string
	closed  bool
}

func newGraph(s *Session) *graph {
	g := &graph{s: s, ends: map[eventabi.InvocationID]*invocation.End{}, details: map[eventabi.NodeID]string{}}
	g.listening.Store(&[]*listener{})
	g.sound, g.spoken = newSoundPath(s), newVoicePath(s)
	g.turnEnds.Store(int64(timebase.Never))
	g.calls = invocation.New(invocation.Settings{
		Exec:     s.exec,
		Session:  s.settings.Bootstrap.Session,
		Pipeline: s.settings.Bootstrap.Pipeline,
		Epoch:    func() eventabi.Epoch { return eventabi.Epoch(s.epoch.Load()) },
		Parent:   s.ctx,
		Ended:    g.callEnded,
		Alive: func(id eventabi.InvocationID, attempt int64) {
			s.post(&session.Progress{Invocation: id, Attempt: attempt})
		},
		Called: g.toolCalled,
	})
	return g
}

// host makes an instance of a node of this session.
func (g *graph) host(n node.Node, id eventabi.NodeID, t *turnNodes, out func(*node.Event), failed func(nodehost.Failure)) (*nodehost.Instance, error) {
	return nodehost.New(g.hosting(n, id, t, out, failed))
}

// hosting is what an instance of a node of this session is made from; t is nil in session
// scope.
func (g *graph) hosting(n node.Node, id eventabi.NodeID, t *turnNodes, out func(*node.Event), failed func(nodehost.Failure)) nodehost.Settings {
	s := g.s
	conversation := s.talk.Prompt
	var turnID eventabi.TurnID
	var seed int64
	var ends func() timebase.Instant
	if t != nil {
		turnID, seed, conversation = t.turn, t.seed, t.conversation
		ends = func() timebase.Instant { return timebase.Instant(g.turnEnds.Load()) }
	}
	return nodehost.Settings{
		Node:         n,
		ID:           id,
		Session:      s.settings.Bootstrap.Session,
		Turn:         turnID,
		Exec:         s.exec,
		Counted:      !g.calling(id),
		Limits:       s.settings.limits(id),
		Parent:       s.ctx,
		Out:          out,
		Failed:       failed,
		Count:        func(name string, n int64) { s.meter.count(id, name, n) },
		Spent:        g.nodeSpent,
		Ends:         ends,
		Conversation: conversation,
		Store:        &g.store,
		Seed:         seed,
	}
}

// calling says that a node's tasks are calls of a provider, not its events.
func (g *graph) calling(id eventabi.NodeID) bool {
	if id == nodeSTT || id == nodeLLM || id == nodeTTS {
		return true
	}
	n := g.s.settings.Graph.node(id)
	return n != nil && (n.Role == kernelgraph.RoleModel || n.Role == kernelgraph.RoleSynthesiser)
}

// hear hosts the endpointer with the first caller audio: a session that says nothing
// does without the detector's memory. It hears everything from the first sample on.
func (g *graph) hear() *nodehost.Instance {
	g.hearing.Do(func() {
		ear, _ := g.heardFrom()
		g.reader = ear.Listen(0)
		if err := g.startEar(); err != nil {
			g.nodeFailed(nodehost.Failure{Node: nodeEndpointer, Reason: nodehost.ReasonError, Hook: "init", Detail: err.Error()})
		}
	})
	return g.ear.Load()
}

func (g *graph) startEar() error {
	n, err := g.s.settings.Endpointer()
	if err != nil {
		return err
	}
	ear, err := g.host(n, nodeEndpointer, nil, g.voice, g.earFailed)
	if err != nil {
		return err
	}
	var lent *[timebase.FrameSamples]int16
	ear.Feed(func(ev *node.Event) bool {
		if lent == nil {
			lent = frames.Get().(*[timebase.FrameSamples]int16) //nolint:forcetypeassert // it holds nothing else
		}
		n, at := g.reader.Read(lent[:], -1)
		if n == 0 {
			frames.Put(lent)
			lent = nil
			return false
		}
		return audioEvent(ev, at, lent[:n])
	})
	g.ear.Store(ear)
	return nil
}

// frames are what endpointers are lent their audio in: one for each that is at work, which
// is still in the processor's cache, and not one for each session, which never is.
//
//nolint:gochecknoglobals // memory that is used again
var frames = sync.Pool{New: func() any { return new([timebase.FrameSamples]int16) }}

func audioEvent(ev *node.Event, at timebase.Samples, pcm []int16) bool {
	*ev = node.Event{
		Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, Sample: int64(at), PCM: pcm,
	}
	return true
}

// positions are how far the endpointer and the newest recogniser have read.
func (g *graph) positions() (heard, listened timebase.Samples) {
	if g.ear.Load() != nil {
		heard = g.reader.Seen()
	}
	if list := *g.listening.Load(); len(list) > 0 {
		listened = list[len(list)-1].reader.Seen()
	}
	return heard, listened
}

// onward changes where the caller's sound goes on, for a listener or by a node.
func (g *graph) onward(e session.Effect) {
	switch e := e.(type) { //nolint:gochecksumtype // the others are not about it
	case *session.Skip:
		g.skip(e)
	case *session.Detour:
		g.detour(e)
	}
}

// skip has a listener of caller audio go on behind what its edge has dropped.
func (g *graph) skip(e *session.Skip) {
	if e.Edge == turn.EdgeTransportVAD {
		if g.ear.Load() != nil {
			g.reader.Skip(e.Through)
		}
		return
	}
	if list := *g.listening.Load(); len(list) > 0 {
		list[len(list)-1].reader.Skip(e.Through)
	}
}

// audioCame wakes everybody who listens.
func (g *graph) audioCame() {
	if g.sound != nil {
		g.sound.came()
	}
	if ear := g.hear(); ear != nil {
		ear.Kick()
	}
	for _, l := range *g.listening.Load() {
		l.instance.Kick()
	}
}

// audioHeard is audioCame on the session's owner, who lends an inline endpointer its
// goroutine.
func (g *graph) audioHeard() {
	if g.sound != nil {
		g.sound.heard()
	}
	if ear := g.hear(); ear != nil {
		ear.KickHere()
	}
	for _, l := range *g.listening.Load() {
		l.instance.Kick()
	}
}

// voice turns what the endpointer heard into inputs.
func (g *graph) voice(ev *node.Event) {
	sample, heard := timebase.Samples(ev.Sample), timebase.Samples(ev.Heard)
	if ev.Type == node.TypeVoiceOn {
		g.s.post(&session.VoiceOn{Onset: sample, Heard: heard})
	}
	if ev.Type == node.TypeVoiceOff {
		g.s.post(&session.VoiceOff{Offset: sample, Heard: heard})
	}
	if ev.Type == node.TypeEndOfUtterance {
		g.s.post(&session.EndOfUtterance{Sample: heard, Reason: "vad"})
	}
}

// earFailed replaces an endpointer that failed: without one the session is deaf. The
// audio goes on where the old one stopped.
func (g *graph) earFailed(f nodehost.Failure) {
	g.nodeFailed(f)
	if g.s.counts.restarts.Load() >= maxRestarts {
		return
	}
	g.s.exec.Go(func() {
		if g.isClosed() {
			return
		}
		g.s.counts.restarts.Add(1)
		if err := g.startEar(); err != nil {
			g.s.counts.faults.Add(1)
		}
	})
}

func (g *graph) nodeFailed(f nodehost.Failure) {
	g.s.counts.nodeFailures.Add(1)
	g.mu.Lock()
	g.details[f.Node] = f.Hook + ": " + f.Detail
	g.mu.Unlock()
	g.s.post(&session.NodeFailed{Node: f.Node, Turn: f.Turn, Reason: f.Reason, LimitMS: f.Limit.MS()})
}

func (g *graph) nodeSpent(x nodehost.Spending) {
	g.s.post(&session.NodeSpent{Node: x.Node, Turn: x.Turn, UsedMS: x.Used.MS(), LimitMS: x.Limit.MS()})
}

func (g *graph) takeDetail(id eventabi.NodeID) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.details[id]
}

func (g *graph) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// maxEnds bounds the ends that wait to be looked at; they are measurements only.
const maxEnds = 256

// begin registers an attempt and counts it, until its end: with the tenant, and as a task of
// its node. Where the node has as many as it may have, the attempt waits if there is somebody
// to be told when it may go on; else it is not scheduled. nil = there is no attempt.
func (g *graph) begin(id eventabi.NodeID, r invocation.Request, granted func()) (call *invocation.Call, now bool) {
	claim, now, why := g.s.exec.Claim(id, granted)
	r.Over = claim.Give
	call = g.calls.Begin(r)
	if call == nil {
		claim.Give()
		return nil, false
	}
	g.s.place.Call(1)
	if why != "" {
		call.Unscheduled(why)
		return nil, false
	}
	return call, now
}

// callEnded reports an attempt's end to the kernel: as the acknowledgement of a cancel
// where the adapter honours cancels, else as an outcome. A call that the kernel gave up
// is not reported again.
func (g *graph) callEnded(e invocation.End) {
	g.s.place.Call(-1)
	if e.Provider.Modality == provider.ModalityLLM {
		g.s.place.Tokens(g.s.hostTime(), e.Tokens())
	}
	if e.Provider.Modality == provider.ModalitySTT {
		g.unlisten(e.Invocation)
	}
	if e.Detached {
		return
	}
	if e.Unscheduled != "" {
		g.s.post(&session.Unscheduled{Invocation: e.Invocation, Attempt: e.Attempt, Reason: string(e.Unscheduled)})
		return
	}
	g.mu.Lock()
	if len(g.ends) < maxEnds {
		g.ends[e.Invocation] = &e
	}
	g.mu.Unlock()
	if e.Cancelled && e.Provider.Capabilities.Cancel {
		g.s.post(&session.CancelAck{Invocation: e.Invocation})
		return
	}
	g.s.post(&session.InvocationEnd{
		Invocation: e.Invocation, Attempt: e.Attempt, Class: string(e.Outcome.Class), Reason: e.Outcome.Reason,
		Retryable: e.Outcome.Retryable, BackoffMS: e.Outcome.Backoff.Milliseconds(),
	})
}

func (g *graph) takeEnd(id eventabi.InvocationID) *invocation.End {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.ends[id]
	delete(g.ends, id)
	return e
}

// cancelCall tells a provider to stop; nothing waits for it.
func (g *graph) cancelCall(e *session.CancelCall) {
	g.calls.Cancel(e.Invocation)
	if l := g.listener(e.Invocation); l != nil {
		l.instance.Cancel(node.Cancel{Scope: eventabi.CancelInvocation, Invocation: e.Invocation, Reason: e.Reason})
	}
}

// detach gives a call up.
func (g *graph) detach(id eventabi.InvocationID) {
	g.calls.Detach(id)
	g.unlisten(id)
}

// close stops everything. It does not wait.
func (g *graph) close() {
	g.mu.Lock()
	g.closed = true
	t := g.turn
	g.turn = nil
	g.mu.Unlock()
	g.calls.Close()
	for _, l := range *g.listening.Load() {
		g.unlisten(l.id)
	}
	if t != nil {
		t.stop()
	}
	g.sound.close()
	g.spoken.close()
	g.hearing.Do(func() {}) // nobody begins to hear any more
	if g.letters != nil {
		g.letters.instance.Stop()
	}
	if ear := g.ear.Load(); ear != nil {
		ear.Stop()
	}
	if g.reader != nil {
		g.reader.Close()
	}
}

// request is an attempt for which nobody has said yet whom it is for. Between results an
// adapter has the profile's time, also where what is left of the turn makes the time to
// the first one shorter.
func (g *graph) request(id eventabi.InvocationID, turn eventabi.TurnID, attempt, timeoutMS int64) invocation.Request {
	idle := g.s.settings.invocationTimeout()
	timeout := time.Duration(timeoutMS) * time.Millisecond
	if timeout <= 0 {
		timeout = idle
	}
	return invocation.Request{Invocation: id, Turn: turn, Attempt: attempt, Timeout: timeout, Idle: idle}
}
