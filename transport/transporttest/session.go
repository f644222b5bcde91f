// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// Session is the runtime's side of one connection, in the hands of a test. Its methods may
// be called from any goroutine, but for Play, Burst and WriteFrame: as in the runtime, frames
// come from one.
type Session struct {
	host      *Host
	bootstrap transport.Bootstrap
	offer     transport.Offer
	link      transport.Link
	heard     atomic.Bool // a call of Audio is under way
	done      chan struct{}
	once      sync.Once

	frame chan struct{} // holds one token while a frame is with the link, so that a fence can wait for it

	mu       sync.Mutex
	calls    []Call
	early    int
	last     int64 // sequence of audio
	state    transport.LinkState
	timer    *time.Timer // of a lost link
	open     bool        // the runtime takes what comes
	closed   bool        // Close has returned
	reason   string
	fenced   map[uint32]bool
	silent   bool // for good
	position map[uint32]int64
	sequence eventabi.Sequence
	waiting  []transport.Text
	room     int // of the client's text window
}

func newSession(h *Host, b transport.Bootstrap, o transport.Offer) *Session {
	return &Session{
		host: h, bootstrap: b, offer: o, done: make(chan struct{}), last: -1,
		frame: make(chan struct{}, 1), fenced: map[uint32]bool{}, position: map[uint32]int64{},
	}
}

func (s *Session) ingress() transport.Ingress { return ingress{s} }

func (s *Session) begin(link transport.Link) {
	s.link = link
	if t, ok := link.(transport.TextSink); ok {
		s.room = t.TextWindow()
	}
	s.mu.Lock()
	s.open = true
	s.mu.Unlock()
}

// ID names the session.
func (s *Session) ID() eventabi.SessionID { return s.bootstrap.SessionID }

// Done is closed when the link was closed.
func (s *Session) Done() <-chan struct{} { return s.done }

// Bootstrap is what the session started from, Offer what was asked for.
func (s *Session) Bootstrap() transport.Bootstrap { return s.bootstrap }

// Offer is what the client asked for.
func (s *Session) Offer() transport.Offer { return s.offer }

// Link is what the adapter made.
func (s *Session) Link() transport.Link { return s.link }

// Calls gives what came so far, in order.
func (s *Session) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Early counts what came, beside sound, before the session had begun: the runtime would have
// lost it.
func (s *Session) Early() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.early
}

// Reason is why the session was closed, empty while it is open.
func (s *Session) Reason() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Heard is the caller's audio so far, as a session hears it: silence where some is missing
// that was not concealed.
func (s *Session) Heard() (pcm []int16) {
	for _, c := range s.Calls() {
		switch what := c.What.(type) {
		case Audio:
			pcm = append(pcm, what.PCM...)
		case transport.Gap:
			pcm = append(pcm, make([]int16, max(0, what.Missing-what.Concealed))...)
		}
	}
	return pcm
}

// AwaitHeard waits until so much of the caller's audio has come.
func (s *Session) AwaitHeard(samples int) []int16 {
	s.host.tb.Helper()
	if !s.host.until(func() bool { return len(s.Heard()) >= samples }) {
		s.host.tb.Fatalf("%d samples of caller audio came; want %d\n%s", len(s.Heard()), samples, s.Transcript())
	}
	return s.Heard()
}

// AwaitDone waits for the end of the session.
func (s *Session) AwaitDone() {
	s.host.tb.Helper()
	if !s.host.until(s.over) {
		s.host.tb.Fatalf("the session did not end\n%s", s.Transcript())
	}
}

func (s *Session) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// note keeps a call.
func (s *Session) note(name string, what any) {
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		s.host.fault("%s came after the link was closed (rule 5 of package transport)", name)
		return
	case !s.open && !sound(what):
		s.early++
	}
	s.calls = append(s.calls, Call{At: s.host.config.Clock(), What: what})
	s.mu.Unlock()
	s.host.change()
}

// sound says that a call is of caller audio: a first frame that comes too early is no loss.
func sound(what any) bool {
	switch what.(type) {
	case Audio, transport.Gap:
		return true
	}
	return false
}

// audio holds a frame to the contract.
func (s *Session) audio(sequence int64, pcm []int16) {
	if s.heard.Swap(true) {
		s.host.fault("Audio was called from two goroutines at once")
	}
	if len(pcm) == 0 || len(pcm)%transport.FrameSamples != 0 {
		s.host.fault("audio came with %d samples; want frames of %d", len(pcm), transport.FrameSamples)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sequence < 0 {
		return
	}
	if sequence <= s.last && s.last >= 0 {
		s.host.fault("audio came with sequence %d behind %d", sequence, s.last)
	}
	s.last = sequence
}

// linked follows the state of the link.
func (s *Session) linked(state transport.LinkState) {
	s.mu.Lock()
	before := s.state
	s.state = state
	switch state {
	case transport.LinkLost, transport.LinkGone:
		if before == state {
			s.host.fault("link %s came twice", state)
		}
		if s.timer == nil {
			s.timer = time.AfterFunc(s.host.config.Disconnect, func() { s.Close("transport_disconnect_or_stall") })
		}
	case transport.LinkResumed:
		if before != transport.LinkLost && before != transport.LinkGone {
			s.host.fault("link resumed came while it was not lost")
		}
		if s.timer != nil {
			s.timer.Stop()
			s.timer = nil
		}
		s.last = -1 // a new connection counts anew
	case transport.LinkLeft:
		if before == state {
			s.host.fault("link left came twice")
		}
	default:
		s.host.fault("link state %q is none", state)
	}
	s.mu.Unlock()
	if state == transport.LinkLeft {
		s.left("client_left")
	}
}

// left ends the session of a caller who has left: off the adapter's goroutine, which may be
// the one that Close waits for.
func (s *Session) left(reason string) {
	if !s.host.config.Stays {
		go s.Close(reason)
	}
}

// Close ends the session, as the runtime does: everything is fenced, and the link is closed
// once. It returns when the link is, or when that takes too long, which is a fault.
func (s *Session) Close(reason string) {
	s.once.Do(func() { go s.close(reason) })
	<-s.done
}

func (s *Session) close(reason string) {
	s.Fence("", 0)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		if s.link != nil {
			_ = s.link.Close(reason) // the session is over either way
		}
	}()
	t := time.NewTimer(s.host.config.Patience)
	defer t.Stop()
	select {
	case <-returned:
	case <-t.C:
		s.host.fault("Close took longer than %v", s.host.config.Patience)
	}
	s.finish(reason)
}

func (s *Session) finish(reason string) {
	s.mu.Lock()
	s.closed, s.open, s.reason = true, false, reason
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	close(s.done)
	s.host.change()
}

// within notes a call of the link that keeps the runtime.
func (s *Session) within(name string, call func()) {
	t := time.AfterFunc(s.host.config.Patience, func() {
		s.host.fault("%s took longer than %v; it may not wait", name, s.host.config.Patience)
	})
	defer t.Stop()
	call()
}

// Play plays sound of a turn as the runtime does: a frame every 20 ms, the last one padded,
// none after a fence. It returns when the last frame went out, with the number of frames.
// A later call goes on where the one before ended.
func (s *Session) Play(turn eventabi.TurnID, generation uint32, pcm []int16) (frames int) {
	began := time.Now()
	return s.play(turn, generation, pcm, func(n int) {
		time.Sleep(time.Until(began.Add(time.Duration(n) * transport.FrameDuration)))
	})
}

// Burst plays sound of a turn as fast as the link takes it: a runtime that catches up sends a
// few frames at once, so a link must stand it.
func (s *Session) Burst(turn eventabi.TurnID, generation uint32, pcm []int16) (frames int) {
	return s.play(turn, generation, pcm, func(int) {})
}

func (s *Session) play(turn eventabi.TurnID, generation uint32, pcm []int16, wait func(n int)) (frames int) {
	var padded [transport.FrameSamples]int16
	for ; len(pcm) > 0; frames++ {
		wait(frames)
		n := copy(padded[:], pcm)
		clear(padded[n:])
		pcm = pcm[n:]
		s.mu.Lock()
		position := s.position[generation]
		s.mu.Unlock()
		f := &transport.Frame{
			Turn: turn, Generation: generation, Position: position, Voiced: n, At: s.host.config.Clock(), PCM: padded[:],
		}
		if passed, _ := s.WriteFrame(f); !passed {
			break
		}
		s.mu.Lock()
		s.position[generation] += int64(n)
		s.mu.Unlock()
	}
	return frames
}

// WriteFrame hands one frame to the link, unless a fence is in front of it: false. The error
// is the link's.
func (s *Session) WriteFrame(f *transport.Frame) (passed bool, err error) {
	s.frame <- struct{}{}
	defer func() { <-s.frame }()
	s.mu.Lock()
	stands := s.silent || s.fenced[f.Generation]
	s.mu.Unlock()
	if stands {
		return false, nil
	}
	s.within("WriteFrame", func() { err = s.link.WriteFrame(f) })
	return true, err
}

// Fence fences a generation, or everything for good when turn is empty and generation 0. When
// it returns, no frame of it is with the link or on its way to it.
func (s *Session) Fence(turn eventabi.TurnID, generation uint32) {
	f := transport.Fence{Turn: turn, Generation: generation, Session: turn == "" && generation == 0}
	s.mu.Lock()
	s.fenced[generation] = true
	s.silent = s.silent || f.Session
	s.mu.Unlock()
	s.settle()
	if s.link != nil {
		s.within("Fence", func() { s.link.Fence(f) })
	}
}

// settle waits for a frame that is on its way. Like the runtime it does not wait for ever for
// a link that keeps one.
func (s *Session) settle() {
	t := time.NewTimer(s.host.config.Patience)
	defer t.Stop()
	select {
	case s.frame <- struct{}{}:
		<-s.frame
	case <-t.C:
	}
}

// Signal shows the client a control signal, completed to what the runtime would send: false
// when the link shows none.
func (s *Session) Signal(e eventabi.Envelope) bool {
	sink, ok := s.link.(transport.SignalSink)
	if ok {
		s.complete(&e)
		s.within("WriteSignal", func() { sink.WriteSignal(&e) })
	}
	return ok
}

// Emit is Signal with the fields that matter most.
func (s *Session) Emit(signal eventabi.Signal, turn eventabi.TurnID, reason string) bool {
	return s.Signal(eventabi.Envelope{Signal: signal, TurnID: turn, Reason: reason})
}

// complete fills in what a signal needs.
func (s *Session) complete(e *eventabi.Envelope) {
	s.mu.Lock()
	s.sequence++
	e.RuntimeSequence = s.sequence
	s.mu.Unlock()
	now := s.host.config.Clock().Milliseconds()
	epoch := s.bootstrap.Epoch
	e.SchemaVersion, e.SessionID, e.PipelineVersion = eventabi.SchemaVersion, s.bootstrap.SessionID, s.bootstrap.PipelineVersion
	e.EventID = eventabi.EventID(fmt.Sprintf("event-%d", e.RuntimeSequence))
	e.RuntimeTimestampMS, e.WallClockTimestampMS = now, s.host.began.UnixMilli()+now
	e.AuthorityEpoch = &epoch
	e.Lane, e.PayloadClass = eventabi.ControlLane, eventabi.ClassMetadata
	e.EventScope = eventabi.ScopeSession
	if e.TurnID != "" {
		e.EventScope = eventabi.ScopeTurn
	}
	if spec, ok := eventabi.LookupSignal(e.Signal); ok && e.EmittedBy == "" && len(spec.Emitters) > 0 {
		e.EmittedBy = spec.Emitters[0]
	}
}

// Show shows the client a piece of text, now or when it has room for it: false when the link
// shows none.
func (s *Session) Show(t transport.Text) bool {
	sink, ok := s.link.(transport.TextSink)
	if !ok {
		return false
	}
	if sink.TextWindow() > 0 {
		s.mu.Lock()
		full := s.room <= 0
		if full {
			s.waiting = append(s.waiting, t)
		} else {
			s.room--
		}
		s.mu.Unlock()
		if full {
			return true
		}
	}
	s.within("WriteText", func() { sink.WriteText(t) })
	return true
}

// showTaken shows what waited for room.
func (s *Session) showTaken(n int) {
	s.mu.Lock()
	s.room += n
	var now []transport.Text
	for s.room > 0 && len(s.waiting) > 0 {
		now = append(now, s.waiting[0])
		s.waiting = s.waiting[1:]
		s.room--
	}
	s.mu.Unlock()
	if sink, ok := s.link.(transport.TextSink); ok {
		for _, t := range now {
			sink.WriteText(t)
		}
	}
}

// Speech tells the client where the caller is heard to speak: false when the link does not.
func (s *Session) Speech(v transport.Speech) bool {
	sink, ok := s.link.(transport.SpeechSink)
	if ok {
		s.within("WriteSpeech", func() { sink.WriteSpeech(v) })
	}
	return ok
}

// ToolCall hands the client a call of a tool: false when the link has none run.
func (s *Session) ToolCall(c transport.ToolCall) bool {
	sink, ok := s.link.(transport.ToolSink)
	if ok {
		s.within("WriteToolCall", func() { sink.WriteToolCall(c) })
	}
	return ok
}

// Usage tells the client what an answer has used: false when the link does not.
func (s *Session) Usage(u transport.Usage) bool {
	sink, ok := s.link.(transport.UsageSink)
	if ok {
		s.within("WriteUsage", func() { sink.WriteUsage(u) })
	}
	return ok
}

// Metric shows the client a metrics event: false when the link shows none.
func (s *Session) Metric(name string, value float64) bool {
	sink, ok := s.link.(transport.MetricSink)
	if ok {
		e := eventabi.Envelope{EventKind: eventabi.KindMetrics}
		s.complete(&e)
		e.Lane = eventabi.TelemetryLane
		e.Payload, _ = json.Marshal(map[string]any{"name": name, "value": value})
		s.within("WriteMetric", func() { sink.WriteMetric(&e) })
	}
	return ok
}
