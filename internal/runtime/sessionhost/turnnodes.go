// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
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
	tts       voice
	tools     []Tool // that the model may call

	mu       sync.Mutex
	models   map[eventabi.NodeID]*nodehost.Instance // of the session's graph, as the next two; changed under mu by the owner
	voices   map[eventabi.NodeID]*voice
	work     map[eventabi.NodeID]*workNode
	prompt   []node.Message
	attempts map[eventabi.InvocationID]attempt
	follows  eventabi.InvocationID // the call whose text goes on behind what was said before
}

// nodes gives the instances of a turn, made on first use. One that cannot be made is
// missing, which is reported as its failure; the plan may have a way on without it.
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
	t = &turnNodes{graph: g, turn: turn, seed: g.seed, tools: g.s.toolsOffered(), attempts: map[eventabi.InvocationID]attempt{}}
	t.build()
	g.mu.Lock()
	g.turn = t
	g.mu.Unlock()
	return t
}

func (t *turnNodes) build() {
	g := t.graph
	s := &g.s.settings
	cutter, err := s.Segmenter()
	t.segmenter = t.made(cutter, nodeSegmenter, t.segment, err)
	t.llm = t.made(invocation.NewLLMNode(g.calls, s.Providers.LLMs(), t.modelConfig(nil)), nodeLLM, t.text, nil)
	t.tts.node = invocation.NewTTSNode(g.calls, s.Providers.TTSs(), s.ttsConfig())
	t.tts.instance = t.made(t.tts.node, nodeTTS, t.speech, nil)
	if g.lowered(t.turn, turn.SimplifyTTS) {
		t.tts.node.Plain()
	}
}

// made hosts a node of the turn; nil where that fails, which is told.
func (t *turnNodes) made(n node.Node, id eventabi.NodeID, out func(*node.Event), err error) *nodehost.Instance {
	var i *nodehost.Instance
	if err == nil {
		i, err = t.graph.host(n, id, t, out, t.graph.nodeFailed)
	}
	if err != nil {
		t.graph.nodeFailed(nodehost.Failure{Node: id, Turn: t.turn, Reason: nodehost.ReasonError, Hook: "init", Detail: err.Error()})
		return nil
	}
	return i
}

// conversation is the record as it stood when the model was asked.
func (t *turnNodes) conversation() []node.Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.prompt
}

// attempt is how often a call was tried, and the node of the graph that it is for.
type attempt struct {
	number int64
	node   eventabi.NodeID
}

func (t *turnNodes) begin(id eventabi.InvocationID, a attempt) {
	t.mu.Lock()
	t.attempts[id] = a
	t.mu.Unlock()
}

func (t *turnNodes) attempt(id eventabi.InvocationID) attempt {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.attempts[id]
}

// respond asks the model, with the whole conversation or, as a degrade step, with the end
// of it.
func (g *graph) respond(e *session.Generate) {
	s := g.s
	last := maxPrompt
	if g.lowered(e.Turn, turn.ShortenContext) {
		last = shortPrompt
	}
	if e.Attempt == 1 {
		s.talk.beginRound(e.Turn, int(e.Segment))
	}
	s.instruct(e.Instructions)
	prompt := s.prompted(e.Node, s.talk.prompt(last, e.Turn))
	r := g.request(e.Invocation, e.Turn, e.Attempt, e.TimeoutMS)
	r.NoTools = e.NoTools
	r.Candidate, r.Provider = e.Candidate, s.settings.models(e.Node)[e.Candidate].Descriptor()
	for i := range prompt {
		r.InputBytes += int64(len(prompt[i].Text))
	}
	call, _ := g.begin(or(e.Node, nodeLLM), r, nil)
	t := g.nodes(e.Turn)
	llm := t.model(e.Node)
	if call == nil || llm == nil || t.segmenter == nil {
		return
	}
	t.begin(e.Invocation, attempt{e.Attempt, e.Node})
	t.mu.Lock()
	if t.prompt = prompt; e.Segment > 0 {
		t.follows = e.Invocation
	}
	t.mu.Unlock()
	why := s.exec.Try(or(e.Node, nodeLLM), func() {
		if !llm.Call(&node.Event{
			Kind: eventabi.KindControl, Type: node.TypeRespond, Class: eventabi.ClassMetadata,
			At: node.Instant(s.exec.Now()), Invocation: e.Invocation,
		}) {
			call.Fail(nodeGone(nodeLLM))
		}
	})
	if why != "" {
		call.Unscheduled(why)
	}
}

// say has a segment spoken, and tells the segmenter that there is room for another.
func (g *graph) say(e *session.Say, text string) {
	s := g.s
	s.place.Characters(s.hostTime(), int64(utf8.RuneCountInString(text)))
	r := g.request(e.Invocation, e.Turn, e.Attempt, e.TimeoutMS)
	r.Candidate, r.Provider = e.Candidate, s.settings.voices(e.Node)[e.Candidate].Descriptor()
	call, _ := g.begin(or(e.Node, nodeTTS), r, nil)
	t := g.nodes(e.Turn)
	v := t.speaker(e.Node)
	if call == nil || v.instance == nil {
		return
	}
	t.begin(e.Invocation, attempt{e.Attempt, e.Node})
	if !v.fixed {
		v.node.Wish(e.Voice, e.Language)
	}
	why := s.exec.Try(or(e.Node, nodeTTS), func() {
		now := node.Instant(s.exec.Now())
		if !v.instance.Call(&node.Event{
			Kind: eventabi.KindText, Type: node.TypeSegment, Class: eventabi.ClassTextRaw, At: now, Invocation: e.Invocation, Text: text,
		}) {
			call.Fail(nodeGone(nodeTTS))
		}
		if t.segmenter != nil && s.settings.Graph == nil { // else it is told when the graph takes it
			t.segmenter.Call(&node.Event{Kind: eventabi.KindControl, Type: node.TypeTaken, Class: eventabi.ClassMetadata, At: now})
		}
	})
	if why != "" {
		call.Unscheduled(why)
	}
}

// segmentTaken tells the segmenter of a turn that is not spoken that there is room for another.
func (g *graph) segmentTaken(turn eventabi.TurnID) {
	g.mu.Lock()
	t := g.turn
	g.mu.Unlock()
	if t == nil || t.turn != turn || t.segmenter == nil {
		return
	}
	// Where the pool takes nothing, the text waits for the end of the reply.
	_ = g.s.exec.Try(nodeTTS, func() {
		t.segmenter.Call(&node.Event{
			Kind: eventabi.KindControl, Type: node.TypeTaken, Class: eventabi.ClassMetadata, At: node.Instant(g.s.exec.Now()),
		})
	})
}

// degrade lowers a turn's fidelity. What nothing more is asked of needs no telling:
// text_only is what the kernel does not ask for any more.
func (g *graph) degrade(e *session.Degrade) {
	if g.low != e.Turn {
		g.low, g.fidelity = e.Turn, turn.Fidelity{}
	}
	g.fidelity.Lower(e.Step)
	g.mu.Lock()
	t := g.turn
	g.mu.Unlock()
	if t != nil && t.turn == e.Turn && g.fidelity.Takes(turn.SimplifyTTS) {
		t.tts.node.Plain()
		for _, n := range g.s.settings.Graph.ids() {
			if v := t.voices[n]; v != nil {
				v.node.Plain()
			}
		}
	}
}

// lowered says that a degrade step is in force in a turn.
func (g *graph) lowered(id eventabi.TurnID, s turn.Step) bool {
	return g.low == id && g.fidelity.Takes(s)
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
		Invocation: ev.Invocation, Attempt: t.attempt(ev.Invocation).number, Index: ev.Index,
		Text: s.describe(t.joined(ev)), Protected: ev.Protected,
	})
}

// joined is a segment's text, with a blank ahead where a model goes on that was asked again.
func (t *turnNodes) joined(ev *node.Event) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ev.Index > 0 || ev.Invocation != t.follows || strings.HasPrefix(ev.Text, " ") {
		return ev.Text
	}
	return " " + ev.Text
}

// speech keeps a chunk's samples and turns its descriptor into an input. A session that
// holds too much audio refuses the call instead.
func (t *turnNodes) speech(ev *node.Event) {
	if ev.Type != node.TypeAudioChunk {
		return
	}
	s, a := t.graph.s, t.attempt(ev.Invocation)
	pcm := t.graph.spoken.through(a.node, ev.Invocation, ev.PCM)
	handle, ok := s.content.addAudio(pcm)
	if !ok {
		s.overrun(ev.Invocation)
		return
	}
	s.post(&session.Speech{
		Invocation: ev.Invocation, Attempt: a.number, Chunk: ev.Index,
		Handle: handle, Samples: timebase.Samples(len(pcm)),
	})
}

// hook runs a hook of a turn's nodes, or of one of them.
func (g *graph) hook(e *session.Hook) {
	g.mu.Lock()
	t := g.turn
	g.mu.Unlock()
	if t == nil || t.turn != e.Turn {
		return
	}
	for _, i := range t.instances() {
		if e.Node != "" && e.Node != i.ID() {
			continue
		}
		switch e.Hook {
		case session.HookBargeIn:
			i.BargeIn()
		case session.HookCancel:
			i.Cancel(node.Cancel{Scope: eventabi.CancelTurn, Reason: "cancelled"})
		case session.HookBudgetExhausted:
			i.Budget(node.BudgetOutcome(e.Outcome))
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
	add := func(i *nodehost.Instance) {
		if i != nil {
			list = append(list, i)
		}
	}
	add(t.llm)
	add(t.segmenter)
	add(t.tts.instance)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range t.graph.s.settings.Graph.ids() { // in the order of the definition
		add(t.models[id])
		if v := t.voices[id]; v != nil {
			add(v.instance)
		}
		if x := t.work[id]; x != nil {
			add(x.instance)
		}
	}
	return list
}

func (t *turnNodes) stop() {
	for _, i := range t.instances() {
		i.Stop()
	}
}
