// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// turnNodes are the turn-scoped instances of one turn. They are made when the model is
// first asked, and stopped when the turn closes.
type turnNodes struct {
	graph     *graph
	turn      eventabi.TurnID
	seed      int64 // of the turn's determinism context
	llm       *nodehost.Instance
	segmenter *nodehost.Instance
	tts       *nodehost.Instance

	mu       sync.Mutex
	prompt   []node.Message
	attempts map[eventabi.InvocationID]int64
}

// nodes gives the instances of a turn, made on first use. On a failure nothing of the
// turn can run, which is reported as the failure of the node.
func (g *graph) nodes(turn eventabi.TurnID) *turnNodes {
	g.mu.Lock()
	t := g.turn
	g.mu.Unlock()
	if t != nil && t.turn == turn {
		return t
	}
	if t != nil {
		t.stop()
	}
	t = &turnNodes{graph: g, turn: turn, seed: g.seed, attempts: map[eventabi.InvocationID]int64{}}
	if f := t.build(); f != nil {
		t.stop() // those that were made before the one that failed
		g.nodeFailed(*f)
		return nil
	}
	g.mu.Lock()
	g.turn = t
	g.mu.Unlock()
	return t
}

func (t *turnNodes) build() *nodehost.Failure {
	g := t.graph
	s := &g.s.settings
	refuse := func(id eventabi.NodeID, err error) *nodehost.Failure {
		return &nodehost.Failure{Node: id, Turn: t.turn, Reason: nodehost.ReasonError, Hook: "init", Detail: err.Error()}
	}
	cutter, err := s.Segmenter()
	if err != nil {
		return refuse(nodeSegmenter, err)
	}
	if t.segmenter, err = g.host(cutter, nodeSegmenter, t, t.segment, g.nodeFailed); err != nil {
		return refuse(nodeSegmenter, err)
	}
	llm := invocation.NewLLMNode(g.calls, s.Providers.LLM, s.LLM)
	if t.llm, err = g.host(llm, nodeLLM, t, t.text, g.nodeFailed); err != nil {
		return refuse(nodeLLM, err)
	}
	tts := invocation.NewTTSNode(g.calls, s.Providers.TTS, invocation.TTSConfig{Voice: s.Voice, Language: s.Language, Rate: s.Rate})
	if t.tts, err = g.host(tts, nodeTTS, t, t.speech, g.nodeFailed); err != nil {
		return refuse(nodeTTS, err)
	}
	return nil
}

// conversation is the record as it stood when the model was asked.
func (t *turnNodes) conversation() []node.Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.prompt
}

func (t *turnNodes) begin(id eventabi.InvocationID, attempt int64) {
	t.mu.Lock()
	t.attempts[id] = attempt
	t.mu.Unlock()
}

func (t *turnNodes) attempt(id eventabi.InvocationID) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.attempts[id]
}

// respond asks the model.
func (g *graph) respond(e *session.Generate) {
	s := g.s
	prompt := s.talk.Prompt()
	r := request(e.Invocation, e.Turn, e.Attempt, e.TimeoutMS, s.settings.Providers.LLM.Descriptor(), s.settings.invocationTimeout())
	for i := range prompt {
		r.InputBytes += int64(len(prompt[i].Text))
	}
	call := g.begin(r)
	t := g.nodes(e.Turn)
	if call == nil || t == nil {
		return
	}
	t.begin(e.Invocation, e.Attempt)
	t.mu.Lock()
	t.prompt = prompt
	t.mu.Unlock()
	s.exec.Go(func() {
		if !t.llm.Call(&node.Event{
			Kind: eventabi.KindControl, Type: node.TypeRespond, Class: eventabi.ClassMetadata,
			At: node.Instant(s.exec.Now()), Invocation: e.Invocation,
		}) {
			call.Fail(nodeGone(nodeLLM))
		}
	})
}

// say has a segment spoken, and tells the segmenter that there is room for another.
func (g *graph) say(e *session.Say, text string) {
	s := g.s
	s.place.Characters(s.hostTime(), int64(utf8.RuneCountInString(text)))
	call := g.begin(request(e.Invocation, e.Turn, e.Attempt, e.TimeoutMS, s.settings.Providers.TTS.Descriptor(), s.settings.invocationTimeout()))
	t := g.nodes(e.Turn)
	if call == nil || t == nil {
		return
	}
	t.begin(e.Invocation, e.Attempt)
	s.exec.Go(func() {
		now := node.Instant(s.exec.Now())
		if !t.tts.Call(&node.Event{
			Kind: eventabi.KindText, Type: node.TypeSegment, Class: eventabi.ClassTextRaw, At: now, Invocation: e.Invocation, Text: text,
		}) {
			call.Fail(nodeGone(nodeTTS))
		}
		t.segmenter.Call(&node.Event{Kind: eventabi.KindControl, Type: node.TypeTaken, Class: eventabi.ClassMetadata, At: now})
	})
}

func nodeGone(id eventabi.NodeID) provider.Outcome {
	return provider.Outcome{Class: provider.OutcomeInfrastructureFailure, Reason: "node_failed", Detail: "node " + string(id) + " takes no events any more"}
}

// text hands the model's text to the segmenter, on the goroutine that brought it.
func (t *turnNodes) text(ev *node.Event) { t.segmenter.Call(ev) }

// segment turns a segment into an input. The end of the text needs none: the outcome of
// the call says it, behind the last segment.
func (t *turnNodes) segment(ev *node.Event) {
	if ev.Type != node.TypeSegment {
		return
	}
	s := t.graph.s
	s.post(&session.Segment{
		Invocation: ev.Invocation, Attempt: t.attempt(ev.Invocation), Index: ev.Index,
		Text: s.describe(ev.Text), Protected: ev.Protected,
	})
}

// speech keeps a chunk's samples and turns its descriptor into an input. A session that
// holds too much audio refuses the call instead.
func (t *turnNodes) speech(ev *node.Event) {
	if ev.Type != node.TypeAudioChunk {
		return
	}
	s := t.graph.s
	handle, ok := s.content.addAudio(ev.PCM)
	if !ok {
		if call := t.graph.calls.Call(ev.Invocation); call != nil {
			call.Fail(provider.Outcome{Class: provider.OutcomeOverload, Reason: "edge_overflow"})
		}
		return
	}
	s.post(&session.Speech{
		Invocation: ev.Invocation, Attempt: t.attempt(ev.Invocation), Chunk: ev.Index,
		Handle: handle, Samples: timebase.Samples(len(ev.PCM)),
	})
}

// hook runs a hook of a turn's nodes.
func (g *graph) hook(e *session.Hook) {
	g.mu.Lock()
	t := g.turn
	g.mu.Unlock()
	if t == nil || t.turn != e.Turn {
		return
	}
	for _, i := range t.instances() {
		switch e.Hook {
		case session.HookBargeIn:
			i.BargeIn()
		case session.HookCancel:
			i.Cancel(node.Cancel{Scope: eventabi.CancelTurn, Reason: "cancelled"})
		case session.HookBudgetExhausted:
			i.Budget(node.BudgetTerminate)
		}
	}
}

// endTurn stops the nodes of a closed turn and drops its state.
func (g *graph) endTurn(turn eventabi.TurnID) {
	g.mu.Lock()
	t := g.turn
	if t != nil && t.turn == turn {
		g.turn = nil
	} else {
		t = nil
	}
	g.mu.Unlock()
	if t != nil {
		t.stop()
	}
	g.store.EndTurn(turn)
}

func (t *turnNodes) instances() []*nodehost.Instance {
	list := make([]*nodehost.Instance, 0, 3)
	for _, i := range []*nodehost.Instance{t.llm, t.segmenter, t.tts} {
		if i != nil {
			list = append(list, i)
		}
	}
	return list
}

func (t *turnNodes) stop() {
	for _, i := range t.instances() {
		i.Stop()
	}
}
