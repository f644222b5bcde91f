// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
)

// line is a transport that keeps what it is given and lets a test speak into it.
type line struct {
	in transport.Ingress

	mu     sync.Mutex
	frames []heardFrame
	fences []transport.Fence
	closed string
	signal []eventabi.Signal
	texts  []transport.Text
	window int // of texts; 0 = any number
}

type heardFrame struct {
	turn       eventabi.TurnID
	generation uint32
	at         timebase.Instant
	pcm        []int16 // voiced part
}

func (l *line) connect(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	l.in = in
	return l, nil
}

func (l *line) WriteFrame(f *transport.Frame) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frames = append(l.frames, heardFrame{f.Turn, f.Generation, timebase.Instant(f.At), append([]int16(nil), f.PCM[:f.Voiced]...)})
	return nil
}

func (l *line) Fence(f transport.Fence) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fences = append(l.fences, f)
}

func (l *line) TextWindow() int { return l.window }

func (l *line) WriteText(t transport.Text) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts = append(l.texts, t)
}

func (l *line) WriteSignal(e *eventabi.Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signal = append(l.signal, e.Signal)
}

func (l *line) Close(reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = reason
	return nil
}

func (l *line) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.frames)
}

// voiced is what was heard of a turn.
func (l *line) voiced(turn eventabi.TurnID) (pcm []int16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.frames {
		if f.turn == turn {
			pcm = append(pcm, f.pcm...)
		}
	}
	return pcm
}

// loud hears speech where samples are loud.
type loud struct{}

func (loud) Probability(frame *[vad.FrameSamples]int16) float32 {
	for _, v := range frame {
		if v > 1000 {
			return 0.9
		}
	}
	return 0.05
}
func (loud) Reset() {}

// logbook keeps notices as text.
type logbook struct {
	mu    sync.Mutex
	lines []string
	watch func(n *Notice) // on the owner
}

func (b *logbook) observe(n *Notice) {
	if b.watch != nil {
		b.watch(n)
	}
	s := session.Format(n.Record)
	if e, ok := n.Record.(*session.Emit); ok {
		s = fmt.Sprintf("emit %s turn=%s reason=%s", e.Envelope.Signal, e.Envelope.TurnID, e.Envelope.Reason)
	}
	if n.Text != "" {
		s += fmt.Sprintf(" %q", n.Text)
	}
	b.mu.Lock()
	b.lines = append(b.lines, fmt.Sprintf("%6d %s", n.At.MS(), s))
	b.mu.Unlock()
}

func (b *logbook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

// count counts the lines that hold every one of the parts.
func (b *logbook) count(parts ...string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.lines {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(l, p)
		}
		if all {
			n++
		}
	}
	return n
}

// rig is a session's surroundings, with parts that a test may replace before it opens.
type rig struct {
	line     *line
	log      *logbook
	settings Settings
	stt      *providertest.FakeSTT
	llm      *providertest.FakeLLM
	tts      *providertest.FakeTTS
}

const testEpoch = 7

func newRig(id string) *rig {
	r := &rig{
		line: &line{},
		log:  &logbook{},
		stt:  &providertest.FakeSTT{Utterances: []providertest.Utterance{providertest.Say("tell me a story", 4000)}},
		llm:  &providertest.FakeLLM{Replies: []string{"Once upon a time there was a lighthouse. The keeper climbed its steps every evening."}},
		tts:  &providertest.FakeTTS{},
	}
	r.stt.Latency = provider.Latency{First: 20 * time.Millisecond}
	r.llm.Latency = provider.Latency{First: 30 * time.Millisecond, Next: 2 * time.Millisecond}
	r.tts.Latency = provider.Latency{First: 20 * time.Millisecond, Next: 5 * time.Millisecond}
	r.settings = Settings{
		Bootstrap: session.Bootstrap{
			Session: eventabi.SessionID(id), Tenant: "t", Pipeline: "p1", Profile: controlplane.ProfileSimple,
			Graph: "voice/1", Epoch: testEpoch,
		},
		Kind:         "test",
		Connect:      r.line.connect,
		Providers:    invocation.Providers{STT: r.stt, LLM: r.llm, TTS: r.tts},
		Endpointer:   func() (node.Node, error) { return vad.NewEndpointNode(loud{}, vad.EndpointerConfig{}) },
		Segmenter:    func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
		SystemPrompt: "You are a storyteller.",
		Language:     "en",
		TextKey:      1,
		Observer:     r.log.observe,
	}
	return r
}

// caller is a timeline of caller audio: loud where it speaks.
type caller struct {
	spans [][2]int64 // ms
	frame [transport.FrameSamples]int16
	n     int64
}

func speaking(spans ...[2]int64) *caller { return &caller{spans: spans} }

// next gives the next frame of 20 ms.
func (c *caller) next() []int16 {
	ms := c.n * 20
	c.n++
	level := int16(0)
	for _, s := range c.spans {
		if ms >= s[0] && ms < s[1] {
			level = 5000
		}
	}
	for i := range c.frame {
		c.frame[i] = level
	}
	return c.frame[:]
}

// virtually runs a rig in virtual time with a caller, and closes the session at ms.
func virtually(t *testing.T, r *rig, c *caller, ms int64, also func(v *Virtual, s *Session)) *Session {
	t.Helper()
	v := NewVirtual(1_790_000_000_000)
	s, err := v.Open(t.Context(), r.settings)
	if err != nil {
		t.Fatal(err)
	}
	v.Every(20*timebase.Millisecond, func() bool {
		s.Ingress().Audio(-1, c.next())
		return v.Now() < timebase.Instant(timebase.MS(ms))
	})
	v.At(timebase.Instant(timebase.MS(ms)), func() { s.Close("test_over") })
	if also != nil {
		also(v, s)
	}
	if err := v.Run(t.Context(), timebase.Instant(timebase.MS(ms+60000))); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	default:
		t.Fatalf("the session did not end\n%s", r.log)
	}
	return s
}
