// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

func tools() []provider.Tool {
	return []provider.Tool{
		{Name: "get_weather", Parameters: []byte(`{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city","days"]}`)},
		{Name: "book_table", Parameters: []byte(`{"type":"object","properties":{"text":{"type":"string"},"name":{"type":"string"}}}`)},
		{Name: "book"},
	}
}

func TestToolCall(t *testing.T) {
	user := func(text string) []provider.Message { return []provider.Message{{Role: provider.RoleUser, Text: text}} }
	answered := append(user("How is the weather?"),
		provider.Message{Role: provider.RoleToolCall, Call: "1", Name: "get_weather", Text: "{}"},
		provider.Message{Role: provider.RoleToolResult, Call: "1", Name: "get_weather", Text: "Rain"})
	for name, row := range map[string]struct {
		prompt provider.Prompt
		want   provider.ToolCall
	}{
		"its telling word":   {provider.Prompt{Messages: user("How is the weather in Paris?"), Tools: tools()}, provider.ToolCall{Name: "get_weather", Arguments: `{"city":"How is the weather in Paris?"}`}},
		"the longest name":   {provider.Prompt{Messages: user("Please book a table."), Tools: tools()}, provider.ToolCall{Name: "book_table", Arguments: `{"text":"Please book a table."}`}},
		"by command":         {provider.Prompt{Messages: user("call tool book"), Tools: tools()}, provider.ToolCall{Name: "book", Arguments: "{}"}},
		"none that was said": {provider.Prompt{Messages: user("Tell me a story."), Tools: tools()}, provider.ToolCall{}},
		"none may be called": {provider.Prompt{Messages: user("How is the weather?"), Tools: tools(), NoCalls: true}, provider.ToolCall{}},
		"none is offered":    {provider.Prompt{Messages: user("How is the weather?")}, provider.ToolCall{}},
		"answered already":   {provider.Prompt{Messages: answered, Tools: tools()}, provider.ToolCall{}},
		"nothing was said":   {provider.Prompt{Messages: []provider.Message{{Role: provider.RoleSystem, Text: "weather"}}, Tools: tools()}, provider.ToolCall{}},
	} {
		if got, ok := toolCall(&row.prompt); got != row.want || ok != (row.want.Name != "") {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}

// The caller hears that a tool is called, and then what it says; who answers is said once.
func TestSpeaksResults(t *testing.T) {
	r, err := New(Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	say := func(p provider.Prompt) (text string, calls int) {
		t.Helper()
		checker := provider.NewStreamChecker(provider.ModalityLLM)
		r.Generate(t.Context(), providertest.NewCall(provider.ModalityLLM), p, func(c provider.Chunk) {
			if err := checker.Check(c); err != nil {
				t.Error(err)
			}
			text += c.Text
			if c.Kind == provider.ChunkToolCall {
				calls++
			}
		})
		return text, calls
	}
	p := provider.Prompt{Tools: tools(), Messages: []provider.Message{{Role: provider.RoleUser, Text: "How is the weather?"}}}
	text, calls := say(p)
	if want := disclosure + " I am calling the tool get weather."; text != want || calls != 1 {
		t.Errorf("%q with %d calls, want %q", text, calls, want)
	}
	p.Messages = append(p.Messages,
		provider.Message{Role: provider.RoleAssistant, Text: text},
		provider.Message{Role: provider.RoleToolCall, Call: "1", Name: "get_weather", Text: "{}"},
		provider.Message{Role: provider.RoleToolCall, Call: "2", Name: "book", Text: "{}"},
		provider.Message{Role: provider.RoleToolCall, Call: "3", Name: "book", Text: "{}"},
		provider.Message{Role: provider.RoleToolResult, Call: "1", Name: "get_weather", Text: "Rain, 12 degrees"},
		provider.Message{Role: provider.RoleToolResult, Call: "2", Name: "book", Text: "it is full", Failed: true},
		provider.Message{Role: provider.RoleToolResult, Call: "3", Name: "book"})
	text, calls = say(p)
	if want := "The tool get weather says: Rain, 12 degrees. The tool book failed: it is full. The tool book gave no answer."; text != want || calls != 0 {
		t.Errorf("%q with %d calls, want %q", text, calls, want)
	}
}
