// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"fmt"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// workNode is the instance of one work node of the session's graph: of a turn, or of the
// session for a dead letter node of that scope. The kernel hands it one item at a time, and
// counts its time itself.
type workNode struct {
	s        *Session
	turn     eventabi.TurnID // empty in session scope
	id       eventabi.NodeID
	answers  bool // the kernel waits for what it gives
	instance *nodehost.Instance

	mu    sync.Mutex
	box   []letter
	item  int64 // that is in hand, 0 = none
	index int64 // of the next output for it
	open  *held // the item in hand stays there until this is done; nil = until its hook returns
}

// held is an item that its node answers later.
type held struct {
	uses int // that are not done
	over chan struct{}
	stop func() // takes the timer back
}

// letter is an item on its way to its node.
type letter struct {
	item  int64
	event node.Event
}

// maxBox bounds what waits for a node that nobody waits for; more is let go.
const maxBox = 64

// newWorkNode makes the instance of a node. It fails where the kind does not make one.
func (g *graph) newWorkNode(n *kernelgraph.Node, t *turnNodes) (*workNode, error) {
	s := g.s
	kind, err := s.settings.Kinds.Lookup(n.Type)
	if err != nil {
		return nil, err
	}
	made, err := kind.New(s.settings.Graph.Configs[n.ID])
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.ID, err)
	}
	x := &workNode{s: s, id: n.ID, answers: n.Role == kernelgraph.RoleWork}
	limits := s.settings.limits(n.ID)
	if n.BudgetMS > 0 {
		limits.Event = time.Duration(n.BudgetMS) * time.Millisecond
	}
	set := g.hosting(made, n.ID, t, x.emit, g.nodeFailed)
	set.Limits, set.Spent = limits, nil
	if x.answers {
		set.Hold = x.hold
	}
	if t != nil {
		x.turn = t.turn
	}
	if x.instance, err = nodehost.New(set); err != nil {
		return nil, err
	}
	x.instance.Feed(x.pull)
	return x, nil
}

// work hands an item to its node.
func (g *graph) work(e *session.Work) {
	n := g.s.settings.Graph.node(e.Node)
	if n == nil || !ofKind(n) {
		return
	}
	ev := node.Event{
		Kind: eventabi.KindText, Type: node.Type(e.Type), Class: eventabi.ClassTextRaw, At: node.Instant(g.s.exec.Now()),
		Index: e.Index, Text: g.s.content.text(e.Text), Final: true, Protected: e.Protected, Attributes: attributesOut(e.Attributes),
	}
	if n.Role == kernelgraph.RoleDeadLetter {
		ev.Kind, ev.Class, ev.Text = eventabi.KindError, eventabi.ClassMetadata, ""
	}
	if x := g.worker(n, e.Turn); x != nil {
		x.put(letter{item: e.Item, event: ev})
	}
}

// worker gives the instance of a node, made on first use. One that cannot be made has failed.
func (g *graph) worker(n *kernelgraph.Node, id eventabi.TurnID) *workNode {
	if n.Scope == kernelgraph.ScopeSession {
		if g.letters == nil && !g.isClosed() {
			g.letters = g.madeWorker(n, nil, "")
		}
		return g.letters
	}
	t := g.nodes(id)
	x, tried := t.work[n.ID]
	if !tried {
		x = g.madeWorker(n, t, id)
		t.add(func() {
			if t.work == nil {
				t.work = map[eventabi.NodeID]*workNode{}
			}
			t.work[n.ID] = x
		})
	}
	return x
}

func (g *graph) madeWorker(n *kernelgraph.Node, t *turnNodes, id eventabi.TurnID) *workNode {
	x, err := g.newWorkNode(n, t)
	if err != nil {
		g.nodeFailed(nodehost.Failure{Node: n.ID, Turn: id, Reason: nodehost.ReasonError, Hook: "init", Detail: err.Error()})
		return nil
	}
	return x
}

func (x *workNode) put(j letter) {
	x.mu.Lock()
	full := len(x.box) >= maxBox
	if !full {
		x.box = append(x.box, j)
	}
	x.mu.Unlock()
	if full {
		x.s.meter.count(x.id, "dead_letters_dropped", 1)
		return
	}
	x.instance.Kick()
}

// hold keeps the item in hand there until done is called.
func (x *workNode) hold() (done func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.item == 0 {
		return func() {} // nothing is in hand: there is nothing to answer
	}
	if x.open == nil {
		x.open = &held{over: make(chan struct{})}
		limit := x.s.settings.limits(x.id).WithDefaults().EventHard
		if exec := x.s.exec; !exec.Virtual() {
			x.open.stop = exec.After(exec.Now().Add(timebase.Span(limit)), x.instance.Overdue)
		}
	}
	h := x.open
	h.uses++
	return sync.OnceFunc(func() { x.settle(h) })
}

// settle ends one use of an item that was held, and with the last one goes on.
func (x *workNode) settle(h *held) {
	x.mu.Lock()
	h.uses--
	last := h.uses == 0
	if last {
		x.open = nil
		close(h.over)
		if h.stop != nil {
			h.stop()
		}
	}
	x.mu.Unlock()
	if last {
		x.instance.Kick()
	}
}

// isOpen says that the item in hand is not done. Virtual time stands still while a node works,
// so there the wait is here, as long as the node may take.
func (x *workNode) isOpen() bool {
	x.mu.Lock()
	h := x.open
	x.mu.Unlock()
	if h == nil || !x.s.exec.Virtual() {
		return h != nil
	}
	limit := time.NewTimer(x.s.settings.limits(x.id).WithDefaults().EventHard)
	defer limit.Stop()
	select {
	case <-h.over:
		return false
	case <-limit.C:
		x.instance.Overdue()
	case <-x.instance.Dead():
	}
	return true
}

// pull gives the node its next item. That it asks says that the one before is done, if it
// holds that no longer.
func (x *workNode) pull(ev *node.Event) bool {
	if x.isOpen() {
		return false
	}
	x.mu.Lock()
	done := x.item
	x.item = 0
	more := len(x.box) > 0
	if more {
		*ev = x.box[0].event
		x.item, x.index = x.box[0].item, 0
		x.box = append(x.box[:0], x.box[1:]...)
	}
	x.mu.Unlock()
	if done != 0 && x.answers {
		x.s.post(&session.NodeDone{Node: x.id, Turn: x.turn, Item: done})
	}
	return more
}

// emit takes what the node gives. What it gives while it has nothing in hand answers nothing,
// and the kernel refuses it.
func (x *workNode) emit(ev *node.Event) {
	if !x.answers {
		return
	}
	x.mu.Lock()
	item, index := x.item, x.index
	x.index++
	x.mu.Unlock()
	x.s.post(&session.NodeOutput{
		Node: x.id, Turn: x.turn, Item: item, Index: index, Type: string(ev.Type), Text: x.s.describe(ev.Text),
		Protected: ev.Protected, Attributes: attributesIn(ev.Attributes),
	})
}

// flooded fails a node that gives more than its session can take.
func (g *graph) flooded(in *session.NodeOutput) {
	g.nodeFailed(nodehost.Failure{
		Node: in.Node, Turn: in.Turn, Reason: nodehost.ReasonError, Hook: "on_event", Detail: "it gives more than the session takes",
	})
}

// or gives the node that a call is for, or what stands for it without a graph.
func or(id, otherwise eventabi.NodeID) eventabi.NodeID {
	if id != "" {
		return id
	}
	return otherwise
}

// prompted puts the system prompt of a model with one of its own in place of the session's.
func (s *Session) prompted(id eventabi.NodeID, prompt []node.Message) []node.Message {
	b, _ := s.settings.modelOf(id)
	if b.SystemPrompt == "" {
		return prompt
	}
	own := node.Message{Role: string(session.ItemSystem), Text: b.SystemPrompt}
	if len(prompt) > 0 && prompt[0].Role == own.Role && s.talk.instructed() {
		return append([]node.Message{own}, prompt[1:]...)
	}
	return append([]node.Message{own}, prompt...)
}

// about adds the language of the caller's words to what they say of themselves.
func (s *Session) about(list []kernelgraph.Attribute) []kernelgraph.Attribute {
	language := s.language()
	for i := range list {
		if list[i].Name == node.AttributeLanguage {
			return list
		}
	}
	if language == "" {
		return list
	}
	return append(list, kernelgraph.Attribute{Name: node.AttributeLanguage, Value: language})
}

// attributesOut are an item's attributes as its node gets them.
func attributesOut(list []kernelgraph.Attribute) []node.Attribute {
	if len(list) == 0 {
		return nil
	}
	out := make([]node.Attribute, len(list))
	for i, a := range list {
		out[i] = node.Attribute{Name: a.Name, Value: a.Value}
	}
	return out
}

// attributesIn are those that a node gives, as many as there may be.
func attributesIn(list []node.Attribute) []kernelgraph.Attribute {
	if len(list) == 0 {
		return nil
	}
	in := make([]kernelgraph.Attribute, min(len(list), node.MaxAttributes))
	for i := range in {
		in[i] = kernelgraph.Attribute{Name: list[i].Name, Value: list[i].Value}
	}
	return in
}

// models are the language models that serve a node's calls, in their order; a node without
// its own has the session's.
func (s *Settings) models(id eventabi.NodeID) []provider.LLM {
	if b, own := s.modelOf(id); own {
		if b.Second != nil {
			return []provider.LLM{b.LLM, b.Second}
		}
		return []provider.LLM{b.LLM}
	}
	return s.Providers.LLMs()
}

// modelOf gives the binding of a model; own says that it has a provider of its own.
func (s *Settings) modelOf(id eventabi.NodeID) (b ModelBinding, own bool) {
	if s.Graph != nil && id != "" {
		b = s.Graph.Models[id]
	}
	return b, b.LLM != nil
}

// voices are the synthesisers.
func (s *Settings) voices(id eventabi.NodeID) []provider.TTS {
	if b, own := s.voiceOf(id); own && b.TTS != nil {
		if b.Second != nil {
			return []provider.TTS{b.TTS, b.Second}
		}
		return []provider.TTS{b.TTS}
	}
	return s.Providers.TTSs()
}

// voiceOf gives the binding of a synthesiser; own says that it has anything of its own.
func (s *Settings) voiceOf(id eventabi.NodeID) (b VoiceBinding, own bool) {
	if s.Graph != nil && id != "" {
		b, own = s.Graph.Voices[id]
	}
	return b, own
}

// model gives the instance that a call of a model is for: the turn's, or that of a node with
// a binding of its own. Nil where it could not be made.
func (t *turnNodes) model(id eventabi.NodeID) *nodehost.Instance {
	s := &t.graph.s.settings
	b, own := s.modelOf(id)
	if !own && b.Config == nil {
		return t.llm
	}
	if i, tried := t.models[id]; tried {
		return i
	}
	i := t.made(invocation.NewLLMNode(t.graph.calls, s.models(id), t.modelConfig(b.Config)), id, t.text, nil)
	t.add(func() {
		if t.models == nil {
			t.models = map[eventabi.NodeID]*nodehost.Instance{}
		}
		t.models[id] = i
	})
	return i
}

// modelConfig is what the prompts of a model carry: its own, or the session's.
func (t *turnNodes) modelConfig(own *invocation.LLMConfig) invocation.LLMConfig {
	c := t.graph.s.settings.LLM
	if own != nil {
		c = *own
	}
	for i := range t.tools {
		c.Tools = append(c.Tools, providerTool(t.tools[i]))
	}
	return c
}

// voice is a synthesiser of a turn.
type voice struct {
	instance *nodehost.Instance
	node     *invocation.TTSNode
	fixed    bool // it speaks as its binding says, whatever the client wishes
}

// speaker gives the synthesiser that a call is for.
func (t *turnNodes) speaker(id eventabi.NodeID) *voice {
	g := t.graph
	b, own := g.s.settings.voiceOf(id)
	if !own {
		return &t.tts
	}
	if v, tried := t.voices[id]; tried {
		return v
	}
	c := invocation.TTSConfig{Voice: b.Voice, Language: b.Language, Rate: b.Rate}
	fixed := c != (invocation.TTSConfig{})
	if c == (invocation.TTSConfig{}) && b.TTS == nil {
		c = g.s.settings.ttsConfig()
	}
	v := &voice{node: invocation.NewTTSNode(g.calls, g.s.settings.voices(id), c), fixed: fixed}
	v.instance = t.made(v.node, id, t.speech, nil)
	if g.lowered(t.turn, turn.SimplifyTTS) {
		v.node.Plain()
	}
	t.add(func() {
		if t.voices == nil {
			t.voices = map[eventabi.NodeID]*voice{}
		}
		t.voices[id] = v
	})
	return v
}

// add changes what instances there are; hooks are asked for from other goroutines.
func (t *turnNodes) add(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}
