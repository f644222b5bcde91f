// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// tool draws a call of a tool, or a result.
func (d *drunk) tool() Input {
	m := d.machine
	if n := len(m.tools); n > 0 && d.random.Chance(1, 2) {
		x := &m.tools[max(0, int64(n)-1-d.random.Below(4))]
		return &ToolResult{Call: x.key, Output: d.text(), Failed: d.random.Chance(1, 4)}
	}
	id, next := d.call(callLLM), int64(0)
	if c := m.call(id); c != nil {
		next = c.tools
	}
	return pick[Input](d,
		&ToolCalled{Invocation: id, Attempt: d.random.Below(2), Index: pick(d, next, next, next, d.random.Below(3)), Name: pick(d, "search", ""), Arguments: d.text()},
		&ToolResult{Call: pick(d, "", "call_x"), Output: d.text()},
	)
}

// seenTools follows the calls and results of a session through its decisions.
type seenTools struct {
	out, items map[string]int
	order      map[string]int64
	results    map[string]int64 // item of each result
}

// A call goes out once under its key, behind its item; a result stands at its call's place,
// has one item, and none comes before its call. In all the drunk's conversations.
func TestToolsOnce(t *testing.T) {
	called, answered, late := 0, 0, 0
	for seed := range uint64(drunkSeeds) {
		d := newDrunk(seed, true)
		d.stagger(160)
		s := seenTools{out: map[string]int{}, items: map[string]int{}, order: map[string]int64{}, results: map[string]int64{}}
		for _, e := range d.seen {
			s.effect(t, seed, e)
		}
		called += len(s.out)
		answered += len(s.results)
		for i := range d.machine.tools {
			if x := &d.machine.tools[i]; x.answered && x.turn != d.machine.turn.id {
				late++
			}
		}
	}
	if called < 100 || answered < 50 || late < 10 {
		t.Errorf("%d calls, %d results, %d of closed turns: the drunk does not get anywhere", called, answered, late)
	}
}

func (s *seenTools) effect(t *testing.T, seed uint64, e Effect) {
	t.Helper()
	switch e := e.(type) { //nolint:gochecksumtype // the others are not about tools
	case *CallTool:
		if s.out[e.Call]++; s.out[e.Call] > 1 || s.items[e.Call] != 1 {
			t.Errorf("seed %d: call %s of %s went out %d times, behind %d items", seed, e.Call, e.Invocation, s.out[e.Call], s.items[e.Call])
		}
	case *Converse:
		it := &e.Item
		switch it.Role {
		case ItemToolCall:
			s.items[it.Call]++
			s.order[it.Call] = it.Order
		case ItemToolResult:
			if s.items[it.Call] != 1 || s.order[it.Call] != it.Order {
				t.Errorf("seed %d: result %+v without its call, or at another place", seed, it)
			}
			if key, ok := s.results[it.Call]; ok && key != it.Key {
				t.Errorf("seed %d: call %s has two results", seed, it.Call)
			}
			s.results[it.Call] = it.Key
		case ItemUser, ItemAssistant, ItemSystem:
		}
	}
}

func TestToolKey(t *testing.T) {
	key := toolKey("s1", "t1", "t1-llm-1", 0)
	if key != toolKey("s1", "t1", "t1-llm-1", 0) || len(key) != 29 || !strings.HasPrefix(key, "call_") {
		t.Errorf("key %q", key)
	}
	for _, other := range []string{
		toolKey("s2", "t1", "t1-llm-1", 0), toolKey("s1", "t2", "t1-llm-1", 0), toolKey("s1", "t1", "t1-llm-2", 0), toolKey("s1", "t1", "t1-llm-1", 1),
	} {
		if other == key {
			t.Errorf("two calls have the key %q", key)
		}
	}
}

// Results of calls that were forgotten are refused: what is remembered is bounded.
func TestToolsRemembered(t *testing.T) {
	m := New()
	first := ""
	for i := range int64(maxToolsKept + 1) {
		x := m.keepTool(toolCall{key: toolKey("s", "t1", "t1-llm-1", i)})
		if i == 0 {
			first = x.key
		}
	}
	if len(m.tools) != maxToolsKept || m.tool(first) != nil || m.tool(toolKey("s", "t1", "t1-llm-1", 1)) == nil {
		t.Errorf("%d calls are remembered; want %d, without the oldest", len(m.tools), maxToolsKept)
	}
	if m.toolsDue() != timebase.Never {
		t.Error("calls of no live turn have a deadline")
	}
}
