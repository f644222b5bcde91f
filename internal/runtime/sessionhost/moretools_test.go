// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/transport"
)

// Tools that come and go are those of the moment in which a turn opens: the turn keeps them, the
// next one has others.
func TestMoreTools(t *testing.T) {
	r := newRig("s1")
	m := &callingModel{tool: "look_up", arguments: "{}", before: "One moment."}
	m.set(r)
	run := func(says string) func(context.Context, string) (string, error) {
		return func(context.Context, string) (string, error) { return says, nil }
	}
	there := []Tool{{Name: "look_up", Run: run("found")}}
	r.settings.MoreTools = func() []Tool { return there }
	virtually(t, r, speaking(), 20000, func(v *Virtual, s *Session) {
		say(v, s, 100, "look it up")
		v.At(9_000_000_000, func() { there = nil })
		say(v, s, 9500, "look it up again")
	})
	prompts := m.all()
	if len(prompts) != 4 || len(prompts[0].Tools) != 1 || len(prompts[2].Tools) != 0 {
		t.Fatalf("%d prompts\n%s", len(prompts), r.log)
	}
	if first := talk(prompts[1]); !strings.HasSuffix(first, `tool_result look_up "found"`) {
		t.Errorf("the first turn was told\n%s", first)
	}
	if second := talk(prompts[3]); !strings.Contains(second, `there is no tool named \"look_up\"`) {
		t.Errorf("the second turn was told\n%s", second)
	}
}

// What cannot be called is left out: no name, nobody who runs it, a name that is taken, one too many.
func TestMoreToolsOffered(t *testing.T) {
	run := func(context.Context, string) (string, error) { return "", nil }
	var b toolbox
	b.open([]Tool{{Name: "a", Run: run}, {Name: "c"}})
	b.offer([]transport.Tool{{Name: "c"}, {Name: "d"}})
	more := []Tool{{Name: "a", Description: "other", Run: run}, {Name: "no good", Run: run}, {Name: "b"}, {Name: "d", Description: "ours", Run: run}}
	b.more = func() []Tool { return more }
	var got []string
	for _, x := range b.offered(true) {
		got = append(got, x.Name+x.Description)
	}
	if fmt.Sprint(got) != "[a dours c]" {
		t.Errorf("offered %v", got)
	}
	for i := range provider.MaxTools + 1 {
		more = append(more, Tool{Name: fmt.Sprint("t", i), Run: run})
	}
	if n := len(b.offered(true)); n != provider.MaxTools {
		t.Errorf("%d are offered", n)
	}
}
