// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/parley-voice/parley/provider"
)

// toolCall picks the tool that the caller's last words name, and its arguments. A prompt
// that ends in a result is answered with it, and calls nothing more.
func toolCall(p *provider.Prompt) (call provider.ToolCall, ok bool) {
	if len(p.Tools) == 0 || p.NoCalls || len(results(p.Messages)) > 0 {
		return provider.ToolCall{}, false
	}
	t := read(p.Messages)
	best, most := -1, 0
	for i := range p.Tools {
		if n := named(p.Tools[i].Name, t.heard); n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		return provider.ToolCall{}, false
	}
	return provider.ToolCall{Name: p.Tools[best].Name, Arguments: arguments(p.Tools[best].Parameters, t.said)}, true
}

// named counts the words of a tool's name when all of them were said, in whatever order;
// words that only say that something is to be done need not be.
func named(name string, heard []string) int {
	all := toolWords(name)
	telling := slices.DeleteFunc(slices.Clone(all), func(w string) bool {
		return slices.Contains([]string{"get", "set", "do", "find", "fetch", "look", "up", "check", "run", "call", "tool", "the", "a"}, w)
	})
	if len(telling) == 0 {
		telling = all
	}
	for _, w := range telling {
		if at, _ := find([]string{w}, heard); at < 0 {
			return 0
		}
	}
	return len(telling)
}

// toolWords is a tool's name as words.
func toolWords(name string) []string {
	return words(strings.NewReplacer("_", " ", "-", " ").Replace(name))
}

// arguments gives the utterance for a property named text, and for each required one that
// is a string; there is nothing else to give.
func arguments(schema []byte, said string) string {
	var s struct {
		Properties map[string]struct {
			Type any `json:"type"`
		} `json:"properties"`
		Required []string `json:"required"`
	}
	_ = json.Unmarshal(schema, &s) // one that cannot be read asks for nothing
	given := map[string]string{}
	for name, p := range s.Properties {
		if name == "text" || p.Type == "string" && slices.Contains(s.Required, name) {
			given[name] = said
		}
	}
	b, err := json.Marshal(given)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// results are the tool results at the end of a conversation.
func results(messages []provider.Message) []provider.Message {
	at := len(messages)
	for at > 0 && messages[at-1].Role == provider.RoleToolResult {
		at--
	}
	return messages[at:]
}

// calling is what is said while a tool is called.
func calling(name string) string {
	return "I am calling the tool " + strings.Join(toolWords(name), " ") + "."
}

// answered says what tools have answered.
func answered(list []provider.Message) string {
	var b strings.Builder
	for i := range list {
		m := &list[i]
		name := strings.Join(toolWords(m.Name), " ")
		switch {
		case m.Failed:
			b.WriteString("The tool " + name + " failed: ")
		case strings.TrimSpace(m.Text) == "":
			b.WriteString("The tool " + name + " gave no answer. ")
			continue
		default:
			b.WriteString("The tool " + name + " says: ")
		}
		b.WriteString(sentence(quote(m.Text, echoWordsMax)) + " ")
	}
	return strings.TrimSpace(b.String())
}
