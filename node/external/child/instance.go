// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
)

// instance is one node with the goroutine that its hooks run on.
type instance struct {
	server  *server
	number  uint32
	node    node.Node
	context node.Context
	config  json.RawMessage
	turn    bool
	hard    bool

	mu       sync.Mutex
	events   ring
	controls []control
	failed   bool
	urge     chan struct{} // there is something to do; one waits

	current  atomic.Uint64 // sequence of the event at hand; 0 = none is
	open     atomic.Int32  // uses of Later for it that are not done
	began    time.Time     // its beginning; of the run's goroutine
	muted    atomic.Bool   // its turn is over: what it emits is discarded
	deadline atomic.Int64  // of the budget at hand, of the host's clock; 0 = there is none

	clock clock
}

type control struct {
	message *protocol.Message
	answer  string
	back    []uint64 // events that are given back unworked
}

// item is an event that waits; its samples are its own.
type item struct {
	seq    uint64
	budget int64 // milliseconds, negative = none
	event  node.Event
	pcm    []int16
}

// ring holds the events that wait, at most as many as there are credits, and reuses their room.
type ring struct {
	items       []item
	first, size int
}

func (r *ring) push() *item {
	if r.size == len(r.items) {
		return nil
	}
	i := &r.items[(r.first+r.size)%len(r.items)]
	r.size++
	return i
}

// pop swaps the oldest with what into holds.
func (r *ring) pop(into *item) bool {
	if r.size == 0 {
		return false
	}
	i := &r.items[r.first]
	*i, *into = *into, *i
	r.first = (r.first + 1) % len(r.items)
	r.size--
	return true
}

func newInstance(s *server, m *protocol.Message) *instance {
	i := &instance{
		server: s, number: m.Instance, config: m.Config, turn: m.Turn != "", hard: s.about.Mode != node.CancelSoft, urge: make(chan struct{}, 1),
		events: ring{items: make([]item, s.credits)},
	}
	at := int64(0)
	if m.At != nil {
		at = *m.At
	}
	i.clock.tell(at)
	i.context = node.Context{
		Session: m.Session, Turn: m.Turn, Node: m.Node, Cancel: node.NewCancelToken(context.Background()),
		Budget: (*budget)(i), Timebase: (*timebase)(i), State: (*state)(i), Telemetry: (*telemetry)(i), Out: i.emit,
		Hold: i.hold,
	}
	if m.Seed != nil {
		i.context.Determinism = newChance(*m.Seed)
	}
	return i
}

// run is the instance's life.
func (i *instance) run() {
	if !i.begin() {
		return
	}
	var at item
	for {
		i.mu.Lock()
		var c control
		controls := len(i.controls) > 0
		if controls {
			c = i.controls[0]
			i.controls = slices.Delete(i.controls, 0, 1)
		}
		busy := i.current.Load() != 0
		event := !controls && !busy && i.events.pop(&at)
		i.mu.Unlock()
		switch {
		case controls:
			if i.obey(c) {
				return
			}
		case busy && i.settled():
			i.done(nil)
		case event:
			i.work(&at)
		default:
			<-i.urge
		}
	}
}

// begin makes the node and runs Init and Start.
func (i *instance) begin() bool {
	hook := "new"
	err := protect(func() (err error) {
		if i.node, err = i.server.kind.New(i.config); err != nil {
			return &protocol.Error{Code: protocol.CodeConfig, Message: err.Error()}
		}
		i.clock.stand(true)
		hook = "init"
		if err := i.node.Init(&i.context); err != nil {
			return err
		}
		hook = "start"
		return i.node.Start(&i.context)
	})
	i.clock.stand(false)
	if err != nil {
		i.server.forget(i.number)
		i.context.Cancel.Release()
		e := failure(err)
		_ = i.server.send(&protocol.Message{Type: protocol.TypeFailed, Instance: i.number, Hook: hook, Code: e.Code, Message: e.Message})
		return false
	}
	_ = i.server.send(&protocol.Message{Type: protocol.TypeOpened, Instance: i.number, Credits: i.server.credits}) // the reader finds out
	return true
}

// protect makes an error of a panic.
func protect(hook func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return hook()
}

func failure(err error) *protocol.Error {
	e := &protocol.Error{}
	if errors.As(err, &e) {
		return e
	}
	text := err.Error()
	return &protocol.Error{Code: protocol.CodeNode, Message: text[:min(len(text), 4096)]}
}

// room is where the next event goes; nil = nothing is taken. The lock is held.
func (i *instance) room() *item {
	if i.failed {
		return nil
	}
	return i.events.push()
}

// deliverAudio queues an audio event. It runs where frames are read.
func (i *instance) deliverAudio(a *protocol.Audio) {
	i.clock.tell(a.At)
	i.mu.Lock()
	at := i.room()
	if at == nil {
		i.mu.Unlock()
		_ = i.server.sendDone(protocol.Done{Instance: i.number, Sequence: a.Sequence})
		return
	}
	at.seq, at.budget, at.pcm = a.Sequence, -1, append(at.pcm[:0], a.PCM...)
	at.event = node.Event{
		Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, At: node.Instant(a.At), Sample: a.Sample,
		Final: a.Final, Protected: a.Protected, PCM: at.pcm,
	}
	i.mu.Unlock()
	i.wake()
}

// deliver queues any other event.
func (i *instance) deliver(m *protocol.Message) error {
	var ev node.Event
	if err := m.Event.ToEvent(&ev); err != nil {
		return err
	}
	i.clock.tell(int64(ev.At))
	i.mu.Lock()
	at := i.room()
	if at == nil {
		i.mu.Unlock()
		return i.server.send(&protocol.Message{Type: protocol.TypeDone, Instance: i.number, Seq: m.Seq})
	}
	at.seq, at.budget, at.event = m.Seq, -1, ev
	if m.BudgetMS != nil {
		at.budget = *m.BudgetMS
	}
	i.mu.Unlock()
	i.wake()
	return nil
}

// control queues a control message, ahead of events. A cancel takes effect here already.
func (i *instance) control(m *protocol.Message, answer string) {
	switch {
	case m.Type == protocol.TypeBargeIn && i.turn: // the cancel that follows waits for the hook in hand
		i.trip(node.Cancel{Scope: eventabi.CancelTurn, Reason: "barge_in"})
	case m.Type == protocol.TypeCancel && m.Scope != eventabi.CancelInvocation && (i.turn || m.Scope != eventabi.CancelTurn):
		i.trip(node.Cancel{Scope: m.Scope, Invocation: m.Invocation, Reason: m.Reason})
	}
	i.mu.Lock()
	c := control{message: m, answer: answer}
	if m.Type == protocol.TypeCancel || m.Type == protocol.TypeBargeIn || m.Type == protocol.TypeStop {
		var at item
		for i.events.pop(&at) {
			c.back = append(c.back, at.seq)
		}
	}
	i.controls = append(i.controls, c)
	i.mu.Unlock()
	i.wake()
}

// trip says at once that the scope is over.
func (i *instance) trip(c node.Cancel) {
	if i.hard && i.turn {
		i.muted.Store(true)
	}
	i.context.Cancel.Trip(c)
}

func (i *instance) wake() {
	select {
	case i.urge <- struct{}{}:
	default:
	}
}

// work gives the node one event.
func (i *instance) work(at *item) {
	i.began = time.Now()
	if i.broken() {
		_ = i.server.sendDone(protocol.Done{Instance: i.number, Sequence: at.seq})
		return
	}
	i.current.Store(at.seq)
	i.clock.set(int64(at.event.At))
	i.clock.stand(true)
	if at.budget >= 0 {
		i.deadline.Store(max(1, i.clock.now()+at.budget*int64(time.Millisecond)))
	}
	err := i.event(at)
	i.clock.stand(false)
	if err != nil || i.settled() {
		i.done(err)
	}
}

// settled says that nothing keeps the event at hand open: it never was kept, or its node is
// done, or has nobody any more to be done for.
func (i *instance) settled() bool {
	_, over := i.context.Cancel.Cancelled()
	return over || i.open.Load() <= 0
}

// hold keeps the event at hand open.
func (i *instance) hold() (done func()) {
	seq := i.current.Load()
	i.open.Add(1)
	return sync.OnceFunc(func() {
		if i.open.Add(-1) == 0 && i.current.Load() == seq {
			i.wake()
		}
	})
}

// done gives the event at hand back.
func (i *instance) done(err error) {
	seq := i.current.Swap(0)
	i.deadline.Store(0)
	took := uint32(min(time.Since(i.began).Microseconds(), math.MaxUint32))
	if err == nil {
		_ = i.server.sendDone(protocol.Done{Instance: i.number, Sequence: seq, TookUS: took}) // the reader finds out
		return
	}
	i.fail()
	_ = i.server.send(&protocol.Message{Type: protocol.TypeDone, Instance: i.number, Seq: seq, TookUS: took, Error: failure(err)})
}

// event is protect for the hot path: without a closure.
func (i *instance) event(at *item) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return i.node.OnEvent(&i.context, &at.event)
}

func (i *instance) broken() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.failed
}

// fail ends the node's part; the host still has a word to say.
func (i *instance) fail() {
	i.mu.Lock()
	i.failed = true
	i.mu.Unlock()
	i.context.Cancel.Trip(node.Cancel{Reason: "node_failure"})
}

// obey runs the hook of a control message and answers it. It says whether that was the last.
func (i *instance) obey(c control) (last bool) {
	m := c.message
	last = m.Type == protocol.TypeStop
	if i.current.Load() != 0 && i.settled() {
		i.done(nil)
	}
	for _, seq := range c.back {
		_ = i.server.sendDone(protocol.Done{Instance: i.number, Sequence: seq}) // the reader finds out
	}
	if !i.broken() {
		i.clock.set(i.clock.now())
		i.clock.stand(true)
		err := protect(func() error { return i.hook(m) })
		i.clock.stand(false)
		if err != nil {
			i.fail()
			e := failure(err)
			_ = i.server.send(&protocol.Message{Type: protocol.TypeFailed, Instance: i.number, Hook: m.Type, Code: e.Code, Message: e.Message})
		}
	}
	if last {
		i.muted.Store(true)
		i.server.forget(i.number)
		i.context.Cancel.Release()
	}
	_ = i.server.send(&protocol.Message{Type: c.answer, Instance: i.number}) // the reader finds out
	return last
}

func (i *instance) hook(m *protocol.Message) error {
	switch m.Type {
	case protocol.TypeBargeIn:
		if b, ok := i.node.(node.BargeInHandler); ok {
			return b.OnBargeIn(&i.context)
		}
	case protocol.TypeCancel:
		return i.node.OnCancel(&i.context, node.Cancel{Scope: m.Scope, Invocation: m.Invocation, Reason: m.Reason})
	case protocol.TypeBudget:
		if b, ok := i.node.(node.BudgetHandler); ok {
			return b.OnBudgetExhausted(&i.context, m.Outcome)
		}
	case protocol.TypeStop:
		return i.node.Stop(&i.context)
	}
	return nil
}

// emit sends what the node emits, from any goroutine. What the host cannot be sent is lost with it.
func (i *instance) emit(ev *node.Event) {
	if i.muted.Load() {
		return
	}
	seq := i.current.Load()
	if protocol.Plain(ev) {
		_ = i.server.sendAudio(&protocol.Audio{
			Instance: i.number, Sequence: seq, At: int64(ev.At), Sample: ev.Sample, Final: ev.Final, Protected: ev.Protected, PCM: ev.PCM,
		})
		return
	}
	if err := i.server.send(&protocol.Message{Type: protocol.TypeEmit, Instance: i.number, Seq: seq, Event: protocol.FromEvent(ev)}); err != nil {
		_ = i.server.send(&protocol.Message{Type: protocol.TypeLog, Instance: i.number, Level: "error", Message: "an event was not sent: " + err.Error()})
	}
}

// chance draws from the seed's generator.
type chance struct {
	seed   int64
	mu     sync.Mutex
	random *rand.PCG
}

func newChance(seed int64) *chance {
	return &chance{seed: seed, random: rand.NewPCG(uint64(seed), 0x9e3779b97f4a7c15)}
}

func (c *chance) Seed() int64 { return c.seed }

func (c *chance) Uint64() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Uint64()
}
