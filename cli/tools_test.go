// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/internal/settings"
	"github.com/parley-voice/parley/tool/mcptool/mcptooltest"
)

// The configuration of a server becomes tools of the model, and says what each server has.
func TestToolServers(t *testing.T) {
	w := mcptooltest.New(t)
	command, err := json.Marshal(w.Command)
	if err != nil {
		t.Fatal(err)
	}
	c := serve.Default()
	value := `[{name: desk, command: ` + string(command) + `, allow: [book.table, fail], timeout_ms: 60000}, {name: gone, url: "http://127.0.0.1:1/mcp"}]`
	if _, err := settings.Load(c, settings.Sources{Flags: []settings.Given{{Flag: "--set", Path: "tools.mcp", Value: value}}}); err != nil {
		t.Fatal(err)
	}
	x, err := openTools(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := x.list[0].Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := x.tell(t.Context())
	if len(lines) != 2 || lines[0] != "desk: desk_book_table, desk_fail" || !strings.HasPrefix(lines[1], "gone: away, and tried again: ") {
		t.Errorf("told %q", lines)
	}
	var a parley.Config
	x.configure(&a)
	list := a.MoreTools()
	if len(list) != 2 || a.ToolTimeout != 61*time.Second {
		t.Fatalf("%d tools, %v", len(list), a.ToolTimeout)
	}
	w.Open(t)
	if got, err := list[0].Run(t.Context(), `{"text":"x"}`); err != nil || got != "the table is booked" || !slices.Contains(w.Journal(), "booked") {
		t.Errorf("%q %v", got, err)
	}
}

func TestToolServersFaults(t *testing.T) {
	c := serve.Default()
	c.Tools.MCP = []serve.MCPServer{{Name: "a", Command: []string{"x"}}, {Name: "a", URL: "ftp://x"}, {Name: "B"}}
	_, err := openTools(c, slog.New(slog.DiscardHandler))
	for _, want := range []string{`tools.mcp[1].name: "a" is given twice`, "tools.mcp[1]: mcptool: server \"a\": url", "tools.mcp[2]: mcptool: server \"B\": name", "give either a command or an url"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not among\n%v", want, err)
		}
	}
	var a parley.Config
	if x, err := openTools(serve.Default(), nil); err != nil {
		t.Error(err)
	} else if x.configure(&a); a.MoreTools != nil || a.ToolTimeout != 0 {
		t.Error("without servers there are tools")
	}
}
