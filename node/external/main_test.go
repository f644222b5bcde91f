// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external"
	"github.com/parley-voice/parley/node/external/hostile"
	"github.com/parley-voice/parley/node/external/sandbox"
)

// TestMain is the program of every child as well: the test starts itself.
func TestMain(m *testing.M) {
	what := ""
	if len(os.Args) == 3 {
		what = os.Args[1]
	}
	var err error
	switch what {
	case "node-exec":
		err = sandbox.Exec(os.Args[2:])
	case "node-hostile":
		err = hostile.Run(os.Args[2])
	case "node-test":
		err = runTestNode(os.Args[2])
	case "node-host":
		err = runHost()
	default:
		m.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func self(tb testing.TB) string {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// logged collects what is logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newKind makes a kind with a launcher that is closed with the test.
func newKind(tb testing.TB, change func(*external.Options)) (*external.Kind, *logged) {
	tb.Helper()
	log := &logged{}
	o := external.Options{
		Launcher: []string{self(tb), "node-exec"}, Backoff: time.Millisecond, BackoffMax: 10 * time.Millisecond, CircuitAfter: 1000,
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	if change != nil {
		change(&o)
	}
	k := external.New(o)
	tb.Cleanup(func() { k.Close() })
	return k, log
}

// host is the host of one instance: what it emits, counts and asks for.
type host struct {
	context *node.Context

	mu      sync.Mutex
	emitted []node.Event
	counts  map[string]int64
	wakes   []node.Instant
	values  map[string][]byte
	changed chan struct{}
}

func newHost(tb testing.TB, turn eventabi.TurnID) *host {
	tb.Helper()
	h := &host{counts: map[string]int64{}, values: map[string][]byte{}, changed: make(chan struct{}, 1)}
	h.context = &node.Context{
		Session: "session-1", Turn: turn, Node: "node-1", Cancel: node.NewCancelToken(tb.Context()), Budget: h, Timebase: h, State: h, Telemetry: h,
		Out: h.take,
	}
	return h
}

func (h *host) note() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

func (h *host) take(ev *node.Event) {
	kept := *ev
	kept.PCM = slices.Clone(ev.PCM)
	h.mu.Lock()
	h.emitted = append(h.emitted, kept)
	h.mu.Unlock()
	h.note()
}

func (*host) RemainingMS() int64 { return -1 }
func (*host) Now() node.Instant  { return 42 }
func (h *host) WakeAt(at node.Instant) {
	h.mu.Lock()
	h.wakes = append(h.wakes, at)
	h.mu.Unlock()
	h.note()
}

func (h *host) Count(name string, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[name] += n
	h.note()
}

func (h *host) Get(class node.StateClass, key string) ([]byte, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.values[string(class)+"/"+key]
	return v, ok
}

func (h *host) Put(class node.StateClass, key string, value []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values[string(class)+"/"+key] = slices.Clone(value)
	return nil
}

func (*host) Conversation() []node.Message { return []node.Message{{Role: "user", Text: "Hello."}} }

func (h *host) list() []node.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.emitted)
}

func (h *host) counted() map[string]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.counts)
}

// patience is how long a test waits for what must come.
const patience = time.Minute

// until waits for a condition.
func until(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// open makes an instance and starts it.
func open(tb testing.TB, k *external.Kind, config json.RawMessage, turn eventabi.TurnID) (node.Node, *host) {
	tb.Helper()
	n, err := k.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	h := newHost(tb, turn)
	if err := n.Init(h.context); err != nil {
		tb.Fatal(err)
	}
	if err := n.Start(h.context); err != nil {
		tb.Fatal(err)
	}
	return n, h
}

func audio(sample int64) *node.Event {
	pcm := make([]int16, node.FrameSamples)
	for i := range pcm {
		pcm[i] = int16(sample) + int16(i)
	}
	return &node.Event{Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, Sample: sample, PCM: pcm}
}

func segment(text string) *node.Event {
	return &node.Event{Kind: eventabi.KindText, Type: node.TypeSegment, Class: eventabi.ClassTextRaw, Text: text, At: 42}
}

// status is that of the only process.
func status(tb testing.TB, k *external.Kind) external.Status {
	tb.Helper()
	list := k.Status()
	if len(list) != 1 {
		tb.Fatalf("%d processes: %+v", len(list), list)
	}
	return list[0]
}
