// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/transport"
)

// toolLine is a line whose client runs tools.
type toolLine struct {
	*line
	calls []transport.ToolCall
	on    func(c transport.ToolCall)
}

func (l *toolLine) connect(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	l.in = in
	return l, nil
}

func (l *toolLine) WriteToolCall(c transport.ToolCall) {
	l.mu.Lock()
	l.calls = append(l.calls, c)
	l.mu.Unlock()
	if l.on != nil {
		l.on(c)
	}
}

func (l *toolLine) called() []transport.ToolCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]transport.ToolCall(nil), l.calls...)
}

// callingModel is a model that calls a tool at the caller's words and speaks what it answers; it
// keeps its prompts.
type callingModel struct {
	tool, arguments string
	before          string // said with the call
	mu              sync.Mutex
	prompts         []provider.Prompt
}

func (m *callingModel) set(r *rig) {
	asked := func(p provider.Prompt) bool {
		last := p.Messages[len(p.Messages)-1]
		return last.Role == provider.RoleUser
	}
	r.llm.Calls = func(p provider.Prompt) []provider.ToolCall {
		m.mu.Lock()
		m.prompts = append(m.prompts, p)
		m.mu.Unlock()
		if asked(p) {
			return []provider.ToolCall{{Name: m.tool, Arguments: m.arguments}}
		}
		return nil
	}
	r.llm.Reply = func(p provider.Prompt) string {
		if asked(p) {
			return m.before
		}
		return "It said: " + p.Messages[len(p.Messages)-1].Text + "."
	}
}

func (m *callingModel) all() []provider.Prompt {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]provider.Prompt(nil), m.prompts...)
}

// talk writes a prompt down, without the ids of calls.
func talk(p provider.Prompt) string {
	var lines []string
	for _, m := range p.Messages {
		s := fmt.Sprintf("%s %q", m.Role, m.Text)
		if m.Name != "" {
			s = fmt.Sprintf("%s %s %q", m.Role, m.Name, m.Text)
		}
		if m.Failed {
			s += " failed"
		}
		if m.Interrupted {
			s += " interrupted"
		}
		lines = append(lines, s)
	}
	return strings.Join(lines, "\n")
}

func say(v *Virtual, s *Session, ms int64, text string) {
	v.At(timebase.Instant(timebase.MS(ms)), func() { s.Ingress().Text(text, "") })
}

// The program's tool: it runs once, with the arguments and the key of its call, what was
// said before is heard meanwhile, and the model is asked again with all that.
func TestProgramTool(t *testing.T) {
	r := newRig("s1")
	m := &callingModel{tool: "get_weather", arguments: `{"city":"Paris"}`, before: "Let me look that up."}
	m.set(r)
	var ran []ToolCall
	r.settings.Tools = []Tool{{Name: "get_weather", Description: "Weather.", Run: func(ctx context.Context, arguments string) (string, error) {
		c, ok := ToolCallOf(ctx)
		if ran = append(ran, c); !ok || arguments != `{"city":"Paris"}` {
			t.Errorf("call %+v, arguments %q", c, arguments)
		}
		return "rain", nil
	}}}
	tape := &parrot{machine: session.New(), t: t}
	r.settings.Recorder = tape
	s := virtually(t, r, speaking(), 8000, func(v *Virtual, s *Session) { say(v, s, 100, "how is the weather") })
	if len(ran) != 1 || ran[0].Session != "s1" || ran[0].Turn != "t1" || ran[0].Name != "get_weather" || !strings.HasPrefix(ran[0].ID, "call_") {
		t.Errorf("ran %+v", ran)
	}
	prompts := m.all()
	const want = "system \"You are a storyteller.\"\nuser \"how is the weather\"\nassistant \"Let me look that up.\"\n" +
		"tool_call get_weather \"{\\\"city\\\":\\\"Paris\\\"}\"\ntool_result get_weather \"rain\""
	if len(prompts) != 2 || talk(prompts[1]) != want || len(prompts[0].Tools) != 1 || prompts[1].NoCalls {
		t.Errorf("%d prompts, the last\n%s\nwant\n%s\n%s", len(prompts), talk(prompts[len(prompts)-1]), want, r.log)
	}
	if calls := prompts[1].Messages[3].Call; calls != ran[0].ID || prompts[1].Messages[4].Call != calls {
		t.Errorf("the model knows the call as %q, the tool as %q", calls, ran[0].ID)
	}
	if n := len(r.line.voiced("t1")); n != spoken("Let me look that up.")+spoken(" It said: rain.") {
		t.Errorf("%d samples were heard\n%s", n, r.log)
	}
	inOrder(t, r.log, "call_tool call=", "tool_result call=", "generate invocation=t1-llm-", "emit playback_started turn=t1", "emit commit turn=t1")
	roles := []session.ItemRole{}
	for _, u := range s.Conversation().Utterances() {
		roles = append(roles, u.Role)
	}
	if !reflect.DeepEqual(roles, []session.ItemRole{session.ItemUser, session.ItemAssistant, session.ItemToolCall, session.ItemToolResult}) {
		t.Errorf("the record has %v", roles)
	}
}

// The client's tool, offered while the session runs: it is told of the call, its result
// comes back, a second one is dropped, and the turn speaks meanwhile.
func TestClientTool(t *testing.T) {
	r := newRig("s1")
	l := &toolLine{line: r.line}
	r.settings.Connect = l.connect
	m := &callingModel{tool: "open_door", arguments: "{}", before: "One moment."}
	m.set(r)
	s := virtually(t, r, speaking(), 9000, func(v *Virtual, s *Session) {
		v.At(timebase.Instant(timebase.MS(50)), func() {
			s.Ingress().Configure(transport.Wishes{Tools: []transport.Tool{{Name: "open_door"}, {Name: "no good"}, {Name: "open_door"}}})
		})
		l.on = func(c transport.ToolCall) {
			v.At(timebase.Instant(timebase.MS(4000)), func() {
				s.Ingress().ToolResult(transport.ToolResult{ID: c.ID, Output: "it is open"})
				s.Ingress().ToolResult(transport.ToolResult{ID: c.ID, Output: "it is closed"})
				s.Ingress().ToolResult(transport.ToolResult{ID: "call_of_somebody_else", Output: "x"})
			})
		}
		say(v, s, 100, "open the door")
	})
	calls := l.called()
	if len(calls) != 1 || calls[0].Name != "open_door" || calls[0].Turn != "t1" || calls[0].Arguments != "{}" {
		t.Fatalf("the client was told %+v\n%s", calls, r.log)
	}
	prompts := m.all()
	if last := talk(prompts[len(prompts)-1]); len(prompts) != 2 || !strings.HasSuffix(last, `tool_result open_door "it is open"`) || len(prompts[0].Tools) != 1 {
		t.Errorf("%d prompts, the last\n%s", len(prompts), last)
	}
	if r.log.count("refused code=duplicate what=tool_result") != 1 || r.log.count("refused code=unknown_tool_call") != 1 {
		t.Errorf("the second result, or the unknown one, was not refused\n%s", r.log)
	}
	if st := s.Stats(); st.ToolsRefused != 2 || st.Kernel.Commits != 1 {
		t.Errorf("stats %+v", st)
	}
	inOrder(t, r.log, "call_tool", "emit playback_started turn=t1", "tool_result call=", "emit commit turn=t1")
}

// A client may not answer for the program, nor offer a tool in place of one of its own.
func TestClientCannotForge(t *testing.T) {
	r := newRig("s1")
	l := &toolLine{line: r.line}
	r.settings.Connect = l.connect
	m := &callingModel{tool: "get_balance", arguments: "{}"}
	m.set(r)
	r.settings.Tools = []Tool{{Name: "get_balance", Run: func(ctx context.Context, _ string) (string, error) {
		c, _ := ToolCallOf(ctx)
		l.in.ToolResult(transport.ToolResult{ID: c.ID, Output: "a million"})
		return "nothing", nil
	}}}
	s := virtually(t, r, speaking(), 6000, func(v *Virtual, s *Session) {
		s.Ingress().Configure(transport.Wishes{Tools: []transport.Tool{{Name: "get_balance"}}})
		say(v, s, 100, "my balance")
	})
	prompts := m.all()
	if last := talk(prompts[len(prompts)-1]); !strings.HasSuffix(last, `tool_result get_balance "nothing"`) || len(l.called()) != 0 {
		t.Errorf("the model was told\n%s", last)
	}
	if r.log.count("refused code=unknown_tool_call") != 1 || s.Stats().ToolsRefused != 1 {
		t.Errorf("%s", r.log)
	}
}

// Where the client cannot be told of a call, the model is not offered its tools.
func TestToolsNotOffered(t *testing.T) {
	r := newRig("s1")
	m := &callingModel{tool: "open_door", arguments: "{}"}
	m.set(r)
	virtually(t, r, speaking(), 5000, func(v *Virtual, s *Session) {
		s.Ingress().Configure(transport.Wishes{Tools: []transport.Tool{{Name: "open_door"}}})
		say(v, s, 100, "open the door")
	})
	prompts := m.all()
	if len(prompts[0].Tools) != 0 || !strings.Contains(talk(prompts[len(prompts)-1]), `there is no tool named \"open_door\"`) {
		t.Errorf("offered %v, told\n%s", prompts[0].Tools, talk(prompts[len(prompts)-1]))
	}
}

// A session may begin with a client's tools: they stand beside the program's, whose names
// are not to be had.
func TestWishTools(t *testing.T) {
	run := func(context.Context, string) (string, error) { return "", nil }
	s := Settings{Tools: []Tool{{Name: "a", Run: run}, {Name: "old"}}}
	s.Wish(transport.Wishes{})
	if len(s.Tools) != 2 {
		t.Errorf("without a wish: %d tools", len(s.Tools))
	}
	s.Wish(transport.Wishes{Tools: []transport.Tool{{Name: "a"}, {Name: "b"}}})
	if len(s.Tools) != 2 || s.Tools[0].Run == nil || s.Tools[1].Name != "b" || s.Tools[1].Run != nil {
		t.Errorf("%+v", s.Tools)
	}
}

// A tool that fails, crashes, floods or is called with nonsense: the model is told why.
func TestToolFailures(t *testing.T) {
	run := func(f func() (string, error)) func(context.Context, string) (string, error) {
		return func(context.Context, string) (string, error) { return f() }
	}
	for name, row := range map[string]struct {
		tool, arguments string
		run             func(context.Context, string) (string, error)
		want            string
	}{
		"error":     {"t", "{}", run(func() (string, error) { return "", errors.New("no such city") }), `tool_result t "no such city" failed`},
		"panic":     {"t", "{}", run(func() (string, error) { panic("a bug") }), `tool_result t "the tool has crashed" failed`},
		"too long":  {"t", "{}", run(func() (string, error) { return strings.Repeat("x", provider.MaxToolContent+1), nil }), "ask for less\" failed"},
		"nonsense":  {"t", "{", run(func() (string, error) { t.Error("it was run"); return "", nil }), "not valid JSON: call again with an object\" failed"},
		"no such":   {"u", "{}", run(func() (string, error) { t.Error("it was run"); return "", nil }), `there is no tool named \"u\"" failed`},
		"no output": {"t", "{}", run(func() (string, error) { return "", nil }), `tool_result t ""`},
	} {
		r := newRig("s1")
		m := &callingModel{tool: row.tool, arguments: row.arguments}
		m.set(r)
		r.settings.Tools = []Tool{{Name: "t", Run: row.run}}
		s := virtually(t, r, speaking(), 5000, func(v *Virtual, s *Session) { say(v, s, 100, "go") })
		prompts := m.all()
		if last := talk(prompts[len(prompts)-1]); len(prompts) != 2 || !strings.HasSuffix(last, row.want) {
			t.Errorf("%s: %d prompts, the last\n%s", name, len(prompts), last)
		}
		if st := s.Stats(); st.Kernel.Commits != 1 || st.ToolPanics != map[string]int64{"panic": 1}[name] || st.Faults != 0 {
			t.Errorf("%s: stats %+v", name, st)
		}
	}
}

// The caller interrupts while the tool is out: nothing is called again, what would have
// followed is not said, and the result that comes then is in the next prompt, behind its call.
func TestToolResultSurvivesAnInterruption(t *testing.T) {
	for name, row := range map[string]struct {
		result int64 // when it comes, ms
		want   string
	}{
		"before the next turn": {2500, `tool_result book_table "booked"`},
		"not yet":              {9000, `tool_result book_table "The tool has not answered yet." failed`},
	} {
		r := newRig("s1")
		l := &toolLine{line: r.line}
		r.settings.Connect = l.connect
		r.settings.Tools = []Tool{{Name: "book_table"}}
		m := &callingModel{tool: "book_table", arguments: "{}", before: "I am booking your table now, please wait a little."}
		m.set(r)
		s := virtually(t, r, speaking(), 10000, func(v *Virtual, s *Session) {
			say(v, s, 100, "book a table")
			v.At(timebase.Instant(timebase.MS(2000)), func() {
				r.llm.Calls = func(p provider.Prompt) []provider.ToolCall {
					m.prompts = append(m.prompts, p)
					return nil
				}
				s.Ingress().Stop(transport.Request{})
			})
			v.At(timebase.Instant(timebase.MS(row.result)), func() {
				s.Ingress().ToolResult(transport.ToolResult{ID: l.called()[0].ID, Output: "booked"})
			})
			say(v, s, 3000, "is it booked")
		})
		prompts := m.all()
		lines := strings.Split(talk(prompts[len(prompts)-1]), "\n")
		if len(prompts) != 2 || len(lines) != 6 || !strings.HasPrefix(lines[2], `assistant "I am booking`) || !strings.HasSuffix(lines[2], "interrupted") ||
			!strings.HasPrefix(lines[3], "tool_call book_table") || lines[4] != row.want || lines[5] != `user "is it booked"` {
			t.Errorf("%s: %d prompts, the last\n%s\n%s", name, len(prompts), strings.Join(lines, "\n"), r.log)
		}
		if len(l.called()) != 1 || r.log.count("converse", "role=tool_result") != 1 {
			t.Errorf("%s: %d calls\n%s", name, len(l.called()), r.log)
		}
		if items := s.Conversation().Utterances(); items[3].Role != session.ItemToolResult || items[3].Text != "booked" || items[3].Call != items[2].Call {
			t.Errorf("%s: the record is %+v", name, items)
		}
	}
}

// A tool that does not answer: the model is told, the turn ends by plan, and the result that
// comes later takes the place of that word.
func TestToolTimeout(t *testing.T) {
	r := newRig("s1")
	l := &toolLine{line: r.line}
	r.settings.Connect = l.connect
	r.settings.Tools = []Tool{{Name: "book_table"}}
	r.settings.Bootstrap.Settings.ToolTimeoutMS = 3000
	m := &callingModel{tool: "book_table", arguments: "{}"}
	m.set(r)
	virtually(t, r, speaking(), 16000, func(v *Virtual, s *Session) {
		say(v, s, 100, "book a table")
		v.At(timebase.Instant(timebase.MS(9000)), func() {
			r.llm.Calls = func(p provider.Prompt) []provider.ToolCall {
				m.prompts = append(m.prompts, p)
				return nil
			}
			s.Ingress().ToolResult(transport.ToolResult{ID: l.called()[0].ID, Output: "booked"})
		})
		say(v, s, 9500, "is it booked")
	})
	prompts := m.all()
	if len(prompts) != 3 || !strings.HasSuffix(talk(prompts[1]), `tool_result book_table "The tool did not answer in time." failed`) {
		t.Fatalf("%d prompts, the second\n%s", len(prompts), talk(prompts[1]))
	}
	if third := talk(prompts[2]); strings.Count(third, "tool_result") != 1 || !strings.Contains(third, `tool_result book_table "booked"`) {
		t.Errorf("later it is told\n%s", third)
	}
	inOrder(t, r.log, "call_tool", "converse item=3", "emit commit turn=t1", "tool_result call=", "turn_open turn=t2", "emit commit turn=t2")
}

// With real goroutines: a tool that hangs until its time is over is told to stop, and holds
// neither turn nor session; one that never stops is bounded in number.
func TestToolsOnAHost(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("s1")
		m := &callingModel{tool: "hang", arguments: "{}", before: "Wait."}
		m.set(r)
		r.settings.Bootstrap.Settings.ToolTimeoutMS = 2000
		ended := make(chan error, 1)
		r.settings.Tools = []Tool{{Name: "hang", Run: func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return "", ctx.Err()
		}}}
		s := open(t, h, r)
		s.Ingress().Text("go", "")
		time.Sleep(8 * time.Second)
		select {
		case err := <-ended:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the tool was told %v", err)
			}
		default:
			t.Error("the tool was not told to stop")
		}
		prompts := m.all()
		if last := talk(prompts[len(prompts)-1]); len(prompts) != 2 || !strings.Contains(last, "did not answer in time") {
			t.Errorf("%d prompts, the last\n%s", len(prompts), last)
		}
		if st := s.Stats(); st.Kernel.Commits != 1 {
			t.Errorf("stats %+v\n%s", st, r.log)
		}
		s.Close("test_over")
		<-s.Done()
	})
}

// What runs of the program's tools is bounded: one more is answered at once.
func TestToolsRunningBounded(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("s1")
		m := &callingModel{tool: "hang", arguments: "{}"}
		m.set(r)
		r.settings.Tools = []Tool{{Name: "hang", Run: func(context.Context, string) (string, error) {
			t.Error("it was run")
			return "", nil
		}}}
		s := open(t, h, r)
		s.tools.running.Store(maxToolsRunning)
		s.Ingress().Text("go", "")
		time.Sleep(5 * time.Second)
		prompts := m.all()
		if last := talk(prompts[len(prompts)-1]); !strings.Contains(last, "too many tools are running") || s.tools.running.Load() != maxToolsRunning {
			t.Errorf("told\n%s", last)
		}
		s.Close("test_over")
		<-s.Done()
	})
}

// Equal runs with tools give equal recordings.
func TestEqualRunsWithTools(t *testing.T) {
	run := func() [32]byte {
		r := newRig("s1")
		m := &callingModel{tool: "t", arguments: "{}", before: "Wait."}
		m.set(r)
		r.settings.Tools = []Tool{{Name: "t", Run: func(context.Context, string) (string, error) { return "done", nil }}}
		s := virtually(t, r, speaking([2]int64{1000, 2000}), 8000, nil)
		return s.Stats().Digest
	}
	if one, two := run(), run(); one != two {
		t.Error("two equal runs differ")
	}
}

func TestToolSettings(t *testing.T) {
	r := newRig("s1")
	r.settings.Tools = []Tool{{Name: "a b"}, {Name: "c"}, {Name: "c"}}
	err := r.settings.Validate()
	if err == nil || !strings.Contains(err.Error(), "sessionhost: tools[0]") || !strings.Contains(err.Error(), "tools[2].name") {
		t.Errorf("%v", err)
	}
}

func TestToolboxBounds(t *testing.T) {
	var b toolbox
	for i := range maxHanded + 1 {
		b.hand(fmt.Sprint(i))
	}
	if len(b.handed) != maxHanded || b.wasHanded("0") || !b.wasHanded("1") {
		t.Errorf("%d calls are remembered", len(b.handed))
	}
	list := make([]transport.Tool, provider.MaxTools+2)
	for i := range list {
		list[i].Name = fmt.Sprint("t", i)
	}
	b.offer(list)
	if len(b.offered(true)) != provider.MaxTools || b.refused.Load() != 2 || len(b.offered(false)) != 0 {
		t.Errorf("%d are offered, %d refused", len(b.offered(true)), b.refused.Load())
	}
	b.offer([]transport.Tool{})
	if len(b.offered(true)) != 0 {
		t.Error("tools that were taken away are offered")
	}
}

// The record forgets a call with its result, and takes no result of a call it has forgotten.
func TestRecordForgetsCalls(t *testing.T) {
	c := newContent()
	talk := newConversation(c, "")
	key := int64(0)
	add := func(role session.ItemRole, order int64, call string) {
		key++
		talk.apply(session.Item{Key: key, Order: order, Role: role, Turn: eventabi.TurnID("t" + call), Call: call, Name: "x", Text: c.addText("y")})
	}
	for i := range int64(maxItems) {
		add(session.ItemToolCall, i+1, fmt.Sprint(i))
		add(session.ItemToolResult, i+1, fmt.Sprint(i))
	}
	add(session.ItemToolResult, 1, "0")
	calls := map[string]bool{}
	for _, u := range talk.Utterances() {
		if u.Role == session.ItemToolCall {
			calls[u.Call] = true
		} else if !calls[u.Call] {
			t.Fatalf("a result without its call %s", u.Call)
		}
	}
	if n := len(talk.Utterances()); n > maxItems || n < maxItems-2 || len(talk.rounds) != 0 {
		t.Errorf("%d items are kept", n)
	}
	if p := talk.prompt(2, ""); len(p) != 4 || p[0].Role != "tool_call" {
		t.Errorf("the last two turns are %+v", p)
	}
}

// Each round of a turn is told as it was: what was said in it, what it called, what came back;
// cut to what was heard when the turn is over.
func TestPromptOfSeveralRounds(t *testing.T) {
	c := newContent()
	record := newConversation(c, "")
	segment := func(i int64, text string) { record.addSegment("t1", i, c.addText(text)) }
	record.apply(session.Item{Key: 1, Order: 1, Role: session.ItemUser, Turn: "t1", Text: c.addText("hello")})
	call := func(key, order int64, role session.ItemRole, id, text string) {
		record.apply(session.Item{Key: key, Order: order, Role: role, Turn: "t1", Call: id, Name: id, Text: c.addText(text)})
	}
	record.beginRound("t1", 0)
	segment(0, "First I look. ")
	call(2, 3, session.ItemToolCall, "a", "1")
	call(3, 3, session.ItemToolResult, "a", "one")
	call(4, 3, session.ItemToolCall, "b", "2")
	record.beginRound("t1", 1)
	segment(1, "Then I count. ")
	segment(2, "And count. ")
	call(5, 4, session.ItemToolCall, "c", "3")
	call(6, 4, session.ItemToolResult, "c", "three")
	record.beginRound("t1", 3)
	segment(3, "It is three.")
	whole := []string{
		"user hello", "assistant First I look.", "tool_call 1", "tool_call 2", "tool_result one", "tool_result " + noAnswerYet,
		"assistant Then I count. And count.", "tool_call 3", "tool_result three", "assistant It is three.",
	}
	lines := func(turn eventabi.TurnID) (list []string) {
		for _, m := range record.prompt(maxPrompt, turn) {
			list = append(list, m.Role+" "+m.Text)
		}
		return list
	}
	if got := lines("t1"); !reflect.DeepEqual(got, whole) {
		t.Errorf("live: %q", got)
	}
	nothing := []string{whole[0], whole[2], whole[3], whole[4], whole[5], whole[7], whole[8]}
	if got := lines(""); !reflect.DeepEqual(got, nothing) {
		t.Errorf("nothing heard: %q", got)
	}
	record.apply(session.Item{Key: 7, Order: 2, Role: session.ItemAssistant, Turn: "t1", HeardRunes: 20, GeneratedRunes: 51, Segments: 4, Interrupted: true})
	heard := append([]string{whole[0], whole[1]}, append([]string{whole[2], whole[3], whole[4], whole[5], "assistant Then I"}, whole[7], whole[8])...)
	if got := lines(""); !reflect.DeepEqual(got, heard) {
		t.Errorf("heard in part: %q, want %q", got, heard)
	}
	if got := record.prompt(1, ""); len(got) != 8 || !got[5].Interrupted || got[0].Interrupted {
		t.Errorf("the turn alone: %+v", got)
	}
}

// What was taken out is in no prompt and not told any more, a call with its result; it does not
// come back.
func TestRecordTakesOut(t *testing.T) {
	c := newContent()
	talk := newConversation(c, "")
	add := func(key int64, role session.ItemRole, call, text string) {
		runes := int64(len(text))
		talk.apply(session.Item{Key: key, Order: key, Role: role, Turn: "t1", Call: call, Name: call, Text: c.addText(text), GeneratedRunes: runes, HeardRunes: runes})
	}
	add(1, session.ItemUser, "", "seventeen")
	add(2, session.ItemToolCall, "a", "{}")
	add(3, session.ItemToolResult, "a", "rain")
	add(4, session.ItemUser, "", "and now")
	for _, key := range []int64{1, 2, 9} {
		talk.apply(session.Item{Key: key, Order: key, Role: session.ItemForgotten})
	}
	add(5, session.ItemToolResult, "a", "late")
	p := talk.Prompt()
	if len(p) != 1 || p[0].Text != "and now" {
		t.Errorf("the prompt is %+v", p)
	}
	if u := talk.Utterances(); len(u) != 1 || u[0].Text != "and now" {
		t.Errorf("the record is %+v", u)
	}
}
