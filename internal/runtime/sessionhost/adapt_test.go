// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

const sorry = "One moment please."

// failing is a fault of every call, or of those of one turn.
func failing(turns ...string) func(provider.Call) providertest.Injection {
	return faulty(providertest.FaultError, 0, turns...)
}

func faulty(f providertest.Fault, at int, turns ...string) func(provider.Call) providertest.Injection {
	return func(c provider.Call) providertest.Injection {
		if len(turns) == 0 || slices.Contains(turns, c.TurnID) {
			return providertest.Injection{Fault: f, At: at}
		}
		return providertest.Injection{}
	}
}

// notedTTS writes down what it was asked for.
type notedTTS struct {
	*providertest.FakeTTS
	mu    sync.Mutex
	asked []provider.Speech
}

func (n *notedTTS) Synthesize(ctx context.Context, c provider.Call, s provider.Speech, sink provider.Sink) provider.Outcome {
	n.mu.Lock()
	n.asked = append(n.asked, s)
	n.mu.Unlock()
	return n.FakeTTS.Synthesize(ctx, c, s, sink)
}

// Turn-plan section 10: attempts are spent and there is no other candidate; the line is
// said in place of the answer, in every turn that needs it, and is part of the record.
func TestFallbackReply(t *testing.T) {
	r := newRig("s1")
	r.settings.FallbackReply = sorry
	r.llm.Inject = failing()
	s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{6000, 7000}), 12000, nil)
	for _, id := range []eventabi.TurnID{"t1", "t2"} {
		if n := len(r.line.voiced(id)); n != spoken(sorry) {
			t.Errorf("%s: %d samples were heard, want %d\n%s", id, n, spoken(sorry), r.log)
		}
		if got := s.Conversation().HeardText(id); got != sorry {
			t.Errorf("%s: heard %q", id, got)
		}
	}
	if st := s.Stats(); st.Kernel.Commits != 2 || st.Degraded {
		t.Errorf("stats %+v", st)
	}
	inOrder(t, r.log, "provider_error turn=t1", "provider_error turn=t1", "emit fallback turn=t1", "fallback turn=t1", fmt.Sprintf("%q", sorry), "commit turn=t1")
}

// The line can be said where the segmenter cannot even be made: what is needed for it is
// the synthesiser alone.
func TestFallbackWithoutTheModelsNodes(t *testing.T) {
	r := newRig("s1")
	r.settings.FallbackReply = sorry
	r.settings.Segmenter = func() (node.Node, error) { return nil, errors.New("no licence") }
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 8000, nil)
	if n := len(r.line.voiced("t1")); n != spoken(sorry) {
		t.Errorf("%d samples were heard, want %d\n%s", n, spoken(sorry), r.log)
	}
	if st := s.Stats(); st.Kernel.Commits != 1 || st.NodeFailures != 1 || !st.Degraded {
		t.Errorf("stats %+v", st)
	}
}

// A second model serves the turn; the attempt's evidence names it.
func TestSecondModelServes(t *testing.T) {
	r := newRig("s1")
	r.llm.Inject = failing("t1")
	r.settings.Providers.SecondLLM = &providertest.FakeLLM{Behaviour: providertest.Behaviour{ID: "spare_llm"}, Replies: []string{"It is noon."}}
	served := map[string]string{}
	r.log.watch = func(n *Notice) {
		if end, ok := n.Record.(*session.InvocationEnd); ok && n.Call != nil {
			served[fmt.Sprintf("%s.%d", end.Invocation, end.Attempt)] = n.Call.Provider.ID + " " + end.Class
		}
	}
	s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{6000, 7000}), 16000, nil)
	if n := len(r.line.voiced("t1")); n != spoken("It is noon.") {
		t.Errorf("%d samples of the first turn\n%s", n, r.log)
	}
	if n := len(r.line.voiced("t2")); n != spoken(story) {
		t.Errorf("the next turn begins with the preferred model: %d samples\n%s", n, r.log)
	}
	for attempt, want := range map[string]string{
		"t1-llm-1.1": "fake_llm infrastructure_failure", "t1-llm-1.2": "fake_llm infrastructure_failure",
		"t1-llm-1.3": "spare_llm success", "t2-llm-1.1": "fake_llm success",
	} {
		if served[attempt] != want {
			t.Errorf("%s was served by %q, want %q", attempt, served[attempt], want)
		}
	}
	if st := s.Stats(); st.Kernel.Commits != 2 {
		t.Errorf("stats %+v", st)
	}
}

// F-047: the second voice serves the segment that failed, of which nothing was heard, and
// those behind it. A voice's name is of the first one's vendor.
func TestSecondVoiceServesLaterSegments(t *testing.T) {
	r := newRig("s1")
	r.tts.Inject = failing()
	spare := &notedTTS{FakeTTS: &providertest.FakeTTS{Behaviour: providertest.Behaviour{ID: "spare_tts"}}}
	r.settings.Providers.SecondTTS, r.settings.Voice, r.settings.Rate = spare, "anna", 1
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
	if got := s.Conversation().HeardText("t1"); got != story {
		t.Errorf("heard %q\n%s", got, r.log)
	}
	if want := []provider.Speech{{Text: story[:41], Language: "en", Rate: 1}, {Text: story[41:], Language: "en", Rate: 1}}; !slices.Equal(spare.asked, want) {
		t.Errorf("the second voice was asked for %+v", spare.asked)
	}
	if n := r.log.count("emit provider_switch"); n != 1 || s.Stats().Kernel.Commits != 1 {
		t.Errorf("%d switches\n%s", n, r.log)
	}
}

// F-137: the synthesiser fails and the reply goes on as text; the client is told. The model
// sees what was delivered, and the next turn has its voice again.
func TestLostVoiceGoesOnAsText(t *testing.T) {
	r := newRig("s1")
	r.tts.Inject = failing("t1")
	var prompts []string
	r.llm.Reply = func(p provider.Prompt) string {
		var all []string
		for _, m := range p.Messages {
			all = append(all, string(m.Role)+": "+m.Text)
		}
		prompts = append(prompts, strings.Join(all, "; "))
		return story
	}
	s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{6000, 7000}), 16000, nil)
	if n := len(r.line.voiced("t1")); n != 0 {
		t.Errorf("%d samples of a turn without a voice", n)
	}
	if n := len(r.line.voiced("t2")); n != spoken(story) {
		t.Errorf("the next turn: %d samples, want %d\n%s", n, spoken(story), r.log)
	}
	inOrder(t, r.log, "provider_error turn=t1", "emit degrade turn=t1 reason=capability_lost:tts", "degrade turn=t1 step=text_only", "commit turn=t1")
	if !slices.Contains(r.line.signal, eventabi.SignalDegrade) {
		t.Error("the client was not told")
	}
	items := s.Conversation().Utterances()
	if len(items) != 4 || items[1].Text != "" || items[1].Shown != story || items[1].Generated != story || items[3].Shown != "" {
		t.Errorf("conversation %+v", items)
	}
	if want := "system: You are a storyteller.; user: tell me a story; assistant: " + story + "; user: tell me a story"; len(prompts) != 2 || prompts[1] != want {
		t.Errorf("prompts %q", prompts)
	}
	if st := s.Stats(); st.Kernel.Commits != 2 || st.Degraded {
		t.Errorf("stats %+v", st)
	}
}

// A recogniser that fails: the next utterance is heard by the second one.
func TestSecondRecogniserHearsTheNextUtterance(t *testing.T) {
	r := newRig("s1")
	r.stt.Inject = failing()
	spare := &providertest.FakeSTT{Behaviour: providertest.Behaviour{ID: "spare_stt"}, Utterances: []providertest.Utterance{providertest.Say("what time is it", 4000)}}
	r.settings.Providers.SecondSTT = spare
	r.settings.FallbackReply = sorry
	s := virtually(t, r, speaking([2]int64{1000, 2000}, [2]int64{6000, 7000}), 14000, nil)
	items := s.Conversation().Utterances()
	if len(items) != 3 || items[0].Text != sorry || items[1].Text != "what time is it" || items[2].Text != story {
		t.Errorf("conversation %+v\n%s", items, r.log)
	}
}

// Turn-plan section 7, shorten_context: the prompt keeps the system prompt and the last
// items. simplify_tts: no wishes of style. Both stand from the step on, and the next turn is
// at full fidelity.
func TestStepsTakeEffect(t *testing.T) {
	r := newRig("s1")
	voice := &notedTTS{FakeTTS: r.tts}
	r.settings.Providers.TTS, r.settings.Voice, r.settings.Rate = voice, "anna", 1.5
	var lengths []int
	r.llm.Reply = func(p provider.Prompt) string {
		lengths = append(lengths, len(p.Messages))
		return "All right."
	}
	r.settings.Bootstrap.Settings.AvailabilityMode = true
	s := virtually(t, r, speaking(), 20000, func(v *Virtual, s *Session) {
		for i := range int64(5) {
			v.At(timebase.Instant(timebase.MS(100+3000*i)), func() { s.Ingress().Text("and then", "") })
		}
		for _, step := range []turn.Step{turn.ShortenContext, turn.SimplifyTTS} { // as the kernel would decide in the fourth turn
			v.At(timebase.Instant(timebase.MS(9099)), func() { s.graph.degrade(&session.Degrade{Turn: "t4", Step: step}) })
		}
	})
	if want := []int{2, 4, 6, shortPrompt + 1, 10}; !slices.Equal(lengths, want) {
		t.Errorf("prompts of %v messages, want %v\n%s", lengths, want, r.log)
	}
	for i, asked := range voice.asked {
		want := provider.Speech{Text: "All right.", Voice: "anna", Language: "en", Rate: 1.5}
		if i == 3 {
			want.Voice, want.Rate = "", 0
		}
		if asked != want {
			t.Errorf("turn %d: the synthesiser was asked for %+v, want %+v", i+1, asked, want)
		}
	}
	if st := s.Stats(); st.Kernel.Commits != 5 {
		t.Errorf("stats %+v", st)
	}
}

// A voice that stalls: asked plainly first, then given up (turn-plan section 7), by the real
// shell's clock. Nothing of it is left behind.
func TestStalledVoiceFallsDownTheLadder(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("s1")
		r.tts.Inject = faulty(providertest.FaultStall, 0, "t1")
		r.settings.Voice = "anna"
		r.settings.Bootstrap.Settings.InvocationMS, r.settings.Bootstrap.Settings.PathBudgetMS = 3000, 1500
		s := open(t, h, r)
		s.Ingress().Text("tell me a story", "")
		time.Sleep(8 * time.Second)
		inOrder(t, r.log, "budget_warning turn=t1 reason=path_budget", "budget_exhausted turn=t1 reason=path_budget",
			"degrade turn=t1 step=simplify_tts", "say invocation=t1-tts-2 turn=t1 generation=1 attempt=2",
			"budget_exhausted turn=t1 reason=turn_budget", "degrade turn=t1 step=text_only", "commit turn=t1")
		if st := s.Stats(); st.Kernel.Commits != 1 || st.Fidelity != turn.FullFidelity {
			t.Errorf("stats %+v\n%s", st, r.log)
		}
	})
}

// slowNode takes its time over the first text, and notes what it is told.
type slowNode struct {
	*segmenter.Node
	takes time.Duration

	mu    sync.Mutex
	told  []node.BudgetOutcome
	left  []int64
	began bool
}

func (n *slowNode) Declaration() node.Declaration {
	d := n.Node.Declaration()
	d.LongRunning = true
	return d
}

func (n *slowNode) OnEvent(ctx *node.Context, ev *node.Event) error {
	n.mu.Lock()
	first := !n.began && ev.Type == node.TypeTextDelta
	n.began = n.began || first
	if first {
		n.left = append(n.left, ctx.Budget.RemainingMS())
	}
	n.mu.Unlock()
	if first {
		time.Sleep(n.takes)
	}
	return n.Node.OnEvent(ctx, ev)
}

func (n *slowNode) OnBudgetExhausted(_ *node.Context, o node.BudgetOutcome) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, o)
	return nil
}

// F-045: a node that overruns its budget raises it, the plan's action follows, and the node
// hears which. What a node is told of its budget is nested in the turn's.
func TestNodeBudget(t *testing.T) {
	for name, row := range map[string]struct {
		set      func(r *rig)
		left     int64 // at the first text, which comes after 31 ms
		outcome  node.BudgetOutcome
		terminal string
	}{
		"fallback":                {func(r *rig) { r.settings.FallbackReply = sorry }, 800, node.BudgetFallback, "emit commit turn=t1"},
		"nothing to fall back to": {func(*rig) {}, 800, node.BudgetTerminate, "emit abort turn=t1 reason=node_timeout_or_failure"},
		"set": {func(r *rig) {
			r.settings.Bootstrap.Settings.NodeBudgetMS, r.settings.FallbackReply = 300, sorry
		}, 300, node.BudgetFallback, "emit commit turn=t1"},
		"nested in the turn": {func(r *rig) {
			r.settings.Bootstrap.Settings.TurnBudgetMS, r.settings.FallbackReply = 531, sorry
		}, 500, node.BudgetFallback, "emit commit turn=t1"},
	} {
		t.Run(name, func(t *testing.T) {
			hosted(t, func(t *testing.T, h *Host) {
				r := newRig("s1")
				r.llm.Wait = true
				r.llm.Latency = provider.Latency{First: 31 * time.Millisecond}
				row.set(r)
				var slow *slowNode
				r.settings.Segmenter = func() (node.Node, error) {
					n, err := segmenter.NewNode(segmenter.Default())
					slow = &slowNode{Node: n, takes: 900 * time.Millisecond}
					return slow, err
				}
				s := open(t, h, r)
				s.Ingress().Text("tell me a story", "")
				time.Sleep(6 * time.Second)
				inOrder(t, r.log, "budget_warning turn=t1", "budget_exhausted turn=t1", row.terminal)
				slow.mu.Lock()
				defer slow.mu.Unlock()
				if len(slow.left) != 1 || slow.left[0] != row.left {
					t.Errorf("%v ms were left at the first text, want %d", slow.left, row.left)
				}
				if len(slow.told) == 0 || slow.told[0] != row.outcome {
					t.Errorf("the node was told %v, want %s\n%s", slow.told, row.outcome, r.log)
				}
				if st := s.Stats(); st.NodeFailures != 0 {
					t.Errorf("stats %+v", st)
				}
			})
		})
	}
}

// kernel_overhead_ms (flow section 7) is the kernel's time alone. In virtual time nodes and
// providers take as long as they say, and the kernel none.
func TestNodeTimeIsNoKernelOverhead(t *testing.T) {
	r := newRig("s1")
	r.llm.Latency.First = 900 * time.Millisecond
	var perTurn []timebase.Span
	r.log.watch = func(n *Notice) {
		if _, ok := n.Record.(*session.Evidence); ok {
			perTurn = append(perTurn, n.KernelOverhead)
		}
	}
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
	if st := s.Stats(); st.Overhead != (Overhead{Turns: 1}) || len(perTurn) != 1 || perTurn[0] != 0 {
		t.Errorf("overhead %+v, at the turn's close %v, of a turn whose model took 900 ms", st.Overhead, perTurn)
	}
}

// Each pass that decides something is measured once, and counts for its turn; passes of
// caller frames are not. A clock that moves by one millisecond a look tells them apart.
func TestKernelOverheadCountsPasses(t *testing.T) {
	r := newRig("s1")
	rec := &passCounter{}
	r.settings.Recorder = rec
	var perTurn timebase.Span
	r.log.watch = func(n *Notice) {
		if _, ok := n.Record.(*session.Evidence); ok {
			perTurn = n.KernelOverhead
		}
	}
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 12000, func(_ *Virtual, s *Session) {
		looks := timebase.Instant(0)
		s.clock = func() timebase.Instant {
			looks = looks.Add(timebase.Millisecond)
			return looks
		}
	})
	st := s.Stats()
	if st.Overhead.Total != timebase.MS(rec.deciding) || rec.deciding == 0 || rec.frames == 0 {
		t.Errorf("overhead of %d ms in %d passes with a decision, beside %d of frames", st.Overhead.Total.MS(), rec.deciding, rec.frames)
	}
	if perTurn != timebase.MS(rec.ofTurn) || st.Overhead.Worst != perTurn || st.Overhead.Turns != 1 {
		t.Errorf("%d ms at the turn's close, %d passes while it lived, %+v", perTurn.MS(), rec.ofTurn, st.Overhead)
	}
	if perTurn <= KernelOverheadBudget || st.Overhead.Over != 1 {
		t.Errorf("a turn of %d ms: %+v; want one above the limit of %d ms", perTurn.MS(), st.Overhead, KernelOverheadBudget.MS())
	}
}

// passCounter counts passes by what they hold.
type passCounter struct {
	tape
	deciding, frames, ofTurn int64
	live                     bool
}

func (c *passCounter) Pass(at timebase.Instant, in []session.Input, list []session.Effect) error {
	frames := !slices.ContainsFunc(in, func(i session.Input) bool { _, frame := i.(*session.AudioIn); return !frame })
	was := c.live
	for _, e := range list {
		if change, ok := e.(*session.TurnChange); ok {
			c.live = change.Transition.ToState == "Active"
			was = was || c.live
		}
	}
	switch {
	case frames:
		c.frames++
	case was:
		c.ofTurn++
		c.deciding++
	default:
		c.deciding++
	}
	return c.tape.Pass(at, in, list)
}
