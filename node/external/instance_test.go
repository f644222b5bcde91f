// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external"
	"github.com/parley-voice/parley/node/external/hostile"
	"github.com/parley-voice/parley/node/external/protocol"
	"github.com/parley-voice/parley/node/external/sandbox"
)

func polite(tb testing.TB) json.RawMessage {
	tb.Helper()
	return hostile.Config(hostile.Polite, self(tb), "node-hostile")
}

// Events cross, with all that they have, in both directions, audio by its own frames.
func TestEventsCross(t *testing.T) {
	k, log := newKind(t, nil)
	n, h := open(t, k, polite(t), "")
	for i := range int64(100) {
		if err := n.OnEvent(h.context, audio(i*node.FrameSamples)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.OnEvent(h.context, segment("one")); err != nil {
		t.Fatal(err)
	}
	list := h.list()
	if len(list) != 101 || list[100].Text != "one" {
		t.Fatalf("%d events came back: an answer that is not waited for comes later", len(list))
	}
	for i, ev := range list[:100] {
		want := audio(int64(i) * node.FrameSamples)
		if ev.Sample != want.Sample || !slices.Equal(ev.PCM, want.PCM) || ev.Kind != eventabi.KindAudio || ev.Type != node.TypeAudioChunk || ev.Class != eventabi.ClassAudioRaw {
			t.Fatalf("frame %d came back as %+v", i, ev)
		}
	}
	if err := n.Stop(h.context); err != nil {
		t.Error(err)
	}
	if err := n.Stop(h.context); err != nil {
		t.Error(err)
	}
	until(t, "the instance is gone", func() bool { return status(t, k).Instances == 0 })
	if s := status(t, k); s.State != "running" || s.Events != 101 || s.Late != 0 || s.Unknown != 0 || s.OverheadP50 == 0 {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(log.String(), "a node's process has started") {
		t.Error(log)
	}
}

// puppetOn opens a puppet in a turn.
func puppetOn(t *testing.T, k *external.Kind, more map[string]any) (node.Node, *host) {
	t.Helper()
	n, h := open(t, k, testConfig(t, "puppet", more), "turn-1")
	return n, h
}

// does gives a puppet a text.
func does(t *testing.T, n node.Node, h *host, text string) string {
	t.Helper()
	if err := n.OnEvent(h.context, segment(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	list := h.list()
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1].Text
}

func failed(t *testing.T, err error, code, detail string) {
	t.Helper()
	e := (*external.Error)(nil)
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Detail, detail) {
		t.Errorf("got %v, want %s: ... %s", err, code, detail)
	}
}

// Every field of an event comes through, both ways, also of audio that is more than a frame.
func TestFields(t *testing.T) {
	k, _ := newKind(t, nil)
	n, h := puppetOn(t, k, nil)
	want := node.Event{
		Kind: eventabi.KindText, Type: node.TypeSegment, Class: eventabi.ClassPII, At: 7, Invocation: "c1", Index: 3, Sample: 4, Heard: 5,
		Text: "emit ä", Final: true, Protected: true, Attributes: []node.Attribute{{Name: "language", Value: "de"}, {Name: "mood", Value: "calm"}},
		Sync: &node.Sync{ID: "s", Event: "e", Group: "g"},
	}
	if err := n.OnEvent(h.context, &want); err != nil {
		t.Fatal(err)
	}
	sound := audio(320)
	sound.Invocation, sound.Index, sound.Attributes = "c1", 9, []node.Attribute{{Name: "a", Value: "b"}}
	if err := n.OnEvent(h.context, sound); err != nil {
		t.Fatal(err)
	}
	if list := h.list(); len(list) != 2 || !reflect.DeepEqual(list[0], want) || !reflect.DeepEqual(list[1], *sound) {
		t.Errorf("%+v", list)
	}
}

// The context of the contract is there, in the other process.
func TestContext(t *testing.T) {
	k, log := newKind(t, nil)
	n, h := puppetOn(t, k, map[string]any{"config": map[string]any{"greeting": "moin"}})
	for text, want := range map[string]string{
		"now": "42 session-1 turn-1 node-1 false\n", "conversation": "[{user Hello. false   false}]", "greet": "moin",
	} {
		if got := does(t, n, h, text); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
	does(t, n, h, "put kept")
	if got := does(t, n, h, "get"); got != "kept true" || string(h.values["turn-ephemeral/k"]) != "kept" {
		t.Errorf("state: %q %v", got, h.values)
	}
	does(t, n, h, "wake")
	if len(h.wakes) != 1 || h.wakes[0] != 1042 {
		t.Errorf("wakes %v", h.wakes)
	}
	does(t, n, h, "count words")
	does(t, n, h, "print something for people")
	until(t, "it is logged", func() bool { return strings.Contains(log.String(), "something for people") })
	if err := n.(node.BudgetHandler).OnBudgetExhausted(h.context, node.BudgetDegrade); err != nil {
		t.Error(err)
	}
	if c := h.counted(); c["words"] != 2 || c["budget_degrade"] != 1 {
		t.Error(c)
	}
}

// Telemetry injection: the boundary tells of itself, of its overhead, and of what was late.
func TestTelemetryInjection(t *testing.T) {
	k, log := newKind(t, nil)
	n, h := puppetOn(t, k, nil)
	for range 60 {
		does(t, n, h, "emit x")
	}
	_ = n.OnEvent(h.context, segment("fail for the log"))
	c := h.counted()
	if _, there := c["sandbox_overhead_ms"]; !there || c["boundary_process_opened"] != 1 || c["boundary_process_events"] < 50 || c["external_node_error"] != 1 {
		t.Error(c)
	}
	for _, want := range []string{"boundary=process", "node_id=node-1", "session=session-1", "turn=turn-1", "node_type=puppet", "for the log", "level=sandbox"} {
		if best, _ := sandbox.Available(); !strings.Contains(log.String(), want) && (want != "level=sandbox" || best == sandbox.LevelSandbox) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
}

// Credential scope: a child has what the config lists, where programs are, and nothing else of its
// host's environment.
func TestCredentialScope(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "hush")
	t.Setenv("KEY_OF_THE_NODE", "granted")
	k, _ := newKind(t, nil)
	n, h := puppetOn(t, k, map[string]any{"env": []string{"KEY_OF_THE_NODE", "MODE=quick"}})
	env := strings.Split(does(t, n, h, "env"), "\n")
	var names []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		names = append(names, name)
	}
	for _, name := range names {
		if !slices.Contains([]string{"PATH", "LANG", "LC_ALL", "TZ", "PARLEY_NODE_FD", "KEY_OF_THE_NODE", "MODE"}, name) {
			t.Errorf("the child has %s", name)
		}
	}
	if !slices.Contains(env, "KEY_OF_THE_NODE=granted") || !slices.Contains(env, "MODE=quick") {
		t.Error(env)
	}
}

// A panic, an error, an undeclared or a classless event end the instance, and leave the process and
// the others alone as far as the protocol was kept.
func TestInstanceFails(t *testing.T) {
	k, _ := newKind(t, nil)
	other, beside := puppetOn(t, k, nil)
	for text, want := range map[string][2]string{
		"panic at the disco": {protocol.CodeNode, "panic: at the disco"},
		"fail for a reason":  {protocol.CodeNode, "for a reason"},
		"undeclared":         {protocol.CodeViolation, "event.type"},
	} {
		n, h := puppetOn(t, k, nil)
		failed(t, n.OnEvent(h.context, segment(text)), want[0], want[1])
		failed(t, n.OnEvent(h.context, segment("emit x")), want[0], want[1])
		if len(h.list()) != 0 {
			t.Errorf("%s: it emitted %v", text, h.list())
		}
		if err := n.Stop(h.context); err != nil {
			t.Error(err)
		}
	}
	if got := does(t, other, beside, "emit still here"); got != "emit still here" {
		t.Error(got)
	}
	if s := status(t, k); s.Starts != 1 {
		t.Errorf("%+v", s)
	}
	n, h := puppetOn(t, k, nil)
	failed(t, n.OnEvent(h.context, segment("classless")), protocol.CodeViolation, "event.class")
	failed(t, other.OnEvent(beside.context, segment("emit x")), protocol.CodeViolation, "event.class")
}

// What New or Init refuse in the child is refused by Init here.
func TestChildRefuses(t *testing.T) {
	k, _ := newKind(t, nil)
	for refuse, want := range map[string]string{"new": protocol.CodeConfig, "init": protocol.CodeNode} {
		n, err := k.New(testConfig(t, "puppet", map[string]any{"config": map[string]any{"refuse": refuse}}))
		if err != nil {
			t.Fatal(err)
		}
		failed(t, n.Init(newHost(t, "turn-1").context), want, "I was told to refuse")
	}
	until(t, "its instances are gone", func() bool { return status(t, k).Instances == 0 })
}

// Timeout: an event that is not done in time fails its instance; a process that hangs with it is
// replaced, one that goes on serves the others.
func TestTimeout(t *testing.T) {
	k, _ := newKind(t, nil)
	limits := map[string]any{"limits": map[string]any{"time_ms": 200, "cancel_ms": 30000}}
	n, h := puppetOn(t, k, limits)
	pid := status(t, k).PID
	failed(t, n.OnEvent(h.context, segment("sleep")), protocol.CodeTimeout, "limits.time_ms, which is 200")
	if c := h.counted(); c["external_execution_timeout"] != 1 {
		t.Error(c)
	}
	until(t, "the process is gone", func() bool { return gone(pid) })
	next, h2 := puppetOn(t, k, limits)
	if got := does(t, next, h2, "emit anew"); got != "emit anew" {
		t.Error(got)
	}
	if s := status(t, k); s.Restarts != 1 || s.Instances != 1 {
		t.Errorf("%+v", s)
	}
	whole, h3 := puppetOn(t, k, map[string]any{"limits": map[string]any{"wall_ms": 100}})
	until(t, "its life is over", func() bool { return whole.OnEvent(h3.context, segment("emit x")) != nil })
	failed(t, whole.OnEvent(h3.context, segment("emit x")), protocol.CodeTimeout, "limits.wall_ms")
}

// Cancel relay: the event in hand is given up, the hooks run there, what comes after is late.
func TestCancelRelay(t *testing.T) {
	k, _ := newKind(t, nil)
	n, h := puppetOn(t, k, nil)
	does(t, n, h, "later")
	waits := make(chan error, 1)
	go func() { waits <- n.OnEvent(h.context, segment("wait")) }()
	until(t, "it is under way", func() bool { return status(t, k).Events == 2 })
	c := node.Cancel{Scope: eventabi.CancelTurn, Reason: "barge_in"}
	h.context.Cancel.Trip(c)
	if err := <-waits; err != nil {
		t.Errorf("an event that is given up is no failure: %v", err)
	}
	if err := n.(node.BargeInHandler).OnBargeIn(h.context); err != nil {
		t.Error(err)
	}
	if err := n.OnCancel(h.context, c); err != nil {
		t.Error(err)
	}
	until(t, "the late work has ended", func() bool { return h.counted()["said_late"] == 1 })
	if err := n.OnEvent(h.context, segment("emit x")); err != nil {
		t.Error(err)
	}
	if got := h.counted(); got["barge_in"] != 1 || got["cancel_turn_barge_in"] != 1 {
		t.Error(got)
	}
	if len(h.list()) != 0 {
		t.Errorf("it emitted %v", h.list())
	}
	if s := status(t, k); s.Late == 0 { // what came after the cancel
		t.Errorf("%+v", s)
	}
	if err := n.Stop(h.context); err != nil {
		t.Error(err)
	}
}

// A cancel that is not answered in time is a failure.
func TestCancelTimesOut(t *testing.T) {
	k, _ := newKind(t, nil)
	n, h := puppetOn(t, k, map[string]any{"limits": map[string]any{"cancel_ms": 50, "time_ms": 5000}})
	go func() { _ = n.OnEvent(h.context, segment("sleep")) }()
	until(t, "it is under way", func() bool { return status(t, k).Events == 1 })
	h.context.Cancel.Trip(node.Cancel{Scope: eventabi.CancelTurn})
	failed(t, n.OnCancel(h.context, node.Cancel{Scope: eventabi.CancelTurn}), protocol.CodeTimeout, "no cancelled in time")
}

// Credits: a window is never passed, and who has none left waits, however slow the node is.
func TestCredits(t *testing.T) {
	k, _ := newKind(t, nil)
	n, h := puppetOn(t, k, nil)
	const slow = int64(5_000_000) // as a sample: the puppet sleeps that long
	for range 20 {
		if err := n.OnEvent(h.context, audio(slow)); err != nil {
			t.Fatal(err)
		}
	}
	settles(t, n)
	if s := status(t, k); s.Events != 20 || s.Late != 0 {
		t.Errorf("%+v", s)
	}
}

// Concurrency and queue: so many are open, so many wait, the next is refused before dispatch.
func TestConcurrencyLimit(t *testing.T) {
	k, _ := newKind(t, nil)
	config := testConfig(t, "puppet", map[string]any{"limits": map[string]any{"concurrency": 1, "queue": 1, "cancel_ms": 30000, "time_ms": 5000}})
	first, h := open(t, k, config, "turn-1")
	opened := make(chan error, 1)
	second, err := k.New(config)
	if err != nil {
		t.Fatal(err)
	}
	h2 := newHost(t, "turn-2")
	go func() { opened <- second.Init(h2.context) }()
	until(t, "it waits", func() bool { return status(t, k).Queue == 1 })
	third, err := k.New(config)
	if err != nil {
		t.Fatal(err)
	}
	err = third.Init(newHost(t, "turn-3").context)
	failed(t, err, protocol.CodeLimit, "1 instances are open and 1 wait")
	if e := (*external.Error)(nil); !errors.As(err, &e) || e.Class() != "overload" {
		t.Errorf("class of %v", err)
	}
	if s := status(t, k); s.Instances != 1 || s.Events != 0 {
		t.Errorf("%+v", s)
	}
	if err := first.Stop(h.context); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
	h4 := newHost(t, "turn-4") // who gives up waiting takes no place
	fourth, err := k.New(config)
	if err != nil {
		t.Fatal(err)
	}
	go func() { opened <- fourth.Init(h4.context) }()
	until(t, "it waits", func() bool { return status(t, k).Queue == 1 })
	h4.context.Cancel.Trip(node.Cancel{Reason: "node_failure"})
	if err := <-opened; err == nil {
		t.Error("it was opened")
	}
	if s := status(t, k); s.Queue != 0 || s.Instances != 1 {
		t.Errorf("%+v", s)
	}
}

// Audio costs the host no allocation.
func TestAudioAllocatesNothing(t *testing.T) {
	k, _ := newKind(t, nil)
	quick := map[string]any{}
	if err := json.Unmarshal(polite(t), &quick); err != nil {
		t.Fatal(err)
	}
	quick["limits"] = map[string]any{"output_bytes_per_s": 1 << 30, "cpu_units": 8000}
	n, h := open(t, k, config(t, quick), "")
	got, tooLong := make(chan int16, 1), time.After(patience)
	h.context.Out = func(ev *node.Event) { got <- ev.PCM[0] }
	frame := audio(0)
	trip := func() {
		if err := n.OnEvent(h.context, frame); err != nil {
			panic(err)
		}
		select {
		case <-got:
		case <-tooLong:
			panic("the frame did not come back")
		}
	}
	for range 100 {
		trip()
	}
	if allocs := testing.AllocsPerRun(2000, trip); allocs >= 0.2 { // the watch looks on now and then
		t.Errorf("%.2f allocations a frame", allocs)
	}
}
