// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
)

// TestMain is the program of the children of these tests as well.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		if err := childProgram(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// hosted runs a test against a host with real goroutines; in a bubble time is virtual
// and passes when all of them wait. When it returns, everything must be gone.
func hosted(t *testing.T, f func(t *testing.T, h *Host)) {
	t.Helper()
	hostedBy(t, Config{Shards: 2}, f)
}

func hostedBy(t *testing.T, c Config, f func(t *testing.T, h *Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		f(t, h)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := h.Close(ctx); err != nil {
			t.Errorf("the host did not close: %v", err)
		}
		if h.Sessions() != 0 {
			t.Errorf("%d sessions are left", h.Sessions())
		}
		for i, s := range h.shards {
			s.left(t, fmt.Sprint("shard ", i))
		}
	})
}

// left reports what a shard holds of sessions that have ended: nothing.
func (h *shard) left(t *testing.T, name string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for which := range h.queues {
		if q := &h.queues[which]; !q.empty() || len(q.list[:cap(q.list)]) > 0 && q.list[:cap(q.list)][0] != nil {
			t.Errorf("%s: queue %d holds sessions", name, which)
		}
	}
	if h.wheel.count != 0 || h.current != nil || h.guard.armed {
		t.Errorf("%s: %d in the wheel, attending %t, looked after %t", name, h.wheel.count, h.current != nil, h.guard.armed)
	}
	for _, it := range h.items[:cap(h.items)] {
		if it.input != nil || it.ask != nil {
			t.Errorf("%s: an item is kept", name)
			break
		}
	}
}

func open(t *testing.T, h *Host, r *rig) *Session {
	t.Helper()
	s, err := h.Open(t.Context(), r.settings)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// speak paces a caller in real time for a while.
func speak(s *Session, c *caller, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
		s.Ingress().Audio(-1, c.next())
	}
}

func TestRealTime(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("s1")
		r.stt.Wait, r.llm.Wait, r.tts.Wait = true, true, true
		r.stt.Utterances = append(r.stt.Utterances, providertest.Say("stop that and tell me the time", 4000))
		r.llm.Replies = append(r.llm.Replies, "It is noon.")
		s := open(t, h, r)
		speak(s, speaking([2]int64{1000, 2000}, [2]int64{4000, 6000}), 12*time.Second)
		s.Close("test_over")
		<-s.Done()
		inOrder(t, r.log, "turn_open turn=t1", "playback_started turn=t1", "hold turn=t1", "emit barge_in", "playback_cancelled turn=t1",
			"turn_open turn=t2", "playback_started turn=t2", "playback_completed turn=t2", "ended reason=test_over")
		if n := len(r.line.voiced("t2")); n != spoken("It is noon.") {
			t.Errorf("second turn: %d samples, want %d", n, spoken("It is noon."))
		}
		st := s.Stats()
		if st.FramesAfterFence != 0 || st.FramesDropped != 0 || st.Faults != 0 || st.FramesIn != 600 || st.AudioHeld != 0 {
			t.Errorf("stats %+v", st)
		}
		for i := 1; i < len(r.line.frames); i++ {
			if gap := r.line.frames[i].at.Sub(r.line.frames[i-1].at); gap <= 0 {
				t.Fatalf("frame %d left %d us after the one before", i, gap/1000)
			}
		}
	})
}

// A panic ends its own session and no other (house, point 9).
func TestPanicIsolation(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		var bad, good [4]*rig
		var sessions []*Session
		for i := range bad {
			bad[i], good[i] = newRig(fmt.Sprintf("bad%d", i)), newRig(fmt.Sprintf("good%d", i))
			bad[i].log.watch = func(n *Notice) {
				if e, ok := n.Record.(*session.Emit); ok && e.Envelope.Signal == eventabi.SignalPlaybackStarted {
					panic("a bug")
				}
			}
			sessions = append(sessions, open(t, h, bad[i]), open(t, h, good[i]))
		}
		for _, s := range sessions {
			s.Ingress().Text("tell me a story", "")
		}
		time.Sleep(10 * time.Second)
		for i, r := range bad {
			s := sessions[2*i]
			select {
			case <-s.Done():
			default:
				t.Fatalf("session %s goes on after a panic", s.ID())
			}
			st := s.Stats()
			if !strings.HasPrefix(st.Reason, "runtime_internal_error") || st.Faults != 1 || r.line.closed == "" {
				t.Errorf("session %s: reason %q, %d faults, link closed %q", s.ID(), st.Reason, st.Faults, r.line.closed)
			}
			if len(r.line.frames) > 1 {
				t.Errorf("session %s: %d frames after the panic", s.ID(), len(r.line.frames)-1)
			}
			inOrder(t, r.log, "runtime_fault reason=panic", "emit abort turn=t1 reason=runtime_internal_error", "emit close turn=t1", "ended")
		}
		for i, r := range good {
			if n := len(r.line.voiced("t1")); n != spoken(story) {
				t.Errorf("session %s was disturbed: %d samples of %d", sessions[2*i+1].ID(), n, spoken(story))
			}
		}
	})
}

// A sink that panics is inside the boundary as well, and so is whatever panics again
// while the session is being ended.
func TestPanicTwice(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("s1")
		r.log.watch = func(n *Notice) {
			if n.At > 0 {
				panic("a bug that stays")
			}
		}
		s := open(t, h, r)
		time.Sleep(time.Second)
		s.Ingress().Text("hello", "")
		<-s.Done()
		if st := s.Stats(); st.Reason != "runtime_internal_error" || st.Faults < 2 {
			t.Errorf("reason %q, %d faults", st.Reason, st.Faults)
		}
		if f := r.line.fences; len(f) == 0 || !f[len(f)-1].Session {
			t.Errorf("the link may go on with what it holds: fences %+v", f)
		}
	})
}

// brokenNode fails as it is told, in the n-th instance.
type brokenNode struct {
	node.Node
	how string
}

func (b brokenNode) OnEvent(ctx *node.Context, ev *node.Event) error {
	switch b.how {
	case "panic":
		panic("a bug in a node")
	case "error":
		return errors.New("cannot go on")
	case "hang":
		<-ctx.Cancel.Done()
		time.Sleep(time.Second)
	}
	return b.Node.OnEvent(ctx, ev)
}

// F2 of the failure matrix: the turn whose node fails ends with node_timeout_or_failure,
// and the next one is sound.
func TestNodeFailure(t *testing.T) {
	for how, reason := range map[string]string{"panic": "panic", "error": "error", "hang": "hook_timeout"} {
		t.Run(how, func(t *testing.T) {
			hosted(t, func(t *testing.T, h *Host) {
				r := newRig("s1")
				r.settings.Limits.EventHard = 300 * time.Millisecond
				made := 0
				r.settings.Segmenter = func() (node.Node, error) {
					n, err := segmenter.NewNode(segmenter.Default())
					if made++; made == 1 {
						return brokenNode{n, how}, err
					}
					return n, err
				}
				s := open(t, h, r)
				s.Ingress().Text("tell me a story", "")
				time.Sleep(3 * time.Second)
				s.Ingress().Text("tell me a story", "")
				time.Sleep(8 * time.Second)
				inOrder(t, r.log, "node_failed node=segmenter turn=t1 reason="+reason,
					"emit abort turn=t1 reason=node_timeout_or_failure", "emit close turn=t1", "emit commit turn=t2", "playback_completed turn=t2")
				if st := s.Stats(); st.NodeFailures != 1 || !st.Degraded || st.Faults != 0 {
					t.Errorf("stats %+v", st)
				}
			})
		})
	}
}

// An endpointer that fails is replaced: a session must not stay deaf.
func TestDeafEndpointerIsReplaced(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("s1")
		made := 0
		r.settings.Endpointer = func() (node.Node, error) {
			n, err := vad.NewEndpointNode(loud{}, vad.EndpointerConfig{})
			if made++; made <= 2 {
				return brokenNode{n, "panic"}, err
			}
			return n, err
		}
		s := open(t, h, r)
		speak(s, speaking([2]int64{1000, 2000}), 10*time.Second)
		if st := s.Stats(); st.NodeFailures != 2 || st.NodeRestarts != 2 || st.Kernel.Commits != 1 {
			t.Errorf("stats %+v\n%s", st, r.log)
		}
	})
}

// F3 of the failure matrix, at the shell: whatever an engine does, its attempt ends once,
// the turn has one terminal, and the session takes the next turn.
func TestProviderFaults(t *testing.T) {
	for _, modality := range []provider.Modality{provider.ModalitySTT, provider.ModalityLLM, provider.ModalityTTS} {
		for _, fault := range providertest.Faults() {
			for _, at := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s/%s/%d", modality, fault, at), func(t *testing.T) {
					hosted(t, func(t *testing.T, h *Host) { oneFault(t, h, modality, providertest.Injection{Fault: fault, At: at}) })
				})
			}
		}
	}
}

func oneFault(t *testing.T, h *Host, modality provider.Modality, fault providertest.Injection) {
	t.Helper()
	r := newRig("s1")
	var hit atomic.Int64
	inject := func(c provider.Call) providertest.Injection {
		if c.TurnID == "t1" || c.InvocationID == "u1-stt" {
			hit.Add(1)
			return fault
		}
		return providertest.Injection{}
	}
	switch modality {
	case provider.ModalitySTT:
		r.stt.Inject = inject
	case provider.ModalityLLM:
		r.llm.Inject = inject
	case provider.ModalityTTS:
		r.tts.Inject = inject
	}
	s := open(t, h, r)
	speak(s, speaking([2]int64{1000, 2000}, [2]int64{12000, 13000}), 24*time.Second)
	st := s.Stats()
	if hit.Load() == 0 {
		t.Fatal("the fault was not met")
	}
	if st.Kernel.Turns != 2 || st.Kernel.Commits+st.Kernel.Aborts != 2 || st.Faults != 0 {
		t.Errorf("stats %+v\n%s", st, r.log)
	}
	if len(r.line.voiced("t2")) != spoken(story) {
		t.Errorf("the turn after the fault was not heard whole\n%s", r.log)
	}
	// Each attempt that began has one end: an outcome, the acknowledgement of a cancel,
	// or the kernel's word that it was given up.
	for _, kind := range []string{"generate", "say", "open"} {
		for l := range strings.SplitSeq(r.log.String(), "\n") {
			var at int
			var id string
			if n, _ := fmt.Sscanf(strings.TrimSpace(l), "%d "+kind+" invocation=%s", &at, &id); n != 2 {
				continue
			}
			began := r.log.count(kind + " invocation=" + id)
			ends := r.log.count("invocation_end invocation="+id) + r.log.count("cancel_ack invocation="+id) + r.log.count("detach invocation="+id)
			if ends != began {
				t.Errorf("%s: %d attempts, %d ends\n%s", id, began, ends, r.log)
			}
		}
	}
}

// deafTTS does not hear its context: it returns when the test lets it.
type deafTTS struct {
	*providertest.FakeTTS
	free chan struct{}
}

func (d deafTTS) Synthesize(ctx context.Context, c provider.Call, sp provider.Speech, sink provider.Sink) provider.Outcome {
	<-d.free
	return d.FakeTTS.Synthesize(ctx, c, sp, sink)
}

// A provider that never returns holds nothing up but itself: the call is given up, the
// session ends in time, and the host says what is left.
func TestTeardownDoesNotWaitForAProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig("s1")
		free := make(chan struct{})
		r.settings.Providers.TTS = deafTTS{r.tts, free}
		s := open(t, h, r)
		s.Ingress().Text("tell me a story", "")
		time.Sleep(100 * time.Millisecond)
		s.Ingress().Stop(transport.Request{})
		time.Sleep(time.Second)
		inOrder(t, r.log, "cancel_call invocation=t1-tts-2", "emit close turn=t1", "detach invocation=t1-tts-2")
		ctx, stop := context.WithTimeout(t.Context(), 40*time.Second)
		defer stop()
		began := time.Now()
		err = h.Close(ctx)
		if err == nil || !strings.Contains(err.Error(), "have not returned") {
			t.Errorf("close said %v, want that a call is left", err)
		}
		if d := time.Since(began); d > 35*time.Second {
			t.Errorf("closing took %v", d)
		}
		<-s.Done()
		close(free)
		synctest.Wait()
		if n := h.Working(); n != 0 {
			t.Errorf("%d calls are left", n)
		}
		if late := s.graph.calls.Late(); late == 0 || len(r.line.frames) != 0 {
			t.Errorf("late chunks %d, frames %d: what came after the end must be counted and not heard", late, len(r.line.frames))
		}
	})
}

// Every session ends within its drain deadline, with a reason, whatever goes on.
func TestDrainIsBounded(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("s1")
		r.settings.Bootstrap.Settings.DrainMS = 2000
		s := open(t, h, r)
		s.Ingress().Text("tell me a story", "")
		time.Sleep(time.Second)
		began := s.Now()
		s.Close("client_done")
		<-s.Done()
		if ms := s.Now().Sub(began).MS(); ms > 2001 {
			t.Errorf("the drain took %d ms, its deadline is 2000", ms)
		}
		if st := s.Stats(); st.Reason != "client_done:drain_deadline" || st.FramesAfterFence != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestHostRefuses(t *testing.T) {
	hostedBy(t, Config{Shards: 2, MaxSessions: 2}, func(t *testing.T, h *Host) {
		r := newRig("s1")
		open(t, h, r)
		if _, err := h.Open(t.Context(), r.settings); !errors.Is(err, ErrSession) {
			t.Errorf("a second session of the same id: %v", err)
		}
		open(t, h, newRig("s2"))
		if _, err := h.Open(t.Context(), newRig("s3").settings); !errors.Is(err, ErrFull) {
			t.Errorf("a session too many: %v", err)
		}
	})
	hosted(t, func(t *testing.T, h *Host) {
		bad := newRig("s4")
		bad.settings.Connect = func(context.Context, transport.Bootstrap, transport.Ingress) (transport.Link, error) {
			return nil, errors.New("no such room")
		}
		if _, err := h.Open(t.Context(), bad.settings); err == nil || !strings.Contains(err.Error(), "no such room") {
			t.Errorf("a transport that refuses: %v", err)
		}
		_, err := h.Open(t.Context(), Settings{})
		for _, field := range []string{"bootstrap.session", "connect", "endpointer", "segmenter", "providers.stt", "providers.tts"} {
			if err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s is not reported in %v", field, err)
			}
		}
	})
	h, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open(t.Context(), newRig("s1").settings); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed host: %v", err)
	}
}

func TestHostClosesWhileATransportIsBeingBound(t *testing.T) {
	for _, yields := range []bool{true, false} {
		hosted(t, func(t *testing.T, h *Host) {
			r := newRig("s1")
			began := make(chan struct{})
			r.settings.Connect = func(ctx context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
				close(began)
				<-ctx.Done()
				if yields {
					return nil, ctx.Err()
				}
				return r.line.connect(ctx, b, in) // it was bound all the same
			}
			opened := make(chan error, 1)
			go func() {
				_, err := h.Open(t.Context(), r.settings)
				opened <- err
			}()
			<-began
			if err := h.Close(t.Context()); err != nil {
				t.Errorf("close while a transport is being bound: %v", err)
			}
			if err := <-opened; yields != errors.Is(err, context.Canceled) {
				t.Errorf("a transport that yields (%t): open said %v", yields, err)
			}
			if r.line.closed == "" == !yields {
				t.Errorf("a transport that yields (%t): its link was closed with %q", yields, r.line.closed)
			}
		})
	}
}
