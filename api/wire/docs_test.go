// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/wire"
)

// examples gives the code blocks of the page by their language.
func examples(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/websocket.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string][]string{}
	language, block := "", strings.Builder{}
	for line := range strings.Lines(string(page)) {
		fence, found := strings.CutPrefix(strings.TrimRight(line, "\n"), "```")
		switch {
		case found && language == "":
			language = fence
			block.Reset()
			if language == "" {
				language = "text"
			}
		case found:
			blocks[language] = append(blocks[language], block.String())
			language = ""
		default:
			block.WriteString(line)
		}
	}
	return blocks
}

func canonical(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// TestExamplesOfThePage reads each example of docs/websocket.md with the decoder, writes it
// again, and finds nothing lost, but for fields that say what is so without them.
func TestExamplesOfThePage(t *testing.T) {
	blocks := examples(t)
	seen := map[string]bool{}
	for _, text := range blocks["json client"] {
		m, f := wire.ReadClient([]byte(text))
		if f != nil {
			t.Errorf("%v in %s", f, text)
			continue
		}
		again, err := wire.AppendClient(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		same(t, text, again)
		seen["client "+kind(t, text)] = true
	}
	for _, text := range blocks["json server"] {
		m, seq, f := wire.ReadServer([]byte(text))
		if f != nil || m == nil {
			t.Errorf("%v, %v in %s", m, f, text)
			continue
		}
		again, err := wire.AppendServer(nil, seq, m)
		if err != nil {
			t.Fatal(err)
		}
		same(t, text, again)
		seen["server "+kind(t, text)] = true
	}
	for _, want := range []string{
		"client hello", "client text", "client end_of_utterance", "client cancel", "client stop", "client played", "client mute",
		"client control", "client context", "client respond", "client configure", "client tool_result", "client renew", "client ping", "client bye",
		"server welcome", "server refused", "server error", "server taken", "server signal", "server transcript", "server speech",
		"server tool_call", "server metric", "server audio_begin", "server fence", "server pong", "server ended", "server route",
	} {
		if !seen[want] {
			t.Errorf("the page has no example of %s", want)
		}
	}
}

func kind(t *testing.T, text string) string {
	t.Helper()
	return canonical(t, []byte(text)).(map[string]any)["type"].(string)
}

func same(t *testing.T, text string, again []byte) {
	t.Helper()
	want, got := canonical(t, []byte(text)), canonical(t, again)
	drop(want)
	drop(got)
	if !reflect.DeepEqual(want, got) {
		t.Errorf("read and written again\n%s\nis\n%s", text, again)
	}
}

// drop takes out of objects what may be left out: false and 0.
func drop(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e == false || e == 0.0 {
				delete(v, k)
			}
			drop(e)
		}
	case []any:
		for _, e := range v {
			drop(e)
		}
	}
}

// TestEncodingExamplesOfThePage shows that the binary examples are the JSON above them.
func TestEncodingExamplesOfThePage(t *testing.T) {
	blocks := examples(t)
	client, server := blocks["binary client"], blocks["binary server"]
	if len(client) == 0 || len(server) == 0 {
		t.Fatalf("%d examples of clients, %d of servers", len(client), len(server))
	}
	for _, block := range client {
		text, frame := example(t, block)
		m, f := wire.ReadClient(text)
		if f != nil {
			t.Fatalf("%v in %s", f, text)
		}
		if got := wire.AppendClientBinary(nil, m); !bytes.Equal(got, frame) {
			t.Errorf("%s\nis % x", text, got)
		}
	}
	for _, block := range server {
		text, frame := example(t, block)
		if got, err := wire.Recode(text, false); err != nil || !bytes.Equal(got, frame) {
			t.Errorf("%s\nis % x, %v", text, got, err)
		}
	}
}

// example is JSON and, below it, the bytes.
func example(t *testing.T, block string) (text, frame []byte) {
	t.Helper()
	line, rest, _ := strings.Cut(block, "\n")
	frame, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "").Replace(rest))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(line), frame
}

// TestBinaryExampleOfThePage reads the header that the page shows.
func TestBinaryExampleOfThePage(t *testing.T) {
	blocks := examples(t)["hex"]
	if len(blocks) != 1 {
		t.Fatalf("%d examples", len(blocks))
	}
	text := strings.NewReplacer(" ", "", "\n", "", "...", "0000").Replace(blocks[0])
	frame, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	a, f := wire.ParseAudio(frame, wire.KindAgent)
	if f != nil || a.Generation != 7 || a.Sequence != 2 || a.Position != 960 || a.Samples != 480 || len(a.Payload) != 2 {
		t.Errorf("%+v, %v", a, f)
	}
	if again := wire.AppendAudio(nil, &a); !bytes.Equal(again, frame) {
		t.Errorf("written again: %x, want %x", again, frame)
	}
}
